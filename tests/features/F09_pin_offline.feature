Feature: F09 The terminal checks the PIN itself

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | pin  |
      | 04A1B2C3D4E5F6 | badge  | C1       | 4711 |
      | 04B1B2C3D4E5F6 | badge  | C1       |      |

  Scenario: The right PIN opens the way, also when the host is away
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "PIN"
    When the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"

  Scenario: A card without a PIN is not asked for one
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A wrong PIN may be entered again
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A right PIN gives all tries back
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "1111"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "2222"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Three wrong PINs lock the card, the right one comes too late, and only the host unlocks it
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "1111"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "2222"
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the driver is refused with "PIN_LOCKED"
    When the host unlocks the PIN of card "04A1B2C3D4E5F6"
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A locked card says nothing of other cards
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    And the driver enters PIN "1111"
    And the driver enters PIN "2222"
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Pulling the plug gives no further try
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "1111"
    Then the driver is refused with "PIN_WRONG"
    When the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "2222"
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the driver is refused with "PIN_LOCKED"

  @virtual
  Scenario: Midnight and the host's return do not unlock
    Given the local time is "2026-03-10 23:58:00"
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    And the driver enters PIN "1111"
    And the driver enters PIN "2222"
    And 10 min pass
    And the host becomes reachable
    And 60 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the driver is refused with "PIN_LOCKED"

  Scenario: Many wrong PINs of many cards slow everybody down and lock nobody
    Given the cards
      | number         | medium | customer | pin  |
      | 04C1B2C3D4E5F6 | badge  | C1       | 4711 |
      | 04D1B2C3D4E5F6 | badge  | C1       | 4711 |
      | 04E1B2C3D4E5F6 | badge  | C1       | 4711 |
      | 04F1B2C3D4E5F6 | badge  | C1       | 4711 |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver enters PIN "0000"
    And the driver enters PIN "1111"
    And the driver enters PIN "2222"
    And the driver presents badge "04C1B2C3D4E5F6"
    And the driver enters PIN "0000"
    And the driver enters PIN "1111"
    And the driver enters PIN "2222"
    And the driver presents badge "04D1B2C3D4E5F6"
    And the driver enters PIN "0000"
    And the driver enters PIN "1111"
    And the driver enters PIN "2222"
    And the driver presents badge "04E1B2C3D4E5F6"
    And the driver enters PIN "0000"
    And the driver enters PIN "1111"
    Then the fault "PIN_GUESSING" is raised
    When the power is cut
    And the power returns
    And the driver presents badge "04F1B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the display shows "Un instant..."
    And the driver is asked for "FUELLING POINT"
