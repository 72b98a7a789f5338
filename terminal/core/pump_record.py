"""What a pump's books say after a fill or a survey: how they are read, and what follows for the sale.

Two witnesses: the record of the last fill, which a head may lose or keep too long, and the totaliser, which only grows. Where they
disagree, neither is adjusted: the sale gets the fill, the rest becomes a visible unattributed delivery. (Reference
dispenser-protocols 1.10 and 8.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.commands import ReadFill, ReadTotal
from drivers.events import TransactionSettled
from terminal.core.events import RecordOverdue
from terminal.core.faults import FaultCode
from terminal.core.head_records import HeadSettled
from terminal.core.internal_events import EndCause, FillRecorded, NothingDelivered, RecordComplete, SaleDoubted
from terminal.core.records import TotalRead, Unattributed
from terminal.core.step import Desk
from terminal.core.units import cost_of

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.sale import Sale
    from terminal.core.units import Instant

RESOLUTION_ML = 10
"""One display unit of a head with two decimals: fill and totaliser may round apart by this much."""
TRIES_BEFORE_FAULT = 3
READINGS = 3
"""So often a fill is read whose amount is not its volume at the price of the sale, before it is believed that the head says so."""


@dataclass(slots=True)
class PumpRecord:
    """A reading under way."""

    fill_wanted: bool
    totals_wanted: set[int]
    of: int | None = None
    volume_ml: int | None = None
    amount_minor: int | None = None
    totals: dict[int, int] = field(default_factory=dict)
    tries: int = 0
    doubted: int = 0

    @property
    def complete(self) -> bool:
        """Everything that was asked has been answered."""
        return not self.fill_wanted and not self.totals_wanted


class RecordReader:
    """Asks one position for its fill and totals until every answer is there. ``record`` is the reading under way, if any."""

    def __init__(self, number: int, subject: str, desk: Desk, record_ms: int, makes_sense: Callable[[int, int], bool]) -> None:
        """``makes_sense``: whether volume (ml) and amount (minor units) of a fill can belong together."""
        self._makes_sense = makes_sense
        self.number = number
        self.subject = subject
        self.desk = desk
        self.record_ms = record_ms
        self.record: PumpRecord | None = None
        self.settled: dict[int, int] = {}  # the head's own count by nozzle, as it was last stored

    def begin(self, nozzles: Iterable[int], *, fill: bool, of: int | None = None) -> None:
        """Read these totalisers and, where one is kept, the fill (``of`` the sale's nozzle); a reading under way is begun afresh."""
        self.record = PumpRecord(fill_wanted=fill, totals_wanted=set(nozzles), of=of)
        self._ask(self.record)

    def again(self) -> None:
        """Ask again for what is missing, for ever: an unread record keeps the sale open and its hold counting."""
        if self.record is None:
            return
        self.record.tries += 1
        if self.record.tries >= TRIES_BEFORE_FAULT:
            self.desk.raise_fault(FaultCode.PUMP_RECORD_UNREADABLE, self.subject, "no answer to the request for fill and totals")
        self._ask(self.record)

    def take_fill(self, volume_ml: int, amount_minor: int) -> None:
        """The pump's record of its last fill; one that was not asked for means nothing."""
        record = self.record
        if record is not None and record.fill_wanted:
            if not self._makes_sense(volume_ml, amount_minor) and record.doubted < READINGS - 1:
                record.doubted += 1
                self.desk.send(ReadFill(self.number, record.of))
                return
            record.volume_ml, record.amount_minor, record.fill_wanted = volume_ml, amount_minor, False
            self._tell_when_complete(record)

    def take_total(self, nozzle: int, volume_ml: int) -> None:
        """One totaliser; one that was not asked for means nothing."""
        record = self.record
        if record is not None and nozzle in record.totals_wanted:
            record.totals[nozzle] = volume_ml
            record.totals_wanted.discard(nozzle)
            self._tell_when_complete(record)

    def fill_is_gone(self) -> None:
        """The pump keeps no fill any more: what was not answered yet never will be, the totals must do."""
        record = self.record
        if record is not None and record.fill_wanted:
            record.fill_wanted = False
            self._tell_when_complete(record)

    def take(self) -> PumpRecord | None:
        """The reading, which ends with this."""
        record, self.record = self.record, None
        return record

    def _ask(self, record: PumpRecord) -> None:
        if record.fill_wanted:
            self.desk.send(ReadFill(self.number, record.of))
        for nozzle in sorted(record.totals_wanted):
            self.desk.send(ReadTotal(self.number, nozzle))
        self.desk.start(RecordOverdue(self.number), self.record_ms)

    def _tell_when_complete(self, record: PumpRecord) -> None:
        if record.complete:
            self.desk.tell(RecordComplete(self.number))


def settle(point: FuellingPoint, record: PumpRecord, sale: Sale | None) -> None:
    """Turn a complete reading into the sale's end and the ledger's totals."""
    if sale is not None and sale.nozzle is not None and sale.total_start_ml is not None and sale.price is not None:
        now = record.totals.get(sale.nozzle, sale.total_start_ml)
        _settle_sale(point, record, sale, sale.nozzle, sale.total_start_ml, sale.price, now)
    for nozzle in sorted(record.totals):
        _reconcile(point, nozzle, record.totals[nozzle])


def _settle_sale(point: FuellingPoint, record: PumpRecord, sale: Sale, nozzle: int, start: int, price: int, now: int) -> None:
    moved, slack = now - start, point.config.resolution_ml
    volume, amount = record.volume_ml, record.amount_minor
    if moved < 0 and not volume:
        # No record, or that of an exchanged head, and a totaliser that is not the same any more: neither witness saw this fill, so nobody
        # may say that it was none.
        point.desk.tell(SaleDoubted(sale.id, f"no record of the fill, totaliser {start} → {now} ml"))
        return
    if volume is None or amount is None:
        volume, amount = moved, cost_of(moved, price, point.decimals)
    elif volume == 0 and moved > slack - RESOLUTION_ML:  # a coarse totaliser may step over what an earlier fill left
        volume, amount = moved, cost_of(moved, price, point.decimals)
        point.end = EndCause.FAULT
    elif moved == 0 and volume > slack:
        volume, amount = 0, 0  # the totaliser denies it: a record left over from before
    elif abs(moved - volume) > slack:
        point.desk.raise_fault(FaultCode.PUMP_RECORD_MISMATCH, point.subject, f"sale {sale.id}: fill {volume} ml, totaliser {moved} ml")
    if not _fits(volume, amount, price, point.decimals):
        ours = cost_of(volume, price, point.decimals)
        detail = f"sale {sale.id}: {volume} ml cost {ours}, the head says {amount}"
        point.desk.raise_fault(FaultCode.PUMP_RECORD_MISMATCH, point.subject, detail)
        amount = ours
    if volume > 0:
        if moved >= 0:
            # What the sale explains is off the books; a rest shows up as a difference in ``_reconcile``.
            point.totals[nozzle] = now if abs(moved - volume) <= slack else min(now, start + volume)
        # The sale carries the reading itself: whatever the order of a commit's rows, the ledger's last total is then the pump's.
        point.desk.tell(FillRecorded(sale.id, volume, amount, now, point.end))
    else:
        point.desk.tell(NothingDelivered(sale.id, point.end))


def makes_sense(point: FuellingPoint, volume_ml: int, amount_minor: int) -> bool:
    """Whether a fill's amount is its volume at the price of the sale that runs here. (Reference dispenser-protocols 1.7, "Decimals".)"""
    sale = point.delivering()
    return sale is None or sale.price is None or _fits(volume_ml, amount_minor, sale.price, point.decimals)


def _fits(volume_ml: int, amount_minor: int, price: int, decimals: int) -> bool:
    """A head may reckon from more digits of the volume than it tells, and round in its own way: one display unit and one coin apart."""
    step = cost_of(RESOLUTION_ML, price, decimals) + 1
    return abs(amount_minor - cost_of(volume_ml, price, decimals)) <= step


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


def settled(point: FuellingPoint, event: TransactionSettled, at: Instant) -> None:
    """The head's count is remembered across restarts, so that nothing it did without us is passed by."""
    if point.reader.settled.get(event.nozzle) != event.number:
        point.reader.settled[event.nozzle] = event.number
        point.desk.persist(HeadSettled(point.number, event.nozzle, event.number))
