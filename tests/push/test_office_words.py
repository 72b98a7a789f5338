"""Corrections and closings as the host's stream has them: what they mean, and what becomes of those that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from terminal.core.events import PushUnreadable
from terminal.core.host_events import ClosingPushed, ClosingScope, CorrectionKind, CorrectionPushed, EventUnusable
from terminal.host.event_stream import StreamEvent
from terminal.host.push import Listener, meaning
from tests.hal_sim.host_kit import openapi

TOKEN = "424fa0f9aefdf0804c9aa1da5a1cd51a"
REFUND: dict[str, Any] = {
    "id": 10, "correction": "K1", "sale": "OPT1-1-42", "kind": "refund", "quantity_ml": 2500, "value_minor": 432, "card": None,
    "account": None, "customer": None, "prompts": {}, "why": "measured too much",
}  # fmt: skip
CLOSE: dict[str, Any] = {"id": 14, "scope": "fuelling_point", "name": "2", "closed": True, "why": "meter check"}


def said(name: str, data: object) -> object:
    return meaning(StreamEvent(name, json.dumps(data).encode()))


def test_what_the_host_says_is_what_the_core_hears() -> None:
    assert said("correction", REFUND) == CorrectionPushed(
        10, "K1", "OPT1-1-42", CorrectionKind.REFUND, 2500, 432, None, None, (), "measured too much"
    )
    amend = REFUND | {
        "kind": "amend", "quantity_ml": None, "value_minor": None, "card": TOKEN, "account": TOKEN, "customer": "C1",
        "prompts": {"VEHICLE": "7", "ODOMETER": "123"},
    }  # fmt: skip
    heard = said("correction", amend)
    assert isinstance(heard, CorrectionPushed)
    assert (heard.account, heard.customer, heard.prompts) == (TOKEN, "C1", (("ODOMETER", "123"), ("VEHICLE", "7")))
    assert said("closing", CLOSE) == ClosingPushed(14, ClosingScope.FUELLING_POINT, "2", True, "meter check")
    site = CLOSE | {"scope": "site", "name": "", "closed": False}
    assert said("closing", site) == ClosingPushed(14, ClosingScope.SITE, "", False, "meter check")


@pytest.mark.parametrize(("name", "schema"), [("correction", "CorrectionEvent"), ("closing", "ClosingEvent")])
def test_every_example_of_the_contract_is_understood(name: str, schema: str) -> None:
    examples = openapi()["components"]["schemas"][schema]["examples"]
    assert examples
    for example in examples:
        assert isinstance(said(name, example), CorrectionPushed | ClosingPushed), example


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("correction", {"correction": "K 1"}),
        ("correction", {"correction": "K" * 33}),
        ("correction", {"sale": "OPT1"}),
        ("correction", {"kind": "forget"}),
        ("correction", {"quantity_ml": -1}),
        ("correction", {"value_minor": 1.5}),
        ("correction", {"account": "7001231234567890123"}),
        ("correction", {"prompts": {"ODOMETER": 7}}),
        ("correction", {"why": "x" * 201}),
        ("closing", {"scope": "country"}),
        ("closing", {"closed": "yes"}),
        ("closing", {"name": ""}),
        ("closing", {"scope": "site"}),
    ],
)
def test_what_cannot_be_obeyed_has_its_number_and_is_told(name: str, change: dict[str, Any]) -> None:
    plain = REFUND if name == "correction" else CLOSE
    heard = said(name, plain | change)
    assert isinstance(heard, EventUnusable)
    assert heard.event == plain["id"]
    assert "7001231234567890123" not in heard.why


@pytest.mark.parametrize("name", ["correction", "closing"])
@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"id":0}', b'{"id":"7"}', b'{"id":9007199254740993}'])
def test_what_has_not_even_a_number_makes_it_look_at_the_lists(name: str, data: bytes) -> None:
    assert isinstance(meaning(StreamEvent(name, data)), PushUnreadable)


def test_the_stream_is_resumed_behind_everything_that_has_a_number() -> None:
    heard: list[object] = []
    listener = Listener(heard.append)
    for number, (name, data) in enumerate([("correction", REFUND), ("closing", CLOSE), ("closing", CLOSE | {"closed": 1})], 20):
        text = json.dumps(data | {"id": number})
        listener.feed(f"event: {name}\nid: {number}\ndata: {text}\n\n".encode())
        assert listener.last_event == number
    assert [type(event).__name__ for event in heard] == ["PushUp", "CorrectionPushed", "ClosingPushed", "EventUnusable"]
