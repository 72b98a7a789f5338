"""What the core hears of uploads in batches and of their reconciliation; single uploads are in ``events``. (features.md F43, F45.)"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.events import UploadResult
from terminal.core.ids import MessageKey
from terminal.core.messages import Booking
from terminal.core.units import UtcMs


@dataclass(frozen=True, slots=True)
class ItemsAnswered:
    """The host answered several advices that went in one call; one verdict for each, in the order in which they stood."""

    results: tuple[tuple[MessageKey, UploadResult], ...]
    host_time: UtcMs


@dataclass(frozen=True, slots=True)
class CloseAnswered:
    """The host compared a batch. ``missing``: sequences that it has no record of; ``resend_all``: other sums, and it does not know why."""

    key: MessageKey
    balanced: bool
    missing: tuple[int, ...]
    resend_all: bool
    host_time: UtcMs


@dataclass(frozen=True, slots=True)
class EndedSale:
    """How a sale ended, as far as a batch sums it. ``product`` None: nothing flowed."""

    sequence: int
    product: str | None
    decided_by: str
    quantity_ml: int
    value_minor: int


@dataclass(frozen=True, slots=True)
class BatchWasRead:
    """The ledger's word on a batch: its ended sales, those set aside, and the records that are to go again and do not wait already."""

    batch: int
    ended: tuple[EndedSale, ...]
    quarantined: tuple[int, ...]
    bookings: tuple[Booking, ...]
