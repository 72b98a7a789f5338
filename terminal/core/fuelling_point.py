"""The fuelling point: one per pump position, with IFSF's states. The pump is the truth: it is asked, never assumed.

A point becomes usable only after its survey is reconciled (fill read, totals compared with the ledger). A fill ends in three moves that
never change order: read the pump's record, commit the sale, erase the pump's record. All of them go through ``RecordComplete``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PumpAlarmed,
    PumpLineLost,
    PumpStatus,
    PumpSurveyed,
    TotalReported,
)
from terminal.core.card_data import Nozzle
from terminal.core.events import FlowOverdue, LiftOverdue, PumpFinished, PumpReady, RecordOverdue
from terminal.core.faults import FaultCode
from terminal.core.ids import SaleId
from terminal.core.internal_events import (
    EndCause,
    NothingDelivered,
    NozzleRefused,
    NozzleTaken,
    RecordComplete,
    SaleArmed,
    SaleWithdrawn,
)
from terminal.core.pump_record import PumpRecord, settle
from terminal.core.reasons import Reason
from terminal.core.sale import Sale, SaleState
from terminal.core.step import Desk
from terminal.core.units import Instant


class PointState(Enum):
    """IFSF's fuelling point states (reference model-codebases 8)."""

    INOPERATIVE = "inoperative"
    CLOSED = "closed"
    IDLE = "idle"
    CALLING = "calling"
    AUTHORIZED = "authorized"
    STARTED = "started"
    SUSPENDED_STARTED = "suspended started"
    FUELLING = "fuelling"
    SUSPENDED_FUELLING = "suspended fuelling"


@dataclass(frozen=True, slots=True)
class PointConfig:
    """What the configuration says of a fuelling point. ``minimum_ml``: the smallest preset worth releasing."""

    number: int
    nozzles: tuple[Nozzle, ...]
    minimum_ml: int = 2000


@dataclass(frozen=True, slots=True)
class PointTimes:
    """How long a point waits: for the lift, for flow, for a pump's record, for the last drops behind a reached preset."""

    lift_ms: int = 60_000
    flow_ms: int = 90_000
    record_ms: int = 3_000
    settle_ms: int = 2_000


RECORD_TRIES_BEFORE_FAULT = 3


class FuellingPoint:
    """One position. Holds only the id of its sale; asks the desk for it."""

    def __init__(self, config: PointConfig, times: PointTimes, desk: Desk, totals: dict[int, int], decimals: int) -> None:
        self.config = config
        self.times = times
        self.desk = desk
        self.decimals = decimals
        self.state = PointState.INOPERATIVE
        self.sale: SaleId | None = None
        self.nozzle_out: int | None = None
        self.finished = False  # the pump keeps the record of a fill
        self.releasing = False  # told to authorize, status not yet seen
        self.end = EndCause.NOZZLE
        self.record: PumpRecord | None = None
        self.totals = dict(totals)  # last values that the ledger knows

    @property
    def number(self) -> int:
        """The point's number on the site."""
        return self.config.number

    @property
    def subject(self) -> str:
        """How faults name this point."""
        return f"fp {self.config.number}"

    @property
    def available(self) -> bool:
        """A new sale can be armed here now."""
        return self.state in (PointState.IDLE, PointState.CALLING) and self.sale is None and self.record is None

    def open_sale(self) -> Sale | None:
        """The sale that waits or runs here."""
        return self.desk.sales.get(self.sale) if self.sale else None

    def delivering(self) -> Sale | None:
        """The sale whose release is committed and whose end is not."""
        sale = self.open_sale()
        return sale if sale is not None and sale.state in (SaleState.DELIVERING, SaleState.IN_DOUBT) else None

    # --- guards -----------------------------------------------------------------------------------------------------------

    def is_filling(self, event: PumpSurveyed, at: Instant) -> bool:
        return event.status is PumpStatus.FILLING

    def is_started(self, event: PumpSurveyed, at: Instant) -> bool:
        return event.status is PumpStatus.AUTHORIZED and event.nozzle is not None

    def is_authorized(self, event: PumpSurveyed, at: Instant) -> bool:
        return event.status is PumpStatus.AUTHORIZED

    def is_suspended(self, event: PumpSurveyed, at: Instant) -> bool:
        return event.status is PumpStatus.SUSPENDED

    def is_off(self, event: PumpSurveyed, at: Instant) -> bool:
        return event.status is PumpStatus.SWITCHED_OFF

    def nozzle_is_out(self, event: object, at: Instant) -> bool:
        return self.nozzle_out is not None

    def has_flow(self, event: FillProgressed, at: Instant) -> bool:
        return event.volume_ml > 0

    # --- survey -----------------------------------------------------------------------------------------------------------

    def surveyed_running(self, event: PumpSurveyed, at: Instant) -> None:
        """A delivery runs or may run: ours is adopted, a foreign one is told to stop and watched to its end."""
        self._seen(event)
        if self.delivering() is None:
            self._unexpected()
        else:
            self.desk.start(FlowOverdue(self.number), self.times.flow_ms)

    def surveyed_resting(self, event: PumpSurveyed, at: Instant) -> None:
        """Nothing flows: compare the pump's books with ours before anybody is served."""
        self._seen(event)
        self.finished = event.status in (PumpStatus.COMPLETED, PumpStatus.LIMIT_REACHED)
        if event.status is PumpStatus.NOT_PROGRAMMED:
            self.desk.send(SetPrices(self.number, self._prices()))
        self._read_record()

    def surveyed_off(self, event: PumpSurveyed, at: Instant) -> None:
        self._seen(event)

    def _seen(self, event: PumpSurveyed) -> None:
        self.nozzle_out = event.nozzle
        self.releasing = False
        self.record = None
        self.finished = False
        self.desk.clear_fault(FaultCode.PUMP_LINE_LOST, self.subject)

    def line_lost(self, event: PumpLineLost, at: Instant) -> None:
        """Nobody knows what it does now. An open sale keeps its hold until the pump can be asked."""
        self.releasing = False
        self.record = None
        self.desk.cancel(FlowOverdue(self.number))
        self.desk.cancel(RecordOverdue(self.number))
        self.desk.raise_fault(FaultCode.PUMP_LINE_LOST, self.subject, event.why)

    # --- arming and release ------------------------------------------------------------------------------------------------

    def arm(self, event: SaleArmed, at: Instant) -> None:
        """The sale waits here for its nozzle; one that is already up is considered at once."""
        self.sale = event.sale
        self.end = EndCause.NOZZLE
        self.desk.start(LiftOverdue(self.number), self.times.lift_ms)
        self._consider_release()

    def lifted(self, event: NozzleLifted, at: Instant) -> None:
        self.nozzle_out = event.nozzle
        if event.price is not None and not self._price_agrees(event.nozzle, event.price):
            self.desk.raise_fault(FaultCode.PRICE_MISMATCH, self.subject, f"nozzle {event.nozzle}: head {event.price}, terminal {self._price(event.nozzle)}")
            self.desk.send(SetPrices(self.number, self._prices()))
            return
        self.desk.clear_fault(FaultCode.PRICE_MISMATCH, self.subject)
        self._consider_release()

    def note_lifted(self, event: NozzleLifted, at: Instant) -> None:
        self.nozzle_out = event.nozzle

    def returned(self, event: NozzleReturned, at: Instant) -> None:
        """Hung up before fuel could flow. A release under way is withdrawn; the pump's own words end the sale."""
        self.nozzle_out = None
        if self.releasing:
            self.desk.send(StopFuellingPoint(self.number))
            self.desk.start(RecordOverdue(self.number), self.times.record_ms)

    def returned_released(self, event: NozzleReturned, at: Instant) -> None:
        """Hung up at a released point: the pump says COMPLETED next; should it not, it is told to stop and asked."""
        self.nozzle_out = None
        if self.record is None:
            self.desk.start(RecordOverdue(self.number), self.times.record_ms)

    def note_returned(self, event: NozzleReturned, at: Instant) -> None:
        self.nozzle_out = None

    def returned_after_limit(self, event: NozzleReturned, at: Instant) -> None:
        self.nozzle_out = None
        if self.finished and self.record is None:
            self._read_record()

    def _consider_release(self) -> None:
        """Release the lifted nozzle when this sale may use it; tell the driver which one to take when not."""
        sale = self.open_sale()
        nozzle = self.nozzle_out
        if sale is None or nozzle is None or sale.state is not SaleState.AUTHORIZED or self.finished or self.record is not None:
            return
        allowed = sale.may_use(nozzle)
        if allowed is None or allowed.quantity_ml < self.config.minimum_ml:
            reason = Reason.PRODUCT_NOT_ALLOWED if allowed is None else Reason(allowed.bound_by)
            self.desk.tell(NozzleRefused(self.number, sale.id, nozzle, reason))
            return
        self.releasing = True
        self.desk.cancel(LiftOverdue(self.number))
        self.desk.tell(NozzleTaken(sale.id, nozzle, self.totals.get(nozzle, 0)))
        self.desk.send(
            AuthorizeFuellingPoint(
                self.number,
                nozzle,
                preset_volume_ml=None if allowed.by_value else allowed.quantity_ml,
                preset_amount_minor=allowed.value_minor if allowed.by_value else None,
                prices=self._prices(),
            )
        )

    def lift_overdue(self, event: LiftOverdue, at: Instant) -> None:
        """Nobody came: the hold is freed. Nothing was released, so there is nothing to ask the pump."""
        self._give_up(EndCause.LIFT_TIMEOUT)

    def withdraw(self, event: SaleWithdrawn, at: Instant) -> None:
        """The sale that waits here may no longer be served."""
        self._give_up(event.end)

    def _give_up(self, end: EndCause) -> None:
        sale = self.open_sale()
        if sale is not None and sale.state is SaleState.AUTHORIZED:
            self.sale = None
            self.desk.cancel(LiftOverdue(self.number))
            self.desk.tell(NothingDelivered(sale.id, end))

    # --- delivery ----------------------------------------------------------------------------------------------------------

    def released(self, event: object, at: Instant) -> None:
        """The pump itself reports that fuel may flow."""
        self.releasing = False
        self.desk.clear_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject)
        if self.delivering() is None:
            self._unexpected()
        else:
            self.desk.start(FlowOverdue(self.number), self.times.flow_ms)

    def flowing(self, event: object, at: Instant) -> None:
        """Flow puts the no-flow deadline off."""
        self.releasing = False
        if self.delivering() is None:
            self._unexpected()
        else:
            self.desk.start(FlowOverdue(self.number), self.times.flow_ms)

    def flow_overdue(self, event: FlowOverdue, at: Instant) -> None:
        self.end = EndCause.FLOW_TIMEOUT
        self.desk.send(StopFuellingPoint(self.number))
        self.desk.start(RecordOverdue(self.number), self.times.record_ms)

    def stop_running(self, event: SaleWithdrawn, at: Instant) -> None:
        self.end = event.end
        self.desk.send(StopFuellingPoint(self.number))

    def finish(self, event: PumpFinished, at: Instant) -> None:
        """The pump keeps a record now. Behind a reached preset the last drops are waited for while the nozzle is out."""
        self.finished = True
        self.releasing = False
        self.desk.cancel(FlowOverdue(self.number))
        if event.limit_reached and self.nozzle_out is not None:
            self.end = EndCause.LIMIT
            self.desk.start(RecordOverdue(self.number), self.times.settle_ms)
        else:
            self._read_record()

    def reset_running(self, event: PumpReady, at: Instant) -> None:
        """The pump lost its record (power, or a hand at the head): the totaliser is what is left."""
        self.finished = False
        self._read_record()

    def became_ready(self, event: PumpReady, at: Instant) -> None:
        """The record is erased; the next sale may be released."""
        self.finished = False
        self.desk.clear_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject)
        if self.releasing or self.record is not None:
            return
        if self.delivering() is not None:
            self._read_record()
        else:
            self._consider_release()

    # --- the pump's record --------------------------------------------------------------------------------------------------

    def _read_record(self) -> None:
        sale = self.delivering()
        mine = [sale.nozzle] if sale is not None and sale.nozzle is not None and self.state is not PointState.INOPERATIVE else None
        nozzles = mine or [nozzle.nozzle for nozzle in self.config.nozzles]
        self.record = PumpRecord(fill_wanted=self.finished, totals_wanted=set(nozzles))
        self._ask_record()

    def _ask_record(self) -> None:
        record = self.record
        if record is None:
            return
        if record.fill_wanted:
            self.desk.send(ReadFill(self.number))
        for nozzle in sorted(record.totals_wanted):
            self.desk.send(ReadTotal(self.number, nozzle))
        self.desk.start(RecordOverdue(self.number), self.times.record_ms)

    def record_overdue(self, event: RecordOverdue, at: Instant) -> None:
        """Ask again, for ever: an unread record keeps the sale open and its hold counting."""
        if self.record is None:
            if self.finished and self.delivering() is None and self.state in (PointState.IDLE, PointState.CALLING):
                self.desk.send(ConfirmFill(self.number))
            elif self.finished:
                self._read_record()
            elif self.releasing or self.delivering() is not None:
                self.desk.send(StopFuellingPoint(self.number))
                self._read_record()
            return
        self.record.tries += 1
        if self.record.tries >= RECORD_TRIES_BEFORE_FAULT:
            self.desk.raise_fault(FaultCode.PUMP_RECORD_UNREADABLE, self.subject, "no answer to the request for fill and totals")
        self._ask_record()

    def fill_reported(self, event: FillReported, at: Instant) -> None:
        if self.record is not None and self.record.fill_wanted:
            self.record.take_fill(event.volume_ml, event.amount_minor)
            self._check_record()

    def total_reported(self, event: TotalReported, at: Instant) -> None:
        if self.record is not None and event.nozzle in self.record.totals_wanted:
            self.record.take_total(event.nozzle, event.volume_ml)
            self._check_record()

    def _check_record(self) -> None:
        if self.record is not None and self.record.complete:
            self.desk.tell(RecordComplete(self.number))

    def settle(self, event: RecordComplete, at: Instant) -> None:
        """Commit what the record says, then (same step, after the commit) let the pump forget it."""
        record = self.record
        if record is None:
            return
        self.record = None
        self.releasing = False
        self.desk.cancel(RecordOverdue(self.number))
        self.desk.cancel(FlowOverdue(self.number))
        self.desk.clear_fault(FaultCode.PUMP_RECORD_UNREADABLE, self.subject)
        sale = self.delivering()
        settle(self, record, sale)
        if sale is not None:
            self.sale = None
        if self.finished:
            self.desk.send(ConfirmFill(self.number))
        elif self.open_sale() is not None:
            self._consider_release()

    # --- troubles -----------------------------------------------------------------------------------------------------------

    def command_failed(self, event: CommandFailed, at: Instant) -> None:
        """A head acknowledged and did not obey. A failed release is stopped for certain and its sale settled by the totals."""
        self.desk.raise_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject, f"{event.command}: {event.why}")
        if event.command == AuthorizeFuellingPoint.__name__ and self.delivering() is not None:
            self.releasing = False
            self.end = EndCause.FAULT
            self.desk.send(StopFuellingPoint(self.number))
            self._read_record()
        else:
            self.desk.start(RecordOverdue(self.number), self.times.record_ms)

    def alarmed(self, event: PumpAlarmed, at: Instant) -> None:
        self.desk.raise_fault(FaultCode.PUMP_ALARM, self.subject, event.alarm)

    def prices_lost(self, event: object, at: Instant) -> None:
        self.desk.send(SetPrices(self.number, self._prices()))
        self._read_record()

    def _unexpected(self) -> None:
        self.desk.raise_fault(FaultCode.PUMP_UNEXPECTED_FLOW, self.subject, "released or flowing without a sale of this terminal")
        self.desk.send(StopFuellingPoint(self.number))

    def _prices(self) -> tuple[int, ...]:
        return tuple(nozzle.price for nozzle in self.config.nozzles)

    def _price(self, number: int) -> int | None:
        return next((nozzle.price for nozzle in self.config.nozzles if nozzle.nozzle == number), None)

    def _price_agrees(self, nozzle: int, price: int) -> bool:
        return price == self._price(nozzle)
