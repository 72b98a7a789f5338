Feature: F48 The host corrects sales by new entries, which reach the limits at once and count once

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the local time is "2026-03-18 12:00:00"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer | offline |
      | C1       | ALLOWED |
      | C2       | ALLOWED |
    And the cards
      | number         | medium | customer | prompts  |
      | 04A1B2C3D4E5F6 | badge  | C1       | none     |
      | 04B1B2C3D4E5F6 | badge  | C2       | none     |
      | 04C1B2C3D4E5F6 | badge  | C1       | odometer |
    And the limits
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 60.00 L |
      | card 04A1B2C3D4E5F6 | DAY    | COUNT    | 2       |
      | card 04B1B2C3D4E5F6 | DAY    | QUANTITY | 50.00 L |
      | customer C1         | MONTH  | VALUE    | 100 EUR |

  Scenario: A cancelled sale counts nothing any more, and its record stands
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then 40.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When the host cancels the last sale
    Then the terminal has made the last correction
    And 60.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 2 remain of the DAY COUNT limit of card "04A1B2C3D4E5F6"
    And 100.00 EUR remain of the MONTH VALUE limit of customer "C1"
    And the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: A refund gives so much back, also to the customer, and another one more
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host refunds 5.00 L and 8.65 EUR of the last sale
    Then 45.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 74.07 EUR remain of the MONTH VALUE limit of customer "C1"
    When the host refunds 2.50 L and 4.32 EUR of the last sale
    Then 47.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 1 remains of the DAY COUNT limit of card "04A1B2C3D4E5F6"
    And the three books agree

  Scenario: A corrected sale survives a power cut, and lists that know of it do not count it twice
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host refunds 5.00 L and 8.65 EUR of the last sale
    Then the terminal has made the last correction
    When the power is cut
    And the power returns
    Then 45.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When the host publishes the lists
    Then 45.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 74.07 EUR remain of the MONTH VALUE limit of customer "C1"

  Scenario: What was corrected while the terminal had no power counts from its start on
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When the power is cut
    And the host cancels the last sale
    And the power returns
    Then the terminal has made the last correction
    And 60.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"

  Scenario: What was given back may be taken at once, also without the host
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 50.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host refunds 30.00 L and 51.87 EUR of the last sale
    Then the terminal has made the last correction
    When the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 65.42 EUR

  Scenario: A sale of the wrong card counts for the right one
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host moves the last sale to card "04B1B2C3D4E5F6"
    Then the terminal has made the last correction
    And 60.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And 30.00 L remain of the DAY QUANTITY limit of card "04B1B2C3D4E5F6"
    And 100.00 EUR remain of the MONTH VALUE limit of customer "C1"

  Scenario: A wrong odometer is corrected and moves nothing
    When the driver presents badge "04C1B2C3D4E5F6"
    And the driver answers "odometer" with "9"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host corrects the odometer of the last sale to "123456"
    Then the terminal has made the last correction
    And 82.71 EUR remain of the MONTH VALUE limit of customer "C1"

  Scenario: A sale whose pump was exchanged under it stays in doubt until the host settles it
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the host has booked 1 sale
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 5.00 L flow at fuelling point 2
    And the line of fuelling point 2 is cut
    And 7.50 L flow at fuelling point 2
    And the head of fuelling point 2 is exchanged
    And the driver hangs up at fuelling point 2
    And the line of fuelling point 2 is restored
    Then the fault "PUMP_TOTALISER_WENT_BACK" is raised
    And 2.164 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    When the host settles the last sale at 12.50 L
    Then the ledger holds 2 sales
    And 27.50 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the host has booked 2 sales
    And the host holds no open authorization
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most 50.00 L

  Scenario: What cannot be corrected so is refused, and the host hears why
    When the host becomes unreachable
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And the host settles the last sale at 5.00 L
    And the host becomes reachable
    Then the terminal refuses the last correction
    And the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    And 50.00 L remain of the DAY QUANTITY limit of card "04A1B2C3D4E5F6"
    And the three books agree
