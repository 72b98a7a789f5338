Feature: F41 Lists come signed, whole or as changes, and a wrong one never serves

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
    And the cards
      | number         | medium | customer | pin  |
      | 04A1B2C3D4E5F6 | badge  | C1       | 1234 |
      | 04B1B2C3D4E5F6 | badge  | C1       |      |
      | 04C1B2C3D4E5F6 | badge  | C1       |      |
    And the limits
      | subject     | period | measure  | amount   |
      | customer C1 | DAY    | QUANTITY | 100.00 L |

  Scenario: What the host publishes is known without the host
    When the host blocks card "04A1B2C3D4E5F6"
    And the host publishes the lists
    And the host becomes unreachable
    And the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L

  Scenario: Many versions while the terminal was away come as their changes
    When the host becomes unreachable
    And the host blocks card "04A1B2C3D4E5F6"
    And the host publishes the lists
    And the host unblocks card "04A1B2C3D4E5F6"
    And the host blocks card "04B1B2C3D4E5F6"
    And the host publishes the lists
    And the host becomes reachable
    And 60 s pass
    And the host becomes unreachable
    And the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "PIN"

  Scenario Outline: A list with a fault (<fault>) is refused, and the old one goes on serving
    When the host spoils its lists with "<fault>"
    And the host unlocks the PIN of card "04A1B2C3D4E5F6"
    And the host publishes the lists
    Then the fault "LIST_REFUSED" is raised
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 100.00 L
    When 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04B1B2C3D4E5F6"
    And the three books agree
    When the host becomes reachable
    And the host publishes the lists
    Then the fault "LIST_REFUSED" is cleared

    Examples:
      | fault              |
      | wrong signature    |
      | wrong hash         |
      | bomb               |
      | shrunk             |

    @virtual
    Examples: the other ways
      | fault              |
      | wrong content hash |
      | truncated          |
      | expired            |
      | other terminal     |
      | empty              |
      | unknown product    |
      | negative amount    |
      | absurd amount      |
      | 1970               |

  Scenario: An older list is refused, also after the power was cut
    When the host publishes the lists
    And the host spoils its lists with "older"
    And the power is cut
    And the power returns
    Then the fault "LIST_REFUSED" is raised
    When the host becomes reachable
    And the host publishes the lists
    Then the fault "LIST_REFUSED" is cleared

  Scenario Outline: Where the changes have a fault (<fault>) the whole list comes instead
    When the host spoils its lists with "<fault>"
    And the host blocks card "04A1B2C3D4E5F6"
    And the host publishes the lists
    And 10 s pass
    And the host becomes unreachable
    And the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

    Examples:
      | fault         |
      | skipped delta |
      | doubled delta |
      | wrong delta   |
