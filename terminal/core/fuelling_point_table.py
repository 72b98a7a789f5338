"""The fuelling point's table: what every event means in every IFSF state. Guards stand first; actions are in ``fuelling_point``."""

from __future__ import annotations

from collections.abc import Callable

from drivers.commands import SetPrices, StopFuellingPoint
from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PricesReported,
    PumpAlarmed,
    PumpLineLost,
    PumpStatus,
    PumpSurveyed,
    TotalReported,
    TransactionSettled,
)
from terminal.core.events import FlowOverdue, LiftOverdue, PricesOverdue, RecordOverdue
from terminal.core.fuelling_point import FuellingPoint as FP
from terminal.core.internal_events import RecordComplete, SaleArmed, SaleWithdrawn
from terminal.core.machine import Grid, Ignored, Rule
from terminal.core.point_config import PointState
from terminal.core.pump_record import settled
from terminal.core.pump_status_events import (
    PumpAuthorized,
    PumpFilling,
    PumpFinished,
    PumpNotProgrammed,
    PumpReady,
    PumpSuspended,
    PumpSwitchedOff,
)
from terminal.core.units import Instant

_S = PointState
_ALL = tuple(PointState)
_RESTING = (_S.IDLE, _S.CALLING)
_RELEASED = (_S.AUTHORIZED, _S.STARTED, _S.SUSPENDED_STARTED)
_RUNNING = (_S.FUELLING, _S.SUSPENDED_FUELLING)
_BUSY = (*_RELEASED, *_RUNNING)
_OUT_OF_USE = (_S.INOPERATIVE, _S.CLOSED)
_IN_USE = (_S.INOPERATIVE, *_RESTING, *_BUSY)


def _says(*statuses: PumpStatus) -> Callable[[FP, PumpSurveyed, Instant], bool]:
    def guard(point: FP, event: PumpSurveyed, at: Instant) -> bool:
        return event.status in statuses

    return guard


def _is_started(point: FP, event: PumpSurveyed, at: Instant) -> bool:
    return event.status is PumpStatus.AUTHORIZED and event.nozzle is not None


def _switched_off(point: FP, event: object, at: Instant) -> bool:
    return point.switched_off


def _nozzle_is_out(point: FP, event: object, at: Instant) -> bool:
    return point.nozzle_out is not None


def _flows_on(point: FP, event: FillProgressed, at: Instant) -> bool:
    """More than was read before; a reading that comes behind the end is no flow."""
    return not point.finished and event.volume_ml > point.flowed_ml


def _awaits_nozzle(point: FP, event: object, at: Instant) -> bool:
    return point.awaiting() is not None


def _delivers(point: FP, event: object, at: Instant) -> bool:
    return point.delivering() is not None


def _lost_in_delivery(point: FP, event: object, at: Instant) -> bool:
    return not point.prices.connected and point.delivering() is not None


def _stop_lost(point: FP, event: SaleWithdrawn, at: Instant) -> None:
    """One hose of several may be lost and another one flow: whatever still answers is told, and nothing is waited for."""
    point.desk.send(StopFuellingPoint(point.number))


def _books_open(point: FP, event: object, at: Instant) -> bool:
    return point.reading or point.delivering() is not None


def _of_prices(point: FP, event: CommandFailed, at: Instant) -> bool:
    return event.command == SetPrices.__name__


def _prices_shown(point: FP, event: PricesReported, at: Instant) -> None:
    point.prices.reported(event, at)


def _prices_failed(point: FP, event: CommandFailed, at: Instant) -> None:
    point.prices.failed(event, at)


def _prices_overdue(point: FP, event: PricesOverdue, at: Instant) -> None:
    point.prices.overdue(event, at)


TABLE: tuple[Rule[PointState], ...] = (
    # A survey is the whole picture and beats everything believed before.
    Rule(PumpSurveyed, _ALL, _S.FUELLING, FP.surveyed_running, guard=_says(PumpStatus.FILLING)),
    Rule(PumpSurveyed, _ALL, _S.STARTED, FP.surveyed_running, guard=_is_started),
    Rule(PumpSurveyed, _ALL, _S.AUTHORIZED, FP.surveyed_running, guard=_says(PumpStatus.AUTHORIZED)),
    Rule(PumpSurveyed, _ALL, _S.SUSPENDED_FUELLING, FP.surveyed_running, guard=_says(PumpStatus.SUSPENDED)),
    Rule(PumpSurveyed, _ALL, _S.CLOSED, FP.surveyed, guard=_says(PumpStatus.SWITCHED_OFF)),
    Rule(PumpSurveyed, _ALL, _S.INOPERATIVE, FP.surveyed_resting),
    Rule(PumpLineLost, _ALL, _S.INOPERATIVE, FP.line_lost),
    # What the pump's books said is settled: back to rest.
    Rule(RecordComplete, _IN_USE, _S.CLOSED, FP.settle, guard=_switched_off),
    Rule(RecordComplete, _IN_USE, _S.CALLING, FP.settle, guard=_nozzle_is_out),
    Rule(RecordComplete, _IN_USE, _S.IDLE, FP.settle),
    Rule(FillReported, _IN_USE, None, FP.fill_reported),
    Rule(TotalReported, _IN_USE, None, FP.total_reported),
    Rule(RecordOverdue, (_S.INOPERATIVE, *_RESTING), None, FP.record_overdue),
    Rule(RecordOverdue, _BUSY, None, FP.running_overdue),
    # Nozzles.
    Rule(NozzleLifted, (_S.IDLE,), _S.CALLING, FP.lifted),
    Rule(NozzleLifted, (_S.CALLING,), None, FP.lifted),
    Rule(NozzleLifted, (_S.AUTHORIZED,), _S.STARTED, FP.note_lifted),
    Rule(NozzleLifted, (_S.STARTED, _S.SUSPENDED_STARTED, *_RUNNING, *_OUT_OF_USE), None, FP.note_lifted),
    Rule(NozzleReturned, (_S.CALLING,), _S.IDLE, FP.returned),
    Rule(NozzleReturned, (_S.IDLE, *_OUT_OF_USE), None, FP.note_returned),
    Rule(NozzleReturned, _BUSY, None, FP.returned_running),
    # A sale comes and goes.
    Rule(SaleArmed, _RESTING, None, FP.arm),
    Rule(SaleWithdrawn, _ALL, None, FP.withdraw, guard=_awaits_nozzle),
    Rule(SaleWithdrawn, _BUSY, None, FP.stop_running),
    Rule(SaleWithdrawn, _RESTING, None, FP.stop_running, guard=_delivers),
    Rule(SaleWithdrawn, (_S.INOPERATIVE,), None, _stop_lost, guard=_lost_in_delivery),
    Rule(LiftOverdue, _ALL, None, FP.lift_overdue, guard=_awaits_nozzle),
    # Release and flow, in the pump's own words.
    Rule(PumpAuthorized, (_S.IDLE,), _S.AUTHORIZED, FP.released),
    Rule(PumpAuthorized, (_S.CALLING,), _S.STARTED, FP.released),
    Rule(PumpAuthorized, (_S.SUSPENDED_STARTED,), _S.STARTED, FP.runs),
    Rule(PumpFilling, (*_RESTING, *_RELEASED, _S.SUSPENDED_FUELLING), _S.FUELLING, FP.runs),
    Rule(FillProgressed, _RELEASED, _S.FUELLING, FP.progressed, guard=_flows_on),
    Rule(FillProgressed, (_S.FUELLING,), None, FP.progressed, guard=_flows_on),
    Rule(PumpSuspended, (_S.AUTHORIZED, _S.STARTED), _S.SUSPENDED_STARTED),
    Rule(PumpSuspended, (_S.FUELLING,), _S.SUSPENDED_FUELLING),
    Rule(FlowOverdue, _BUSY, None, FP.flow_overdue),
    Rule(FlowOverdue, _RESTING, None, FP.flow_overdue, guard=_delivers),
    # The end of a delivery.
    Rule(PumpFinished, (*_RESTING, *_BUSY), None, FP.finish),
    Rule(PumpFinished, _OUT_OF_USE, _S.INOPERATIVE, FP.finish_unsurveyed),
    Rule(PumpReady, _RESTING, None, FP.became_ready),
    Rule(PumpReady, _BUSY, None, FP.reset_running),
    Rule(PumpReady, _OUT_OF_USE, _S.INOPERATIVE, FP.reset_unsurveyed),
    # Out of use.
    Rule(PumpSwitchedOff, _BUSY, None, FP.switch_off_running),
    Rule(PumpSwitchedOff, (_S.INOPERATIVE, *_RESTING), None, FP.switch_off_running, guard=_books_open),
    Rule(PumpSwitchedOff, (_S.INOPERATIVE, *_RESTING), _S.CLOSED),
    Rule(PumpNotProgrammed, (_S.INOPERATIVE, *_RESTING, _S.CLOSED), _S.INOPERATIVE, FP.prices_lost),
    Rule(PumpNotProgrammed, _BUSY, None, FP.prices_lost),
    # What the head shows.
    Rule(PricesReported, _ALL, None, _prices_shown),
    Rule(PricesOverdue, _ALL, None, _prices_overdue),
    Rule(TransactionSettled, _ALL, None, settled),
    Rule(CommandFailed, _ALL, None, _prices_failed, guard=_of_prices),
    # Troubles.
    Rule(CommandFailed, _RESTING, None, FP.command_failed),
    Rule(CommandFailed, (*_OUT_OF_USE, *_BUSY), None, FP.note_failure),
    Rule(PumpAlarmed, _ALL, None, FP.alarmed),
)

IGNORED: tuple[Ignored[PointState], ...] = (
    Ignored(
        (RecordComplete, RecordOverdue, FillReported, TotalReported),
        (_S.CLOSED,),
        "a switched-off position has been read; it is read again when it is switched on",
    ),
    Ignored((SaleArmed,), (*_OUT_OF_USE, *_BUSY), "the site arms only a point that it has found resting in the same step"),
    Ignored((SaleWithdrawn,), (*_OUT_OF_USE, *_RESTING), "the sale has ended, or its pump's record is being read and ends it"),
    Ignored((LiftOverdue,), _ALL, "the nozzle came in time; the deadline was already falling"),
    Ignored((PumpAuthorized,), (_S.AUTHORIZED, _S.STARTED), "said twice"),
    Ignored((PumpAuthorized,), _RUNNING, "a late status from before the flow"),
    Ignored((PumpAuthorized, PumpFilling), _OUT_OF_USE, "the survey that must come first tells it again"),
    Ignored((PumpFilling,), (_S.FUELLING,), "said twice"),
    Ignored((FillProgressed,), _RELEASED, "a reading of nothing; the valve is open, the driver has not pulled"),
    Ignored((FillProgressed,), (_S.FUELLING,), "no more than was read before; only flow puts the deadline off"),
    Ignored((FillProgressed,), (*_OUT_OF_USE, *_RESTING, _S.SUSPENDED_FUELLING), "a late reading; the record at the end counts"),
    Ignored((PumpSuspended,), (_S.SUSPENDED_STARTED, _S.SUSPENDED_FUELLING), "said twice"),
    Ignored((PumpSuspended,), (*_OUT_OF_USE, *_RESTING), "nothing of ours is halted by it; the next status tells more"),
    Ignored((FlowOverdue,), (*_OUT_OF_USE, *_RESTING), "nothing is released here any more"),
    Ignored((PumpSwitchedOff,), (_S.CLOSED,), "said twice"),
)

EVENTS: tuple[type, ...] = (
    PumpSurveyed,
    PumpReady,
    PumpAuthorized,
    PumpFilling,
    PumpFinished,
    PumpSuspended,
    PumpSwitchedOff,
    PumpNotProgrammed,
    NozzleLifted,
    NozzleReturned,
    FillProgressed,
    FillReported,
    TotalReported,
    RecordComplete,
    RecordOverdue,
    SaleArmed,
    SaleWithdrawn,
    LiftOverdue,
    FlowOverdue,
    PricesReported,
    PricesOverdue,
    TransactionSettled,
    CommandFailed,
    PumpAlarmed,
    PumpLineLost,
)

GRID: Grid[PointState] = Grid("FuellingPoint", PointState, EVENTS, TABLE, IGNORED)
