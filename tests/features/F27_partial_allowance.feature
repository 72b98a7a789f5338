Feature: F27 A driver who may take less than he wants is told, and gets that

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price | minimum |
      | 1  | dart     | 1      | GAZOLE  | 1.729 | 5.00 L  |
      | 2  | dart     | 1      | GAZOLE  | 1.729 | 2.00 L  |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language |
      | 04A1B2C3D4E5F6 | badge  | C1       | en       |
    And the limits
      | subject             | period | measure  | amount   |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 100.00 L |

  Scenario Outline: The rest is shown and is the preset, with the host and without
    Given the host is <host>
    And the host counts
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 62.50 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 60.00 L
    And the driver chooses fuelling point 2
    Then the display shows "37.50"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 37.50 L

    Examples:
      | host        |
      | reachable   |
      | unreachable |

  Scenario: Less than a pump can deliver is refused there
    Given the host is unreachable
    And the host counts
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 97.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 3.00 L

  Scenario: A wish below the smallest amount is refused
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes 1.00 L
    And the driver chooses fuelling point 2
    Then the driver is refused with "WISH"
    And the host holds no open authorization
