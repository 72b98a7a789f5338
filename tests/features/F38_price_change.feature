Feature: F38 The host changes a price, and head, terminal and receipt have the same one or nothing is released

  The host says which price, from when on, and under which version. The terminal writes it down before anything happens, puts it in force
  between two sales, tells each head when nothing flows there and every fill is read, and reads back what the head then shows.

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the local time is "2026-03-28 23:50:00"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 1  | dart     | 2      | SP95    | 1.859 |
      | 2  | azt      | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
      | 04B1B2C3D4E5F6 | badge  | C1       | de       | ALLOWED |
      | 04C1B2C3D4E5F6 | badge  | C1       | en       | ALLOWED |

  Scenario Outline: A price is in force at once, at the head, on the receipt and in what the host hears
    When the host changes the price of "GAZOLE" to 1.799
    Then the terminal has made the last price change
    And the head of fuelling point <fp> shows 1.799 for nozzle 1
    And the host hears that "GAZOLE" costs 1.799 at fuelling point <fp>
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.99 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario: What costs another price is another product's business
    When the host changes the price of "GAZOLE" to 1.799
    Then the head of fuelling point 1 shows 1.799 for nozzle 1
    And the head of fuelling point 1 shows 1.859 for nozzle 2
    And the host hears that "SP95" costs 1.859 at fuelling point 1
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 2 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04A1B2C3D4E5F6"

  Scenario: One fuelling point may have a price of its own
    When the host changes the price of "GAZOLE" at fuelling point 2 to 1.699
    Then the terminal has made the last price change
    And the head of fuelling point 2 shows 1.699 for nozzle 1
    And the head of fuelling point 1 shows 1.729 for nozzle 1
    And the host hears that "GAZOLE" costs 1.729 at fuelling point 1

  Scenario Outline: While fuel flows and while a driver walks to the pump its price stays, and the next one pays the new one
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the host changes the price of "GAZOLE" to 1.799
    Then the head of fuelling point <other> shows 1.799 for nozzle 1
    And the head of fuelling point <fp> shows 1.729 for nozzle 1
    And the last price change is not in force
    When the driver lifts nozzle 1 at fuelling point <fp>
    And 5.00 L flow at fuelling point <fp>
    Then the head of fuelling point <fp> shows 1.729 for nozzle 1
    When 5.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And the head of fuelling point <fp> shows 1.799 for nozzle 1
    And the terminal has made the last price change
    When 2 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.99 EUR by card "04B1B2C3D4E5F6"
    And the host has booked 2 sales
    And the three books agree

    Examples:
      | fp | other |
      | 1  | 2     |
      | 2  | 1     |

  Scenario: A price begins when the host says
    When the host changes the price of "GAZOLE" to 1.799 from "2026-03-28 23:50:40"
    Then the last price change is not in force
    And the head of fuelling point 1 shows 1.729 for nozzle 1
    When 60 s pass
    Then the terminal has made the last price change
    And the head of fuelling point 1 shows 1.799 for nozzle 1
    And the head of fuelling point 2 shows 1.799 for nozzle 1

  Scenario: A price that begins while the terminal is dark is in force when it is back
    When the host changes the price of "GAZOLE" to 1.799 from "2026-03-28 23:50:40"
    And the power is cut
    And 60 s pass
    And the power returns
    Then the head of fuelling point 1 shows 1.799 for nozzle 1
    And the head of fuelling point 2 shows 1.799 for nozzle 1
    And the terminal has made the last price change

  Scenario Outline: The power goes with the change, and head and terminal have one price again
    When the host changes the price of "GAZOLE" to 1.799
    And the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 10.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.99 EUR by card "04A1B2C3D4E5F6"
    And the host hears that "GAZOLE" costs 1.799 at fuelling point <fp>
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario Outline: A fuelling that the terminal was dark for is read before its head hears of another price
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    And 5.00 L flow at fuelling point <fp>
    And the power is cut
    And 5.00 L flow at fuelling point <fp>
    And the driver hangs up at fuelling point <fp>
    And the host changes the price of "GAZOLE" to 1.799
    And the power returns
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And the head of fuelling point <fp> shows 1.799 for nozzle 1
    And the three books agree

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario Outline: A pump whose line is lost hears of the price when it is back
    When the line of fuelling point <fp> is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the host changes the price of "GAZOLE" to 1.799
    Then the head of fuelling point <other> shows 1.799 for nozzle 1
    And the head of fuelling point <fp> shows 1.729 for nozzle 1
    When the line of fuelling point <fp> is restored
    Then the fault "PUMP_LINE_LOST" is cleared
    And the head of fuelling point <fp> shows 1.799 for nozzle 1

    Examples:
      | fp | other |
      | 1  | 2     |
      | 2  | 1     |

  Scenario Outline: A head that goes on showing its own price releases nothing, and its driver is told in his language
    When the head of fuelling point <fp> keeps its prices
    And the price of nozzle 1 is set to 1.500 at the head of fuelling point <fp>
    And the driver presents badge "<badge>"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    Then the fault "PRICE_MISMATCH" is raised
    And the display shows "<text>"
    And fuelling point <fp> is not released
    And the host hears "PRICE_MISMATCH" from the terminal
    When the driver hangs up at fuelling point <fp>
    And the head of fuelling point <fp> takes prices again
    Then the fault "PRICE_MISMATCH" is cleared
    And the head of fuelling point <fp> shows 1.729 for nozzle 1
    And the ledger holds no sale

    Examples:
      | fp | badge          | text                |
      | 1  | 04A1B2C3D4E5F6 | le prix est corrigé |
      | 1  | 04B1B2C3D4E5F6 | Preis wird geändert |
      | 1  | 04C1B2C3D4E5F6 | its price is being  |

  Scenario Outline: A head that does not take a new price is not armed until it does
    When the head of fuelling point <fp> keeps its prices
    And the host changes the price of "GAZOLE" to 1.799
    Then the fault "PRICE_MISMATCH" is raised
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point <fp>
    And the driver lifts nozzle 1 at fuelling point <fp>
    Then fuelling point <fp> is not released
    And the ledger holds no sale
    When the driver hangs up at fuelling point <fp>
    And the head of fuelling point <fp> takes prices again
    Then the fault "PRICE_MISMATCH" is cleared
    And the head of fuelling point <fp> shows 1.799 for nozzle 1

    Examples:
      | fp |
      | 1  |
      | 2  |

  Scenario: A price that somebody changed at a DART head is told with the lift, and put right before anything is released
    When the price of nozzle 1 is set to 1.500 at the head of fuelling point 1
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the head of fuelling point 1 shows 1.729 for nozzle 1
    And the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"

  @steady
  Scenario: A price that somebody changed at an AZT head moves its transaction number, so nothing is released before it is put right
    When the price of nozzle 1 is set to 1.500 at the head of fuelling point 2
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    Then the ledger holds no sale
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the head of fuelling point 2 shows 1.729 for nozzle 1
    And the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04B1B2C3D4E5F6"
    And the three books agree

  Scenario Outline: What cannot be is refused, and the old price stays
    When the host wrongly changes the price of "<product>" to <price>
    Then the terminal refuses the last price change with "<why>"
    And the head of fuelling point 1 shows 1.729 for nozzle 1
    And the head of fuelling point 2 shows 1.729 for nozzle 1
    And the host hears that "GAZOLE" costs 1.729 at fuelling point 1

    Examples:
      | product | price    | why              |
      | GAZOLE  | 0.000    | above 0          |
      | GAZOLE  | 17.990   | not confirmed    |
      | GAZOLE  | 0.172    | not confirmed    |
      | GAZOLE  | 1.7995   | digits           |
      | KEROSIN | 1.799    | not sold there   |

  Scenario: A jump that somebody has looked at is a price like any other
    When the host changes the price of "GAZOLE" to 2.799 and confirms the jump
    Then the terminal has made the last price change
    And the head of fuelling point 1 shows 2.799 for nozzle 1

  Scenario: An earlier version never comes back
    When the host changes the price of "GAZOLE" to 1.799 under version 5
    And the host changes the price of "GAZOLE" to 1.759 under version 4
    Then the terminal refuses the last price change with "not above 5"
    And the head of fuelling point 1 shows 1.799 for nozzle 1
    When the host changes the price of "GAZOLE" to 1.799 under version 5
    Then the terminal has made the last price change
    And the head of fuelling point 1 shows 1.799 for nozzle 1

  Scenario: Said while the line to the host was down, it is heard when it is back
    When the host becomes unreachable
    And the host changes the price of "GAZOLE" to 1.799
    Then the head of fuelling point 1 shows 1.729 for nozzle 1
    When the host becomes reachable
    Then the head of fuelling point 1 shows 1.799 for nozzle 1
    And the terminal has made the last price change
