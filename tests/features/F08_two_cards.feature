Feature: F08 Two cards together: the driver's and the vehicle's

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | pair           | pin  | products | cost centre | driver | status  |
      | 04A1B2C3D4E5F6 | badge  | C1       | 04B1B2C3D4E5F6 | none | all      | CC7         | none   | active  |
      | 04B1B2C3D4E5F6 | badge  | C1       | 04A1B2C3D4E5F6 | 4711 | all      | none        | Roux   | active  |
      | 04C1B2C3D4E5F6 | badge  | C1       | fleet7         | none | all      | none        | none   | active  |
      | 04D1B2C3D4E5F6 | badge  | C1       | fleet7         | none | GAZOLE   | none        | none   | active  |
      | 04E1B2C3D4E5F6 | badge  | C1       | fleet8         | none | all      | none        | none   | active  |
      | 04F1B2C3D4E5F6 | badge  | C1       | fleet7         | none | all      | none        | none   | blocked |

  Scenario Outline: In either order, with the PIN of the one that has it, the host <where>: <first> first
    Given the host is <where>
    When the driver presents badge "<first>"
    Then the driver is asked for "SECOND CARD"
    When the driver presents badge "<second>"
    Then the driver is asked for "PIN"
    When the driver enters PIN "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host becomes reachable
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "<first>"
    And the sale carries cost centre "CC7" and driver "Roux"
    And the host has booked 1 sale
    And the three books agree

    Examples:
      | where       | first          | second         |
      | reachable   | 04A1B2C3D4E5F6 | 04B1B2C3D4E5F6 |
      | reachable   | 04B1B2C3D4E5F6 | 04A1B2C3D4E5F6 |
      | unreachable | 04A1B2C3D4E5F6 | 04B1B2C3D4E5F6 |
      | unreachable | 04B1B2C3D4E5F6 | 04A1B2C3D4E5F6 |

  Scenario Outline: A word that both share makes a pair: <second>
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver presents badge "<second>"
    Then <then>

    Examples:
      | second         | then                                           |
      | 04D1B2C3D4E5F6 | the driver is asked for "FUELLING POINT"       |
      | 04E1B2C3D4E5F6 | the driver is refused with "SECOND_CARD_WRONG" |
      | 04F1B2C3D4E5F6 | the driver is refused with "SECOND_CARD_WRONG" |
      | 04A1B2C3D4E5F6 | the driver is refused with "SECOND_CARD_WRONG" |

  Scenario: A card is not its own second card
    When the driver presents badge "04C1B2C3D4E5F6"
    And 5 s pass
    And the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is refused with "SECOND_CARD_WRONG"

  Scenario: What one of them may not take, both may not
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver presents badge "04D1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 2 at fuelling point 2
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"
    And fuelling point 2 is not released

  Scenario Outline: The limits of both bind, and both have less afterwards, the host <where>
    Given the host is <where>
    And the limits
      | subject             | period | measure  | amount  |
      | card 04C1B2C3D4E5F6 | DAY    | QUANTITY | 60.00 L |
      | card 04D1B2C3D4E5F6 | DAY    | QUANTITY | 40.00 L |
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver presents badge "04D1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 40.00 L
    When 30.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host becomes reachable
    Then 30.00 L remain of the DAY QUANTITY limit of card "04C1B2C3D4E5F6"
    And 10.00 L remain of the DAY QUANTITY limit of card "04D1B2C3D4E5F6"
    And the three books agree

    Examples:
      | where       |
      | reachable   |
      | unreachable |

  Scenario: Who does not bring the second card is not waited for
    When the driver presents badge "04A1B2C3D4E5F6"
    And 31 s pass
    Then the driver is refused with "TIMED_OUT"

  Scenario: The driver changes his mind before the second card
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver presses cancel
    Then the driver is refused with "CANCELLED"

  Scenario: A second card that is blocked while its driver stands there ends it
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver presents badge "04D1B2C3D4E5F6"
    And the host blocks card "04D1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
