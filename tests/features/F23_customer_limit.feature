Feature: F23 All cards of a customer share his limit

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
      | C2       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C1       |
      | 04C1B2C3D4E5F6 | badge  | C2       |
    And the limits
      | subject     | period | measure  | amount   |
      | customer C1 | DAY    | QUANTITY | 100.00 L |

  Scenario: Two pumps at once cannot both take the rest
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 60.00 L
    And the driver chooses fuelling point 1
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 1 is released for at most 60.00 L
    And fuelling point 2 is released for at most 40.00 L
    When 80.00 L flow at fuelling point 2
    And 80.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the driver hangs up at fuelling point 2
    Then the ledger holds 2 sales
    And 0.00 L remain of the DAY QUANTITY limit of customer "C1"

  Scenario: The customer's use refuses a card that has not fuelled, and not another customer's
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 99.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 sale
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CUSTOMER_LIMIT_DAY_QUANTITY"
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: What we decided alone counts also when the host approves the next one
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 60.00 L
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 60.00 L
    When the host becomes reachable
    And 10 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 40.00 L
    When 80.00 L flow at fuelling point 2
    And 60.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the driver hangs up at fuelling point 2
    Then the ledger holds 2 sales
    And the host holds no open authorization
    And 0.00 L remain of the DAY QUANTITY limit of customer "C1"
