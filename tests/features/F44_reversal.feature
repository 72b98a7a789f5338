Feature: F44 What the host may have approved and nobody uses is taken back

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
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |

  Scenario: The answer is lost, the driver is served offline, the approval is reversed before the sale arrives
    Given the host answers only after booking, losing the answer
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the host holds no open authorization
    And 87.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: The answer is lost and nobody fuels
    Given the host answers only after booking, losing the answer
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And 90 s pass
    And the host becomes reachable
    Then the host holds no open authorization
    And the host has booked no sale
    And 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: The driver cancels while the host still thinks
    Given the host answers after 6 s
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver presses cancel
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the host becomes reachable
    Then the host holds no open authorization
    And the ledger holds no sale

  Scenario: The power goes while the host thinks
    Given the host answers after 6 s
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the power is cut
    And the power returns
    And the host becomes reachable
    Then the host holds no open authorization
    And the ledger holds no sale
    And 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  Scenario: An approved fuelling that is not begun is not left open
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And 90 s pass
    Then the host holds no open authorization
    And the host has booked no sale
