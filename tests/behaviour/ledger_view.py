"""What a scenario reads from a ledger: refusals, sales, unattributed deliveries, the three books, what remains of a limit.

Works on any readable connection to a ledger (the terminal's own, or a copy of its file), so that every world reads it alike. Only the
journal's facts and the tables that the store derives of them are used. Volumes in millilitres, money in minor units.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from terminal.core import card_data
from terminal.core.account_book import AccountBook
from terminal.core.attempt import TEST, MediumRef, SaleExtra
from terminal.core.bounds import remainders
from terminal.core.clock import ClockState
from terminal.core.facts import Policy, Request, gather
from terminal.core.orders import OrderTaken
from terminal.core.ports import Lists
from terminal.core.reasons import Reason
from terminal.core.records import Refused, Unattributed
from terminal.core.returned_record import SaleReturned
from terminal.core.site_records import MeterProved
from terminal.core.texts import REASONS, SCREENS
from terminal.core.units import UtcMs, cost_of
from tests.behaviour.setup import Setup, Subject, SubjectKind
from tests.behaviour.world import Books, Correction, SaleSeen

T = TypeVar("T")
Names = Mapping[str, tuple[str, str]]
"""Token of a card's number → its account and its number as the tables name them."""

_NOT_READY = Reason.TERMINAL_NOT_READY.value


class _Taken(msgspec.Struct):
    """Whose a sale is: what its reservation says, or its fact when it came back from the host."""

    card: MediumRef
    account: str
    extra: SaleExtra = SaleExtra()


def names(setup: Setup, token_of: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """The names behind the ledger's tokens."""
    return {token_of(card.number): (card.account, card.number) for card in setup.cards}


def _facts(db: sqlite3.Connection, kind: type[T]) -> list[T]:
    rows = db.execute("SELECT body FROM journal WHERE kind = ? ORDER BY seq", (kind.__name__,)).fetchall()
    return [msgspec.json.decode(body, type=kind) for (body,) in rows]


def refusals(db: sqlite3.Connection, screens: Sequence[str] = ()) -> list[str]:
    """The reasons of the journal in order, and in their places those ``TERMINAL_NOT_READY`` that only the display knows.

    A terminal whose disk is full cannot journal that it refuses; what it shows (``screens``, lines joined by line feeds) is all there
    is. A journaled refusal belongs to the first screen with its text.
    """
    journal = [fact.reason for fact in _facts(db, Refused)]
    told: list[str] = []
    for screen in screens:
        reason = _told_only(screen)
        if reason is None:
            continue
        # Everything that was journaled up to this screen stands before it.
        rest = journal[len(told) - told.count("") :]
        place = next((index for index, each in enumerate(rest) if each == reason), None)
        if place is not None:
            told += rest[: place + 1]
        elif reason == _NOT_READY:
            told.append("")  # known from the display alone
    told += journal[len(told) - told.count("") :]
    return [reason or _NOT_READY for reason in told]


_REFUSED_TEXTS = {(SCREENS[language]["REFUSED"][0], text): reason for language, texts in REASONS.items() for reason, text in texts.items()}


def _told_only(screen: str) -> str | None:
    """The reason of a screen of refusal; None for every other screen, and for one that stands for many reasons."""
    lines = [line.rstrip() for line in screen.split("\n")]
    return _REFUSED_TEXTS.get((lines[0], lines[1])) if len(lines) > 1 else None


def sales(db: sqlite3.Connection, known: Names) -> list[SaleSeen]:
    """The delivered or booked sales with a volume above 0, in the order of their numbers. A card of no table shows its tokens."""
    rows = db.execute(
        "SELECT s.quantity_ml, s.value_minor, s.product, j.body FROM sale s JOIN journal j ON j.seq = s.reserved_row "
        "WHERE s.state IN ('delivered', 'booked') AND s.quantity_ml > 0 ORDER BY s.sequence"
    ).fetchall()
    found = []
    for volume_ml, amount_minor, product, body in rows:
        reserved = msgspec.json.decode(body, type=_Taken)
        if TEST in reserved.extra.marks:
            continue
        account, number = known.get(reserved.card.token, (reserved.account, None))
        found.append(SaleSeen(volume_ml, amount_minor, product or "", account, number))
    return found


def tests(db: sqlite3.Connection) -> list[tuple[int, str, int]]:
    """The test fuellings with a volume above 0: millilitres, product, money."""
    rows = db.execute(
        "SELECT s.quantity_ml, s.product, s.value_minor, j.body FROM sale s JOIN journal j ON j.seq = s.reserved_row "
        "WHERE s.state IN ('delivered', 'booked') AND s.quantity_ml > 0 ORDER BY s.sequence"
    ).fetchall()
    return [
        (volume_ml, product, minor)
        for volume_ml, product, minor, body in rows
        if TEST in msgspec.json.decode(body, type=_Taken).extra.marks
    ]


def proved(db: sqlite3.Connection) -> list[int]:
    """What each prover's reading said of its meter: the deviation in millilitres."""
    return [fact.deviation_ml for fact in _facts(db, MeterProved)]


def all_ended(db: sqlite3.Connection) -> bool:
    """No sale waits, runs or is still to be read."""
    return db.execute("SELECT 1 FROM sale WHERE state IN ('reserved', 'authorized', 'delivering')").fetchone() is None


def last_sale(db: sqlite3.Connection, setup: Setup) -> tuple[str, int]:
    """The last sale that delivered or is in doubt: its name, and the price at its nozzle. Raises ``LookupError`` when there is none."""
    row = db.execute(
        "SELECT id, fp, nozzle FROM sale WHERE state = 'in doubt' OR (state IN ('delivered', 'booked') AND quantity_ml > 0) "
        "ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    if row is None:
        raise LookupError("the ledger holds no sale yet")
    sale, fp, nozzle = row
    return str(sale), next(each.price for each in setup.fuelling_points if (each.fp, each.nozzle) == (fp, nozzle))


def corrections(db: sqlite3.Connection, setup: Setup, correction: Correction) -> dict[str, Any]:
    """A correction of that sale as the host's office enters it, by the names of ``HostBook.correct``."""
    sale, price = last_sale(db, setup)
    said: dict[str, Any] = {"sale": sale, "kind": correction.kind}
    if correction.quantity_ml is not None:
        cost = cost_of(correction.quantity_ml, price, setup.decimals)
        said |= {"quantity_ml": correction.quantity_ml, "value_minor": cost if correction.value_minor is None else correction.value_minor}
    if correction.card is not None:
        said["card"] = correction.card
    return said | ({"prompts": dict(correction.prompts)} if correction.prompts else {})


def orders_taken(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """The orders that were obeyed: what, and by whom."""
    return [(fact.order, fact.by) for fact in _facts(db, OrderTaken)]


def unattributed(db: sqlite3.Connection, fp: int) -> list[int]:
    """Millilitres of each unattributed delivery at this fuelling point, in order."""
    return [fact.volume_ml for fact in _facts(db, Unattributed) if fact.fp == fp]


def books(db: sqlite3.Connection, pumps: Mapping[tuple[int, int], int], host_sales: Sequence[Mapping[str, Any]]) -> Books:
    """The three books. ``pumps``: millilitres by (fp, nozzle) since the start; ``host_sales``: the host's booked records."""
    ledger: dict[tuple[int, int], int] = {}
    host: dict[tuple[int, int], int] = {}
    rows = db.execute(
        "SELECT fp, nozzle, quantity_ml, value_minor, id FROM sale "
        "WHERE state IN ('delivered', 'booked') AND quantity_ml > 0 ORDER BY sequence"
    ).fetchall()
    for fp, nozzle, volume_ml, _, _ in rows:
        ledger[fp, nozzle] = ledger.get((fp, nozzle), 0) + volume_ml
    for sale in host_sales:
        place = (sale["fuelling_point"], sale["nozzle"])
        host[place] = host.get(place, 0) + sale["quantity_ml"]
    came_back = _facts(db, SaleReturned)
    for fact in _facts(db, Unattributed):
        # What came back from the host left without a sale only as long as its sale was lost.
        rest = fact.volume_ml - sum(_within(fact, sale) for sale in came_back)
        for book in (ledger, host):
            book[fact.fp, fact.nozzle] = book.get((fact.fp, fact.nozzle), 0) + rest
    return Books(
        pumps={place: volume_ml for place, volume_ml in pumps.items() if volume_ml},
        ledger=ledger,
        host=host,
        ledger_minor=sum(row[3] for row in rows),
        host_minor=sum(sale["value_minor"] for sale in host_sales),
        ledger_sales=tuple(row[4] for row in rows),
        host_sales=tuple(sale["sale"] for sale in host_sales),
    )


def _within(fuel: Unattributed, sale: SaleReturned) -> int:
    """How much of this fuel is that sale's, by the totaliser."""
    if (fuel.fp, fuel.nozzle) != (sale.fp, sale.nozzle) or sale.total_start_ml is None or sale.total_end_ml is None:
        return 0
    return max(0, min(fuel.total_end_ml, sale.total_end_ml) - max(fuel.total_start_ml, sale.total_start_ml))


def remaining(
    setup: Setup,
    token_of: Callable[[str], str],
    lists: Lists,
    book: AccountBook,
    now_utc: UtcMs,
    subject: Subject,
    period: str,
    measure: str,
    products: tuple[str, ...] | None,
) -> int | None:
    """What the terminal's own arithmetic leaves of one limit. None when its lists have no such limit, or several and no ``products``."""
    number = _a_number(setup, subject)
    if number is None:
        return None
    facts = gather(
        Request(token_of(number), number, None, (), None),
        None,
        lists,
        lists.deny,
        book,
        site=setup.site,
        zone=setup.zone,
        decimals=setup.decimals,
        now_utc=now_utc,
        clock_state=ClockState.TRUSTED,
        lists_checked_utc=now_utc,
        policy=Policy(),
    )
    card = subject.kind is SubjectKind.CARD
    wanted = card_data.Subject(card_data.SubjectKind(subject.kind.value), token_of(subject.name) if card else subject.name)
    found = [
        each.remaining
        for each in remainders(facts)
        if (each.limit.subject, each.limit.period.value, each.limit.measure.value) == (wanted, period, measure)
        and (products is None or each.limit.products == frozenset(products))
    ]
    return found[0] if len(found) == 1 else None


def _a_number(setup: Setup, subject: Subject) -> str | None:
    """Any card of this account or customer: limits are looked up by a medium."""
    if subject.kind is SubjectKind.CARD:
        return next((card.number for card in setup.cards if card.account == setup.account_of(subject.name)), None)
    return next((card.number for card in setup.cards if card.customer == subject.name), None)
