Feature: F22 A limit on each calendar month

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
      | subject             | period | measure  | amount     |
      | card 04A1B2C3D4E5F6 | MONTH  | QUANTITY | 120.00 L   |
      | customer C1         | MONTH  | VALUE    | 300.00 EUR |

  Scenario: What the host knows of this month counts
    Given the host counts
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | MONTH  | QUANTITY | 100.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 20.00 L
    When 30.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And 265.42 EUR remain of the MONTH VALUE limit of customer "C1"
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_MONTH_QUANTITY"

  @virtual
  Scenario: The last evening and the first morning are two months
    Given the local time is "2026-03-31 23:00:00"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    And 100.00 L remain of the MONTH QUANTITY limit of card "04A1B2C3D4E5F6"
    When 2 h pass
    Then 120.00 L remain of the MONTH QUANTITY limit of card "04A1B2C3D4E5F6"
    And 300.00 EUR remain of the MONTH VALUE limit of customer "C1"
