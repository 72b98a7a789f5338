Feature: F63 The host closes the site, a product or a fuelling point, and opens it again

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
      | C2       | ALLOWED |
    And the cards
      | number         | medium | customer | language |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       |
      | 04B1B2C3D4E5F6 | badge  | C2       | fr       |

  Scenario: A closed fuelling point serves nobody, the next one does
    When the host closes fuelling point 2
    And 2 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    And the host hears that fuelling point 2 is closed
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L

  Scenario: What flows finishes, what waits is taken back
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 5.00 L flow at fuelling point 1
    And the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the host closes the site
    And 2 s pass
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When 10.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 15.00 L of "GAZOLE" for 25.94 EUR by card "04A1B2C3D4E5F6"
    And the host holds no open authorization
    And the three books agree

  Scenario: A closed site says so to everybody, until it opens
    When the host closes the site
    Then the display shows "Fermé"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "TERMINAL_NOT_READY"
    When 10 s pass
    And the host opens the site
    And 2 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A driver who stands there when the site closes is sent away
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    When the host closes the site
    Then the driver is refused with "TERMINAL_NOT_READY"

  Scenario: A closed product is not offered, the other one at the same point is
    When the host closes product "GAZOLE"
    And 2 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"
    When the driver hangs up at fuelling point 2
    And the driver lifts nozzle 2 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: A closing survives a power cut without the host, and is lifted when the host says so
    When the host closes fuelling point 2
    And 2 s pass
    And the power is cut
    And the host becomes unreachable
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    Then the driver is refused with "FUELLING_POINT_NOT_AVAILABLE"
    When the host opens fuelling point 2
    And the host becomes reachable
    Then the host hears that fuelling point 2 is open
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 990.00 L

  Scenario: A closing during an outage is heard behind it
    When the host becomes unreachable
    And the host closes fuelling point 2
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the host becomes reachable
    Then the host hears that fuelling point 2 is closed
    When 5.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And the three books agree
