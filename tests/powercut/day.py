"""A day's work of the real terminal on the recorder's disk: lists imported, changed and made anew, drivers with and without the right PIN,
denies, corrections, closings, sales, uploads with their acknowledgements, batches, clean ends and starts.

The station is the swarm's (tests/simulation), without its faults and power cuts: those are made afterwards, from the journal. Behind every
commit, before anything leaves, the recorder is told what is durable now.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hal_sim.dispensers.head import Head, HeadOptions
from terminal.core.effects import ApplyChanges, Effect
from terminal.core.events import ChangesApplied
from terminal.core.pin import PinEntry
from terminal.core.site import Site
from terminal.core.units import Instant
from terminal.runtime.engine import Engine, Outside
from terminal.store.ledger import Ledger
from tests.powercut.recorder import Recorder
from tests.simulation.host_days import HostDays
from tests.simulation.people import Driver
from tests.simulation.workload import Badge, Visit, draw, fork
from tests.virtual.forecourt import Forecourt

MORE_CARDS = 150
"""Cards in the list that nobody presents, so that a list has pages."""
SHIFTS = (800, 30, 120)
"""Pages of log before it is folded, start by start; the first is the product's own."""
OFFICE_MS = (20_000, 90_000)
PIN_NUMBER = "7001000000000000019"
LIMIT_MS = 6 * 3_600_000
REST_MS = 30 * 60_000

TABLES = ("sale", "outbox", "pin", "total", "fault", "meta", "deny", "ack", "batch", "correction", "closing", "badge_counter", "odometer")
"""What the journal leads to; ``outbox`` with its bodies."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The ledger's newest row is durable, and so is what the tables say."""

    seq: int
    hash: bytes
    tables: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A card file was changed, durably."""

    file: str
    epoch: str
    version: int


@dataclass(frozen=True, slots=True)
class PinUsed:
    """A key for PIN blocks left the terminal; its counter must never come again."""

    counter: int


def typed_pin() -> PinEntry:
    """Four digits behind ``PIN_NUMBER``."""
    entry = PinEntry()
    for digit in "2468":
        entry.add(digit)
    return entry


def table_digest(db: sqlite3.Connection) -> bytes:
    """Every row of every table but the journal's."""
    digest = hashlib.sha256()
    for table in TABLES:
        for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
            digest.update(repr(row).encode())
        digest.update(b"\n")
    return digest.digest()


class _Marking(Engine):
    """The real engine; tells the recorder what is durable before anything of the step leaves."""

    def __init__(self, site: Site, ledger: Ledger, outside: Outside, recorder: Recorder) -> None:
        super().__init__(site, ledger, outside)
        self._recorder = recorder
        self._told = ledger.head
        apply = outside.apply_changes

        def applied(effect: object, at: Instant) -> None:
            if isinstance(effect, ApplyChanges):
                answer = apply(effect.deltas)
                if isinstance(answer, ChangesApplied):
                    recorder.mark(Listed(answer.file, answer.offer.epoch, answer.offer.version))
                self._next.append(answer)

        self._act[ApplyChanges] = applied

    def commit(self, effects: list[Effect], at: Instant) -> None:
        """See ``Engine``."""
        super().commit(effects, at)
        if self.ledger.head != self._told:
            self._told = self.ledger.head
            self._recorder.mark(Committed(*self._told, table_digest(self.ledger.connection)))


class Day:
    """Implements what drivers and the office ask for."""

    def __init__(self, seed: int, recorder: Recorder, fuellings: int) -> None:
        self.seed = seed
        self.recorder = recorder
        self.plan = draw(seed, fuellings)
        self.badges: tuple[Badge, ...] = self.plan.badges
        self.forecourt = Forecourt(
            _with_more_cards(self.plan.scenario), recorder.folder, head_options=HeadOptions(pulse_ml=self.plan.pulse_ml)
        )
        self.heap = self.forecourt.heap
        self.heads: dict[int, Head] = self.forecourt.heads
        self.at_terminal: int | None = None
        self.at_pump: dict[int, int] = {}
        self.attempts = self.busy = 0
        self.starts = 0
        self.facts: dict[str, int] = {}
        self._open = True
        self._rng = fork(seed, "office")
        self.office = HostDays(self, self._later)
        self.forecourt.terminal.engine_made = lambda site, ledger, outside: _Marking(site, ledger, outside, recorder)
        self.forecourt.terminal.ledger_made = self._ledger

    def _ledger(self, path: Path) -> Ledger:
        self.starts += 1
        return Ledger(path, autocheckpoint_pages=SHIFTS[(self.starts - 1) % len(SHIFTS)])

    # --- the day ----------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From an empty disk to a clean end."""
        keys = self.forecourt.vault.pin_keys
        assert keys is not None
        keys.load(*self.forecourt.book.pin_initial_key())
        self.forecourt.begin()
        people, visits = fork(self.seed, "manners"), list(self.plan.visits)
        self._office_soon()
        third = -(-len(visits) // len(SHIFTS))
        for shift in range(len(SHIFTS)):
            if shift:
                self._end_cleanly()
                self.forecourt.begin()
            at = 0
            for number, visit in enumerate(visits[shift * third : (shift + 1) * third], shift * third + 1):
                at += visit.gap_ms
                self._send(number, visit, at, people)
            self._until(LIMIT_MS, lambda: not self.busy)
        self._open = False
        self.office.whole()
        self._until(REST_MS, self._at_rest)
        engine = self.forecourt.terminal.engine
        assert engine is not None
        self.facts = dict(engine.ledger.connection.execute("SELECT kind, count(*) FROM journal GROUP BY kind ORDER BY kind").fetchall())
        self._end_cleanly()

    def _until(self, limit_ms: int, until: Callable[[], bool]) -> None:
        if not self.heap.run_until(self.now + limit_ms, until):
            raise AssertionError(f"the day does not end: {limit_ms // 60_000} virtual minutes were not enough")

    def _at_rest(self) -> bool:
        engine = self.forecourt.terminal.engine
        if engine is None or any(point.sale is not None for point in engine.site.points.values()):
            return False
        (waiting,) = engine.ledger.connection.execute("SELECT count(*) FROM outbox WHERE quarantined = 0").fetchone()
        return not waiting and not engine.site.uploads.acknowledged

    def _end_cleanly(self) -> None:
        """As the program's loop ends: what the host has answered is written, then everything is closed."""
        terminal = self.forecourt.terminal
        if terminal.engine is not None:
            terminal.engine.close(Instant(self.now))
        terminal.power_off()

    # --- the office -------------------------------------------------------------------------------------------------------------

    def _later(self, low_ms: int, high_ms: int, action: Callable[[], None]) -> None:
        self.heap.after(self._rng.randint(low_ms, high_ms), lambda: action() if self._open else None)

    def _office_soon(self) -> None:
        self._later(*OFFICE_MS, self._office_acts)

    def _office_acts(self) -> None:
        rng, office = self._rng, self.office
        card = rng.choice(self.forecourt.scenario["cards"])["number"]
        acts: tuple[Callable[[], object], ...] = (
            lambda: office.publish(rng),
            lambda: office.publish(rng),
            lambda: office.rebuild(rng),
            lambda: office.correct(rng),
            lambda: office.close(rng),
            lambda: self._block(card),
            self._check_pin_elsewhere,
        )
        rng.choice(acts)()
        self._office_soon()

    def _block(self, card: str) -> None:
        book = self.forecourt.book
        book.block(card=card)
        self._later(5_000, 60_000, lambda: book.unblock(card=card))

    def _check_pin_elsewhere(self) -> None:
        """A driver whose PIN the host compares: blocks leave under keys that are never used again."""
        for _ in range(self._rng.randint(1, 60)):
            block = self.forecourt.vault.pin_block(PIN_NUMBER, typed_pin())
            assert block is not None
            self.recorder.mark(PinUsed(int(block.ksn[-8:], 16)))

    # --- what people and the office ask for ---------------------------------------------------------------------------------------

    def _send(self, number: int, visit: Visit, delay_ms: int, people: Random) -> None:
        self.busy += 1
        act = Driver(number, visit, self, Random(people.getrandbits(64))).run()
        self.heap.after(delay_ms, lambda: self._go_on(act))

    def _go_on(self, act: Iterator[int]) -> None:
        delay = next(act, None)
        if delay is None:
            self.busy -= 1
        else:
            self.heap.after(delay, lambda: self._go_on(act))

    @property
    def now(self) -> int:
        """Virtual time."""
        return self.heap.now

    @property
    def screen(self) -> str:
        """What the display shows."""
        screens = self.forecourt.terminal.screens
        return screens[-1] if screens else ""

    def post(self, event: object) -> None:
        """From reader or keypad."""
        self.forecourt.terminal.post(event)

    def note(self, driver: int, what: str) -> None:
        """See ``people.Place``: nobody reads it here."""

    def note_fault(self, subject: str, what: str) -> None:
        """See ``host_days.Office``: nobody reads it here."""


def _with_more_cards(scenario: dict[str, object]) -> dict[str, object]:
    known = list(scenario["cards"])  # type: ignore[call-overload]
    like = known[0] | {"pin": None, "pair": None}
    more = [like | {"number": f"05{number:012X}", "account": f"05{number:012X}"} for number in range(MORE_CARDS)]
    return scenario | {"cards": known + more, "batch_sales": 7}
