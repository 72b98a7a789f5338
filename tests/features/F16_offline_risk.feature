Feature: F16 What may be let go before the host has answered is capped

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
      | 04B1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
      | 04C1B2C3D4E5F6 | badge  | none     | fr       | ALLOWED |

  Scenario: A card's cap becomes the preset, and what it took stays out while the host is away
    Given the terminal policy
      | setting          | value   |
      | exposure_card_ml | 50.00 L |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 50.00 L
    When 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 20.00 L

  Scenario: A cap that is used up refuses the driver in clear words
    Given the terminal policy
      | setting          | value   |
      | exposure_card_ml | 30.00 L |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "EXPOSURE_REACHED"
    And the display shows "Quota hors ligne"
    And the refusal code explains "EXPOSURE_REACHED"

  Scenario: A customer's cap counts all of its cards, and no other's
    Given the terminal policy
      | setting                 | value     |
      | exposure_customer_minor | 51.87 EUR |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And 10 s pass
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "EXPOSURE_REACHED"
    When 10 s pass
    And the driver presents badge "04C1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

  Scenario: The terminal's cap counts everybody, and holds count while nobody has fuelled
    Given the terminal policy
      | setting                 | value |
      | exposure_terminal_count | 1     |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is refused with "EXPOSURE_REACHED"

  Scenario: A power cut frees nothing, the host's answer frees it
    Given the terminal policy
      | setting          | value   |
      | exposure_card_ml | 30.00 L |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 30.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And 10 s pass
    And the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "EXPOSURE_REACHED"
    When the host becomes reachable
    Then the host has booked 1 sale
    When the host becomes unreachable
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 30.00 L

  Scenario: What the host decides is its own risk, not ours
    Given the terminal policy
      | setting          | value  |
      | exposure_card_ml | 3.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L
