"""Drivers, as they come: with patience and without, with the wrong PIN, the wrong nozzle, a nozzle in hand before the badge.

A driver is a generator that says how many milliseconds pass before he does something else. He sees what a driver sees: the
terminal's screen, the nozzles in their places, the pump's display. One stands at the terminal and one at each pump at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Protocol

from drivers.events import Key, KeyPressed
from hal_sim.dispensers.head import Head, HeadState
from terminal.core.texts import LANGUAGES, SCREENS
from tests.simulation.media import Act, Medium, Readers
from tests.simulation.workload import Manner, Visit
from tests.virtual.forecourt import SIDE
from tests.virtual.heap import Look

LOOK_MS = 400
QUEUE_MS = 2_000
PATIENCE_MS = 25_000
PATIENT_TIMES = 2
LONG_LOOK_MS = 3_000
DARK_MS = 15_000


def _first_lines(name: str) -> tuple[str, ...]:
    return tuple(SCREENS[language][name][0].partition("{")[0] for language in LANGUAGES)


GO = _first_lines("GO_TO_PUMP")
ODOMETER = _first_lines("ODOMETER")
PROMPT = tuple({*_first_lines("VEHICLE"), *_first_lines("DRIVER"), *_first_lines("NUMBER")})
WELCOME = _first_lines("WELCOME")
REFUSED = _first_lines("REFUSED")
SECOND = _first_lines("SECOND_CARD")
PIN = tuple({*_first_lines("PIN"), *_first_lines("PIN_AGAIN"), *_first_lines("PIN_HOST")})
CHOICE = _first_lines("FUELLING_POINT")


class Place(Protocol):
    """Where drivers are."""

    heads: dict[int, Head]
    badges: tuple[Medium, ...]
    readers: Readers
    odometers: dict[str, int]
    at_terminal: int | None
    at_pump: dict[int, int]
    attempts: int
    sent_away: Counter[str]

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

    def tell(self, kind: str) -> None:
        """For the tally."""


class Driver:
    """One visit."""

    def __init__(self, number: int, visit: Visit, place: Place, rng: Random) -> None:
        self.number = number
        self.visit = visit
        self.place = place
        self.rng = rng
        self.badge = place.badges[visit.card]
        self._wrong = 0  # so many PINs will be typed wrongly
        self._asked_for: list[str] = []  # PINs of what he has shown, in their order
        self.manner = visit.manner

    @property
    def head(self) -> Head:
        """The pump that he means."""
        return self.place.heads[self.visit.fp]

    def run(self) -> Act:
        """From arriving to leaving."""
        place = self.place
        yield Look(QUEUE_MS, lambda: self.visit.fp not in place.at_pump)
        place.at_pump[self.visit.fp] = self.number
        try:
            self._who_comes()
            place.note(self.number, f"comes: {self.manner.value}, fp {self.visit.fp}")
            place.tell(f"driver: {self.manner.value}")
            if self.manner is Manner.EARLY_LIFTER:
                yield from self._lift(self._nozzle())
            yield Look(QUEUE_MS, lambda: place.at_terminal is None)
            place.at_terminal = self.number
            try:
                if self.rng.randrange(6):
                    yield from self._wait(lambda: place.screen.startswith(WELCOME), DARK_MS)
                yield from self._identify()
                if not self._served() and self.manner is not Manner.IMPATIENT:
                    yield self.rng.randint(2_000, 8_000)
                    self.badge = self.rng.choice(place.badges)
                    yield from self._identify()
                yield from place.readers.take_out(self.rng)
            finally:
                place.at_terminal = None
            self._tell_the_others()
            if self._served() or self.rng.randrange(3) == 0:
                yield from self._fuel()
            yield from self._hang_up()
        finally:
            del place.at_pump[self.visit.fp]
            place.note(self.number, "leaves")

    def _who_comes(self) -> None:
        """Whoever was sent away twice mostly stays away; then a card is shown that had more luck."""
        away = self.place.sent_away
        if away[self.badge.number] >= PATIENT_TIMES and self.rng.randrange(4):
            fewest = min(away[badge.number] for badge in self.place.badges)
            self.badge = self.rng.choice([badge for badge in self.place.badges if away[badge.number] == fewest])

    def _tell_the_others(self) -> None:
        if self._served():
            self.place.sent_away[self.badge.number] = 0
        elif self.manner is not Manner.IMPATIENT:
            self.place.sent_away[self.badge.number] += 1

    # --- at the terminal ----------------------------------------------------------------------------------------------------

    def _identify(self) -> Act:
        yield from self._present(self.badge)
        if self.manner is Manner.OTHER_BADGE and self.rng.randrange(2):
            self.badge = self.rng.choice(self.place.badges)
            yield from self._present(self.badge)
        impatience = self.rng.randint(0, 4) if self.manner is Manner.IMPATIENT else None
        self._wrong = self.rng.randint(1, 3) if self.manner is Manner.WRONG_PIN else 0
        for act in range(40):
            if impatience is not None and act >= impatience:
                yield from self._key(Key.CANCEL)
                return
            screen = self.place.screen
            if screen.startswith(CHOICE):
                yield from self._choose()
                yield from self._await_answer()
                return
            if screen.startswith(REFUSED):
                yield self.rng.randint(500, 7_000)  # the notice may be read to its end, or cut short by the next badge
                return
            yield from self._answer(screen)
            if self.manner is Manner.SAME_BADGE and self.rng.randrange(4) == 0:
                yield from self._present(self.badge)

    def _answer(self, screen: str) -> Act:
        """What the screen asks for; nothing else can be done but wait."""
        if screen.startswith(PIN) and self._asked_for:
            yield from self._type_pin(self._asked_for[0], self._wrong > 0)
            if self._wrong <= 0 and len(self._asked_for) > 1:
                del self._asked_for[0]  # the second card's PIN comes next
            self._wrong -= 1
        elif screen.startswith(ODOMETER):
            yield from self._digits(self._odometer())
            yield from self._key(Key.ENTER)
        elif screen.startswith(PROMPT):
            yield from self._digits(str(self.rng.randint(1_000, 99_999)))
            yield from self._key(Key.ENTER)
        elif screen.startswith(SECOND):
            yield from self._second()
        else:
            yield LOOK_MS

    def _present(self, medium: Medium) -> Act:
        self._asked_for = [medium.pin] if medium.pin is not None else []
        yield from self.place.readers.present(medium, self.rng, lambda what: self.place.note(self.number, what))

    def _second(self) -> Act:
        """The other card of the pair, or now and then whichever comes to hand; its PIN is its holder's."""
        badges, pair = self.place.badges, self.badge.pair
        other = self.rng.choice(badges) if pair is None or self.rng.randrange(6) == 0 else badges[pair]
        yield from self._present(other)
        yield LOOK_MS
        self._asked_for = [one.pin for one in (self.badge, other) if one.pin is not None]

    def _odometer(self) -> str:
        """What the instrument says, or now and then anything."""
        if self.rng.randrange(6) == 0:
            return str(self.rng.randint(1, 999_999))
        account = self.badge.number
        self.place.odometers[account] = self.place.odometers.get(account, 50_000) + self.rng.randint(1, 900)
        return str(self.place.odometers[account])

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
        patience = Look(LOOK_MS, self._served, 40)
        if self.manner is Manner.OTHER_BADGE:
            for _ in range(patience.times or 0):
                patience.seen = self._served()
                if patience.seen:
                    break
                if self.rng.randrange(4) == 0:
                    yield from self._present(self.rng.choice(self.place.badges))
                    return
                yield LOOK_MS
        else:
            yield patience
        if not patience.seen and self.rng.randrange(2):
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
        if rng.randrange(10):  # else the lever is pulled before anything can flow, and let go again
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
        yield from self._until_it_stops()
        if head.nozzle_out is not None:
            head.release_trigger(self.place.now)
        yield self.rng.randint(200, 5_000)

    def _until_it_stops(self) -> Act:
        """He looks up now and then, and when it is full."""
        head, began = self.head, self.place.now
        while head.delivering and self.place.now - began < 200_000:
            changes = head.next_change()
            yield LOOK_MS if changes is None else min(max(LOOK_MS, changes - self.place.now), LONG_LOOK_MS)

    def _wait(self, until: Callable[[], bool], limit_ms: int) -> Act:
        yield Look(LOOK_MS, until, limit_ms // LOOK_MS)
