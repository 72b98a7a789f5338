"""A batch as the journal has it: how its sales ended, and their records made again exactly as they were sent.

The outbox forgets a record when the host has it (decision 0004). Everything in it came from the sale's journal rows and is there still:
the same sale is put together from them, and says the same. (features.md F45; reference host-and-offline-authorization 9.6.)
"""

from __future__ import annotations

import sqlite3

from terminal.core import records as r
from terminal.core.batch_events import BatchWasRead
from terminal.core.effects import ReadBatch
from terminal.core.messages import Booking
from terminal.core.return_desk import booking_of
from terminal.core.returned_record import SaleReturned
from terminal.store.batch_memory import ended_between, refused_for_good
from terminal.store.recovery import fact_of_row, sale_of_rows

_ROWS = (
    "SELECT state, reversal, reserved_row, authorized_row, released_row, ended_row FROM sale WHERE sequence = ? AND ended_row IS NOT NULL"
)


def read_batch(db: sqlite3.Connection, asked: ReadBatch) -> BatchWasRead:
    """The ended sales of a batch, but for those that were open when it was first closed, and the records that are to go again.

    A record that waits in the outbox already, or stands there refused for good, is not made a second time.
    """
    left_out = set(asked.open)
    ended = tuple(sale for sale in ended_between(db, asked.first, asked.last) if sale.sequence not in left_out)
    aside = tuple(sorted(refused_for_good(db) & {sale.sequence for sale in ended}))
    wanted = [sale.sequence for sale in ended] if asked.again is None else list(asked.again)
    bookings = (rebooked(db, sequence) for sequence in wanted)
    again = tuple(one for one in bookings if one is not None and not _is_queued(db, one.key))
    return BatchWasRead(asked.batch, ended, aside, again)


def rebooked(db: sqlite3.Connection, sequence: int) -> Booking | None:
    """The record of an ended sale, as it was made at its end; None for one that has not ended."""
    found = db.execute(_ROWS, (sequence,)).fetchone()
    if found is None:
        return None
    *rows, ended_row = found
    kind, clock = db.execute("SELECT kind, clock FROM journal WHERE seq = ?", (ended_row,)).fetchone()
    if kind == SaleReturned.__name__:
        return booking_of(fact_of_row(db, ended_row, SaleReturned))
    sale = sale_of_rows(db, *rows)
    if kind == r.SaleDelivered.__name__:
        delivered = fact_of_row(db, ended_row, r.SaleDelivered)
        return sale.booking(delivered.volume_ml, delivered.amount_minor, delivered.total_end_ml, delivered.end, delivered.ended_at, clock)
    empty = fact_of_row(db, ended_row, r.SaleEnded)
    if empty.decided_by is not None:
        sale.decided_by, sale.authorization = empty.decided_by, empty.authorization
    return sale.booking(0, 0, None, empty.end, empty.ended_at, clock)


def _is_queued(db: sqlite3.Connection, key: str) -> bool:
    return db.execute("SELECT 1 FROM outbox WHERE key = ?", (key,)).fetchone() is not None
