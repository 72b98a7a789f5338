"""What the core hears besides devices: the host, the storage, and deadlines.

Device events are in ``drivers.events``, a pump's status in ``pump_status_events``; what the machines tell each other is in
``internal_events``. Everything here is a past fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from terminal.core.card_data import HostAnswer
from terminal.core.card_lists import ListDelta, ListOffer
from terminal.core.deny_subject import DenySubject
from terminal.core.host_events import AppliedDue, HeadOverdue, ReturnDue, StateDue
from terminal.core.ids import MessageKey, SaleId
from terminal.core.point_deadlines import FlowOverdue as FlowOverdue
from terminal.core.point_deadlines import LiftOverdue as LiftOverdue
from terminal.core.point_deadlines import LongestOverdue as LongestOverdue
from terminal.core.point_deadlines import RecordOverdue as RecordOverdue
from terminal.core.units import UtcMs

# --- the host ---------------------------------------------------------------------------------------------------------


class HostTrouble(Enum):
    """Why a call to the host has no usable answer; what it means for the question differs."""

    NO_LINE = "no line"  # the request never left: nothing to reverse
    TIMED_OUT = "timed out"  # it may have arrived
    TECHNICAL = "technical"  # an error status, or an answer that is none


@dataclass(frozen=True, slots=True)
class HostAnswered:
    """The host answered the authorization of a sale."""

    sale: SaleId
    answer: HostAnswer
    host_time: UtcMs | None


@dataclass(frozen=True, slots=True)
class HostFailed:
    """The authorization of a sale has no usable answer."""

    sale: SaleId
    trouble: HostTrouble
    why: str


class UploadResult(Enum):
    """The host's verdict on one message; only RETRY leaves it in the queue."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    ACCEPTED_FLAGGED = "accepted_flagged"
    REJECTED_PERMANENT = "rejected_permanent"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class UploadAnswered:
    """The host answered a message of the outbox. ``key_reuse``: it refuses because it knows the key with another body."""

    key: MessageKey
    result: UploadResult
    host_time: UtcMs | None
    key_reuse: bool = False


@dataclass(frozen=True, slots=True)
class UploadFailed:
    """A call with messages of the outbox, ``key`` the first of ``items``, got no usable answer; all stay in the queue.

    ``refused``: the host itself refuses the call as it is; with fewer items it may take it.
    """

    key: MessageKey
    trouble: HostTrouble
    why: str
    items: int = 1
    refused: bool = False


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """The host said what time it is."""

    host_time: UtcMs


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The host did not say what time it is."""

    trouble: HostTrouble
    why: str


@dataclass(frozen=True, slots=True)
class ListsCurrent:
    """The host was asked and has nothing newer than the live card file."""

    host_time: UtcMs


@dataclass(frozen=True, slots=True)
class ListsReady:
    """A newer card file was built and checked beside the live one."""

    file: str
    epoch: str
    version: int
    rows: int
    host_time: UtcMs
    issued_at: int = 0
    not_after: int = 2**53
    content_hash: str = ""
    confirm_shrink: bool = False

    @property
    def offer(self) -> ListOffer:
        """What its head said."""
        return ListOffer(self.epoch, self.version, self.rows, self.content_hash, self.issued_at, self.not_after, self.confirm_shrink)


@dataclass(frozen=True, slots=True)
class ListsRefused:
    """A list could not be had or was not what it claimed; the old one goes on serving. ``whole``: only changes of it, the whole may do."""

    why: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class ChangesReady:
    """The changes from the live list to a newer one have come and are what their heads promise."""

    deltas: tuple[ListDelta, ...]
    host_time: UtcMs


@dataclass(frozen=True, slots=True)
class ChangesApplied:
    """The live card file holds the changes, durably; ``offer`` is what it is now."""

    file: str
    offer: ListOffer


@dataclass(frozen=True, slots=True)
class DenyPushed:
    """The host denies somebody, or lifts that, over the open stream. ``list_version``: the first list of that epoch that says the same."""

    event: int
    subject: DenySubject
    lifted: bool
    epoch: str
    list_version: int


@dataclass(frozen=True, slots=True)
class ListHint:
    """The host says which lists are its newest; lost, it costs nothing but time."""

    epoch: str
    version: int


@dataclass(frozen=True, slots=True)
class PushUp:
    """The stream from the host is open and has spoken."""


@dataclass(frozen=True, slots=True)
class PushDown:
    """The stream from the host has ended."""

    why: str


@dataclass(frozen=True, slots=True)
class PushUnreadable:
    """Something came over the stream that could not be read; the lists are asked what it may have been."""

    why: str


@dataclass(frozen=True, slots=True)
class AckAnswered:
    """The host has our acknowledgement of this event, or will never want it (``taken`` False)."""

    event: int
    taken: bool


@dataclass(frozen=True, slots=True)
class AckFailed:
    """An acknowledgement got no usable answer; it is sent again."""

    event: int
    trouble: HostTrouble
    why: str


# --- deadlines (posted by the runtime when they fall due; the value is also the deadline's name) ------------------------


@dataclass(frozen=True, slots=True)
class SessionTimedOut:
    """The driver has done nothing for too long."""

    side: int


@dataclass(frozen=True, slots=True)
class PinWaitOver:
    """After many wrong PINs at this terminal: the check may go on."""

    side: int


@dataclass(frozen=True, slots=True)
class NoticeOver:
    """A notice (refusal, go to the pump) has been shown long enough."""

    side: int


@dataclass(frozen=True, slots=True)
class HostOverdue:
    """The host has had its time to authorize this sale."""

    sale: SaleId


@dataclass(frozen=True, slots=True)
class UploadDue:
    """The wait before the next try of the outbox's first message is over."""


@dataclass(frozen=True, slots=True)
class AcknowledgementsDue:
    """Acknowledgements have waited long enough for another commit to take them along."""


@dataclass(frozen=True, slots=True)
class BatchDue:
    """It may be the site's midnight."""


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """It is time to ask the host for the time."""


@dataclass(frozen=True, slots=True)
class ListCheckDue:
    """It is time to ask the host for newer lists."""


@dataclass(frozen=True, slots=True)
class AckDue:
    """It is time to send the acknowledgements again that the host does not have."""


@dataclass(frozen=True, slots=True)
class PricesOverdue:
    """A head was told its prices and is to be asked again, because it has not shown them or shows others."""

    fp: int


@dataclass(frozen=True, slots=True)
class PriceStartDue:
    """An announced price begins about now."""


Deadline = (
    SessionTimedOut
    | PinWaitOver
    | NoticeOver
    | HostOverdue
    | LiftOverdue
    | FlowOverdue
    | LongestOverdue
    | RecordOverdue
    | PricesOverdue
    | PriceStartDue
    | UploadDue
    | AcknowledgementsDue
    | BatchDue
    | ProbeDue
    | ListCheckDue
    | AckDue
    | StateDue
    | AppliedDue
    | ReturnDue
    | HeadOverdue
)


# --- continuations (posted by the runtime right after a step's commit) ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class PinTryCounted:
    """The try is on disk; only now may the PIN be compared."""

    side: int


@dataclass(frozen=True, slots=True)
class ListsInUse:
    """The newly adopted lists are being read now; whoever they deny is stopped."""


@dataclass(frozen=True, slots=True)
class BackupEnded:
    """A backup of the ledger was made, or was not: ``why``, "" when it was."""

    why: str


@dataclass(frozen=True, slots=True)
class RoomSeen:
    """The ledger's disk was looked at: ``why`` there is no room on it for new sales, "" when there is."""

    why: str
