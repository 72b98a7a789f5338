"""Is the host there? A belief, fed by every answer and every failure, so that no driver waits for a host known to be away.

After two time-outs (or one certain "no line") the next drivers are served offline at once, while the host is probed in the
background. Any answer ends it. (features.md F14.)
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.card_lists import NO_LIST
from terminal.core.clock import ClockState
from terminal.core.effects import CheckLists, ProbeHost
from terminal.core.events import HostTrouble, ListCheckDue, ProbeDue
from terminal.core.faults import FaultCode
from terminal.core.records import ClockAnchored
from terminal.core.step import Desk
from terminal.core.units import Instant, UtcMs

FAILURES_UNTIL_DOWN = 2
ANCHOR_EVERY_MS = 3_600_000
SUBJECT = "host"


@dataclass(frozen=True, slots=True)
class HostTimes:
    """How long the host is waited for and how often it is asked. All milliseconds.

    ``head_ms``: at a start with open sales, until the host has said what it knows of the ledger; 0: it is not waited for.
    """

    authorize_ms: int = 8_000
    probe_ms: int = 5_000
    lists_ms: int = 300_000
    retry_first_ms: int = 1_000
    retry_cap_ms: int = 300_000
    state_ms: int = 60_000
    head_ms: int = 10_000


class HostLink:
    """Counts failures, keeps the probe going while the host is away, and hands its time to the clock."""

    def __init__(self, desk: Desk, times: HostTimes, boot: str) -> None:
        self.desk = desk
        self.times = times
        self.boot = boot
        self.failures = 0
        self.down = False
        self.mark = NO_LIST
        self.offset_ms: int | None = None  # the host's last time less ours when it was said
        self._anchored: Instant | None = None

    @property
    def reachable(self) -> bool:
        """A driver's question is worth sending."""
        return not self.down

    def begin(self, epoch: str, version: int) -> None:
        """At start: ask for the time and for newer lists."""
        self.probe()
        self.check_lists(epoch, version)

    def check_lists(self, epoch: str, version: int, *, whole: bool = False) -> None:
        """Ask for newer lists, and again after the interval whatever comes of it. ``whole``: not for the changes alone."""
        self.desk.do(CheckLists(epoch, version, self.mark, whole))
        self.desk.start(ListCheckDue(), self.times.lists_ms)

    def answered(self, host_time: UtcMs | None, at: Instant) -> bool:
        """The host spoke. True when it had been away."""
        was_down, self.down = self.down, False
        self.desk.clear_fault(FaultCode.HOST_UNREACHABLE, SUBJECT)
        for code, subject in [key for key in self.desk.faults.active if key[0] is FaultCode.GREY_CARD]:
            self.desk.clear_fault(code, subject)
        if self.failures:
            self.failures = 0
            self.desk.cancel(ProbeDue())
        if was_down:
            self.desk.start(ListCheckDue(), 0)
        if host_time is not None:
            known = self.desk.clock.state(at) is not ClockState.UNTRUSTED
            self.offset_ms = host_time - self.desk.clock.utc(at) if known else None
            why = self.desk.clock.host_said(host_time, at)
            if why:
                self.desk.raise_fault(FaultCode.HOST_TIME_REFUSED, SUBJECT, why)
                return was_down
            self.desk.clear_fault(FaultCode.HOST_TIME_REFUSED, SUBJECT)
            if self._anchored is None or at - self._anchored >= ANCHOR_EVERY_MS:
                self._anchored = at
                self.desk.persist(ClockAnchored(self.desk.clock.utc(at), at, self.boot))
        return was_down

    def failed(self, trouble: HostTrouble, why: str) -> None:
        """A call had no usable answer."""
        self.failures += 1
        if self.down:
            self.desk.start(ProbeDue(), self.times.probe_ms)
        elif trouble is HostTrouble.NO_LINE or self.failures >= FAILURES_UNTIL_DOWN:
            self.down = True
            self.desk.raise_fault(FaultCode.HOST_UNREACHABLE, SUBJECT, f"{trouble.value}: {why}")
            self.desk.start(ProbeDue(), self.times.probe_ms)

    def probe_failed(self, trouble: HostTrouble, why: str) -> None:
        """A question of our own had no usable answer; no driver waits, so it is asked again until one comes."""
        self.failed(trouble, why)
        self.desk.start(ProbeDue(), self.times.probe_ms)

    def probe(self) -> None:
        """Ask for the time."""
        self.desk.do(ProbeHost())

    def lists_seen(self) -> None:
        """The lists were checked; ask again after the interval."""
        self.desk.start(ListCheckDue(), self.times.lists_ms)
