"""Identities: the sale's name is minted once, at reservation, and never changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType

SaleId = NewType("SaleId", str)
"""``terminal-epoch-sequence``, for example ``OPT1-1-42``; the sequence has no holes within a terminal's epoch."""

MessageKey = NewType("MessageKey", str)
"""``<sale>/authorize``, ``/complete``, ``/reverse``, ``/advice`` or ``<terminal>-<epoch>-B<batch>.<attempt>/close``: what makes a repeated
message recognisable."""


class MessageKind(Enum):
    """The messages that a sale can cause, and the close of a batch of them; the value is the last part of the key."""

    AUTHORIZE = "authorize"
    COMPLETE = "complete"
    REVERSE = "reverse"
    ADVICE = "advice"
    CLOSE = "close"


def sale_id(terminal: str, epoch: int, sequence: int) -> SaleId:
    """Compose a sale's id."""
    return SaleId(f"{terminal}-{epoch}-{sequence}")


def message_key(sale: SaleId, kind: MessageKind) -> MessageKey:
    """Compose the key of one message about a sale; the same on every retry."""
    return MessageKey(f"{sale}/{kind.value}")


def close_key(terminal: str, epoch: int, batch: int, attempt: int) -> MessageKey:
    """Compose the key of one attempt to close a batch."""
    return MessageKey(f"{terminal}-{epoch}-B{batch}.{attempt}/{MessageKind.CLOSE.value}")


@dataclass(frozen=True, slots=True)
class Minting:
    """Where the next sale id comes from; ``next_sequence`` is what the ledger will hold with the reservation's commit."""

    terminal: str
    epoch: int
    next_sequence: int

    def id(self) -> SaleId:
        """The id that the next reservation gets."""
        return sale_id(self.terminal, self.epoch, self.next_sequence)

    def after(self) -> Minting:
        """The state once that id is used."""
        return Minting(self.terminal, self.epoch, self.next_sequence + 1)
