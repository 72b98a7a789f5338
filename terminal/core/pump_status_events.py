"""A pump's status as events, one class each, so that the tables stay plain."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.events import PumpStatus


@dataclass(frozen=True, slots=True)
class PumpReady:
    """The position is reset: no fill kept, may be authorized."""

    fp: int


@dataclass(frozen=True, slots=True)
class PumpAuthorized:
    """The pump itself reports that fuel may flow."""

    fp: int


@dataclass(frozen=True, slots=True)
class PumpFilling:
    """Fuel flows."""

    fp: int


@dataclass(frozen=True, slots=True)
class PumpFinished:
    """The delivery is over and its record is kept; ``limit_reached``: the preset ended it and the nozzle may still be out."""

    fp: int
    limit_reached: bool


@dataclass(frozen=True, slots=True)
class PumpSuspended:
    """The delivery is halted and may go on."""

    fp: int


@dataclass(frozen=True, slots=True)
class PumpSwitchedOff:
    """The position is switched off at the dispenser."""

    fp: int


@dataclass(frozen=True, slots=True)
class PumpNotProgrammed:
    """The position has lost its prices."""

    fp: int


def status_event(fp: int, status: PumpStatus) -> object:
    """The event that a status means."""
    if status is PumpStatus.COMPLETED:
        return PumpFinished(fp, limit_reached=False)
    if status is PumpStatus.LIMIT_REACHED:
        return PumpFinished(fp, limit_reached=True)
    return _PLAIN_STATUS[status](fp)


_PLAIN_STATUS: dict[PumpStatus, type] = {
    PumpStatus.RESET: PumpReady,
    PumpStatus.AUTHORIZED: PumpAuthorized,
    PumpStatus.FILLING: PumpFilling,
    PumpStatus.SUSPENDED: PumpSuspended,
    PumpStatus.SWITCHED_OFF: PumpSwitchedOff,
    PumpStatus.NOT_PROGRAMMED: PumpNotProgrammed,
}
