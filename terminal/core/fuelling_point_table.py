"""The fuelling point's table: what every event means in every IFSF state. Actions are in ``fuelling_point``."""

from __future__ import annotations

from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PumpAlarmed,
    PumpLineLost,
    PumpSurveyed,
    TotalReported,
)
from terminal.core.events import (
    FlowOverdue,
    LiftOverdue,
    PumpAuthorized,
    PumpFilling,
    PumpFinished,
    PumpNotProgrammed,
    PumpReady,
    PumpSuspended,
    PumpSwitchedOff,
    RecordOverdue,
)
from terminal.core.fuelling_point import FuellingPoint as FP
from terminal.core.fuelling_point import PointState
from terminal.core.internal_events import RecordComplete, SaleArmed, SaleWithdrawn
from terminal.core.machine import Grid, Ignored, Rule

_S = PointState
_ALL = tuple(PointState)
_RESTING = (_S.IDLE, _S.CALLING)
_RELEASED = (_S.AUTHORIZED, _S.STARTED, _S.SUSPENDED_STARTED)
_RUNNING = (_S.FUELLING, _S.SUSPENDED_FUELLING)
_BUSY = (*_RELEASED, *_RUNNING)
_OUT_OF_USE = (_S.INOPERATIVE, _S.CLOSED)

TABLE: tuple[Rule[PointState], ...] = (
    # A survey is the whole picture and beats everything believed before.
    Rule(PumpSurveyed, _ALL, _S.FUELLING, FP.surveyed_running, guard=FP.is_filling),
    Rule(PumpSurveyed, _ALL, _S.STARTED, FP.surveyed_running, guard=FP.is_started),
    Rule(PumpSurveyed, _ALL, _S.AUTHORIZED, FP.surveyed_running, guard=FP.is_authorized),
    Rule(PumpSurveyed, _ALL, _S.SUSPENDED_FUELLING, FP.surveyed_running, guard=FP.is_suspended),
    Rule(PumpSurveyed, _ALL, _S.CLOSED, FP.surveyed_off, guard=FP.is_off),
    Rule(PumpSurveyed, _ALL, _S.INOPERATIVE, FP.surveyed_resting),
    Rule(PumpLineLost, _ALL, _S.INOPERATIVE, FP.line_lost),
    # What the pump's books said is settled: back to rest.
    Rule(RecordComplete, (_S.INOPERATIVE, *_RESTING, *_BUSY), _S.CALLING, FP.settle, guard=FP.nozzle_is_out),
    Rule(RecordComplete, (_S.INOPERATIVE, *_RESTING, *_BUSY), _S.IDLE, FP.settle),
    Rule(FillReported, _ALL, None, FP.fill_reported),
    Rule(TotalReported, _ALL, None, FP.total_reported),
    Rule(RecordOverdue, (_S.INOPERATIVE, *_RESTING, *_BUSY), None, FP.record_overdue),
    # Nozzles.
    Rule(NozzleLifted, (_S.IDLE,), _S.CALLING, FP.lifted),
    Rule(NozzleLifted, (_S.CALLING,), None, FP.lifted),
    Rule(NozzleLifted, (_S.AUTHORIZED,), _S.STARTED, FP.note_lifted),
    Rule(NozzleLifted, (_S.STARTED, _S.SUSPENDED_STARTED, *_RUNNING, *_OUT_OF_USE), None, FP.note_lifted),
    Rule(NozzleReturned, (_S.CALLING,), _S.IDLE, FP.returned),
    Rule(NozzleReturned, (_S.IDLE, *_OUT_OF_USE), None, FP.note_returned),
    Rule(NozzleReturned, _RELEASED, None, FP.returned_released),
    Rule(NozzleReturned, _RUNNING, None, FP.returned_after_limit),
    # A sale comes and goes.
    Rule(SaleArmed, _RESTING, None, FP.arm),
    Rule(SaleWithdrawn, (*_OUT_OF_USE, *_RESTING), None, FP.withdraw),
    Rule(SaleWithdrawn, _BUSY, None, FP.stop_running),
    Rule(LiftOverdue, (*_OUT_OF_USE, *_RESTING), None, FP.lift_overdue),
    # Release and flow, in the pump's own words.
    Rule(PumpAuthorized, (_S.IDLE,), _S.AUTHORIZED, FP.released),
    Rule(PumpAuthorized, (_S.CALLING,), _S.STARTED, FP.released),
    Rule(PumpAuthorized, (_S.SUSPENDED_STARTED,), _S.STARTED, FP.flowing),
    Rule(PumpFilling, (*_RESTING, *_RELEASED, _S.SUSPENDED_FUELLING), _S.FUELLING, FP.flowing),
    Rule(FillProgressed, _RELEASED, _S.FUELLING, FP.flowing, guard=FP.has_flow),
    Rule(FillProgressed, (_S.FUELLING,), None, FP.flowing),
    Rule(PumpSuspended, (_S.AUTHORIZED, _S.STARTED), _S.SUSPENDED_STARTED),
    Rule(PumpSuspended, (_S.FUELLING,), _S.SUSPENDED_FUELLING),
    Rule(FlowOverdue, _BUSY, None, FP.flow_overdue),
    # The end of a delivery.
    Rule(PumpFinished, (*_RESTING, *_BUSY, _S.INOPERATIVE), None, FP.finish),
    Rule(PumpFinished, (_S.CLOSED,), _S.INOPERATIVE, FP.finish),
    Rule(PumpReady, _RESTING, None, FP.became_ready),
    Rule(PumpReady, (*_BUSY, _S.INOPERATIVE), None, FP.reset_running),
    Rule(PumpReady, (_S.CLOSED,), _S.INOPERATIVE, FP.reset_running),
    # Out of use.
    Rule(PumpSwitchedOff, (_S.INOPERATIVE, *_RESTING), _S.CLOSED),
    Rule(PumpSwitchedOff, _BUSY, None, FP.reset_running),
    Rule(PumpNotProgrammed, (_S.INOPERATIVE, *_RESTING, _S.CLOSED), _S.INOPERATIVE, FP.prices_lost),
    Rule(PumpNotProgrammed, _BUSY, None, FP.prices_lost),
    # Troubles.
    Rule(CommandFailed, _ALL, None, FP.command_failed),
    Rule(PumpAlarmed, _ALL, None, FP.alarmed),
)

IGNORED: tuple[Ignored[PointState], ...] = (
    Ignored((RecordComplete, RecordOverdue), (_S.CLOSED,), "a switched-off position is read when it is switched on again"),
    Ignored((SaleArmed,), (*_OUT_OF_USE, *_BUSY), "the site arms resting points only; a point lost in the same step keeps its sale unserved until the lift deadline"),
    Ignored((LiftOverdue,), _BUSY, "the nozzle came in time; the deadline was already falling"),
    Ignored((PumpAuthorized,), (_S.AUTHORIZED, _S.STARTED), "said twice"),
    Ignored((PumpAuthorized,), _RUNNING, "a late status from before the flow"),
    Ignored((PumpAuthorized, PumpFilling), _OUT_OF_USE, "the survey that must come first tells it again"),
    Ignored((PumpFilling,), (_S.FUELLING,), "said twice"),
    Ignored((FillProgressed,), _RELEASED, "a reading of nothing; the valve is open, the driver has not pulled"),
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
    CommandFailed,
    PumpAlarmed,
    PumpLineLost,
)

GRID: Grid[PointState] = Grid("FuellingPoint", PointState, EVENTS, TABLE, IGNORED)
