"""What persons in charge do at the site, and devices that are gone for a while: every episode ends by itself, ``whole`` ends all of them.

The emergency stop is pulled out again by somebody and reset by a technician's order, not before. What is said here of readers, keypad and
display is what their threads say: they themselves, with their ports, are not in this process.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from drivers.commands import AuthorizeFuellingPoint
from drivers.events import (
    EMERGENCY_STOP,
    DeviceDown,
    DeviceUp,
    KeyPressed,
    MediumKind,
    MediumPresented,
    MediumRemoved,
    MediumUnreadable,
    SiteInputChanged,
)
from terminal.core.effects import Effect, Send
from terminal.core.faults import ACKNOWLEDGED
from terminal.core.orders import Order, OrderAsked, OrderKind
from terminal.core.sale import SaleState
from tests.simulation.media import Readers
from tests.virtual.forecourt import Forecourt

LOOK_MS = 500
"""From the program's start to what its devices say first."""
ROUND_MS = 20_000
"""A technician who was called comes by so often until all is well."""
READERS = {
    MediumKind.BADGE: "badge-1",
    MediumKind.SECURE_BADGE: "badge-1",
    MediumKind.STRIPE: "stripe-1",
    MediumKind.SMART_CARD: "card-1",
}
KEYPAD, DISPLAY = "keypad-1", "display-1"
MOMENTS_MS = (1, 20, 60, 150, 400, 1_500, 6_000)
"""From a release to the stop that somebody gives just then."""


class Place(Protocol):
    """What is done harm to."""

    @property
    def readers(self) -> Readers:
        """Of the terminal's side."""

    @property
    def forecourt(self) -> Forecourt:
        """The station."""

    def note_fault(self, subject: str, what: str, kind: str = "") -> None:
        """For the trace; ``kind`` for the tally."""


class SiteFaults:
    """``later(low_ms, high_ms, action)`` runs something when its time comes, unless everything is whole by then."""

    def __init__(self, place: Place, later: Callable[[int, int, Callable[[], None]], None], rng: Random) -> None:
        self._place = place
        self._later = later
        self._rng = rng  # of what follows an episode; the episodes bring theirs
        self.has_input = rng.randrange(3) > 0
        self.gone: set[str] = set()
        self._ever_gone: set[str] = set()
        self._button_in = False
        self._ever_pressed = False
        self._tickets = 0
        self._at_release: list[Callable[[int], None]] = []

    # --- the terminal's view --------------------------------------------------------------------------------------------------------

    def heard(self, event: object) -> bool:
        """A device that is there could have said this."""
        if isinstance(event, KeyPressed):
            return KEYPAD not in self.gone
        return not isinstance(event, MediumPresented | MediumRemoved | MediumUnreadable) or READERS[event.kind] not in self.gone

    @property
    def dark(self) -> bool:
        """The display shows nothing."""
        return DISPLAY in self.gone

    def started(self) -> None:
        """The program starts: its devices say how they are, and the input how its contact stands."""
        self._at_release.clear()
        boots = self._forecourt.terminal.boots

        def say() -> None:
            if self._forecourt.terminal.boots == boots:
                self._say()

        if self._ever_gone or (self.has_input and self._ever_pressed):
            self._forecourt.heap.after(LOOK_MS, say)

    def _say(self) -> None:
        for name in sorted(self._ever_gone):
            self._post(DeviceDown(name, "it does not answer") if name in self.gone else DeviceUp(name))
        if self.has_input:
            self._post(SiteInputChanged(EMERGENCY_STOP, self._button_in))

    def sending(self, effect: Effect) -> None:
        """What leaves the terminal: somebody may wait for just that."""
        if self._at_release and isinstance(effect, Send) and isinstance(effect.command, AuthorizeFuellingPoint):
            act, fp = self._at_release.pop(), effect.command.fp
            self._forecourt.heap.after(self._rng.choice(MOMENTS_MS), lambda: act(fp))

    # --- the emergency stop ---------------------------------------------------------------------------------------------------------

    def press(self, rng: Random) -> None:
        """The hard-wired stop of the site, at any time or just behind a release; pulled out after a while, and then reset by an order."""
        by_host = bool(rng.randrange(3)) and self._forecourt.terminal.config.rules.host_resets_emergency_stop
        if rng.randrange(2):
            self._at_release.append(lambda fp: self._press(by_host))
        else:
            self._press(by_host)

    def _press(self, by_host: bool) -> None:
        if self._button_in or self._whole:
            return
        self._place.note_fault("site", "the emergency stop is pressed", "site: emergency stop pressed")
        self._set_button(True)
        self._later(500, self._rng.choice([5_000, 60_000]), lambda: self._pull_out(by_host))

    def _set_button(self, pressed: bool) -> None:
        court = self._forecourt
        self._button_in, first = pressed, not self._ever_pressed
        self._ever_pressed = True
        for head in court.heads.values():
            head.emergency_stop(pressed, court.heap.now)
        if self.has_input:
            self._post(SiteInputChanged(EMERGENCY_STOP, pressed))
        if first:
            court.heap.after(ROUND_MS, self._round)

    def _pull_out(self, by_host: bool) -> None:
        self._place.note_fault("site", "the emergency stop is pulled out")
        self._set_button(False)
        if by_host:
            self._forecourt.book.order("reset_emergency_stop", "operator", "all is well", valid_ms=60_000)
            self._place.note_fault("host", "orders a reset", "order: reset by the host's operator")

    def _round(self) -> None:
        """A head that was dark may tell of it when somebody has reset it already: he comes again."""
        engine = self._forecourt.terminal.engine
        if engine is not None and engine.site.emergency.on and not self._button_in:
            self._order(OrderKind.RESET_EMERGENCY_STOP)
        self._forecourt.heap.after(ROUND_MS, self._round)

    # --- orders ---------------------------------------------------------------------------------------------------------------------

    def order(self, rng: Random) -> None:
        """Somebody stops a fuelling point, at the site or through the host, mostly where something waits or flows; or sees a fault."""
        kind = rng.randrange(4)
        if kind == 0:
            self._acknowledge(rng)
            return
        by_host = bool(rng.randrange(2))
        if kind == 1:
            self._at_release.append(lambda fp: self._stop(fp, by_host))
        else:
            self._stop(rng.choice(self._busy() or sorted(self._forecourt.heads)), by_host)

    def _busy(self) -> list[int]:
        engine = self._forecourt.terminal.engine
        sales = () if engine is None else engine.site.desk.sales.values()
        return sorted({one.fp for one in sales if one.state in (SaleState.AUTHORIZED, SaleState.DELIVERING)})

    def _stop(self, fp: int, by_host: bool) -> None:
        if self._whole:
            return
        if by_host:
            self._forecourt.book.order("stop_point", "operator", "somebody called", fuelling_point=fp, valid_ms=60_000)
            self._place.note_fault("host", f"orders fp {fp} to stop", "order: stop by the host's operator")
        else:
            self._order(OrderKind.STOP_POINT, fp=fp)

    def _acknowledge(self, rng: Random) -> None:
        engine = self._forecourt.terminal.engine
        on = [] if engine is None else sorted((code.value, about) for code, about in engine.site.desk.faults.active if code in ACKNOWLEDGED)
        if on:
            code, subject = rng.choice(on)
            self._order(OrderKind.ACKNOWLEDGE_FAULT, code=code, subject=subject)

    def _order(self, kind: OrderKind, fp: int | None = None, code: str | None = None, subject: str | None = None) -> None:
        """At the site: it goes in as the socket would bring it, and the answer is told behind the step's commit."""
        self._tickets += 1
        self._post(OrderAsked(self._tickets, Order(kind, "manager", "seen on the spot", fp, code, subject)))
        engine = self._forecourt.terminal.engine
        answers = {} if engine is None else engine.site.orders.take_answers()
        obeyed = self._tickets in answers and answers[self._tickets] is None
        word = "order: " + kind.value.replace("_", " ")
        self._place.note_fault("site", f"{word}, {'obeyed' if obeyed else 'refused or not heard'}", word if obeyed else "")

    # --- devices --------------------------------------------------------------------------------------------------------------------

    def reader(self, rng: Random) -> None:
        """A reader does not answer for a while."""
        self._lose(rng.choice(sorted(set(READERS.values()))), "site: reader gone", rng)

    def keypad(self, rng: Random) -> None:
        """Keys do nothing for a while."""
        self._lose(KEYPAD, "site: keypad gone", rng)

    def display(self, rng: Random) -> None:
        """Nobody can read anything for a while."""
        self._lose(DISPLAY, "site: display gone", rng)

    def _lose(self, name: str, kind: str, rng: Random) -> None:
        if name in self.gone:
            return
        if name == READERS[MediumKind.SMART_CARD]:
            self._place.readers.lost()
        self.gone.add(name)
        self._ever_gone.add(name)
        self._place.note_fault("site", f"{name} is gone", kind)
        self._post(DeviceDown(name, "it does not answer"))
        self._later(500, rng.choice([5_000, 60_000]), lambda: self._back(name))

    def _back(self, name: str) -> None:
        self.gone.discard(name)
        self._place.note_fault("site", f"{name} is back")
        self._post(DeviceUp(name))
        if name == READERS[MediumKind.SMART_CARD]:
            self._place.readers.found()

    # --- the end --------------------------------------------------------------------------------------------------------------------

    _whole = False

    def whole(self) -> None:
        """Every device is back and nobody presses anything any more; who was called to reset the stop comes once more."""
        self._whole = True
        for name in sorted(self.gone):
            self._back(name)
        if self._button_in:
            self._pull_out(False)

    @property
    def _forecourt(self) -> Forecourt:
        return self._place.forecourt

    def _post(self, event: object) -> None:
        self._forecourt.terminal.post(event)
