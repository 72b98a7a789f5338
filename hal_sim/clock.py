"""The clocks of the simulated forecourt: one monotonic for everything that moves, one of the host that can be put forward.

Devices see integer milliseconds of the monotonic clock. The host's wall clock starts at the scenario's local time and runs on;
only a command moves it (``firmware_notes/rig.md``, "Clocks").
"""

from __future__ import annotations

import datetime as dt
import time
from zoneinfo import ZoneInfo

NS_PER_MS = 1_000_000


def monotonic_ns() -> int:
    """Nanoseconds of the machine's monotonic clock, the same in every process of the machine."""
    return time.monotonic_ns()


def monotonic_ms() -> int:
    """Milliseconds of the machine's monotonic clock."""
    return time.monotonic_ns() // NS_PER_MS


def true_utc_ns() -> int:
    """What the machine's own wall clock says, in nanoseconds since 1970."""
    return time.time_ns()


def utc_ms_of_local(local: str, zone: str) -> int:
    """UTC milliseconds of a local time such as ``2026-03-28T23:50:00`` in an IANA zone; of a repeated hour the first.

    Raises ValueError for text that is no time, or that carries an offset of its own; zoneinfo.ZoneInfoNotFoundError for an unknown zone.
    """
    when = dt.datetime.fromisoformat(local)
    if when.tzinfo is not None:
        raise ValueError("a local time has no offset; its zone is named apart")
    return round(when.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


class HostClock:
    """The host's wall clock: UTC milliseconds that run with the monotonic clock."""

    def __init__(self, start_utc_ms: int) -> None:
        self._start_utc_ms = start_utc_ms
        self._start_ms = monotonic_ms()

    def now_utc_ms(self) -> int:
        """The host's time now."""
        return self._start_utc_ms + monotonic_ms() - self._start_ms

    def advance(self, by_ms: int) -> None:
        """Put the clock forward, or back when negative."""
        self._start_utc_ms += by_ms
