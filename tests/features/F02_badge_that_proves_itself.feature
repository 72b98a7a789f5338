Feature: F02 A badge proves that it is the one, and a copy of it gets nothing

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium       | customer | status  | pair           |
      | 04A1B2C3D4E5F6 | secure badge | C1       | active  |                |
      | FLEET-0815     | secure badge | C1       | active  |                |
      | 04B1B2C3D4E5F6 | badge        | C1       | active  |                |
      | 04C1B2C3D4E5F6 | secure badge | C1       | blocked |                |
      | 04D1B2C3D4E5F6 | badge        | C1       | active  | 04A1B2C3D4E5F6 |

  Scenario Outline: A badge that holds its key fuels, by its identifier or by the number in its file
    When the driver presents badge "<number>"
    Then the driver is asked for "FUELLING POINT"
    When the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 12.50 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "<number>"
    And the host has booked 1 sale
    And the three books agree

    Examples:
      | number         |
      | 04A1B2C3D4E5F6 |
      | FLEET-0815     |

  Scenario Outline: A copy with the right identifier is refused, and the badge itself still works
    When the driver presents <what> of badge "04A1B2C3D4E5F6"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is not released
    When the driver hangs up at fuelling point 2
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
    And the ledger holds no sale
    And the host holds no open authorization

    Examples:
      | what           |
      | a copy         |
      | a plain copy   |
      | a classic copy |

  Scenario: A copy of the number in the file is refused as well
    When the driver presents a plain copy of badge "FLEET-0815"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"

  Scenario Outline: A copy is refused without the host too
    Given the host is unreachable
    When the driver presents <what> of badge "04A1B2C3D4E5F6"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

    Examples:
      | what         |
      | a copy       |
      | a plain copy |

  Scenario: A badge whose answer is changed on its way is refused
    When the driver presents badge "04A1B2C3D4E5F6" and a bit is changed on the way
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A badge that answers as briefly as it may is read like any other
    When the driver presents badge "04A1B2C3D4E5F6", which answers as briefly as it may
    Then the driver is asked for "FUELLING POINT"

  Scenario: A badge that is taken away too early is no forgery, and the next one works
    When the driver takes badge "04A1B2C3D4E5F6" away too early
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver presents badge "FLEET-0815"
    Then the driver is asked for "FUELLING POINT"
    And the ledger holds no sale

  Scenario: Two badges at once are refused, one of them alone is not
    When the driver presents badges "04A1B2C3D4E5F6" and "04B1B2C3D4E5F6" together
    Then the driver is refused with "MEDIUM_UNREADABLE"
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: A badge with the issuer's key that is in no list gets nothing
    When the driver presents a copy of badge "04FFFFFFFFFFFF"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "04FFFFFFFFFFFF"
    And the driver chooses fuelling point 2
    Then the driver is refused with "CARD_UNKNOWN"

  Scenario: A blocked badge stays blocked, however well it proves itself
    When the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: A plain badge of the list works beside them
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: The second badge of a pair must prove itself too
    When the driver presents badge "04D1B2C3D4E5F6"
    Then the driver is asked for "SECOND CARD"
    When the driver presents a plain copy of badge "04A1B2C3D4E5F6"
    Then the driver is refused with "MEDIUM_NOT_GENUINE"
    When the driver presents badge "04D1B2C3D4E5F6"
    And the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"
