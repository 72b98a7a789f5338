Feature: F33 The preset ends the fuelling and is posted in full

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
    And the limits
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 20.00 L |

  Scenario: The pump stops at the preset and nothing is left
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 30.00 L flow at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And 0.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
