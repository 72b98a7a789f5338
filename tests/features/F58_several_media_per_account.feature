Feature: F58 A replaced badge keeps the account's limits, use and PIN tries

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | account | medium | customer | pin  |
      | 04A1B2C3D4E5F6 | A1      | badge  | C1       |      |
      | 04B1B2C3D4E5F6 | A1      | badge  | C1       |      |
      | 04A2B2C3D4E5F6 | A2      | badge  | C1       | 4711 |
      | 04B2B2C3D4E5F6 | A2      | badge  | C1       | 4711 |
    And the limits
      | subject | period | measure  | amount   |
      | card A1 | DAY    | QUANTITY | 100.00 L |

  Scenario: The new badge gets what the old one left
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 62.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 62.50 L of "GAZOLE" for 108.06 EUR by card "A1"
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 37.50 L

  Scenario: The old badge is denied, the new one is not
    When the host blocks card "04A1B2C3D4E5F6"
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L

  Scenario: Both badges at once are one card in use
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "CARD_IN_USE"
    And 80.00 L remain of the DAY QUANTITY limit of card "A1"

  Scenario: Wrong PINs count together
    When the driver presents badge "04A2B2C3D4E5F6"
    And the driver enters PIN "0000"
    Then the driver is refused with "PIN_WRONG"
    When the driver enters PIN "1111"
    Then the driver is refused with "PIN_WRONG"
    When the driver presents badge "04B2B2C3D4E5F6"
    And the driver enters PIN "2222"
    And 10 s pass
    And the driver presents badge "04B2B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the driver is refused with "PIN_LOCKED"
    When the driver presents badge "04A2B2C3D4E5F6"
    And the driver enters PIN "4711"
    Then the driver is refused with "PIN_LOCKED"
