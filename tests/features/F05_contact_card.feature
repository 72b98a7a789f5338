Feature: F05 A driver puts in a chip card of the fleet

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number              | medium     | customer | status  | pin  |
      | 7001231234567890123 | smart card | C1       | active  |      |
      | 7001231234567890456 | smart card | C1       | active  | 4711 |
      | 7001231234567890789 | smart card | C1       | blocked |      |
      | 7002231234567890123 | stripe     | C1       | active  |      |

  Scenario: A card that proves itself fuels and the sale is its owner's
    # 12.50 L at 1.729 are 21.6125 EUR, rounded 21.61
    When the driver inserts card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver removes the card
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "7001231234567890123"
    And the host has booked 1 sale
    And the three books agree

  Scenario: Its PIN is the terminal's, and works without the host
    Given the host is unreachable
    When the driver inserts card "7001231234567890456"
    Then the driver is asked for "PIN"
    When the driver enters PIN "4711"
    Then the driver is asked for "FUELLING POINT"

  Scenario Outline: Pulled out in the middle, it is told so, and the next try works
    When the driver inserts card "7001231234567890123" and pulls it out at exchange <exchange>
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver inserts card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | exchange |
      | 1        |
      | 2        |
      | 3        |

  Scenario: A copy has the number and not the key
    When the driver inserts a copy of card "7001231234567890123"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver inserts card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"
    And the ledger holds no sale

  Scenario: A card that gives no proof at all is no better
    When the driver inserts an unproven twin of card "7001231234567890123"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"

  Scenario: A card with a certificate proves itself, and no secret of the fleet is in the terminal
    When the driver inserts certified card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver removes the card
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "7001231234567890123"
    And the three books agree

  Scenario Outline: Pulled out in the middle of its certificate or its proof, the next try works
    When the driver inserts certified card "7001231234567890123" and pulls it out at exchange <exchange>
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver inserts certified card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | exchange |
      | 1        |
      | 2        |
      | 3        |
      | 4        |
      | 5        |

  Scenario Outline: <what> of a certified card is no card
    When the driver inserts <what> of certified card "7001231234567890123"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver inserts certified card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | what            |
      | a copy          |
      | a foreign twin  |
      | an expired twin |
      | a renamed twin  |

  Scenario Outline: Without the host a site may serve only what is hard to copy, or what comes with a PIN
    Given the terminal policy
      | setting                  | value     |
      | offline_from             | <from>    |
      | offline_without_pin_from | <no_pin>  |
    And the host is unreachable
    When the driver inserts <card>
    Then the driver <outcome>

    Examples:
      | from | no_pin | card                                 | outcome                                |
      | T3   | T3     | certified card "7001231234567890123" | is asked for "FUELLING POINT"          |
      | T3   | T0     | card "7001231234567890123"           | is refused with "OFFLINE_NOT_ALLOWED"  |
      | T0   | T3     | card "7001231234567890123"           | is refused with "OFFLINE_NOT_ALLOWED"  |
      | T0   | T3     | card "7001231234567890456"           | is asked for "PIN"                     |
      | T2   | T2     | card "7001231234567890123"           | is asked for "FUELLING POINT"          |

  Scenario: A copied stripe needs a PIN where a site says so, and the host may still serve it
    Given the terminal policy
      | setting                  | value |
      | offline_without_pin_from | T2    |
    And the host is unreachable
    When the driver swipes card "7002231234567890123"
    Then the driver is refused with "OFFLINE_NOT_ALLOWED"
    When the host becomes reachable
    And 10 s pass
    And the driver swipes card "7002231234567890123"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A bank card is asked for nothing
    When the driver inserts a bank card
    Then the driver is refused with "MEDIUM_UNREADABLE"
    And the card was asked for the fleet's application and nothing else

  Scenario: A card of another make is refused, and the next driver is served
    When the driver inserts a card of another make
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver removes the card
    And the driver inserts card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"

  Scenario: The system's card service stops and returns, and other media work meanwhile
    When the driver inserts card "7001231234567890123"
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And the driver removes the card
    And the card service stops
    Then the fault "DEVICE_DOWN" is raised
    When the driver swipes card "7002231234567890123"
    Then the driver is asked for "FUELLING POINT"
    When the driver presses cancel
    And the card service returns
    Then the fault "DEVICE_DOWN" is cleared
    When the driver inserts card "7001231234567890456"
    Then the driver is asked for "PIN"

  Scenario: A card that was in all the time is read when the service returns
    When the driver inserts card "7001231234567890456"
    Then the driver is asked for "PIN"
    When the driver presses cancel
    And the card service stops
    And 5 s pass
    And the card service returns
    Then the driver is asked for "PIN"

  Scenario: An unknown and a blocked card are refused
    When the driver inserts card "7009999999999999999"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_UNKNOWN"
    When the driver inserts card "7001231234567890789"
    Then the driver is refused with "CARD_BLOCKED"
