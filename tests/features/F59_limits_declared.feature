Feature: F59 A list with a limit that this terminal does not understand is refused, not half obeyed

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
    And the cards
      | number         | medium | customer |
      | 04A1B2C3D4E5F6 | badge  | C1       |
    And the limits
      | subject     | period | measure  | amount  |
      | customer C1 | DAY    | QUANTITY | 60.00 L |

  Scenario Outline: One <fault> refuses the whole list and the limits that were there still hold
    When the host spoils its lists with "<fault>"
    And the host publishes the lists
    Then the fault "LIST_REFUSED" is raised
    When the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 60.00 L
    When 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And 40.00 L remain of the DAY QUANTITY limit of customer "C1"

    Examples:
      | fault         |
      | unknown field |
      | unknown limit |

  Scenario: Once the host sends what is understood the list is taken
    When the host spoils its lists with "unknown limit"
    And the host publishes the lists
    Then the fault "LIST_REFUSED" is raised
    When the host becomes reachable
    And the host publishes the lists
    Then the fault "LIST_REFUSED" is cleared

  Scenario Outline: The host hears that <limit> is <how> offline
    Then the host hears that "<limit>" is <how> offline

    Examples:
      | limit             | how          |
      | FUELLING QUANTITY | exact        |
      | DAY QUANTITY      | bounded      |
      | MONTH VALUE       | bounded      |
      | prepaid VALUE     | bounded      |
      | share             | exact        |
      | WEEK              | not enforced |

  Scenario: A terminal that alone serves its cards enforces every limit exactly
    Given the terminal policy
      | setting       | value |
      | only terminal | yes   |
    Then the host hears that "MONTH QUANTITY" is exact offline
