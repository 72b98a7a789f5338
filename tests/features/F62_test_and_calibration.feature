Feature: F62 A technician lets fuel flow to test a meter, and it is nobody's sale

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 1  | dart     | 2      | SP95    | 1.859 |
      | 2  | azt      | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the card ranges
      | from | to   | kind       | lengths |
      | 9990 | 9990 | technician | 16      |
    And the cards
      | number           | medium | customer | pin  | language |
      | 9990000000000017 | stripe | C1       | 1357 | en       |
      | 9990000000000025 | stripe | C1       | 2468 | en       |
      | 9990000000000041 | stripe | C1       |      | en       |
      | 04A1B2C3D4E5F6   | badge  | C1       |      | fr       |
    And the limits
      | subject               | period | measure  | amount  |
      | card 9990000000000017 | DAY    | QUANTITY | 5.00 L  |
      | customer C1           | DAY    | QUANTITY | 10.00 L |

  Scenario Outline: A test touches no limit, costs nothing and explains the totaliser
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver chooses fuelling point <fp>
    Then the display shows "Back to the tank"
    When the driver lifts nozzle 1 at fuelling point <fp>
    Then fuelling point <fp> is released for at most 20.00 L
    When 30.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 test of 20.00 L of "GAZOLE"
    And the ledger holds no sale
    And the host has 1 test of 20.00 L of "GAZOLE"
    And the host has booked no sale
    And 10.00 L remain of the DAY QUANTITY limit of customer "C1"
    And 5.00 L remain of the DAY QUANTITY limit of card "9990000000000017"
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario Outline: The prover's reading is typed in and the deviation shown
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 30.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 test of 20.00 L of "GAZOLE"
    When 4 s pass
    And the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    Then the driver is asked for "PROVER"
    When the driver answers "prover" with "<reading>"
    Then the display shows "<shown>"
    And the meter deviates by <deviation> ml in the journal

    Examples:
      | fp | reading | deviation | shown              |
      | 1  | 20040   | -40       | -40 ml -2.0/1000   |
      | 1  | 19990   | 10        | +10 ml +0.5/1000   |
      | 2  | 20000   | 0         | 0 ml 0.0/1000      |
      | 2  | 19871   | 129       | +129 ml +6.5/1000  |

  Scenario: A reading that cannot be is asked for again, and one may say that nobody has read it
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 test of 20.00 L of "GAZOLE"
    When 4 s pass
    And the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver answers "prover" with "2004"
    Then the display shows "Not accepted, again"
    And the driver is asked for "PROVER"
    When the driver answers "prover" with "0"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 1
    And the driver lifts nozzle 2 at fuelling point 1
    Then fuelling point 1 is released for at most 20.00 L

  Scenario: The technician chooses another volume, and may hang up before it
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver wishes 5.00 L
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 2 at fuelling point 1
    Then fuelling point 1 is released for at most 5.00 L
    When 3.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 test of 3.00 L of "SP95"
    And the three books agree

  Scenario: A test needs no host, counts in no exposure, and is told when the host is back
    Given the host is unreachable
    And the terminal policy
      | setting              | value  |
      | exposure terminal ml | 6.00 L |
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 test of 20.00 L of "GAZOLE"
    When the power is cut
    And the power returns
    And 4 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 6.00 L
    When the driver hangs up at fuelling point 1
    And the host becomes reachable
    Then the host has 1 test of 20.00 L of "GAZOLE"
    And the host has booked no sale
    And the three books agree

  Scenario: The line is lost in the middle of a test, and the terminal's power, and the books still agree
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 5.00 L flow at fuelling point 1
    And the line of fuelling point 1 is cut
    And the power is cut
    And 5.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the power returns
    And the line of fuelling point 1 is restored
    Then the ledger holds 1 test of 10.00 L of "GAZOLE"
    And the ledger holds no sale
    And the three books agree

  Scenario: A technician's PIN is asked for like anybody's
    When the driver swipes card "9990000000000025"
    And the driver enters PIN "1111"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "2468"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A technician's card without a PIN tests nothing, and no wish goes beyond the most of one test
    When the driver swipes card "9990000000000041"
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"
    When the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver wishes 900.00 L
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 200.00 L

  Scenario: A technician's card that nobody knows, or that is blocked, tests nothing
    When the driver swipes card "9990000000000033"
    Then the driver is refused with "CARD_UNKNOWN"
    When the host blocks card "9990000000000017"
    And the driver swipes card "9990000000000017"
    Then the driver is refused with "CARD_BLOCKED"
    And the ledger holds no test

  Scenario: A closed fuelling point is tested all the same
    When the host closes fuelling point 1
    And 2 s pass
    And the driver swipes card "9990000000000017"
    And the driver enters PIN "1357"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 20.00 L
