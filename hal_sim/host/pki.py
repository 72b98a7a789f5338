"""A certificate authority for one simulated host: server and client certificates for mutual TLS on the loopback.

Source: firmware_notes/host-api.md, section "Transport". P-256, valid from 2000 to 2099 so that no test's clock is outside.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOT_BEFORE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
NOT_AFTER = dt.datetime(2099, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """A new CA each time it is made, or one that was kept. Nobody but ``kept`` writes its key anywhere."""

    def __init__(self, name: str = "Fleet host test CA", *, kept: Issued | None = None) -> None:
        """``kept``: certificate and key of an authority of this name from before. Raises ValueError when they are none."""
        self._name = _name(name)
        if kept is not None:
            key = serialization.load_pem_private_key(kept.key, password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError("the authority's key is of another kind")
            self._key, self.certificate = key, kept.certificate
            self._certificate = x509.load_pem_x509_certificate(kept.certificate)
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(usage, critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = self._certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        begins: dt.datetime = NOT_BEFORE,
        ends: dt.datetime = NOT_AFTER,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    def _issue(
        self,
        common: str,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        valid: tuple[dt.datetime, dt.datetime] = (NOT_BEFORE, NOT_AFTER),
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        return Issued(self._sign(common, key.public_key(), usage, names, valid), _pem(key))

    def _sign(
        self,
        common: str,
        public_key: ec.EllipticCurvePublicKey,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        valid: tuple[dt.datetime, dt.datetime],
    ) -> bytes:
        builder = self._builder(_name(common), public_key, *valid)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def keep(self) -> Issued:
        """The authority's own certificate and key, for ``kept``."""
        return Issued(self.certificate, _pem(self._key))

    def server(self, *others: str) -> Issued:
        """A server certificate for 127.0.0.1, localhost and the given names and addresses."""
        wanted = dict.fromkeys(("localhost", "127.0.0.1", *others))
        return self._issue("localhost", ExtendedKeyUsageOID.SERVER_AUTH, [_general(name) for name in wanted])

    def client(self, terminal: str, begins: dt.datetime = NOT_BEFORE, ends: dt.datetime = NOT_AFTER) -> Issued:
        """A client certificate in the terminal's name."""
        return self._issue(terminal, ExtendedKeyUsageOID.CLIENT_AUTH, [], (begins, ends))

    def renew(self, terminal: str, request: bytes, begins: dt.datetime, ends: dt.datetime) -> bytes:
        """The next certificate for a terminal that asks with a request (PEM) for its own name.

        Raises ``ValueError`` when it is no request, is for another name or of another kind of key, or was not signed by that key.
        """
        asked = x509.load_pem_x509_csr(request)
        key = asked.public_key()
        if asked.subject != _name(terminal):
            raise ValueError("the request is for another name")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1) or not asked.is_signature_valid:
            raise ValueError("the request is not signed by a P-256 key of its own")
        return self._sign(terminal, key, ExtendedKeyUsageOID.CLIENT_AUTH, [], (begins, ends))
