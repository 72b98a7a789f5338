Feature: F57 What cannot be written down is not released, and what was is never lost

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
      | 04A1B2C3D4E5F7 | badge  | C1       |

  Scenario: A full disk refuses the driver before fuel, and serves again when there is room
    When the disk is full
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "TERMINAL_NOT_READY"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    And the disk has room
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    And the three books agree

  Scenario: The disk fills while fuel flows and the sale waits in the pump
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the disk is full
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And 5 s pass
    And the disk has room
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: The disk stays full: what runs is recorded in the ballast's place, and nothing new is released
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the disk is full
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "TERMINAL_NOT_READY"
    When the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "TERMINAL_NOT_READY"
    When the disk has room
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 3.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 3.00 L of "GAZOLE" for 5.19 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 2 sales
    And the three books agree

  Scenario: What fills the disk goes on, and the room for what runs is given to nobody else
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the disk is full
    And the driver presents badge "04A1B2C3D4E5F7"
    Then the driver is refused with "TERMINAL_NOT_READY"
    When the disk is full
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: The disk fills and the power goes
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the disk is full
    And the driver hangs up at fuelling point 2
    And the power is cut
    And the disk has room
    And the power returns
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: A power cut right after the sale loses nothing
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the power is cut
    And the power returns
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the host becomes reachable
    Then the host has booked 1 sale
    And the three books agree

  Scenario: A bit that flips in the ledger is found at the start and mended, and the host's people are told
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    When the power is cut
    And a bit of the last sale flips in the ledger
    And the power returns
    And 5 s pass
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host hears "LEDGER_RESTORED" from the terminal
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 3.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 2 sales
    And the three books agree
    When the host confirms the ledger
    And 5 s pass
    Then the fault "LEDGER_RESTORED" is cleared

  Scenario: An older copy of the ledger shows at the host, and nothing is decided without it until its people agree
    When the power is cut
    And somebody copies the ledger
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When 2 min pass
    And the power is cut
    And somebody puts the copy of the ledger back
    And the power returns
    And 2 min pass
    Then the host hears "STORAGE_DAMAGED" from the terminal
    When the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "EXPOSURE_REACHED"
    And fuelling point 2 is not released
    When the host becomes reachable
    And the host confirms the ledger
    And 5 s pass
    Then the fault "STORAGE_DAMAGED" is cleared
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 3.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 3.00 L of "GAZOLE" for 5.19 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 2 sales

  Scenario: Sales that the disk lost come back from the host
    When the power is cut
    And somebody copies the ledger
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When 2 min pass
    And the power is cut
    And somebody puts the copy of the ledger back
    And the power returns
    Then the host hears "STORAGE_DAMAGED" from the terminal
    And the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree
    When the power is cut
    And the power returns
    And the host confirms the ledger
    And 5 s pass
    Then the fault "STORAGE_DAMAGED" is cleared
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 3.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 1 sale of 3.00 L of "GAZOLE" for 5.19 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 2 sales
    And the three books agree
