Feature: F12 The terminal speaks the driver's language

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
      | number         | medium | customer | language | status  |
      | 04A1B2C3D4E5F6 | badge  | C1       | de       | active  |
      | 04B1B2C3D4E5F6 | badge  | C1       | none     | active  |
      | 04C1B2C3D4E5F6 | badge  | C1       | en       | blocked |
      | 04D1B2C3D4E5F6 | badge  | C1       | xx       | active  |

  Scenario Outline: The card's language, else the site's: <badge>
    When the driver presents badge "<badge>"
    Then the display shows "<text>"

    Examples:
      | badge          | text           |
      | 04A1B2C3D4E5F6 | Zapfpunkt Nr.: |
      | 04B1B2C3D4E5F6 | Pompe n° :     |
      | 04C1B2C3D4E5F6 | Badge blocked  |
      | 04D1B2C3D4E5F6 | Pompe n° :     |

  Scenario: A key of the welcome screen chooses for the next driver alone
    When the driver presses key 2
    Then the display shows "Present your badge"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the display shows "Pump no.:"
    When the driver presses cancel
    Then the display shows "Cancelled"
    And the display shows "Bienvenue"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the display shows "Zapfpunkt Nr.:"

  Scenario: A language that nobody uses is forgotten
    When the driver presses key 3
    Then the display shows "Willkommen"
    When 31 s pass
    Then the display shows "Bienvenue"
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the display shows "Pompe n° :"
