"""Card lists that are not what they claim: refused whole, with the line and the field and nothing of their content."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.card_data import Balance, Baseline, Card, Customer, Limit
from terminal.host.list_sync import ListTrouble, _lines, lines_of
from terminal.host.snapshot import MAX_LINE, SnapshotError, read
from terminal.store.card_file import DenyRow, ListRow
from tests.hal_sim.host_kit import openapi, validator, world
from tests.host.kit import BALANCE, BASELINE, CUSTOMER, LIMIT, NUMBER, PRODUCT, card_row, lines_for

GOOD: list[dict[str, Any]] = [
    CUSTOMER,
    card_row(),
    LIMIT,
    BALANCE,
    BASELINE,
    PRODUCT,
    {"row": "deny", "customer": "C9"},
    {"row": "deny", "range": ["7001000000000000000", "7001999999999999999"]},
    {"row": "deny", "card": "f" * 32},
]


def rows_of(*rows: dict[str, Any] | bytes, **end: Any) -> list[ListRow]:
    """Read a snapshot of these rows."""
    lines, digest, _ = lines_for(rows, **end)
    return list(read(lines, digest))


def test_a_good_list_is_read_whole() -> None:
    """Each kind of row; those of products say nothing that a terminal keeps."""
    assert all(validator("ListRow").is_valid(row) for row in GOOD)
    kinds = [type(row) for row in rows_of(*GOOD)]
    assert kinds == [Customer, Card, Limit, Balance, Baseline, DenyRow, DenyRow, DenyRow]


@pytest.mark.parametrize("name", ["CustomerRow", "CardRow", "LimitRow", "BalanceRow", "BaselineRow", "DenyRow", "ProductRow"])
def test_the_contracts_examples_are_read(name: str) -> None:
    """The OpenAPI file's own rows."""
    for row in openapi()["components"]["schemas"][name]["examples"]:
        assert len(rows_of(json.loads(json.dumps(row, default=str)))) == (name != "ProductRow")


def test_the_host_of_the_tests_is_read() -> None:
    """What the simulated host publishes."""
    book, terminal, _ = world()
    status, heads = terminal.call("GET", "/v1/terminals/OPT1/lists")
    head = heads["lists"]["cards"]
    _, _, data = book.handle("GET", f"/v1/terminals/OPT1/lists/cards/{head['epoch']}/{head['version']}", {}, b"")
    assert status == 200
    assert list(read(lines_of(data), head["sha256"], head["rows"]))


def test_an_empty_list_is_a_list() -> None:
    """Nobody may fuel, and that is what the host says."""
    assert rows_of() == []


@pytest.mark.parametrize("cut", range(len(GOOD) + 1))
def test_a_list_cut_short_is_refused(cut: int) -> None:
    """Wherever it ends."""
    lines, digest, _ = lines_for(GOOD)
    with pytest.raises(SnapshotError):
        list(read(lines[:cut], digest))


@pytest.mark.parametrize(
    "end", [{"rows": 8}, {"rows": 10}, {"sha256": "0" * 64}, {"rows": -1}, {"sha256": ""}, {"extra": 1}, {"rows": "9"}]
)
def test_a_wrong_end_row_is_refused(end: dict[str, Any]) -> None:
    """Rows or hash differ, or it is no end row."""
    with pytest.raises(SnapshotError):
        rows_of(*GOOD, **end)


def test_the_announced_hash_and_rows_count() -> None:
    """A list that agrees with itself and not with its head is another list."""
    lines, digest, rows = lines_for(GOOD)
    with pytest.raises(SnapshotError):
        list(read(lines, "0" * 64))
    with pytest.raises(SnapshotError):
        list(read(lines, digest, rows + 1))


def test_rows_behind_the_end_are_refused() -> None:
    """Even a second end row."""
    lines, digest, _ = lines_for(GOOD)
    for more in (lines[0], lines[-1], b""):
        with pytest.raises(SnapshotError, match="behind the end row"):
            list(read([*lines, more], digest))


WRONG: dict[str, dict[str, Any] | bytes] = {
    "unknown field": CUSTOMER | {"colour": "red"},
    "unknown field in a subject": LIMIT | {"subject": {"customer": "C1", "site": "S1"}},
    "unknown field of a pin": card_row(pin={"scheme": "opin1", "epoch": 1, "verifier": "f" * 32, "tries": 3, "length": 4}),
    "unknown row": {"row": "discount", "customer": "C1"},
    "no row": {"customer": "C1"},
    "unknown status": CUSTOMER | {"status": "asleep"},
    "unknown offline": card_row(offline="MAYBE"),
    "unknown medium": card_row(medium="phone"),
    "unknown zone": CUSTOMER | {"zone": "Mars/Phobos"},
    "zone is a folder": CUSTOMER | {"zone": "America"},
    "zone climbs": CUSTOMER | {"zone": "../../etc/passwd"},
    "negative limit": LIMIT | {"amount": -1},
    "negative balance": BALANCE | {"amount": -1},
    "negative baseline": BASELINE | {"amount": -1},
    "negative watermark": BALANCE | {"watermark": -1},
    "negative tank": card_row(tank_ml=-1),
    "limit with a point": LIMIT | {"amount": 1.5},
    "limit beyond counting": LIMIT | {"amount": 10**40},
    "subject of two": LIMIT | {"subject": {"customer": "C1", "card": "f" * 32}},
    "subject of none": LIMIT | {"subject": {}},
    "no such month": BASELINE | {"window": "2026-13"},
    "no such day": BASELINE | {"window": "2026-02-30"},
    "no window": BASELINE | {"window": "march"},
    "clear number as token": card_row(token=NUMBER),
    "clear number as account": card_row(account=NUMBER),
    "clear number as last4": card_row(last4=NUMBER),
    "clear number as verifier": card_row(pin={"scheme": "opin1", "epoch": 1, "verifier": "1234", "tries": 3}),
    "no tries": card_row(pin={"scheme": "opin1", "epoch": 1, "verifier": "f" * 32, "tries": 0}),
    "pin epoch too large to store": card_row(pin={"scheme": "opin1", "epoch": 2**64, "verifier": "f" * 32, "tries": 3}),
    "no such date": card_row(valid_to="2026-02-30"),
    "deny of nobody": {"row": "deny"},
    "deny of two": {"row": "deny", "card": "f" * 32, "customer": "C1"},
    "deny of unequal lengths": {"row": "deny", "range": ["70", "7001"]},
    "deny range upside down": {"row": "deny", "range": ["7002", "7001"]},
    "deny range of nothing": {"row": "deny", "range": ["", ""]},
    "deny range of three": {"row": "deny", "range": ["1", "2", "3"]},
    "no json": b"row=customer",
    "empty line": b"",
    "not utf-8": b'{"row":"customer","customer":"\xff","status":"active","offline":"ALLOWED","zone":null}',
    "deep": b'{"row":' + b"[" * 16_000,
    "over-long": json.dumps(CUSTOMER | {"customer": "C" * MAX_LINE}).encode(),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_row_refuses_the_whole_list(what: str) -> None:
    """With the line's number, and without a card's number."""
    with pytest.raises(SnapshotError, match="^line 2: ") as refusal:
        rows_of(CUSTOMER, WRONG[what], card_row())
    assert NUMBER not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("place", ["row", "status", "customer", NUMBER])
def test_no_content_gets_into_the_error(place: str) -> None:
    """Neither as a value nor as a field's name."""
    for wrong in (CUSTOMER | {place: NUMBER}, CUSTOMER | {place: [NUMBER]}, CUSTOMER | {f"x' - at `{NUMBER}`": 1}):
        with contextlib.suppress(SnapshotError):
            rows_of(wrong)
            continue  # a customer may be called as it likes
        with pytest.raises(SnapshotError) as refusal:
            rows_of(wrong)
        assert NUMBER not in str(refusal.value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_a_snapshot_error(line: bytes) -> None:
    """Any line: rows, or a refusal."""
    with pytest.raises(SnapshotError):
        list(read([line, b'{"row":"end"'], "0" * 64))


# --- lines ----------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.lists(st.integers(0, 300), max_size=20))
def test_lines_do_not_depend_on_how_they_travel(lines: list[bytes], cuts: list[int]) -> None:
    """Whatever the pieces: the same lines, the last one with and without its line feed."""
    body = b"".join(line + b"\n" for line in lines)
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in zip(places, places[1:], strict=False)]
    assert list(_lines(iter(pieces))) == lines
    if lines and lines[-1]:
        assert list(_lines(iter([body[:-1]]))) == lines


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    """Endless bytes without a line feed."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(ListTrouble, match="longer than"):
        list(_lines(endless()))


def test_twenty_thousand_cards_in_bounded_memory() -> None:
    """Read as a stream: what is held does not grow with the list."""
    lines, digest, rows = lines_for(card_row(number) for number in range(1, 20_001))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read(iter(lines), digest, rows))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 1 << 20
