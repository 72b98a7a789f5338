Feature: F34 A stop is a stop: of one fuelling point, of the whole site, and a person ends it

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | SP95    | 1.859 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 3  | azt      | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
      | C2       |
    And the cards
      | number         | medium | customer | language |
      | 04A1B2C3D4E5F6 | badge  | C1       | de       |
      | 04B1B2C3D4E5F6 | badge  | C2       | fr       |

  Scenario Outline: The stop key of a pump ends its fuelling, what flowed is sold, and nothing is released again
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 5.00 L flow at fuelling point <fp>
    And the stop of fuelling point <fp> is pressed
    Then fuelling point <fp> is not released
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    When the driver hangs up at fuelling point <fp>
    And 2 s pass
    And the driver lifts nozzle 1 at fuelling point <fp>
    Then fuelling point <fp> is not released
    And the three books agree

    Examples:
      | fp |
      | 2  |
      | 3  |

  Scenario: The stop of one pump leaves its neighbour alone
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 5.00 L flow at fuelling point 1
    And the stop of fuelling point 2 is pressed
    And 5.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04B1B2C3D4E5F6"
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario Outline: A fuelling is stopped by the manager or the host, and the journal knows who
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 5.00 L flow at fuelling point <fp>
    And the <who> stops fuelling point <fp>
    Then fuelling point <fp> is not released
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the journal names "<name>" for "stop_point"
    When the driver hangs up at fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    Then fuelling point <fp> is not released
    And the host has booked 1 sale
    And the three books agree

    Examples:
      | fp | who     | name     |
      | 2  | manager | manager  |
      | 2  | host    | operator |
      | 3  | manager | manager  |
      | 3  | host    | operator |

  Scenario: A stop before the nozzle is lifted takes the release back and frees the hold
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the manager stops fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the ledger holds no sale
    And the host holds no open authorization

  Scenario: The emergency stop is one fault of the site, ends every fuelling and is told in each language
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 3
    And the driver lifts nozzle 1 at fuelling point 3
    And 10.00 L flow at fuelling point 3
    And the emergency stop of the site is pressed
    Then the fault "EMERGENCY_STOP" is raised
    And the fault "EMERGENCY_STOP" is there once
    And fuelling point 2 is not released
    And fuelling point 3 is not released
    And the display shows "ARRÊT D'URGENCE"
    And the display shows "EMERGENCY STOP"
    And the display shows "NOT-HALT"
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04B1B2C3D4E5F6"
    And the host hears "EMERGENCY_STOP" from the terminal
    And the host holds no open authorization
    When the driver hangs up at fuelling point 2
    And the driver hangs up at fuelling point 3
    Then the three books agree

  Scenario: Nothing is released before a person has reset it, then everything is
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the emergency stop of the site is pressed
    Then the fault "EMERGENCY_STOP" is raised
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the host holds no open authorization
    When the driver hangs up at fuelling point 2
    And the emergency stop button is pulled out
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "TERMINAL_NOT_READY"
    When the emergency stop of the site is reset
    Then the fault "EMERGENCY_STOP" is cleared
    And the journal names "manager" for "reset_emergency_stop"
    When 5 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L
    When 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE"
    And the three books agree

  Scenario: The emergency stop is remembered over a restart
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the emergency stop of the site is pressed
    Then the fault "EMERGENCY_STOP" is raised
    When the power is cut
    And the emergency stop button is pulled out
    And the power returns
    Then the fault "EMERGENCY_STOP" is raised
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "TERMINAL_NOT_READY"
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    When the driver hangs up at fuelling point 2
    And the emergency stop of the site is reset
    Then the fault "EMERGENCY_STOP" is cleared
    And the three books agree

  Scenario: The emergency stop while the terminal is dark is known when it comes back
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the power is cut
    And the emergency stop of the site is pressed
    And the power returns
    Then the fault "EMERGENCY_STOP" is raised
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"

  Scenario: Who has not pulled the button out cannot reset the emergency stop
    Given the emergency stop is wired to an input of the terminal
    When the emergency stop of the site is pressed
    Then the fault "EMERGENCY_STOP" is raised
    And the manager may not reset the emergency stop
    And the fault "EMERGENCY_STOP" is raised
    When the emergency stop of the site is reset
    Then the fault "EMERGENCY_STOP" is cleared

  Scenario: The host does not reset the emergency stop from afar
    When the emergency stop of the site is pressed
    Then the fault "EMERGENCY_STOP" is raised
    When the host resets the emergency stop
    Then the terminal refuses the host's last order
    And the fault "EMERGENCY_STOP" is raised

  Scenario: Where the operator wants it so, the host may reset it
    Given the terminal policy
      | setting                    | value |
      | host resets emergency stop | yes   |
    When the emergency stop of the site is pressed
    Then the fault "EMERGENCY_STOP" is raised
    When 2 s pass
    And the emergency stop button is pulled out
    And the host resets the emergency stop
    Then the terminal has obeyed the host's last order
    And the fault "EMERGENCY_STOP" is cleared
    And the journal names "operator" for "reset_emergency_stop"

  Scenario: The line is lost with the emergency stop, and the sale is completed behind it
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the line of fuelling point 2 is cut
    And the emergency stop of the site is pressed
    Then the fault "PUMP_LINE_LOST" is raised
    And the ledger holds no sale
    When the driver hangs up at fuelling point 2
    And the line of fuelling point 2 is restored
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario Outline: A warning about something past ends when somebody says that he has seen it
    When the power is cut
    And 5.00 L leave nozzle 1 of fuelling point <fp> without a release
    And the power returns
    Then a delivery of 5.00 L is unattributed at fuelling point <fp>
    And the fault "UNATTRIBUTED_DELIVERY" is raised
    When the power is cut
    And the power returns
    Then the fault "UNATTRIBUTED_DELIVERY" is raised
    When the <who> acknowledges the fault "UNATTRIBUTED_DELIVERY"
    Then the fault "UNATTRIBUTED_DELIVERY" is cleared
    And the journal names "<name>" for "acknowledge_fault"
    And the host hears no "UNATTRIBUTED_DELIVERY" from the terminal
    When the power is cut
    And the power returns
    Then the fault "UNATTRIBUTED_DELIVERY" is cleared
    And the three books agree

    Examples:
      | fp | who     | name     |
      | 2  | manager | manager  |
      | 3  | host    | operator |

  Scenario: A fault of the present is not talked away
    When the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    And the manager may not acknowledge the fault "PUMP_LINE_LOST"
    And the fault "PUMP_LINE_LOST" is raised

  Scenario: An alarm of a head is a fault of its fuelling point and ends with the next fuelling in order
    When the head of fuelling point 2 reports the alarm "vapour recovery error"
    Then the fault "PUMP_ALARM" is raised
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE"
    And the fault "PUMP_ALARM" is cleared
