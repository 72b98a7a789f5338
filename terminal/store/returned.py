"""Sales that came back from the host, in the ledger: their rows, what of a lost epoch is still to be asked for, and what is explained.

The journal's facts are the only memory of a return that is under way; all of this is read from them. (core/return_desk.py.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from terminal.core.faults import FaultCode
from terminal.core.records import FaultRaised, SaleInDoubt, TotalRead, Unattributed
from terminal.core.returned_record import LEFT_OPEN, ReturnSettled, SaleReturned
from terminal.core.returned_sales import Missing, Outcome
from terminal.core.rollback_mark import LedgerRestored

Execute = Callable[[str, Sequence[Any]], Any]

_SINCE = (
    "SELECT seq, kind, body FROM journal WHERE seq > ? AND kind IN ('SaleReturned', 'Unattributed', 'TotalRead', 'FaultRaised', "
    "'SaleInDoubt') "
    "ORDER BY seq"
)


# --- projection -------------------------------------------------------------------------------------------------------------------


def returned(execute: Execute, fact: SaleReturned, seq: int, utc: int) -> None:
    """One row that is whole at once, or the end of a sale that was left open. A nozzle of which nothing is known begins where it ended."""
    empty = fact.quantity_ml == 0
    state = "zero" if empty else "delivered" if fact.found else "booked"
    told = (
        state, fact.fp, fact.nozzle, fact.account, fact.customer, fact.product, fact.quantity_ml, fact.value_minor, fact.authorized_at,
        fact.decided_by, seq, fact.extra.second_account,
    )  # fmt: skip
    left_open = execute("SELECT 1 FROM sale WHERE sequence = ? AND id = ? AND state = 'in doubt'", (fact.sequence, fact.sale)).fetchone()
    if left_open is not None:
        execute(
            "UPDATE sale SET state = ?, fp = ?, nozzle = ?, account = ?, customer = ?, product = ?, quantity_ml = ?, value_minor = ?, "
            "authorized_at = ?, decided_by = ?, ended_row = ?, second = ? WHERE sequence = ?",
            (*told, fact.sequence),
        )
    else:
        execute(
            "INSERT INTO sale (state, fp, nozzle, account, customer, product, quantity_ml, value_minor, authorized_at, decided_by, "
            "ended_row, second, reversal, reserved_row, sequence, epoch, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)",
            (*told, seq, fact.sequence, fact.epoch, fact.sale),
        )
    if fact.nozzle is not None and not empty:
        execute("INSERT INTO total VALUES (?, ?, ?) ON CONFLICT (fp, nozzle) DO NOTHING", (fact.fp, fact.nozzle, fact.end_ml))


def settled(execute: Execute, fact: ReturnSettled, seq: int, utc: int) -> None:
    """The host has nothing more of this epoch."""
    execute(
        "INSERT INTO meta VALUES ('returned', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (f"{fact.now} {fact.epoch}",)
    )


# --- what is to be asked ------------------------------------------------------------------------------------------------------------


def epoch_begins(db: sqlite3.Connection) -> int:
    """The first number of the present epoch: 1 as long as nothing was lost."""
    row = db.execute("SELECT value FROM meta WHERE name = 'epoch_first'").fetchone()
    return 1 if row is None else int(row[0])


def missing(db: sqlite3.Connection) -> Missing | None:
    """The epoch that is to be asked of the host next, and behind which number; None when nothing was lost, or all of it was asked.

    A sale that was left open may have ended in the rows that are lost, so the question begins with the first of these.
    """
    meta: dict[str, str] = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('epoch', 'epoch_first', 'returned')"))
    if "epoch_first" not in meta:
        return None
    now, first = int(meta["epoch"]), int(meta["epoch_first"])
    epoch = int(meta.get("returned", "0 0").partition(" ")[2]) + 1
    if epoch >= now:
        return None
    (after, lowest) = db.execute(
        "SELECT coalesce(max(sequence), 0), min(sequence) FILTER (WHERE state = 'in doubt') FROM sale WHERE sequence < ? AND epoch = ?",
        (first, epoch),
    ).fetchone()
    return Missing(epoch, after if lowest is None else lowest - 1, now, first)


def outcome(db: sqlite3.Connection, asked: Missing) -> Outcome:
    """What came back of this epoch, and what fuel without a sale is left at each nozzle since the loss, in millilitres."""
    (kept,) = db.execute(
        "SELECT coalesce(max(sequence), 0) FROM sale WHERE epoch = ? AND sequence < ? AND reserved_row IS NOT ended_row",
        (asked.epoch, asked.first),
    ).fetchone()
    since, exact = _since(db, asked.epoch)
    numbers: list[int] = []
    quantity_ml = 0
    left: dict[tuple[int, int], int] = {}
    ends: dict[tuple[int, int], int] = {}
    unsure: set[tuple[int, int]] = set()
    raised: set[str] = set()
    left_open: set[str] = set()
    for _, kind, body in db.execute(_SINCE, (since,)):
        if kind == SaleReturned.__name__:
            sale = msgspec.json.decode(body, type=SaleReturned)
            if sale.epoch == asked.epoch:
                numbers.append(sale.sequence)
                quantity_ml += sale.quantity_ml
            if sale.nozzle is not None and sale.quantity_ml:
                place = (sale.fp, sale.nozzle)
                left[place] = left.get(place, 0) - sale.moved_ml
        elif kind == Unattributed.__name__:
            fuel = msgspec.json.decode(body, type=Unattributed)
            place = (fuel.fp, fuel.nozzle)
            left[place] = left.get(place, 0) + fuel.volume_ml
            ends[place] = fuel.total_end_ml
        elif kind == TotalRead.__name__:
            total = msgspec.json.decode(body, type=TotalRead)
            if ends.get((total.fp, total.nozzle)) != total.volume_ml:
                unsure.add((total.fp, total.nozzle))
        elif kind == SaleInDoubt.__name__:
            doubt = msgspec.json.decode(body, type=SaleInDoubt)
            left_open |= {doubt.sale} if doubt.why == LEFT_OPEN else set()
        else:
            fault = msgspec.json.decode(body, type=FaultRaised)
            if fault.code == FaultCode.UNATTRIBUTED_DELIVERY.value:
                raised.add(fault.subject)
    return Outcome(kept, tuple(numbers), quantity_ml, exact, left, ends, frozenset(raised), frozenset(unsure), frozenset(left_open))


def _since(db: sqlite3.Connection, epoch: int) -> tuple[int, bool]:
    """Behind which row everything was written without what is lost of this epoch, and whether that is certain.

    It is where the damage was found here, the first time that any of it was lost. Where the host found it (core/ledger_head.py), it is some
    start of the program before: the last one, most likely.
    """
    since, exact = 0, False
    for seq, body in db.execute("SELECT seq, body FROM journal WHERE kind = 'LedgerRestored' ORDER BY seq DESC"):
        fact = msgspec.json.decode(body, type=LedgerRestored)
        if not fact.lost:
            continue
        if fact.epoch <= epoch:
            break
        exact = bool(fact.rows) and (exact or not since)
        since = int(seq)
        if not fact.rows:
            query = "SELECT coalesce(max(seq), 0) FROM journal WHERE kind = 'TerminalStarted' AND seq < ?"
            (since,) = db.execute(query, (seq,)).fetchone()
    return since, exact
