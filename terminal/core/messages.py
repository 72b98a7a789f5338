"""What the host is told about a sale: values, not bytes. The lane of ``terminal.host`` gives them their wire form."""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.ids import MessageKey, MessageKind, SaleId, message_key
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

    @property
    def key(self) -> MessageKey:
        """The idempotency key."""
        return message_key(self.sale, self.kind)


SaleMessage = Reverse | Booking
