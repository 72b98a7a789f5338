"""What drivers hold out, put in and draw through: badges, badges that prove themselves, stripes and chip cards, well and badly.

The emulators' chips and keys meet the drivers' pure halves as in ``tests.virtual.badges`` and ``tests.virtual.cards``; what is said of a
medium that went wrong is what the reader's thread says. A chip card stays in the slot until somebody takes it out, also over a power cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from drivers.badge.profiles import NotGenuine, identify
from drivers.badge.uid import BadgeRefused, NumberProfile
from drivers.events import MediumKind, MediumPresented, MediumRemoved, MediumUnreadable, Trust
from drivers.magstripe.decode import StripeDecoder
from drivers.magstripe.wedge import WedgeLayout
from drivers.smartcard.fleet import CardRefused, ChipKey, FleetCard, FleetDialogue
from hal_sim.badge.catalogue import Badges
from hal_sim.magstripe import wedge
from hal_sim.smartcard.card import Card, Habits, make_card
from tests.drivers.issuer import secure_profile, signing_profile
from tests.simulation.journal_facts import Broken
from tests.virtual.badges import _Held, _Torn
from tests.virtual.forecourt import SIDE
from tests.virtual.heap import Look

PAUSE_MS = 400
NOTICE_MS = 300
EXCHANGE_MS = 40
BADLY = 15
"""One presentation in so many goes wrong,"""
BADLY_SECURE = 4
"""and one in so many of badges that prove themselves: they are few, and most of what is badly shown are copies of them."""
PREFIX = "70"
EXPIRY = "2912"
_NEVER_READ = (wedge.SwipeFault.DROPPED, wedge.SwipeFault.ERROR, wedge.SwipeFault.DOUBLE)
"""What comes of such a swipe may be any card."""

_COPIES = ("clone", "relay", "foreign link", "classic")
_FORGERIES = ("clone",)
"""Says that it can prove itself and cannot: it has no number at all, not even a badge's that proves nothing."""

Act = Iterator[int | Look]
"""What somebody does: milliseconds until he goes on, or what he waits to see."""
Post = Callable[[object], None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Medium:
    """A card as its holder knows it. ``pair``: the place of the card that must be shown with it; ``make``: of a secure badge."""

    number: str
    pin: str | None
    kind: str = "badge"
    make: str = ""
    pair: int | None = None


class Readers:
    """All readers of one terminal side. ``now`` is virtual time, ``post`` the terminal's inbox (lost while it has no power)."""

    def __init__(
        self, now: Callable[[], int], post: Post, after: Callable[[int, Callable[[], None]], None], secure: bool, tell: Say
    ) -> None:
        self._tell = tell
        self._now = now
        self._post = post
        self._after = after
        self._issuer = Badges(0)
        own = (secure_profile(self._issuer), signing_profile(self._issuer)) if secure else ()
        self._profiles = (*own, NumberProfile.AUTO)
        self._master = os.urandom(32)  # decides nothing that a trace shows
        self._slot: Card | None = None
        self._made = "fleet"
        self._announced = False
        self._stripe = StripeDecoder(SIDE, WedgeLayout.US)

    def started(self) -> None:
        """The terminal's program begins: its readers know nothing, and notice the card that is in."""
        self._stripe = StripeDecoder(SIDE, WedgeLayout.US)
        self._announced = False
        card = self._slot
        if card is not None:
            self._after(NOTICE_MS, lambda: self._read(card))

    def lost(self) -> None:
        """The card reader is gone, and for all that it knows a card that it had told of is out."""
        if self._announced:
            self._announced = False
            self._post(MediumRemoved(SIDE, MediumKind.SMART_CARD))

    def found(self) -> None:
        """The card reader is back, and notices the card that is in."""
        card = self._slot
        if card is not None:
            self._after(NOTICE_MS, lambda: self._read(card))

    def present(self, medium: Medium, rng: Random, say: Say) -> Act:
        """Hold it out, draw it through or put it in."""
        badly = rng.randrange(BADLY_SECURE if medium.make else BADLY) == 0
        self._tell(f"driver: {medium.kind} shown" + (" badly" if badly else ""))
        if medium.kind == "stripe":
            yield from self._swipe(medium, rng, badly, say)
        elif medium.kind == "smart card":
            yield from self._insert(medium, rng, badly, say)
        else:
            yield from self._hold(medium, rng, badly, say)

    def take_out(self, rng: Random) -> Act:
        """The driver takes his card along, if there is one in the slot."""
        if self._slot is not None:
            self._leave()
            yield rng.randint(50, 500)

    # --- badges ---------------------------------------------------------------------------------------------------------------

    def _hold(self, medium: Medium, rng: Random, badly: bool, say: Say) -> Act:
        say(f"presents a {medium.kind}")
        if badly:
            say(f"holds a {medium.kind} badly")
            self._post(self._misread(medium, rng))
            yield rng.randint(50, 2_000)
        told = self._identified(medium, "desfire" if medium.make == "" else medium.make)
        self._post(told)
        yield rng.randint(50, 600)
        if isinstance(told, MediumPresented):
            self._post(MediumRemoved(SIDE, told.kind))
        yield rng.randint(10, 500)

    def _misread(self, medium: Medium, rng: Random) -> object:
        if medium.kind == "badge" or rng.randrange(3) == 0:
            return MediumUnreadable(SIDE, MediumKind.BADGE, rng.choice(["taken away too early", "two badges"]))
        return self._identified(medium, rng.choice(_COPIES))

    def _identified(self, medium: Medium, make: str) -> MediumPresented | MediumUnreadable:
        if medium.kind == "badge":
            return MediumPresented(SIDE, MediumKind.BADGE, medium.number)
        try:
            found = identify(_Held(self._issuer.make(medium.number, make), 0), self._profiles, os.urandom)
        except _Torn:
            return MediumUnreadable(SIDE, MediumKind.BADGE, "taken away too early")
        except BadgeRefused as refusal:
            return MediumUnreadable(SIDE, MediumKind.BADGE, str(refusal), isinstance(refusal, NotGenuine))
        if make in _FORGERIES or (make in _COPIES and found.trust is not Trust.T0):
            raise Broken("medium", f"a badge was believed that is a {make}")
        kind = MediumKind.BADGE if found.trust is Trust.T0 else MediumKind.SECURE_BADGE
        return MediumPresented(SIDE, kind, found.number, found.trust, counter=found.counter)

    # --- stripes --------------------------------------------------------------------------------------------------------------

    def _swipe(self, medium: Medium, rng: Random, badly: bool, say: Say) -> Act:
        fault = rng.choice(list(wedge.SwipeFault)) if badly else wedge.SwipeFault.NONE
        say("swipes a card" + (f" ({fault.value})" if badly else ""))
        tracks = wedge.tracks_of(medium.number, rng.choice([(1, 2), (2,), (1,)]), EXPIRY, "101", "0000")
        follower = wedge.tracks_of(f"{PREFIX}{rng.randrange(10**15):015}0", (2,), EXPIRY, "101", "0000")
        at = self._now()
        for packet in wedge.swipe_packets(tracks, follower, wedge.WedgeLayout.US, False, fault):
            at += 1
            for event in (*packet, (wedge.EV_SYN, 0, 0)):
                for told in self._stripe.feed(*event, at):
                    self._read_stripe(told, medium, fault)
        yield at - self._now() + PAUSE_MS
        for told in self._stripe.tick(self._now()):
            self._read_stripe(told, medium, fault)
        yield rng.randint(10, 500)

    def _read_stripe(self, told: MediumPresented | MediumUnreadable, medium: Medium, fault: wedge.SwipeFault) -> None:
        if isinstance(told, MediumPresented):
            if told.number != medium.number:
                raise Broken("medium", f"a stripe ({fault.value}) was read as another number")
            if fault in _NEVER_READ:
                raise Broken("medium", f"a stripe was read in spite of {fault.value}")
        self._post(told)

    # --- chip cards -----------------------------------------------------------------------------------------------------------

    def _insert(self, medium: Medium, rng: Random, badly: bool, say: Say) -> Act:
        yield from self.take_out(rng)
        make, tear_at = "fleet", 0
        if badly:
            make, tear_at = rng.choice([("copy", 0), ("no proof", 0), ("foreign", 0), ("bank", 0), ("fleet", 1), ("fleet", 2)])
        say("puts a card in" + (f" ({make}, out at command {tear_at})" if badly else ""))
        card = make_card(make, medium.number, Habits(tear_at=tear_at), self._master)
        self._slot, self._made = card, make
        yield NOTICE_MS
        self._read(card)
        yield rng.randint(10, 500)

    def _read(self, card: Card) -> None:
        """The reader's whole talk with the card that is in; what it says comes when the last answer is there."""
        if self._slot is not card:
            return
        dialogue = FleetDialogue(False, ChipKey(self._master), os.urandom(16))
        step: bytes | FleetCard = dialogue.start()
        took = 0
        try:
            while isinstance(step, bytes):
                took += EXCHANGE_MS
                card.heard.append(step)
                if len(card.heard) == card.habits.tear_at:
                    self._slot = None
                    raise CardRefused("taken out too early")
                step = dialogue.receive(card.apdu(step))
        except CardRefused as refusal:
            self._post(MediumUnreadable(SIDE, MediumKind.SMART_CARD, str(refusal), refusal.forged))
            return
        found = step
        if self._made != "fleet":
            raise Broken("medium", "a chip card that is no card of ours was believed")

        def tell() -> None:
            if self._slot is card:
                self._announced = True
                self._post(MediumPresented(SIDE, MediumKind.SMART_CARD, found.number, Trust.T2, expiry=found.expiry))

        self._after(took, tell)

    def _leave(self) -> None:
        self._slot = None
        if self._announced:
            self._announced = False
            self._post(MediumRemoved(SIDE, MediumKind.SMART_CARD))
