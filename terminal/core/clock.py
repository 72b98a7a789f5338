"""The one clock: the host's last time, advanced by elapsed time that the machine can prove.

Elapsed time while the machine runs comes from its boot-time clock, which counts on through a restart of the program. Across a
power-off nothing is proved, unless commissioning said that the real-time clock may be trusted. The operating system's wall clock
is never read, so setting it changes nothing. (design/behaviour-language.md, One clock.)
"""

from __future__ import annotations

from enum import Enum

from terminal.core.units import Instant, UtcMs

HOLDOVER_AFTER_MS = 24 * 3600 * 1000
"""No fresh contact for a day: the time is still ours, but drifts."""


class ClockState(Enum):
    """How far the terminal's time may be believed."""

    TRUSTED = "trusted"
    HOLDOVER = "holdover"
    UNTRUSTED = "untrusted"


class TerminalClock:
    """Turns instants into the terminal's UTC. Never goes back, whatever the host says."""

    def __init__(self) -> None:
        self._base_utc = 0
        self._base_instant = 0
        self._floor = 0
        self._contact: Instant | None = None
        self._known = False
        self.proven = False
        """The host's time was heard on this boot: nothing but proven time has passed since."""

    def restore(
        self, floor_utc: UtcMs | None, at: Instant, *, elapsed_known: bool, contact: Instant | None, newest: UtcMs | None = None
    ) -> None:
        """Start from the ledger: ``floor_utc`` held at ``at`` or earlier, and ``newest`` is the last time that was ever written.

        ``elapsed_known`` says that ``at`` was reached from it by proven time (same boot, or a trusted real-time clock);
        ``contact`` is the instant of the last host time when that was on this boot.
        """
        if floor_utc is None:
            return
        self._base_utc, self._base_instant, self._floor = floor_utc, at, max(floor_utc, newest or 0)
        self._known = True
        self.proven = elapsed_known and contact is not None
        self._contact = contact if elapsed_known else Instant(at - HOLDOVER_AFTER_MS - 1)

    def host_said(self, host_time: UtcMs, at: Instant) -> None:
        """Take the host's time. Where it is behind ours, ours stands still until it has caught up: no window opens twice."""
        self._floor = self.utc(at) if self._known else 0
        self._base_utc, self._base_instant = host_time, at
        self._contact = at
        self._known = self.proven = True

    def utc(self, at: Instant) -> UtcMs:
        """The terminal's time at an instant; counts from 1970 when no host time was ever had."""
        return UtcMs(max(self._floor, self._base_utc + max(0, at - self._base_instant)))

    def known_utc(self, at: Instant) -> UtcMs | None:
        """The terminal's time; None when no host time was ever had."""
        return self.utc(at) if self._known else None

    def state(self, at: Instant) -> ClockState:
        """How far to believe it."""
        if not self._known or self._contact is None:
            return ClockState.UNTRUSTED
        return ClockState.TRUSTED if at - self._contact <= HOLDOVER_AFTER_MS else ClockState.HOLDOVER
