Feature: F43 Every sale reaches the host once, whatever the line does

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | SP95    | 1.859 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C1       |

  Scenario: Two sales wait for the line, also across a power cut
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 2 sales
    When the power is cut
    And the power returns
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04B1B2C3D4E5F6"
    And the host has booked 0 sales
    When the host becomes reachable
    Then the host has booked 2 sales
    And the three books agree

  Scenario: The host books and the line swallows its answers
    Given the host answers only after booking, losing the answer
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    When 20 s pass
    And the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  Scenario: The line breaks between release and end
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the host becomes unreachable
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the host holds no open authorization
    And the three books agree

  Scenario: A host full of errors loses nothing
    Given the host answers every call with 500
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale
    When 20 s pass
    Then the host has booked 0 sales
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  @virtual
  Scenario: Three days without a line
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And 72 h pass
    Then the ledger holds 1 sale
    When the host becomes reachable
    And 10 min pass
    Then the host has booked 1 sale
    And the three books agree

  Scenario: What waited for the line arrives in one call
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 7.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 3 sales
    When the host becomes reachable
    Then the host has booked 3 sales
    And the advices came in 1 call
    And the three books agree

  Scenario: A call with several sales is booked, its answer is lost, and it comes again
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 2 sales
    When the host begins to lose its answers after booking
    And 20 s pass
    And the power is cut
    And the power returns
    And the host becomes reachable
    Then the host has booked 2 sales
    And the three books agree
