Feature: F25 Prepaid balances and credit ceilings

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the host is unreachable
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
      | C2       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C2       |

  Scenario: A prepaid balance is the most that flows, and then it is empty
    Given the balances
      | subject     | kind    | measure | amount    |
      | customer C1 | prepaid | VALUE   | 34.58 EUR |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 34.58 EUR
    When 30.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "BALANCE_EMPTY"

  Scenario: A customer on account never reads that a balance is empty
    Given the balances
      | subject     | kind    | measure | amount   |
      | customer C2 | ceiling | VALUE   | 2.00 EUR |
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CREDIT_CEILING"

  Scenario Outline: Litres of one product are no litres of another
    Given the balances
      | subject             | kind    | measure  | amount  | products |
      | card 04A1B2C3D4E5F6 | prepaid | QUANTITY | 25.00 L | GAZOLE   |
      | card 04A1B2C3D4E5F6 | prepaid | QUANTITY | 0.00 L  | SP95     |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle <nozzle> at fuelling point 2
    Then fuelling point 2 is <released>

    Examples:
      | nozzle | released                     |
      | 1      | released for at most 25.00 L |
      | 2      | not released                 |
