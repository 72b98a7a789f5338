Feature: F21 A limit on each calendar day

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the host is unreachable
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

  Scenario: What was taken today is missing today
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 62.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    And 37.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  Scenario: A day that is used up refuses
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 99.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 99.00 L of "GAZOLE" for 171.17 EUR by card "04A1B2C3D4E5F6"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"

  @virtual
  Scenario: Money by the day
    Given the limits
      | subject             | period | measure | amount     |
      | card 04A1B2C3D4E5F6 | DAY    | VALUE   | 100.00 EUR |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And 65.42 EUR remain of the DAY VALUE limit of card "04A1B2C3D4E5F6"

  @virtual
  Scenario: Midnight gives a new day
    Given the local time is "2026-03-10 23:50:00"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 60.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    And 40.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When 15 min pass
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  @virtual
  Scenario: A fuelling over midnight belongs to the day on which it was authorized
    # 40 L need a minute and end after midnight
    Given the local time is "2026-03-10 23:59:30"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 40.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 40.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    And 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  @virtual
  Scenario: The day of 23 hours, when the clocks go forward
    # 28 March 23:50 is another day; at 30 March 00:05 the 29th, 23 hours long, is over too
    Given the local time is "2026-03-28 23:50:00"
    When 20 min pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 60.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 60.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    And 40.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When 22 h pass
    Then 40.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When 1 h pass
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  @virtual
  Scenario: The day of 25 hours, when the clocks go back
    Given the local time is "2026-10-25 00:10:00"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 60.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 60.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    When 24 h pass
    Then 40.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When 1 h pass
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
