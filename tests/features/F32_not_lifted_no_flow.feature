Feature: F32 A driver who does not fuel leaves nothing behind

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

  Scenario: The nozzle is not lifted in time
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And 90 s pass
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the ledger holds no sale

  Scenario: The nozzle is lifted and hung up again
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When the driver hangs up at fuelling point 2
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the ledger holds no sale
    And the host holds no open authorization
    And the host has booked no sale
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  @virtual
  Scenario: The nozzle is lifted and nothing flows
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When 180 s pass
    Then fuelling point 2 is not released
    And 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    And the ledger holds no sale

  Scenario: The driver gives up before he chooses
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host holds no open authorization

  Scenario: A driver who dribbles for ever is stopped, and what flowed is sold
    Given the terminal policy
      | setting          | value |
      | longest fuelling | 16 s  |
      | flow timeout     | 30 s  |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 1.00 L flow at fuelling point 2
    And 4 s pass
    And 1.00 L flow at fuelling point 2
    And 4 s pass
    And 1.00 L flow at fuelling point 2
    And 12 s pass
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 3.00 L of "GAZOLE" for 5.19 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: The longest time goes on over a restart
    Given the terminal policy
      | setting          | value |
      | longest fuelling | 20 s  |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 2.00 L flow at fuelling point 2
    And the power is cut
    And the power returns
    And 20 s pass
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 2.00 L of "GAZOLE"
    And the three books agree
