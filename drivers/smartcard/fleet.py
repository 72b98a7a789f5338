"""What the terminal says to a chip card of the fleet, and what it makes of the answers. Sans-IO.

Source: ``firmware_notes/chip-card.md`` (our own application), ISO/IEC 7816-4 sections 5.1, 5.3, 7.1, 7.2 and 7.5;
reference/security-and-reliability.md 3. SELECT the fleet's application, READ its EF.ID and where it has one its certificate, INTERNAL
AUTHENTICATE. A card is hostile until its proof fits: every answer is bounded and strictly read, and nothing of it goes into an error's
text. No PIN is ever sent to a card, and no application but the fleet's is ever selected here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from drivers.badge.aes import cmac, same
from drivers.badge.diversify import diversify
from drivers.events import Trust
from drivers.smartcard.apdu import ApduError, Command, Exchange, Send, select
from drivers.smartcard.certificate import CERTIFICATE_MAX, CardKey, CertificateRefused, FleetAuthority
from drivers.smartcard.tlv import TlvError, find, parse

FLEET_AID: Final = bytes.fromhex("F0464C45455401")
CHALLENGE_BYTES: Final = 16
PROOF_BYTES: Final = 16
KEY_BYTES: Final = 32
VERSIONS: Final = range(1, 32)
"""Numbers of a fleet's master keys: INTERNAL AUTHENTICATE names one in five bits."""

BY_CERTIFICATE: Final = 0
"""The version of a card that proves itself by a certificate."""

SERIAL_BYTES: Final = 8
ID_MAX: Final = 96
"""Longest EF.ID."""

_OK: Final = 0x9000
_END_OF_FILE: Final = 0x6282
_SFI_ID: Final = 0x81
_OWN_KEY: Final = 0x80
_PROOF_TEXT: Final = b"FLEET-CHIP-1"
_SIGNED_TEXT: Final = b"FLEET-CHIP-2"
_SFI_CERTIFICATE: Final = 0x82
_ECDSA: Final = 0x01
_SEQUENCE: Final = 0x30
_TEMPLATE, _NUMBER, _EXPIRY, _VERSION, _SERIAL = 0xE0, 0xC0, 0xC1, 0xC2, 0xC3
_NUMBERS: Final = re.compile(rb"[0-9A-Z-]{1,32}")
_EXPIRIES: Final = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])", re.ASCII)


class CardRefused(Exception):
    """The card gives no number. The text is a phrase for the event; ``forged``: it could not prove itself, ``foreign``: it has no
    application of ours."""

    def __init__(self, why: str, *, forged: bool = False, foreign: bool = False) -> None:
        super().__init__(why)
        self.forged = forged
        self.foreign = foreign


@dataclass(frozen=True, slots=True)
class ChipKey:
    """A fleet's master key for chip cards, 32 bytes, and its number. Raises ``ValueError``."""

    master: bytes = field(repr=False)
    version: int = 1

    def __post_init__(self) -> None:
        if len(self.master) != KEY_BYTES or self.version not in VERSIONS:
            raise ValueError("a chip key has 32 bytes and a version of 1 to 31")


@dataclass(frozen=True, slots=True)
class FleetCard:
    """What a card said of itself. ``expiry`` YYMM; ``proven``: with a proof that fits our key, or (``certified``) its certificate's."""

    number: str = field(repr=False)
    expiry: str | None = field(repr=False)
    proven: bool
    certified: bool = False

    @property
    def trust(self) -> Trust:
        """How hard it would be to have this without the card."""
        return Trust.T3 if self.certified else Trust.T2 if self.proven else Trust.T0


@dataclass(frozen=True, slots=True)
class _Identity:
    """EF.ID, read."""

    raw: bytes = field(repr=False)
    number: str = field(repr=False)
    expiry: str | None = field(repr=False)
    version: int
    serial: bytes = field(repr=False)


class FleetDialogue:
    """One card from its reset to its number: ``start`` gives the first bytes to send, ``receive`` takes each answer.

    ``t0``: the protocol is T=0. ``challenge``: 16 random bytes, for this card only. ``key`` and ``authority`` both None: the card is
    believed without a proof; else it proves itself by what it has, and that must be one of ours. ``now_utc_ms``: for certificates.
    """

    def __init__(
        self, t0: bool, key: ChipKey | None, challenge: bytes, authority: FleetAuthority | None = None, now_utc_ms: int | None = None
    ) -> None:
        if len(challenge) != CHALLENGE_BYTES:
            raise ValueError("a challenge has 16 bytes")
        self._t0 = t0
        self._key = key
        self._challenge = challenge
        self._authority = authority
        self._now_utc_ms = now_utc_ms
        self._certificate = bytearray()
        self._card_key: CardKey | None = None
        self._identity: _Identity | None = None
        self._selected = False
        self._exchange = Exchange(select(FLEET_AID), t0)

    def start(self) -> bytes:
        """SELECT."""
        return self._exchange.start().apdu

    def receive(self, answer: bytes) -> bytes | FleetCard:
        """What to send next, or the card. Raises ``CardRefused``."""
        try:
            step = self._exchange.receive(answer)
        except ApduError:
            raise CardRefused("does not answer as it should") from None
        if isinstance(step, Send):
            return step.apdu
        if not self._selected:
            if step.status != _OK:
                raise CardRefused("no card of this fleet", foreign=True)
            self._selected = True
            return self._next(Command(0x00, 0xB0, _SFI_ID, 0x00, le=0x100))
        if self._identity is None:
            if step.status not in (_OK, _END_OF_FILE):
                raise CardRefused("its data cannot be read")
            self._identity = _identity(step.data)
            return self._after_identity(self._identity)
        if self._identity.version == BY_CERTIFICATE and self._card_key is None:
            return self._more_certificate(self._identity, step.data, step.status)
        return self._proven(self._identity, step.data, step.status)

    def _next(self, command: Command) -> bytes:
        self._exchange = Exchange(command, self._t0)
        return self._exchange.start().apdu

    def _after_identity(self, identity: _Identity) -> bytes | FleetCard:
        if self._key is None and self._authority is None:
            return FleetCard(identity.number, identity.expiry, proven=False)
        if identity.version == BY_CERTIFICATE and self._authority is not None:
            return self._next(Command(0x00, 0xB0, _SFI_CERTIFICATE, 0x00, le=0x100))
        if self._key is None or identity.version != self._key.version:
            raise CardRefused("proves itself by another key than ours", forged=True)
        return self._next(Command(0x00, 0x88, 0x00, _OWN_KEY | identity.version, self._challenge, PROOF_BYTES))

    def _more_certificate(self, identity: _Identity, piece: bytes, status: int) -> bytes:
        """The next piece of the certificate, and the challenge behind the last one."""
        if status not in (_OK, _END_OF_FILE) or not piece:
            raise CardRefused("gives no proof", forged=True)
        self._certificate += piece
        size = _der_size(bytes(self._certificate[:4]))
        if size is None or size > CERTIFICATE_MAX or len(self._certificate) > size:
            raise CardRefused("shows a certificate that cannot be read", forged=True)
        at = len(self._certificate)
        if at < size:
            return self._next(Command(0x00, 0xB0, at >> 8, at & 0xFF, le=min(0x100, size - at)))
        if self._authority is None:
            raise CardRefused("proves itself by another key than ours", forged=True)
        try:
            self._card_key = self._authority.card_key(bytes(self._certificate), identity.number, identity.serial, self._now_utc_ms)
        except CertificateRefused as refused:
            raise CardRefused(str(refused), forged=True) from None
        return self._next(Command(0x00, 0x88, _ECDSA, _OWN_KEY, self._challenge, 0x100))

    def _proven(self, identity: _Identity, proof: bytes, status: int) -> FleetCard:
        if self._card_key is not None:
            if status != _OK or not self._card_key.signed(signed_by_card(self._challenge, identity.raw), proof):
                raise CardRefused("gives a wrong proof", forged=True)
            return FleetCard(identity.number, identity.expiry, proven=True, certified=True)
        if self._key is None or status != _OK or len(proof) != PROOF_BYTES:
            raise CardRefused("gives no proof", forged=True)
        if not same(proof, proof_of(card_key(self._key, identity.serial), self._challenge, identity.raw)):
            raise CardRefused("gives a wrong proof", forged=True)
        return FleetCard(identity.number, identity.expiry, proven=True)


def card_key(key: ChipKey, serial: bytes) -> bytes:
    """The card's own key, by NXP AN10922 for AES-256 over serial ‖ AID ‖ version. 16 bytes of input, so that plain CMAC agrees."""
    return diversify(key.master, serial + FLEET_AID + bytes((key.version,)))


def proof_of(own_key: bytes, challenge: bytes, identity: bytes) -> bytes:
    """The CMAC that proves the whole EF.ID, so that a card's proof is of no use for another number."""
    return cmac(own_key, _PROOF_TEXT + challenge + identity)


def signed_by_card(challenge: bytes, identity: bytes) -> bytes:
    """What a card with a certificate signs: the whole EF.ID too."""
    return _SIGNED_TEXT + challenge + identity


def _der_size(head: bytes) -> int | None:
    """Bytes of the whole certificate by its first four: it is longer than 127 bytes and shorter than 65,536. None where it is none."""
    if len(head) < 4 or head[0] != _SEQUENCE or head[1] not in (0x81, 0x82):
        return None
    return 3 + head[2] if head[1] == 0x81 else 4 + int.from_bytes(head[2:4], "big")


def _identity(data: bytes) -> _Identity:
    """EF.ID. Raises ``CardRefused`` for anything that is not exactly one identity."""
    shape = CardRefused("its data are out of shape")
    if len(data) > ID_MAX:
        raise shape
    try:
        objects = parse(data)
        template = find(objects, _TEMPLATE)
        fields = {tag: find(template.children, tag).value for tag in (_NUMBER, _EXPIRY, _VERSION, _SERIAL)}
    except TlvError:
        raise shape from None
    number, expiry, version, serial = fields.values()
    if len(objects) != 1 or len(template.children) != len(fields) or not _NUMBERS.fullmatch(number):
        raise shape
    if len(version) != 1 or (version[0] not in VERSIONS and version[0] != BY_CERTIFICATE) or len(serial) != SERIAL_BYTES:
        raise shape
    if expiry and not _EXPIRIES.fullmatch(expiry.hex()):
        raise shape
    return _Identity(data, number.decode("ascii"), expiry.hex() or None, version[0], serial)
