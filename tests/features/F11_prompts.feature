Feature: F11 Answers to prompts are looked at before they are believed

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
      | number         | medium | customer | prompts                          |
      | 04A1B2C3D4E5F6 | badge  | C1       | odometer                         |
      | 04B1B2C3D4E5F6 | badge  | C1       | vehicle, driver                  |
      | 04C1B2C3D4E5F6 | badge  | C1       | number                           |

  Scenario: Without rules every answer is taken, and stands on the sale
    When the driver presents badge "04B1B2C3D4E5F6"
    Then the driver is asked for "VEHICLE"
    When the driver answers "vehicle" with "75"
    Then the driver is asked for "DRIVER"
    When the driver answers "driver" with "12"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04B1B2C3D4E5F6"
    And the sale carries no mark

  Scenario: An odometer goes forward, and not too far; the last reading is remembered, also by a terminal that lost its power
    Given the prompt rules
      | subject     | prompt   | least step | most step |
      | customer C1 | odometer | 1          | 1000      |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50000"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    When the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "49999"
    Then the display shows "Refusé : à revoir"
    And the driver is asked for "ODOMETER"
    When the driver answers "odometer" with "51001"
    Then the driver is asked for "ODOMETER"
    When the driver answers "odometer" with "51000"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Three wrong answers end it
    Given the prompt rules
      | subject             | prompt  | answers |
      | card 04B1B2C3D4E5F6 | vehicle | 75, 76  |
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver answers "vehicle" with "1"
    And the driver answers "vehicle" with "2"
    Then the driver is asked for "VEHICLE"
    When the driver answers "vehicle" with "3"
    Then the driver is refused with "PROMPT_INVALID"

  Scenario: Three wrong answers may be taken with a mark
    Given the prompt rules
      | subject             | prompt  | digits | wrong |
      | card 04B1B2C3D4E5F6 | vehicle | 4      | mark  |
    When the driver presents badge "04B1B2C3D4E5F6"
    And the driver answers "vehicle" with "1"
    And the driver answers "vehicle" with "2"
    And the driver answers "vehicle" with "3"
    Then the driver is asked for "DRIVER"
    When the driver answers "driver" with "12"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries mark "VEHICLE"

  Scenario: The answer may be corrected, and then nothing is marked
    Given the prompt rules
      | subject             | prompt | digits | wrong |
      | card 04C1B2C3D4E5F6 | number | 3-5    | mark  |
    When the driver presents badge "04C1B2C3D4E5F6"
    Then the driver is asked for "NUMBER"
    When the driver answers "number" with "12"
    And the driver answers "number" with "1234"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries no mark

  Scenario: The host knows the odometer from another place
    Given the prompt rules
      | subject     | prompt   | least step | most step |
      | customer C1 | odometer | 0          | 500       |
    And the host knows the odometers
      | card           | reading |
      | 04A1B2C3D4E5F6 | 90000   |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "80000"
    Then the driver is asked for "ODOMETER"
    When the driver answers "odometer" with "90300"
    Then the driver is asked for "FUELLING POINT"

  Scenario: An exchanged odometer begins anew when the host says so
    Given the prompt rules
      | subject     | prompt   | least step |
      | customer C1 | odometer | 0          |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "250000"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    When the host sets the odometer of card "04A1B2C3D4E5F6" to 5
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "12"
    Then the driver is asked for "FUELLING POINT"

  Scenario: More fuel than the distance explains is marked
    Given the prompt rules
      | subject     | prompt   | least step | consumption |
      | customer C1 | odometer | 0          | 30.00 L     |
    And the host knows the odometers
      | card           | reading |
      | 04A1B2C3D4E5F6 | 50000   |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50020"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries mark "CONSUMPTION"

  Scenario Outline: An odometer that the fuel taken here cannot explain is <what>, also behind a power cut
    # 20.00 L explain at most 200 km at the least of 10.00 L per 100 km
    Given the prompt rules
      | subject     | prompt   | least consumption | implausible |
      | customer C1 | odometer | 10.00 L           | <profile>   |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50000"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE" for 34.58 EUR by card "04A1B2C3D4E5F6"
    When the power is cut
    And the power returns
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50201"
    Then the driver <outcome>

    Examples:
      | what        | profile | outcome                            |
      | asked again | ask     | is asked for "ODOMETER"            |
      | refused     | refuse  | is refused with "PROMPT_INVALID"   |
      | taken       | mark    | is asked for "FUELLING POINT"      |

  Scenario: What is taken in spite of it carries the mark, and just enough fuel carries none
    Given the prompt rules
      | subject     | prompt   | least consumption | implausible |
      | customer C1 | odometer | 10.00 L           | mark        |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50000"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50200"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries no mark
    When 5 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "50301"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries mark "CONSUMPTION"

  Scenario: A machine counts hours, and its tank explains what was in it
    # 8.00 L an hour at least; a tank of 80 L and 20.00 L taken here last 12 hours and a half
    Given the cards
      | number         | medium | customer | prompts  | tank |
      | 04D1B2C3D4E5F6 | badge  | C1       | odometer | 80 L |
    And the prompt rules
      | subject     | prompt   | an hour | least an hour | implausible |
      | customer C1 | odometer | 20.00 L | 8.00 L        | ask         |
    When the driver presents badge "04D1B2C3D4E5F6"
    And the driver answers "odometer" with "1000"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 20.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    And 5 s pass
    And the driver presents badge "04D1B2C3D4E5F6"
    And the driver answers "odometer" with "1013"
    Then the driver is asked for "ODOMETER"
    When the driver answers "odometer" with "1001"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 21.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the sale carries mark "CONSUMPTION"

  Scenario: An exchanged odometer that the host entered is not compared with the fuel
    Given the prompt rules
      | subject     | prompt   | least step | least consumption | implausible |
      | customer C1 | odometer | 0          | 10.00 L           | refuse      |
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "250000"
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    And 10.00 L flow at fuelling point 2
    And the driver hangs up at fuelling point 2
    Then the ledger holds 1 sale of 10.00 L of "GAZOLE" for 17.29 EUR by card "04A1B2C3D4E5F6"
    When the host sets the odometer of card "04A1B2C3D4E5F6" to 5
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver answers "odometer" with "900"
    Then the driver is asked for "FUELLING POINT"
