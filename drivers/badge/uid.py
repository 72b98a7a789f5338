"""What a contactless badge is, and what its number is: pure, no reader needed.

Sources: ISO/IEC 14443-3 (SAK, UID sizes, random UIDs), ISO/IEC 14443-4 (ATS), NXP AN10833 (SAK of MIFARE types), NFC Forum NDEF 1.0 and
Text RTD 1.0; reference/security-and-reliability.md 0.5 and 2.1 for what nfcpy gets wrong. Everything here reads attacker-made bytes:
anything out of shape raises ``BadgeRefused``, and no exception text carries bytes of the badge.
"""

from __future__ import annotations

from enum import Enum

MAX_NUMBER_LENGTH = 64
"""Longest text accepted as a badge's number, in characters."""

_UID_LENGTHS = (4, 7, 10)
_RANDOM_UID_FIRST_BYTE = 0x08

_SAK_MIFARE_CLASSIC = 0x08
_SAK_ISO_DEP = 0x20

_DEFAULT_FSCI = 2
_DEFAULT_FWI = 4
_ATS_MAX = 0xFF


class BadgeRefused(ValueError):
    """The badge gives no number. The text is a phrase fit for ``MediumUnreadable.why`` and carries nothing of the badge."""


class NumberProfile(Enum):
    """How a site forms the number of a badge."""

    UID = "uid"
    AUTO = "auto"


class BadgeFamily(Enum):
    """What can be read beyond the UID."""

    TYPE_2 = "type 2"
    TYPE_4 = "type 4"
    MIFARE_CLASSIC = "mifare classic"
    UID_ONLY = "uid only"


def classify(atqa: bytes, sak: int | None) -> BadgeFamily:
    """The family by SAK (None when the badge gave none). ``atqa`` is SENS_RES in the order of the air.

    The library takes every SAK without the ISO-DEP bit for a Type 2 tag and so reads a MIFARE Classic as an Ultralight; therefore bit 3
    (08, 09, 18, 28, 38, 88: all Classic sizes and the parts that emulate one) is looked at first. Only SAK 00 is a real Type 2 tag.
    Raises ``BadgeRefused`` for a Type 1 tag (ATQA xx0C), which has no SAK and whose identifier the chip gives only in part.
    """
    if sak is None or len(atqa) != 2 or atqa[1] & 0x0F == 0x0C:
        raise BadgeRefused("unknown make")
    if sak & _SAK_MIFARE_CLASSIC:
        return BadgeFamily.MIFARE_CLASSIC
    if sak & _SAK_ISO_DEP:
        return BadgeFamily.TYPE_4
    if sak == 0x00:
        return BadgeFamily.TYPE_2
    return BadgeFamily.UID_ONLY


def is_random(uid: bytes) -> bool:
    """Four bytes beginning with 08 are drawn anew at each activation (ISO/IEC 14443-3): they identify nobody."""
    return len(uid) == 4 and uid[0] == _RANDOM_UID_FIRST_BYTE


def check_uid(uid: bytes) -> None:
    """Raises ``BadgeRefused`` for a UID of an impossible length."""
    if len(uid) not in _UID_LENGTHS:
        raise BadgeRefused("impossible UID length")


def uid_number(uid: bytes) -> str:
    """The UID as upper-case hex, in the order of the air. Raises ``BadgeRefused`` for a random UID or an impossible length."""
    check_uid(uid)
    if is_random(uid):
        raise BadgeRefused("random UID")
    return uid.hex().upper()


def badge_number(uid: bytes, ndef: bytes | None, profile: NumberProfile) -> str:
    """The number that a badge carries.

    ``ndef`` is its NDEF message, None when it holds none. Profile UID: the UID in hex. Profile AUTO: the text of the first NDEF text
    record where there is one that is not blank, else the UID in hex. Raises ``BadgeRefused`` with a phrase fit for
    ``MediumUnreadable.why``: a random UID is refused whatever the badge holds.
    """
    number = uid_number(uid)
    if profile is NumberProfile.UID or not ndef:
        return number
    text = (first_text(ndef) or "").strip()
    if len(text) > MAX_NUMBER_LENGTH or not text.isprintable():
        raise BadgeRefused("text is no number")
    return text or number


def first_text(message: bytes) -> str | None:
    """The text of the first well-known "T" record of an NDEF message, None when there is none.

    Raises ``BadgeRefused`` for a message cut short, a chunked record or text in a broken encoding.
    """
    at = 0
    while at < len(message):
        flags = message[at]
        kind, payload, at = _ndef_record(message, at)
        if flags & 0x07 == 0x01 and kind == b"T":
            return _text_payload(payload)
        if flags & 0x40:
            break
    return None


_LINK_PREFIXES = ("", "http://www.", "https://www.", "http://", "https://")
"""NFC Forum RTD URI 1.0, table 3, codes 00 to 04; the others are no links."""


def first_link(message: bytes) -> str | None:
    """The link of an NDEF message whose first record is a well-known "U" record, None when it is not. Raises ``BadgeRefused``."""
    if not message:
        return None
    kind, payload, _ = _ndef_record(message, 0)
    if message[0] & 0x07 != 0x01 or kind != b"U":
        return None
    if not payload or payload[0] >= len(_LINK_PREFIXES):
        return None
    try:
        return _LINK_PREFIXES[payload[0]] + payload[1:].decode("ascii")
    except UnicodeDecodeError:
        return None


def _ndef_record(message: bytes, at: int) -> tuple[bytes, bytes, int]:
    """Type, payload and the offset after the record at ``at``."""
    flags = message[at]
    if flags & 0x20:
        raise BadgeRefused("chunked NDEF record")
    head = 3 if flags & 0x10 else 6
    head += 1 if flags & 0x08 else 0
    if at + head > len(message):
        raise BadgeRefused("NDEF message cut short")
    type_length = message[at + 1]
    size = message[at + 2] if flags & 0x10 else int.from_bytes(message[at + 2 : at + 6], "big")
    id_length = message[at + head - 1] if flags & 0x08 else 0
    type_at = at + head
    payload_at = type_at + type_length + id_length
    end = payload_at + size
    if end > len(message):
        raise BadgeRefused("NDEF message cut short")
    return message[type_at : type_at + type_length], message[payload_at:end], end


def _text_payload(payload: bytes) -> str:
    if not payload or 1 + (payload[0] & 0x3F) > len(payload):
        raise BadgeRefused("NDEF text record cut short")
    raw = payload[1 + (payload[0] & 0x3F) :]
    try:
        # Text RTD 3.3: UTF-16 without a byte order mark is big-endian; Python's "utf-16" would take the machine's order.
        if payload[0] & 0x80:
            return raw.decode("utf-16" if raw[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-16-be")
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        # Not chained: the library's text would quote the badge's bytes.
        raise BadgeRefused("NDEF text in a broken encoding") from None


def full_ats(ats: bytes) -> bytes:
    """The same ATS with every optional byte spelled out: TL, T0, TA(1), TB(1), TC(1), historical bytes.

    ISO/IEC 14443-4 5.2 lets a card leave out T0 and each interface byte. nfcpy reads T0 and TB(1) at fixed places: it breaks on a legal
    short ATS and takes a wrong waiting time from one without TA(1). Given this form it reads what the card meant.
    Raises ``BadgeRefused`` when the ATS contradicts itself, or has so many historical bytes that its length would not fit into TL.
    """
    if not ats or ats[0] != len(ats):
        raise BadgeRefused("broken ATS")
    form = ats[1] if len(ats) > 1 else _DEFAULT_FSCI
    rest = ats[2:]
    interface = bytearray()
    for present, default in ((0x10, 0x00), (0x20, _DEFAULT_FWI << 4), (0x40, 0x02)):
        if not form & present:
            interface.append(default)
        elif rest:
            interface.append(rest[0])
            rest = rest[1:]
        else:
            raise BadgeRefused("broken ATS")
    if 5 + len(rest) > _ATS_MAX:
        raise BadgeRefused("broken ATS")
    return bytes([5 + len(rest), 0x70 | form & 0x0F]) + bytes(interface) + rest
