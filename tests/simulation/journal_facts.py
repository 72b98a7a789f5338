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
from terminal.store import projection

_KINDS: dict[str, type] = {kind.__name__: kind for kind in projection.APPLY}


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

    @staticmethod
    def read(db: sqlite3.Connection, known: dict[tuple[str, str | bytes], object] | None = None) -> Facts:
        """From a ledger's journal, every row of it. ``known`` remembers what bytes mean, so that rows read again are not decoded again."""
        facts, known = Facts(), {} if known is None else known
        for row in db.execute("SELECT kind, body FROM journal ORDER BY seq"):
            fact = known.get(row)
            if fact is None:
                fact = known[row] = msgspec.json.decode(row[1], type=_KINDS[row[0]])
            facts.add(fact)
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
}
