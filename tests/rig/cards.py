"""Hands with cards on the rig: the stripe reader types into the real evdev, the chip card sits behind a real PC/SC service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from tests.rig.forecourt_client import ForecourtClient
from tests.rig.person import Person
from tests.rig.process import TerminalProcess
from tests.rig.settings import NotBuilt

TYPED_MS = 1_500
"""A swipe is typed in a fifth of a second, and is over by a pause at the latest."""
READ_MS = 8_000
"""A card that does not answer is given up after so long, with some patience."""
GONE_MS = 700
"""The reader looks for its card twice a second: a swap must not be quicker."""


class CardHands(ABC):
    """The part of ``RigWorld`` that handles cards."""

    _forecourt: ForecourtClient
    _terminal: TerminalProcess
    _person: Person
    _heard: Sequence[bytes] = ()
    _service = True

    @abstractmethod
    def wait(self, until: Callable[[], bool], at_most_ms: int) -> bool:
        """See ``World.wait``."""

    def swipe(self, number: str, *, tracks: tuple[int, ...] = (1, 2), fault: str = "none", second: str = "", rest: str = "") -> None:
        """See ``World.swipe``: looks until the terminal shows something; a terminal without power hears nothing."""
        if not self._terminal.powered:
            return
        before = self._pictures()
        track = {"expiry": rest[:4], "service": rest[4:7], "rest": rest[7:]} if rest else {}
        self._forecourt.do("swipe", number=number, tracks=[str(track) for track in tracks], fault=fault, second=second, **track)
        self.wait(lambda: self._pictures() > before, TYPED_MS)
        self._person.still()

    def insert(self, number: str, *, make: str = "fleet", tear_at: int = 0) -> None:
        """See ``World.insert``: in the place of another that is in; looks until the terminal shows something."""
        self._need_reader()
        self.remove_card()
        before = self._pictures()
        self._forecourt.do("insert", number=number, make=make, tear_at=tear_at)
        self._shown(before)

    def remove_card(self) -> None:
        """See ``World.remove_card``: returns when the reader has noticed."""
        self.card_heard()
        if self._forecourt.ready["card_reader"] and self._forecourt.do("take_out")["taken"]:
            self.wait(lambda: False, GONE_MS)

    def card_service(self, running: bool) -> None:
        """See ``World.card_service``: a card that is still in is read again when it returns."""
        self._need_reader()
        before = self._pictures()
        self._forecourt.do("pcscd", running=running)
        self._service = running
        if self._forecourt.do("card_reader")["card"]:
            self._shown(before)

    def card_heard(self) -> Sequence[bytes]:
        """See ``World.card_heard``."""
        if self._forecourt.ready["card_reader"]:
            told = self._forecourt.do("card_reader")
            if told["card"]:
                self._heard = [bytes.fromhex(command) for command in told["heard"]]
        return self._heard

    def _need_reader(self) -> None:
        if not self._forecourt.ready["card_reader"]:
            raise NotBuilt("the rig has a chip card reader when a smart card stands in the table of the cards")

    def _shown(self, before: int) -> None:
        if self._terminal.powered and self._service:
            self.wait(lambda: self._pictures() > before, READ_MS)
            self._person.still()

    def _pictures(self) -> int:
        self._person.look()
        return len(self._person.pictures)
