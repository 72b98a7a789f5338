"""Tells the host how this terminal is, now and then and soon after something has changed, and which list it has in use.

Neither goes into the outbox or the ledger: the newest report replaces an older one, and which list is in use is said again at every start.
A report that fails says nothing about the host that a probe would not say better, so it only asks for one. (features.md F46, F59.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from terminal.core import events as ev
from terminal.core.effects import ReportState, TellApplied
from terminal.core.faults import FaultCode
from terminal.core.host_events import (
    AppliedAnswered,
    AppliedDue,
    AppliedFailed,
    CertificateSeen,
    StateAnswered,
    StateDue,
    StateFailed,
)
from terminal.core.ledger_head import compare
from terminal.core.price_records import PriceSet, PricesPlanned, PricesTaken
from terminal.core.records import ClosingSet, FaultCleared, FaultRaised, ListsAdopted, MessageQuarantined, Record
from terminal.core.return_desk import ReturnDesk
from terminal.core.terminal_state import FaultReport, ListsState, PointReport, QueueState, TerminalState, enforced
from terminal.core.units import Instant, UtcMs

if TYPE_CHECKING:
    from terminal.core.site import Site

SOON_MS = 1_000
"""After a change: what changes together is told together, and within the two seconds of the contract."""
DAY_MS = 24 * 3_600_000
CERTIFICATE_ENDS_MS = 30 * DAY_MS
_CHANGES = (FaultRaised, FaultCleared, ListsAdopted, ClosingSet, PricesPlanned, PriceSet, PricesTaken)


class StateDesk:
    """Knows when to report and gathers what is told; everything it tells belongs to others."""

    def __init__(self, site: Site, spoke: Callable[[UtcMs | None, Instant], None]) -> None:
        """``spoke`` hears of every answer, as a probe's would be heard."""
        known = site.recovered
        self.site = site
        self.desk = site.desk
        self.link = site.link
        self.every_ms = site.config.host_times.state_ms
        self.enforces = enforced(only_terminal=site.config.rules.policy.only_terminal)
        self.quarantined = known.quarantined
        self.known_to_host = 0
        """The newest row of the ledger that the host has said, in this run, it knows as it is here."""
        self._spoke = spoke
        self._since = dict(known.fault_since)
        self._queued: deque[int | None] = deque([known.oldest] + [None] * (known.waiting - 1) if known.waiting else ())
        self._soon = False
        self._applied: tuple[str, int, int] | None = None  # what the host has still to hear
        self.returning = ReturnDesk(site, spoke)

    def routes(self) -> dict[type, Callable[[Any, Instant], None]]:
        """What of the outside is for this desk."""
        return {
            StateDue: lambda event, at: self._report(at),
            StateAnswered: self._answered,
            StateFailed: lambda event, at: self._failed(),
            AppliedDue: lambda event, at: self._tell_applied(),
            AppliedAnswered: self._applied_answered,
            AppliedFailed: lambda event, at: self._applied_failed(),
            CertificateSeen: self._certificate_seen,
            ev.BackupEnded: lambda event, at: self._backup_ended(event.why),
            ev.RoomSeen: lambda event, at: self._room_seen(event.why),
            **self.returning.routes(),
        }

    # --- when -------------------------------------------------------------------------------------------------------------------

    def begin(self, at: Instant) -> None:
        """At start: soon, when the first answers are in, or at once where a sale waits for the answer; and which list is in use."""
        self._soon = True
        self.desk.start(StateDue(), 0 if self.site.resuming.waits else SOON_MS)
        self.in_use(at)
        self.returning.begin()

    def host_is_back(self) -> None:
        """It was away and answers: what it has missed is said."""
        self._tell_applied()
        self._report_soon()

    def step_ended(self, facts: Sequence[Record], queued: int, at: Instant) -> None:
        """What a step is to remember and how many messages it queues, just before it is committed."""
        for fact in facts:
            self._note(fact, at)
        if queued or len(self._queued) != self.site.uploads.waiting:
            self._count(queued, at)

    def _note(self, record: object, at: Instant) -> None:
        if isinstance(record, FaultRaised):
            self._since[record.code, record.subject] = self.desk.utc(at)
        elif isinstance(record, FaultCleared):
            self._since.pop((record.code, record.subject), None)
        elif isinstance(record, MessageQuarantined):
            self.quarantined += 1
        if isinstance(record, _CHANGES):
            self._report_soon()

    def _count(self, queued: int, at: Instant) -> None:
        """Messages leave in the order in which they came."""
        waiting, now = self.site.uploads.waiting, self.desk.utc(at)
        self._queued.extend([now] * queued)
        while len(self._queued) > waiting:
            self._queued.popleft()
        self._queued.extend([now] * (waiting - len(self._queued)))

    def _report_soon(self) -> None:
        if not self._soon:
            self._soon = True
            self.desk.start(StateDue(), SOON_MS)

    # --- the report --------------------------------------------------------------------------------------------------------------

    def _report(self, at: Instant) -> None:
        self._soon = False
        self.desk.start(StateDue(), self.every_ms)
        if not self.link.down:
            self.desk.do(ReportState(self.state(at)))

    def _certificate_seen(self, event: CertificateSeen, at: Instant) -> None:
        """Near its end, and over it, somebody must know: what renews it did not."""
        left = None if event.ends is None else event.ends - self.desk.utc(at)
        if left is not None and left > CERTIFICATE_ENDS_MS:
            self.desk.clear_fault(FaultCode.CERTIFICATE_ENDS, "terminal")
            return
        when = "it cannot be read" if left is None else "it has ended" if left <= 0 else f"{left // DAY_MS} days are left"
        self.desk.raise_fault(FaultCode.CERTIFICATE_ENDS, "terminal", f"{when}; {event.why}".removesuffix("; "))

    def _backup_ended(self, why: str) -> None:
        """Served goes on without one; but a disk that dies then takes the ledger with it, so somebody must know."""
        if why:
            self.desk.raise_fault(FaultCode.BACKUP_FAILED, "ledger", why)
        else:
            self.desk.clear_fault(FaultCode.BACKUP_FAILED, "ledger")

    def _room_seen(self, why: str) -> None:
        """Nothing new is sold meanwhile, whoever comes; so somebody must know before a driver does."""
        if why:
            self.desk.raise_fault(FaultCode.STORAGE_LOW, "ledger", why)
        else:
            self.desk.clear_fault(FaultCode.STORAGE_LOW, "ledger")

    def _answered(self, event: StateAnswered, at: Instant) -> None:
        self._spoke(event.host_time, at)
        compare(self.site, event.ledger, at)
        self._note_head(event.ledger)

    def _note_head(self, known: tuple[int, str] | None) -> None:
        if known is not None and self.site.recovered.past.hash_at(known[0]) == known[1]:
            self.known_to_host = max(self.known_to_host, known[0])

    def _failed(self) -> None:
        """As with the stream: whether the host is away is the probe's to say."""
        if not self.link.down:
            self.desk.start(ev.ProbeDue(), 0)

    def state(self, at: Instant) -> TerminalState:
        """How the terminal is at this instant."""
        site, clock, closings = self.site, self.desk.clock, self.site.closings
        mark, lists = self.link.mark, site.lists
        live = (mark.epoch, mark.version) == (lists.epoch, lists.version)
        return TerminalState(
            version=site.config.version,
            boot=site.boot_id,
            at=clock.utc(at),
            clock=clock.state(at).value,
            clock_offset_ms=self.link.offset_ms,
            in_service=site.in_service,
            lists=ListsState(
                lists.epoch, lists.version, mark.rows if live else 0, mark.content_hash if live else "", site.teller.lists_checked
            ),
            queue=QueueState(site.uploads.waiting, self._queued[0] if self._queued else None, self.quarantined),
            next_sequence=site.teller.minting.next_sequence,
            epoch=site.teller.minting.epoch,
            batch=site.batches.settled,
            last_event=site.push.last_event,
            push=site.push.up,
            points=tuple(
                PointReport(number, point.state.value, point.sale, closings.site or closings.point(number))
                for number, point in site.points.items()
            ),
            faults=tuple(
                FaultReport(code.value, subject, self._since.get((code.value, subject), clock.utc(at)), detail)
                for (code, subject), detail in self.desk.faults.active.items()
            ),
            closed=tuple(closings.closed.values()),
            enforces=self.enforces,
            pin_key=site.rollback.state,
            prices=site.prices.state(),
            epoch_begins=site.recovered.past.epoch_begins(),
        )

    # --- which list is in use ------------------------------------------------------------------------------------------------------

    def in_use(self, at: Instant) -> None:
        """This list is being read now: only then may the host count on it, because a file that was adopted may still fail to open."""
        lists = self.site.lists
        if lists.version:
            self._applied = (lists.epoch, lists.version, self.desk.utc(at))
            self._tell_applied()

    def _tell_applied(self) -> None:
        if self._applied is not None and not self.link.down:
            self.desk.do(TellApplied(*self._applied))

    def _applied_answered(self, event: AppliedAnswered, at: Instant) -> None:
        if self._applied is not None and self._applied[:2] == (event.epoch, event.version):
            self._applied = None
        if event.host_time is not None:
            self._spoke(event.host_time, at)

    def _applied_failed(self) -> None:
        """Again after a while; while the host is away its return is waited for instead."""
        if self._applied is not None and not self.link.down:
            self.desk.start(AppliedDue(), self.link.times.probe_ms)
