"""Where cards go: the stripe reader that types, and the chip card reader behind a PC/SC service, as parts of a forecourt.

How the scenario says it and what commands there are: ``firmware_notes/rig.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.keypad.testbed import InputDevice, InputIdentity, InputTestbed
from hal_sim.magstripe.wedge import ALL_CODES, CHARACTER_NS, SwipeFault, WedgeLayout, swipe_packets, tracks_of
from hal_sim.pty_port import Loop, Record
from hal_sim.scenario import CannotStart, Part
from hal_sim.smartcard.card import Habits, make_card
from hal_sim.smartcard.certified import CERTIFIED_MAKES, CardAuthority, make_certified
from hal_sim.smartcard.pcscd import READER, PcscdFailed, PrivatePcscd
from hal_sim.smartcard.vpcd import Slot

Answer = dict[str, Any]
STRIPE = InputIdentity("stripe reader", 6, "SWIPE ACME 90MM", "usb-0000:00:1a.0-2/input0", "SWIPE1", ALL_CODES)
KEY_BYTES = 32
KEY_VERSION = 1
EXPIRY, SERVICE = "2912", "101"


class StripePart:
    """The stripe reader."""

    def __init__(self, device: InputDevice, layout: WedgeLayout, lrc: bool) -> None:
        self.device = device
        self.layout = layout
        self.lrc = lrc

    def describe(self) -> Answer:
        """What the terminal's configuration needs."""
        return {"path": self.device.path, "phys": self.device.phys, "layout": self.layout.value, "lrc": self.lrc}


class CardPart:
    """The chip card reader, its PC/SC service and the fleet's key that every card of this forecourt is made with."""

    def __init__(self, directory: Path, loop: Loop, proof: bool, record: Record | None) -> None:
        """Raises PcscdFailed and OSError."""
        self.master = os.urandom(KEY_BYTES)
        self.key_file = directory / "chip.key"
        self.key_file.write_text(self.master.hex() + "\n", encoding="ascii")
        self.key_file.chmod(0o600)
        self.authority = CardAuthority()
        self.authority_file = directory / "chip-ca.pem"
        self.authority_file.write_bytes(self.authority.pem())
        self.proof = proof
        self.slot = Slot(loop, record)
        self.service = PrivatePcscd(directory / "pcscd")
        self.run(True)

    def run(self, running: bool) -> None:
        """Start or stop the service; a card that is in stays in. Raises PcscdFailed and OSError."""
        if running and not self.service.running:
            self.service.start()
            self.slot.plug(self.service.port)
        elif not running:
            self.slot.unplug()
            self.service.stop()

    def describe(self) -> Answer:
        """What the terminal's configuration needs; without ``proof`` it has no key."""
        key, authority = (str(self.key_file), str(self.authority_file)) if self.proof else (None, None)
        return {"name": READER, "key": key, "version": KEY_VERSION, "authority": authority}

    def close(self) -> None:
        """Stop the service. Safe to call twice."""
        self.slot.take_out()
        self.run(False)


class CardParts:
    """Both readers, each None when the scenario does not ask for it."""

    def __init__(self) -> None:
        self.stripe: StripePart | None = None
        self.reader: CardPart | None = None

    def open_stripe(self, section: object, testbed: Callable[[], InputTestbed]) -> None:
        """Build the stripe reader that the scenario asks for. Raises CannotStart and InputFailed."""
        if section is None:
            return
        part = Part("stripe", section)
        part.only("layout", "lrc")
        try:
            layout = WedgeLayout(part.text("layout", WedgeLayout.US.value))
        except ValueError as error:
            raise CannotStart(f"stripe.layout: one of {', '.join(each.value for each in WedgeLayout)} is expected") from error
        lrc = part.flag("lrc", False)
        self.stripe = StripePart(testbed().add(STRIPE), layout, lrc)

    def open_reader(self, section: object, directory: Path, loop: Loop, log: Callable[[str], Record | None] = lambda name: None) -> None:
        """Build the chip card reader that the scenario asks for; ``log`` gives a wire's record by its name. Raises CannotStart."""
        if section is None:
            return
        part = Part("card_reader", section)
        part.only("proof")
        try:
            self.reader = CardPart(directory, loop, part.flag("proof", True), log("card"))
        except PcscdFailed as error:
            raise CannotStart(str(error)) from error

    def environment(self) -> dict[str, str]:
        """What the terminal's environment needs."""
        return {} if self.reader is None else self.reader.service.environment

    def describe(self) -> Answer:
        """What the terminal's configuration needs."""
        return {
            "stripe_reader": None if self.stripe is None else self.stripe.describe(),
            "card_reader": None if self.reader is None else self.reader.describe(),
        }

    def close(self) -> None:
        """Stop what runs. Safe to call twice."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None


class CardCommands:
    """Commands of people with cards, and to the PC/SC service. A card's number is in no answer."""

    def __init__(self, parts: CardParts) -> None:
        self._parts = parts
        self.commands: dict[str, Callable[[Arguments], Answer]] = {
            "swipe": self._swipe,
            "insert": self._insert,
            "take_out": self._take_out,
            "pcscd": self._pcscd,
            "card_reader": self._card_reader,
        }

    def _swipe(self, args: Arguments) -> Answer:
        stripe = self._parts.stripe
        if stripe is None:
            raise Refused("swipe: there is no stripe reader")
        number, second = args.text("number"), args.text("second", "")
        which = args.texts("tracks") if args.has("tracks") else ["1", "2"]
        expiry, service, rest = args.text("expiry", EXPIRY), args.text("service", SERVICE), args.text("rest", "0000")
        fault = _word(args, "fault", SwipeFault.NONE)
        args.nothing_else()
        tracks = tracks_of(number, tuple(int(track) for track in which if track in ("1", "2")), expiry, service, rest)
        follower = tracks_of(second or number, (2,), expiry, service, rest)
        packets = swipe_packets(tracks, follower, stripe.layout, stripe.lrc, fault)
        stripe.device.play(packets, CHARACTER_NS)
        return {"ok": True, "packets": len(packets)}

    def _reader(self, name: str) -> CardPart:
        if self._parts.reader is None:
            raise Refused(f"{name}: there is no card reader")
        return self._parts.reader

    def _insert(self, args: Arguments) -> Answer:
        part = self._reader("insert")
        make, number = args.text("make", "fleet"), args.text("number", "")
        protocol = args.text("protocol", "T=1")
        habits = Habits(
            t0=protocol == "T=0",
            get_response=args.flag("get_response", False),
            exact_length=args.flag("exact_length", False),
            slow_ms=args.whole("slow_ms", 0, high=60_000),
            mute_at=args.whole("mute_at", 0),
            tear_at=args.whole("tear_at", 0),
            upside_down=args.flag("upside_down", False),
        )
        expiry, version = args.text("expiry", EXPIRY), args.whole("version", KEY_VERSION, 1, 31)
        args.nothing_else()
        if protocol not in ("T=0", "T=1"):
            raise Refused("insert: the protocol is T=0 or T=1")
        if make in CERTIFIED_MAKES:
            part.slot.insert(make_certified(make, number, habits, part.authority, os.urandom(8), expiry))
        else:
            part.slot.insert(make_card(make, number, habits, part.master, expiry=expiry, version=version))
        return {"ok": True}

    def _take_out(self, args: Arguments) -> Answer:
        part = self._reader("take_out")
        args.nothing_else()
        return {"ok": True, "taken": part.slot.take_out()}

    def _pcscd(self, args: Arguments) -> Answer:
        part, running = self._reader("pcscd"), args.flag("running")
        args.nothing_else()
        try:
            part.run(running)
        except (PcscdFailed, OSError) as error:
            raise Refused(f"pcscd: {error}") from error
        return {"ok": True, "running": part.service.running}

    def _card_reader(self, args: Arguments) -> Answer:
        part = self._reader("card_reader")
        args.nothing_else()
        card = part.slot.card
        return {
            "running": part.service.running,
            "card": card is not None,
            "heard": [] if card is None else [command.hex().upper() for command in card.heard],
        }


def _word(args: Arguments, name: str, default: SwipeFault) -> SwipeFault:
    try:
        return SwipeFault(args.text(name, default.value))
    except ValueError as error:
        raise Refused(f"swipe: {name} is one of {', '.join(each.value for each in SwipeFault)}") from error
