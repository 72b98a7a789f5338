"""The rows of card lists, one by one: what the contract knows is read, all else refused with the line and the field and nothing of it."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.store.card_file import KEYS
from terminal.store.card_import import _lines, build
from terminal.store.list_rows import MAX_LINE, ListError, RowReader, read_delta
from tests.hal_sim.host_kit import openapi, validator
from tests.store.list_kit import Row, body, canonical, card, customer, deny, job, limit, product

NUMBER = "7001231234567890123"
"""A card's number that must turn up in no error text."""
TOKEN, OTHER = "b1" * 16, "f" * 32
PIN = {"scheme": "opin1", "epoch": 1, "verifier": "f249d4d327fe6330e59d4d320784e60c", "tries": 3}
CARD = card(TOKEN, customer="C1", pin=PIN)
CUSTOMER = customer("C1")
LIMIT = limit({"customer": "C1"})
BALANCE: Row = {
    "row": "balance", "subject": {"customer": "C1"}, "kind": "prepaid", "measure": "VALUE", "amount": 25_000, "products": None,
    "watermark": 41,
}  # fmt: skip
BASELINE: Row = {
    "row": "baseline", "subject": {"customer": "C1"}, "window": "2026-03", "measure": "VALUE", "products": None, "amount": 12_000,
    "watermark": 41,
}  # fmt: skip
GOOD: list[tuple[Row, tuple[str, tuple[bytes | str, ...]]]] = [
    (CUSTOMER, ("customer", ("C1",))),
    (CARD, ("card", (bytes.fromhex(TOKEN),))),
    (LIMIT, ("bound", ("customer C1", "limit", "DAY QUANTITY *"))),
    (LIMIT | {"products": ["SP95", "GAZOLE"]}, ("bound", ("customer C1", "limit", 'DAY QUANTITY ["GAZOLE","SP95"]'))),
    (BALANCE, ("bound", ("customer C1", "balance", "prepaid VALUE *"))),
    (BASELINE, ("bound", ("customer C1", "baseline", "2026-03 VALUE *"))),
    (product("GAZOLE"), ("product", ("GAZOLE",))),
    (product("SP95"), ("product", ("SP95",))),
    (deny(customer="C9"), ("deny", ("customer", "C9", ""))),
    (deny(range=["7001000000000000000", "7001999999999999999"]), ("deny", ("range", "7001000000000000000", "7001999999999999999"))),
    (deny(card=OTHER), ("deny", ("card", OTHER, ""))),
]
ROWS = [row for row, _ in GOOD]
TEXT, DIGEST = body(ROWS)
LINES = TEXT.split(b"\n")[:-1]


def tables() -> dict[str, list[tuple[bytes | str, ...]]]:
    """Where many rows are read into."""
    return {table: [] for table in KEYS}


def test_every_kind_of_row_is_known_by_its_key() -> None:
    """One by one and many at a time: the same tables and keys, the line as it came, and what is named of products."""
    assert [validator("ListRow").is_valid(row) for row in ROWS] == [True] * len(ROWS)
    one, many, into = RowReader(), RowReader(), tables()
    assert [one.read(line) for line in LINES] == [*(found for _, found in GOOD), None]
    many.take(LINES, into)
    expected = tables()
    for (table, key), line in zip((found for _, found in GOOD), LINES, strict=False):
        expected[table].append((*key, line))
    assert into == expected
    for reader in (one, many):
        assert (reader.products, reader.named) == ({"GAZOLE", "SP95"}, {"GAZOLE", "SP95"})
        reader.check_end(len(ROWS), DIGEST, DIGEST)


@pytest.mark.parametrize(
    "name", ["CustomerRow", "CardRow", "LimitRow", "BalanceRow", "BaselineRow", "ShareRow", "OnlineOnlyRow", "DenyRow", "ProductRow"]
)
def test_the_contracts_examples_are_read(name: str) -> None:
    """The OpenAPI file's own rows."""
    examples = openapi()["components"]["schemas"][name]["examples"]
    assert examples
    for row in examples:
        found = RowReader().read(json.dumps(row, default=date.isoformat).encode())
        assert found is not None
        elsewhere = {"limit": "bound", "balance": "bound", "baseline": "bound", "share": "bound", "online_only": "deny"}
        assert found[0] == elsewhere.get(row["row"], row["row"])


# --- the end ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(len(LINES)))
def test_a_list_cut_short_at_a_line_is_refused(cut: int) -> None:
    """Wherever it ends, whatever its bytes add up to."""
    reader = RowReader()
    for line in LINES[:cut]:
        reader.read(line)
    with pytest.raises(ListError, match="without its end row"):
        reader.check_end(cut, DIGEST, DIGEST)
    with pytest.raises(ListError, match="without its end row"):
        read_delta(LINES[:cut], DIGEST)


@pytest.mark.parametrize(
    "change", [{"rows": 10}, {"rows": 12}, {"rows": -1}, {"rows": "11"}, {"sha256": "0" * 64}, {"sha256": ""}, {"extra": 1}], ids=str
)
def test_a_wrong_end_row_is_refused(change: dict[str, Any]) -> None:
    """Rows or hash differ from what came before it, or it is no end row; whatever was announced."""
    last = canonical({"row": "end", "rows": len(ROWS), "sha256": DIGEST} | change)

    def whole() -> None:
        reader = RowReader()
        for line in (*LINES[:-1], last):
            reader.read(line)
        reader.check_end(len(ROWS), DIGEST, DIGEST)

    with pytest.raises(ListError):
        whole()
    with pytest.raises(ListError):
        read_delta([*LINES[:-1], last], DIGEST)


@pytest.mark.parametrize("more", [LINES[0], LINES[-1], b""], ids=["a row", "the end again", "an empty line"])
def test_rows_behind_the_end_are_refused(more: bytes) -> None:
    """In the same piece, in the next one, and in a delta."""
    same, following = RowReader(), RowReader()
    with pytest.raises(ListError, match="behind the end row"):
        same.take([*LINES, more], tables())
    following.take(LINES, tables())
    with pytest.raises(ListError, match="behind the end row"):
        following.take([more], tables())
    with pytest.raises(ListError, match="behind the end row"):
        read_delta([*LINES, more], DIGEST)


# --- wrong rows ---------------------------------------------------------------------------------------------------------------

WRONG: dict[str, Row | bytes] = {
    "unknown field of a customer": CUSTOMER | {"colour": "red"},
    "unknown field in a subject": LIMIT | {"subject": {"customer": "C1", "site": "S1"}},
    "unknown field of a pin": CARD | {"pin": PIN | {"length": 4}},
    "no row": {"customer": "C1"},
    "unknown offline": CARD | {"offline": "MAYBE"},
    "unknown medium": CARD | {"medium": "phone"},
    "zone is a folder": CUSTOMER | {"zone": "America"},
    "zone climbs": CUSTOMER | {"zone": "../../etc/passwd"},
    "negative balance": BALANCE | {"amount": -1},
    "negative baseline": BASELINE | {"amount": -1},
    "negative watermark": BALANCE | {"watermark": -1},
    "negative tank": CARD | {"tank_ml": -1},
    "limit with a point": LIMIT | {"amount": 1.5},
    "subject of two": LIMIT | {"subject": {"customer": "C1", "card": OTHER}},
    "no such day": BASELINE | {"window": "2026-02-30"},
    "no window": BASELINE | {"window": "march"},
    "clear number as account": CARD | {"account": NUMBER},
    "clear number as last4": CARD | {"last4": NUMBER},
    "clear number as verifier": CARD | {"pin": PIN | {"verifier": NUMBER}},
    "verifier with blanks": CARD | {"pin": PIN | {"verifier": "ab " * 10 + "ab"}},
    "no tries": CARD | {"pin": PIN | {"tries": 0}},
    "pin epoch too large to store": CARD | {"pin": PIN | {"epoch": 2**64}},
    "deny of nobody": {"row": "deny"},
    "deny of a number": deny(card=NUMBER),
    "deny range of nothing": deny(range=["", ""]),
    "deny range of three": deny(range=["1", "2", "3"]),
    "no json": b"row=customer",
    "empty line": b"",
    "not utf-8": b'{"row":"customer","customer":"\xff","status":"active","offline":"ALLOWED","zone":null}',
    "deep": b'{"row":' + b"[" * 16_000,
    "over-long": canonical(CUSTOMER | {"customer": "C" * MAX_LINE}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_row_refuses_the_whole_list(what: str) -> None:
    """One by one and many at a time, with the line's number and without a card's number. What is not here ``test_card_import`` has."""
    row = WRONG[what]
    lines = [canonical(CUSTOMER), row if isinstance(row, bytes) else canonical(row), canonical(CARD)]
    one = RowReader()
    one.read(lines[0])
    with pytest.raises(ListError, match="^line 2: ") as refusal:
        one.read(lines[1])
    with pytest.raises(ListError, match="^line 2: ") as other:
        RowReader().take(lines, tables())
    assert str(other.value) == str(refusal.value)
    assert NUMBER not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("place", ["row", "status", "customer", NUMBER])
def test_no_content_gets_into_the_error(place: str) -> None:
    """Neither as a value nor as a field's name."""
    for wrong in (CUSTOMER | {place: NUMBER}, CUSTOMER | {place: [NUMBER]}, CUSTOMER | {f"x' - at `{NUMBER}`": 1}):
        with contextlib.suppress(ListError):
            RowReader().read(canonical(wrong))
            continue  # a customer may be called as it likes
        with pytest.raises(ListError) as refusal:
            RowReader().read(canonical(wrong))
        assert NUMBER not in str(refusal.value)


def _bent(line: bytes, place: int, piece: bytes) -> bytes:
    at = place % (len(line) + 1)
    return line[:at] + piece + line[at + len(piece) :]


BENDABLE = [*LINES, canonical(CARD | {"pin": None})]
ANY_LINE = st.binary(max_size=200) | st.builds(_bent, st.sampled_from(BENDABLE), st.integers(0, 10_000), st.binary(min_size=1, max_size=4))


def read_one(line: bytes) -> tuple[object, ...]:
    """What a reader makes of a line: its table's row, or the text of its refusal."""
    reader, into = RowReader(), tables()
    try:
        found = reader.read(line)
    except ListError as refusal:
        return (str(refusal),)
    if found is not None:
        into[found[0]].append((*found[1], line))
    return into, reader.products, reader.named, reader.end


def take_one(line: bytes) -> tuple[object, ...]:
    """The same by the way that many rows go."""
    reader, into = RowReader(), tables()
    try:
        reader.take([line], into)
    except ListError as refusal:
        return (str(refusal),)
    return into, reader.products, reader.named, reader.end


@settings(max_examples=300, deadline=None)
@given(ANY_LINE)
def test_any_line_is_a_row_or_a_refusal(line: bytes) -> None:
    """Bytes without sense, and rows with a few bytes changed: nothing else is ever raised, and the quick way decides as the other does."""
    assert take_one(line) == read_one(line)


# --- lines ----------------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.lists(st.integers(0, 300), max_size=20))
def test_lines_do_not_depend_on_how_they_travel(lines: list[bytes], cuts: list[int]) -> None:
    """Whatever the pieces: the same lines, the last one with and without its line feed."""
    whole = b"".join(line + b"\n" for line in lines)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert [line for block in _lines(pieces) for line in block] == lines
    if lines and lines[-1]:
        assert [line for block in _lines([whole[:-1]]) for line in block] == lines


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    """Endless bytes without a line feed."""
    asked = 0

    def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 1000

    with pytest.raises(ListError, match="longer than"):
        list(_lines(endless()))
    assert asked <= MAX_LINE // 1000 + 1


def test_what_is_held_does_not_grow_with_the_list(tmp_path: Path) -> None:
    """Three times as many cards are built in the same memory: they pass through."""

    def peak(cards: int) -> int:
        work = job(tmp_path, [card(f"{number:032x}") for number in range(cards)])
        tracemalloc.start()
        try:
            build(work)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(8_000)
    assert peak(24_000) < few * 1.25
