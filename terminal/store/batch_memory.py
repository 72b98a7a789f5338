"""What the ledger knows of batches: which are not settled, and what has ended since the last one. (features.md F45.)"""

from __future__ import annotations

import sqlite3

import msgspec

from terminal.core import records as r
from terminal.core.batch_desk import BatchMemory
from terminal.core.batch_events import EndedSale
from terminal.core.ids import MessageKey
from terminal.core.units import UtcMs
from terminal.core.uploads import sequence_of

_SUMMED = (
    "SELECT sequence, product, decided_by, quantity_ml, value_minor FROM sale "
    "WHERE sequence BETWEEN ? AND ? AND ended_row IS NOT NULL ORDER BY sequence"
)
_LAST = 2**53


def remembered(db: sqlite3.Connection, newest: int | None) -> BatchMemory:
    """What the core must know of batches after a restart. ``newest``: UTC milliseconds of the newest journal row."""
    unsettled = [
        msgspec.json.decode(body, type=r.BatchSent)
        for (body,) in db.execute("SELECT body FROM batch JOIN journal ON seq = sent_row WHERE state = 'sent' ORDER BY batch")
    ]
    (batch, last) = db.execute("SELECT coalesce(max(batch), 0), coalesce(max(last), 0) FROM batch").fetchone()
    last = max(last, begins_at(db) - 1)
    (settled,) = db.execute("SELECT coalesce(max(batch), 0) FROM batch WHERE state <> 'sent'").fetchone()
    ended = ended_between(db, last + 1, _LAST)
    aside = refused_for_good(db) & {sale.sequence for sale in ended}
    return BatchMemory(batch + 1, last + 1, ended, aside, unsettled, settled, None if newest is None else UtcMs(newest))


def begins_at(db: sqlite3.Connection) -> int:
    """The first sequence that a batch may have: sums do not reach over a loss of rows (LedgerRestored)."""
    row = db.execute("SELECT value FROM meta WHERE name = 'epoch_first'").fetchone()
    return 1 if row is None else int(row[0])


def ended_between(db: sqlite3.Connection, first: int, last: int) -> list[EndedSale]:
    """How the sales of these sequences ended, those that have, in order."""
    return [
        EndedSale(sequence, product, "host" if decided_by == "host" else "offline", quantity_ml, value_minor)
        for sequence, product, decided_by, quantity_ml, value_minor in db.execute(_SUMMED, (first, last))
    ]


def refused_for_good(db: sqlite3.Connection) -> set[int]:
    """The sequences of the records that the host refused for good."""
    return {sequence_of(MessageKey(key)) for (key,) in db.execute("SELECT key FROM outbox WHERE quarantined = 1")}
