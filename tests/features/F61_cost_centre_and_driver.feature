Feature: F61 Every sale says for which cost centre and by which driver

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
    And the cards
      | number         | medium | customer | prompts | pair           | cost centre | driver |
      | 04A1B2C3D4E5F6 | badge  | C1       | none    | none           | CC7         | Petit  |
      | 04B1B2C3D4E5F6 | badge  | C1       | driver  | none           | CC7         | Petit  |
      | 04C1B2C3D4E5F6 | badge  | C1       | none    | 04D1B2C3D4E5F6 | CC8         | none   |
      | 04D1B2C3D4E5F6 | badge  | C1       | none    | none           | CC9         | Roux   |
      | 04E1B2C3D4E5F6 | badge  | C1       | none    | none           | none        | none   |

  Scenario Outline: The card of the vehicle says both, <where> the host
    Given the host is <where>
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host becomes reachable
    Then the sale carries cost centre "CC7" and driver "Petit"
    And the three books agree

    Examples:
      | where       |
      | reachable   |
      | unreachable |

  Scenario: The driver's own answer goes before the vehicle's card
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver answers "driver" with "4711"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries cost centre "CC7" and driver "4711"

  Scenario: The driver's own card goes before everything, the cost centre is the vehicle's
    Given the host is unreachable
    When the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is asked for "SECOND CARD"
    When the driver presents badge "04D1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host becomes reachable
    Then the sale carries cost centre "CC8" and driver "Roux"

  Scenario: A card that says nothing has neither
    When the driver presents badge "04E1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries no cost centre and no driver

  Scenario: Both survive a power cut in the middle of the sale
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the power is cut
    And the driver hangs up at fuelling point 2
    And the power returns
    Then the sale carries cost centre "CC7" and driver "Petit"
    And the three books agree
