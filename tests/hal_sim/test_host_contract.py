"""The simulated host and its OpenAPI file say the same: examples, fields, values, refusals, keys and seals."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hal_sim.host import messages as wire
from hal_sim.host import report_messages as report
from hal_sim.host.crypto import Sealer, pin_verifier, token_of
from hal_sim.host.messages import instant_ms
from tests.hal_sim.host_kit import (
    BADGE,
    CARD_KEY,
    STRIPE,
    card,
    openapi,
    valid,
    validator,
    world,
)

# --- the contract -----------------------------------------------------------------------------------------------------


def test_golden_token_and_verifier() -> None:
    # The vector of security-and-reliability, section "Test vectors": token key 00..1F, epoch 7, PIN 1234.
    token = token_of(bytes(range(32)), "7001231234567890123")
    assert token == "dccb1c42ae098ab1a71cdd079d48df17"
    device = bytes.fromhex("2abe3241213af4d6c6833ed3906305268560b3c35a6e058b6195c2b68ff5382c")
    assert pin_verifier(device, token, 7, "1234") == "1e05479cec35d4fce704acc62dab3a1d"
    assert pin_verifier(device, token, 7, "1235") == "43b079ea72a312bf6cc8360b4d9a63a6"


def test_a_second_card_is_sealed_under_another_nonce() -> None:
    sealer = Sealer(CARD_KEY)
    first, second = sealer.seal(STRIPE, "OPT1-1-1"), sealer.seal(STRIPE, "OPT1-1-1", second=True)
    assert first != second
    assert sealer.open(second, "OPT1-1-1", second=True) == sealer.open(first, "OPT1-1-1", second=True) == STRIPE


def test_every_example_of_the_openapi_file_is_valid() -> None:
    count = 0
    for name, schema in openapi()["components"]["schemas"].items():
        for example in schema.get("examples", []):
            validator(name).validate(example)
            count += 1
    assert count > 20


def test_the_examples_of_the_calls_are_understood() -> None:
    book, terminal, _ = world(cards=[card(BADGE, pin="1234")])
    schemas = openapi()["components"]["schemas"]
    assert terminal.send(schemas["Authorization"]["examples"][0])["decision"] == "approved"
    assert terminal.send(schemas["Completion"]["examples"][0])["result"] == "accepted"
    assert terminal.advise(*schemas["Transactions"]["examples"][0]["items"]) == ["accepted"]
    assert terminal.send(schemas["Reversal"]["examples"][0])["result"] == "accepted"
    assert terminal.close_batch(schemas["Batch"]["examples"][0]) == schemas["BatchResult"]["examples"][0] | {"time": terminal.clock.text}
    assert terminal.call("POST", "/v1/terminals/OPT1/lists/cards/applied", schemas["Applied"]["examples"][0])[0] == 200
    row = next(row for row in terminal.rows() if row["row"] == "card")
    assert row == schemas["CardRow"]["examples"][0]
    assert book.find("OPT1-1-42") is not None


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Authorization", wire.AUTHORIZATION),
        ("Record", wire.RECORD),
        ("Reversal", wire.REVERSAL),
        ("Card", wire.CARD),
        ("State", report.STATE),
        ("Batch", report.BATCH),
        ("Applied", report.APPLIED),
    ],
)
def test_the_book_and_the_openapi_file_name_the_same_fields(name: str, table: wire.Table) -> None:
    schema = openapi()["components"]["schemas"][name]
    assert set(schema["properties"]) == set(table)
    assert set(schema["required"]) == set(table) - OPTIONAL.get(name, frozenset())


OPTIONAL = {"Authorization": wire.AUTHORIZATION_OPTIONAL, "Record": wire.RECORD_OPTIONAL, "State": report.STATE_OPTIONAL}
BAD_VALUES: list[Any] = [None, True, -1, 0, 1.0, 10**16, "", "ü", "x" * 500, [], {}, [{}], {"quantity_ml": 0}, {"value_minor": -5}]


def _agree(schema: str, table: wire.Table, good: dict[str, Any], places: list[tuple[str | int, ...]]) -> None:
    """Every bad value at every place is refused by both or taken by both."""
    validator(schema).validate(good)
    optional = OPTIONAL.get(schema, frozenset[str]())
    wire.verify(good, table, "", optional)
    for place in places:
        for value in BAD_VALUES:
            if isinstance(value, float):
                continue
            message = copy.deepcopy(good)
            inner: Any = message
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = value
            try:
                wire.verify(message, table, "", optional)
                accepted = True
            except wire.Refusal:
                accepted = False
            assert accepted == valid(schema, message), (place, value)


@pytest.mark.parametrize(("schema", "table"), [("State", report.STATE), ("Batch", report.BATCH), ("Applied", report.APPLIED)])
def test_the_book_and_the_openapi_file_refuse_the_same_reports(schema: str, table: wire.Table) -> None:
    good = openapi()["components"]["schemas"][schema]["examples"][0]
    places: list[tuple[str | int, ...]] = [(name,) for name in good if name != "key"]
    for name, value in good.items():
        for inner in value if isinstance(value, dict) else ():
            places.append((name, inner))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            places += [(name, 0, inner) for inner in value[0]]
    if schema == "State":
        places += [("lists", "cards", inner) for inner in good["lists"]["cards"]]
    _agree(schema, table, good, places)


@pytest.mark.parametrize("call", ["authorize", "complete", "reverse"])
def test_the_book_and_the_openapi_file_refuse_the_same_values(call: str) -> None:
    _, terminal, _ = world()
    good = {
        "authorize": terminal.authorization(1),
        "complete": terminal.record(1, 5_000),
        "reverse": {"key": "OPT1-1-1/reverse", "terminal": "OPT1", "sale": "OPT1-1-1", "epoch": 1, "sequence": 1, "reason": "POWER"},
    }[call]
    schema = {"authorize": "Authorization", "complete": "Completion", "reverse": "Reversal"}[call]
    table = {"authorize": wire.AUTHORIZATION, "complete": wire.RECORD, "reverse": wire.REVERSAL}[call]
    optional = OPTIONAL.get("Record" if call == "complete" else schema, frozenset[str]())
    wire.verify(good, table, "", optional)
    for field in set(good) - {"key", "sale"}:
        for value in BAD_VALUES:
            if isinstance(value, float):
                continue  # JSON Schema takes 1.0 for an integer; the book does not, see the test of malformed bodies.
            message = good | {field: value}
            try:
                wire.verify(message, table, "", optional)
                accepted = True
            except wire.Refusal:
                accepted = False
            assert accepted == valid(schema, message), (field, value)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"quantity_ml": -1}, 400, "bad_request"),
        ({"quantity_ml": 5000.0}, 400, "bad_request"),
        ({"quantity_ml": "5000"}, 400, "bad_request"),
        ({"sequence": 2}, 400, "bad_request"),
        ({"terminal": "OPT2"}, 400, "bad_request"),
        ({"authorized_at": "2026-02-30T00:00:00.000Z"}, 400, "bad_request"),
        ({"authorized_at": "2026-02-28T00:00:00Z"}, 400, "bad_request"),
        ({"litres": 5, "foo": 1}, 422, "unknown_fields"),
        ({"card": {"token": "00", "last4": "", "sealed": "AA=="}}, 400, "bad_request"),
        ({"card": {"token": "0" * 32, "last4": "", "sealed": "AA==", "pan": STRIPE}}, 422, "unknown_fields"),
    ],
)
def test_malformed_records_are_refused_and_book_nothing(change: dict[str, Any], status: int, code: str) -> None:
    book, terminal, _ = world()
    assert terminal.refused(terminal.record(1, 5_000) | change) == (status, code)
    assert book.records() == []
    assert terminal.complete(1, 5_000) == "accepted_flagged", "the right one is not spoiled by the wrong one"
    assert STRIPE not in str(book.refused)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"a":NaN}', b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    _, terminal, _ = world()
    for path in (
        "/v1/authorizations",
        "/v1/transactions",
        "/v1/authorizations/OPT1-1-1/completion",
        "/v1/authorizations/OPT1-1-1/reversal",
    ):
        assert terminal.call("POST", path, body)[0] == 400


def test_paths_methods_and_terminals() -> None:
    book, terminal, _ = world()
    for method, path, status in [
        ("GET", "/v1/authorizations", 405),
        ("POST", "/v1/time", 405),
        ("GET", "/", 404),
        ("GET", "/v2/time", 404),
        ("GET", "/v1/terminals/OPT9/lists", 404),
        ("GET", "/v1/terminals/OPT1/lists/cards/e1/99", 404),
        ("GET", "/v1/terminals/OPT1/lists/cards/e1/x", 404),
        ("PUT", "/v1/terminals/OPT9/state", 404),
        ("POST", "/v1/terminals/OPT9/lists/cards/applied", 404),
        ("POST", "/v1/terminals/OPT9/batches/1/close", 404),
        ("GET", "/v1/terminals/OPT1/batches/1/close", 405),
        ("GET", "/v1/terminals/OPT1/lists/cards/applied", 405),
    ]:
        assert terminal.call(method, path)[0] == status, path
    assert terminal.call("GET", "/v1/time") == (200, {"time": "2026-03-28T22:50:00.000Z"})
    state = openapi()["components"]["schemas"]["State"]["examples"][0]
    assert terminal.call("PUT", "/v1/terminals/OPT1/state", state)[0] == 200
    assert (book.terminal_state, book.terminal_state_at_ms) == (state, instant_ms("2026-03-28T22:50:00.000Z"))


def test_the_header_is_the_key() -> None:
    book, terminal, _ = world()
    message = terminal.authorization(1)
    assert terminal.call("POST", "/v1/authorizations", message)[1]["error"] == "key_missing"
    assert terminal.call("POST", "/v1/authorizations", message, {"idempotency-key": "OPT1-1-2/authorize"})[1]["error"] == "key_mismatch"
    assert not book.open_authorizations()
