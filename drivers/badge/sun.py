"""SUN: the message that an NTAG 424 writes anew into its URL at each reading, with its UID, a counter and a MAC. Pure.

Sources: NXP NT4H2421Gx rev. 3.0 section 9.3 (SDM), AN12196 rev. 2.0 section 3 and tables 2 to 5; reference/security-and-reliability.md 0.6,
2.3. A right message proves that the badge was read once, at that counter; whoever held it earlier can have stored messages (trust T1).
Whether the counter is newer than the last one is the caller's to judge and to write down before anything is released.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.badge.aes import BLOCK, ZERO_BLOCK, cbc_decrypt, cmac, encrypt_block, same, short_mac

TEXT_MAX = 512
"""Longest URL looked at, in characters; the chip's NDEF file has 256 bytes."""

_UID_BYTES = 7
_COUNTER_BYTES = 3
_TAG_UID_AND_COUNTER = 0xC7
_SV_MAC = bytes.fromhex("3CC300010080")
_SV_ENC = bytes.fromhex("C33C00010080")
_HEX = re.compile(r"(?:[0-9A-F]{2})*")


class SunRefused(Exception):
    """The message is not right. The text is a phrase fit for ``MediumUnreadable.why`` and carries nothing of the badge."""


@dataclass(frozen=True, slots=True)
class SunReading:
    """One proven reading. Equal readings are the same one: ``(uid, counter)`` was never seen twice from an honest badge."""

    uid: bytes = field(repr=False)
    counter: int
    file_data: bytes = field(default=b"", repr=False, compare=False)

    def newer_than(self, last_counter: int | None) -> bool:
        """True when this counter lies beyond the last one known of this badge (None: never seen)."""
        return last_counter is None or self.counter > last_counter


@dataclass(frozen=True, slots=True)
class SunLayout:
    """Names of the URL's parameters, as the badges were made: ``picc`` UID and counter enciphered, ``enc`` file data or None, ``mac``."""

    picc: str = "picc_data"
    mac: str = "cmac"
    enc: str | None = None


FileKey = Callable[[bytes], bytes]
"""UID → the badge's SDMFileReadKey (diversified: ``drivers.badge.diversify``)."""


def decrypt_picc(meta_key: bytes, picc: bytes) -> SunReading:
    """UID and counter out of PICCData (AN12196 table 2). Not proven yet. Raises ``SunRefused``."""
    if len(picc) != BLOCK:
        raise SunRefused("signed message of the wrong length")
    text = cbc_decrypt(meta_key, ZERO_BLOCK, picc)
    # Bit 7 UID, bit 6 counter, low bits the UID's length: without both there is nothing to prove.
    if text[0] != _TAG_UID_AND_COUNTER:
        raise SunRefused("signed message under another key")
    uid, rest = text[1 : 1 + _UID_BYTES], text[1 + _UID_BYTES :]
    return SunReading(uid, int.from_bytes(rest[:_COUNTER_BYTES], "little"))


def file_mac(file_key: bytes, uid: bytes, counter: int, mac_input: bytes) -> bytes:
    """SDMMAC, 8 bytes, over the text between the configured offsets (AN12196 table 5). Raises ``ValueError`` for what is no reading."""
    return short_mac(cmac(file_key, _vector(_SV_MAC, uid, counter)), mac_input)


def decrypt_file_data(file_key: bytes, uid: bytes, counter: int, secret: bytes) -> bytes:
    """SDMENCFileData in clear (AN12196 table 4). Only after the MAC was found right. Raises ``SunRefused``."""
    if not secret or len(secret) % BLOCK:
        raise SunRefused("signed message of the wrong length")
    key = cmac(file_key, _vector(_SV_ENC, uid, counter))
    iv = encrypt_block(key, counter.to_bytes(_COUNTER_BYTES, "little").ljust(BLOCK, b"\x00"))
    return cbc_decrypt(key, iv, secret)


def verify_plain(file_key: bytes, uid: bytes, counter: int, mac: bytes, mac_input: bytes = b"") -> SunReading:
    """A message that carries UID and counter in clear. Raises ``SunRefused``."""
    if len(uid) != _UID_BYTES or not 0 <= counter < 1 << 8 * _COUNTER_BYTES:
        raise SunRefused("signed message of the wrong length")
    if not same(mac, file_mac(file_key, uid, counter, mac_input)):
        raise SunRefused("signature does not fit")
    return SunReading(uid, counter)


def verify(meta_key: bytes, file_key: FileKey, picc: bytes, mac: bytes, secret: bytes = b"", mac_input: bytes = b"") -> SunReading:
    """A whole message: PICCData deciphered, MAC checked, file data deciphered when there is any. Raises ``SunRefused``."""
    reading = decrypt_picc(meta_key, picc)
    key = file_key(reading.uid)
    proven = verify_plain(key, reading.uid, reading.counter, mac, mac_input)
    if not secret:
        return proven
    return SunReading(proven.uid, proven.counter, decrypt_file_data(key, proven.uid, proven.counter, secret))


def verify_text(text: str, layout: SunLayout, meta_key: bytes, file_key: FileKey) -> SunReading:
    """The message in the URL that was read from the badge. Raises ``SunRefused``.

    The MAC covers the text from the value of ``enc`` up to the value of ``mac`` (AN12196 table 5), or nothing without ``enc``.
    """
    if len(text) > TEXT_MAX or not text.isascii():
        raise SunRefused("no signed message")
    picc, _ = _parameter(text, layout.picc)
    mac, mac_at = _parameter(text, layout.mac)
    if layout.enc is None:
        return verify(meta_key, file_key, picc, mac)
    secret, enc_at = _parameter(text, layout.enc)
    if not secret or enc_at > mac_at:
        raise SunRefused("no signed message")
    return verify(meta_key, file_key, picc, mac, secret, text[enc_at:mac_at].encode("ascii"))


def has_parameters(text: str, layout: SunLayout) -> bool:
    """Does this text claim to be a signed message of this layout? One that has only some of its parameters does not."""
    names = (layout.picc, layout.mac, *(() if layout.enc is None else (layout.enc,)))
    return all(re.search(rf"[?&]{re.escape(name)}=", text) for name in names)


def _parameter(text: str, name: str) -> tuple[bytes, int]:
    """The bytes of one parameter and where its value begins. The chip writes capital hex digits and each parameter once."""
    found = [match.end() for match in re.finditer(rf"[?&]{re.escape(name)}=", text)]
    if len(found) != 1:
        raise SunRefused("no signed message")
    value = re.split("[&#]", text[found[0] :], maxsplit=1)[0]
    if not _HEX.fullmatch(value):
        raise SunRefused("no signed message")
    return bytes.fromhex(value), found[0]


def _vector(kind: bytes, uid: bytes, counter: int) -> bytes:
    """SV1 or SV2 of SDM: constants, UID, counter with its low byte first, zeros up to a block."""
    if len(uid) != _UID_BYTES or not 0 <= counter < 1 << 8 * _COUNTER_BYTES:
        raise ValueError("no UID and counter of an NTAG 424")
    return (kind + uid + counter.to_bytes(_COUNTER_BYTES, "little")).ljust(BLOCK, b"\x00")
