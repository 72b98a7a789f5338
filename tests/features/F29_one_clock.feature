Feature: F29 Nobody gets fresh quota by setting a clock

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the local time is "2026-03-10 12:00:00"
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
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 20.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And 0.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  Scenario Outline: The operating system's clock changes nothing
    When the clock is set to "<time>"
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    And the ledger holds 1 sale

    Examples:
      | time                |
      | 2026-03-11 12:00:00 |
      | 2026-03-09 12:00:00 |

  Scenario: Nor does it with a power cut behind it
    When the clock is set to "2026-04-01 12:00:00"
    And the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"

  Scenario: The host's return leaves the use of the day where it is
    When the clock is set to "2026-03-11 12:00:00"
    And the host becomes reachable
    Then the host has booked 1 sale
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"

  @virtual
  Scenario: A real midnight does give the new day, whatever the other clock says
    When the clock is set to "2026-03-01 12:00:00"
    And 13 h pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 10.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 10.00 L
