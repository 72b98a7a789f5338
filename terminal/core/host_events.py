"""More of what the host says: corrections and closings over its stream, and what came of the state and list reports that we sent.

Each comes from outside, as those in ``events``. Contract: firmware_notes/host-api.md, "Push", "State" and "The card list".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from terminal.core.units import UtcMs


class CorrectionKind(Enum):
    """What a correction does to a sale that stands as it is."""

    CANCEL = "cancel"  # it counts nothing
    REFUND = "refund"  # so much of it is given back
    SETTLE = "settle"  # it was in doubt, and this is what flowed
    AMEND = "amend"  # other answers to prompts, or of another account


class ClosingScope(Enum):
    """What can be closed."""

    SITE = "site"
    PRODUCT = "product"
    FUELLING_POINT = "fuelling_point"


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """Our own certificate ends then (None: it cannot be read). ``why``: a renewal that was due did not work."""

    ends: UtcMs | int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class CorrectionPushed:
    """The host corrects a sale. ``correction`` is the correction's own name, which comes once; amounts are None where it has none.

    ``account`` and ``customer`` (a card without a customer has none) are where an amended sale counts from now on.
    """

    event: int
    correction: str
    sale: str
    kind: CorrectionKind
    quantity_ml: int | None
    value_minor: int | None
    account: str | None
    customer: str | None
    prompts: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True, slots=True)
class ClosingPushed:
    """The host closes the site, a product or a fuelling point, or opens it again. ``name``: "" for the site, else which one."""

    event: int
    scope: ClosingScope
    name: str
    closed: bool
    why: str


@dataclass(frozen=True, slots=True)
class LedgerConfirmed:
    """The host's people take this terminal's ledger as it is, after it was found to be an older copy (core/rollback.py)."""

    event: int
    why: str


@dataclass(frozen=True, slots=True)
class EventUnusable:
    """An event that must be obeyed came, and could be numbered but not read; the host is told so, or it would come for ever."""

    event: int
    why: str


@dataclass(frozen=True, slots=True)
class StateDue:
    """Deadline: it is time to tell the host how this terminal is."""


@dataclass(frozen=True, slots=True)
class ReturnDue:
    """Deadline: it is time to ask the host for sales that this ledger has lost."""


@dataclass(frozen=True, slots=True)
class HeadOverdue:
    """Deadline: what the host knows of our ledger is not waited for any longer."""


@dataclass(frozen=True, slots=True)
class StateAnswered:
    """The host has our state. ``ledger``: row and hash (hex) of the ledger's newest row that it knew before; None: it knew of none."""

    host_time: UtcMs
    ledger: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class StateFailed:
    """Our state got no usable answer; the next one takes its place."""

    why: str


@dataclass(frozen=True, slots=True)
class AppliedDue:
    """Deadline: it is time to say again which list is in use."""


@dataclass(frozen=True, slots=True)
class AppliedAnswered:
    """The host knows that this list is in use, or will never want to (``host_time`` None)."""

    epoch: str
    version: int
    host_time: UtcMs | None


@dataclass(frozen=True, slots=True)
class AppliedFailed:
    """That a list is in use got no usable answer; it is said again."""

    epoch: str
    version: int
    why: str
