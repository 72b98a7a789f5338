"""Corrections and closings: what they count at the host, how they are pushed, kept until acknowledged, and refused."""

from __future__ import annotations

from typing import Any

import pytest

from hal_sim.host import HostBook
from tests.hal_sim.host_kit import ACCOUNT, BADGE, SPARE, START, Terminal, card, limit, validator, world
from tests.hal_sim.test_host_push import EVENTS, stream

OTHER = {"card": SPARE}
LIMITS = [limit(who, "DAY", what, 100_000) for who in (ACCOUNT, OTHER) for what in ("QUANTITY", "VALUE", "COUNT")]
BALANCES = [{"subject": ACCOUNT, "kind": "prepaid", "measure": "VALUE", "amount": 50_000, "products": None}]


def made() -> tuple[HostBook, Terminal]:
    """A host that has booked ten litres of one of its two cards."""
    book, terminal, _ = world(cards=[card(BADGE), card(SPARE, customer="C1")], limits=LIMITS, balances=BALANCES)
    terminal.advise(terminal.advice(1, 10_000))
    return book, terminal


def left(book: HostBook, who: dict[str, str] = ACCOUNT) -> tuple[int, int, int]:
    """What is left of the three limits of a day."""
    ml, minor, count = (100_000 - book.remaining(who, "DAY", what) for what in ("QUANTITY", "VALUE", "COUNT"))
    return ml, minor, count


def balance(terminal: Terminal) -> int:
    """What the next list would say of the balance."""
    terminal.book.publish()
    return int(next(row["amount"] for row in terminal.rows() if row["row"] == "balance"))


def acknowledge(terminal: Terminal, event: int, **more: Any) -> int:
    """The terminal has it."""
    body = {"effective_at": START, "durable": True} | more
    validator("Acknowledgement").validate(body)
    return terminal.call("POST", f"{EVENTS}/{event}/ack", body)[0]


def test_a_cancelled_sale_counts_nothing() -> None:
    book, terminal = made()
    assert (left(book), balance(terminal)) == ((10_000, 1_729, 1), 48_271)
    book.correct("OPT1-1-1", "cancel", why="test of the pump")
    assert (left(book), balance(terminal)) == ((0, 0, 0), 50_000)
    assert (len(book.sales()), book.totals()) == (1, {(1, 1, "GAZOLE"): (10_000, 1_729, 1)}), "the record stays as it came"


def test_refunds_add_up_and_never_exceed_what_counts() -> None:
    book, terminal = made()
    book.correct("OPT1-1-1", "refund", quantity_ml=4_000, value_minor=700)
    assert (left(book), balance(terminal)) == ((6_000, 1_029, 1), 48_971)
    with pytest.raises(ValueError, match="more than what the sale counts"):
        book.correct("OPT1-1-1", "refund", quantity_ml=6_001, value_minor=0)
    book.correct("OPT1-1-1", "refund", quantity_ml=6_000, value_minor=1_029)
    assert (left(book), balance(terminal)) == ((0, 0, 0), 50_000), "a sale of nothing is no sale of a day"
    assert [each["correction"] for each in book.corrections()] == ["K1", "K2"], "the refused one has no name"


def test_an_amended_sale_moves_its_use() -> None:
    book, terminal = made()
    book.correct("OPT1-1-1", "amend", card=SPARE, prompts={"ODOMETER": "7"})
    assert (left(book), left(book, OTHER), balance(terminal)) == ((0, 0, 0), (10_000, 1_729, 1), 50_000)
    now = book.counted("OPT1-1-1")
    assert (now.card, now.prompts) == (book.token_of(SPARE), {"ODOMETER": "7"})
    book.correct("OPT1-1-1", "refund", quantity_ml=1_000, value_minor=100)
    assert left(book, OTHER) == (9_000, 1_629, 1), "what follows is about the sale as it now stands"


def test_a_correction_outlives_the_loss_of_the_record() -> None:
    book, terminal = made()
    book.correct("OPT1-1-1", "refund", quantity_ml=4_000, value_minor=700)
    book.lose("OPT1-1-1")
    assert left(book) == (0, 0, 0)
    terminal.advise(terminal.advice(1, 10_000))
    assert left(book) == (6_000, 1_029, 1)


def test_a_sale_in_doubt_is_settled_and_recorded_as_ever() -> None:
    book, terminal = made()
    book.correct("OPT1-1-2", "settle", quantity_ml=3_000, value_minor=519)
    (event,) = [data for name, data in stream(book) if name == "correction"]
    assert (event["kind"], event["quantity_ml"], event["value_minor"]) == ("settle", 3_000, 519)
    assert left(book) == (10_000, 1_729, 1), "nothing counts before the record"
    assert terminal.advise(terminal.advice(2, 3_000)) == ["accepted"]
    assert left(book) == (13_000, 2_248, 2)
    with pytest.raises(ValueError, match="booked already"):
        book.correct("OPT1-1-2", "settle", quantity_ml=0, value_minor=0)


def test_every_correction_is_said_until_it_is_acknowledged() -> None:
    book, terminal = made()
    book.correct("OPT1-1-1", "refund", quantity_ml=1_000, value_minor=0)
    book.correct("OPT1-1-1", "refund", quantity_ml=1_000, value_minor=0, correction="R-2")
    book.block(customer="C1")
    assert [(data["id"], data.get("correction")) for name, data in stream(book) if name != "lists"] == [(1, "K1"), (2, "R-2"), (3, None)]
    assert [data["id"] for name, data in stream(book, "1") if name != "lists"] == [2, 3]
    assert acknowledge(terminal, 1) == 200
    assert acknowledge(terminal, 2, refused="no such sale") == 200
    assert acknowledge(terminal, 2) == 200
    assert [data["id"] for name, data in stream(book) if name != "lists"] == [3]
    assert [(each["acknowledged"], each["refused"]) for each in book.corrections()] == [(True, None), (True, "no such sale")]


@pytest.mark.parametrize(
    ("sale", "kind", "more", "why"),
    [
        ("OPT1-1-9", "cancel", {}, "not booked"),
        ("OPT1-1-9", "refund", {"quantity_ml": 0, "value_minor": 0}, "not booked"),
        ("OPT1-1-9", "amend", {"prompts": {"ODOMETER": "1"}}, "not booked"),
        ("OPT1-1-1", "settle", {"quantity_ml": 0, "value_minor": 0}, "booked already"),
        ("OPT2-1-1", "settle", {"quantity_ml": 0, "value_minor": 0}, "another terminal's"),
        ("OPT1-1-1", "forget", {}, "the kind"),
        ("OPT1/1", "cancel", {}, "a sale"),
        ("OPT1-1-1", "cancel", {"quantity_ml": 1, "value_minor": 1}, "both amounts"),
        ("OPT1-1-1", "refund", {"quantity_ml": 1}, "both amounts"),
        ("OPT1-1-1", "refund", {"quantity_ml": -1, "value_minor": 0}, "both amounts"),
        ("OPT1-1-9", "settle", {"quantity_ml": 0, "value_minor": 5}, "no fuel"),
        ("OPT1-1-1", "amend", {}, "a card or prompts"),
        ("OPT1-1-1", "amend", {"card": "04000000000000"}, "known here"),
        ("OPT1-1-1", "amend", {"prompts": {"odometer": "1"}}, "prompts"),
        ("OPT1-1-1", "cancel", {"card": SPARE}, "only amend"),
        ("OPT1-1-1", "cancel", {"why": "x" * 201}, "200 characters"),
        ("OPT1-1-1", "cancel", {"correction": "a b"}, "name"),
    ],
)
def test_what_cannot_be_corrected_changes_nothing(sale: str, kind: str, more: dict[str, Any], why: str) -> None:
    book, _ = made()
    with pytest.raises(ValueError, match=why):
        book.correct(sale, kind, **more)
    assert (left(book), book.corrections(), book.pushed()) == ((10_000, 1_729, 1), [], [])


def test_a_cancelled_sale_is_at_its_end_and_a_name_is_used_once() -> None:
    book, terminal = made()
    terminal.advise(terminal.advice(2, 1_000))
    book.correct("OPT1-1-1", "cancel", correction="K1")
    with pytest.raises(ValueError, match="cancelled already"):
        book.correct("OPT1-1-1", "cancel")
    with pytest.raises(ValueError, match="new"):
        book.correct("OPT1-1-2", "cancel", correction="K1")


def test_a_wrong_host_pushes_what_cannot_be_and_counts_nothing() -> None:
    book, _ = made()
    book.correct("OPT1-1-9", "cancel", checked=False)
    book.correct("OPT1-1-1", "refund", quantity_ml=90_000, value_minor=0, checked=False)
    assert [name for name, _ in stream(book)] == ["correction", "correction", "lists"]
    assert left(book) == (10_000, 1_729, 1)


def test_the_newest_word_about_a_place_is_kept() -> None:
    book, terminal = made()
    book.close("site", why="flood")
    book.close("product", "SP95", "bad batch")
    book.close("fuelling_point", "1")
    acknowledge(terminal, 1)
    book.open("site")
    closings = [data for name, data in stream(book) if name == "closing"]
    assert [(each["id"], each["scope"], each["name"], each["closed"], each["why"]) for each in closings] == [
        (2, "product", "SP95", True, "bad batch"),
        (3, "fuelling_point", "1", True, ""),
        (4, "site", "", False, ""),
    ]
    assert [word.id for word in book.closings()] == [2, 3, 4]


@pytest.mark.parametrize(
    ("scope", "name", "why"),
    [
        ("site", "S1", ""),
        ("product", "", ""),
        ("product", "NO-SUCH", ""),
        ("fuelling_point", "2", ""),
        ("town", "", ""),
        ("site", "", "x" * 201),
    ],
)
def test_what_is_not_here_cannot_be_closed(scope: str, name: str, why: str) -> None:
    book, _ = made()
    with pytest.raises(ValueError, match="is expected"):
        book.close(scope, name, why)
    assert book.pushed() == []


def test_the_openapi_files_own_events_come_out() -> None:
    book, terminal = made()
    book.correct("OPT1-1-1", "amend", card=BADGE, prompts={"ODOMETER": "123465"})
    book.close("product", "GAZOLE")
    for name, data in stream(book):
        if name != "lists":
            assert acknowledge(terminal, data["id"]) == 200
    assert BADGE not in str([word.as_json() for word in book.pushed()]) + repr(book.corrections())
