Feature: F28 A shared limit is exact offline, because each terminal has its share

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
      | 04B1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
    And the limits
      | subject     | period | measure  | amount   | shared |
      | customer C1 | DAY    | QUANTITY | 500.00 L | yes    |

  Scenario: Offline the share of this terminal is the preset, for all cards of the customer together
    Given the shares
      | subject     | period | measure  | amount  |
      | customer C1 | DAY    | QUANTITY | 50.00 L |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 50.00 L
    When 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And 10 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 20.00 L
    When 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CUSTOMER_LIMIT_DAY_QUANTITY"
    And the display shows "Limite du compte"
    And the refusal code explains "CUSTOMER_LIMIT_DAY_QUANTITY"
    When the host becomes reachable
    Then the host has booked 2 sales
    And the three books agree

  Scenario: Without a share a shared limit leaves nothing offline, and the host decides on all of it
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CUSTOMER_LIMIT_DAY_QUANTITY"
    When the host becomes reachable
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 500.00 L

  Scenario: The share outlives a power cut
    Given the shares
      | subject     | period | measure  | amount  |
      | customer C1 | DAY    | QUANTITY | 50.00 L |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 48.50 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And 10 s pass
    And the power is cut
    And the power returns
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "CUSTOMER_LIMIT_DAY_QUANTITY"
    And the refusal code explains "CUSTOMER_LIMIT_DAY_QUANTITY"
