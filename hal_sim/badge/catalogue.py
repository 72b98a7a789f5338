"""The badges of a forecourt by number and make: honest ones of one issuer, copies of them, and ways of getting at them in between.

What each kind is for stands in ``firmware_notes/rig.md``, "Badges by make". A number is a badge: its keys, its UID and its reading counter
stay the same however often it is held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from hal_sim.badge.crypto import badge_key
from hal_sim.badge.desfire import Desfire
from hal_sim.badge.ev2 import Application, Ev2Chip, StandardFile
from hal_sim.badge.ntag424 import NAME, Ntag424, SignedLink
from hal_sim.badge.tags import NdefFiles, Tag, Type4A, UidOnlyTag, tag_for_number

APPLICATION = bytes.fromhex("F5A110")
SYSTEM = b"FORECOURT"
KEY_NUMBER, FILE_NUMBER, FILE_BYTES = 1, 1, 32
LINK_BASE = "https://fleet.example/badge"
LINK_TEXT_BYTES = 16
SHORT_ATS = b"\x01"
NTAG_ATS = bytes.fromhex("067777710280")

KINDS = ("auto", "type 4", "desfire", "ntag424", "classic", "clone", "relay", "replay", "foreign link", "short ats")


class SmartTag(Type4A):
    """A badge with a processor: its session ends with the field and with each activation. ``drawn``: it shows another UID each time."""

    def __init__(
        self, chip: Ev2Chip, ats: bytes = bytes.fromhex("067577810280"), *, through: Callable[[bytes], bytes] | None = None,
        drawn: Random | None = None,
    ) -> None:  # fmt: skip
        """``through``: what stands between the chip and the air."""
        self._chip = chip
        self._drawn = drawn
        self._shown = chip.uid if drawn is None else b"\x08" + drawn.randbytes(3)
        super().__init__(chip.uid, through or chip, ats)

    @property
    def uid(self) -> bytes:
        """See ``Tag``."""
        return self._shown

    def _reset(self) -> None:
        super()._reset()
        self._chip.forget()

    def field_lost(self) -> None:
        """See ``Tag``."""
        super().field_lost()
        if self._drawn is not None:
            self._shown = b"\x08" + self._drawn.randbytes(3)


class Tampered:
    """Between a badge and the reader: one bit of the data of answer number ``answer`` (0 is the first) is turned."""

    def __init__(self, chip: Callable[[bytes], bytes], answer: int, bit: int = 0) -> None:
        self._chip = chip
        self._answer = answer
        self._bit = bit
        self._given = 0

    def __call__(self, apdu: bytes) -> bytes:
        said = bytearray(self._chip(apdu))
        if self._given == self._answer and len(said) > 2:
            at = self._bit % (8 * (len(said) - 2))
            said[at // 8] ^= 1 << at % 8
        self._given += 1
        return bytes(said)


class StaticLink(NdefFiles):
    """A Type 4 tag with a link that never changes: what somebody copied from a badge."""

    def __init__(self, file: bytes) -> None:
        super().__init__("")
        self._files = {0xE103: bytes.fromhex("000F20003B00340406E104010000FF"), 0xE104: file}


class Badges:
    """Every badge of one issuer. ``write_keys`` puts the issuer's keys where a terminal reads them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"badges {seed}")  # noqa: S311 - the same badges each time
        self.master, self.sun_meta, self.sun_file = (self._random.randbytes(16) for _ in range(3))
        self._signing: dict[str, Ntag424] = {}

    def write_keys(self, folder: Path) -> dict[str, object]:
        """Files with the keys in hex, and how the badges are made; for the first line that the forecourt prints."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {}
        for name, key in (("master_key", self.master), ("sun_meta_key", self.sun_meta), ("sun_file_key", self.sun_file)):
            path = folder / f"{name.replace('_', '-')}.hex"
            path.touch(mode=0o600)
            path.write_text(key.hex() + "\n", encoding="ascii")
            files[name] = str(path.resolve())
        place = {"application": APPLICATION.hex().upper(), "system": SYSTEM.decode(), "key_number": KEY_NUMBER}
        return files | place | {"file_number": FILE_NUMBER, "length": FILE_BYTES}

    def make(self, number: str, kind: str) -> Tag:
        """The badge with this number as a tag of this kind. Raises ValueError for a number that it cannot carry or an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"the tag is one of {', '.join(KINDS)}")
        if kind in ("auto", "type 4"):
            return tag_for_number(number, type_4=kind == "type 4")
        if not number:
            raise ValueError("a badge needs a number")
        makers: dict[str, Callable[[str], Tag]] = {
            "desfire": lambda n: SmartTag(self.desfire(n)),
            "clone": lambda n: SmartTag(self.desfire(n, self._random.randbytes(16))),
            "relay": self._relayed,
            "short ats": lambda n: SmartTag(self.desfire(n), SHORT_ATS),
            "ntag424": lambda n: SmartTag(self.ntag424(n), NTAG_ATS),
            "replay": self._replayed,
            "foreign link": lambda n: SmartTag(Badges(self._seed + 1).ntag424(n), NTAG_ATS),
            "classic": lambda n: UidOnlyTag(uid_of(n)),
        }
        return makers[kind](number)

    def desfire(self, number: str, key: bytes | None = None) -> Desfire:
        """The chip of a badge whose file says its number; ``key`` in the place of the badge's own."""
        uid, text = uid_of(number), number.encode()
        if len(text) > FILE_BYTES:
            raise ValueError(f"a badge's file has room for {FILE_BYTES} characters")
        own = badge_key(self.master, uid, APPLICATION, SYSTEM) if key is None else key
        file = StandardFile(text.ljust(FILE_BYTES, b"\x00"), read=KEY_NUMBER)
        # Frames far smaller than the real ones, so that every reading is one of several frames.
        return Desfire(
            uid,
            {APPLICATION: Application({0: self._random.randbytes(16), KEY_NUMBER: own}, {FILE_NUMBER: file})},
            self._random.randbytes,
            20,
        )

    def ntag424(self, number: str) -> Ntag424:
        """The badge that signs its link; always the same object for the same number, because it counts."""
        if number not in self._signing:
            uid, text = uid_of(number), number.encode()
            if len(text) > LINK_TEXT_BYTES:
                raise ValueError(f"a signed link has room for {LINK_TEXT_BYTES} characters")
            link = SignedLink(LINK_BASE, self.sun_meta, badge_key(self.sun_file, uid, NAME, SYSTEM), text.ljust(LINK_TEXT_BYTES, b"\x00"))
            self._signing[number] = Ntag424(uid, {0: self._random.randbytes(16)}, self._random.randbytes, link=link)
        return self._signing[number]

    def _relayed(self, number: str) -> Tag:
        chip = self.desfire(number)
        return SmartTag(chip, through=Tampered(chip, READ_ANSWER))

    def _replayed(self, number: str) -> Tag:
        chip = self.ntag424(number)
        if not chip.shown:
            raise ValueError("this badge has not signed a link yet")
        return Type4A(chip.uid, StaticLink(chip.shown), NTAG_ATS)


READ_ANSWER = 5
"""The first part of the file: before it come SelectApplication, the two of the authentication, and GetCardUID in two parts."""


def uid_of(number: str) -> bytes:
    """A UID of seven bytes: the number itself when it is one, else made of it."""
    if len(number) == 14 and all(c in "0123456789abcdefABCDEF" for c in number):
        return bytes.fromhex(number)
    return b"\x04" + hashlib.sha256(number.encode("utf-8")).digest()[:6]
