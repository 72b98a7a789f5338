"""Contact cards as APDUs in and out: the fleet's own, copies of it, other makes, a bank card. Sans-IO.

Written from ``firmware_notes/chip-card.md`` and ISO/IEC 7816-3 and 7816-4, with a CMAC and a key diversification of its own: plain RFC
4493 over the whole input, which for inputs of 16 bytes and more is what NXP AN10922 describes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC

FLEET_AID = bytes.fromhex("F0464C45455401")
PROOF_TEXT = b"FLEET-CHIP-1"
ATR_T0 = bytes.fromhex("3B65000046544C3031")
ATR_T1 = bytes.fromhex("3B80800101")
BANK_PSE = b"1PAY.SYS.DDF01"
BANK_AID = bytes.fromhex("A0000000031010")
_SELECT, _READ, _AUTHENTICATE, _GET_RESPONSE = 0xA4, 0xB0, 0x88, 0xC0
_NOT_FOUND, _NOT_SUPPORTED, _WRONG_ORDER, _WRONG_LENGTH = b"\x6a\x82", b"\x6d\x00", b"\x69\x85", b"\x67\x00"


@dataclass(frozen=True, slots=True)
class Habits:
    """How a card behaves on the wire. Counts are commands since it was put in, GET RESPONSE included; 0 is never."""

    t0: bool = False
    get_response: bool = False  # 61xx also over T=1; over T=0 always
    exact_length: bool = False  # 6Cxx when the length asked for is not the right one
    slow_ms: int = 0  # before each answer
    mute_at: int = 0  # this command gets no answer any more
    tear_at: int = 0  # at this command the card is out
    upside_down: bool = False  # no contact at all: not even an answer to reset


class Card:
    """A card with its log: ``heard`` has every command since it was put in."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.heard: list[bytes] = []
        self._rest = b""
        self.power()

    @property
    def atr(self) -> bytes:
        """What it answers to a reset."""
        return b"" if self.habits.upside_down else ATR_T0 if self.habits.t0 else ATR_T1

    def power(self) -> None:
        """Reset, or powered anew: nothing is selected."""
        self._rest = b""

    def apdu(self, command: bytes) -> bytes:
        """The answer to one command APDU."""
        if len(command) < 4:
            return _WRONG_LENGTH
        ins = command[1]
        if ins == _GET_RESPONSE:
            answer, self._rest = self._rest, b""
            return answer or _WRONG_ORDER
        self._rest = b""
        lc = command[4] if len(command) > 5 else 0
        if len(command) > 5 and len(command) not in (5 + lc, 6 + lc):
            return _WRONG_LENGTH
        data = command[5 : 5 + lc]
        le = None if len(command) in (4, 5 + lc) and lc else (command[-1] or 256) if len(command) > 4 else None
        answer = self.execute(ins, command[2], command[3], data)
        body = answer[:-2]
        if body and self.habits.exact_length and le is not None and le != len(body) and ins == _READ:
            return bytes((0x6C, len(body) & 0xFF))
        if body and data and (self.habits.t0 or self.habits.get_response):
            self._rest = answer
            return bytes((0x61, len(body) & 0xFF))
        return answer

    def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
        """What this make of card does; data and status."""
        return _NOT_FOUND if ins == _SELECT else _NOT_SUPPORTED


@dataclass(frozen=True, slots=True)
class Personal:
    """What is written into a fleet card. ``own_key`` None: it has none and gives no proof."""

    number: str = field(repr=False)
    expiry: str = "2912"
    version: int = 1
    serial: bytes = b"\x00\x00\x00\x00\x00\x00\x00\x01"
    own_key: bytes | None = field(default=None, repr=False)

    def identity(self) -> bytes:
        """EF.ID."""
        values = (
            (0xC0, self.number.encode("ascii")),
            (0xC1, bytes.fromhex(self.expiry)),
            (0xC2, bytes((self.version,))),
            (0xC3, self.serial),
        )
        body = b"".join(bytes((tag, len(value))) + value for tag, value in values)
        return bytes((0xE0, len(body))) + body


class FleetCard(Card):
    """The fleet's own application."""

    def __init__(self, personal: Personal, habits: Habits) -> None:
        self._identity = personal.identity()
        self._own_key = personal.own_key
        self._version = personal.version
        super().__init__(habits)

    def power(self) -> None:
        """See ``Card``."""
        super().power()
        self._selected = False

    def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
        """SELECT, READ BINARY by short file identifier 1, INTERNAL AUTHENTICATE."""
        if ins == _SELECT:
            self._selected = p1 == 0x04 and data == FLEET_AID
            return b"\x6f\x09\x84\x07" + FLEET_AID + b"\x90\x00" if self._selected else _NOT_FOUND
        if not self._selected:
            return _WRONG_ORDER
        if ins == _READ:
            return self._identity[p2:] + b"\x90\x00" if p1 == 0x81 and p2 < len(self._identity) else b"\x6b\x00"
        if ins == _AUTHENTICATE and self._own_key is not None:
            if p2 != 0x80 | self._version or len(data) != 16:
                return b"\x6a\x88"
            return cmac(self._own_key, PROOF_TEXT + data + self._identity) + b"\x90\x00"
        return _NOT_SUPPORTED


class BankCard(Card):
    """An EMV card: a payment directory, one application and two records with a number, all of which it gladly shows; and a PIN to try."""

    def __init__(self, number: str, habits: Habits, *, directory: bool = True, expiry: str = "2912") -> None:
        """``directory`` False: it must be asked for its application by name."""
        self._number = number or "9999999999999999"
        self._directory = directory
        self._expiry = expiry
        super().__init__(habits)

    def power(self) -> None:
        """See ``Card``."""
        super().power()
        self._selected = b""
        self._begun = False

    def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
        """SELECT, GET PROCESSING OPTIONS, READ RECORD, and VERIFY, which nobody must ever send."""
        if ins == _SELECT:
            return self._select(data)
        if ins == 0xA8:
            self._begun = self._selected == BANK_AID and data[:1] == b"\x83" and len(data) == 2 + data[1] == 9
            return bytes.fromhex("80063900100102009000") if self._begun else _WRONG_ORDER
        if ins == 0xB2:
            return self._record(p2 >> 3, p1)
        return b"\x90\x00" if ins == 0x20 else _NOT_SUPPORTED

    def _select(self, name: bytes) -> bytes:
        known = name == BANK_AID or (self._directory and name == BANK_PSE)
        self._selected, self._begun = name if known else b"", False
        if not known:
            return _NOT_FOUND
        own = b"\x88\x01\x01" if name == BANK_PSE else tlv(0x50, b"SCHEME") + tlv(0x9F38, bytes.fromhex("9F1A025F2A029A03"))
        return tlv(0x6F, tlv(0x84, name) + tlv(0xA5, own)) + b"\x90\x00"

    def _record(self, file: int, number: int) -> bytes:
        digits = self._number + "F" * (len(self._number) % 2)
        track = f"{self._number}D{self._expiry}2010000000000"
        found = {
            (BANK_PSE, 1, 1): tlv(0x61, tlv(0x4F, BANK_AID) + tlv(0x50, b"SCHEME")),
            (BANK_AID, 2, 1): tlv(0x5F20, b"A DRIVER") + tlv(0x9F1F, b"0000"),
            (BANK_AID, 2, 2): tlv(0x57, bytes.fromhex(track + "F" * (len(track) % 2))) + tlv(0x5A, bytes.fromhex(digits)),
        }.get((self._selected, file, number))
        if found is None or (self._selected == BANK_AID and not self._begun):
            return b"\x6a\x83"
        return tlv(0x70, found) + b"\x90\x00"


def tlv(tag: int, value: bytes) -> bytes:
    """BER-TLV with a short length."""
    return tag.to_bytes(1 if tag < 0x100 else 2, "big") + bytes((len(value),)) + value


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC (RFC 4493)."""
    made = CMAC(algorithms.AES(key))
    made.update(message)
    return made.finalize()


def diversified(master: bytes, serial: bytes, version: int) -> bytes:
    """A card's own key of the fleet's master key of 32 bytes."""
    text = serial + FLEET_AID + bytes((version,))
    return cmac(master, b"\x41" + text) + cmac(master, b"\x42" + text)


MAKES = ("fleet", "copy", "no proof", "foreign", "bank", "bank without directory")
"""Words for ``make_card``; ``certified`` has more. A copy has everything of the card but its key."""


def make_card(make: str, number: str, habits: Habits, master: bytes, *, expiry: str = "2912", version: int = 1) -> Card:
    """A card of this make. Raises ValueError for a make or a text that cannot be, not repeating the number."""
    if make not in MAKES:
        raise ValueError(f"the makes are {', '.join(MAKES)}")
    if make == "foreign":
        return Card(habits)
    if make == "bank without directory":
        return BankCard(number, habits, directory=False, expiry=expiry)
    if make == "bank":
        return BankCard(number, habits, expiry=expiry)
    if not number.isascii() or not 1 <= len(number) <= 32:
        raise ValueError("a card's number has 1 to 32 characters of ASCII")
    if not (expiry.isascii() and expiry.isdigit() and len(expiry) == 4):
        raise ValueError("a card's expiry is YYMM")
    serial = os.urandom(8)
    keys = {"fleet": diversified(master, serial, version), "copy": os.urandom(32), "no proof": None}
    return FleetCard(Personal(number, expiry, version, serial, keys[make]), habits)
