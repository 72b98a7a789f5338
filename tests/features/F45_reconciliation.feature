Feature: F45 The host's books and the terminal's are compared, batch by batch

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the terminal policy
      | setting     | value |
      | batch_sales | 2     |
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

  Scenario: Two sales are a batch, and the books agree over it
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
    Then the host agrees with batch 1
    And batch 1 sums 2 sales
    And the three books agree

  Scenario: An empty sale counts for its batch and is in no sum
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver presses cancel
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the host agrees with batch 1
    And batch 1 sums 1 sale

  Scenario: The host lost a record that it had acknowledged, and gets it again
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host loses its record of 1 sale
    Then the host has booked 0 sales
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the host agrees with batch 1
    And the host has booked 2 sales
    And the fault "BATCH_UNBALANCED" is cleared
    And the three books agree

  Scenario: A sale that was decided offline is mended like any other, also after a power cut
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host becomes reachable
    And the host loses its record of 1 sale
    And the power is cut
    And the power returns
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the host agrees with batch 1
    And batch 1 sums 2 sales
    And the host has booked 2 sales
    And the three books agree

  Scenario: What cannot be mended is a fault, and the next batch goes on
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host has 12.00 L in its record of the last sale
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the host disagrees with batch 1
    And the fault "BATCH_UNBALANCED" is raised
    And the host has booked 2 sales
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 6.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the host agrees with batch 2
    And the fault "BATCH_UNBALANCED" is cleared
    And the host has booked 4 sales

  Scenario: Batches are closed while the host is away, and a restart in between changes no sum
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
    When the power is cut
    And the power returns
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 8.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 4 sales
    When the host becomes reachable
    Then the host agrees with batch 1
    And the host agrees with batch 2
    And batch 2 sums 2 sales
    And the host has booked 4 sales
    And the three books agree

  @virtual
  Scenario: Midnight closes a batch that is not full
    Given the local time is "2026-03-28 23:50:00"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When 12 min pass
    Then the host agrees with batch 1
    And batch 1 sums 1 sale

  @virtual
  Scenario: A terminal without power at midnight closes the batch when it is back
    Given the local time is "2026-03-28 23:50:00"
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When the power is cut
    And 30 min pass
    And the power returns
    Then the host agrees with batch 1
    And batch 1 sums 1 sale
