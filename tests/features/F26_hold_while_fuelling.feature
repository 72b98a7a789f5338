Feature: F26 What a driver may take is held while he fuels, and replaced by what he took

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the host is unreachable
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C1       |
    And the limits
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |
      | customer C1         | DAY    | QUANTITY | 150.00 L |

  Scenario: The wish is held from the choice on, the rest comes back at the end
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    Then 80.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 130.00 L remain of the DAY QUANTITY limit of customer "C1"
    When the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    Then 80.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And 87.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 137.50 L remain of the DAY QUANTITY limit of customer "C1"

  Scenario: Without a wish everything that is left is held
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then 0.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 50.00 L remain of the DAY QUANTITY limit of customer "C1"

  Scenario: The same card cannot fuel twice at once
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "CARD_IN_USE"
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"

  Scenario: A colleague gets what the customer has left beside the hold
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 50.00 L

  Scenario: The hold survives a power cut
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And the power returns
    Then 80.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And 95.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  Scenario: A driver who changes his mind gives everything back
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 20.00 L
    When the driver hangs up at fuelling point 2
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the ledger holds no sale
