"""From the ledger to what the core keeps in memory. Reads only; what follows from it is the core's to decide."""

from __future__ import annotations

import sqlite3
from typing import TypeVar

import msgspec

from terminal.core import records as r
from terminal.core.account_book import SaleUse
from terminal.core.card_lists import ListMark
from terminal.core.closings import Closing
from terminal.core.deny_book import DenyEntry, DenyKind, DenySubject
from terminal.core.faults import FaultCode
from terminal.core.host_events import ClosingScope
from terminal.core.ids import MessageKind, Minting, SaleId
from terminal.core.meter_tests import of_a_test
from terminal.core.orders import OrderKind, OrderMemory, OrderTaken
from terminal.core.pin_desk import WINDOW_MS, PinTries
from terminal.core.prompt_rules import Odometer
from terminal.core.reasons import Reason
from terminal.core.sale import Sale, SaleState
from terminal.core.site import Recovered
from terminal.core.units import Instant, UtcMs
from terminal.store import price_store
from terminal.store.batch_memory import remembered
from terminal.store.ledger import Ledger
from terminal.store.past_sales import USE_COLUMNS, LedgerPast, use_of_row, waits_since, with_corrections

USE_KEPT_MS = 62 * 24 * 3_600_000
"""The longest window is a month; a sale of the month before may still be under a baseline's watermark."""
ORDER_ROWS = 10_000
"""So many of the newest rows are searched for orders of the host that it may tell twice."""

_OPEN_SALES = (
    "SELECT state, reversal, reserved_row, authorized_row, released_row FROM sale "
    "WHERE state IN ('reserved', 'authorized', 'delivering', 'in doubt') ORDER BY sequence"
)

_POINTS_IN_USE = "SELECT DISTINCT fp FROM sale WHERE state IN ('reserved', 'authorized', 'delivering', 'in doubt')"


def recover(ledger: Ledger, terminal: str, boot: str) -> Recovered:
    """Everything that the core must know to go on after a restart or a power cut."""
    db = ledger.connection
    (last, epoch) = db.execute("SELECT coalesce(max(sequence), 0), coalesce(max(epoch), 1) FROM sale").fetchone()
    meta: dict[str, str] = dict(db.execute("SELECT name, value FROM meta"))
    newest = db.execute("SELECT utc FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    following = max(last + 1, int(meta.get("epoch_first", "1")))
    found = Recovered(minting=Minting(terminal, max(epoch, int(meta.get("epoch", "1"))), following))
    found.open_sales = _open_sales(db)
    found.uses = with_corrections(db, _uses(db, newest[0] if newest else 0)) + [one.held() for one in found.open_sales]
    exposed = [one.held() for one in found.open_sales if one.decided_by != "host" and not one.of_a_test]
    found.unanswered = with_corrections(db, _unanswered(db)) + exposed
    found.refusals = int(meta.get("refusals", "0"))
    found.pin_tries = {account: PinTries(number, tries) for account, number, tries in db.execute("SELECT account, epoch, tries FROM pin")}
    found.pin_wrong = _wrong_pins(db, newest[0] if newest else 0)
    odometers = db.execute("SELECT account, reading, at, since_ml FROM odometer")
    found.odometers = {account: Odometer(reading, UtcMs(at), since_ml) for account, reading, at, since_ml in odometers}
    found.badge_counters = dict(db.execute("SELECT token, counter FROM badge_counter"))
    found.totals = {(fp, nozzle): volume for fp, nozzle, volume in db.execute("SELECT fp, nozzle, volume_ml FROM total")}
    found.settled = {(fp, nozzle): number for fp, nozzle, number in db.execute("SELECT fp, nozzle, settled FROM head")}
    faults = db.execute("SELECT code, subject, detail, since FROM fault").fetchall()
    found.faults = {(FaultCode(code), subject): detail for code, subject, detail, _ in faults}
    found.fault_since = {(code, subject): since for code, subject, _, since in faults}
    found.denies = [
        DenyEntry(event, DenySubject(DenyKind(kind), value, upto), bool(lifted), epoch, version, effective_at)
        for kind, value, upto, lifted, epoch, version, event, effective_at in db.execute(
            "SELECT kind, value, upto, lifted, epoch, list_version, event, effective_at FROM deny"
        )
    ]
    owed = db.execute("SELECT event, effective_at, refused FROM ack ORDER BY event").fetchall()
    found.unacknowledged = {event: effective_at for event, effective_at, _ in owed}
    found.event_refusals = {event: refused for event, _, refused in owed if refused is not None}
    found.closings = [
        Closing(ClosingScope(scope), name, why, event, since)
        for scope, name, why, event, since in db.execute("SELECT scope, name, why, event, since FROM closing ORDER BY since")
    ]
    found.past = LedgerPast(db)
    found.prices = price_store.remembered(db)
    found.orders = _orders(db)
    (found.quarantined,) = db.execute("SELECT count(*) FROM outbox WHERE quarantined = 1").fetchone()
    found.oldest = waits_since(db)
    found.last_event = int(meta.get("last_event", "0"))
    (found.waiting,) = db.execute("SELECT count(*) FROM outbox WHERE quarantined = 0").fetchone()
    found.batches = remembered(db, newest[0] if newest else None)
    if "rollback_mark" in meta:
        found.rollback_mark = int(meta["rollback_mark"])
    if "lists_checked" in meta:
        found.lists_checked = UtcMs(int(meta["lists_checked"]))
    if "list_mark" in meta:
        found.list_mark = msgspec.json.decode(meta["list_mark"], type=ListMark)
    if "clock_anchor" in meta:
        host_time, instant, anchored_boot = meta["clock_anchor"].split(" ")
        found.same_boot = anchored_boot == boot
        found.clock_newest = UtcMs(newest[0]) if newest else None
        found.clock_floor = UtcMs(int(host_time)) if found.same_boot else UtcMs(max(int(host_time), newest[0] if newest else 0))
        found.clock_floor_instant = Instant(int(instant))
        found.clock_contact = Instant(int(instant)) if found.same_boot else None
    return found


def points_in_use(ledger: Ledger) -> tuple[int, ...]:
    """Where a sale has not ended, as far as an unexamined ledger tells: nothing more than whom to ask first may be built on it."""
    try:
        return tuple(fp for (fp,) in ledger.connection.execute(_POINTS_IN_USE))
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
        return ()


def cards_file(ledger: Ledger) -> str | None:
    """The card file that the last adopted lists are in."""
    row = ledger.connection.execute("SELECT value FROM meta WHERE name = 'cards_file'").fetchone()
    return None if row is None else str(row[0])


def _open_sales(db: sqlite3.Connection) -> list[Sale]:
    return [sale_of_rows(db, *row) for row in db.execute(_OPEN_SALES).fetchall()]


def sale_of_rows(
    db: sqlite3.Connection, state: str, reversal: int, reserved_row: int, authorized_row: int | None, released_row: int | None
) -> Sale:
    """A sale from its row of the table, without its desk."""
    reserved = fact_of_row(db, reserved_row, r.SaleReserved)
    sale = Sale(
        id=SaleId(reserved.sale),
        epoch=reserved.epoch,
        sequence=reserved.sequence,
        side=reserved.side,
        fp=reserved.fp,
        card=reserved.card,
        account=reserved.account,
        customer=reserved.customer,
        pin_verified=reserved.pin_verified,
        prompts=reserved.prompts,
        nozzles=reserved.nozzles,
        wish_ml=reserved.wish_ml,
        wish_minor=reserved.wish_minor,
        asked_host=reserved.asked_host,
        authorized_at=reserved.authorized_at,
        list_version=reserved.list_version,
        hold_ml=reserved.hold_ml,
        hold_minor=reserved.hold_minor,
        hold_products=reserved.hold_products,
        state=SaleState(state),
        reversal=bool(reversal),
        cost_centre=reserved.cost_centre,
        driver=reserved.driver,
        extra=reserved.extra,
    )
    if authorized_row is not None:
        granted = fact_of_row(db, authorized_row, r.SaleAuthorized)
        sale.decided_by, sale.authorization, sale.allowed = granted.decided_by, granted.authorization, granted.allowed
        sale.hold_ml, sale.hold_minor, sale.hold_products = granted.hold_ml, granted.hold_minor, granted.hold_products
        sale.judged = granted.judged
    if released_row is not None:
        released = fact_of_row(db, released_row, r.SaleReleased)
        sale.nozzle, sale.product, sale.price = released.nozzle, released.product, released.price
        sale.preset_ml, sale.preset_minor, sale.total_start_ml = released.preset_ml, released.preset_minor, released.total_start_ml
        sale.hold_ml, sale.hold_minor, sale.hold_products = released.hold_ml, released.hold_minor, (released.product,)
    return sale


def _orders(db: sqlite3.Connection) -> OrderMemory:
    """Orders among the newest rows, and since the oldest running sale was reserved."""
    running = db.execute("SELECT id, fp, reserved_row FROM sale WHERE state = 'delivering'").fetchall()
    (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    first = min([newest - ORDER_ROWS, *(row for _, _, row in running)])
    rows = db.execute("SELECT seq, body FROM journal WHERE seq > ? AND kind = 'OrderTaken' ORDER BY seq", (first,))
    orders = [(seq, msgspec.json.decode(body, type=OrderTaken)) for seq, body in rows]
    stops = [(seq, order.fuelling_point) for seq, order in orders if order.order == OrderKind.STOP_POINT.value]
    stopped = [SaleId(sale) for sale, fp, row in running if any(seq > row and at == fp for seq, at in stops)]
    return OrderMemory([order for _, order in orders], stopped)


T = TypeVar("T")


def fact_of_row(db: sqlite3.Connection, seq: object, kind: type[T]) -> T:
    """The fact of this kind in a row of the journal."""
    (body,) = db.execute("SELECT body FROM journal WHERE seq = ?", (seq,)).fetchone()
    return msgspec.json.decode(body, type=kind)


def _uses(db: sqlite3.Connection, newest_utc: int) -> list[SaleUse]:
    """Delivered sales of the windows that can still count, newest first; the terminal's time never goes back, so the scan can stop."""
    uses = []
    cursor = db.execute(f"SELECT {USE_COLUMNS}, state, reserved_row IS ended_row FROM sale ORDER BY sequence DESC")  # noqa: S608 - our own words
    for *row, state, came_back in cursor:
        if row[-1] < newest_utc - USE_KEPT_MS:
            if came_back:
                continue  # its time is the host's word
            break
        if state in ("delivered", "booked"):
            uses.append(use_of_row(row))
    return uses


def _wrong_pins(db: sqlite3.Connection, newest_utc: int) -> list[int]:
    """When PINs were wrong within the window of the brake on guessing: each wrong one is a refusal in the journal, whoever checked it."""
    first = _first_since(db, newest_utc - WINDOW_MS)
    refused = db.execute("SELECT utc, body FROM journal WHERE seq >= ? AND kind = ? ORDER BY seq DESC", (first, r.Refused.__name__))
    return [utc for utc, body in refused if msgspec.json.decode(body, type=_Reason).reason == Reason.PIN_WRONG.value]


def _first_since(db: sqlite3.Connection, utc: int) -> int:
    """The row behind the newest one that is older. Times have no index, but never go back: only what is not older is looked at."""
    older = db.execute("SELECT seq FROM journal WHERE utc < ? ORDER BY seq DESC LIMIT 1", (utc,)).fetchone()
    return 0 if older is None else int(older[0]) + 1


class _Reason(msgspec.Struct):
    """The reason of a refusal."""

    reason: str


def _unanswered(db: sqlite3.Connection) -> list[SaleUse]:
    """Delivered sales of our own deciding whose final message waits in the outbox; one that the host refused for good was answered."""
    uses = []
    select = f"SELECT {USE_COLUMNS} FROM sale WHERE sequence = ? AND state = 'delivered' AND decided_by IS NOT 'host'"  # noqa: S608
    for (key,) in db.execute("SELECT key FROM outbox WHERE quarantined = 0 ORDER BY id").fetchall():
        sale, _, kind = key.rpartition("/")
        if kind in (MessageKind.ADVICE.value, MessageKind.COMPLETE.value):
            found = map(use_of_row, db.execute(select, (int(sale.rpartition("-")[2]),)))
            uses += [use for use in found if not of_a_test(use.account)]
    return uses
