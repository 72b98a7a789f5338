"""What a fuelling point may wait for, each for so long. (``events.Deadline`` has them all.)"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiftOverdue:
    """The nozzle of an armed point was not lifted in time."""

    fp: int


@dataclass(frozen=True, slots=True)
class FlowOverdue:
    """Nothing has flowed for too long at a released point."""

    fp: int


@dataclass(frozen=True, slots=True)
class LongestOverdue:
    """The sale has been released for longer than any fuelling takes, however slowly it still flows."""

    fp: int


@dataclass(frozen=True, slots=True)
class RecordOverdue:
    """The pump's record (fill and totals) is due, or due again."""

    fp: int
