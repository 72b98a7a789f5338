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
from terminal.core.returned_record import SaleReturned
from terminal.core.rollback_mark import LedgerPruned
from terminal.store import projection
from terminal.store.anchor import Life, Nozzle, Snapshot, fill, merged, tables_of
from terminal.store.batch_replay import BatchReplay
from terminal.store.schema import MIGRATIONS

FINISHED = ("booked", "zero", "reversed")
"""States of the sales that nothing can happen to any more, once the host has their messages."""
MAX_OF_ONE_KIND = 20
"""Findings of one check that are named one by one; a ledger that is wrong in a thousand places is wrong in one way."""

_KINDS: dict[str, type] = {kind.__name__: kind for kind in projection.APPLY}

_MOVES: dict[type, tuple[tuple[str, ...], str | None]] = {
    r.SaleAuthorized: (("reserved",), "authorized"),
    r.SaleReleased: (("authorized",), "delivering"),
    r.SaleDelivered: (("delivering", "in doubt"), "delivered"),
    r.SaleEnded: (("reserved", "authorized", "delivering", "in doubt"), "ended"),
    r.SaleInDoubt: (("reserved", "authorized", "delivering"), "in doubt"),
    r.ReversalQueued: (("reserved",), None),
}
"""Fact → the states in which a sale can have it, and the state that follows (core/sale.py, TABLE)."""


@dataclass(slots=True)
class NozzleJournal:
    """What the journal tells of a nozzle, millilitres. ``apart_ml``: totaliser minus fills, summed over its sales.

    ``sales``, ``sold_ml``: of sales that were pruned, and are in no table any more.
    """

    first_ml: int
    known_ml: int
    unattributed_ml: int = 0
    went_back_ml: int = 0
    apart_ml: int = 0
    mismatches: list[tuple[str, int, int]] = field(default_factory=list)
    sales: int = 0
    sold_ml: int = 0


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
        self._lives: dict[str, Life] = {}
        self._armed: dict[int, str] = {}
        self._released: dict[tuple[int, int], dict[str, Life]] = {}
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
            LedgerPruned: self._pruned,
            SaleReturned: self._returned,
        }
        self.gone: list[tuple[int, int]] = []
        """Runs of the sequences that were pruned."""

    def begin(self, snapshot: Snapshot) -> None:
        """Go on from an anchor instead of an empty ledger."""
        fill(self.db, snapshot.tables)
        self.db.executemany("INSERT INTO outbox (key, quarantined, body) VALUES (?, ?, x'')", snapshot.outbox)
        self.gone = list(snapshot.gone)
        for one in snapshot.nozzles:
            told = (one.first_ml, one.known_ml, one.unattributed_ml, one.went_back_ml, one.apart_ml, list(one.mismatches))
            self.nozzles[one.fp, one.nozzle] = NozzleJournal(*told, one.sales, one.sold_ml)
        for sale, life in snapshot.lives.items():
            self._lives[sale] = life
            if life.state in ("authorized", "delivering"):
                self._armed[life.fp] = sale
            if life.nozzle is not None and life.state in ("delivering", "in doubt"):
                self._released.setdefault((life.fp, life.nozzle), {})[sale] = life

    def snapshot(self, through: int, link: bytes, utc: int, lost: frozenset[str]) -> Snapshot:
        """Everything so far, for ``begin``; without the rows that are kept. ``lost``: messages that no restoration could write again."""
        queued = [(str(key), int(aside)) for key, aside in self.db.execute("SELECT key, quarantined FROM outbox ORDER BY id")]
        nozzles = [
            Nozzle(fp, nozzle, *(getattr(book, one) for one in Nozzle.__struct_fields__[2:]))
            for (fp, nozzle), book in sorted(self.nozzles.items())
        ]
        there = sorted(lost & {key for key, _ in queued})
        return Snapshot(through, link.hex(), utc, [], self.gone, tables_of(self.db), queued, there, nozzles, self._lives)

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
        self._lives[fact.sale] = Life(fact.fp)

    def _returned(self, fact: SaleReturned, where: str) -> None:
        """A sale that is whole at once. Its fuel moved the totaliser long ago: what was written down without a sale there is less by it.

        One that was open in what the loss has left is ended by it.
        """
        if not fact.sale.endswith(f"-{fact.epoch}-{fact.sequence}"):
            self._report(f"sale {fact.sale} has the epoch {fact.epoch} and the sequence {fact.sequence}", where)
        life = self._lives.get(fact.sale)
        if life is not None and life.state != "in doubt":
            self._report(f"sale {fact.sale} came back and was never lost", where)
        elif life is not None and life.nozzle is not None:
            self._released[life.fp, life.nozzle].pop(fact.sale, None)
        self._lives[fact.sale] = Life(fact.fp, "delivered" if fact.quantity_ml else "ended", fact.decided_by, fact.nozzle)
        if fact.found:
            self._queue(f"{fact.sale}/complete")
        if fact.nozzle is None or not fact.quantity_ml:
            return
        start, moved = fact.total_start_ml or 0, fact.moved_ml
        book = self.nozzles.get((fact.fp, fact.nozzle))
        if book is None:  # it was lost with everything that was ever read of this nozzle
            book = self.nozzles[fact.fp, fact.nozzle] = NozzleJournal(start, fact.end_ml)
        else:
            before = max(0, book.first_ml - start)  # it was read for the first time behind the loss
            book.first_ml -= before
            book.unattributed_ml += before - moved
        book.apart_ml += moved - fact.quantity_ml

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

    def _end(self, fact: r.SaleDelivered | r.SaleEnded, life: Life) -> None:
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

    def _fill(self, fact: r.SaleDelivered, life: Life, book: NozzleJournal, nozzle: int) -> None:
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
        if life is None and not self._is_gone(fact.sale):
            self._report(f"correction {fact.correction} of sale {fact.sale}, which was never reserved", where)
        elif life is not None and life.state not in (("in doubt",) if fact.kind == "settle" else ("delivered", "ended")):
            self._report(f"correction {fact.correction} ({fact.kind}) of sale {fact.sale}, which is {life.state}", where)
        if self.db.execute("SELECT 1 FROM correction WHERE correction = ?", (fact.correction,)).fetchone() is not None:
            self._report(f"correction {fact.correction} counts a second time", where)

    def _is_gone(self, sale: str) -> bool:
        number = sale.rpartition("-")[2]
        return number.isdecimal() and any(first <= int(number) <= last for first, last in self.gone)

    def _pruned(self, fact: LedgerPruned, where: str) -> None:
        """Sales leave the tables; what they took stays in the nozzles' books."""
        for run in fact.sales:
            for sale, fp, nozzle, state, volume_ml in self.db.execute(
                "SELECT id, fp, nozzle, state, quantity_ml FROM sale WHERE sequence BETWEEN ? AND ?", run
            ).fetchall():
                if state not in FINISHED:
                    self._report(f"sale {sale} was pruned and is {state}", where)
                self._lives.pop(sale, None)
                book = self.nozzles.get((fp, nozzle))
                if book is not None:
                    book.mismatches = [one for one in book.mismatches if one[0] != sale]
                    if state == "booked":
                        book.sales += 1
                        book.sold_ml += volume_ml
        self.gone = merged([*self.gone, *fact.sales])

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
