Feature: F18 Cards are taken at their sites and in their hours

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language | sites    | hours                             |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | S1       | none                              |
      | 04B1B2C3D4E5F6 | badge  | C1       | fr       | S2       | none                              |
      | 04C1B2C3D4E5F6 | badge  | C1       | fr       | S2, NORD | none                              |
      | 04D1B2C3D4E5F6 | badge  | C1       | fr       | none     | Mo-Fr 06:00-20:00; Sa 08:00-12:00 |
      | 04E1B2C3D4E5F6 | badge  | C1       | fr       | none     | Fr 22:00-05:00                    |

  Scenario Outline: A card is taken where its sites name the site or a network of it
    Given the site is in network "NORD"
    And the host is <host>
    When the driver presents badge "<card>"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

    Examples:
      | card           | host        |
      | 04A1B2C3D4E5F6 | unreachable |
      | 04C1B2C3D4E5F6 | reachable   |
      | 04C1B2C3D4E5F6 | unreachable |

  Scenario Outline: At another site it is refused
    Given the host is <host>
    When the driver presents badge "<card>"
    Then the driver is refused with "SITE_NOT_ALLOWED"
    And the display shows "Station non permise"
    And the refusal code explains "SITE_NOT_ALLOWED"
    And the ledger holds no sale

    Examples:
      | card           | host        |
      | 04B1B2C3D4E5F6 | reachable   |
      | 04B1B2C3D4E5F6 | unreachable |
      | 04C1B2C3D4E5F6 | unreachable |

  Scenario Outline: Within its hours a card is taken
    Given the local time is "<time>"
    And the host is unreachable
    When the driver presents badge "<card>"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

    Examples:
      | card           | time                |
      | 04D1B2C3D4E5F6 | 2026-03-18 06:00:30 |
      | 04D1B2C3D4E5F6 | 2026-03-21 08:30:00 |
      | 04E1B2C3D4E5F6 | 2026-03-20 22:30:00 |
      | 04E1B2C3D4E5F6 | 2026-03-21 04:30:00 |

  Scenario Outline: Outside of them it is refused, whoever decides
    Given the local time is "<time>"
    And the host is <host>
    When the driver presents badge "<card>"
    Then the driver is refused with "TIME_NOT_ALLOWED"
    And the display shows "Heure non permise"
    And the refusal code explains "TIME_NOT_ALLOWED"
    And fuelling point 1 is not released

    Examples:
      | card           | time                | host        |
      | 04D1B2C3D4E5F6 | 2026-03-18 05:30:00 | unreachable |
      | 04D1B2C3D4E5F6 | 2026-03-18 20:00:00 | reachable   |
      | 04D1B2C3D4E5F6 | 2026-03-22 09:00:00 | unreachable |
      | 04E1B2C3D4E5F6 | 2026-03-20 04:30:00 | unreachable |
