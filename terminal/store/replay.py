"""The journal played again, row by row, into tables of its own; on the way, every move is checked for being one that a sale can make.

Part of ``terminal verify``. The projection's own functions are used, so that a table which differs was not written by them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from terminal.core import records as r
from terminal.core.pump_record import RESOLUTION_ML
from terminal.store import projection
from terminal.store.batch_replay import BatchReplay
from terminal.store.schema import MIGRATIONS

MAX_OF_ONE_KIND = 20
"""Findings of one check that are named one by one; a ledger that is wrong in a thousand places is wrong in one way."""

_KINDS: dict[str, type] = {kind.__name__: kind for kind in projection.APPLY}

_MOVES: dict[type, tuple[tuple[str, ...], str | None]] = {
    r.SaleAuthorized: (("reserved",), "authorized"),
    r.SaleReleased: (("authorized",), "delivering"),
    r.SaleDelivered: (("delivering", "in doubt"), "delivered"),
    r.SaleEnded: (("reserved", "authorized", "delivering", "in doubt"), "ended"),
    r.SaleInDoubt: (("delivering",), "in doubt"),
    r.ReversalQueued: (("reserved",), None),
}
"""Fact → the states in which a sale can have it, and the state that follows (core/sale.py, TABLE)."""


@dataclass(slots=True)
class NozzleJournal:
    """What the journal tells of a nozzle, millilitres. ``apart_ml``: totaliser minus fills, summed over its sales."""

    first_ml: int
    known_ml: int
    unattributed_ml: int = 0
    went_back_ml: int = 0
    apart_ml: int = 0
    mismatches: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Life:
    """A sale so far. ``explained_ml``: movement of its totaliser since the release that other facts account for."""

    fp: int
    state: str = "reserved"
    decided_by: str | None = None
    nozzle: int | None = None
    start_ml: int = 0
    explained_ml: int = 0


class Replay:
    """Feed it the rows in order; afterwards ``db`` has the tables and ``nozzles`` the totalisers' story."""

    def __init__(self, known_keys: frozenset[str], report: Callable[[str, str], None]) -> None:
        """``known_keys``: messages that exist or were acknowledged. ``report`` takes (what, where) of each error."""
        self.nozzles: dict[tuple[int, int], NozzleJournal] = {}
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        for script in MIGRATIONS:
            self.db.executescript(script)
        self._known_keys = known_keys
        self._report = report
        self._lives: dict[str, _Life] = {}
        self._armed: dict[int, str] = {}
        self._released: dict[tuple[int, int], dict[str, _Life]] = {}
        batches = BatchReplay(self.db, self._queue, report)
        self._books: dict[type, Callable[[Any, str], None]] = {
            r.SaleReserved: self._reserved,
            r.MessageAcknowledged: self._answered,
            r.MessageQuarantined: self._answered,
            r.TotalRead: self._total_read,
            r.Unattributed: self._unattributed,
            r.SaleCorrected: self._corrected,
            r.BatchSent: batches.sent,
            r.BatchSettled: batches.settled,
        }

    def close(self) -> None:
        """Let go of the tables."""
        self.db.close()

    def take(self, seq: int, utc: int, kind: str, body: bytes) -> None:
        """Play one row."""
        where = f"journal row {seq}"
        shape = _KINDS.get(kind)
        if shape is None:
            self._report(f"a fact of an unknown kind: {kind}", where)
            return
        try:
            fact: Any = msgspec.json.decode(body, type=shape)
        except msgspec.DecodeError:
            self._report(f"no readable {kind}", where)
            return
        try:
            if shape in _MOVES:
                self._move(fact, shape, where)
            elif shape in self._books:
                self._books[shape](fact, where)
            projection.APPLY[shape](self.db.execute, fact, seq, utc)
        except (sqlite3.Error, ValueError, OverflowError) as error:
            self._report(f"{kind} cannot be played again ({error})", where)

    # --- sales ------------------------------------------------------------------------------------------------------------

    def _reserved(self, fact: r.SaleReserved, where: str) -> None:
        if not fact.sale.endswith(f"-{fact.epoch}-{fact.sequence}"):
            self._report(f"sale {fact.sale} has the epoch {fact.epoch} and the sequence {fact.sequence}", where)
        self._lives[fact.sale] = _Life(fact.fp)

    def _move(self, fact: Any, shape: type, where: str) -> None:
        life = self._lives.get(fact.sale)
        if life is None:
            self._report(f"{shape.__name__} of sale {fact.sale}, which was never reserved", where)
            return
        sources, target = _MOVES[shape]
        if life.state not in sources:
            self._report(f"{shape.__name__} of sale {fact.sale}, which is {life.state}", where)
        if isinstance(fact, r.SaleAuthorized):
            life.decided_by = fact.decided_by
            self._arm(life.fp, fact.sale, where)
        elif isinstance(fact, r.SaleReleased):
            life.nozzle, life.start_ml = fact.nozzle, fact.total_start_ml
            self._nozzle(life.fp, fact.nozzle, fact.total_start_ml)
            self._released.setdefault((life.fp, fact.nozzle), {})[fact.sale] = life
        elif isinstance(fact, r.ReversalQueued):
            self._queue(f"{fact.sale}/reverse")
        elif isinstance(fact, r.SaleInDoubt):
            self._disarm(life.fp, fact.sale)  # its hold stays, the point serves on
        else:
            self._end(fact, life)
        life.state = target or life.state

    def _arm(self, fp: int, sale: str, where: str) -> None:
        other = self._armed.setdefault(fp, sale)
        if other != sale:
            self._report(f"sale {sale} is authorized at fp {fp}, where sale {other} is still open", where)

    def _disarm(self, fp: int, sale: str) -> None:
        if self._armed.get(fp) == sale:
            del self._armed[fp]

    def _end(self, fact: r.SaleDelivered | r.SaleEnded, life: _Life) -> None:
        self._disarm(life.fp, fact.sale)
        if isinstance(fact, r.SaleEnded) and fact.decided_by is not None:
            life.decided_by = fact.decided_by
        by_host = life.decided_by == "host" if life.decided_by else f"{fact.sale}/complete" in self._known_keys
        self._queue(f"{fact.sale}/{'complete' if by_host else 'advice'}")
        if life.nozzle is None:
            return
        self._released[life.fp, life.nozzle].pop(fact.sale, None)
        if isinstance(fact, r.SaleDelivered):
            self._fill(fact, life, self._nozzle(life.fp, life.nozzle, life.start_ml), life.nozzle)

    def _fill(self, fact: r.SaleDelivered, life: _Life, book: NozzleJournal, nozzle: int) -> None:
        """The pump's two witnesses side by side; what was unattributed meanwhile has its own rows (core/pump_record.py)."""
        if fact.total_end_ml is not None:
            book.known_ml = fact.total_end_ml
        moved = book.known_ml - life.start_ml - life.explained_ml
        book.apart_ml += moved - fact.volume_ml
        self._explain(life.fp, nozzle, moved)
        if abs(moved - fact.volume_ml) > RESOLUTION_ML:
            book.mismatches.append((fact.sale, fact.volume_ml, moved))

    def _corrected(self, fact: r.SaleCorrected, where: str) -> None:
        life = self._lives.get(fact.sale)
        if life is None:
            self._report(f"correction {fact.correction} of sale {fact.sale}, which was never reserved", where)
        elif life.state not in (("in doubt",) if fact.kind == "settle" else ("delivered", "ended")):
            self._report(f"correction {fact.correction} ({fact.kind}) of sale {fact.sale}, which is {life.state}", where)
        if self.db.execute("SELECT 1 FROM correction WHERE correction = ?", (fact.correction,)).fetchone() is not None:
            self._report(f"correction {fact.correction} counts a second time", where)

    # --- messages -----------------------------------------------------------------------------------------------------------

    def _queue(self, key: str) -> None:
        self.db.execute("INSERT INTO outbox (key, body) VALUES (?, x'')", (key,))

    def _answered(self, fact: r.MessageAcknowledged | r.MessageQuarantined, where: str) -> None:
        if self.db.execute("SELECT 1 FROM outbox WHERE key = ?", (fact.key,)).fetchone() is None:
            self._report(f"the host answered {fact.key}, which was not queued", where)

    # --- totalisers -----------------------------------------------------------------------------------------------------------

    def _nozzle(self, fp: int, nozzle: int, volume_ml: int) -> NozzleJournal:
        return self.nozzles.setdefault((fp, nozzle), NozzleJournal(volume_ml, volume_ml))

    def _total_read(self, fact: r.TotalRead, where: str) -> None:
        book = self._nozzle(fact.fp, fact.nozzle, fact.volume_ml)
        went_back = max(0, book.known_ml - fact.volume_ml)
        book.went_back_ml += went_back
        self._explain(fact.fp, fact.nozzle, -went_back)
        book.known_ml = fact.volume_ml

    def _unattributed(self, fact: r.Unattributed, where: str) -> None:
        if fact.volume_ml != fact.total_end_ml - fact.total_start_ml:
            self._report(f"{fact.volume_ml} ml unattributed, from {fact.total_start_ml} to {fact.total_end_ml} ml", where)
        book = self._nozzle(fact.fp, fact.nozzle, fact.total_start_ml)
        book.unattributed_ml += fact.volume_ml
        self._explain(fact.fp, fact.nozzle, fact.volume_ml)
        book.known_ml = max(book.known_ml, fact.total_end_ml)

    def _explain(self, fp: int, nozzle: int, volume_ml: int) -> None:
        for life in self._released.get((fp, nozzle), {}).values():
            life.explained_ml += volume_ml
