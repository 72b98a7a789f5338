"""From a journal fact to the tables that are kept of it. One small function a kind; nothing else writes those tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from terminal.core import records as r
from terminal.core.badge_counter import BadgeCounter
from terminal.core.card_lists import NO_LIST, ListMark, ListOffer
from terminal.core.head_records import HeadSettled
from terminal.core.orders import OrderTaken
from terminal.core.price_records import PriceSet, PricesPlanned, PricesTaken
from terminal.core.prompt_rules import OdometerRead
from terminal.core.returned_record import ReturnSettled, SaleReturned
from terminal.core.rollback_mark import LedgerPruned, LedgerRestored, RollbackMarked
from terminal.core.site_records import MeterProved
from terminal.store import price_store, returned

Execute = Callable[[str, Sequence[Any]], Any]


def _sequence(sale: str) -> int:
    return int(sale.rpartition("-")[2])


def _reserved(execute: Execute, fact: r.SaleReserved, seq: int, utc: int) -> None:
    execute(
        "INSERT INTO sale VALUES (?, ?, ?, 'reserved', ?, NULL, ?, ?, NULL, ?, ?, ?, 0, ?, NULL, NULL, NULL, NULL, ?)",
        (
            fact.sequence,
            fact.epoch,
            fact.sale,
            fact.fp,
            fact.account,
            fact.customer,
            fact.hold_ml,
            fact.hold_minor,
            fact.authorized_at,
            seq,
            fact.extra.second_account,
        ),
    )


def _authorized(execute: Execute, fact: r.SaleAuthorized, seq: int, utc: int) -> None:
    execute(
        "UPDATE sale SET state = 'authorized', quantity_ml = ?, value_minor = ?, authorized_row = ?, decided_by = ? WHERE sequence = ?",
        (fact.hold_ml, fact.hold_minor, seq, fact.decided_by, _sequence(fact.sale)),
    )


def _released(execute: Execute, fact: r.SaleReleased, seq: int, utc: int) -> None:
    execute(
        "UPDATE sale SET state = 'delivering', nozzle = ?, product = ?, quantity_ml = ?, value_minor = ?, released_row = ? "
        "WHERE sequence = ?",
        (fact.nozzle, fact.product, fact.hold_ml, fact.hold_minor, seq, _sequence(fact.sale)),
    )


def _delivered(execute: Execute, fact: r.SaleDelivered, seq: int, utc: int) -> None:
    sequence = _sequence(fact.sale)
    execute(
        "UPDATE sale SET state = 'delivered', quantity_ml = ?, value_minor = ?, ended_row = ? WHERE sequence = ?",
        (fact.volume_ml, fact.amount_minor, seq, sequence),
    )
    execute(
        "UPDATE odometer SET since_ml = since_ml + ? FROM sale WHERE sequence = ? AND odometer.account IN (sale.account, sale.second)",
        (fact.volume_ml, sequence),
    )
    if fact.total_end_ml is not None:
        execute(
            "INSERT INTO total SELECT fp, nozzle, ? FROM sale WHERE sequence = ? AND nozzle IS NOT NULL "
            "ON CONFLICT (fp, nozzle) DO UPDATE SET volume_ml = excluded.volume_ml",
            (fact.total_end_ml, sequence),
        )


def _ended(execute: Execute, fact: r.SaleEnded, seq: int, utc: int) -> None:
    execute(
        "UPDATE sale SET state = ?, quantity_ml = 0, value_minor = 0, ended_row = ?, decided_by = coalesce(?, decided_by) "
        "WHERE sequence = ?",
        ("reversed" if fact.reversed else "zero", seq, fact.decided_by, _sequence(fact.sale)),
    )


def _in_doubt(execute: Execute, fact: r.SaleInDoubt, seq: int, utc: int) -> None:
    execute("UPDATE sale SET state = 'in doubt' WHERE sequence = ?", (_sequence(fact.sale),))


def _reversal(execute: Execute, fact: r.ReversalQueued, seq: int, utc: int) -> None:
    execute("UPDATE sale SET reversal = 1 WHERE sequence = ?", (_sequence(fact.sale),))


def _acknowledged(execute: Execute, fact: r.MessageAcknowledged, seq: int, utc: int) -> None:
    sale, _, kind = fact.key.rpartition("/")
    execute("DELETE FROM outbox WHERE key = ?", (fact.key,))
    if kind in ("complete", "advice"):
        execute("UPDATE sale SET state = 'booked' WHERE sequence = ? AND state = 'delivered'", (_sequence(sale),))


def _quarantined(execute: Execute, fact: r.MessageQuarantined, seq: int, utc: int) -> None:
    execute("UPDATE outbox SET quarantined = 1 WHERE key = ?", (fact.key,))


def _pin_tried(execute: Execute, fact: r.PinTried, seq: int, utc: int) -> None:
    execute(
        "INSERT INTO pin VALUES (?, ?, ?) ON CONFLICT (account) DO UPDATE SET epoch = excluded.epoch, tries = excluded.tries",
        (fact.account, fact.epoch, fact.tries),
    )


def _pin_cleared(execute: Execute, fact: r.PinCleared, seq: int, utc: int) -> None:
    execute("DELETE FROM pin WHERE account = ?", (fact.account,))


def _badge_counter(execute: Execute, fact: BadgeCounter, seq: int, utc: int) -> None:
    execute(
        "INSERT INTO badge_counter VALUES (?, ?) ON CONFLICT (token) DO UPDATE SET counter = excluded.counter", (fact.token, fact.counter)
    )


def _odometer(execute: Execute, fact: OdometerRead, seq: int, utc: int) -> None:
    execute(
        "INSERT INTO odometer VALUES (?, ?, ?, 0) ON CONFLICT (account) "
        "DO UPDATE SET reading = excluded.reading, at = excluded.at, since_ml = 0",
        (fact.account, fact.reading, fact.at),
    )


def _head(execute: Execute, fact: HeadSettled, seq: int, utc: int) -> None:
    execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?)", (fact.fp, fact.nozzle, fact.transaction))


def _total(execute: Execute, fact: r.TotalRead, seq: int, utc: int) -> None:
    execute(
        "INSERT INTO total VALUES (?, ?, ?) ON CONFLICT (fp, nozzle) DO UPDATE SET volume_ml = excluded.volume_ml",
        (fact.fp, fact.nozzle, fact.volume_ml),
    )


def _fault_raised(execute: Execute, fact: r.FaultRaised, seq: int, utc: int) -> None:
    execute("INSERT OR REPLACE INTO fault VALUES (?, ?, ?, ?)", (fact.code, fact.subject, fact.detail, utc))


def _fault_cleared(execute: Execute, fact: r.FaultCleared, seq: int, utc: int) -> None:
    execute("DELETE FROM fault WHERE code = ? AND subject = ?", (fact.code, fact.subject))


def _meta(execute: Execute, name: str, value: object) -> None:
    execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, str(value)))


def _anchored(execute: Execute, fact: r.ClockAnchored, seq: int, utc: int) -> None:
    _meta(execute, "clock_anchor", f"{fact.host_time} {fact.instant} {fact.boot}")


def _lists_adopted(execute: Execute, fact: r.ListsAdopted, seq: int, utc: int) -> None:
    _meta(execute, "cards_file", fact.file)
    # What this list says is superseded, and so are lifts that were about another epoch's (core/deny_book.py).
    execute(
        "DELETE FROM deny WHERE (epoch = ? AND list_version <= ?) OR (epoch <> ? AND lifted = 1)",
        (fact.epoch, fact.version, fact.epoch),
    )
    if not fact.content_hash:
        return  # of a program that did not know signed lists yet
    row = execute("SELECT value FROM meta WHERE name = 'list_mark'", ()).fetchone()
    mark = NO_LIST if row is None else msgspec.json.decode(row[0], type=ListMark)
    offer = ListOffer(fact.epoch, fact.version, fact.rows, fact.content_hash, fact.issued_at, 0, False)
    _meta(execute, "list_mark", msgspec.json.encode(mark.after(offer)).decode())


def _lists_checked(execute: Execute, fact: r.ListsChecked, seq: int, utc: int) -> None:
    _meta(execute, "lists_checked", fact.at)


def _event(execute: Execute, event: int, effective_at: int, refused: str | None = None) -> None:
    """Where the stream resumes, and what the host has still to be told."""
    _meta(execute, "last_event", event)
    execute("INSERT OR REPLACE INTO ack VALUES (?, ?, ?)", (event, effective_at, refused))


def _denied(execute: Execute, fact: r.DenyAdded | r.DenyLifted, seq: int, utc: int) -> None:
    execute(
        "INSERT OR REPLACE INTO deny VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.kind,
            fact.value,
            fact.upto,
            int(isinstance(fact, r.DenyLifted)),
            fact.epoch,
            fact.list_version,
            fact.event,
            fact.effective_at,
        ),
    )
    _event(execute, fact.event, fact.effective_at)


def _event_passed(execute: Execute, fact: r.EventPassed, seq: int, utc: int) -> None:
    _event(execute, fact.event, fact.effective_at, fact.why if fact.refused else None)


def _event_acknowledged(execute: Execute, fact: r.EventAcknowledged, seq: int, utc: int) -> None:
    execute("DELETE FROM ack WHERE event = ?", (fact.event,))


def _refused(execute: Execute, fact: r.Refused, seq: int, utc: int) -> None:
    if fact.code:
        execute("INSERT INTO refusal VALUES (?, ?) ON CONFLICT (code) DO UPDATE SET row = excluded.row", (fact.code, seq))
        execute("INSERT INTO meta VALUES ('refusals', '1') ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1", ())


def _corrected(execute: Execute, fact: r.SaleCorrected, seq: int, utc: int) -> None:
    execute("INSERT INTO correction VALUES (?, ?, ?) ON CONFLICT (correction) DO NOTHING", (fact.correction, _sequence(fact.sale), seq))
    if fact.event:
        _event(execute, fact.event, fact.effective_at)


def _closing(execute: Execute, fact: r.ClosingSet, seq: int, utc: int) -> None:
    if fact.closed:
        execute("INSERT OR REPLACE INTO closing VALUES (?, ?, ?, ?, ?)", (fact.scope, fact.name, fact.why, fact.event, fact.effective_at))
    else:
        execute("DELETE FROM closing WHERE scope = ? AND name = ?", (fact.scope, fact.name))
    if fact.event:
        _event(execute, fact.event, fact.effective_at)


def _order(execute: Execute, fact: OrderTaken, seq: int, utc: int) -> None:
    """What it did has rows of its own."""
    if fact.event:
        _event(execute, fact.event, fact.effective_at)


def _restored(execute: Execute, fact: LedgerRestored, seq: int, utc: int) -> None:
    if fact.lost:
        for name, value in (("epoch", fact.epoch), ("epoch_first", fact.first)):
            execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, str(value)))


def _pruned(execute: Execute, fact: LedgerPruned, seq: int, utc: int) -> None:
    """The rows of the journal go afterwards, little by little (retention.py)."""
    for run in fact.sales:
        execute("DELETE FROM sale WHERE sequence BETWEEN ? AND ?", run)
    for run in fact.batches:
        execute("DELETE FROM batch WHERE batch BETWEEN ? AND ?", run)
    execute("DELETE FROM correction WHERE row <= ? AND sequence NOT IN (SELECT sequence FROM sale)", (fact.through,))
    execute("DELETE FROM refusal WHERE row <= ?", (fact.through,))


def _rollback(execute: Execute, fact: RollbackMarked, seq: int, utc: int) -> None:
    _meta(execute, "rollback_mark", fact.value)
    if fact.event:
        _event(execute, fact.event, fact.effective_at)


def _batch_sent(execute: Execute, fact: r.BatchSent, seq: int, utc: int) -> None:
    execute(
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, 'sent', ?) "
        "ON CONFLICT (batch) DO UPDATE SET attempt = excluded.attempt, sent_row = excluded.sent_row",
        (fact.batch, fact.epoch, fact.first, fact.last, fact.attempt, seq),
    )


def _batch_settled(execute: Execute, fact: r.BatchSettled, seq: int, utc: int) -> None:
    execute("UPDATE batch SET state = ? WHERE batch = ?", ("balanced" if fact.balanced else "given up", fact.batch))


def _nothing(execute: Execute, fact: Any, seq: int, utc: int) -> None:
    """The journal row is all that is kept."""


APPLY: dict[type, Callable[[Execute, Any, int, int], None]] = {
    r.TerminalStarted: _nothing,
    r.SaleReserved: _reserved,
    r.SaleAuthorized: _authorized,
    r.SaleReleased: _released,
    r.SaleDelivered: _delivered,
    r.SaleEnded: _ended,
    r.SaleInDoubt: _in_doubt,
    r.ReversalQueued: _reversal,
    r.MessageAcknowledged: _acknowledged,
    r.MessageQuarantined: _quarantined,
    r.PinTried: _pin_tried,
    r.PinCleared: _pin_cleared,
    BadgeCounter: _badge_counter,
    OdometerRead: _odometer,
    RollbackMarked: _rollback,
    LedgerRestored: _restored,
    SaleReturned: returned.returned,
    ReturnSettled: returned.settled,
    LedgerPruned: _pruned,
    r.Refused: _refused,
    r.TotalRead: _total,
    r.Unattributed: _nothing,
    r.ClockAnchored: _anchored,
    r.ListsAdopted: _lists_adopted,
    r.ListsChecked: _lists_checked,
    r.DenyAdded: _denied,
    r.DenyLifted: _denied,
    r.SaleCorrected: _corrected,
    r.ClosingSet: _closing,
    OrderTaken: _order,
    MeterProved: _nothing,
    HeadSettled: _head,
    r.BatchSent: _batch_sent,
    r.BatchSettled: _batch_settled,
    r.EventPassed: _event_passed,
    PricesPlanned: price_store.planned,
    PriceSet: price_store.in_force,
    PricesTaken: price_store.taken,
    r.EventAcknowledged: _event_acknowledged,
    r.FaultRaised: _fault_raised,
    r.FaultCleared: _fault_cleared,
}
