"""Orders as the host's stream has them: what they mean, and what becomes of those that cannot be obeyed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from terminal.core.events import PushUnreadable
from terminal.core.host_events import EventUnusable
from terminal.core.orders import Order, OrderKind, OrderPushed
from terminal.host.event_stream import StreamEvent
from terminal.host.push import Listener, meaning
from tests.hal_sim.host_kit import openapi

STOP: dict[str, Any] = {
    "id": 21, "order": "stop_point", "by": "operator 7", "why": "leak", "valid_until": "2026-03-18T12:10:00.000Z", "fuelling_point": 2,
    "code": None, "subject": None,
}  # fmt: skip
UNTIL = 1_773_835_800_000


def said(data: object) -> object:
    return meaning(StreamEvent("order", json.dumps(data).encode()))


def test_what_the_host_orders_is_what_the_core_hears() -> None:
    assert said(STOP) == OrderPushed(21, Order(OrderKind.STOP_POINT, "operator 7", "leak", 2, None, None), UNTIL)
    acknowledge = STOP | {"order": "acknowledge_fault", "fuelling_point": None, "code": "PUMP_ALARM", "subject": "fp 2"}
    assert said(acknowledge) == OrderPushed(21, Order(OrderKind.ACKNOWLEDGE_FAULT, "operator 7", "leak", None, "PUMP_ALARM", "fp 2"), UNTIL)


def test_every_example_of_the_contract_is_understood() -> None:
    examples = openapi()["components"]["schemas"]["OrderEvent"]["examples"]
    assert {example["order"] for example in examples} == {kind.value for kind in OrderKind}
    for example in examples:
        assert isinstance(said(example), OrderPushed), example


@pytest.mark.parametrize(
    "change",
    [
        {"order": "open_all"},
        {"order": "reset_emergency_stop"},  # and a fuelling point
        {"order": "acknowledge_fault"},
        {"fuelling_point": None},
        {"fuelling_point": 0},
        {"code": "PUMP_ALARM"},
        {"by": ""},
        {"by": "x" * 65},
        {"why": "x" * 201},
        {"valid_until": "tomorrow"},
        {"valid_until": "2026-03-18T12:10:00"},
    ],
)
def test_what_cannot_be_obeyed_has_its_number_and_is_told(change: dict[str, Any]) -> None:
    heard = said(STOP | change)
    assert isinstance(heard, EventUnusable)
    assert heard.event == 21


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"id":0}'])
def test_what_has_not_even_a_number_is_unreadable(data: bytes) -> None:
    assert isinstance(meaning(StreamEvent("order", data)), PushUnreadable)


def test_the_stream_is_resumed_behind_an_order() -> None:
    heard: list[object] = []
    listener = Listener(heard.append)
    listener.feed(f"event: order\nid: 21\ndata: {json.dumps(STOP)}\n\n".encode())
    assert listener.last_event == 21
    assert [type(event).__name__ for event in heard] == ["PushUp", "OrderPushed"]
