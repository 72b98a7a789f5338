"""Hands with badges on the rig: the person holds the emulator's tag before the emulator's PN532, and real nfcpy reads it."""

from __future__ import annotations

from tests.behaviour.setup import Setup
from tests.rig.person import Person


class BadgeHands:
    """The part of ``RigWorld`` that holds badges out."""

    setup: Setup
    _person: Person

    def present_badge(self, number: str, *, make: str = "", second: str = "", tear_after: int = 0) -> None:
        """See ``World.present_badge``."""
        tags = [(number, make or self.setup.tag_of(number))]
        if second:
            tags.append((second, self.setup.tag_of(second)))
        self._person.present(*tags, tear_after=tear_after)
