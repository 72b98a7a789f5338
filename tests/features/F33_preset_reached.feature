Feature: F33 The preset ends the fuelling and is posted in full

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
    And the limits
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 20.00 L |

  Scenario: The pump stops at the preset and nothing is left
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 30.00 L flow at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And 0.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"

  Scenario: What is left is less than the pump can measure well, so nothing is released
    Given the limits
      | subject             | period | measure  | amount |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 1.90 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the host holds no open authorization

  Scenario: The smallest quantity is the fuelling point's own
    Given the fuelling points
      | fp | protocol | nozzle | product | price | minimum |
      | 1  | dart     | 1      | GAZOLE  | 1.729 | 5.00 L  |
      | 3  | azt      | 1      | GAZOLE  | 1.729 | 1.00 L  |
    And the limits
      | subject             | period | measure  | amount |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 4.90 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    When 8 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 3
    And the driver lifts nozzle 1 at fuelling point 3
    Then fuelling point 3 is released for at most 4.90 L

  Scenario Outline: A head that reckons wrongly is read again, then told of, and the sale is volume at price
    Given the fuelling points
      | fp | protocol | nozzle | product | price |
      | 3  | azt      | 1      | GAZOLE  | 1.729 |
    When the head of fuelling point <fp> reckons wrong amounts
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 12.50 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the fault "PUMP_RECORD_MISMATCH" is raised
    When the manager acknowledges the fault "PUMP_RECORD_MISMATCH"
    Then the fault "PUMP_RECORD_MISMATCH" is cleared
    And the three books agree

    Examples:
      | fp |
      | 2  |
      | 3  |
