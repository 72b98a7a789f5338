"""The simulated host's book: exactly once, reversals, reasons, records, controls, the card list, scenarios, speed."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import time
from typing import Any

import pytest

from hal_sim.host import HostBook, ScenarioError
from hal_sim.host.crypto import pin_verifier, token_of
from tests.hal_sim.host_kit import (
    ACCOUNT,
    BADGE,
    CUSTOMER,
    PIN_KEY,
    SPARE,
    STRIPE,
    TOKEN_KEY,
    Terminal,
    card,
    limit,
    scenario,
    world,
)

# --- exactly once -----------------------------------------------------------------------------------------------------


def test_a_repeated_call_changes_nothing_and_has_the_time_of_now() -> None:
    book, terminal, clock = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 100_000)])
    request = terminal.authorization(1)
    first = terminal.send(request)
    clock.ms += 30_000
    again = terminal.send(copy.deepcopy(request))
    assert again == first | {"time": clock.text}
    assert len(book.open_authorizations()) == 1
    record = terminal.record(1, 10_000)
    assert [terminal.send(record)["result"] for _ in range(3)] == ["accepted"] * 3
    assert terminal.send(request)["authorization"] == first["authorization"], "as it was, and no new hold"
    assert not book.open_authorizations()
    assert (len(book.sales()), book.remaining(ACCOUNT, "DAY", "QUANTITY")) == (1, 90_000)


def test_the_same_key_with_another_body_is_409() -> None:
    book, terminal, _ = world()
    terminal.authorize(1)
    assert terminal.refused(terminal.authorization(1, pin="verified")) == (409, "key_reuse")
    terminal.complete(1, 5_000)
    assert terminal.refused(terminal.record(1, 6_000)) == (409, "key_reuse")
    terminal.reverse(2)
    message = {"key": "OPT1-1-2/reverse", "terminal": "OPT1", "sale": "OPT1-1-2", "epoch": 1, "sequence": 2, "reason": "POWER"}
    assert terminal.refused(message) == (409, "key_reuse")
    terminal.advise(terminal.advice(3, 5_000))
    body = {"terminal": "OPT1", "items": [terminal.advice(3, 6_000), terminal.advice(4, 1_000)]}
    assert terminal.call("POST", "/v1/transactions", body, {"Idempotency-Key": "OPT1-1-3/advice"})[0] == 409
    assert [sale["quantity_ml"] for sale in book.sales()] == [5_000, 5_000]


def test_a_sale_is_booked_once_under_whichever_key_comes_first() -> None:
    book, terminal, _ = world()
    terminal.authorize(1)
    assert terminal.advise(terminal.advice(1, 5_000)) == ["accepted"]
    assert not book.open_authorizations(), "the advice closes the hold too"
    assert terminal.complete(1, 5_000) == "duplicate"
    assert terminal.complete(1, 5_000) == "duplicate"
    assert (len(book.sales()), book.totals()) == (1, {(1, 1, "GAZOLE"): (5_000, 865, 1)})
    assert book.conflicts == ["OPT1-1-1/complete"]


def test_items_of_a_batch_stand_alone() -> None:
    book, terminal, _ = world()
    items = [terminal.advice(sequence, 5_000) for sequence in (1, 2, 3)]
    assert terminal.advise(*items) == ["accepted"] * 3
    assert terminal.advise(items[1], terminal.advice(4, 5_000)) == ["accepted"] * 2, "cut in another way after a lost answer"
    other = items[2] | {"quantity_ml": 7_000}
    broken = terminal.advice(6, 5_000) | {"quantity_ml": -5}
    foreign = terminal.advice(7, 5_000) | {"terminal": "OPT2"}
    assert terminal.advise(terminal.advice(5, 5_000), other, broken, foreign) == ["accepted", *["rejected_permanent"] * 3]
    assert len(book.sales()) == 5
    assert terminal.advise(terminal.advice(6, 5_000)) == ["accepted"], "the corrected record"
    assert book.missing_sequences() == []


@pytest.mark.parametrize("items", [[], [1], [{}], [{"key": 5}], [{"key": "x"}], "x", None, [{"key": "OPT1-1-1/advice"}] * 2])
def test_batches_without_readable_keys_are_refused(items: Any) -> None:
    book, terminal, _ = world()
    status, _ = terminal.call("POST", "/v1/transactions", {"terminal": "OPT1", "items": items}, {"Idempotency-Key": "OPT1-1-1/advice"})
    assert (status, book.records()) == (400, [])


def test_retry_books_and_remembers_nothing() -> None:
    book, terminal, _ = world()
    terminal.authorize(1)
    book.busy = True
    assert terminal.complete(1, 5_000) == "retry"
    assert terminal.reverse(2) == "retry"
    assert terminal.advise(terminal.advice(3, 5_000)) == ["retry"]
    assert book.records() == []
    book.busy = False
    assert terminal.complete(1, 5_000) == "accepted"
    assert terminal.advise(terminal.advice(3, 5_000)) == ["accepted"]


# --- reversals --------------------------------------------------------------------------------------------------------


def test_a_reversal_closes_the_hold_and_a_later_authorize_opens_none() -> None:
    book, terminal, _ = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 50_000)])
    terminal.authorize(1)
    assert terminal.reverse(1) == "accepted"
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 50_000
    assert terminal.reverse(2) == "accepted", "nothing known of it"
    late = terminal.authorize(2)
    assert (late["decision"], late["reason"], late["authorization"]) == ("declined", None, None)
    assert not book.open_authorizations()
    assert terminal.advise(terminal.advice(1, 10_000), terminal.advice(2, 0)) == ["accepted"] * 2, "decided offline after all"
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 40_000
    assert [each["sale"] for each in book.reversals()] == ["OPT1-1-1", "OPT1-1-2"]


def test_an_authorize_after_the_record_opens_no_hold() -> None:
    book, terminal, _ = world()
    terminal.advise(terminal.advice(1, 10_000))
    assert terminal.authorize(1)["decision"] == "declined"
    assert not book.open_authorizations()


# --- who may take fuel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "changes", "reason"),
    [
        (card(STRIPE), {}, "CARD_UNKNOWN"),
        (card(BADGE, status="blocked"), {}, "CARD_BLOCKED"),
        (card(BADGE, customer="C9"), {}, "CUSTOMER_BLOCKED"),
        (card(BADGE, customer=None), {}, "CUSTOMER_BLOCKED"),
        (card(BADGE, pin="1234"), {}, "PIN_WRONG"),
        (card(BADGE, pin="1234"), {"pin": "verified"}, None),
        (card(BADGE, valid_to="2026-03-27"), {}, "CARD_EXPIRED"),
        (card(BADGE, valid_to="2026-03-28"), {}, None),
        (card(BADGE, valid_from="2026-03-29"), {}, "CARD_NOT_YET_VALID"),
        (card(BADGE, sites=["S2"]), {}, "SITE_NOT_ALLOWED"),
        (card(BADGE, sites=["S2", "S1"]), {}, None),
        (card(BADGE, products=["SP95"]), {}, "PRODUCT_NOT_ALLOWED"),
        (card(BADGE, pair="driver"), {}, "SECOND_CARD_WRONG"),
        (card(BADGE, offline="NEVER"), {}, None),
    ],
)
def test_reasons(row: dict[str, Any], changes: dict[str, Any], reason: str | None) -> None:
    _, terminal, _ = world(cards=[row])
    answer = terminal.authorize(1, **changes)
    assert (answer["reason"], answer["decision"]) == (reason, "approved" if reason is None else "declined")


def test_products_are_a_subset_of_the_request_and_restricted_ones_must_be_named() -> None:
    _, terminal, _ = world(cards=[card(BADGE, products=["SP95"]), card(STRIPE)], restricted_products=["GAZOLE"])
    assert terminal.authorize(1, products=("GAZOLE", "SP95"))["products"] == ["SP95"]
    assert terminal.authorize(2, STRIPE, products=("GAZOLE", "SP95"))["products"] == ["SP95"]
    assert terminal.authorize(3, STRIPE)["reason"] == "PRODUCT_NOT_ALLOWED"


def test_a_second_card_may_be_an_account_or_one_of_the_same_group() -> None:
    _, terminal, _ = world(cards=[card(BADGE, pair=STRIPE), card(STRIPE), card(SPARE, pair="truck"), card("7002", pair="truck")])
    pairs = [(BADGE, STRIPE, None), (BADGE, SPARE, "SECOND_CARD_WRONG"), (SPARE, "7002", None)]
    for sequence, (number, other, reason) in enumerate(pairs, start=1):
        second = terminal.sealed(other, f"OPT1-1-{sequence}", second=True)
        assert terminal.authorize(sequence, number, second_card=second)["reason"] == reason
    assert STRIPE not in json.dumps(terminal.rows())


def test_a_seal_that_is_not_of_this_card_is_refused_but_its_fuel_is_booked() -> None:
    book, terminal, _ = world()
    wrong = terminal.sealed(BADGE, "OPT1-1-1") | {"token": token_of(TOKEN_KEY, STRIPE)}
    assert terminal.refused(terminal.authorization(1) | {"card": wrong}) == (422, "seal_mismatch")
    stale = terminal.sealed(BADGE, "OPT1-1-9")
    assert terminal.refused(terminal.authorization(1) | {"card": stale}) == (422, "seal_mismatch")
    assert terminal.complete(1, 5_000, card=stale) == "accepted_flagged"
    assert "SEAL_MISMATCH" in book.sales()[0]["flags"]


def test_blocking_acts_online_at_once_and_in_lists_when_published() -> None:
    book, terminal, _ = world(cards=[card(BADGE), card(STRIPE)])
    book.block(card=BADGE)
    assert terminal.authorize(1)["reason"] == "CARD_BLOCKED"
    assert not [row for row in terminal.rows() if row["row"] == "deny"]
    book.block(customer="C1")
    book.block(card="unheard of")
    book.block(numbers=("7001000000000000000", "7001999999999999999"))
    assert terminal.authorize(2, STRIPE)["reason"] == "CARD_BLOCKED", "the range"
    book.unblock(numbers=("7001000000000000000", "7001999999999999999"))
    assert terminal.authorize(3, STRIPE)["reason"] == "CUSTOMER_BLOCKED"
    assert book.publish() == 2
    denied = [row for row in terminal.rows() if row["row"] == "deny"]
    assert {"row": "deny", "customer": "C1"} in denied
    assert {"row": "deny", "card": book.token_of(BADGE)} in denied
    assert len(denied) == 3
    book.unblock(card=BADGE)
    book.unblock(customer="C1")
    assert terminal.authorize(4)["decision"] == "approved"
    with pytest.raises(ValueError, match="exactly one"):
        book.block()


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_delivered_volume_is_always_booked() -> None:
    book, terminal, _ = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 10_000)])
    assert terminal.advise(terminal.advice(1, 5_000, STRIPE)) == ["accepted_flagged"]
    assert terminal.advise(terminal.advice(2, 0, STRIPE)) == ["accepted"], "no fuel, nothing to flag"
    assert terminal.complete(3, 5_000) == "accepted_flagged"
    assert terminal.advise(terminal.advice(4, 5_001)) == ["accepted_flagged"]
    book.block(card=BADGE)
    assert terminal.advise(terminal.advice(5, 1, product=None, currency="CHF", site="S2")) == ["accepted_flagged"]
    flags = [record["flags"] for record in book.records()]
    assert flags[:3] == [["CARD_UNKNOWN"], [], ["AUTHORIZATION_UNKNOWN"]]
    assert flags[3:] == [["LIMIT_DAY_QUANTITY"], ["CARD_BLOCKED", "PRODUCT_MISSING", "CURRENCY", "SITE", "LIMIT_DAY_QUANTITY"]]
    assert sum(volume for volume, _, _ in book.totals().values()) == 15_002
    assert book.records()[0]["account"] is None
    assert book.records()[2]["account"] == book.token_of(BADGE)


def test_numbers_in_clear_are_in_no_answer_list_or_repr() -> None:
    book, terminal, _ = world(cards=[card(STRIPE, pin="4711")])
    terminal.authorize(1, STRIPE, pin="verified")
    terminal.complete(1, 5_000, STRIPE)
    everything = repr([book.records(), book.open_authorizations(), book.find("OPT1-1-1"), terminal.rows(), vars(book)])
    assert STRIPE not in everything
    assert "4711" not in everything


def test_missing_sequences_and_watermark() -> None:
    book, terminal, _ = world()
    for sequence in (1, 2, 5):
        terminal.advise(terminal.advice(sequence, 1_000))
    terminal.authorize(7)
    assert (book.watermark(), book.missing_sequences()) == (2, [(1, 3), (1, 4), (1, 6), (1, 7)])
    terminal.advise(*[terminal.advice(sequence, 0) for sequence in (3, 4)])
    assert (book.watermark(), book.missing_sequences()) == (5, [(1, 6), (1, 7)])
    terminal.advise(terminal.advice(1, 0, epoch=2))
    assert book.watermark() == 1, "of the newest epoch"


# --- the card list ----------------------------------------------------------------------------------------------------


def test_the_list_is_whole_and_checkable() -> None:
    book, terminal, _ = world(cards=[card(BADGE, pin="1234", account="A1"), card(STRIPE, medium="stripe")], restricted_products=["GNR"])
    _, lists = terminal.call("GET", "/v1/terminals/OPT1/lists")
    head = lists["lists"]["cards"]
    path = f"/v1/terminals/OPT1/lists/cards/{head['epoch']}/{head['version']}"
    status, headers, data = book.handle("GET", path, {}, b"")
    packed = book.handle("GET", path, {"Accept-Encoding": "gzip, deflate"}, b"")
    assert (status, headers["Content-Type"], packed[1]["Content-Encoding"]) == (200, "application/x-ndjson", "gzip")
    assert gzip.decompress(packed[2]) == data
    lines = data.splitlines(keepends=True)
    assert hashlib.sha256(b"".join(lines[:-1])).hexdigest() == head["sha256"] == json.loads(lines[-1])["sha256"]
    assert len(lines) - 1 == head["rows"] == json.loads(lines[-1])["rows"]
    rows = terminal.rows()
    first = next(row for row in rows if row["row"] == "card")
    assert first["account"] == book.token_of("A1") != first["token"]
    assert first["pin"]["verifier"] == pin_verifier(PIN_KEY, book.token_of("A1"), 1, "1234")
    assert [row for row in rows if row["row"] == "product"] == [
        {"row": "product", "product": "GAZOLE", "restricted": False},
        {"row": "product", "product": "GNR", "restricted": True},
        {"row": "product", "product": "SP95", "restricted": False},
    ]


def test_baselines_and_balances_leave_to_the_terminal_what_is_above_the_watermark() -> None:
    balance = {"subject": CUSTOMER, "kind": "prepaid", "measure": "VALUE", "amount": 50_000, "products": None}
    book, terminal, clock = world(
        limits=[limit(CUSTOMER, "DAY", "QUANTITY", 200_000), limit(ACCOUNT, "MONTH", "COUNT", 9, ["SP95"])],
        host_counts=[limit(CUSTOMER, "DAY", "QUANTITY", 20_000)],
        balances=[balance],
    )
    terminal.advise(terminal.advice(1, 10_000), terminal.advice(2, 0), terminal.advice(4, 5_000))
    book.publish()
    rows = terminal.rows()
    base = {"row": "baseline", "subject": CUSTOMER, "measure": "QUANTITY", "products": None}
    assert [row for row in rows if row["row"] == "baseline"] == [base | {"window": "2026-03-28", "amount": 30_000, "watermark": 2}]
    (shown,) = [row for row in rows if row["row"] == "balance"]
    assert (shown["amount"], shown["watermark"]) == (50_000 - 1_729, 2)
    terminal.advise(terminal.advice(3, 0))
    book.publish()
    rows = terminal.rows()
    assert [row for row in rows if row["row"] == "baseline"] == [base | {"window": "2026-03-28", "amount": 35_000, "watermark": 4}]
    clock.set("2026-03-28T23:00:00.000Z")
    book.publish()
    assert not [row for row in terminal.rows() if row["row"] == "baseline"], "a new day starts at 0"


def test_versions_epochs_and_unlocked_pins() -> None:
    book, terminal, _ = world(cards=[card(BADGE, pin="1234", account="A1"), card(SPARE, pin="1234", account="A1")])
    before = next(row["pin"] for row in terminal.rows() if row["row"] == "card")
    book.unlock_pin(SPARE)
    book.publish()
    pins = [row["pin"] for row in terminal.rows() if row["row"] == "card"]
    assert [pin["epoch"] for pin in pins] == [2, 2], "the account's, for every badge of it"
    assert pins[0]["verifier"] != before["verifier"]
    for _ in range(6):
        book.publish()
    assert terminal.call("GET", "/v1/terminals/OPT1/lists/cards/e1/1")[0] == 410
    assert terminal.call("GET", "/v1/terminals/OPT1/lists/cards/e9/1")[0] == 404
    book.restart_lists("e2")
    assert (book.list_epoch, book.list_version) == ("e2", 1)
    assert terminal.rows()[-1]["row"] == "end"
    with pytest.raises(ValueError, match="not known"):
        book.unlock_pin("nobody")


def test_prices() -> None:
    book, _, _ = world()
    book.change_price("GAZOLE", 17_990)
    assert book.prices() == {(1, 1): ("GAZOLE", 17_990), (1, 2): ("SP95", 18_990)}
    with pytest.raises(ValueError, match="sold here"):
        book.change_price("COAL", 1)


# --- scenarios and speed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"decimals": 5}, "decimals"),
        ({"cards": [card(STRIPE), card(STRIPE)]}, r"cards\[1\].number"),
        ({"cards": [card(STRIPE, pin="12x4")]}, r"cards\[0\].pin"),
        ({"limits": [limit(ACCOUNT, "DAY", "QUANTITY", -1)]}, r"limits\[0\].amount"),
        ({"limits": [limit(ACCOUNT, "FUELLING", "COUNT", 1)]}, r"limits\[0\].measure"),
        ({"limits": [limit({"driver": "x"}, "DAY", "COUNT", 1)]}, r"limits\[0\].subject"),
        ({"host_counts": [limit(ACCOUNT, "FUELLING", "QUANTITY", 1)]}, r"host_counts\[0\].period"),
    ],
)
def test_a_wrong_scenario_is_refused_by_place_and_not_by_value(change: dict[str, Any], where: str) -> None:
    with pytest.raises(ScenarioError, match=where) as caught:
        HostBook(scenario(**change), lambda: 0)
    assert STRIPE not in str(caught.value)
    assert "12x4" not in str(caught.value)


def _microseconds(terminal: Terminal, first: int, calls: int) -> float:
    bodies = [terminal.authorization(sequence) for sequence in range(first, first + calls)]
    raw = [(json.dumps(body).encode(), {"Idempotency-Key": body["key"]}) for body in bodies]
    started = time.perf_counter()
    for data, headers in raw:
        assert terminal.book.handle("POST", "/v1/authorizations", headers, data)[0] == 200
    return (time.perf_counter() - started) * 1e6 / calls


def test_an_authorization_is_quick_and_stays_so_with_many_records() -> None:
    # The bar is 100 µs on a quiet machine; ten times that fails only when something walks over the records.
    _, terminal, _ = world(limits=[limit(CUSTOMER, "DAY", "QUANTITY", 900_000_000), limit(ACCOUNT, "MONTH", "COUNT", 100_000)])
    few = min(_microseconds(terminal, 1 + 200 * part, 200) for part in range(3))
    for start in range(1000, 9000, 100):
        terminal.advise(*[terminal.advice(sequence, 10) for sequence in range(start, start + 100)])
    many = min(_microseconds(terminal, 9000 + 200 * part, 200) for part in range(3))
    print(f"authorization: {few:.0f} µs with few records, {many:.0f} µs with 8,000")
    assert many < 1000
