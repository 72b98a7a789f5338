Feature: F64 Before a station opens, somebody walks from head to head and a report says what he found

  The terminal is off, because the walk needs its lines. Each nozzle is lifted, its price read off the dispenser, five litres delivered into a
  measuring can and read off, the totaliser compared; at the end the emergency stop is pressed. What is left out is not OK.

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
      | number         | medium | customer | language | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |

  Scenario: Everything is as configured
    When the power is cut
    And the technician walks the fuelling points
    Then the commissioning report says "OK"
    And the step "fp 1 nozzle 2 lift" is ok
    And the step "fp 1 nozzle 2 amount" is ok
    And the step "fp 2 nozzle 1 total" is ok
    And the step "fp 2 emergency stop" is ok
    And the head of fuelling point 2 shows 1.729 for nozzle 1

  Scenario: Two nozzles are mixed up
    When the power is cut
    And the technician walks the fuelling points and answers "2" to "fp 1 nozzle 1 lift"
    Then the commissioning report says "FAILED"
    And the step "fp 1 nozzle 1 lift" is failed
    And the step "fp 1 nozzle 1 volume" is open
    And the step "fp 1 nozzle 2 total" is ok
    And the step "fp 2 nozzle 1 total" is ok

  Scenario Outline: What stands on the display is not what the terminal thinks
    When the power is cut
    And the technician walks the fuelling points and answers "<answer>" to "<step>"
    Then the commissioning report says "FAILED"
    And the step "<step>" is failed

    Examples:
      | step                 | answer |
      | fp 1 nozzle 1 price  | 17.29  |
      | fp 1 nozzle 2 volume | 50.00  |
      | fp 2 nozzle 1 amount | 0.86   |
      | fp 1 nozzle 2 volume | five   |
      | fp 2 emergency stop  | no     |

  Scenario: A step that is left out is not OK, and a second walk does only what is missing
    When the power is cut
    And the technician walks the fuelling points and answers "skip" to "fp 1 nozzle 2 price"
    Then the commissioning report says "INCOMPLETE"
    And the step "fp 1 nozzle 2 price" is skipped
    And the step "fp 1 nozzle 2 volume" is open
    When the technician walks the fuelling points
    Then the commissioning report says "OK"
    And the technician was asked 6 questions

  Scenario: A head without power is named, and the others are walked all the same
    When the power is cut
    And the line of fuelling point 2 is cut
    And the technician walks the fuelling points
    Then the commissioning report says "FAILED"
    And the step "fp 2 answers" is failed
    And the step "fp 1 nozzle 2 total" is ok

  Scenario: The fill of a driver is never touched: it is the terminal's to book
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And the power is cut
    And the driver hangs up at fuelling point 1
    And the technician walks the fuelling points
    Then the commissioning report says "FAILED"
    And the step "fp 1 answers" is failed
    When the power returns
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"

  Scenario: A price that a head does not take is found
    When the head of fuelling point 2 keeps its prices
    And the price of nozzle 1 is set to 1.500 at the head of fuelling point 2
    And the power is cut
    And the technician walks the fuelling points
    Then the commissioning report says "FAILED"
    And the step "fp 2 prices" is failed
