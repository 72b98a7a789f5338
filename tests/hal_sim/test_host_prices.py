"""Prices at the simulated host: said in order, repeated until a terminal has them, and again to a terminal that lost its ledger. (F38.)"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hal_sim.host_kit import world
from tests.hal_sim.test_host_push import stream

ACK = "/v1/terminals/OPT1/events/{}/ack"


def said(book: Any, last: str | None = None) -> list[dict[str, Any]]:
    """Every change that a stream from there would tell."""
    return [data for name, data in stream(book, last) if name == "prices"]


def acknowledge(book: Any, event: int, refused: str | None = None) -> None:
    body = {"effective_at": "2026-03-28T22:50:00.250Z", "durable": True} | ({} if refused is None else {"refused": refused})
    status, _, _ = book.handle("POST", ACK.format(event), {}, json.dumps(body).encode())
    assert status == 200


def test_a_price_is_said_under_the_next_version_and_is_the_hosts_own() -> None:
    book, _, _ = world()
    assert book.change_price("GAZOLE", 17_990) == 1
    assert (
        book.change_price("GAZOLE", 18_990, fuelling_point=1, nozzle=1, starts_at_ms=1_774_756_800_000, confirm_jump=True, why="tax") == 2
    )
    first, second = said(book)
    assert first == {
        "id": 1, "version": 1, "starts_at": None, "prices": [{"product": "GAZOLE", "price": 17_990}], "confirm_jump": False, "why": "",
    }  # fmt: skip
    assert (second["version"], second["starts_at"], second["confirm_jump"]) == (2, "2026-03-29T04:00:00.000Z", True)
    assert second["prices"] == [{"product": "GAZOLE", "price": 18_990, "fuelling_point": 1, "nozzle": 1}]
    assert book.prices()[1, 1] == ("GAZOLE", 18_990)
    assert said(book, "1") == [second]


def test_what_the_terminal_says_of_a_change_is_kept_with_it() -> None:
    book, _, _ = world()
    book.change_price("GAZOLE", 17_990)
    book.change_price("GAZOLE", 0, checked=False)
    acknowledge(book, 1)
    acknowledge(book, 2, "a price above 0 is expected")
    good, bad = book.price_answers()
    assert (good["refused"], good["effective_at_ms"]) == (None, 1_774_738_200_250)
    assert bad["refused"] == "a price above 0 is expected"


def test_a_terminal_that_lost_its_ledger_hears_what_still_holds_and_no_more() -> None:
    book, _, _ = world()
    for price in (17_990, 18_090):
        acknowledge(book, book.change_price("GAZOLE", price))
    book.change_price("GAZOLE", 18_190)
    assert [data["version"] for data in said(book)] == [3]


@pytest.mark.parametrize(("product", "price"), [("COAL", 1), ("GAZOLE", 0), ("GAZOLE", -1)])
def test_what_is_sold_nowhere_or_costs_nothing_is_said_only_on_purpose(product: str, price: int) -> None:
    book, _, _ = world()
    before = book.prices()
    with pytest.raises(ValueError, match="sold here"):
        book.change_price(product, price)
    assert (said(book), book.prices()) == ([], before)
    book.change_price(product, price, checked=False)
    assert [data["prices"][0]["product"] for data in said_unchecked(book)] == [product]


def said_unchecked(book: Any) -> list[dict[str, Any]]:
    """As ``said``, without holding it against the contract, which these break."""
    return [word.as_json() for word in book.pushed() if word.event == "prices"]
