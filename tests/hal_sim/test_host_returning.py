"""A terminal whose disk lost sales gets them back: what is booked and what is held, page by page; and what lists count meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hal_sim.host import HostBook
from hal_sim.host.office import Control
from hal_sim.host.sqlite_book import Keys, SqliteBook
from tests.hal_sim.host_kit import (
    BADGE,
    CARD_KEY,
    CUSTOMER,
    PIN_KEY,
    TOKEN_KEY,
    Clock,
    Terminal,
    limit,
    openapi,
    scenario,
    validator,
    world,
)

SALES = "/v1/terminals/OPT1/sales"


def asked(terminal: Terminal, query: str) -> dict[str, Any]:
    """The answer to a question that has one, which keeps the contract."""
    status, answer = terminal.call("GET", f"{SALES}?{query}")
    assert status == 200, answer
    validator("SalesBack").validate(answer)
    found: dict[str, Any] = answer
    return found


def numbers(answer: dict[str, Any]) -> list[int]:
    return [each["record"]["sequence"] for each in answer["sales"]]


def state(terminal: Terminal, epoch: int, **changes: Any) -> None:
    """The terminal says how it is."""
    good = openapi()["components"]["schemas"]["State"]["examples"][0]
    status, answer = terminal.call("PUT", "/v1/terminals/OPT1/state", good | {"epoch": epoch} | changes)
    assert status == 200, answer


def test_records_come_in_their_order_page_by_page_each_as_it_was_acknowledged() -> None:
    _, terminal, _ = world()
    for sequence in (2, 1, 4, 3, 7):
        terminal.complete(sequence, 1_000 * sequence)
    first = asked(terminal, "epoch=1&after=1&limit=2")
    assert (numbers(first), first["more"], first["last"]) == ([2, 3], True, 7)
    assert first["sales"][0]["record"] == terminal.record(2, 2_000)
    second = asked(terminal, "epoch=1&after=3&limit=2")
    assert (numbers(second), second["more"]) == ([4, 7], False)
    assert asked(terminal, "epoch=1&after=3&limit=2")["sales"] == second["sales"], "asked twice, answered twice"
    assert numbers(asked(terminal, "epoch=2&after=0")) == []


def test_corrections_come_with_their_sale_unless_the_terminal_refused_them() -> None:
    book, terminal, _ = world()
    terminal.complete(1, 10_000)
    book.correct("OPT1-1-1", "refund", quantity_ml=2_500, value_minor=432, correction="K1", why="measured too much")
    book.correct("OPT1-1-1", "cancel", correction="K2")
    event = next(each["event"] for each in book.corrections() if each["correction"] == "K2")
    body = {"effective_at": terminal.clock.text, "durable": True, "refused": "no such sale"}
    assert terminal.call("POST", f"/v1/terminals/OPT1/events/{event}/ack", body)[0] == 200
    (sale,) = asked(terminal, "epoch=1&after=0")["sales"]
    assert [(each["correction"], each["quantity_ml"]) for each in sale["corrections"]] == [("K1", 2_500)]


def test_what_is_held_comes_with_the_last_page_and_without_a_pin_block() -> None:
    _, terminal, _ = world()
    terminal.complete(1, 5_000)
    for sequence in (2, 3, 4):
        terminal.authorize(sequence)
    terminal.complete(3, 5_000)
    first = asked(terminal, "epoch=1&after=0&limit=1")
    assert (first["more"], first["holds"]) == (True, [])
    last = asked(terminal, "epoch=1&after=2&limit=1")
    assert [each["request"]["sequence"] for each in last["holds"]] == [2, 4], "of the whole epoch"
    assert not {"pin_block", "ksn"} & set(last["holds"][0]["request"])
    assert asked(terminal, "epoch=2&after=0")["holds"] == []


@pytest.mark.parametrize(
    "query",
    ["", "epoch=1", "after=0", "epoch=0&after=0", "epoch=1&after=-1", "epoch=1&after=01", "epoch=1&after=0&limit=0",
     "epoch=1&after=0&limit=101", "epoch=x&after=0", "epoch=2147483648&after=0", "epoch=1&after=9007199254740992", "epoch=1&after=0&x=1"],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(query: str) -> None:
    _, terminal, _ = world()
    status, answer = terminal.call("GET", f"{SALES}?{query}")
    assert (status, answer["error"]) == (400, "bad_request")


def test_another_terminal_gets_nothing() -> None:
    _, terminal, _ = world()
    status, answer = terminal.call("GET", "/v1/terminals/OPT2/sales?epoch=1&after=0")
    assert (status, answer["error"]) == (404, "unknown_terminal")
    status, answer = terminal.call("POST", f"{SALES}?epoch=1&after=0", {})
    assert status == 405


def _counts(book: HostBook, terminal: Terminal) -> tuple[int, int]:
    """What the newest list has in its baseline: millilitres, watermark."""
    book.publish()
    (row,) = [row for row in terminal.rows() if row["row"] == "baseline"]
    return row["amount"], row["watermark"]


def test_lists_count_each_sale_once_before_and_behind_the_confirmation() -> None:
    """Up to it the terminal counts its new epoch itself; from then on the host does, and everything that was before."""
    book, terminal, _ = world(limits=[limit(CUSTOMER, "DAY", "QUANTITY", 10**6)])
    for sequence in (1, 2, 3):
        terminal.complete(sequence, 1_000)
    lost = {"code": "STORAGE_DAMAGED", "subject": "ledger", "since": terminal.clock.text, "detail": ""}
    state(terminal, 2, epoch_begins=1_000_001, faults=[lost])
    terminal.complete(1_000_001, 500, epoch=2)
    assert _counts(book, terminal) == (3_000, 3)
    assert book.missing_sequences() == []
    state(terminal, 2, epoch_begins=1_000_001, faults=[lost])
    assert _counts(book, terminal) == (3_000, 3)
    state(terminal, 2, epoch_begins=1_000_001)
    assert _counts(book, terminal) == (3_500, 1_000_001)
    terminal.complete(1_000_003, 500, epoch=2)
    state(terminal, 2, epoch_begins=1_000_001)
    assert _counts(book, terminal) == (3_500, 1_000_001)
    assert book.missing_sequences() == [(2, 1_000_002)]


def test_a_host_that_starts_again_makes_the_same_lists(tmp_path: Path) -> None:
    """Only the newest state is kept, and those that began an epoch: its records came between them."""
    keys, clock = Keys(TOKEN_KEY, PIN_KEY, CARD_KEY, bytes(range(96, 128))), Clock()
    made = scenario(limits=[limit(CUSTOMER, "DAY", "QUANTITY", 10**6)])
    book = SqliteBook(made, tmp_path, keys, clock)
    terminal = Terminal(book, clock)
    lost = {"code": "STORAGE_DAMAGED", "subject": "ledger", "since": clock.text, "detail": ""}
    terminal.complete(1, 1_000)
    state(terminal, 2, epoch_begins=1_000_001, faults=[lost])
    terminal.complete(1_000_001, 500, epoch=2)
    book.control(Control("publish", {"confirm_shrink": False}))
    before = terminal.rows()
    for _ in range(2):
        state(terminal, 2, epoch_begins=1_000_001)
    book.shut()
    again = SqliteBook(made, tmp_path, keys, clock)
    assert Terminal(again, clock).rows() == before
    assert again.watermark() == 1_000_001
    again.shut()


def test_the_card_is_the_same() -> None:
    _, terminal, _ = world()
    terminal.complete(1, 5_000)
    (sale,) = asked(terminal, "epoch=1&after=0")["sales"]
    assert sale["record"]["card"] == terminal.sealed(BADGE, "OPT1-1-1")
    assert sale["account"] == sale["record"]["card"]["token"]
