"""What a badge tells of itself without a key: for the technician who has to say how a site's badges are to be read. Pure.

Sources: NXP NT4H2421Gx rev. 3.0 section 10 (GetVersion, Read_Sig); the same and GetApplicationIDs, GetFileIDs on DESFire EV1 to EV3;
reference/security-and-reliability.md 2.1 (families) and 2.3 (originality signature: a filter, no proof). Nothing here is proven.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from drivers.badge.apdu import EV2Error, Ev2Step, Frames, PlainExchange, select_application, selected_application, wrap
from drivers.badge.ev2_commands import GET_VERSION, BadgeVersion, badge_version
from drivers.badge.originality import SIGNATURE_BYTES, is_original
from drivers.badge.profiles import Held
from drivers.badge.sun import TEXT_MAX, SunLayout
from drivers.badge.uid import BadgeFamily, first_link, first_text, is_random
from drivers.smartcard.apdu import Done, Send, Step

GET_APPLICATION_IDS = 0x6A
GET_FILE_IDS = 0x6F
READ_SIGNATURE = 0x3C
_STATUS_SIGNATURE = 0x90
_CARD_ITSELF = bytes(3)
_AID_BYTES = 3
_DESFIRE, _NTAG = 0x01, 0x04
_DESFIRE_GENERATIONS = {0x01: "DESFire EV1", 0x12: "DESFire EV2", 0x22: "DESFire EV2 XL", 0x33: "DESFire EV3", 0xA0: "DESFire Light"}
_NTAG_GENERATIONS = {0x30: "NTAG 424 DNA"}
_PICC_DIGITS, _MAC_DIGITS = 32, 16


class Signature(Enum):
    """What the originality signature says. NXP has a key for each kind of chip; only that of NTAG 424 DNA is public and known here."""

    GOOD = "NXP's"
    UNKNOWN = "there, by no key that is known here"
    NONE = "none"


class HeldWide(Held, Protocol):
    """A badge of which the anticollision's bytes are wanted too."""

    @property
    def atqa(self) -> bytes:
        """SENS_RES in the order of the air."""

    @property
    def sak(self) -> int | None:
        """SEL_RES."""


@dataclass(frozen=True, slots=True)
class LearntApplication:
    """An application by its AID (hex, as it stands on the badge). ``files`` None: it does not tell without a key."""

    aid: str
    files: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Learnt:
    """Everything that a badge offers. ``make``: what it calls itself, None where it says nothing."""

    uid: str
    random_uid: bool
    atqa: str
    sak: str
    family: str
    make: str | None
    text: str | None
    link: str | None
    applications: tuple[LearntApplication, ...]
    ndef_application: bool
    signature: str

    @property
    def signed_link(self) -> SunLayout | None:
        """The parameters of a signed link, when its link looks like one: one value of 32 hex digits, one of 16 at the end."""
        return None if self.link is None else layout_of(self.link)


def look(badge: HeldWide) -> Learnt:
    """Ask a badge for everything. Raises ``BadgeRefused`` for an NDEF message out of shape."""
    version = _version(badge) if badge.family is BadgeFamily.TYPE_4 else None
    applications = _applications(badge) if version is not None and version.hardware_type == _DESFIRE else ()
    message = badge.ndef() if badge.family in (BadgeFamily.TYPE_2, BadgeFamily.TYPE_4) else None
    return Learnt(
        uid=badge.uid.hex().upper(),
        random_uid=is_random(badge.uid),
        atqa=badge.atqa[::-1].hex().upper(),
        sak="" if badge.sak is None else f"{badge.sak:02X}",
        family=badge.family.value,
        make=None if version is None else _make(version),
        text=first_text(message) if message else None,
        link=first_link(message) if message else None,
        applications=applications,
        ndef_application=badge.family is BadgeFamily.TYPE_4 and message is not None,
        signature=(_signature(badge) if version is not None else Signature.NONE).value,
    )


def layout_of(link: str) -> SunLayout | None:
    """Which parameters of a link could be UID and counter, file data, and MAC; None when it does not look signed."""
    if len(link) > TEXT_MAX:
        return None
    found = re.findall(r"[?&]([A-Za-z0-9_-]{1,32})=((?:[0-9A-F]{2})+)(?=[&#]|$)", link)
    blocks = [name for name, value in found if len(value) % _PICC_DIGITS == 0]
    macs = [name for name, value in found if len(value) == _MAC_DIGITS]
    if not blocks or len(macs) != 1:
        return None
    return SunLayout(blocks[0], macs[0], blocks[1] if len(blocks) > 1 else None)


def _make(version: BadgeVersion) -> str:
    names = {_DESFIRE: _DESFIRE_GENERATIONS, _NTAG: _NTAG_GENERATIONS}.get(version.hardware_type, {})
    kind = f"type {version.hardware_type:02X}, version {version.hardware_major:02X}.{version.hardware_minor:02X}"
    return names.get(version.hardware_major, f"NXP chip of {kind}")


def _version(badge: Held) -> BadgeVersion | None:
    said = _asked(badge, GET_VERSION)
    try:
        return None if said is None else badge_version(said)
    except EV2Error:
        return None


def _applications(badge: Held) -> tuple[LearntApplication, ...]:
    if not _selected(badge, _CARD_ITSELF):
        return ()
    said = _asked(badge, GET_APPLICATION_IDS) or b""
    found = []
    for at in range(0, len(said) - len(said) % _AID_BYTES, _AID_BYTES):
        aid = said[at : at + _AID_BYTES]
        files = _asked(badge, GET_FILE_IDS) if _selected(badge, aid) else None
        found.append(LearntApplication(aid.hex().upper(), None if files is None else tuple(files)))
    return tuple(found)


def _selected(badge: Held, aid: bytes) -> bool:
    try:
        selected_application(badge.transceive(select_application(aid).apdu))
    except EV2Error:
        return False
    return True


def _asked(badge: Held, ins: int) -> bytes | None:
    """What a badge answers to a native command outside any session; None when it refuses."""
    exchange = PlainExchange(ins)
    try:
        step: Step = exchange.start()
        while isinstance(step, Send):
            step = exchange.receive(badge.transceive(step.apdu))
    except EV2Error:
        return None
    return step.data


def _signature(badge: Held) -> Signature:
    frames = Frames(Ev2Step.ANSWER)
    try:
        step: Step = frames.receive(badge.transceive(wrap(READ_SIGNATURE, b"\x00")))
        while isinstance(step, Send):
            step = frames.receive(badge.transceive(step.apdu))
    except EV2Error:
        return Signature.NONE
    if not isinstance(step, Done) or step.status not in (0x00, _STATUS_SIGNATURE) or len(step.data) != SIGNATURE_BYTES:
        return Signature.NONE
    if not any(step.data):
        return Signature.NONE
    return Signature.GOOD if is_original(badge.uid, step.data) else Signature.UNKNOWN
