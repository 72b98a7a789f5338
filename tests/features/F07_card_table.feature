Feature: F07 The card table says what the numbers of a range mean

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number           | medium | customer | prompts | pin  |
      | 7001000000000012 | badge  | C1       | none    | 4711 |
      | 7002000000000011 | badge  | C1       | none    | none |
      | 7003000000000010 | badge  | C1       | none    | none |
      | 7004000000000019 | stripe | C1       | none    | none |
      | 7005000000000018 | stripe | C1       | none    | none |

  Scenario: No range at all: everything as it stands in the lists
    When the driver presents badge "7001000000000012"
    Then the driver is asked for "PIN"

  Scenario Outline: A misread number is not taken for another card: <what>
    Given the card ranges
      | from | to   | lengths | luhn |
      | 7001 | 7003 | 16      | yes  |
    When the driver presents badge "<number>"
    Then the driver is refused with "MEDIUM_UNREADABLE"

    Examples:
      | what        | number            |
      | check digit | 7002000000000012  |
      | too long    | 70020000000000110 |
      | too short   | 700200000000001   |

  Scenario: The most particular range counts
    Given the card ranges
      | from | to   | routing | lengths | luhn |
      | 7    | 7    | nobody  | 16      | no   |
      | 7000 | 7999 | nobody  | 16      | no   |
      | 7002 | 7002 | host    | 16      | no   |
    When the driver presents badge "7003000000000010"
    Then the driver is refused with "CARD_UNKNOWN"
    When the driver presents badge "7002000000000011"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A range may leave the PIN out
    Given the card ranges
      | from | to   | lengths | luhn | pin   |
      | 7001 | 7001 | 16      | yes  | never |
    When the driver presents badge "7001000000000012"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "7001000000000012"
    And the three books agree

  Scenario: Locally decided cards are never asked of the host
    Given the host answers every call with 500
    And the card ranges
      | from | to   | routing | lengths | luhn |
      | 7002 | 7002 | local   | 16      | no   |
    When the driver presents badge "7002000000000011"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host becomes reachable
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "7002000000000011"
    And the host has booked 1 sale
    And the three books agree

  Scenario: Codes of the track narrow the products and ask for more
    Given the card ranges
      | from | to   | lengths | luhn | restriction                    | prompts                               |
      | 7004 | 7004 | 16      | no   | discretionary[0:2] 01=SP95 02=any | discretionary[2:1] 1=odometer 0=      |
    And the host is unreachable
    When the driver swipes track "7004000000000019=2912101010"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"
    And fuelling point 2 is not released

  Scenario: The track's other code asks for the odometer and bounds nothing
    Given the card ranges
      | from | to   | lengths | luhn | restriction                    | prompts                               |
      | 7004 | 7004 | 16      | no   | discretionary[0:2] 01=SP95 02=any | discretionary[2:1] 1=odometer 0=      |
    When the driver swipes track "7004000000000019=2912101021"
    Then the driver is asked for "ODOMETER"
    When the driver answers "odometer" with "123456"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "7004000000000019"

  Scenario: A code that nobody named allows nothing
    Given the card ranges
      | from | to   | lengths | luhn | restriction                    |
      | 7004 | 7004 | 16      | no   | discretionary[0:2] 01=SP95 02=any |
    When the driver swipes track "7004000000000019=2912101990"
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"

  Scenario Outline: The date of the track counts to the end of its month: <track>
    Given the local time is "2026-03-31 23:50:00"
    And the card ranges
      | from | to   | lengths | luhn |
      | 7005 | 7005 | 16      | no   |
    When the driver swipes track "<track>"
    Then <then>

    Examples:
      | track                          | then                                      |
      | 7005000000000018=2603101000    | the driver is asked for "FUELLING POINT"  |
      | 7005000000000018=2602101000    | the driver is refused with "CARD_EXPIRED" |
      | 7005000000000018=2613101000    | the driver is refused with "MEDIUM_UNREADABLE" |

  Scenario Outline: A service code that leaves the decision to the issuer is obeyed, host <where>
    Given the card ranges
      | from | to   | lengths | luhn |
      | 7005 | 7005 | 16      | no   |
    And the host is <where>
    When the driver swipes track "7005000000000018=2912621000"
    Then <then>

    Examples:
      | where       | then                                             |
      | reachable   | the driver is asked for "FUELLING POINT"         |
      | unreachable | the driver is refused with "OFFLINE_NOT_ALLOWED" |
