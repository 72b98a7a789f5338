"""Drivers, as they come: with patience and without, with the wrong PIN, the wrong nozzle, a nozzle in hand before the badge.

A driver is a generator that says how many milliseconds pass before he does something else. He sees what a driver sees: the
terminal's screen, the nozzles in their places, the pump's display. One stands at the terminal and one at each pump at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol

from drivers.events import Key, KeyPressed, MediumKind, MediumPresented, MediumRemoved, MediumUnreadable
from hal_sim.dispensers.head import Head, HeadState
from terminal.core.texts import LANGUAGES, SCREENS
from tests.simulation.workload import Badge, Manner, Visit
from tests.virtual.forecourt import SIDE

LOOK_MS = 400
QUEUE_MS = 2_000
PATIENCE_MS = 25_000

Act = Iterator[int]


def _first_lines(name: str) -> tuple[str, ...]:
    return tuple(SCREENS[language][name][0].partition("{")[0] for language in LANGUAGES)


GO = _first_lines("GO_TO_PUMP")
PROMPT = _first_lines("ODOMETER")
PIN = tuple({*_first_lines("PIN"), *_first_lines("PIN_AGAIN")})
CHOICE = _first_lines("FUELLING_POINT")


class Place(Protocol):
    """Where drivers are."""

    heads: dict[int, Head]
    badges: tuple[Badge, ...]
    at_terminal: int | None
    at_pump: dict[int, int]
    attempts: int

    @property
    def now(self) -> int:
        """Virtual time."""

    @property
    def screen(self) -> str:
        """What the display shows."""

    def post(self, event: object) -> None:
        """Into the terminal's inbox, by way of reader or keypad."""

    def note(self, driver: int, what: str) -> None:
        """For the trace."""


class Driver:
    """One visit."""

    def __init__(self, number: int, visit: Visit, place: Place, rng: Random) -> None:
        self.number = number
        self.visit = visit
        self.place = place
        self.rng = rng
        self.badge = place.badges[visit.card]
        self.manner = visit.manner

    @property
    def head(self) -> Head:
        """The pump that he means."""
        return self.place.heads[self.visit.fp]

    def run(self) -> Act:
        """From arriving to leaving."""
        place = self.place
        while self.visit.fp in place.at_pump:
            yield QUEUE_MS
        place.at_pump[self.visit.fp] = self.number
        try:
            place.note(self.number, f"comes: {self.manner.value}, fp {self.visit.fp}")
            if self.manner is Manner.EARLY_LIFTER:
                yield from self._lift(self._nozzle())
            while place.at_terminal is not None:
                yield QUEUE_MS
            place.at_terminal = self.number
            try:
                yield from self._identify()
                if not self._served() and self.manner is not Manner.IMPATIENT:
                    yield self.rng.randint(2_000, 8_000)
                    self.badge = self.rng.choice(place.badges)
                    yield from self._identify()
            finally:
                place.at_terminal = None
            if self._served() or self.rng.randrange(3) == 0:
                yield from self._fuel()
            yield from self._hang_up()
        finally:
            del place.at_pump[self.visit.fp]
            place.note(self.number, "leaves")

    # --- at the terminal ----------------------------------------------------------------------------------------------------

    def _identify(self) -> Act:
        yield from self._present(self.badge)
        if self.manner is Manner.OTHER_BADGE and self.rng.randrange(2):
            self.badge = self.rng.choice(self.place.badges)
            yield from self._present(self.badge)
        impatience = self.rng.randint(0, 4) if self.manner is Manner.IMPATIENT else None
        wrong = self.rng.randint(1, 3) if self.manner is Manner.WRONG_PIN else 0
        for act in range(40):
            if impatience is not None and act >= impatience:
                yield from self._key(Key.CANCEL)
                return
            screen = self.place.screen
            if screen.startswith(PIN) and self.badge.pin is not None:
                yield from self._type_pin(self.badge.pin, wrong > 0)
                wrong -= 1
            elif screen.startswith(PROMPT):
                yield from self._digits(str(self.rng.randint(1_000, 99_999)))
                yield from self._key(Key.ENTER)
            elif screen.startswith(CHOICE):
                yield from self._choose()
                yield from self._await_answer()
                return
            else:
                yield LOOK_MS
            if self.manner is Manner.SAME_BADGE and self.rng.randrange(4) == 0:
                yield from self._present(self.badge)

    def _present(self, badge: Badge) -> Act:
        if self.rng.randrange(15) == 0:
            self.place.note(self.number, "holds a badge badly")
            self.place.post(MediumUnreadable(SIDE, MediumKind.BADGE, "torn away"))
            yield self.rng.randint(50, 2_000)
        self.place.note(self.number, "presents a badge")
        self.place.post(MediumPresented(SIDE, MediumKind.BADGE, badge.number))
        yield self.rng.randint(50, 600)
        self.place.post(MediumRemoved(SIDE, MediumKind.BADGE))
        yield self.rng.randint(10, 500)

    def _type_pin(self, pin: str, wrong: bool) -> Act:
        typed = pin[:-1] + str((int(pin[-1]) + 1) % 10) if wrong else pin
        yield from self._digits(typed)
        yield from self._key(Key.ENTER)

    def _choose(self) -> Act:
        rng = self.rng
        if self.manner is Manner.WISHES:
            for _ in range(rng.randint(1, 2)):
                yield from self._key(Key.CLEAR)
            yield from self._digits(str(rng.randint(500, 4_000)))
            yield from self._key(Key.ENTER)
        yield from self._pause()
        offered = self.place.screen.partition("\n")[2].partition("\n")[0]
        if offered and offered != str(self.visit.fp):
            yield from self._key(Key.CLEAR)
        if offered != str(self.visit.fp):
            yield from self._digits(str(self.visit.fp))
        yield from self._key(Key.ENTER)

    def _await_answer(self) -> Act:
        if self.manner is Manner.IMPATIENT and self.rng.randrange(3) == 0:
            yield from self._key(Key.CANCEL)
        for _ in range(40):
            if self._served():
                break
            if self.manner is Manner.OTHER_BADGE and self.rng.randrange(4) == 0:
                yield from self._present(self.rng.choice(self.place.badges))
                return
            yield LOOK_MS
        else:
            if self.rng.randrange(2):
                yield from self._key(Key.CANCEL)
        if self.manner is Manner.IMPATIENT and self.rng.randrange(2):
            yield from self._key(Key.CANCEL)

    def _served(self) -> bool:
        return self.place.screen.startswith(GO)

    def _digits(self, digits: str) -> Act:
        for digit in digits:
            yield from self._key(Key(digit))
            if self.manner is Manner.IMPATIENT and self.rng.randrange(8) == 0:
                yield from self._key(Key.CANCEL)

    def _key(self, key: Key) -> Act:
        self.place.post(KeyPressed(SIDE, key))
        yield self.rng.randint(60, 300)

    def _pause(self) -> Act:
        yield self.rng.randint(10, 800)

    # --- at the pump ----------------------------------------------------------------------------------------------------------

    def _nozzle(self) -> int:
        return self.rng.choice(sorted(self.head.nozzles))

    def _lift(self, nozzle: int) -> Act:
        if self.head.nozzle_out is None:
            self.place.note(self.number, f"lifts nozzle {nozzle} of fp {self.visit.fp}")
            self.head.lift(nozzle, self.place.now)
        yield self.rng.randint(50, 1_500)

    def _hang_up(self) -> Act:
        if self.head.nozzle_out is not None:
            self.head.hang_up(self.place.now)
            self.place.note(self.number, f"hangs up at fp {self.visit.fp}")
        yield self.rng.randint(50, 500)

    def _fuel(self) -> Act:
        rng, manner = self.rng, self.manner
        yield rng.randint(300, 8_000)
        if manner is Manner.NEVER_LIFTS:
            return
        if manner is Manner.HANGS_UP:
            for _ in range(rng.randint(1, 3)):
                yield from self._lift(self._nozzle())
                yield from self._hang_up()
            return
        if manner is Manner.WRONG_NOZZLE:
            yield from self._lift(self._nozzle())
            yield rng.randint(500, 6_000)
            yield from self._hang_up()
        yield from self._lift(self._nozzle())
        self.place.attempts += 1
        if rng.randrange(4):
            yield from self._wait(lambda: self.head.valve_open, PATIENCE_MS)
        volume = self.visit.litres_ml * (10 if manner is Manner.GREEDY else 1)
        pieces = rng.randint(2, 4) if manner is Manner.PAUSES else 1
        for _ in range(pieces):
            yield from self._squeeze(volume // pieces)

    def _squeeze(self, volume_ml: int) -> Act:
        head = self.head
        if head.nozzle_out is None or head.state in (HeadState.LIMIT_REACHED, HeadState.COMPLETED):
            return
        head.squeeze(max(10, volume_ml), self.place.now)
        yield LOOK_MS
        yield from self._wait(lambda: not head.delivering, 200_000 if head.delivering else PATIENCE_MS)
        if head.nozzle_out is not None:
            head.release_trigger(self.place.now)
        yield self.rng.randint(200, 5_000)

    def _wait(self, until: Callable[[], bool], limit_ms: int) -> Act:
        for _ in range(limit_ms // LOOK_MS):
            if until():
                return
            yield LOOK_MS
