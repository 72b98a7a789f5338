Feature: F40 Pumps on an AZT 2.0 line, alone and beside a DART line

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | azt      | 1      | GAZOLE  | 1.729 |
      | 3  | azt      | 1      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
      | C2       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C2       |
    And the limits
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |

  Scenario Outline: A fuelling is the same on either line
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    Then fuelling point <fp> is released for at most 100.00 L
    When 12.50 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 12.50 L of "<product>" for <money> by card "04A1B2C3D4E5F6"
    And 87.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

    Examples:
      | fp | product | money     |
      | 1  | GAZOLE  | 21.61 EUR |
      | 2  | GAZOLE  | 21.61 EUR |
      | 3  | SP95    | 23.24 EUR |

  Scenario Outline: A preset of volume or money is kept to the pump's unit and ends the fuelling
    # 17.35 L at 1.729 are 30.00 EUR; 30.00 EUR buy 17.35 L
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes <wish>
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most <wish>
    When 40.00 L flow at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 17.35 L of "GAZOLE" for 30.00 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

    Examples:
      | wish      |
      | 17.35 L   |
      | 30.00 EUR |

  Scenario: After the preset the next driver is served
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 30.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    When 5 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04B1B2C3D4E5F6"
    And the three books agree

  Scenario: Drivers fuel at once on both lines and side by side on one
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 3
    And the driver lifts nozzle 1 at fuelling point 3
    And 10.00 L flow at fuelling point 3
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 3
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04B1B2C3D4E5F6"
    When 5 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 5.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the host has booked 3 sales
    And the three books agree

  Scenario: The nozzle is not lifted in time
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And 90 s pass
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the ledger holds no sale

  Scenario: The nozzle is lifted and hung up again
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When the driver hangs up at fuelling point 2
    Then 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the ledger holds no sale
    And the host holds no open authorization
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A nozzle lifted without a card is not released
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the ledger holds no sale

  @virtual
  Scenario: The nozzle is lifted and nothing flows
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When 180 s pass
    Then fuelling point 2 is not released
    And 100.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    And the ledger holds no sale

  Scenario: The line is lost while fuel flows and the pump's own record completes the sale
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

  Scenario: One pump lost leaves its neighbour on the line alone
    When the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 3
    And the driver lifts nozzle 1 at fuelling point 3
    And 12.50 L flow at fuelling point 3
    And the driver hangs up at fuelling point 3
    Then the ledger holds 1 sale of 12.50 L of "SP95" for 23.24 EUR by card "04B1B2C3D4E5F6"
    And the three books agree

  Scenario: The driver hangs up while the terminal is dark
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the power returns
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the host holds no open authorization
    And the three books agree

  Scenario: The terminal is back before the driver hangs up
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And the power returns
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: The power goes just as he hangs up, the host is away, and twice
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the power is cut
    And the power returns
    And the power is cut
    And the power returns
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  Scenario: Noise on the line while fuel flows spoils nothing
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And noise is on the line of fuelling point 2
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: Noise while the pump is told to release releases it once and rightly
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And noise is on the line of fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 20.00 L
    When 30.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: The stop of the pump ends the fuelling and what flowed is sold
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the stop of fuelling point 2 is pressed
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: A nozzle that is up before the badge comes is released once all is known
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: What flows is seen while it flows, and a dribble has its end
    Given the terminal policy
      | setting          | value |
      | longest fuelling | 30 s  |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    Then the terminal sees 5.00 L for 8.65 EUR at fuelling point 2
    When 10 s pass
    And 1.00 L flow at fuelling point 2
    And 20 s pass
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 6.00 L of "GAZOLE" for 10.37 EUR by card "04A1B2C3D4E5F6"
    And the three books agree
