"""Everything the core may ask for. A step's ``Persist`` effects are committed together before any other effect leaves."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.commands import DeviceCommand
from terminal.core.card_lists import NO_LIST, ListDelta, ListMark
from terminal.core.events import Deadline, ListsInUse, PinTryCounted
from terminal.core.ids import SaleId
from terminal.core.messages import SaleMessage
from terminal.core.records import Record
from terminal.core.terminal_state import TerminalState

BATCH_ITEMS = 100
"""Advices in one call, at most (firmware_notes/host-api.md, Exactly once)."""


@dataclass(frozen=True, slots=True)
class Persist:
    """Write this fact to the journal and to what is kept of it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Store this message for the host in the same commit; it stays queued until the host has answered it."""

    message: SaleMessage


@dataclass(frozen=True, slots=True)
class Send:
    """Tell a device."""

    command: DeviceCommand


@dataclass(frozen=True, slots=True)
class AskHost:
    """Ask the host to authorize a sale; the question is the stored message ``<sale>/authorize``."""

    sale: SaleId


@dataclass(frozen=True, slots=True)
class UploadNext:
    """Send the outbox's first message that the host has not answered; of advices the leading run, at most so many."""

    most: int = BATCH_ITEMS


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Read from the ledger how these sequences ended; what comes of it is the next step.

    ``again``: the records that are to be sent once more; None: all of them.
    """

    batch: int
    first: int
    last: int
    open: tuple[int, ...]
    again: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class ProbeHost:
    """Ask the host for the time."""


@dataclass(frozen=True, slots=True)
class CheckLists:
    """Ask the host for newer lists than this one. ``mark``: the newest ever adopted here; ``whole``: changes will not do."""

    epoch: str
    version: int
    mark: ListMark = NO_LIST
    whole: bool = False


@dataclass(frozen=True, slots=True)
class UseCards:
    """Read cards from this file from now on."""

    file: str


@dataclass(frozen=True, slots=True)
class ApplyChanges:
    """Change the live card file, in one transaction; what comes of it is the next step."""

    deltas: tuple[ListDelta, ...]


@dataclass(frozen=True, slots=True)
class OpenPush:
    """Hold the host's stream open, resumed behind this event; when it is being waited for, try now."""

    last_event: int


@dataclass(frozen=True, slots=True)
class AckEvent:
    """Tell the host that this event is durable here and since when it counts (UTC milliseconds). ``refused``: why it cannot be done."""

    event: int
    effective_at: int
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class ReportState:
    """Tell the host how this terminal is; a report that still waits to be sent is replaced."""

    state: TerminalState


@dataclass(frozen=True, slots=True)
class TellApplied:
    """Tell the host that this list is in use since then (UTC milliseconds)."""

    epoch: str
    version: int
    at: int


@dataclass(frozen=True, slots=True)
class FetchSales:
    """Ask the host for what it has booked of this terminal in an epoch behind a number."""

    epoch: int
    after: int


@dataclass(frozen=True, slots=True)
class CountUp:
    """Count the counter up that no copy of a disk puts back; where it stands then is the next step."""


@dataclass(frozen=True, slots=True)
class StartDeadline:
    """Post ``deadline`` back after so many milliseconds; the same deadline started again replaces the first."""

    deadline: Deadline
    after_ms: int


@dataclass(frozen=True, slots=True)
class CancelDeadline:
    """Forget a deadline; nothing happens when it is not running."""

    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Continue:
    """Handle this event as the next step, before anything else: its cause is durable then."""

    event: PinTryCounted | ListsInUse


Effect = (
    Persist
    | Enqueue
    | Send
    | AskHost
    | UploadNext
    | ReadBatch
    | ProbeHost
    | CheckLists
    | UseCards
    | ApplyChanges
    | OpenPush
    | AckEvent
    | ReportState
    | TellApplied
    | FetchSales
    | CountUp
    | StartDeadline
    | CancelDeadline
    | Continue
)
