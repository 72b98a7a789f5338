Feature: F68 For every block the host can prove since when it counted at this terminal

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
    And the cards
      | number         | medium | customer | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | ALLOWED |
      | 04B1B2C3D4E5F6 | badge  | C1       | ALLOWED |

  Scenario: A sale before the block is the customer's, and after it there is none
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When the host blocks card "04A1B2C3D4E5F6"
    Then the host knows since when the block counts at the terminal
    And the last sale was decided before that block counted
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    And the host has booked 1 sale

  Scenario: A block that the terminal could not hear of does not count until it does
    Given the host is unreachable
    When the host blocks card "04A1B2C3D4E5F6"
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the host knows since when the block counts at the terminal
    And the last sale was decided before that block counted
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: The proof survives a power cut between block and acknowledgement
    When the host blocks card "04A1B2C3D4E5F6"
    And the power is cut
    And the power returns
    Then the host knows since when the block counts at the terminal
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: Another card's sale after the block names its own lists
    When the host blocks card "04A1B2C3D4E5F6"
    Then the host knows since when the block counts at the terminal
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    And the last sale was decided after that block counted
