Feature: F03 A badge that signs its link is believed once for each reading

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium       | customer |
      | 04A1B2C3D4E5F6 | secure badge | C1       |
      | LINK-0815      | secure badge | C1       |
      | 04B1B2C3D4E5F6 | badge        | C1       |

  Scenario Outline: A signed link fuels
    When the driver presents badge "<number>" with a signed link
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "<number>"
    And the three books agree

    Examples:
      | number         |
      | 04A1B2C3D4E5F6 |
      | LINK-0815      |

  Scenario: A link that was used is refused, the badge itself signs the next one
    When the driver presents badge "04A1B2C3D4E5F6" with a signed link
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6" with a replayed link
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "04A1B2C3D4E5F6" with a signed link
    Then the driver is asked for "FUELLING POINT"

  Scenario: A used link is refused without the host too
    Given the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6" with a signed link
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6" with a replayed link
    Then the driver is refused with "MEDIUM_NOT_GENUINE"

  Scenario: A power cut does not make a used link good again
    When the driver presents badge "04A1B2C3D4E5F6" with a signed link
    Then the driver is asked for "FUELLING POINT"
    When the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6" with a replayed link
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "04A1B2C3D4E5F6" with a signed link
    Then the driver is asked for "FUELLING POINT"
    And the ledger holds no sale

  Scenario: What one badge has signed says nothing about another
    When the driver presents badge "04A1B2C3D4E5F6" with a signed link
    Then the driver is asked for "FUELLING POINT"
    When the driver presents badge "LINK-0815" with a signed link
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 5.00 L of "GAZOLE" for 8.65 EUR by card "LINK-0815"

  Scenario: A link under another key is refused
    When the driver presents badge "04A1B2C3D4E5F6" with a link under another key
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "LINK-0815" with a signed link
    Then the driver is asked for "FUELLING POINT"

  Scenario: The badge's bare identifier is refused
    When the driver presents a plain copy of badge "04A1B2C3D4E5F6"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"

  Scenario: A plain badge of the list works beside them
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
