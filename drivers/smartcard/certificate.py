"""A chip card's certificate: is it of the fleet's authority, in force, of this very card, and was the proof made with its key? Pure.

Source: ``firmware_notes/chip-card.md`` (Cards with a certificate); RFC 5280 (X.509, section 6.1 for a path of two); FIPS 186-5 (ECDSA).
Certificates come from cards, which are hostile until proven: everything that is not exactly as it must be is refused in the words
of a closed set, and nothing of it is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

CERTIFICATE_MAX: Final = 1_024
"""Longest certificate of a card, in bytes."""

SIGNATURE_BYTES: Final = 64
AUTHORITIES_MAX: Final = 4
_HALF: Final = SIGNATURE_BYTES // 2
_READING = (
    *(ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.ExtensionNotFound, x509.InvalidVersion),
    CryptographyDeprecationWarning,
)
"""What the library raises for certificates that it cannot make sense of, some of it only when a part is looked at; and its warning of
what it will refuse one day, which is an error where somebody made it one."""


class CertificateRefused(Exception):
    """The text is a phrase of a closed set."""


@dataclass(frozen=True, slots=True)
class CardKey:
    """The key of a card whose certificate is in order."""

    public: EllipticCurvePublicKey

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Is this ``r ‖ s`` of 64 bytes the card's signature of the message?"""
        if len(signature) != SIGNATURE_BYTES:
            return False
        r, s = (int.from_bytes(signature[at : at + _HALF], "big") for at in (0, _HALF))
        try:
            self.public.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


class FleetAuthority:
    """The pinned authorities that make card certificates, one to four: the one in use, and the next while cards are exchanged."""

    def __init__(self, pem: bytes) -> None:
        """``pem``: their certificates. Raises ``ValueError`` for anything that is not one to four authorities with P-256 keys."""
        try:
            found = x509.load_pem_x509_certificates(pem)
            good = 1 <= len(found) <= AUTHORITIES_MAX and all(_is_authority(one) for one in found)
        except _READING:
            good = False
        if not good:
            raise ValueError("not one to four certificates of authorities with keys on the curve P-256")
        self._pinned = tuple(found)

    def card_key(self, der: bytes, number: str, serial: bytes, now_utc_ms: int | None) -> CardKey:
        """The key of the card with this number and serial. ``now_utc_ms`` None: nobody knows the time, and nothing is in force.

        Raises ``CertificateRefused``.
        """
        try:
            leaf = x509.load_der_x509_certificate(der)
            if leaf.serial_number <= 0:
                raise ValueError  # RFC 5280, 4.1.2.2
            issuer = self._issuer_of(leaf)
            self._in_force(leaf, issuer, now_utc_ms)
            _is_this_card(leaf, number, serial)
            key = _key(leaf)
        except _READING:
            raise CertificateRefused("shows a certificate that cannot be read") from None
        if key is None:
            raise CertificateRefused("shows a certificate for another kind of key")
        return CardKey(key)

    def _issuer_of(self, leaf: x509.Certificate) -> x509.Certificate:
        for one in self._pinned:
            if leaf.issuer == one.subject:
                try:
                    leaf.verify_directly_issued_by(one)
                except InvalidSignature:
                    continue
                return one
        raise CertificateRefused("shows a certificate of another authority")

    @staticmethod
    def _in_force(leaf: x509.Certificate, issuer: x509.Certificate, now_utc_ms: int | None) -> None:
        if now_utc_ms is None:
            raise CertificateRefused("shows a certificate, and the time is not known")
        now = datetime.fromtimestamp(now_utc_ms // 1000, UTC)
        for one in (leaf, issuer):
            if now < one.not_valid_before_utc:
                raise CertificateRefused("shows a certificate that is not in force yet")
            if now > one.not_valid_after_utc:
                raise CertificateRefused("shows a certificate that has expired")


def _is_this_card(leaf: x509.Certificate, number: str, serial: bytes) -> None:
    """Its name is this card's number and serial, it signs, and it makes no certificates itself."""
    names = {attribute.oid: attribute.value for attribute in leaf.subject}
    wanted = {NameOID.COMMON_NAME: number, NameOID.SERIAL_NUMBER: serial.hex().upper()}
    if len(list(leaf.subject)) != len(wanted) or names != wanted:
        raise CertificateRefused("shows another card's certificate")
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    known = {x509.KeyUsage.oid, x509.BasicConstraints.oid}
    strange = any(extension.critical and extension.oid not in known for extension in leaf.extensions)
    if basic.ca or not usage.digital_signature or usage.key_cert_sign or strange:
        raise CertificateRefused("shows a certificate that is not for cards")


def _is_authority(one: x509.Certificate) -> bool:
    basic = one.extensions.get_extension_for_class(x509.BasicConstraints).value
    return basic.ca and _key(one) is not None


def _key(one: x509.Certificate) -> EllipticCurvePublicKey | None:
    key = one.public_key()
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None
