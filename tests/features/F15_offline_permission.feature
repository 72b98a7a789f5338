Feature: F15 Which cards may be decided without the host

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
      | C2       | NEVER   |
    And the cards
      | number              | medium | customer | language | offline         |
      | 04A1B2C3D4E5F6      | badge  | C1       | fr       | ALLOWED         |
      | 04B1B2C3D4E5F6      | badge  | C1       | fr       | NEVER           |
      | 04C1B2C3D4E5F6      | badge  | C2       | fr       | ALWAYS          |
      | 04D1B2C3D4E5F6      | badge  | C1       | fr       | ALWAYS          |
      | 7003123456789012347 | badge  | C1       | fr       | ALWAYS          |
    And the ranges that are online only
      | from                | to                  |
      | 7003000000000000000 | 7003999999999999999 |

  Scenario Outline: A card that may is served while the host is away
    Given the host is unreachable
    When the driver presents badge "<card>"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

    Examples:
      | card           |
      | 04A1B2C3D4E5F6 |
      | 04D1B2C3D4E5F6 |

  Scenario Outline: A card or a customer that never may is refused, and served when the host is there
    Given the host is unreachable
    When the driver presents badge "<card>"
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"
    And the display shows "Central injoignable"
    And the refusal code explains "OFFLINE_NOT_ALLOWED"
    When the host becomes reachable
    And 10 s pass
    And the driver presents badge "<card>"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

    Examples:
      | card           |
      | 04B1B2C3D4E5F6 |
      | 04C1B2C3D4E5F6 |

  Scenario: A card of a grey range is refused offline whatever its row says, with an alert until the host is back
    Given the host is unreachable
    When the driver presents badge "7003123456789012347"
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"
    And the fault "GREY_CARD" is raised
    And the ledger holds no sale
    When the host becomes reachable
    Then the fault "GREY_CARD" is cleared
    When 10 s pass
    And the driver presents badge "7003123456789012347"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

  Scenario: The host does not answer in time, and a grey card is not decided without it
    Given the host answers after 12 s
    When the driver presents badge "7003123456789012347"
    And the driver chooses fuelling point 1
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"
    And fuelling point 1 is not released
