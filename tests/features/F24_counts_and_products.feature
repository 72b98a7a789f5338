Feature: F24 Limits on the number of fuellings and on single products

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the host is unreachable
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |

  Scenario: One fuelling a day; one that delivered nothing does not count
    Given the limits
      | subject             | period | measure | amount |
      | card 04A1B2C3D4E5F6 | DAY    | COUNT   | 1      |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L
    When the driver hangs up at fuelling point 2
    Then 1 remain of the DAY COUNT limit of card "04A1B2C3D4E5F6"
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And 0 remain of the DAY COUNT limit of card "04A1B2C3D4E5F6"
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_COUNT"

  Scenario: A limit on one product leaves the other alone
    Given the limits
      | subject             | period   | measure  | amount  | products |
      | card 04A1B2C3D4E5F6 | FUELLING | QUANTITY | 30.00 L | GAZOLE   |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 30.00 L
    When the driver hangs up at fuelling point 2
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 2 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: A product of which nothing is left is not released
    Given the limits
      | subject             | period | measure  | amount | products |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 0.00 L | GAZOLE   |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the ledger holds no sale
