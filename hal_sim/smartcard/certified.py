"""Chip cards that prove themselves by a certificate, and those that pretend to; and the fleet's authority that makes certificates.

Written from ``firmware_notes/chip-card.md`` (Cards with a certificate) and RFC 5280.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from hal_sim.smartcard.card import FLEET_AID, Card, Habits, Personal

SIGNED_TEXT = b"FLEET-CHIP-2"
BEGIN, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)
PAST = datetime(2001, 1, 1, tzinfo=UTC)
_SELECT, _READ, _AUTHENTICATE = 0xA4, 0xB0, 0x88
_NOT_FOUND, _NOT_SUPPORTED, _WRONG_ORDER, _OUT_OF_FILE = b"\x6a\x82", b"\x6d\x00", b"\x69\x85", b"\x6b\x00"


class CardAuthority:
    """Signs cards' certificates."""

    def __init__(self, name: str = "Fleet cards", end: datetime = END) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            _begun(self._name, self._name, self.key.public_key(), end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def pem(self) -> bytes:
        """Its certificate, as the terminal pins it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, number: str, serial: bytes, key: ec.EllipticCurvePublicKey, end: datetime = END, *, ca: bool = False) -> bytes:
        """A card's certificate, DER."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, number), x509.NameAttribute(NameOID.SERIAL_NUMBER, serial.hex().upper())])
        made = _begun(name, self._name, key, end)
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        signed = made.add_extension(_usage(signs=True), critical=True).sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)


def _begun(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, end: datetime) -> x509.CertificateBuilder:
    built = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    return built.serial_number(x509.random_serial_number()).not_valid_before(BEGIN).not_valid_after(end)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, False, False, False, not signs, not signs, False, False)


@dataclass(frozen=True, slots=True)
class Certified:
    """What is written into such a card; ``personal`` has version 0 and no key."""

    personal: Personal
    certificate: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)


class CertifiedCard(Card):
    """The fleet's application with a certificate in file 2."""

    def __init__(self, content: Certified, habits: Habits) -> None:
        self._identity = content.personal.identity()
        self._files = {0x81: self._identity, 0x82: content.certificate}
        self._key = content.key
        super().__init__(habits)

    def power(self) -> None:
        """See ``Card``."""
        super().power()
        self._selected = False
        self._current: bytes | None = None

    def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
        """SELECT, READ BINARY by short file identifier and of the current file, INTERNAL AUTHENTICATE by ECDSA."""
        if ins == _SELECT:
            self._selected, self._current = p1 == 0x04 and data == FLEET_AID, None
            return b"\x6f\x09\x84\x07" + FLEET_AID + b"\x90\x00" if self._selected else _NOT_FOUND
        if not self._selected:
            return _WRONG_ORDER
        if ins == _READ:
            return self._read(p1, p2)
        if ins == _AUTHENTICATE:
            if (p1, p2) != (0x01, 0x80) or len(data) != 16:
                return b"\x6a\x86"
            return signature(self._key, SIGNED_TEXT + data + self._identity) + b"\x90\x00"
        return _NOT_SUPPORTED

    def _read(self, p1: int, p2: int) -> bytes:
        at = p2
        if p1 & 0x80:
            self._current = self._files.get(p1)
        else:
            at |= p1 << 8
        if self._current is None:
            return _NOT_FOUND
        return self._current[at : at + 256] + b"\x90\x00" if at < len(self._current) else _OUT_OF_FILE


def signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r ‖ s, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


CERTIFIED_MAKES = ("certificate", "certificate copy", "certificate of another", "foreign certificate", "expired certificate")
"""A copy has the certificate and not its key; one of another shows somebody else's; a foreign one is of an authority of the same name."""


def make_certified(make: str, number: str, habits: Habits, authority: CardAuthority, serial: bytes, expiry: str) -> Card:
    """A card of one of ``CERTIFIED_MAKES``."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = CardAuthority() if make == "foreign certificate" else authority
    named = number[::-1] if make == "certificate of another" else number
    certificate = issuer.issue(named, serial, key.public_key(), PAST if make == "expired certificate" else END)
    if make == "certificate copy":
        key = ec.generate_private_key(ec.SECP256R1())
    return CertifiedCard(Certified(Personal(number, expiry, 0, serial), certificate, key), habits)
