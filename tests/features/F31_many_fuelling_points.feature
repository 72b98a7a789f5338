Feature: F31 The next driver starts while others fuel

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | SP95    | 1.859 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
      | C2       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C2       |

  Scenario: Two drivers fuel side by side and each gets his own sale
    # 10 L of SP95 at 1.859 are 18.59 EUR, 12.50 L of GAZOLE 21.61 EUR
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 10.00 L flow at fuelling point 1
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 1
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04B1B2C3D4E5F6"
    And the host has booked 2 sales
    And the three books agree

  Scenario: A pump that waits for its driver is nobody else's
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    When the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 0 sales by card "04B1B2C3D4E5F6"

  Scenario: A refused driver at the terminal does not disturb the one who fuels
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver presents badge "04FFFFFFFFFFFF"
    And the driver chooses fuelling point 1
    Then the driver is refused with "CARD_UNKNOWN"
    When 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: What flows is seen while it flows, in litres and money
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    Then the terminal sees 5.00 L for 8.65 EUR at fuelling point 2
    When 7.50 L flow at fuelling point 2
    Then the terminal sees 12.50 L for 21.61 EUR at fuelling point 2
    When the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
