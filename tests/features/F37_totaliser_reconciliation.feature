Feature: F37 The totalisers are the witness: what no sale explains becomes an entry of its own

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 1  | dart     | 2      | SP95    | 1.859 |
      | 2  | azt      | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |

  Scenario Outline: Fuel that leaves between two sales is nobody's, and both sales are right
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale
    When 5.00 L leave nozzle 1 of fuelling point <fp> without a release
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 12.50 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And a delivery of 5.00 L is unattributed at fuelling point <fp>
    And the fault "UNATTRIBUTED_DELIVERY" is raised
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario Outline: Fuel that leaves while the terminal is dark is found at its start
    When the power is cut
    And 7.50 L leave nozzle <nozzle> of fuelling point <fp> without a release
    And the power returns
    Then a delivery of 7.50 L is unattributed at fuelling point <fp>
    And the fault "UNATTRIBUTED_DELIVERY" is raised
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 5.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

    Examples:
      | fp | nozzle |
      | 1  | 1      |
      | 1  | 2      |
      | 2  | 1      |

  Scenario Outline: Fuel that leaves behind a cut line is found when the pump answers again
    When the line of fuelling point <fp> is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When 3.00 L leave nozzle 1 of fuelling point <fp> without a release
    And the line of fuelling point <fp> is restored
    Then the fault "PUMP_LINE_LOST" is cleared
    And a delivery of 3.00 L is unattributed at fuelling point <fp>
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario Outline: Two equal fuellings one behind the other are two sales
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the power is cut
    And the driver hangs up at fuelling point <fp>
    And the power returns
    Then the ledger holds 2 sales of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 2 sales
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario Outline: Another head has another totaliser: it is written down, told of, and acknowledged
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale
    When the line of fuelling point <fp> is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the head of fuelling point <fp> is exchanged
    And the line of fuelling point <fp> is restored
    Then the fault "PUMP_TOTALISER_WENT_BACK" is raised
    When the manager acknowledges the fault "PUMP_TOTALISER_WENT_BACK"
    Then the fault "PUMP_TOTALISER_WENT_BACK" is cleared
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 12.50 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 2 sales

    Examples:
      | fp |
      | 1  |
      | 2  |
