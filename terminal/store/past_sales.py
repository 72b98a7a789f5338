"""Corrections of the ledger: on top of the sales that recovery reads, and for a look at one sale that the core does not hold any more.

The sale's own row stays as its record was; what it counts since is told by the ``SaleCorrected`` facts that name it, in their order
(core/corrections.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import msgspec

from terminal.core.account_book import SaleUse, UseState
from terminal.core.corrections import PRUNED, corrected
from terminal.core.records import SaleCorrected
from terminal.core.returned_sales import Missing, Outcome
from terminal.core.units import UtcMs
from terminal.store import returned
from terminal.store.anchor import pruned_to

USE_COLUMNS = "id, sequence, account, customer, product, quantity_ml, value_minor, second, authorized_at"
"""Of the table ``sale``, in the order in which ``use_of_row`` takes them."""

_FACTS = "SELECT c.sequence, j.body FROM correction c JOIN journal j ON j.seq = c.row"


def use_of_row(row: Sequence[Any]) -> SaleUse:
    """What a delivered sale takes by its own record."""
    sale, sequence, account, customer, product, quantity, value, second, authorized_at = row
    products = frozenset((product,) if product else ())
    return SaleUse(sale, sequence, account, customer, product, quantity, value, UtcMs(authorized_at), UseState.DELIVERED, products, second)


def with_corrections(db: sqlite3.Connection, uses: Iterable[SaleUse]) -> list[SaleUse]:
    """These delivered sales as they count now."""
    found = list(uses)
    if not found:
        return found
    lowest = min(use.sequence for use in found)
    facts: dict[int, list[SaleCorrected]] = {}
    for sequence, body in db.execute(f"{_FACTS} WHERE c.sequence >= ? ORDER BY c.row", (lowest,)):
        facts.setdefault(sequence, []).append(msgspec.json.decode(body, type=SaleCorrected))
    return [reduce(corrected, facts.get(use.sequence, ()), use) for use in found]


class LedgerPast:
    """``core.corrections.PastSales`` on the ledger's own connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def hash_at(self, row: int) -> str | None:
        """See ``PastSales``."""
        found = self._db.execute("SELECT hash FROM journal WHERE seq = ?", (row,)).fetchone()
        if found is None:
            return PRUNED if 0 < row <= pruned_to(self._db) else None
        return bytes(found[0]).hex()

    def epoch_begins(self) -> int:
        """See ``LostSales``."""
        return returned.epoch_begins(self._db)

    def missing(self) -> Missing | None:
        """See ``LostSales``."""
        return returned.missing(self._db)

    def outcome(self, missing: Missing) -> Outcome:
        """See ``LostSales``."""
        return returned.outcome(self._db, missing)

    def number_taken(self, sequence: int) -> bool:
        """See ``LostSales``."""
        return self._db.execute("SELECT 1 FROM sale WHERE sequence = ?", (sequence,)).fetchone() is not None

    def use(self, sale: str) -> SaleUse | None:
        """See ``PastSales``."""
        number = sale.rpartition("-")[2]
        if not number.isascii() or not number.isdigit() or len(number) > 15:
            return None
        row = self._db.execute(
            f"SELECT {USE_COLUMNS} FROM sale WHERE sequence = ? AND id = ? AND state IN ('delivered', 'booked', 'zero', 'reversed')",  # noqa: S608
            (int(number), sale),
        ).fetchone()
        if row is None:
            return None
        facts = self._db.execute(f"{_FACTS} WHERE c.sequence = ? ORDER BY c.row", (int(number),)).fetchall()
        return reduce(corrected, (msgspec.json.decode(body, type=SaleCorrected) for _, body in facts), use_of_row(row))

    def has_correction(self, name: str) -> bool:
        """See ``PastSales``."""
        return self._db.execute("SELECT 1 FROM correction WHERE correction = ?", (name,)).fetchone() is not None


def waits_since(db: sqlite3.Connection) -> int | None:
    """When the first message that waits for the host was stored, by the journal; None when none waits, or that cannot be told."""
    first = db.execute("SELECT key FROM outbox WHERE quarantined = 0 ORDER BY id LIMIT 1").fetchone()
    number = "" if first is None else first[0].rpartition("/")[0].rpartition("-")[2]
    row = db.execute("SELECT reserved_row, id FROM sale WHERE sequence = ?", (int(number),)).fetchone() if number.isdigit() else None
    if row is None:
        return None
    for utc, body in db.execute(
        "SELECT utc, body FROM journal WHERE seq >= ? AND kind IN ('SaleDelivered', 'SaleEnded', 'ReversalQueued') ORDER BY seq", (row[0],)
    ):
        if msgspec.json.decode(body, type=_OfSale).sale == row[1]:
            return int(utc)
    return None


class _OfSale(msgspec.Struct):
    """Any fact of a sale."""

    sale: str
