Feature: F17 A card or a customer is denied at once

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
      | C2       |
    And the cards
      | number         | medium | customer | language | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
      | 04B1B2C3D4E5F6 | badge  | C2       | fr       | ALWAYS  |

  Scenario: A blocked card is refused, others are served, and a lifted block serves it again
    When the host blocks card "04A1B2C3D4E5F6"
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And the host unblocks card "04A1B2C3D4E5F6"
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: A blocked customer blocks his cards, and the driver reads it in his language
    When the host blocks customer "C1"
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CUSTOMER_BLOCKED"
    And the display shows "Compte bloqué"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released

  Scenario: The block outlives the line and the power
    When the host blocks card "04B1B2C3D4E5F6"
    And 5 s pass
    And the host becomes unreachable
    And the power is cut
    And the power returns
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: A block between the badge and the choice is in time
    When the driver presents badge "04A1B2C3D4E5F6"
    And the host blocks card "04A1B2C3D4E5F6"
    And 2 s pass
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
    And the host holds no open authorization

  Scenario: A block that the terminal could not hear takes effect when the line is back
    Given the host is unreachable
    When the host blocks card "04A1B2C3D4E5F6"
    And the host becomes reachable
    And 60 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
