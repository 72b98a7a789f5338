"""Prunes the ledger in use: one commit in which the anchor takes the place of what goes, and then the rows, a few between two steps.

All on the core's thread, and only while no driver is served. A power cut leaves the ledger with the anchor or without it; rows that the
anchor stands for and that are not deleted yet mean nothing to anybody, and go after the next start. (features.md F50; retention.py.)
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

import msgspec

from terminal.core.rollback_mark import LedgerPruned
from terminal.store import retention
from terminal.store.anchor import AnchorError, Execute, Start, start_of, started, write
from terminal.store.ledger import Ledger, Stamp
from terminal.store.replay import FINISHED

LOG = logging.getLogger("terminal")
SLICE_ROWS = 100
"""Rows that are deleted with one commit; how long that takes: firmware_notes/storage.md, Retention."""
PAUSE_MS = 200
_REFERRED = """
    WITH gone AS (SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS last FROM json_each(?1)),
    stays AS MATERIALIZED (SELECT * FROM sale WHERE NOT EXISTS (SELECT 1 FROM gone WHERE sequence BETWEEN first AND last)),
    referred (what, row) AS (
        SELECT 'sale number ' || sequence, reserved_row FROM stays
        UNION ALL SELECT 'sale number ' || sequence, authorized_row FROM stays
        UNION ALL SELECT 'sale number ' || sequence, released_row FROM stays
        UNION ALL SELECT 'sale number ' || sequence, ended_row FROM stays
        UNION ALL SELECT 'correction ' || correction, row FROM correction WHERE sequence IN (SELECT sequence FROM stays)
        UNION ALL SELECT 'price version ' || version, row FROM price_plan
        UNION ALL SELECT 'batch ' || batch, sent_row FROM batch WHERE state = 'sent'
    )
    SELECT what, row FROM referred WHERE row <= ?2
"""
"""Of the sales that do not go with these runs, and of what else is under way: which row, up to this one, is referred to by what."""


class Pruner:
    """Of one opened ledger."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        """``folder``: where the backup's process leaves what it proposes."""
        self._ledger = ledger
        self._folder = folder
        self._next = 0
        self._proposal: retention.Proposal | None = None
        try:
            self._begin(start_of(ledger.connection))
        except AnchorError:
            self._begin(Start())  # what has examined the ledger has its own word for that

    def clear(self) -> None:
        """Delete what is proposed: it holds what the ledger does, and is needed no more, or is of another run."""
        with contextlib.suppress(OSError, sqlite3.Error):
            retention.write(None, self._folder)

    def _begin(self, start: Start) -> None:
        self._through = start.seq
        self._kept = {one.seq for one in start.kept}
        self._after = 0
        self._rows_left = start.seq > 0

    def look_for_proposal(self) -> None:
        """A backup was made; its process may have left something."""
        self._proposal = retention.read(self._folder)

    @property
    def wants(self) -> bool:
        """Is there something to do?"""
        return self._rows_left or self._proposal is not None

    def work(self, now: int, stamp: Stamp, *, known_to_host: int) -> LedgerPruned | None:
        """Do the next piece; only while no driver is served and no backup is being made. Milliseconds.

        ``known_to_host``: the newest row that the host has said it knows. Returns what was written into the journal, if anything was.
        Raises ``StorageFailed``.
        """
        if now < self._next:
            return None
        self._next = now + PAUSE_MS
        if self._rows_left:
            self._delete_some(stamp)
            return None
        proposal = self._proposal
        if proposal is None or known_to_host < proposal.record.through:
            return None
        self._proposal = None
        why = self._misfit(proposal)
        if why:
            LOG.warning("event=PruneDropped why=%r", why)
            return None
        self._ledger.commit(stamp, [proposal.record], [], lambda execute: write(execute, proposal.content))
        self.clear()
        self._begin(started(proposal.content))
        return proposal.record

    def _misfit(self, proposal: retention.Proposal) -> str:
        """Why this proposal is not for this ledger; empty when it is. The host's word for each sale is looked up here once more."""
        db, record = self._ledger.connection, proposal.record
        try:
            start = started(proposal.content)
        except AnchorError as error:
            return str(error)
        row = db.execute("SELECT hash FROM journal WHERE seq = ?", (record.through,)).fetchone()
        same = row is not None and row[0] == start.link and (start.seq, start.link.hex()) == (record.through, record.link)
        if not same or record.through <= self._through:
            return "it is of another ledger, or an earlier one"
        for one in start.kept:
            if db.execute("SELECT 1 FROM journal WHERE seq = ? AND hash = ?", (one.seq, bytes.fromhex(one.link))).fetchone() is None:
                return "a row that it keeps is not here"
        waiting = {str(key).rpartition("/")[0] for (key,) in db.execute("SELECT key FROM outbox")}
        for run in record.sales:
            for sale, state in db.execute("SELECT id, state FROM sale WHERE sequence BETWEEN ? AND ?", run):
                if state not in FINISHED or sale in waiting:
                    return f"sale {sale} is {state}, or has a message that waits"
        return self._goes_with_it(record, {one.seq for one in start.kept})

    def _goes_with_it(self, record: LedgerPruned, keeps: set[int]) -> str:
        """What stays although rows that it refers to would go; empty when nothing does."""
        for what, row in self._ledger.connection.execute(_REFERRED, (msgspec.json.encode(record.sales).decode(), record.through)):
            if row not in keeps:
                return f"row {row} of {what} would go"
        return ""

    def _delete_some(self, stamp: Stamp) -> None:
        rows = self._ledger.connection.execute(
            "SELECT seq FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (self._after, self._through, SLICE_ROWS)
        ).fetchall()
        gone = [(seq,) for (seq,) in rows if seq not in self._kept]
        if gone:
            self._ledger.commit(stamp, [], [], lambda execute: _delete(execute, gone))
        self._after = rows[-1][0] if rows else self._after
        self._rows_left = len(rows) == SLICE_ROWS


def _delete(execute: Execute, rows: list[tuple[int]]) -> None:
    for row in rows:
        execute("DELETE FROM journal WHERE seq = ?", row)
