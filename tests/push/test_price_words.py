"""A change of prices as the host's stream has it: what it means; what cannot be read is refused, never half understood. (F38.)"""

from __future__ import annotations

import json
from typing import Any

import pytest

from terminal.core.events import PushUnreadable
from terminal.core.host_events import EventUnusable
from terminal.core.prices import PriceRow, PricesPushed
from terminal.host.event_stream import StreamEvent
from terminal.host.push import Listener, meaning
from tests.hal_sim.host_kit import openapi

CHANGE: dict[str, Any] = {"id": 7, "version": 3, "starts_at": None, "prices": [{"product": "GAZOLE", "price": 17990}]}


def said(data: object) -> object:
    return meaning(StreamEvent("prices", json.dumps(data).encode()))


def test_what_the_host_says_is_what_the_core_hears() -> None:
    assert said(CHANGE) == PricesPushed(7, 3, None, (PriceRow("GAZOLE", 17_990),))
    row = {"product": "GAZOLE", "price": 17990, "fuelling_point": 2, "nozzle": 1}
    full = {"starts_at": "2026-03-29T04:00:00.000Z", "prices": [row], "confirm_jump": True, "why": "new tax"}
    assert said(CHANGE | full) == PricesPushed(7, 3, 1_774_756_800_000, (PriceRow("GAZOLE", 17_990, 2, 1),), True, "new tax")


def test_every_example_of_the_contract_is_understood() -> None:
    examples = openapi()["components"]["schemas"]["PricesEvent"]["examples"]
    assert len(examples) == 2
    for example in examples:
        assert isinstance(said(example), PricesPushed), example


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": "3"},
        {"starts_at": "tomorrow"},
        {"starts_at": "2026-03-29T04:00:00"},
        {"starts_at": "1970-01-01T00:00:00.000Z"},
        {"prices": []},
        {"prices": [{"product": "GAZOLE"}]},
        {"prices": [{"product": "", "price": 1}]},
        {"prices": [{"product": "GAZOLE", "price": 1.799}]},
        {"prices": [{"product": "GAZOLE", "price": "1.799"}]},
        {"prices": [{"product": "GAZOLE", "price": 17990, "unit": "gallon"}]},
        {"prices": [{"product": "GAZOLE", "price": 17990, "nozzle": 0}]},
        {"currency": "USD"},
        {"why": "w" * 201},
    ],
)
def test_what_cannot_be_read_is_refused_by_its_number(change: dict[str, Any]) -> None:
    heard = said(CHANGE | change)
    assert isinstance(heard, EventUnusable)
    assert heard.event == 7
    assert heard.why.startswith("prices: ")


def test_without_a_number_it_makes_the_terminal_look_at_the_lists() -> None:
    assert isinstance(said({"version": 3}), PushUnreadable)


def test_the_stream_is_resumed_behind_it() -> None:
    heard: list[object] = []
    listener = Listener(heard.append)
    listener.feed(b": hello\n\nevent: prices\nid: 7\ndata: " + json.dumps(CHANGE).encode() + b"\n\n")
    assert listener.last_event == 7
