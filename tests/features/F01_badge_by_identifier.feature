Feature: F01 A driver shows a contactless badge that is known by its identifier

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | status  |
      | 04A1B2C3D4E5F6 | badge  | C1       | active  |
      | 04B1B2C3D4E5F6 | badge  | C1       | active  |
      | 04C1B2C3D4E5F6 | badge  | C1       | blocked |
      | A1B2C3D4       | badge  | C1       | active  |
      | TRUCK-0815     | badge  | C1       | active  |

  Scenario: A known badge fuels and the sale is his
    # 12.50 L at 1.729 are 21.6125 EUR, rounded 21.61
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario Outline: The number is the identifier, or the text that stands on the badge
    When the driver presents badge "<number>"
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | number         |
      | A1B2C3D4       |
      | 04A1B2C3D4E5F6 |
      | TRUCK-0815     |

  Scenario: An unknown badge gets nothing, and the next driver is served
    When the driver presents badge "04FFFFFFFFFFFF"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_UNKNOWN"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    And the ledger holds no sale

  Scenario: An unknown badge gets nothing without the host either
    Given the host is unreachable
    When the driver presents badge "04FFFFFFFFFFFF"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_UNKNOWN"

  Scenario: A blocked badge is refused before anything is asked
    When the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    And the host holds no open authorization

  Scenario: Another badge before the choice starts afresh
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04B1B2C3D4E5F6"
    And the ledger holds 0 sales by card "04A1B2C3D4E5F6"

  Scenario: The same badge held out twice at once is one driver
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: Two badges at once are refused, one of them alone is not
    When the driver presents badges "04A1B2C3D4E5F6" and "04B1B2C3D4E5F6" together
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A badge that is taken away too early gives no weaker name, and the next one works
    When the driver takes badge "TRUCK-0815" away too early
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver presents badge "TRUCK-0815"
    Then the driver is asked for "FUELLING POINT"
    And the ledger holds no sale

  Scenario: A telephone that shows another identifier each time is nobody's badge
    When the driver presents badge "08A1B2C3"
    Then the driver is refused with "MEDIUM_UNREADABLE"

  Scenario: Where the badges are not secure, a copy of the identifier is as good as the badge
    # That is what the weakest trust means; a list that says "secure badge" ends it.
    When the driver presents a classic copy of badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
