Feature: F46 The host knows how its terminal is, soon after something has changed and every minute

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |

  Scenario: A pump's line that is lost reaches the host, and its return too
    When the line of fuelling point 2 is cut
    Then the host hears "PUMP_LINE_LOST" from the terminal
    When the line of fuelling point 2 is restored
    Then the host hears no "PUMP_LINE_LOST" from the terminal

  Scenario: Behind an outage the host hears what it missed
    When the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the host becomes reachable
    Then the host hears "PUMP_LINE_LOST" from the terminal
    And the host has booked 1 sale
    And the host hears that no messages wait

  Scenario: New lists are told as soon as they are in use
    When the host publishes the lists
    Then the host knows that its newest lists are in use

  Scenario: Lists that came during an outage are told behind it
    When the host becomes unreachable
    And the host publishes the lists
    And 10 s pass
    And the host becomes reachable
    Then the host knows that its newest lists are in use

  Scenario: A terminal that was without power tells its host at once how it is
    When the line of fuelling point 1 is cut
    And the power is cut
    And 60 s pass
    And the power returns
    Then the host hears "PUMP_LINE_LOST" from the terminal
    And the host knows that its newest lists are in use
