"""The journal told a second time: an account of every sale of its own, kept from the facts that the engine said were durable and made again
from the file at every start. It knows nothing of projections, recovery or the account book, so that it can disagree with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hal_sim.dispensers.hydraulics import amount_of
from terminal.core import records as r
from terminal.core.faults import FaultCode
from terminal.core.orders import OrderKind, OrderTaken
from terminal.core.price_records import PriceSet, PricesPlanned
from terminal.store import projection

_KINDS: dict[str, type] = {kind.__name__: kind for kind in projection.APPLY}


def fact_of(kind: str, body: bytes) -> object:
    """What a row of the journal says."""
    return msgspec.json.decode(body, type=_KINDS[kind])


@dataclass(frozen=True, slots=True)
class Counted:
    """What a sale counts on limits, corrections included, and on whose."""

    account: str
    customer: str | None
    quantity_ml: int
    value_minor: int


class Broken(Exception):
    """An invariant does not hold; ``name`` is its short name."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name
        self.what = what


@dataclass(slots=True)
class SaleFacts:
    """One sale as the journal tells it."""

    reserved: r.SaleReserved
    granted: r.SaleAuthorized | None = None
    released: r.SaleReleased | None = None
    delivered: r.SaleDelivered | None = None
    ended: r.SaleEnded | None = None
    reversal: bool = False
    corrections: list[r.SaleCorrected] = field(default_factory=list)

    def counted(self) -> Counted:
        """As the corrections, in their order, left it; nothing before the delivery."""
        fill, whose = self.delivered, self.reserved
        account, customer = whose.account, whose.customer
        quantity, value = (0, 0) if fill is None else (fill.volume_ml, fill.amount_minor)
        for fact in self.corrections:
            if fact.kind == "cancel":
                quantity = value = 0
            elif fact.kind == "refund":
                quantity, value = quantity - (fact.quantity_ml or 0), value - (fact.value_minor or 0)
            elif fact.kind == "amend" and fact.account is not None:
                account, customer = fact.account, fact.customer
        return Counted(account, customer, quantity, value)

    @property
    def open(self) -> bool:
        """Neither delivered nor ended."""
        return self.delivered is None and self.ended is None


@dataclass(slots=True)
class Facts:
    """The journal, folded."""

    sales: dict[str, SaleFacts] = field(default_factory=dict)
    released: dict[int, str] = field(default_factory=dict)  # fuelling point → its released, open sale
    tries: dict[str, tuple[int, int]] = field(default_factory=dict)  # account → epoch of its PIN, tries
    unattributed: dict[tuple[int, int], int] = field(default_factory=dict)
    quarantined: list[str] = field(default_factory=list)
    last_sequence: int = 0
    emergency: bool = False  # the emergency stop of the site is on
    starts: dict[int, int] = field(default_factory=dict)  # version of prices → when they may be in force
    prices: dict[tuple[int, int], int] = field(default_factory=dict)  # fp, nozzle → version of its price
    lists: tuple[str, int] = ("", 0)  # epoch and version of the newest list that went live
    stopped: set[str | None] = field(default_factory=set)  # sales that a person has stopped

    @staticmethod
    def read(db: sqlite3.Connection) -> Facts:
        """From a ledger's journal, every row of it."""
        facts = Facts()
        for kind, body in db.execute("SELECT kind, body FROM journal ORDER BY seq"):
            facts.add(fact_of(kind, body))
        return facts

    def add(self, fact: object) -> None:
        """One more fact. Raises ``Broken`` when it cannot follow on what is there."""
        keep = _KEEP.get(type(fact))
        if keep is not None:
            keep(self, fact)

    def _reserved(self, fact: r.SaleReserved) -> None:
        if fact.sequence != self.last_sequence + 1:
            raise Broken("sequence", f"{fact.sale} follows number {self.last_sequence}")
        others = [one.reserved.sale for one in self.sales.values() if one.open and one.reserved.fp == fact.fp]
        if others:
            raise Broken("one sale per point", f"{fact.sale} is reserved at fp {fact.fp}, where {others[0]} is open")
        self.last_sequence = fact.sequence
        self.sales[fact.sale] = SaleFacts(fact)

    def _granted(self, fact: r.SaleAuthorized) -> None:
        one = self._of(fact)
        if fact.decided_by == "host" and one.reversal:
            raise Broken("late answer", f"{fact.sale} uses an authorization that it had reversed")
        one.granted = fact

    def _released(self, fact: r.SaleReleased) -> None:
        one = self._of(fact)
        one.released = fact
        self.released[one.reserved.fp] = fact.sale

    def _ended(self, fact: r.SaleEnded) -> None:
        self._end(self._of(fact), fact.sale).ended = fact

    def _reversed(self, fact: r.ReversalQueued) -> None:
        self._of(fact).reversal = True

    def _tried(self, fact: r.PinTried) -> None:
        self.tries[fact.account] = fact.epoch, fact.tries

    def _cleared(self, fact: r.PinCleared) -> None:
        self.tries.pop(fact.account, None)

    def _unexplained(self, fact: r.Unattributed) -> None:
        place = (fact.fp, fact.nozzle)
        self.unattributed[place] = self.unattributed.get(place, 0) + fact.volume_ml

    def _refused(self, fact: r.MessageQuarantined) -> None:
        self.quarantined.append(fact.key)

    def _corrected(self, fact: r.SaleCorrected) -> None:
        one = self._of(fact)
        if any(fact.correction == other.correction for other in one.corrections):
            raise Broken("corrected once", f"{fact.correction} counts twice")
        one.corrections.append(fact)
        if min(one.counted().quantity_ml, one.counted().value_minor) < 0:
            raise Broken("corrections", f"{fact.sale} counts less than nothing")

    def _fault(self, fact: r.FaultRaised | r.FaultCleared) -> None:
        if fact.code == FaultCode.EMERGENCY_STOP.value:
            self.emergency = isinstance(fact, r.FaultRaised)

    def _ordered(self, fact: OrderTaken) -> None:
        if fact.order == OrderKind.STOP_POINT.value:
            self.stopped |= {sale for sale, one in self.sales.items() if one.open and one.reserved.fp == fact.fuelling_point}

    def _planned(self, fact: PricesPlanned) -> None:
        self.starts[fact.version] = fact.starts_at

    def _priced(self, fact: PriceSet) -> None:
        early_ms = self.starts.get(fact.version, 0) - fact.effective_at
        if early_ms > 0:
            raise Broken("prices", f"version {fact.version} is in force {early_ms} ms before its start")
        if fact.version < self.prices.get((fact.fp, fact.nozzle), 0):
            raise Broken("prices", f"fp {fact.fp} goes back to version {fact.version}")
        under = [sale for sale, one in self.sales.items() if one.open and one.reserved.fp == fact.fp]
        if under:
            raise Broken("prices", f"fp {fact.fp} has another price under {under[0]}")
        self.prices[fact.fp, fact.nozzle] = fact.version

    def _adopted(self, fact: r.ListsAdopted) -> None:
        if fact.epoch == self.lists[0] and fact.version < self.lists[1]:
            raise Broken("lists", f"version {fact.version} goes live after {self.lists[1]}")
        self.lists = fact.epoch, fact.version

    def _of(self, fact: Any) -> SaleFacts:
        found = self.sales.get(fact.sale)
        if found is None:
            raise Broken("sale exists", f"{type(fact).__name__} of {fact.sale}, which was never reserved")
        return found

    def _end(self, one: SaleFacts, sale: str) -> SaleFacts:
        if not one.open:
            raise Broken("ended once", f"{sale} ends a second time")
        if self.released.get(one.reserved.fp) == sale:
            del self.released[one.reserved.fp]
        return one

    def _delivered(self, fact: r.SaleDelivered) -> None:
        one = self._end(self._of(fact), fact.sale)
        one.delivered = fact
        if one.released is None:
            raise Broken("delivered after release", f"{fact.sale} is delivered and was never released")
        price = one.released.price
        if abs(fact.amount_minor - amount_of(fact.volume_ml, price)) > 1:
            raise Broken("price", f"{fact.sale}: {fact.volume_ml} ml at {price} are not {fact.amount_minor}")

    def held(self) -> dict[str, tuple[int, int]]:
        """(millilitres, minor units) held by each open sale."""
        holds = {}
        for sale, one in self.sales.items():
            if one.open:
                newest = one.released or one.granted or one.reserved
                holds[sale] = (newest.hold_ml, newest.hold_minor)
        return holds

    def sold(self) -> dict[tuple[int, int], int]:
        """Millilitres delivered by sales, per (fuelling point, nozzle)."""
        sums: dict[tuple[int, int], int] = {}
        for one in self.sales.values():
            if one.delivered is not None and one.released is not None:
                place = (one.reserved.fp, one.released.nozzle)
                sums[place] = sums.get(place, 0) + one.delivered.volume_ml
        return sums


_KEEP: dict[type, Callable[[Facts, Any], None]] = {
    r.SaleReserved: Facts._reserved,
    r.SaleAuthorized: Facts._granted,
    r.SaleReleased: Facts._released,
    r.SaleDelivered: Facts._delivered,
    r.SaleEnded: Facts._ended,
    r.ReversalQueued: Facts._reversed,
    r.PinTried: Facts._tried,
    r.PinCleared: Facts._cleared,
    r.Unattributed: Facts._unexplained,
    r.MessageQuarantined: Facts._refused,
    r.SaleCorrected: Facts._corrected,
    r.FaultRaised: Facts._fault,
    r.FaultCleared: Facts._fault,
    OrderTaken: Facts._ordered,
    PricesPlanned: Facts._planned,
    PriceSet: Facts._priced,
    r.ListsAdopted: Facts._adopted,
}
