Feature: F42 What the host decides reaches a connected terminal at once

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
      | C2       |
    And the cards
      | number         | medium | customer | language | offline | pin  |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED | none |
      | 04B1B2C3D4E5F6 | badge  | C2       | fr       | ALLOWED | none |
      | 04C1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED | 1234 |

  Scenario: A block while fuel flows stops the pump, and what has flowed is booked
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the host blocks card "04A1B2C3D4E5F6"
    And 2 s pass
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
    And the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the host has booked 1 sale
    And the host holds no open authorization
    And the three books agree

  Scenario: A block while fuel flows lets it finish, where the operator wants it so
    Given the terminal policy
      | setting | value  |
      | on deny | finish |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the host blocks card "04A1B2C3D4E5F6"
    And 2 s pass
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 25.00 L of "GAZOLE" for 43.23 EUR by card "04A1B2C3D4E5F6"
    And the three books agree
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: A block before the nozzle is lifted takes the fuelling point back
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the host blocks card "04A1B2C3D4E5F6"
    And 2 s pass
    And the driver lifts nozzle 1 at fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
    And fuelling point 2 is not released
    And the host holds no open authorization
    When the driver hangs up at fuelling point 2
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: A block while the PIN is being entered ends the attempt
    When the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is asked for "PIN"
    When the host blocks customer "C1"
    Then the driver is refused with "CUSTOMER_BLOCKED"
    And the display shows "Compte bloqué"

  Scenario: A block beats the host's own approval that is still on its way
    Given the host answers after 5 s
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the host blocks card "04A1B2C3D4E5F6"
    And the driver lifts nozzle 1 at fuelling point 2
    Then the driver is refused with "CARD_BLOCKED"
    And fuelling point 2 is not released
    And the host holds no open authorization

  Scenario: A block during an outage counts before the first decision behind it, also one without the host
    When the host becomes unreachable
    And the host blocks card "04A1B2C3D4E5F6"
    And 60 s pass
    And the host becomes reachable
    And 5 s pass
    And the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: A block reaches a terminal that was without power when it was said
    When the power is cut
    And the host blocks card "04A1B2C3D4E5F6"
    And the power returns
    And 2 s pass
    And the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: A block that was heard survives a power cut without the host
    When the host blocks card "04A1B2C3D4E5F6"
    And 2 s pass
    And the power is cut
    And the host becomes unreachable
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Power that fails while a block stops a fuelling changes nothing of either
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the host blocks card "04A1B2C3D4E5F6"
    And the power is cut
    And the power returns
    And 10 s pass
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "04A1B2C3D4E5F6"
    And the three books agree
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: A lifted block serves again at once, also where the list still has it
    When the host blocks card "04A1B2C3D4E5F6"
    And the host publishes the lists
    And 2 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    When the host unblocks card "04A1B2C3D4E5F6"
    And 5 s pass
    And the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: Two blocks and one lift leave one block
    When the host blocks card "04A1B2C3D4E5F6"
    And the host blocks customer "C1"
    And the host unblocks customer "C1"
    And 2 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    When the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is asked for "PIN"
    When the host unblocks card "04A1B2C3D4E5F6"
    And 2 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: New lists are fetched when the host says that there are some
    When the host becomes unreachable
    And the host blocks customer "C2"
    And the host publishes the lists
    And the host becomes reachable
    And 10 s pass
    And the host becomes unreachable
    And the power is cut
    And the power returns
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "CUSTOMER_BLOCKED"
