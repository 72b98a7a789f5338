Feature: F13 The host is asked and decides

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

  Scenario: An approved fuelling is booked once and leaves nothing open
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L
    When 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the host holds no open authorization
    And the three books agree

  Scenario: The host knows of fuel taken elsewhere and allows the rest
    # 100 L a day, 62.50 L taken at other sites
    Given the limits
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |
    And the host counts
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 62.50 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 37.50 L

  Scenario: The host declines and the driver reads why
    Given the limits
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |
    And the host counts
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    And the host holds no open authorization
    And the ledger holds no sale

  Scenario Outline: A wish is the preset
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes <wish>
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most <wish>

    Examples:
      | wish      |
      | 20.00 L   |
      | 50.00 EUR |

  Scenario: A wish beyond the limit gets the limit
    Given the limits
      | subject             | period   | measure  | amount  |
      | card 04A1B2C3D4E5F6 | FUELLING | QUANTITY | 40.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 60.00 L
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 40.00 L

  Scenario: A slow answer in time is an answer
    Given the host answers after 3 s
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L
    When 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    And the host holds no open authorization

  Scenario: A fuelling point that is not there is refused and the next choice works
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 9
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    And fuelling point 2 is not released
    And the host holds no open authorization
