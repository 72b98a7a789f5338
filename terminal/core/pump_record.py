"""What a pump's books say after a fill or a survey, and what follows for the sale.

Two witnesses: the record of the last fill, which a head may lose or keep too long, and the totaliser, which only grows. Where they
disagree, neither is adjusted: the sale gets the fill, the rest becomes a visible unattributed delivery. (Reference
dispenser-protocols 1.10 and 8.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from terminal.core.faults import FaultCode
from terminal.core.internal_events import EndCause, FillRecorded, NothingDelivered
from terminal.core.records import TotalRead, Unattributed
from terminal.core.units import cost_of

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.sale import Sale

RESOLUTION_ML = 10
"""One display unit of a head with two decimals: fill and totaliser may round apart by this much."""


@dataclass(slots=True)
class PumpRecord:
    """A reading under way."""

    fill_wanted: bool
    totals_wanted: set[int]
    volume_ml: int | None = None
    amount_minor: int | None = None
    totals: dict[int, int] = field(default_factory=dict)
    tries: int = 0

    @property
    def complete(self) -> bool:
        """Everything that was asked has been answered."""
        return not self.fill_wanted and not self.totals_wanted

    def take_fill(self, volume_ml: int, amount_minor: int) -> None:
        """The pump's record of its last fill."""
        self.volume_ml, self.amount_minor, self.fill_wanted = volume_ml, amount_minor, False

    def take_total(self, nozzle: int, volume_ml: int) -> None:
        """One totaliser."""
        self.totals[nozzle] = volume_ml
        self.totals_wanted.discard(nozzle)


def settle(point: FuellingPoint, record: PumpRecord, sale: Sale | None) -> None:
    """Turn a complete reading into the sale's end and the ledger's totals."""
    if sale is not None and sale.nozzle is not None and sale.total_start_ml is not None and sale.price is not None:
        now = record.totals.get(sale.nozzle, sale.total_start_ml)
        _settle_sale(point, record, sale, sale.nozzle, sale.total_start_ml, sale.price, now)
    for nozzle in sorted(record.totals):
        _reconcile(point, nozzle, record.totals[nozzle])


def _settle_sale(point: FuellingPoint, record: PumpRecord, sale: Sale, nozzle: int, start: int, price: int, now: int) -> None:
    moved = now - start
    volume, amount = record.volume_ml, record.amount_minor
    if volume is None or amount is None or (volume > 0 and moved <= 0):
        # No record, or one that the totaliser denies (left over from before): the totaliser decides.
        volume, amount = max(0, moved), cost_of(max(0, moved), price, point.decimals)
    elif volume == 0 and moved > 0:
        volume, amount = moved, cost_of(moved, price, point.decimals)
        point.end = EndCause.FAULT
    elif abs(moved - volume) > RESOLUTION_ML:
        point.desk.raise_fault(FaultCode.PUMP_RECORD_MISMATCH, point.subject, f"sale {sale.id}: fill {volume} ml, totaliser {moved} ml")
    if volume > 0:
        # What the sale explains is off the books; a rest shows up as a difference in ``_reconcile``.
        point.totals[nozzle] = now if abs(moved - volume) <= RESOLUTION_ML else min(now, start + volume)
        point.desk.tell(FillRecorded(sale.id, volume, amount, point.totals[nozzle], point.end))
    else:
        point.desk.tell(NothingDelivered(sale.id, point.end))


def _reconcile(point: FuellingPoint, nozzle: int, now: int) -> None:
    known = point.totals.get(nozzle)
    if known == now:
        return
    desk = point.desk
    if known is not None and now > known:
        desk.persist(Unattributed(point.number, nozzle, now - known, known, now))
        desk.raise_fault(FaultCode.UNATTRIBUTED_DELIVERY, f"{point.subject} nozzle {nozzle}", f"{now - known} ml")
    elif known is not None:
        desk.raise_fault(FaultCode.PUMP_TOTALISER_WENT_BACK, f"{point.subject} nozzle {nozzle}", f"{known} → {now} ml")
    desk.persist(TotalRead(point.number, nozzle, now))
    point.totals[nozzle] = now
