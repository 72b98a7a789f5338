Feature: F19 A product that is not allowed is never released

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the terminal policy
      | setting             | value |
      | restricted products | GNR   |
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | SP95    | 1.859 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
      | 3  | dart     | 1      | GNR     | 1.219 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | products    |
      | 04A1B2C3D4E5F6 | badge  | C1       | GAZOLE      |
      | 04B1B2C3D4E5F6 | badge  | C1       | all         |
      | 04C1B2C3D4E5F6 | badge  | C1       | GAZOLE, GNR |
      | 04D1B2C3D4E5F6 | badge  | C1       | ADBLUE      |

  Scenario: The wrong nozzle stays shut, and the driver is told which to take
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 2 at fuelling point 2
    Then the display shows "GAZOLE"
    And fuelling point 2 is not released

  Scenario: After the wrong nozzle the right one works
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 2 at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And the ledger holds 0 sales of "SP95"
    And the three books agree

  Scenario: A fuelling point without any allowed product is refused at the choice
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"
    When the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is not released

  Scenario: A card for which this site has nothing is refused at once
    When the driver presents badge "04D1B2C3D4E5F6"
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"

  Scenario: Dyed fuel only goes to cards that name it
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 3
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver chooses fuelling point 3
    And the driver lifts nozzle 1 at fuelling point 3
    Then fuelling point 3 is released for at most 990.00 L
