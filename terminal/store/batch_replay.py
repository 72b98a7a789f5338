"""Batches in the journal played again: each begins behind the one before, sums only what has ended, and is closed under the next attempt.

Part of ``terminal verify``; what a batch puts into the outbox is queued here as the core does it (core/batch_desk.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from terminal.core import records as r
from terminal.core.ids import MessageKind, close_key
from terminal.store.batch_memory import begins_at


class BatchReplay:
    """``db`` has the tables so far; ``queue`` stores a message's key; ``report`` takes (what, where) of each error."""

    def __init__(self, db: sqlite3.Connection, queue: Callable[[str], None], report: Callable[[str, str], None]) -> None:
        self._db = db
        self._queue = queue
        self._report = report

    def sent(self, fact: r.BatchSent, where: str) -> None:
        """A batch is closed, or closed once more with some records before it."""
        before = self._db.execute("SELECT first, last, attempt, state FROM batch WHERE batch = ?", (fact.batch,)).fetchone()
        if before is None:
            (batch, last) = self._db.execute("SELECT coalesce(max(batch), 0), coalesce(max(last), 0) FROM batch").fetchone()
            if (fact.batch, fact.first, fact.attempt) != (batch + 1, max(last + 1, begins_at(self._db)), 1) or fact.last < fact.first:
                self._report(f"batch {fact.batch} from {fact.first} on does not follow batch {batch} up to {last}", where)
            self._check_ended(fact, where)
        elif before != (fact.first, fact.last, fact.attempt - 1, "sent"):
            self._report(f"attempt {fact.attempt} of batch {fact.batch} does not follow attempt {before[2]}, which is {before[3]}", where)
        for sequence in fact.resent:
            self._send_again(fact, sequence, where)
        (sale,) = self._db.execute("SELECT id FROM sale WHERE sequence = ?", (fact.last,)).fetchone() or ("",)
        self._queue(close_key(sale.rsplit("-", 2)[0], fact.epoch, fact.batch, fact.attempt))

    def settled(self, fact: r.BatchSettled, where: str) -> None:
        """The host has agreed, or never will."""
        found = self._db.execute("SELECT state FROM batch WHERE batch = ?", (fact.batch,)).fetchone()
        if found != ("sent",):
            self._report(f"batch {fact.batch} is settled and was not under way", where)

    def _check_ended(self, fact: r.BatchSent, where: str) -> None:
        query = "SELECT sequence FROM sale WHERE sequence BETWEEN ? AND ? AND ended_row IS NULL ORDER BY sequence"
        unfinished = tuple(sequence for (sequence,) in self._db.execute(query, (fact.first, fact.last)))
        if unfinished != fact.open:
            self._report(f"batch {fact.batch} does not name the sales that were open", where)

    def _send_again(self, fact: r.BatchSent, sequence: int, where: str) -> None:
        sale = self._db.execute("SELECT id, decided_by FROM sale WHERE sequence = ? AND ended_row IS NOT NULL", (sequence,)).fetchone()
        if sale is None or not fact.first <= sequence <= fact.last or sequence in fact.open:
            self._report(f"batch {fact.batch} sends sale {sequence} again, which is not part of it", where)
            return
        kind = MessageKind.COMPLETE if sale[1] == "host" else MessageKind.ADVICE
        self._queue(f"{sale[0]}/{kind.value}")
