Feature: F06 Cards that the operator owns already are used as identifiers

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |

  Scenario: A loyalty card's own number is a slice of what its stripe says
    Given the card ranges
      | from   | to     | kind  | lengths | luhn | number       |
      | 928000 | 928099 | other | 13      | no   | number[6:7]  |
    And the cards
      | number  | medium | customer |
      | 1234567 | stripe | C1       |
    And the host is unreachable
    When the driver swipes card "9280421234567"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "1234567"
    When the host becomes reachable
    Then the three books agree

  Scenario Outline: A bank card is unknown here, whatever the lists say, and nobody is asked for its PIN, <where> the host
    Given the card ranges
      | from | to | kind | lengths | luhn |
      | 4    | 5  | bank | 16      | yes  |
    And the cards
      | number           | medium | customer | pin  |
      | 4111111111111111 | stripe | C1       | 4711 |
    And the host is <where>
    When the driver swipes card "4111111111111111"
    Then the driver is refused with "CARD_UNKNOWN"

    Examples:
      | where       |
      | reachable   |
      | unreachable |

  Scenario: A site may let bank cards stand for a name; a PIN is never asked for
    Given the terminal policy
      | setting    | value |
      | bank_cards | yes   |
    And the card ranges
      | from | to | kind | lengths | luhn |
      | 4    | 5  | bank | 16      | yes  |
    And the cards
      | number           | medium | customer | pin  |
      | 4111111111111111 | stripe | C1       | 4711 |
    When the driver swipes card "4111111111111111"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "4111111111111111"
    And the three books agree

  Scenario: A tag with a number on it works as the card with that number does
    Given the card ranges
      | from | to   | lengths | luhn | number       |
      | 7001 | 7001 | 16      | yes  | number[4:11] |
    And the cards
      | number      | medium | customer |
      | 00000000001 | badge  | C1       |
    When the driver presents badge "7001000000000012"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "00000000001"

  Scenario Outline: A bank card's chip is a name too, where the site wants it, and is asked for no PIN
    Given the terminal policy
      | setting    | value |
      | bank_cards | yes   |
    And the cards
      | number           | medium     | customer | pin  |
      | 4111111111111111 | smart card | C1       | 4711 |
    And the host is unreachable
    When the driver inserts <what>
    Then the driver is asked for "FUELLING POINT"
    And the card was asked for no PIN and no cryptogram
    When the driver chooses fuelling point 2
    And the driver removes the card
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "4111111111111111"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

    Examples:
      | what                                                        |
      | bank card "4111111111111111"                                |
      | bank card "4111111111111111" without a payment directory    |

  Scenario: A bank card that no list names is unknown, and where the site does not want it its chip is asked for nothing
    Given the terminal policy
      | setting    | value |
      | bank_cards | yes   |
    And the cards
      | number              | medium     | customer |
      | 7001231234567890123 | smart card | C1       |
    And the host is unreachable
    When the driver inserts bank card "4111111111111111"
    Then the driver is refused with "CARD_UNKNOWN"

  Scenario: Off is what it is where nothing was said
    Given the cards
      | number           | medium     | customer |
      | 4111111111111111 | smart card | C1       |
    When the driver inserts bank card "4111111111111111"
    Then the driver is refused with "MEDIUM_UNREADABLE"
    And the card was asked for the fleet's application and nothing else

  Scenario Outline: A bank card pulled out in the middle is told so, and the next try works
    Given the terminal policy
      | setting    | value |
      | bank_cards | yes   |
    And the cards
      | number           | medium     | customer |
      | 4111111111111111 | smart card | C1       |
    When the driver inserts bank card "4111111111111111" and pulls it out at exchange <exchange>
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver inserts bank card "4111111111111111"
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | exchange |
      | 1        |
      | 2        |
      | 3        |
      | 4        |
      | 5        |
      | 6        |
      | 7        |
      | 8        |
