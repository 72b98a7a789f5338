"""A chip card from its reset to its number: the fleet's own application, and where the site wants it, a bank card's name behind that."""

from __future__ import annotations

from collections.abc import Callable

from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.emv import EmvDialogue
from drivers.smartcard.fleet import CardRefused, ChipKey, FleetCard, FleetDialogue


class CardDialogue:
    """See ``FleetDialogue``. ``token``: a card that has not our application is asked for a bank card's number, which becomes its token."""

    def __init__(
        self,
        t0: bool,
        key: ChipKey | None,
        challenge: bytes,
        authority: FleetAuthority | None = None,
        now_utc_ms: int | None = None,
        token: Callable[[str], str] | None = None,
    ) -> None:
        self._t0 = t0
        self._token = token
        self._now: FleetDialogue | EmvDialogue = FleetDialogue(t0, key, challenge, authority, now_utc_ms)

    def start(self) -> bytes:
        """The first bytes to send."""
        return self._now.start()

    def receive(self, answer: bytes) -> bytes | FleetCard:
        """What to send next, or the card. Raises ``CardRefused``."""
        try:
            return self._now.receive(answer)
        except CardRefused as refusal:
            if self._token is None or not refusal.foreign:
                raise
        self._now = EmvDialogue(self._t0, self._token)
        return self._now.start()
