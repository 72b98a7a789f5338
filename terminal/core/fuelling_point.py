"""The fuelling point: one per pump position, with IFSF's states. The pump is the truth: it is asked, never assumed.

A point becomes usable only after its survey is reconciled (fill read, totals compared with the ledger). A fill ends in three moves that
never change order: read the pump's record, commit the sale, erase the pump's record. All of them go through ``RecordComplete``.
"""

from __future__ import annotations

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, StopFuellingPoint
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
from terminal.core.events import FlowOverdue, LiftOverdue, RecordOverdue
from terminal.core.faults import FaultCode
from terminal.core.head_prices import HeadPrices
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
from terminal.core.point_config import SAYS_RELEASED, STOPS_BEFORE_FAULT, PointConfig, PointState, PointTimes
from terminal.core.pump_record import RecordReader, makes_sense, settle
from terminal.core.pump_status_events import PumpFinished, PumpReady
from terminal.core.reasons import Reason
from terminal.core.sale import Sale, SaleState
from terminal.core.step import Desk
from terminal.core.units import Instant


class FuellingPoint:
    """One position. Holds only the id of its sale; asks the desk for it."""

    def __init__(self, config: PointConfig, times: PointTimes, desk: Desk, totals: dict[int, int], decimals: int) -> None:
        self.config = config
        self.times = times
        self.desk = desk
        self.decimals = decimals
        self.reader = RecordReader(self.number, self.subject, desk, times.record_ms, lambda *fill: makes_sense(self, *fill))
        self.state = PointState.INOPERATIVE
        self.sale: SaleId | None = None
        self.nozzle_out: int | None = None
        self.prices = HeadPrices(self, self._consider_release)
        self.finished = False  # the pump keeps the record of a fill
        self.releasing = False  # told to authorize, status not yet seen
        self.stops = 0  # told to stop, end not yet seen
        self.switched_off = False  # at the dispenser, while a delivery was still to be read
        self.flowed_ml = self.flowed_minor = 0  # highest live reading of this delivery
        self.end = EndCause.NOZZLE
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
    def reading(self) -> bool:
        """The pump's record is being read."""
        return self.reader.record is not None

    @property
    def available(self) -> bool:
        """A new sale can be armed here now."""
        return self.state in (PointState.IDLE, PointState.CALLING) and self.sale is None and not self.reading and not self.prices.useless

    def open_sale(self) -> Sale | None:
        """The sale that waits or runs here."""
        return self.desk.sales.get(self.sale) if self.sale else None

    def delivering(self) -> Sale | None:
        """The sale whose release is committed and whose end is not."""
        sale = self.open_sale()
        return sale if sale is not None and sale.state is SaleState.DELIVERING else None

    def awaiting(self) -> Sale | None:
        """The sale that is decided and for which nothing was released yet."""
        sale = self.open_sale()
        return sale if sale is not None and sale.state is SaleState.AUTHORIZED else None

    # --- survey -----------------------------------------------------------------------------------------------------------

    def surveyed_running(self, event: PumpSurveyed, at: Instant) -> None:
        """A delivery runs or may run: ours is adopted, a foreign one is told to stop and watched to its end."""
        self.surveyed(event, at)
        self.runs(event, at)

    def surveyed_resting(self, event: PumpSurveyed, at: Instant) -> None:
        """Nothing flows: compare the pump's books with ours before anybody is served."""
        self.surveyed(event, at)
        self.finished = event.status in (PumpStatus.COMPLETED, PumpStatus.LIMIT_REACHED)
        if event.status is PumpStatus.LIMIT_REACHED:
            self.end = EndCause.LIMIT
        if event.status is PumpStatus.NOT_PROGRAMMED:
            self.prices.restore()
        self._read_all()

    def surveyed(self, event: PumpSurveyed, at: Instant) -> None:
        """What was believed before counts for nothing."""
        self._lose_track()
        self.prices.connected = True
        self.nozzle_out = event.nozzle
        self.finished = False
        self.switched_off = False
        self.stops = 0
        for code in (FaultCode.PUMP_LINE_LOST, FaultCode.PUMP_COMMAND_FAILED, FaultCode.PUMP_ALARM):
            self.desk.clear_fault(code, self.subject)

    def line_lost(self, event: PumpLineLost, at: Instant) -> None:
        """Nobody knows what it does now. An open sale keeps its hold until the pump can be asked."""
        self._lose_track()
        self.desk.raise_fault(FaultCode.PUMP_LINE_LOST, self.subject, event.why)

    def _lose_track(self) -> None:
        self.releasing = False
        self.flowed_ml = self.flowed_minor = 0
        self.reader.take()
        self.prices.unknown()
        self.desk.cancel(FlowOverdue(self.number))
        self.desk.cancel(RecordOverdue(self.number))

    # --- arming and release ------------------------------------------------------------------------------------------------

    def arm(self, event: SaleArmed, at: Instant) -> None:
        """The sale waits here for its nozzle.

        The totalisers are read now, while the driver walks: what left a resting nozzle before must never be this sale's. A nozzle
        that is up already is considered behind that reading.
        """
        self.sale = event.sale
        self.end = EndCause.NOZZLE
        self.desk.start(LiftOverdue(self.number), self.times.lift_ms)
        sale = self.awaiting()
        if sale is not None:
            self.reader.begin([ref.nozzle for ref in sale.nozzles if sale.may_use(ref.nozzle) is not None], fill=False)

    def lifted(self, event: NozzleLifted, at: Instant) -> None:
        self.nozzle_out = event.nozzle
        if self.prices.lifted(event):
            self._consider_release()

    def note_lifted(self, event: NozzleLifted, at: Instant) -> None:
        """Out again before the pump ended the release: the hang-up's deadline must not stop it, unless it was told to stop."""
        self.nozzle_out = event.nozzle
        if not self.stops and not self.reading and not self.finished:
            self.desk.cancel(RecordOverdue(self.number))

    def returned(self, event: NozzleReturned, at: Instant) -> None:
        """Hung up before fuel could flow. A release under way is withdrawn; the pump's own words end the sale."""
        self.nozzle_out = None
        if self.releasing:
            self._stop()

    def returned_running(self, event: NozzleReturned, at: Instant) -> None:
        """Hung up at a released point: the pump says COMPLETED next; should it not, it is told to stop and asked."""
        self.nozzle_out = None
        if self.reading:
            return
        self.desk.start(RecordOverdue(self.number), 0 if self.finished else self.times.record_ms)

    def note_returned(self, event: NozzleReturned, at: Instant) -> None:
        self.nozzle_out = None

    def _consider_release(self) -> None:
        """Release the lifted nozzle when this sale may use it; tell the driver which one to take when not."""
        self.prices.tell()
        sale = self.awaiting()
        nozzle = self.config.to_release(self.nozzle_out, sale)
        if sale is None or nozzle is None or self.finished or self.reading or self.switched_off or self.desk.halted:
            return
        if not self.prices.agree(nozzle):
            return
        if not self.prices.right_for(sale, nozzle):
            self._give_up(EndCause.FAULT)
            return
        allowed = sale.may_use(nozzle)
        if allowed is None or allowed.quantity_ml < self.config.minimum_ml:
            reason = Reason.PRODUCT_NOT_ALLOWED if allowed is None else Reason(allowed.bound_by)
            self.desk.tell(NozzleRefused(self.number, sale.id, nozzle, reason))
            return
        self.releasing = True
        self.desk.cancel(LiftOverdue(self.number))
        self.desk.cancel(RecordOverdue(self.number))  # what the last fill still waited for does not concern this one
        self.desk.start(FlowOverdue(self.number), self.times.flow_ms)
        self.desk.tell(NozzleTaken(sale.id, nozzle, self.totals.get(nozzle, 0)))
        self.desk.send(self.config.release(nozzle, allowed))

    def lift_overdue(self, event: LiftOverdue, at: Instant) -> None:
        """Nobody came: the hold is freed. Nothing was released, so there is nothing to ask the pump."""
        self._give_up(EndCause.LIFT_TIMEOUT)

    def withdraw(self, event: SaleWithdrawn, at: Instant) -> None:
        """The sale that waits here may no longer be served."""
        self._give_up(event.end)

    def _give_up(self, end: EndCause) -> None:
        if self.sale is not None:
            self.desk.cancel(LiftOverdue(self.number))
            self.desk.tell(NothingDelivered(self.sale, end))
            self.sale = None

    # --- delivery ----------------------------------------------------------------------------------------------------------

    def released(self, event: object, at: Instant) -> None:
        """The pump itself reports that fuel may flow."""
        self.desk.clear_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject)
        self.runs(event, at)

    def progressed(self, event: FillProgressed, at: Instant) -> None:
        """Flow puts the no-flow deadline off."""
        self.flowed_ml, self.flowed_minor = event.volume_ml, event.amount_minor
        self.runs(event, at)

    def runs(self, event: object, at: Instant) -> None:
        """The pump itself reports that fuel flows or may flow: whatever was believed or being read of a resting pump is void."""
        self.releasing = False
        self.finished = False
        self.reader.take()
        if self.delivering() is not None:
            self.desk.start(FlowOverdue(self.number), self.times.flow_ms)
        elif not self.stops:
            self.desk.raise_fault(FaultCode.PUMP_UNEXPECTED_FLOW, self.subject, "released or flowing without a sale of this terminal")
            self._stop()

    def flow_overdue(self, event: FlowOverdue, at: Instant) -> None:
        self.end = EndCause.FLOW_TIMEOUT
        self._stop()

    def stop_running(self, event: SaleWithdrawn, at: Instant) -> None:
        if not self.finished and not self.reading:
            self.end = event.end
            self._stop()

    def _stop(self) -> None:
        """Tell the pump to stop and look after a while whether it has."""
        self.stops += 1
        if self.stops > STOPS_BEFORE_FAULT:
            self.desk.raise_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject, f"still running after {STOPS_BEFORE_FAULT} stops")
        self.desk.send(StopFuellingPoint(self.number))
        self.desk.start(RecordOverdue(self.number), self.times.record_ms)

    def finish(self, event: PumpFinished, at: Instant) -> None:
        """The pump keeps a record now. Behind a reached preset the last drops are waited for while the nozzle is out."""
        self.finished = True
        self.releasing = False
        self.desk.cancel(FlowOverdue(self.number))
        if event.limit_reached:
            self.end = EndCause.LIMIT
        if event.limit_reached and self.nozzle_out is not None:
            self.desk.start(RecordOverdue(self.number), self.times.settle_ms)
        else:
            self._read_delivery()

    def finish_unsurveyed(self, event: PumpFinished, at: Instant) -> None:
        """Back in use with a fill that nobody has read: everything is compared before anybody is served."""
        self.finished = True
        self.switched_off = False
        self._read_all()

    def reset_running(self, event: object, at: Instant) -> None:
        """The pump lost its record (power, or a hand at the head): the totaliser is what is left."""
        self.finished = False
        self.switched_off = False
        self.desk.cancel(FlowOverdue(self.number))
        self._read_delivery()

    def reset_unsurveyed(self, event: PumpReady, at: Instant) -> None:
        self.finished = False
        self.switched_off = False
        self._read_all()

    def switch_off_running(self, event: object, at: Instant) -> None:
        """Switched off under a delivery: what flowed is read now, and then the point is closed."""
        self.reset_running(event, at)
        self.switched_off = True

    def became_ready(self, event: PumpReady, at: Instant) -> None:
        """The record is erased; the next sale may be released."""
        self.finished = False
        self.switched_off = False
        self.desk.clear_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject)
        self.desk.clear_fault(FaultCode.PUMP_ALARM, self.subject)
        if self.reading:
            self.reader.fill_is_gone()
        elif self.delivering() is not None:
            if not self.releasing:
                self._read_delivery()
        else:
            self._consider_release()

    # --- the pump's record --------------------------------------------------------------------------------------------------

    def _read_delivery(self) -> None:
        """Read the end of our delivery: its own nozzle's totaliser; all of them when it is none of ours."""
        sale = self.delivering()
        if sale is not None and sale.nozzle is not None and self.state is not PointState.INOPERATIVE:
            self.reader.begin((sale.nozzle,), fill=self.finished, of=sale.nozzle)
        else:
            self._read_all()

    def _read_all(self) -> None:
        sale = self.delivering()
        ours = [sale.nozzle] if sale is not None and sale.nozzle is not None else []
        self.reader.begin([*ours, *(nozzle.nozzle for nozzle in self.config.nozzles)], fill=self.finished, of=ours[0] if ours else None)

    def record_overdue(self, event: RecordOverdue, at: Instant) -> None:
        """What was waited for at a pump at rest (reading, confirm, end of a release) has not come: ask once more."""
        if self.reading:
            self.reader.again()
        elif self.finished and self.delivering() is None:
            self.desk.send(ConfirmFill(self.number))
        elif self.finished:
            self._read_delivery()
        elif self.delivering() is not None:
            self._stop()
            self._read_delivery()

    def running_overdue(self, event: RecordOverdue, at: Instant) -> None:
        """The same while the pump says that it runs: it is told to stop again. Nothing that flowed or may flow is settled by time alone."""
        if self.reading:
            self.reader.again()
        elif self.finished:
            self._read_delivery()
        else:
            self._stop()
            if self.state not in SAYS_RELEASED and self.nozzle_out is None and self.flowed_ml == 0 and self.delivering() is not None:
                self._read_delivery()

    def fill_reported(self, event: FillReported, at: Instant) -> None:
        self.reader.take_fill(event.volume_ml, event.amount_minor)

    def total_reported(self, event: TotalReported, at: Instant) -> None:
        self.reader.take_total(event.nozzle, event.volume_ml)

    def settle(self, event: RecordComplete, at: Instant) -> None:
        """Commit what the record says, then (same step, after the commit) let the pump forget it."""
        record = self.reader.take()
        if record is None:
            return
        self.releasing = False
        self.stops = 0
        self.flowed_ml = self.flowed_minor = 0
        self.desk.cancel(RecordOverdue(self.number))
        self.desk.cancel(FlowOverdue(self.number))
        for code in (FaultCode.PUMP_RECORD_UNREADABLE, FaultCode.PUMP_UNEXPECTED_FLOW):
            self.desk.clear_fault(code, self.subject)
        sale = self.delivering()
        settle(self, record, sale)
        if sale is not None:
            self.sale = None
        if self.finished:
            self.desk.send(ConfirmFill(self.number))
        else:
            self._consider_release()

    # --- troubles -----------------------------------------------------------------------------------------------------------

    def command_failed(self, event: CommandFailed, at: Instant) -> None:
        """A head at rest acknowledged and did not obey. A failed release is stopped for certain and its sale settled by the totals."""
        release = event.command == AuthorizeFuellingPoint.__name__
        if release and self.stops:
            return  # withdrawn by our own stop, which is being watched
        self.note_failure(event, at)
        if release and self.delivering() is not None:
            self.end = EndCause.FAULT
            self._stop()
            self._read_delivery()
        elif self.finished and not self.reading:
            self.desk.start(RecordOverdue(self.number), self.times.record_ms)  # the confirm again; stops and readings have theirs running

    def note_failure(self, event: CommandFailed, at: Instant) -> None:
        """Somebody should look. What a running pump was told to do is asked again by its own deadline."""
        self.desk.raise_fault(FaultCode.PUMP_COMMAND_FAILED, self.subject, f"{event.command}: {event.why}")

    def alarmed(self, event: PumpAlarmed, at: Instant) -> None:
        self.desk.raise_fault(FaultCode.PUMP_ALARM, self.subject, event.alarm)

    def prices_lost(self, event: object, at: Instant) -> None:
        self.finished = False
        self.prices.restore()
        self._read_all()
