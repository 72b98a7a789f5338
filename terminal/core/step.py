"""What one step collects: effects for the runtime, internal events for the machines, and the values all machines share."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from drivers.commands import DeviceCommand
from terminal.core.clock import TerminalClock
from terminal.core.effects import CancelDeadline, Effect, Enqueue, Persist, Send, StartDeadline
from terminal.core.events import Deadline
from terminal.core.exposure import Exposure
from terminal.core.faults import FaultBook, FaultCode
from terminal.core.ids import SaleId
from terminal.core.messages import SaleMessage
from terminal.core.records import FaultCleared, FaultRaised, Record
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.account_book import AccountBook
    from terminal.core.sale import Sale


class Desk:
    """The one place where machines put what they want done. Owned by ``Site``; lives as long as the program."""

    def __init__(self, book: AccountBook, clock: TerminalClock, faults: FaultBook, exposure: Exposure | None = None) -> None:
        self.book = book
        self.exposure = Exposure() if exposure is None else exposure
        self.clock = clock
        self.faults = faults
        self.sales: dict[SaleId, Sale] = {}
        self.effects: list[Effect] = []
        self.facts: list[Record] = []  # of the step's effects, what is to be remembered
        self.messages: list[Enqueue] = []  # and what is for the host
        self.inner: deque[object] = deque()

    def persist(self, record: Record) -> None:
        """Write a fact with this step's commit."""
        self.facts.append(record)
        self.effects.append(Persist(record))

    def enqueue(self, message: SaleMessage) -> None:
        """Store a message for the host with this step's commit."""
        queued = Enqueue(message)
        self.messages.append(queued)
        self.effects.append(queued)

    def send(self, command: DeviceCommand) -> None:
        """Tell a device, after the commit."""
        self.effects.append(Send(command))

    def do(self, effect: Effect) -> None:
        """Any other effect."""
        self.effects.append(effect)

    def start(self, deadline: Deadline, after_ms: int) -> None:
        """Start or restart a deadline."""
        self.effects.append(StartDeadline(deadline, after_ms))

    def cancel(self, deadline: Deadline) -> None:
        """Forget a deadline."""
        self.effects.append(CancelDeadline(deadline))

    def tell(self, event: object) -> None:
        """Post an internal event; it is handled in this step."""
        self.inner.append(event)

    def raise_fault(self, code: FaultCode, subject: str, detail: str = "") -> None:
        """Begin a fault; nothing happens when it is already there."""
        if self.faults.begin(code, subject, detail):
            self.persist(FaultRaised(code.value, subject, detail))

    def clear_fault(self, code: FaultCode, subject: str) -> None:
        """End a fault; nothing happens when it is not there."""
        if self.faults.end(code, subject):
            self.persist(FaultCleared(code.value, subject))

    @property
    def halted(self) -> bool:
        """Nothing may be released at this site."""
        return self.faults.emergency

    def utc(self, at: Instant) -> int:
        """The terminal's time at this instant, milliseconds UTC."""
        return self.clock.utc(at)

    def take(self) -> list[Effect]:
        """The step's effects in order; the desk is empty afterwards."""
        effects, self.effects = self.effects, []
        self.facts.clear()
        self.messages.clear()
        return effects
