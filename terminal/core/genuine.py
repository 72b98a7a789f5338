"""Is a medium what its card says it is? The trust with which it was read, and the counter of a badge that signs each reading.

A badge of the list's medium "secure badge" is believed only when it has proven itself: one that merely shows its number is taken for a
copy, whatever else it may be. A signed reading is believed once: its counter must lie beyond the newest one known of that badge, and is
written down with the same step, before the badge is used for anything. (features.md F02, F03; reference security-and-reliability 2.3.)
"""

from __future__ import annotations

from drivers.events import MediumKind, MediumPresented, Trust
from terminal.core.badge_counter import BadgeCounter
from terminal.core.card_data import Card
from terminal.core.step import Desk


class Genuineness:
    """``newest``: the counters that the ledger remembers, by token."""

    def __init__(self, desk: Desk, newest: dict[str, int]) -> None:
        self.desk = desk
        self._newest = newest

    def believed(self, medium: MediumPresented, token: str, card: Card | None) -> bool:
        """Judge one presentation; a new counter is kept with this step's commit."""
        if medium.trust is Trust.T0 and card is not None and card.medium == MediumKind.SECURE_BADGE.value:
            return False
        if medium.counter is None:
            return medium.trust is not Trust.T1  # T1 is nothing but the counter
        if medium.counter <= self._newest.get(token, -1):
            return False
        self._newest[token] = medium.counter
        self.desk.persist(BadgeCounter(token, medium.counter))
        return True
