Feature: F66 Six characters on the display lead to the exact decision

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 1  | dart     | 2      | SP95    | 1.859 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language | offline | status  | pin  | products |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED | active  | none | all      |
      | 04B1B2C3D4E5F6 | badge  | C1       | de       | ALLOWED | blocked | none | all      |
      | 04C1B2C3D4E5F6 | badge  | C1       | de       | ALLOWED | active  | none | SP95     |
      | 04D1B2C3D4E5F6 | badge  | C1       | en       | ALLOWED | active  | 1234 | all      |

  Scenario: A driver whose limit is used up reads a code that explains it
    Given the limits
      | subject             | period | measure  | amount |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 1.00 L |
    And the host is unreachable
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is refused with "LIMIT_DAY_QUANTITY"
    And the display shows "Limite du badge"
    And the display shows a refusal code
    And the refusal code explains "LIMIT_DAY_QUANTITY"

  Scenario: Each refusal has a code of its own, also after a power cut
    Given the host is unreachable
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    And the refusal code explains "CARD_BLOCKED"
    When the power is cut
    And the power returns
    And the driver presents badge "FFFFFFFFFFFFFF"
    Then the driver is refused with "CARD_UNKNOWN"
    And the refusal code explains "CARD_UNKNOWN"

  Scenario: The host's decline has a code, and its sale explains the same
    Given the limits
      | subject     | period | measure  | amount |
      | customer C1 | DAY    | QUANTITY | 1.00 L |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    Then the driver is refused with "CUSTOMER_LIMIT_DAY_QUANTITY"
    And the refusal code explains "CUSTOMER_LIMIT_DAY_QUANTITY"
    And sale 1 explains "declined" by the host

  Scenario: A wrong nozzle has a code, and the right one may still be taken
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then the driver is refused with "PRODUCT_NOT_ALLOWED"
    And the refusal code explains "PRODUCT_NOT_ALLOWED"
    When the driver hangs up at fuelling point 1
    And the driver lifts nozzle 2 at fuelling point 1
    Then fuelling point 1 is released for at most 990.00 L
    And sale 1 explains "approved" by the host

  Scenario: A card that is blocked while its driver stands here has a code
    When the driver presents badge "04A1B2C3D4E5F6"
    And the host blocks card "04A1B2C3D4E5F6"
    Then the driver is refused with "CARD_BLOCKED"
    And the refusal code explains "CARD_BLOCKED"

  Scenario: A driver who cancels has no code
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver presses cancel
    Then the driver is refused with "CANCELLED"
    And the display shows no refusal code

  Scenario: The last wrong PIN has a code
    Given the terminal policy
      | setting   | value |
      | pin_tries | 1     |
    When the driver presents badge "04D1B2C3D4E5F6"
    And the driver enters PIN "9999"
    Then the driver is refused with "PIN_WRONG"
    And the refusal code explains "PIN_WRONG"
