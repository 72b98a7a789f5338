"""The one clock: the host's last time, advanced by elapsed time that the machine can prove.

Elapsed time while the machine runs comes from its boot-time clock, which counts on through a restart of the program. Across a
power-off nothing is proved, unless commissioning said that the real-time clock may be trusted. The operating system's wall clock
is never read, so setting it changes nothing. (design/behaviour-language.md, One clock.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from terminal.core.units import Instant, UtcMs

HOLDOVER_AFTER_MS = 24 * 3600 * 1000
"""No fresh contact for a day: the time is still ours, but drifts."""
LEAP_MS = 10 * 60_000
"""Beyond what has provably passed the host may be so far ahead: more than months of drift, less than any wrong setting."""
LEAP_AFTER_OFF_MS = 31 * 24 * 3_600_000
"""The same while nothing proves how long the power was off."""
AGREED_MS = 3_600_000
AGREED_AFTER_OFF_MS = 5 * 60_000
"""A leap is believed when answers over so long a time have all said it."""
AGREED_ANSWERS = 3
SAME_MS = 60_000
CERTIFICATE_SKEW_MS = 5 * 60_000
"""As in ``host/certificates.py``: a certificate may have been made a moment ago by a clock that is a little ahead."""


class ClockState(Enum):
    """How far the terminal's time may be believed."""

    TRUSTED = "trusted"
    HOLDOVER = "holdover"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class _Leap:
    """A time that the host said and that was not believed yet."""

    host_time: UtcMs
    at: Instant
    answers: int


class TerminalClock:
    """Turns instants into the terminal's UTC. Never goes back, and forward only as far as one answer of the host can be believed."""

    def __init__(self) -> None:
        self.host_valid: Callable[[], tuple[int, int] | None] = lambda: None
        """From when until when the host's own certificate is valid: the host cannot say another time. None: nobody knows."""
        self._line: tuple[UtcMs, Instant] | None = None  # the latest time of this boot that was believed, which goes on
        self._leap: _Leap | None = None
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
        self._line = (floor_utc, at) if self.proven else None

    def host_said(self, host_time: UtcMs, at: Instant) -> str:
        """Take the host's time; why it is not believed, empty when it is.

        Where it is behind ours, ours stands still until it has caught up: no window opens twice. Where it is far ahead, one answer is
        not enough: a day that has begun cannot be taken back.
        """
        valid = self.host_valid()
        if valid is not None and not valid[0] - CERTIFICATE_SKEW_MS <= host_time <= valid[1]:
            return "the host's own certificate is not valid at the time that it says"
        if not self._agreed(host_time, at):
            return "the host's time is far ahead of what has passed"
        self._leap = None
        self._floor = self.utc(at) if self._known else 0
        self._base_utc, self._base_instant = host_time, at
        self._contact = at
        self._known = self.proven = True
        if self._line is None or host_time >= self._line[0] + (at - self._line[1]):
            self._line = (host_time, at)
        return ""

    def _agreed(self, host_time: UtcMs, at: Instant) -> bool:
        """Is it no leap, or has the host said it for long enough without another word between?"""
        if not self._known:
            return True
        passed = self.utc(at)
        if self._line is not None:
            passed = UtcMs(max(passed, self._line[0] + (at - self._line[1])))
        if host_time - passed <= (LEAP_MS if self.proven else LEAP_AFTER_OFF_MS):
            return True
        leap = self._leap
        if leap is None or abs(host_time - leap.host_time - (at - leap.at)) > SAME_MS:
            leap = _Leap(host_time, at, 0)
        self._leap = _Leap(leap.host_time, leap.at, leap.answers + 1)
        long_enough = at - leap.at >= (AGREED_MS if self.proven else AGREED_AFTER_OFF_MS)
        return long_enough and self._leap.answers >= AGREED_ANSWERS

    def passed_utc(self, at: Instant) -> UtcMs | None:
        """The time that has passed by the host's last believed word, without the time that stands still for it; None without any word."""
        return UtcMs(self._base_utc + max(0, at - self._base_instant)) if self._known else None

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
