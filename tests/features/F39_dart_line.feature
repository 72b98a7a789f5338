Feature: F39 Pumps on a Wayne DART line

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
      | 04B1B2C3D4E5F6 | badge  | C1       |

  Scenario Outline: The nozzle that is lifted decides product and price
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle <nozzle> at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "<product>" for <money> by card "04A1B2C3D4E5F6"
    And the three books agree

    Examples:
      | nozzle | product | money     |
      | 1      | GAZOLE  | 21.61 EUR |
      | 2      | SP95    | 23.24 EUR |

  Scenario: The preset is kept to the hundredth of a litre
    # 17.35 L at 1.729 are 29.99815 EUR, rounded 30.00
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 17.35 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 17.35 L
    When 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 17.35 L of "GAZOLE" for 30.00 EUR by card "04A1B2C3D4E5F6"

  Scenario: Noise on the line while fuel flows spoils nothing
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And noise is on the line of fuelling point 2
    And 7.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the three books agree

  Scenario: Noise while the pump is told to release releases it once and rightly
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 20.00 L
    And the driver chooses fuelling point 2
    And noise is on the line of fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 20.00 L

  Scenario: One drop lost leaves its neighbour alone
    When the line of fuelling point 2 is cut
    Then the fault "PUMP_LINE_LOST" is raised
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 12.50 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04B1B2C3D4E5F6"
    And the three books agree

  Scenario: A nozzle lifted without a card is not released
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the ledger holds no sale

  Scenario: A wrong nozzle is never released, and the right one still is
    Given the terminal policy
      | setting      | value |
      | lift timeout | 60 s  |
    And the cards
      | number         | medium | customer | products |
      | 04A1B2C3D4E5F6 | badge  | C1       | SP95     |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the driver is refused with "PRODUCT_NOT_ALLOWED"
    When the driver hangs up at fuelling point 2
    And the driver lifts nozzle 2 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: A nozzle that is up before the badge comes is released once all is known
    When the driver lifts nozzle 2 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L
    When 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "SP95" for 18.59 EUR by card "04A1B2C3D4E5F6"
    And the three books agree
