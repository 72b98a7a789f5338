"""What the host is told about a sale: values, not bytes. The lane of ``terminal.host`` gives them their wire form."""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.ids import MessageKey, MessageKind, SaleId, close_key, message_key
from terminal.core.pin import PinBlock
from terminal.core.records import MediumRef, NozzleRef


@dataclass(frozen=True, slots=True)
class Authorize:
    """May this medium fuel here, and how much? Answered at once or not at all."""

    sale: SaleId
    epoch: int
    sequence: int
    fp: int
    card: MediumRef
    pin_verified: bool
    prompts: tuple[tuple[str, str], ...]
    nozzles: tuple[NozzleRef, ...]
    wish_ml: int | None
    wish_minor: int | None
    requested_at: int
    clock: str
    list_version: int
    second: MediumRef | None = None
    pin_block: PinBlock | None = None

    kind = MessageKind.AUTHORIZE

    @property
    def key(self) -> MessageKey:
        """The idempotency key."""
        return message_key(self.sale, self.kind)


@dataclass(frozen=True, slots=True)
class Reverse:
    """Forget an authorization that will not be used."""

    sale: SaleId
    epoch: int
    sequence: int
    reason: str

    kind = MessageKind.REVERSE

    @property
    def key(self) -> MessageKey:
        """The idempotency key."""
        return message_key(self.sale, self.kind)


@dataclass(frozen=True, slots=True)
class Booking:
    """How a sale ended: the completion of a host authorization, or the advice of anything else. Volume may be 0."""

    kind: MessageKind
    sale: SaleId
    epoch: int
    sequence: int
    authorization: str | None
    decided_by: str
    fp: int
    nozzle: int | None
    card: MediumRef
    pin_verified: bool
    prompts: tuple[tuple[str, str], ...]
    product: str | None
    price: int | None
    quantity_ml: int
    value_minor: int
    authorized_at: int
    ended_at: int
    end: str
    total_start_ml: int | None
    total_end_ml: int | None
    clock: str
    list_version: int
    cost_centre: str | None = None
    driver: str | None = None
    second: MediumRef | None = None
    marks: tuple[str, ...] = ()

    @property
    def key(self) -> MessageKey:
        """The idempotency key."""
        return message_key(self.sale, self.kind)


@dataclass(frozen=True, slots=True)
class BatchTotal:
    """The sum of a batch's sales with volume above 0 of one product, decided by one of us."""

    product: str
    decided_by: str
    count: int
    quantity_ml: int
    value_minor: int


@dataclass(frozen=True, slots=True)
class CloseBatch:
    """Do our books agree over these sequences? ``open``: not ended yet; ``quarantined``: ended, but the host refused the record for good.

    Neither is part of the sums. ``empty``: so many ended with volume 0. (reference host-and-offline-authorization 9.6.)
    """

    terminal: str
    epoch: int
    batch: int
    attempt: int
    first: int
    last: int
    open: tuple[int, ...]
    quarantined: tuple[int, ...]
    totals: tuple[BatchTotal, ...]
    empty: int

    kind = MessageKind.CLOSE

    @property
    def key(self) -> MessageKey:
        """The idempotency key: one for each attempt, for its sums may differ."""
        return close_key(self.terminal, self.epoch, self.batch, self.attempt)

    @property
    def records(self) -> int:
        """So many of the sequences have ended."""
        return self.last - self.first + 1 - len(self.open)


SaleMessage = Reverse | Booking | CloseBatch
