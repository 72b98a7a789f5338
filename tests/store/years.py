"""A ledger of years in a moment: a station's life with days between its commits, batches that are closed and agreed, and its pruning."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from terminal.core.clock import AGREED_ANSWERS, AGREED_MS
from terminal.core.ids import MessageKey, SaleId
from terminal.core.internal_events import SaleAcknowledged
from terminal.core.messages import CloseBatch
from terminal.core.records import BatchSent, BatchSettled, ClockAnchored, MessageAcknowledged, MessageQuarantined
from terminal.core.rollback_mark import LedgerPruned
from terminal.core.sale import GRID, SaleState
from terminal.core.units import Instant, UtcMs
from terminal.store import retention
from terminal.store.at_rest import reading
from terminal.store.backup import NEWEST, make
from terminal.store.batch_memory import remembered
from terminal.store.ledger import Ledger, Stamp
from terminal.store.pruning import PAUSE_MS, Pruner
from tests.store.books import BOOT, TERMINAL, Station

DAY_MS = 24 * 3_600_000
KEEP = 15
ROUNDS = 26
"""So many weeks of a station at its usual pace are more than two years."""


class Years(Station):
    """``pace_ms``: what passes with each commit. ``held``: sales whose messages the host never answers; ``refused``: refuses for good."""

    def __init__(self, path: Path, *, pace_ms: int = 3 * DAY_MS // 2) -> None:
        self.pace_ms = pace_ms
        super().__init__(path)
        self.held: set[str] = set()
        self.refused: set[str] = set()
        self.tell(6)  # the host's time

    def commit(self) -> None:
        """And some days pass."""
        super().commit()
        self.at = Instant(self.at + self.pace_ms)

    @property
    def stamp(self) -> Stamp:
        """Of the next commit."""
        return Stamp(self.desk.utc(self.at), self.desk.clock.state(self.at).value)

    def answer(self, draw: int) -> None:
        """The host acknowledges what waits, in its order, but for what it is told to leave or to refuse."""
        for key in list(self.waiting):
            sale = key.rpartition("/")[0]
            if sale in self.held:
                continue
            if sale in self.refused:
                self.desk.persist(MessageQuarantined(MessageKey(key), "REJECTED_PERMANENT"))
                self.waiting.remove(key)
                self.held.add(sale)
                self.commit()
                continue
            self._acknowledge(key)
            return

    def _acknowledge(self, key: str) -> None:
        sale, _, kind = key.rpartition("/")
        self.waiting.remove(key)
        self.desk.persist(MessageAcknowledged(MessageKey(key), "ACCEPTED"))
        one = self.desk.sales.get(SaleId(sale))
        if one is not None and one.state in (SaleState.DELIVERED,) and kind in ("complete", "advice"):
            GRID.fire(one, SaleAcknowledged(one.id), self.at)
        self.commit()

    def drain(self) -> None:
        """Everything that waits is answered."""
        before = -1
        while len(self.waiting) != before:
            before = len(self.waiting)
            self.answer(1)

    def close_batch(self, *, balanced: bool = True) -> None:
        """The day's sales go to the host as one batch, which agrees or never will."""
        known = remembered(self.ledger.connection, None)
        ended = [sale.sequence for sale in known.ended]
        if not ended:
            return
        first, last = known.first, ended[-1]
        unfinished = tuple(sequence for sequence in range(first, last + 1) if sequence not in ended)
        self.desk.persist(BatchSent(known.batch, 1, self.minting.epoch, first, last, unfinished))
        self.desk.enqueue(CloseBatch(TERMINAL, self.minting.epoch, known.batch, 1, first, last, unfinished, (), (), 0))
        self.commit()
        self.drain()
        self.desk.persist(BatchSettled(known.batch, balanced, "" if balanced else "sums"))
        self.desk.persist(ClockAnchored(self.desk.utc(self.at), self.at, BOOT))
        self.commit()

    def weeks(self, rounds: int, seed: int, *, moves: int = 24, balanced: Callable[[int], bool] = lambda number: True) -> None:
        """So many rounds of moves, each with its batch at the end."""
        random = Random(seed)
        for number in range(rounds):
            for _ in range(moves):
                self.do(random.randrange(1000), random.randrange(100_000))
            for one in self.open_sales():  # whom nothing happens to any more
                if one.state is SaleState.RESERVED:
                    self.end_empty(one, 0)
            self.drain()
            self.close_batch(balanced=balanced(number))

    def sell(self, draw: int) -> SaleId:
        """One whole sale."""
        one = self.reserve(draw)
        self.grant(one, 1)
        self.take_nozzle(one, 0)
        self.deliver(one, 900)
        return one.id

    def leap(self, ms: int) -> None:
        """The host's clock, and so the terminal's, is so much ahead from now on: said for so long that it is believed."""
        ahead, begun = self.desk.utc(self.at) + ms, self.at
        while self.desk.clock.host_said(UtcMs(ahead + self.at - begun), self.at):
            self.at = Instant(self.at + AGREED_MS // AGREED_ANSWERS)
        self.desk.persist(ClockAnchored(self.desk.utc(self.at), self.at, BOOT))
        self.commit()


def proposed(ledger: Ledger, folder: Path, keep_months: int = KEEP) -> retention.Proposal | None:
    """What the backup's process would propose now, laid where it lays it."""
    ledger.hold_folding(True)
    found = make(ledger.path, folder)
    ledger.hold_folding(False)
    assert found is None, found
    with reading(folder / NEWEST) as db:
        proposal = retention.propose(db, keep_months)
    retention.write(proposal, folder)
    return proposal


def pruner_of(ledger: Ledger, folder: Path) -> Pruner:
    """As it is between steps, with what was proposed last."""
    pruner = Pruner(ledger, folder)
    pruner.look_for_proposal()
    return pruner


def finish(pruner: Pruner, stamp: Stamp, *, known_to_host: int = 1 << 60, after: Callable[[], None] = lambda: None) -> LedgerPruned | None:
    """Work until there is nothing left; ``after`` is called behind every piece."""
    told = None
    now = PAUSE_MS
    while pruner.wants:
        told = pruner.work(now, stamp, known_to_host=known_to_host) or told
        now += PAUSE_MS
        after()
        assert now < 10_000 * PAUSE_MS
    return told


def pruned(station: Years, folder: Path) -> LedgerPruned:
    """Propose, take, and delete all of it."""
    assert proposed(station.ledger, folder) is not None
    told = finish(pruner_of(station.ledger, folder), station.stamp)
    assert told is not None
    return told


def sales(db: sqlite3.Connection) -> list[int]:
    """The sequences of the table."""
    return [sequence for (sequence,) in db.execute("SELECT sequence FROM sale ORDER BY sequence")]


def prune(path: Path, *, after: Callable[[], None] = lambda: None) -> LedgerPruned:
    """Of a folder's ledger, to its end."""
    with closing(Ledger(path / "ledger.db")) as ledger:
        told = finish(pruner_of(ledger, path / "backup"), newest_stamp(ledger), after=after)
    assert told is not None
    return told


def newest_stamp(ledger: Ledger) -> Stamp:
    """As the newest row has it."""
    return Stamp(*ledger.connection.execute("SELECT utc, clock FROM journal ORDER BY seq DESC LIMIT 1").fetchone())

    return Stamp(*ledger.connection.execute("SELECT utc, clock FROM journal ORDER BY seq DESC LIMIT 1").fetchone())


def aged(folder: Path, begin: Callable[[Years], object]) -> tuple[Years, object]:
    """A ledger in whose first weeks something happened that is not over."""
    station = Years(folder / "ledger.db")
    station.weeks(2, 5)
    found = begin(station)
    station.weeks(ROUNDS - 2, 6)
    return station, found
