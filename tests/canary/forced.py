"""Failures that no test foresees: one function of the product raises in the middle of its work, with card numbers in its local values.

A reader's failure goes through the real ``DeviceThread`` (its log line and what it posts), one of the host lane through the real
``HostWorker``; one in the core ends the program, as ``terminal.runtime.logs`` writes it down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

from drivers.device_thread import DeviceThread, fault_text
from drivers.events import DeviceEvent
from terminal.core.events import HostFailed, HostTrouble, ProbeFailed, UploadFailed
from terminal.core.ids import MessageKey, SaleId
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call
from terminal.host.workers import UNEXPECTED, HostWorker


class Forced(Exception):
    """Raised by us in the place of a function's return."""


class ForcedValue(Forced, ValueError):
    """The same, as an error that some callers expect."""


READER, CORE, LANE = "reader", "core", "lane"
PLACES = (
    (READER, "drivers.magstripe.swipe", "parse_swipe"),
    (READER, "drivers.magstripe.tracks", "_track_2"),
    (READER, "drivers.magstripe.tracks", "_check"),
    (READER, "drivers.magstripe.wedge", "WedgeDecoder.feed"),
    (READER, "drivers.smartcard.fleet", "_identity"),
    (READER, "drivers.smartcard.fleet", "FleetDialogue.receive"),
    (READER, "drivers.smartcard.emv", "EmvDialogue._name"),
    (READER, "drivers.smartcard.certificate", "FleetAuthority.card_key"),
    (READER, "drivers.badge.profiles", "badge_number"),
    (READER, "drivers.badge.profiles", "_content"),
    (CORE, "terminal.store.vault", "KeyVault.token"),
    (CORE, "terminal.store.vault", "KeyVault.seal"),
    (CORE, "terminal.store.vault", "KeyVault.pin_matches"),
    (CORE, "terminal.store.vault", "KeyVault.pin_block"),
    (CORE, "terminal.core.pin", "PinEntry.add"),
    (CORE, "terminal.core.pin_desk", "PinDesk.compare"),
    (CORE, "terminal.store.ledger", "Ledger.commit"),
    (CORE, "terminal.host.json_lane", "Lane.authorize"),
    (CORE, "terminal.host.json_lane", "Lane.encode"),
    (LANE, "terminal.host.json_lane", "Lane.authorized"),
    (LANE, "terminal.host.json_lane", "Lane.booked"),
    (LANE, "terminal.host.json_lane", "decode"),
)


class _Failing(DeviceThread):
    """A reader's thread that meets this failure and is stopped."""

    def __init__(self, error: Forced, post: Callable[[DeviceEvent], None]) -> None:
        super().__init__("reader-1", post, lambda: 0, 1, 1)
        self._error = error

    def serve(self) -> None:
        self._stop.set()
        raise self._error


class _Line:
    """What a host worker closes at its end."""

    def close(self) -> None:
        """Nothing is open."""


class Forcing:
    """One function fails while an action runs. ``quoting``: the error repeats what the function was given, as some library's might."""

    def __init__(self, quoting: bool = False) -> None:
        self.quoting = quoting
        self.where = ""
        self.fired: dict[str, int] = {}
        self._place: tuple[str, str, str] | None = None

    def plan(self, place: tuple[str, str, str] | None) -> None:
        """The next ``during`` lets this fail."""
        self._place = place

    def during(self, action: Callable[[], object]) -> Forced | None:
        """Do it; the failure that came up, if one did."""
        if self._place is None:
            action()
            return None
        self.where, module, path = self._place
        owner: Any = import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        real = getattr(owner, name)

        def fails(*args: object, **named: object) -> object:
            real(*args, **named)  # its work is done, and what it knows is in these local values
            self.fired[path] = self.fired.get(path, 0) + 1
            given = f": {args!r}" if self.quoting else ""
            raise (ForcedValue if len(args) % 2 else Forced)(f"forced in {path}{given}")

        setattr(owner, name, fails)
        try:
            action()
        except Forced as error:
            return error
        finally:
            setattr(owner, name, real)
            self._place = None
        return None

    def at_reader(self, error: Forced) -> list[DeviceEvent] | None:
        """What the reader's thread posts of it; None when it was no reader's."""
        if self.where != READER:
            return None
        posted: list[DeviceEvent] = []
        thread = _Failing(error, posted.append)
        # With the thread's own hands, in this thread: it does the same with a failure. ``stopping`` mutes the event, so it is asked.
        thread._run()
        return posted or thread.lost(fault_text(error))

    def lane(self, carry: Callable[..., None]) -> Callable[..., None]:
        """The virtual host's way to carry a call, with the real worker around what reads the answer."""

        def carried(kind: str, call: Call, deadline_ms: int, event_of: Callable[[Answer | Trouble], object]) -> None:
            carry(kind, call, deadline_ms, lambda came: self._worked(kind, call, lambda: event_of(came)))

        return carried

    def _worked(self, kind: str, call: Call, task: Callable[[], object]) -> object:
        if self._place is None or self.where != LANE or kind not in ("authorize", "upload", "probe"):
            return task()
        posted: list[object] = []
        worker = HostWorker("host-canary", _Line(), posted.append)  # type: ignore[arg-type]
        worker.submit(task, _otherwise(kind, call))
        worker._tasks.put(None)
        worker._run()
        return posted[0]


def _otherwise(kind: str, call: Call) -> object:
    """What ``HostDesk`` tells of a call whose task died."""
    body = json.loads(call.body or b"{}")
    if kind == "authorize":
        return HostFailed(SaleId(body["sale"]), HostTrouble.TECHNICAL, UNEXPECTED)
    if kind == "upload":
        return UploadFailed(MessageKey(call.key or ""), HostTrouble.TECHNICAL, UNEXPECTED, len(body.get("items", (0,))))
    return ProbeFailed(HostTrouble.TECHNICAL, UNEXPECTED)
