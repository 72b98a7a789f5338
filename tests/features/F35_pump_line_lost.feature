Feature: F35 The line to the pump is lost while fuel flows

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
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |

  Scenario: The sale is completed from the pump's own record
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    And 80.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the line of fuelling point 2 is restored
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the fault "PUMP_LINE_LOST" is cleared
    And 87.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: The line comes back while fuel still flows
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the line of fuelling point 2 is restored
    Then the fault "PUMP_LINE_LOST" is cleared
    When 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  @virtual
  Scenario: No time ends the hold, only the pump does
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the line of fuelling point 2 is cut
    And the driver hangs up at fuelling point 2
    And 5 h pass
    Then 80.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the ledger holds no sale
    When the line of fuelling point 2 is restored
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"

  Scenario: A pump without its line is not offered, and is again when it answers
    When the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    When the line of fuelling point 2 is restored
    Then the fault "PUMP_LINE_LOST" is cleared
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L

  Scenario: The line and the power are lost together
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the line of fuelling point 2 is cut
    And the power is cut
    And the driver hangs up at fuelling point 2
    And the power returns
    Then the ledger holds no sale
    And 80.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When the line of fuelling point 2 is restored
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree
