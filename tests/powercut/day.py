"""A day's work of the real terminal on the recorder's disk: lists imported, changed and made anew, drivers with and without the right PIN,
denies, corrections, closings, sales, uploads with their acknowledgements, batches, clean ends and starts.

The station is the swarm's (tests/simulation), without its faults and power cuts: those are made afterwards, from the journal. Behind every
commit, before anything leaves, the recorder is told what is durable now.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from terminal.core.effects import ApplyChanges, Effect
from terminal.core.events import ChangesApplied
from terminal.core.pin import PinEntry
from terminal.core.site import Site
from terminal.core.units import Instant
from terminal.runtime.engine import Outside
from terminal.store.ledger import Ledger
from terminal.store.pin_keys import PinKeysError
from tests.powercut.recorder import Recorder
from tests.simulation import run as swarm
from tests.simulation.host_days import HostDays
from tests.simulation.power_cut import CutEngine
from tests.simulation.run import World
from tests.simulation.workload import Workload, draw, fork

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


class Day(World):
    """The swarm's station, with the recorder told of everything that is durable."""

    def __init__(self, seed: int, recorder: Recorder, fuellings: int) -> None:
        with mock.patch.object(swarm, "draw", _with_more_cards):
            super().__init__(seed, recorder.folder, fuellings)
        self.recorder = recorder
        self.starts = 0
        self.kinds: dict[str, int] = {}
        self._open = True
        self._rng = fork(seed, "office of the day")
        self.office = HostDays(self, self._later)
        self._told = (0, b"")

    def _ledger(self, path: Path) -> Ledger:
        self.starts += 1
        return Ledger(path, autocheckpoint_pages=SHIFTS[(self.starts - 1) % len(SHIFTS)])

    def _engine(self, site: Site, ledger: Ledger, outside: Outside) -> CutEngine:
        engine = super()._engine(site, ledger, outside)

        def applied(effect: object, at: Instant) -> None:
            if isinstance(effect, ApplyChanges):
                answer = outside.apply_changes(effect.deltas)
                if isinstance(answer, ChangesApplied):
                    self.recorder.mark(Listed(answer.file, answer.offer.epoch, answer.offer.version))
                engine._next.append(answer)

        engine._act[ApplyChanges] = applied
        return engine

    def committed(self, effects: list[Effect], at: Instant) -> None:
        """See ``Watcher``: nothing of the step has left yet."""
        super().committed(effects, at)
        engine = self.terminal.engine
        if engine is None:
            return  # the first step of a start: told with the next one
        if engine.ledger.head != self._told:
            self._told = engine.ledger.head
            self.recorder.mark(Committed(*self._told, table_digest(engine.ledger.connection)))

    # --- the day ----------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From an empty disk to a clean end."""
        keys = self.forecourt.vault.pin_keys
        if keys is None:
            raise AssertionError("the station has no keys for PIN blocks")
        with contextlib.suppress(PinKeysError):  # a station with such cards has loaded them
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
            self._until(LIMIT_MS, lambda: not self.busy, "the people")
        self._open = False
        self.office.whole()
        self._until(REST_MS, lambda: not self._unsettled(), "rest", self._unsettled)
        engine = self.terminal.engine
        if engine is None:
            raise AssertionError("the terminal does not run")
        self.kinds = dict(engine.ledger.connection.execute("SELECT kind, count(*) FROM journal GROUP BY kind ORDER BY kind").fetchall())
        self._end_cleanly()

    def _end_cleanly(self) -> None:
        """As the program's loop ends: what the host has answered is written, then everything is closed."""
        if self.terminal.engine is not None:
            self.terminal.engine.close(Instant(self.now))
        self.terminal.power_off()

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
            if block is None:
                raise AssertionError("no key for a PIN block")
            self.recorder.mark(PinUsed(int(block.ksn[-8:], 16)))


def _with_more_cards(seed: int, fuellings: int) -> Workload:
    plan = draw(seed, fuellings)
    known = list(plan.scenario["cards"])
    plain = next((card for card in known if card["medium"] == "badge"), known[0])
    like = plain | {"pin": None, "pair": None}
    more = [like | {"number": f"05{number:012X}", "account": f"05{number:012X}"} for number in range(MORE_CARDS)]
    return replace(plan, scenario=plan.scenario | {"cards": known + more, "batch_sales": 7})
