Feature: F36 The terminal restarts while fuel flows, and the sale is there exactly once

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

  Scenario: The driver hangs up while the terminal is dark
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the power returns
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the host holds no open authorization
    And 87.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: The terminal is back before the driver hangs up
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And the power returns
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: The power goes just as he hangs up, the host is away, and twice
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the power is cut
    And the power returns
    And the power is cut
    And the power returns
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  Scenario: The power goes before the nozzle is lifted
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the power is cut
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    And the power returns
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    And the ledger holds no sale

  Scenario: After the restart the next driver is served
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And the driver hangs up at fuelling point 2
    And the power returns
    Then the ledger holds 1 sale
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 95.00 L
