Feature: F04 A driver swipes a card with a magnetic stripe

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number              | medium | customer | status  | pin  |
      | 7001231234567890123 | stripe | C1       | active  |      |
      | 7001231234567890456 | stripe | C1       | active  | 4711 |
      | 7001231234567890789 | stripe | C1       | blocked |      |

  Scenario: A swipe fuels and the sale is his
    # 12.50 L at 1.729 are 21.6125 EUR, rounded 21.61
    When the driver swipes card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "7001231234567890123"
    And the host has booked 1 sale
    And the three books agree

  Scenario Outline: Each track is enough, also without the host
    Given the host is unreachable
    When the driver swipes card "7001231234567890123" with track <track> alone
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | track |
      | 1     |
      | 2     |

  Scenario: A half swipe is told, and the next one works
    When the driver swipes card "7001231234567890123" and stops halfway
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver swipes card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Two swipes that run together are nobody's
    When the driver swipes card "7001231234567890123" and at once card "7001231234567890456"
    Then the driver is refused with "MEDIUM_UNREADABLE"
    And the ledger holds no sale
    When the driver swipes card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Two swipes one after the other are two, and the last one counts
    When the driver swipes card "7001231234567890123"
    And the driver swipes card "7001231234567890456"
    Then the driver is asked for "PIN"

  Scenario: What the system loses on the way makes no other number
    When the driver swipes card "7001231234567890123" and the system loses a part
    Then the driver is refused with "MEDIUM_UNREADABLE"

  Scenario: Keys that bounce change nothing
    When the driver swipes card "7001231234567890123" and its keys bounce
    Then the driver is asked for "FUELLING POINT"

  Scenario: A swipe is never typed where a PIN is asked for
    # The reader is a keyboard too: its digits and its Enter must not count as the driver's. They would lock the card after three.
    When the driver swipes card "7001231234567890456"
    Then the driver is asked for "PIN"
    When the driver swipes card "7001231234567890456"
    And the driver swipes card "7001231234567890456"
    And the driver swipes card "7001231234567890456"
    And the driver swipes card "7001231234567890456"
    Then the driver is asked for "PIN"
    When the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"

  Scenario: An unknown and a blocked card are refused
    When the driver swipes card "7009999999999999999"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_UNKNOWN"
    When the driver swipes card "7001231234567890789"
    Then the driver is refused with "CARD_BLOCKED"
