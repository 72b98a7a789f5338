"""Every step of the behaviour language, spelled out with each of its alternatives: what the document has and no more."""

from __future__ import annotations

# Every step of the document's three lists, with each of its alternatives.
SPELLED = """
Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
Given the local time is "2026-03-28 23:50:00"
Given the host is reachable
Given the host is unreachable
Given the host answers after 12 s
Given the host answers only after booking, losing the answer
Given the host answers every call with 500
Given the terminal policy
Given the fuelling points
Given the customers
Given the cards
Given the limits
Given the shares
Given the ranges that are online only
Given the card ranges
Given the prompt rules
Given the host knows the odometers
When the driver swipes track "7001000000000012=2912101000"
When the driver presses key 2
When the host sets the odometer of card "7001" to 5
Then the sale carries mark "VEHICLE, ODOMETER"
Then the sale carries no mark
Given the site is in network "NORD"
Given the balances
Given the host counts
When the driver presents badge "04A1B2C3D4E5F6"
When the driver presents a copy of badge "04A1B2C3D4E5F6"
When the driver presents a plain copy of badge "04A1B2C3D4E5F6"
When the driver presents a classic copy of badge "04A1B2C3D4E5F6"
When the driver presents badge "04A1B2C3D4E5F6" with a signed link
When the driver presents badge "04A1B2C3D4E5F6" with a replayed link
When the driver presents badge "04A1B2C3D4E5F6" with a link under another key
When the driver presents badge "04A1B2C3D4E5F6" and a bit is changed on the way
When the driver presents badge "04A1B2C3D4E5F6", which answers as briefly as it may
When the driver presents badges "04A1B2C3D4E5F6" and "04B1B2C3D4E5F6" together
When the driver takes badge "04A1B2C3D4E5F6" away too early
When the driver swipes card "7001234567890123"
When the driver inserts card "7001234567890123"
When the driver swipes card "7001234567890123" and stops halfway
When the driver swipes card "7001234567890123" and its keys bounce
When the driver swipes card "7001234567890123" and the system loses a part
When the driver swipes card "7001234567890123" and at once card "7001234567890124"
When the driver swipes card "7001234567890123" with track 2 alone
When the driver inserts card "7001234567890123" and pulls it out at exchange 2
When the driver inserts a copy of card "7001234567890123"
When the driver inserts an unproven twin of card "7001234567890123"
When the driver inserts certified card "7001234567890123"
When the driver inserts certified card "7001234567890123" and pulls it out at exchange 4
When the driver inserts a copy of certified card "7001234567890123"
When the driver inserts a foreign twin of certified card "7001234567890123"
When the driver inserts an expired twin of certified card "7001234567890123"
When the driver inserts a renamed twin of certified card "7001234567890123"
When the driver inserts a bank card
When the driver inserts bank card "4111111111111111"
When the driver inserts bank card "4111111111111111" without a payment directory
When the driver inserts bank card "4111111111111111" and pulls it out at exchange 4
When the driver inserts a card of another make
When the card service stops
When the card service returns
When the driver removes the card
When the driver enters PIN "1234"
When the driver answers "odometer" with "123456"
When the driver wishes 50.00 EUR
When the driver wishes 20.00 L
When the driver chooses fuelling point 2
When the driver lifts nozzle 1 at fuelling point 2
When 12.50 L flow at fuelling point 2
When the driver hangs up at fuelling point 2
When the driver presses cancel
When 60 s pass
When the power is cut
When the power returns
When the line of fuelling point 2 is cut
When the line of fuelling point 2 is restored
When noise is on the line of fuelling point 2
When the host becomes reachable
When the host becomes unreachable
When the host blocks card "7001"
When the host blocks customer "C1"
When the host loses its record of 1 sale
When the host loses its records of 3 sales
When the host has 12.00 L in its record of the last sale
When the host begins to lose its answers after booking
When the host unblocks card "7001"
When the host unblocks customer "C1"
When the host unlocks the PIN of card "7001"
When the host publishes the lists
When the host spoils its lists with "wrong signature"
When the host changes the price of "GAZOLE" to 1.799
When the host changes the price of "GAZOLE" at fuelling point 2 to 1.799
When the host changes the price of "GAZOLE" to 1.799 from "2026-03-28 23:55:00"
When the host changes the price of "GAZOLE" to 2.799 and confirms the jump
When the host changes the price of "GAZOLE" to 1.799 under version 3
When the host wrongly changes the price of "GAZOLE" to 0.000
When the price of nozzle 1 is set to 1.500 at the head of fuelling point 2
When the head of fuelling point 2 keeps its prices
When the head of fuelling point 2 takes prices again
Then the head of fuelling point 2 shows 1.799 for nozzle 1
Then the host hears that "GAZOLE" costs 1.799 at fuelling point 2
Then the terminal has made the last price change
Then the terminal refuses the last price change with "not confirmed"
Then the last price change is not in force
When the technician walks the fuelling points
When the technician walks the fuelling points and answers "skip" to "fp 1 nozzle 1 price"
Then the commissioning report says "OK"
Then the step "fp 1 nozzle 1 price" is ok
Then the step "fp 1 nozzle 1 price" is failed
Then the step "fp 1 nozzle 1 price" is skipped
Then the step "fp 1 nozzle 1 price" is open
Then the technician was asked 5 questions
When the host closes fuelling point 2
When the host opens fuelling point 2
When the host closes product "GAZOLE"
When the host opens product "GAZOLE"
When the host closes the site
When the host opens the site
When the host cancels the last sale
When the host refunds 5.00 L and 8.65 EUR of the last sale
When the host settles the last sale at 12.50 L
When the host moves the last sale to card "B2"
When the host corrects the odometer of the last sale to "123456"
When the head of fuelling point 2 is exchanged
When the clock is set to "2026-03-01 12:00:00"
When the stop of fuelling point 2 is pressed
When the emergency stop of the site is pressed
When the emergency stop of the site is reset
Given the emergency stop is wired to an input of the terminal
Then the ledger holds 1 test of 20.00 L of "GAZOLE"
Then the ledger holds no test
Then the host has 1 test of 20.00 L of "GAZOLE"
Then the meter deviates by -40 ml in the journal
When the head of fuelling point 2 reckons wrong amounts
Then the terminal sees 5.00 L for 8.65 EUR at fuelling point 2
When the emergency stop button is pulled out
When the head of fuelling point 2 reports the alarm "vapour recovery error"
When 5.00 L leave nozzle 1 of fuelling point 2 without a release
When the manager stops fuelling point 2
When the host stops fuelling point 2
When the manager acknowledges the fault "UNATTRIBUTED_DELIVERY"
When the host acknowledges the fault "UNATTRIBUTED_DELIVERY"
When the host resets the emergency stop
Then the manager may not reset the emergency stop
Then the manager may not acknowledge the fault "PUMP_LINE_LOST"
Then the terminal has obeyed the host's last order
Then the terminal refuses the host's last order
Then the journal names "manager" for "stop_point"
Then the fault "EMERGENCY_STOP" is there once
When the disk is full
When a bit of the last sale flips in the ledger
When the host confirms the ledger
When somebody copies the ledger
When somebody puts the copy of the ledger back
When the disk has room
When the case is explained
Then the driver is refused with "LIMIT_DAY_QUANTITY"
Then the driver is asked for "PIN"
Then the display shows "Compte bloqué"
Then fuelling point 2 is released for at most 62.00 L
Then fuelling point 2 is released for at most 80.00 EUR
Then fuelling point 2 is not released
Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "7001"
Then the ledger holds no sale
Then the ledger holds 0 sales
Then the ledger holds 2 sales
Then the host has booked 1 sale
Then the host has booked 2 sales
Then the host holds no open authorization
Then the terminal has made the last correction
Then the terminal refuses the last correction
Then the host hears "PUMP_LINE_LOST" from the terminal
Then the host hears no "PUMP_LINE_LOST" from the terminal
Then the host hears that no messages wait
Then the host hears that 2 messages wait
Then the host hears that fuelling point 2 is closed
Then the host hears that fuelling point 2 is open
Then the host hears that "MONTH QUANTITY" is bounded offline
Then the host hears that "WEEK" is not enforced offline
Then the host knows that its newest lists are in use
Then the host knows since when the block counts at the terminal
Then the last sale was decided before that block counted
Then the last sale was decided after that block counted
Then the sale carries cost centre "CC7" and driver "Petit"
Then the sale carries no cost centre and no driver
Then the host agrees with batch 1
Then the host disagrees with batch 12
Then batch 1 sums 2 sales
Then batch 1 sums 1 sale
Then batch 1 sums no sales
Then the advices came in 1 call
Then the advices came in 2 calls
Then 37.50 L remain of the DAY QUANTITY limit of card "7001"
Then 20.00 EUR remain of the MONTH VALUE limit of customer "C1"
Then 1 remain of the DAY COUNT limit of card "7001"
Then the card was asked for the fleet's application and nothing else
Then the card was asked for no PIN and no cryptogram
Then the three books agree
Then the fault "PUMP_LINE_LOST" is raised
Then the fault "PUMP_LINE_LOST" is cleared
Then a delivery of 5.00 L is unattributed at fuelling point 2
Then the display shows a refusal code
Then the display shows no refusal code
Then the refusal code explains "LIMIT_DAY_QUANTITY"
Then sale 1 explains "approved" by the host
Then sale 2 explains "declined" by the terminal
Then the explanation is approved for 62.00 L of "GAZOLE" bound by "LIMIT_DAY_QUANTITY"
Then the explanation is partial for 20.00 L of "GAZOLE" bound by "HOST"
Then the explanation is declined with "CARD_BLOCKED" at step "card"
Then the case is refused at line 3, naming "cards[0].hours"
""".strip().splitlines()
