"""How this terminal is, and which list it has in use, in the host's words; and the two calls that carry them.

Contract: firmware_notes/host-api.md, "State" and "The card list". No subject or detail goes out that could hold a card's number.
"""

from __future__ import annotations

import threading
from typing import Annotated, Any

import msgspec

from terminal.core.host_events import AppliedAnswered, AppliedFailed, StateAnswered, StateFailed
from terminal.core.terminal_state import PricesState, TerminalState
from terminal.host.client import HostClient, Trouble
from terminal.host.json_lane import NOT_COMMISSIONED, REFUSED_FOR_GOOD, Call, Lane, LaneError, decode, instant_text
from terminal.runtime.logs import masked

TEXT_LENGTH = 200
SUBJECT_LENGTH = 64


class Newest:
    """The one report that waits to be sent; put by the core's thread, taken by the worker's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: TerminalState | None = None

    def put(self, state: TerminalState) -> bool:
        """Put this in the place of what waits. True when nothing waited, so that somebody must come and take it."""
        with self._lock:
            waited, self._state = self._state is not None, state
            return not waited

    def take(self) -> TerminalState | None:
        """What waits, which then waits no more."""
        with self._lock:
            state, self._state = self._state, None
            return state


def state_call(lane: Lane, state: TerminalState) -> Call:
    """The report as a call."""
    return Call("PUT", f"/v1/terminals/{lane.terminal}/state", msgspec.json.encode(_state(lane, state)))


def applied_call(lane: Lane, epoch: str, version: int, at: int) -> Call:
    """This list is in use since then."""
    body = {"epoch": epoch, "version": version, "at": instant_text(at)}
    return Call("POST", f"/v1/terminals/{lane.terminal}/lists/cards/applied", msgspec.json.encode(body))


def report_state(lane: Lane, client: HostClient, state: TerminalState | None, deadline_ms: int) -> StateAnswered | StateFailed:
    """Send the report. ``state`` None: it was sent with another's turn."""
    if state is None:
        return StateFailed("nothing waited")
    came = client.call(state_call(lane, state), deadline_ms)
    if isinstance(came, Trouble):
        return StateFailed(came.why)
    if came.status != 200:
        return StateFailed(f"status {came.status}")
    try:
        return StateAnswered(lane.time(came.body), _known(came.body))
    except LaneError as error:
        return StateFailed(str(error))


class _Ledger(msgspec.Struct):
    row: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Known(msgspec.Struct):
    ledger: _Ledger | None = None


def _known(body: bytes) -> tuple[int, str] | None:
    found = decode(body, _Known).ledger
    return None if found is None else (found.row, found.hash)


def tell_applied(lane: Lane, client: HostClient, epoch: str, version: int, at: int, deadline_ms: int) -> AppliedAnswered | AppliedFailed:
    """Say which list is in use. What the host itself refuses for good is not said again."""
    came = client.call(applied_call(lane, epoch, version, at), deadline_ms)
    if isinstance(came, Trouble):
        return AppliedFailed(epoch, version, came.why)
    try:
        if came.status == 200:
            return AppliedAnswered(epoch, version, lane.time(came.body))
        if came.status in REFUSED_FOR_GOOD and lane.refused(came.body) != NOT_COMMISSIONED:
            return AppliedAnswered(epoch, version, None)
    except LaneError as error:
        return AppliedFailed(epoch, version, f"status {came.status}: {error}")
    return AppliedFailed(epoch, version, f"status {came.status}")


def _instant(utc: int | None) -> str | None:
    return None if utc is None else instant_text(utc)


def _text(text: str, length: int = TEXT_LENGTH) -> str:
    return masked(text)[:length]


def _prices(prices: PricesState) -> dict[str, Any]:
    return {
        "version": prices.version,
        "in_force": [
            {
                "fuelling_point": one.fuelling_point,
                "nozzle": one.nozzle,
                "product": one.product,
                "price": one.price,
                "version": one.version,
                "since": instant_text(one.since),
                "shown": one.shown,
            }
            for one in prices.in_force
        ],
        "planned": [{"version": one.version, "event": one.event, "starts_at": instant_text(one.starts_at)} for one in prices.planned],
    }


def _state(lane: Lane, state: TerminalState) -> dict[str, Any]:
    lists, queue = state.lists, state.queue
    row, link = state.head
    ledger: dict[str, Any] = {"ledger": {"row": row, "hash": link.hex()}} if row else {}
    begins = {"epoch_begins": state.epoch_begins} if state.epoch_begins > 1 else {}
    return (
        ledger
        | begins
        | {
            "terminal": lane.terminal,
            "site": lane.site,
            "version": state.version or "unknown",
            "boot": state.boot,
            "at": instant_text(state.at),
            "clock": {"state": state.clock, "offset_ms": state.clock_offset_ms},
            "in_service": state.in_service,
            "lists": {
                "cards": {
                    "epoch": lists.epoch,
                    "version": lists.version,
                    "rows": lists.rows,
                    "content_hash": lists.content_hash,
                    "checked_at": _instant(lists.checked_at),
                }
            },
            "queue": {"unsent": queue.unsent, "oldest": _instant(queue.oldest), "quarantined": queue.quarantined},
            "next_sequence": state.next_sequence,
            "epoch": state.epoch,
            "batch": state.batch,
            "last_event": state.last_event,
            "push": state.push,
            "fuelling_points": [
                {"fuelling_point": point.fuelling_point, "state": point.state, "sale": point.sale, "closed": point.closed}
                for point in state.points
            ],
            "faults": [
                {
                    "code": fault.code,
                    "subject": _text(fault.subject, SUBJECT_LENGTH),
                    "since": instant_text(fault.since),
                    "detail": _text(fault.detail),
                }
                for fault in state.faults
            ],
            "closed": [
                {"scope": one.scope.value, "name": one.name, "why": _text(one.why), "since": instant_text(one.since)}
                for one in state.closed
            ],
            "pin_key": state.pin_key.value,
            "prices": _prices(state.prices),
            "enforces": [{"limit": one.limit, "offline": one.offline.value} for one in state.enforces],
        }
    )
