"""One step of the program: handle, commit, act. Whoever has read this file knows how everything moves.

Take a stamped event, let the site answer it with effects, write everything that is to be remembered in one transaction, and
only then let anything leave. A step whose commit fails has not happened: ``StorageFailed`` goes up,
the program ends, and the next start asks the pumps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from drivers.commands import DeviceCommand
from terminal.core.card_lists import ListDelta, ListMark
from terminal.core.effects import (
    AckEvent,
    ApplyChanges,
    AskHost,
    CancelDeadline,
    CheckLists,
    Continue,
    CountUp,
    Effect,
    Enqueue,
    FetchSales,
    OpenPush,
    Persist,
    ProbeHost,
    ReadBatch,
    ReportState,
    Send,
    StartDeadline,
    TellApplied,
    UploadNext,
    UseCards,
)
from terminal.core.events import ChangesApplied, ListsRefused
from terminal.core.messages import Authorize, SaleMessage
from terminal.core.records import Record
from terminal.core.rest import nobody_is_served
from terminal.core.rollback import CountedUp
from terminal.core.rollback_mark import LedgerPruned
from terminal.core.site import Site
from terminal.core.terminal_state import TerminalState
from terminal.core.units import Instant
from terminal.runtime.deadlines import Deadlines
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from terminal.store.rebooking import read_batch

Prune = Callable[[Instant, Callable[[], Stamp], Callable[[], bool], int], LedgerPruned | None]


class Outside(Protocol):
    """Everything beyond the ledger, as the engine sees it. None of these may block."""

    def send(self, command: DeviceCommand) -> None:
        """Hand a command to its driver."""

    def ask_host(self, question: Authorize) -> None:
        """Ask the host to authorize; answered by ``HostAnswered`` or ``HostFailed``."""

    def upload(self, messages: tuple[QueuedMessage, ...]) -> None:
        """Send a stored message, or several advices in one call; answered by ``UploadAnswered``, ``ItemsAnswered`` when there are several,
        ``CloseAnswered`` when it closes a batch, or ``UploadFailed``."""

    def probe_host(self) -> None:
        """Ask for the time; answered by ``ProbeAnswered`` or ``ProbeFailed``."""

    def check_lists(self, epoch: str, version: int, mark: ListMark, whole: bool) -> None:
        """Ask for newer lists; answered by ``ListsCurrent``, ``ListsReady``, ``ChangesReady`` or ``ListsRefused``."""

    def use_cards(self, file: str) -> None:
        """Read cards from this file from now on."""

    def apply_changes(self, deltas: tuple[ListDelta, ...]) -> ChangesApplied | ListsRefused:
        """Change the live card file in one transaction, durably, or not at all."""

    def open_push(self, last_event: int) -> None:
        """Hold the host's stream open; what comes of it are ``PushUp``, ``DenyPushed``, ``ListHint``, ``PushUnreadable``, ``PushDown``."""

    def ack_event(self, event: int, effective_at: int, refused: str | None) -> None:
        """Acknowledge an event of the stream; answered by ``AckAnswered`` or ``AckFailed``."""

    def report_state(self, state: TerminalState) -> None:
        """Tell the host how this terminal is; answered by ``StateAnswered`` or ``StateFailed``, unless a newer report replaces it."""

    def tell_applied(self, epoch: str, version: int, at: int) -> None:
        """Tell the host which list is in use; answered by ``AppliedAnswered`` or ``AppliedFailed``."""

    def fetch_sales(self, epoch: int, after: int) -> None:
        """Ask for what the host has of this terminal in an epoch behind a number; answered by ``SalesBack`` or ``SalesBackFailed``."""

    def count_up(self) -> CountedUp:
        """Count up the counter that no copy of a disk puts back."""

    def encode(self, message: SaleMessage) -> bytes:
        """The bytes that every try of this message will send."""


class Engine:
    """Site, ledger and deadlines, joined by the one rule: write, then act."""

    def __init__(self, site: Site, ledger: Ledger, outside: Outside) -> None:
        self.site = site
        self.ledger = ledger
        self.outside = outside
        self.deadlines = Deadlines()
        self.committed: Callable[[list[Record]], object] = lambda records: None
        self._next: deque[object] = deque()
        self._booted = Instant(0)
        self._act: dict[type, Callable[[object, Instant], None]] = {
            Send: lambda effect, at: outside.send(effect.command),  # type: ignore[attr-defined]
            AskHost: self._ask_host,
            UploadNext: self._upload_next,
            ReadBatch: self._read_batch,
            ProbeHost: lambda effect, at: outside.probe_host(),
            CheckLists: lambda effect, at: outside.check_lists(effect.epoch, effect.version, effect.mark, effect.whole),  # type: ignore[attr-defined]
            UseCards: lambda effect, at: outside.use_cards(effect.file),  # type: ignore[attr-defined]
            ApplyChanges: lambda effect, at: self._next.append(outside.apply_changes(effect.deltas)),  # type: ignore[attr-defined]
            OpenPush: lambda effect, at: outside.open_push(effect.last_event),  # type: ignore[attr-defined]
            AckEvent: lambda effect, at: outside.ack_event(effect.event, effect.effective_at, effect.refused),  # type: ignore[attr-defined]
            ReportState: lambda effect, at: outside.report_state(replace(effect.state, head=ledger.head)),  # type: ignore[attr-defined]
            TellApplied: lambda effect, at: outside.tell_applied(effect.epoch, effect.version, effect.at),  # type: ignore[attr-defined]
            FetchSales: lambda effect, at: outside.fetch_sales(effect.epoch, effect.after),  # type: ignore[attr-defined]
            CountUp: lambda effect, at: self._next.append(outside.count_up()),
            StartDeadline: self._start_deadline,
            CancelDeadline: lambda effect, at: self.deadlines.cancel(effect.deadline),  # type: ignore[attr-defined]
            Continue: lambda effect, at: self._next.append(effect.event),  # type: ignore[attr-defined]
        }

    def boot(self, at: Instant) -> None:
        """The first step. Raises ``StorageFailed``."""
        self._booted = at
        self._finish(self.site.boot(at), at)

    def step(self, event: object, at: Instant) -> None:
        """Handle one event to its end, with what must follow its commit; ``at``: when it was heard, or the boot if that was later.

        Raises ``StorageFailed``.
        """
        at = max(at, self._booted)
        self._finish(self.site.handle(event, at), at)
        while self._next:
            self._finish(self.site.handle(self._next.popleft(), at), at)

    def close(self, at: Instant) -> None:
        """The last step of a clean end: what the host has answered is written, so that a ledger at rest says so. Raises StorageFailed."""
        self.site.uploads.write_acknowledgements()
        self._finish(self.site.desk.take(), at)

    def fire_due(self, now: Instant) -> bool:
        """Handle the first deadline that is due; False when none is."""
        deadline = self.deadlines.pop_due(now)
        if deadline is None:
            return False
        self.step(deadline, now)
        return True

    def prune(self, work: Prune, at: Instant) -> None:
        """Between two steps: let a piece of what is to be pruned go (store/care.py, ``prune``). Raises ``StorageFailed``."""
        site = self.site
        record = work(at, lambda: self._stamp(at), lambda: nobody_is_served(site), site.state.known_to_host)
        if record is not None:
            self.committed([record])

    def _stamp(self, at: Instant) -> Stamp:
        clock = self.site.desk.clock
        return Stamp(clock.utc(at), clock.state(at).value)

    def _finish(self, effects: list[Effect], at: Instant) -> None:
        self.commit(effects, at)
        self.dispatch(effects, at)

    def commit(self, effects: list[Effect], at: Instant) -> None:
        """Make the step's facts and messages durable, together."""
        records = [effect.record for effect in effects if isinstance(effect, Persist)]
        messages = [
            QueuedMessage(effect.message.key, self.outside.encode(effect.message)) for effect in effects if isinstance(effect, Enqueue)
        ]
        if records or messages:
            self.ledger.commit(self._stamp(at), records, messages)
            self.committed(records)

    def dispatch(self, effects: list[Effect], at: Instant) -> None:
        """Let everything else of the step leave, in order."""
        for effect in effects:
            if not isinstance(effect, Persist | Enqueue):
                self._act[type(effect)](effect, at)

    def _start_deadline(self, effect: object, at: Instant) -> None:
        if isinstance(effect, StartDeadline):
            self.deadlines.start(effect.deadline, Instant(at + effect.after_ms))

    def _ask_host(self, effect: object, at: Instant) -> None:
        sale = self.site.desk.sales.get(effect.sale) if isinstance(effect, AskHost) else None
        if sale is not None:
            clock = self.site.desk.clock
            self.outside.ask_host(sale.question(clock.utc(at), clock.state(at).value))

    def _upload_next(self, effect: object, at: Instant) -> None:
        if isinstance(effect, UploadNext):
            answered = {record.key for record in self.site.uploads.acknowledged}
            messages = self.ledger.next_messages(answered, effect.most)
            if not messages:
                raise AssertionError("the core believes that a message waits and the ledger has none")
            self.outside.upload(messages)

    def _read_batch(self, effect: object, at: Instant) -> None:
        if isinstance(effect, ReadBatch):
            self._next.append(read_batch(self.ledger.connection, effect))
