Feature: F10 The host checks the PIN

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
    And the card ranges
      | from | to   | lengths | luhn | pin    |
      | 7001 | 7002 | 16      | no   | online |
    And the cards
      | number           | medium | customer | pin  | pin check |
      | 7001000000000012 | badge  | C1       | 4711 | host      |
      | 7002000000000011 | badge  | C1       | 4711 | both      |

  Scenario: The right PIN is the host's to find right
    When the driver presents badge "7001000000000012"
    And the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "7001000000000012"
    And the three books agree

  Scenario: A wrong PIN may be entered again, and the right one is taken
    When the driver presents badge "7001000000000012"
    And the driver enters PIN "0000"
    And the driver chooses fuelling point 2
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "7001000000000012"
    And the host holds no open authorization

  Scenario: The host locks after three and unlocks again
    When the driver presents badge "7001000000000012"
    And the driver enters PIN "0000"
    And the driver chooses fuelling point 2
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "1111"
    And the driver chooses fuelling point 2
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "2222"
    And the driver chooses fuelling point 2
    Then the driver is refused with "PIN_LOCKED"
    When 7 s pass
    And the driver presents badge "7001000000000012"
    And the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    Then the driver is refused with "PIN_LOCKED"
    When the host unlocks the PIN of card "7001000000000012"
    And 7 s pass
    And the driver presents badge "7001000000000012"
    And the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: Nobody but the host can check it, and the host is away
    Given the host is unreachable
    When the driver presents badge "7001000000000012"
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"

  Scenario: A card with a verifier too goes on without the host
    Given the host is unreachable
    When the driver presents badge "7002000000000011"
    And the driver enters PIN "0000"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "7002000000000011"

  Scenario: A host that is asked and does not answer leaves a right PIN right
    Given the host answers after 12 s
    When the driver presents badge "7002000000000011"
    And the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And 9 s pass
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: A host that is asked and does not answer makes a PIN that nobody checked none
    Given the host answers after 12 s
    When the driver presents badge "7001000000000012"
    And the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"

  Scenario: No key is used twice, also when the power goes
    When the driver presents badge "7001000000000012"
    And the driver enters PIN "0000"
    And the driver chooses fuelling point 2
    Then the driver is refused with "PIN_WRONG"
    When the power is cut
    And the power returns
    And the driver presents badge "7001000000000012"
    And the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L
