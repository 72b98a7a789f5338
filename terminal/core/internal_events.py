"""What the machines tell each other: past facts that never leave a step. ``Site`` drains them before the step ends.

Each says who tells whom. What comes from outside (host, deadlines, continuations, pump status) is in ``events``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from terminal.core.facts import Judged
from terminal.core.ids import MessageKey, SaleId
from terminal.core.reasons import Reason
from terminal.core.records import Allowed


class EndCause(Enum):
    """Why a sale ended; the value is the word of the host's contract."""

    NOZZLE = "nozzle"
    LIMIT = "limit"
    LIFT_TIMEOUT = "lift_timeout"
    FLOW_TIMEOUT = "flow_timeout"
    STOP = "stop"
    FAULT = "fault"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class PinNeeded:
    """Site → session: this card asks a PIN."""

    side: int


@dataclass(frozen=True, slots=True)
class PromptNeeded:
    """Site → session: a prompt is still unanswered."""

    side: int


@dataclass(frozen=True, slots=True)
class SecondMediumNeeded:
    """Site → session: the card's pair is missing."""

    side: int


@dataclass(frozen=True, slots=True)
class ChoiceOpened:
    """Site → session: everything is known but the fuelling point."""

    side: int


@dataclass(frozen=True, slots=True)
class HostAsked:
    """Site → session: the host has the question."""

    side: int


@dataclass(frozen=True, slots=True)
class PointArmed:
    """Site → session: the hold is durable, the driver may lift the nozzle."""

    side: int
    fp: int


@dataclass(frozen=True, slots=True)
class AttemptRefused:
    """Site → session: no, and why. ``judged``: what the decision looked at, where one was made; ``sale``: what had been reserved."""

    side: int
    reason: Reason
    judged: Judged | None = None
    sale: SaleId | None = None


@dataclass(frozen=True, slots=True)
class MediumDenied:
    """Site → session: the medium of this attempt was denied while its driver stood here."""

    side: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class ServiceStopped:
    """Site → session: nobody can be served now."""

    side: int


@dataclass(frozen=True, slots=True)
class ServiceResumed:
    """Site → session: drivers can be served again."""

    side: int


@dataclass(frozen=True, slots=True)
class ProverRead:
    """Meter desk → session: a test's volume was compared with the prover's."""

    side: int
    volume_ml: int
    prover_ml: int


@dataclass(frozen=True, slots=True)
class SaleArmed:
    """Site → fuelling point: this sale waits for its nozzle here."""

    fp: int
    sale: SaleId


@dataclass(frozen=True, slots=True)
class SaleWithdrawn:
    """Site → fuelling point: the sale that waits here may no longer be served."""

    fp: int
    end: EndCause


@dataclass(frozen=True, slots=True)
class SaleGranted:
    """Site → sale: decided, by the host or by ourselves."""

    sale: SaleId
    decided_by: str
    authorization: str | None
    allowed: tuple[Allowed, ...]
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class NozzleTaken:
    """Fuelling point → sale: a nozzle that this sale may use is out; release is next."""

    sale: SaleId
    nozzle: int
    total_ml: int


@dataclass(frozen=True, slots=True)
class FillRecorded:
    """Fuelling point → sale: what flowed, from the pump's own record."""

    sale: SaleId
    volume_ml: int
    amount_minor: int
    total_ml: int | None
    end: EndCause


@dataclass(frozen=True, slots=True)
class NothingDelivered:
    """Fuelling point or site → sale: it ended without a drop."""

    sale: SaleId
    end: EndCause


@dataclass(frozen=True, slots=True)
class ReversalDue:
    """Site → sale: the host may hold an authorization that we will not use."""

    sale: SaleId
    reason: str


@dataclass(frozen=True, slots=True)
class SaleDoubted:
    """Fuelling point → sale: the pump cannot tell what flowed. Ledger's head → sale: rows are lost in which it may have ended."""

    sale: SaleId
    why: str


@dataclass(frozen=True, slots=True)
class NozzleRefused:
    """Fuelling point → site: a nozzle is out that this sale may not use; ``reason`` says why."""

    fp: int
    sale: SaleId
    nozzle: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class PriceRefused:
    """Fuelling point → site: the nozzle that is out shows another price than the one in force, so nothing is released for this sale."""

    fp: int
    sale: SaleId


@dataclass(frozen=True, slots=True)
class RecordComplete:
    """Fuelling point → itself: fill and totals are read; what flowed is known."""

    fp: int


@dataclass(frozen=True, slots=True)
class SaleAcknowledged:
    """Uploads → sale: the host has answered its final message: booked it, or refused it for good."""

    sale: SaleId


@dataclass(frozen=True, slots=True)
class RecordSetAside:
    """Uploads → batches: the host refuses this message for good; it is no part of a batch's sums."""

    key: MessageKey
