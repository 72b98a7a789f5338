Feature: F14 The host does not answer and the driver is served all the same

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | ALLOWED |
      | 04B1B2C3D4E5F6 | badge  | C1       | NEVER   |
    And the limits
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |
      | card 04B1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |

  Scenario: No line: the lists decide, and the sale goes to the host later
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When 62.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 62.50 L of "GAZOLE" for 108.06 EUR by card "04A1B2C3D4E5F6"
    And 37.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host has booked 0 sales
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  Scenario: The second driver of the day gets what is left
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 62.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 37.50 L

  Scenario: An answer that comes too late is never used, and nothing stays open at the host
    Given the host answers after 12 s
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the host holds no open authorization
    And the three books agree

  Scenario: The host answers nothing but errors
    Given the host answers every call with 500
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  Scenario: The host books the question and its answer is lost
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
    And the three books agree

  Scenario: A card that is never served offline is refused, and served when the host is back
    Given the host is unreachable
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    And the host becomes reachable
    And 30 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L

  Scenario: The host's no is a no: there is no second opinion offline
    Given the host counts
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released

  @virtual
  Scenario: Lists that are too old serve nobody, and no time makes them young
    Given the host is unreachable
    When 73 h pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIST_TOO_OLD"

  @virtual
  Scenario: After half a day of old lists seven tenths are allowed
    # 100 L, factor 0.7 between 12 and 24 hours, all on one day
    Given the local time is "2026-03-10 06:00:00"
    And the host is unreachable
    When 13 h pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 70.00 L
