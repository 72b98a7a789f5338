"""What the host's corrections mean: new facts beside a sale's own, never edits, each counting once whatever is repeated.

A correction changes what the sale takes from limits and balances; the sale's record and the pump's books stay as they were.
``corrected`` is the only place that says how, for the live book and for recovery alike. (features.md F48.)

Volumes in millilitres, money in minor units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from terminal.core.account_book import SaleUse, UseState
from terminal.core.host_events import CorrectionKind, CorrectionPushed
from terminal.core.ids import SaleId
from terminal.core.internal_events import EndCause, FillRecorded, NothingDelivered
from terminal.core.push_desk import PushDesk
from terminal.core.records import SaleCorrected
from terminal.core.returned_sales import LostSales, NothingLost
from terminal.core.sale import OPEN_STATES, Sale, SaleState
from terminal.core.step import Desk
from terminal.core.units import Instant

PRUNED = "pruned"
KNOWN = "this correction has been made"


class PastSales(LostSales, Protocol):
    """Looks up what the book does not hold (any more): a sale that is older than every window, or that counts nothing."""

    def use(self, sale: str) -> SaleUse | None:
        """What a sale that has ended takes, its corrections included. None for one that never ended or never was."""

    def has_correction(self, name: str) -> bool:
        """Was a correction of this name made?"""

    def hash_at(self, row: int) -> str | None:
        """The hash of this row of the journal, in hex; None when there is no such row, ``PRUNED`` for one that was pruned."""


class NoPast(NothingLost):
    """Of a terminal that has none."""

    def use(self, sale: str) -> SaleUse | None:
        """See ``PastSales``."""
        return None

    def has_correction(self, name: str) -> bool:
        """See ``PastSales``."""
        return False

    def hash_at(self, row: int) -> str | None:
        """See ``PastSales``."""
        return None


def corrected(use: SaleUse, fact: SaleCorrected) -> SaleUse:
    """What a sale takes once this correction counts. A settled sale's amounts are those of its own record, so nothing changes here."""
    if fact.kind == CorrectionKind.CANCEL.value:
        return replace(use, quantity_ml=0, value_minor=0)
    if fact.kind == CorrectionKind.REFUND.value:
        return replace(
            use,
            quantity_ml=max(0, use.quantity_ml - (fact.quantity_ml or 0)),
            value_minor=max(0, use.value_minor - (fact.value_minor or 0)),
        )
    if fact.kind == CorrectionKind.AMEND.value and fact.account is not None:
        return replace(use, account=fact.account, customer=fact.customer)
    return use


def why_not(asked: CorrectionPushed, state: SaleState | None, use: SaleUse | None) -> str | None:
    """Why a correction cannot be, None when it can. ``state``: of a sale in memory; ``use``: of one that has ended."""
    if asked.kind is CorrectionKind.SETTLE:
        return _why_not_settle(asked, state)
    if state is SaleState.IN_DOUBT:
        return "the sale is in doubt and must be settled first"
    if state in OPEN_STATES:
        return "the sale has not ended"
    if use is None or use.state is not UseState.DELIVERED:
        return "no such sale"
    if asked.kind is CorrectionKind.REFUND:
        return _why_not_refund(asked, use)
    return _why_not_amend(asked) if asked.kind is CorrectionKind.AMEND else None


def _why_not_refund(asked: CorrectionPushed, use: SaleUse) -> str | None:
    if asked.quantity_ml is None or asked.value_minor is None:
        return "a refund needs both amounts"
    if asked.quantity_ml > use.quantity_ml or asked.value_minor > use.value_minor:
        return f"the refund is more than what counts ({use.quantity_ml} ml, {use.value_minor} minor units)"
    return None


def _why_not_amend(asked: CorrectionPushed) -> str | None:
    if asked.account is None and asked.customer is not None:
        return "a customer without an account"
    return "nothing is amended" if asked.account is None and not asked.prompts else None


def _why_not_settle(asked: CorrectionPushed, state: SaleState | None) -> str | None:
    if state is not SaleState.IN_DOUBT:
        return "the sale is not in doubt"
    if asked.quantity_ml is None or asked.value_minor is None:
        return "a settlement needs both amounts"
    return "money for no fuel" if asked.quantity_ml == 0 and asked.value_minor > 0 else None


def _why_no_fuel(asked: CorrectionPushed, sale: Sale | None) -> str | None:
    """Of a sale that a loss of rows left open before its release (core/left_open.py) nobody knows what was taken from where."""
    if asked.kind is not CorrectionKind.SETTLE or sale is None or sale.nozzle is not None or not asked.quantity_ml:
        return None
    return "at which nozzle is not known here: it can be settled with 0 only"


class CorrectionDesk:
    """Hears corrections, writes them down and lets them count."""

    def __init__(self, desk: Desk, push: PushDesk, past: PastSales) -> None:
        self.desk = desk
        self.push = push
        self.past = past
        self._made: set[str] = set()  # in this run; the ones before are asked of ``past``

    def heard(self, event: CorrectionPushed, at: Instant) -> None:
        """Durable before the host is told; what cannot be is written down with its cause and told as refused."""
        now = self.desk.utc(at)
        if event.correction in self._made or self.past.has_correction(event.correction):
            self.push.passed(event.event, KNOWN, self.push.unacknowledged.get(event.event, now))
            return
        sale = self.desk.sales.get(SaleId(event.sale))
        use = self.desk.book.get(event.sale) or self.past.use(event.sale)
        why = why_not(event, None if sale is None else sale.state, use) or _why_no_fuel(event, sale)
        if why is not None:
            self.push.passed(event.event, f"correction {event.correction}: {why}", now, refused=True)
            return
        fact = SaleCorrected(
            event=event.event,
            correction=event.correction,
            sale=SaleId(event.sale),
            kind=event.kind.value,
            quantity_ml=event.quantity_ml,
            value_minor=event.value_minor,
            account=event.account,
            customer=event.customer,
            prompts=event.prompts,
            why=event.why,
            effective_at=now,
        )
        self._made.add(event.correction)
        self.desk.persist(fact)
        self._let_count(fact)
        self.push.taken(event.event, now)

    def _let_count(self, fact: SaleCorrected) -> None:
        if fact.kind == CorrectionKind.SETTLE.value:
            # The pump is not asked and its point not touched: it has served others since. The sale ends by its own table.
            if fact.quantity_ml:
                self.desk.tell(FillRecorded(fact.sale, fact.quantity_ml, fact.value_minor or 0, None, EndCause.FAULT))
            else:
                self.desk.tell(NothingDelivered(fact.sale, EndCause.FAULT))
            return
        counting = self.desk.book.get(fact.sale)
        if counting is not None:
            self.desk.book.replace(corrected(counting, fact))
        unanswered = self.desk.exposure.get(fact.sale)
        if unanswered is not None:
            self.desk.exposure.put(corrected(unanswered, fact))
