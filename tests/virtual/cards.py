"""Hands with cards in virtual time: the emulators' keys and APDUs meet the drivers' pure halves, without a reader between them.

A stripe is typed key by key into ``StripeDecoder``, a chip card answers ``FleetDialogue``; what the reader's thread adds (who opens, who
waits, who is gone) is the rig's to show, and is said here in its words.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

from drivers.events import DeviceDown, DeviceUp, MediumKind, MediumPresented, MediumRemoved, MediumUnreadable
from drivers.magstripe.decode import StripeDecoder
from drivers.magstripe.wedge import WedgeLayout
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.dialogue import CardDialogue
from drivers.smartcard.fleet import CardRefused, ChipKey, FleetCard
from hal_sim.magstripe import wedge
from hal_sim.smartcard.card import Card, Habits, make_card
from hal_sim.smartcard.certified import CERTIFIED_MAKES, CardAuthority, make_certified
from tests.virtual.forecourt import SIDE
from tests.virtual.heap import Heap
from tests.virtual.terminal import VirtualTerminal

NOTICE_MS = 300
EXCHANGE_MS = 40
PAUSE_MS = 400
READER = "card-1"


class CardHands(ABC):
    """The part of ``VirtualWorld`` that handles cards."""

    terminal: VirtualTerminal
    heap: Heap

    @abstractmethod
    def pass_time(self, duration_ms: int) -> None:
        """See ``World.pass_time``."""

    def lay_cards_out(self) -> None:
        """Before the first step: the slot is empty, its service runs."""
        self._master = os.urandom(32)
        self._authority = CardAuthority()
        self._pinned = FleetAuthority(self._authority.pem())
        self._card: Card | None = None
        self._heard: list[bytes] = []
        self._announced = False
        self._service = True

    def swipe(self, number: str, *, tracks: tuple[int, ...] = (1, 2), fault: str = "none", second: str = "", rest: str = "") -> None:
        """See ``World.swipe``."""
        rest = rest or "29121010000"
        lines = wedge.tracks_of(number, tracks, rest[:4], rest[4:7], rest[7:])
        follower = wedge.tracks_of(second or number, (2,), "2912", "101", "0000")
        decoder = StripeDecoder(SIDE, WedgeLayout.US)
        for packet in wedge.swipe_packets(lines, follower, wedge.WedgeLayout.US, False, wedge.SwipeFault(fault)):
            self.pass_time(1)
            for event in (*packet, (wedge.EV_SYN, 0, 0)):
                for told in decoder.feed(*event, self.heap.now):
                    self.terminal.post(told)
        self.pass_time(PAUSE_MS)
        for told in decoder.tick(self.heap.now):
            self.terminal.post(told)

    def insert(self, number: str, *, make: str = "fleet", tear_at: int = 0) -> None:
        """See ``World.insert``."""
        self.remove_card()
        habits = Habits(tear_at=tear_at)
        if make in CERTIFIED_MAKES:
            self._card = make_certified(make, number, habits, self._authority, os.urandom(8), "2912")
        else:
            self._card = make_card(make, number, habits, self._master)
        self._heard = self._card.heard
        if self._service and self.terminal.powered:
            self.read_card()

    def read_card(self) -> None:
        """The reader notices the card that is in, if one is."""
        card = self._card
        if card is None:
            return
        self.pass_time(NOTICE_MS)
        token = self.terminal.vault.token if self.terminal.config.rules.bank_cards else None
        dialogue = CardDialogue(False, ChipKey(self._master), os.urandom(16), self._pinned, self.terminal.utc_ms(), token)
        step: bytes | FleetCard = dialogue.start()
        try:
            while isinstance(step, bytes):
                self.pass_time(EXCHANGE_MS)
                card.heard.append(step)
                if len(card.heard) == card.habits.tear_at:
                    self._card = None
                    raise CardRefused("taken out too early")
                step = dialogue.receive(card.apdu(step))
        except CardRefused as refusal:
            self.terminal.post(MediumUnreadable(SIDE, MediumKind.SMART_CARD, str(refusal), refusal.forged))
            return
        self._announced = True
        self.terminal.post(MediumPresented(SIDE, MediumKind.SMART_CARD, step.number, step.trust, expiry=step.expiry))

    def remove_card(self) -> None:
        """See ``World.remove_card``."""
        self._card = None
        self._leave()

    def card_service(self, running: bool) -> None:
        """See ``World.card_service``."""
        if running and not self._service:
            self.terminal.post(DeviceUp(READER))
            self._service = True
            self.read_card()
        elif not running and self._service:
            self._service = False
            self._leave()
            self.terminal.post(DeviceDown(READER, "no PC/SC service"))

    def _leave(self) -> None:
        if self._announced:
            self._announced = False
            self.terminal.post(MediumRemoved(SIDE, MediumKind.SMART_CARD))

    def card_heard(self) -> Sequence[bytes]:
        """See ``World.card_heard``."""
        return tuple(self._heard)
