"""Was the ledger put back to an older copy? A counter that only goes up, kept where no copy of a disk reaches, tells.

The ledger remembers the counter's next value before it counts up: at each start, and with each try that locks an account, before that
try's PIN is compared. A ledger whose value is behind the counter is an older copy, with PIN tries that were used already: PINs are not
checked here until the host confirms it. Ahead by more than one it is another machine's, which is the same for us. Not every try counts
up, because such a memory wears; a copy made while the terminal was off is behind as soon as it has started once.
(reference security-and-reliability 1.3; firmware_notes/pins.md.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from terminal.core import restored
from terminal.core.effects import CountUp
from terminal.core.faults import FaultCode
from terminal.core.host_events import LedgerConfirmed
from terminal.core.rollback_mark import RollbackMarked
from terminal.core.step import Desk
from terminal.core.terminal_state import PinKeyState
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.push_desk import PushDesk

SUBJECT = "tpm"


@dataclass(frozen=True, slots=True)
class CounterFound:
    """The counter at start. ``value`` None: it was never counted up; ``trouble``: it cannot be read, and why."""

    value: int | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class CountedUp:
    """The counter stands here now; ``value`` None: it could not be counted up, and why."""

    value: int | None
    why: str = ""


class RollbackGuard:
    """Compares, counts up, and says whether PINs may be checked here. ``counter`` None: this terminal has none."""

    def __init__(self, desk: Desk, mark: int | None, counter: CounterFound | None) -> None:
        """``mark``: the value that the ledger remembers; None before the first."""
        self.desk = desk
        self._mark = mark
        self._value = counter.value if counter is not None else None
        self._counting = False
        self.state = self._judged(mark, counter)
        self._trouble = counter.trouble if counter is not None else None

    @staticmethod
    def _judged(mark: int | None, counter: CounterFound | None) -> PinKeyState:
        if counter is None:
            return PinKeyState.SOFTWARE
        if counter.trouble is not None:
            return PinKeyState.UNAVAILABLE
        if mark is None or counter.value is None:
            return PinKeyState.TPM if mark is counter.value else PinKeyState.ROLLED_BACK
        return PinKeyState.TPM if counter.value <= mark <= counter.value + 1 else PinKeyState.ROLLED_BACK

    @property
    def checks_pins(self) -> bool:
        """May a PIN be compared with its verifier here?"""
        return self.state in (PinKeyState.SOFTWARE, PinKeyState.TPM)

    def begin(self) -> None:
        """At start."""
        if self.state is PinKeyState.TPM:
            self.count_up()
        self._tell()

    def count_up(self) -> None:
        """One up, and never back: the ledger knows it in this step's commit, the counter behind it."""
        if self.state is PinKeyState.TPM and not self._counting:
            self._mark_next()

    def counted(self, event: CountedUp, at: Instant) -> None:
        """The counter has it."""
        self._counting = False
        if event.value is None:
            self.unavailable(event.why)
            return
        self._value = event.value
        if event.value != self._mark:
            self._mark = event.value
            self.desk.persist(RollbackMarked(event.value))  # a new counter begins where its maker likes

    def unavailable(self, why: str) -> None:
        """The chip does not answer any more."""
        self.state, self._trouble = PinKeyState.UNAVAILABLE, why
        self._tell()

    def confirmed(self, event: LedgerConfirmed, push: PushDesk, at: Instant) -> None:
        """The host's people looked at it and take this ledger as it is."""
        now = self.desk.utc(at)
        waits = restored.waits(self.desk)
        if waits:
            restored.confirmed(self.desk)
        if self.state is not PinKeyState.ROLLED_BACK:
            push.passed(event.event, "the restored ledger counts" if waits else "nothing waits for a confirmation", now)
            return
        self.state = PinKeyState.TPM
        self._mark_next(event.event, now)
        push.taken(event.event, now)
        self._tell()

    def _mark_next(self, event: int = 0, effective_at: int = 0) -> None:
        self._mark, self._counting = (self._value or 0) + 1, True
        self.desk.persist(RollbackMarked(self._mark, event, effective_at))
        self.desk.do(CountUp())

    def _tell(self) -> None:
        rolled, lost = self.state is PinKeyState.ROLLED_BACK, self.state is PinKeyState.UNAVAILABLE
        if rolled:
            self.desk.raise_fault(FaultCode.LEDGER_ROLLED_BACK, SUBJECT, f"the ledger says {self._mark}, the counter {self._value}")
        else:
            self.desk.clear_fault(FaultCode.LEDGER_ROLLED_BACK, SUBJECT)
        if lost:
            self.desk.raise_fault(FaultCode.PIN_KEY_UNAVAILABLE, SUBJECT, self._trouble or "no answer")
        else:
            self.desk.clear_fault(FaultCode.PIN_KEY_UNAVAILABLE, SUBJECT)
