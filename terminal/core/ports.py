"""What the core asks of the world while it thinks: small, quick, side-effect free look-ups. Everything else is an event or an effect."""

from __future__ import annotations

from typing import Protocol

from terminal.core.card_data import CardSource, DenyList, PinRule
from terminal.core.ids import SaleId
from terminal.core.pin import PinEntry

__all__ = ["CardSource", "DenyList", "Lists", "Storage", "Vault"]


class Vault(Protocol):
    """Holds the keys, so that the core never does."""

    def token(self, number: str) -> str:
        """The keyed token of a medium's number, 32 hex digits; the same on every terminal of the fleet and at the host."""

    def seal(self, number: str, sale: SaleId) -> str:
        """The number encrypted for the host, bound to the sale; base64. The same every time for the same sale."""

    def pin_matches(self, rule: PinRule, account: str, pin: PinEntry) -> bool:
        """Compare a PIN with its verifier, in the same time whatever is wrong."""


class Lists(CardSource, Protocol):
    """The live card file with its identity."""

    @property
    def epoch(self) -> str:
        """Versions of two epochs do not compare."""

    @property
    def version(self) -> int:
        """0 before the first list."""

    @property
    def deny(self) -> DenyList:
        """Who is stopped."""

    def denied_ranges(self, number: str) -> tuple[tuple[str, str], ...]:
        """The denied ranges (first and last number) that hold this clear number."""


class Storage(Protocol):
    """Is there room to record what we are about to release?"""

    def ready(self) -> bool:
        """False when a new sale could not be recorded to its end."""
