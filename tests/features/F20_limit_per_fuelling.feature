Feature: F20 A limit on each fuelling

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the host is unreachable
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |

  Scenario Outline: Litres or money, each fuelling anew
    Given the limits
      | subject             | period   | measure   | amount   |
      | card 04A1B2C3D4E5F6 | FUELLING | <measure> | <amount> |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most <amount>
    When 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most <amount>

    Examples:
      | measure  | amount    |
      | QUANTITY | 40.00 L   |
      | VALUE    | 80.00 EUR |

  Scenario: The tighter of litres and money binds
    # 40 L of GAZOLE cost 69.16 EUR: the 50.00 EUR bind
    Given the limits
      | subject             | period   | measure  | amount    |
      | card 04A1B2C3D4E5F6 | FUELLING | QUANTITY | 40.00 L   |
      | customer C1         | FUELLING | VALUE    | 50.00 EUR |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 50.00 EUR

  Scenario Outline: Nothing allowed, and too little to pump
    # the smallest amount that is released is 2.00 L
    Given the limits
      | subject             | period   | measure   | amount   |
      | card 04A1B2C3D4E5F6 | FUELLING | <measure> | <amount> |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "<reason>"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released

    Examples:
      | measure  | amount   | reason                  |
      | QUANTITY | 0.00 L   | LIMIT_FUELLING_QUANTITY |
      | QUANTITY | 1.50 L   | LIMIT_FUELLING_QUANTITY |
      | VALUE    | 3.00 EUR | LIMIT_FUELLING_VALUE    |
