"""What the core asks of the world while it thinks: small, quick, side-effect free look-ups. Everything else is an event or an effect."""

from __future__ import annotations

from typing import Protocol

from terminal.core.card_data import CardSource, DenyList, PinRule
from terminal.core.card_table import CardRange
from terminal.core.ids import SaleId
from terminal.core.pin import PinBlock, PinEntry
from terminal.core.prompt_rules import Odometer, PromptRule

__all__ = ["CardSource", "DenyList", "Lists", "Storage", "Vault"]


class Vault(Protocol):
    """Holds the keys, so that the core never does."""

    def token(self, number: str) -> str:
        """The keyed token of a medium's number, 32 hex digits; the same on every terminal of the fleet and at the host."""

    def seal(self, number: str, sale: SaleId) -> str:
        """The number encrypted for the host, bound to the sale; base64. The same every time for the same sale."""

    def seal_second(self, number: str, sale: SaleId) -> str:
        """The same for the number of a sale's second card, which never shares a nonce with the first one's."""

    def answer(self, subject: str, prompt: str, answer: str) -> str:
        """An answer to a prompt as the list writes those that are right: keyed, 32 hex digits.

        ``subject`` is the rule's, ``card TOKEN`` or ``customer NAME``.
        """

    def pin_block(self, number: str, pin: PinEntry) -> PinBlock | None:
        """The PIN enciphered for the host under a key that is used once; None when this terminal has no such keys.

        Whatever is needed never to use the key again is durable when this returns.
        """

    def pin_matches(self, rule: PinRule, account: str, pin: PinEntry) -> bool | None:
        """Compare a PIN with its verifier, in the same time whatever is wrong; None when the second key does not answer."""


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

    def ranges(self) -> tuple[CardRange, ...]:
        """The card table."""

    def prompt_rules(self, account: str, customer: str | None) -> tuple[PromptRule, ...]:
        """How the answers of an account's and its customer's prompts are judged."""

    def odometer(self, account: str) -> Odometer | None:
        """The reading of an account's odometer that the host knows."""

    def denied_ranges(self, number: str) -> tuple[tuple[str, str], ...]:
        """The denied ranges (first and last number) that hold this clear number."""


class Storage(Protocol):
    """Is there room to record what we are about to release?"""

    def ready(self) -> bool:
        """False when a new sale could not be recorded to its end."""
