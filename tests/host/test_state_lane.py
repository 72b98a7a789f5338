"""The state and the list in use on the wire: held against the contract, free of card numbers, and always the newest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from terminal.core.clock import ClockState
from terminal.core.closings import Closing
from terminal.core.events import HostTrouble
from terminal.core.faults import FaultCode
from terminal.core.host_events import AppliedAnswered, AppliedFailed, ClosingScope, StateAnswered, StateFailed
from terminal.core.point_config import PointState
from terminal.core.terminal_state import FaultReport, ListsState, PointReport, QueueState, TerminalState, enforced
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call
from terminal.host.state_lane import Newest, applied_call, report_state, state_call, tell_applied
from tests.hal_sim.host_kit import validator
from tests.host.kit import LANE, NUMBER, SPRING

STATE = TerminalState(
    version="1.0",
    boot="boot-1",
    at=SPRING,
    clock="trusted",
    clock_offset_ms=-12,
    in_service=True,
    lists=ListsState("e1", 7, 120, "ab" * 32, SPRING),
    queue=QueueState(2, SPRING, 1),
    next_sequence=42,
    epoch=1,
    batch=3,
    last_event=9,
    push=True,
    points=(PointReport(1, "fuelling", "OPT1-1-41", closed=False), PointReport(2, "suspended fuelling", None, closed=True)),
    faults=(FaultReport("PUMP_ALARM", "fp 1", SPRING, "leak"),),
    closed=(Closing(ClosingScope.FUELLING_POINT, "2", "tanker", 4, SPRING), Closing(ClosingScope.SITE, "", "", 5, SPRING)),
    enforces=enforced(only_terminal=False),
)
NOTHING_YET = replace(
    STATE, clock="untrusted", clock_offset_ms=None, in_service=False, lists=ListsState("", 0, 0, "", None), queue=QueueState(0, None, 0),
    points=(), faults=(), closed=(), version="", batch=0, last_event=0, push=False,
)  # fmt: skip
TIME = "2026-03-28T22:50:00.120Z"


@dataclass
class Once:
    """A client that has this answer; ``asked`` is what it was asked."""

    came: Answer | Trouble
    asked: list[Call] = field(default_factory=list)

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """What came."""
        self.asked.append(call)
        return self.came


def body(call: Call) -> Any:
    assert call.body is not None
    return json.loads(call.body)


@pytest.mark.parametrize(
    "state",
    [STATE, NOTHING_YET]
    + [replace(STATE, clock=state.value) for state in ClockState]
    + [replace(STATE, points=(PointReport(1, state.value, None, closed=False),)) for state in PointState]
    + [replace(STATE, faults=(FaultReport(code.value, "x" * 300, SPRING, "y" * 300),)) for code in FaultCode],
)
def test_every_state_keeps_the_contract(state: TerminalState) -> None:
    call = state_call(LANE, state)
    assert (call.method, call.path, call.key) == ("PUT", "/v1/terminals/OPT1/state", None)
    validator("State").validate(body(call))


def test_no_card_number_goes_out_whatever_a_text_holds() -> None:
    spoilt = f"read {NUMBER} there"
    state = replace(
        STATE, faults=(FaultReport("DEVICE_DOWN", spoilt, SPRING, spoilt),), closed=(Closing(ClosingScope.SITE, "", spoilt, 5, SPRING),)
    )
    sent = state_call(LANE, state).body
    assert sent is not None
    assert NUMBER.encode() not in sent


def test_the_list_in_use_keeps_the_contract() -> None:
    call = applied_call(LANE, "e1", 7, SPRING)
    assert (call.method, call.path) == ("POST", "/v1/terminals/OPT1/lists/cards/applied")
    validator("Applied").validate(body(call))


ANSWERS = [
    (Answer(200, b'{"time":"%s"}' % TIME.encode()), True),
    (Answer(200, b"<html>please sign in</html>"), False),
    (Answer(200, b'{"time":"1970-01-01T00:00:00.000Z"}'), False),
    (Answer(500, b'{"error":"internal","message":""}'), False),
    (Answer(404, b"not here"), False),
    (Trouble(HostTrouble.TIMED_OUT, "no answer in time"), False),
]


@pytest.mark.parametrize(("came", "good"), ANSWERS)
def test_what_an_answer_to_a_state_means(came: Answer | Trouble, good: bool) -> None:
    found = report_state(LANE, Once(came), STATE, 1_000)  # type: ignore[arg-type]
    assert isinstance(found, StateAnswered if good else StateFailed)


@pytest.mark.parametrize(("came", "good"), [*ANSWERS, (Answer(404, b'{"error":"not_found","message":""}'), True)])
def test_what_an_answer_to_an_applied_list_means(came: Answer | Trouble, good: bool) -> None:
    found = tell_applied(LANE, Once(came), "e1", 7, SPRING, 1_000)  # type: ignore[arg-type]
    assert isinstance(found, AppliedAnswered if good else AppliedFailed)
    assert (found.epoch, found.version) == ("e1", 7)


def test_a_host_that_does_not_know_the_terminal_yet_is_told_again() -> None:
    came = Answer(404, b'{"error":"unknown_terminal","message":""}')
    assert isinstance(tell_applied(LANE, Once(came), "e1", 7, SPRING, 1_000), AppliedFailed)  # type: ignore[arg-type]


def test_a_newer_state_replaces_one_that_waits() -> None:
    newest = Newest()
    assert newest.put(STATE), "somebody must come for it"
    assert not newest.put(NOTHING_YET), "somebody comes already"
    assert newest.take() is NOTHING_YET
    assert newest.take() is None
    assert newest.put(STATE)
    client = Once(Answer(200, b'{"time":"%s"}' % TIME.encode()))
    report_state(LANE, client, newest.take(), 1_000)  # type: ignore[arg-type]
    assert isinstance(report_state(LANE, client, newest.take(), 1_000), StateFailed)  # type: ignore[arg-type]
    assert len(client.asked) == 1
