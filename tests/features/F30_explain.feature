Feature: F30 Every step, reason and remainder of a decision can be asked for

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 1  | dart     | 1      | GAZOLE  | 1.729 |
    And the customers
      | customer |
      | C1       |
    And the cards
      | number         | medium | customer | language | offline |
      | 04A1B2C3D4E5F6 | badge  | C1       | fr       | ALLOWED |
    And the limits
      | subject             | period | measure  | amount  |
      | card 04A1B2C3D4E5F6 | DAY    | QUANTITY | 62.00 L |

  Scenario: A case in a file is decided by the terminal's own arithmetic
    When the case is explained
      """
      {"now": "2026-03-29T03:30:00+02:00", "zone": "Europe/Paris", "currency": "EUR", "site": "S1", "clock": "trusted",
       "host": "unreachable", "lists_checked": "2026-03-29T00:30:00Z",
       "customers": [{"customer": "C1"}], "cards": [{"number": "7001", "customer": "C1"}],
       "limits": [{"subject": "card 7001", "period": "DAY", "measure": "QUANTITY", "amount": 100000}],
       "sales": [{"sequence": 42, "account": "7001", "customer": "C1", "product": "GAZOLE", "quantity_ml": 38000, "value_minor": 6570,
                  "authorized_at": "2026-03-28T23:10:00Z", "state": "delivered"}],
       "request": {"card": "7001", "nozzles": [{"nozzle": 1, "product": "GAZOLE", "price": 17290}]}}
      """
    Then the explanation is approved for 62.00 L of "GAZOLE" bound by "LIMIT_DAY_QUANTITY"

  Scenario: A wish for more than is left is granted in part
    When the case is explained
      """
      {"now": "2026-03-29T03:30:00+02:00", "zone": "Europe/Paris", "currency": "EUR", "site": "S1", "clock": "trusted",
       "host": {"decision": "partial", "quantity_ml": 20000}, "lists_checked": null,
       "request": {"card": "7001", "nozzles": [{"nozzle": 1, "product": "GAZOLE", "price": 17290}], "wish": {"quantity_ml": 30000}}}
      """
    Then the explanation is partial for 20.00 L of "GAZOLE" bound by "HOST"

  Scenario: The optional fields: a share, a cap on what is unsent, hours and a range that is online only
    When the case is explained
      """
      {"now": "2026-03-27T10:00:00+01:00", "zone": "Europe/Paris", "currency": "EUR", "site": "S1", "clock": "trusted",
       "host": "unreachable", "lists_checked": "2026-03-27T08:30:00Z", "networks": ["NORD"], "online_only": ["range 8000-8999"],
       "policy": {"exposure_terminal_ml": 90000},
       "customers": [{"customer": "C1"}], "cards": [{"number": "7001", "customer": "C1", "sites": ["NORD"], "hours": "Mo-Fr 06:00-20:00"}],
       "limits": [{"subject": "customer C1", "period": "MONTH", "measure": "QUANTITY", "amount": 900000, "shared": true}],
       "shares": [{"subject": "customer C1", "period": "MONTH", "window": "2026-03", "measure": "QUANTITY", "amount": 80000, "watermark": 41}],
       "sales": [{"sequence": 42, "account": "7009", "product": "GAZOLE", "quantity_ml": 30000, "value_minor": 5187,
                  "authorized_at": "2026-03-27T07:10:00Z", "state": "delivered", "unsent": true}],
       "request": {"card": "7001", "nozzles": [{"nozzle": 1, "product": "GAZOLE", "price": 17290}]}}
      """
    Then the explanation is approved for 60.00 L of "GAZOLE" bound by "EXPOSURE_REACHED"

  Scenario: A decline names its reason and its step
    When the case is explained
      """
      {"now": "2026-03-27T21:00:00+01:00", "zone": "Europe/Paris", "currency": "EUR", "site": "S1", "clock": "trusted",
       "host": {"decision": "approved"}, "lists_checked": null,
       "cards": [{"number": "7001", "hours": "Mo-Fr 06:00-20:00"}],
       "request": {"card": "7001", "nozzles": [{"nozzle": 1, "product": "GAZOLE", "price": 17290}]}}
      """
    Then the explanation is declined with "TIME_NOT_ALLOWED" at step "site"

  Scenario: A case that cannot be read is refused by line and field
    When the case is explained
      """
      {"now": "2026-03-27T21:00:00+01:00", "zone": "Europe/Paris", "currency": "EUR", "site": "S1", "clock": "trusted",
       "host": "unreachable", "lists_checked": null,
       "cards": [{"number": "7001", "hours": "whenever"}],
       "request": {"card": "7001", "nozzles": []}}
      """
    Then the case is refused at line 3, naming "cards[0].hours"

  Scenario: The decision that let a sale go can be asked for afterwards, decided by the host or by the terminal
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    And 20.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 1 sale of 20.00 L of "GAZOLE"
    And sale 1 explains "approved" by the host
    When the host becomes unreachable
    And 10 s pass
    And the driver presents badge "04A1B2C3D4E5F6"
    And the driver chooses fuelling point 1
    And the driver lifts nozzle 1 at fuelling point 1
    Then fuelling point 1 is released for at most 42.00 L
    When 5.00 L flow at fuelling point 1
    And the driver hangs up at fuelling point 1
    Then the ledger holds 2 sales
    And sale 2 explains "approved" by the terminal
