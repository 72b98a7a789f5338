"""The terminal's own certificate is renewed over the connection that the old one proves: a new key, a request, the host's answer.

From two thirds of a certificate's life on (day 243 of 365) the host is asked; the old pair stays in use until a call with the new one
was answered. What fails is tried again later, and near the end a fault says so. An ended certificate costs the host, never the offline
service. (Reference: security-and-reliability, 4.3; contract: firmware_notes/host-api.md, "The terminal's certificate".)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from terminal.core.host_events import CertificateSeen
from terminal.host.certificates import SKEW_MS, KnownTime, Pair, PairError, PairShelf, Validity, key_of, read_validity
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, Lane

LOOK_MS = 60 * 60_000
AGAIN_MS = 10 * 60_000
OLD_OF_3 = 2
SHORTEST_MS = 24 * 3_600_000
"""An answer that is valid for less would be asked for again at once."""
LOG = logging.getLogger("terminal.host")


class _Client(Protocol):
    """What of ``HostClient`` is needed here."""

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """One call."""

    def close(self) -> None:
        """End the connection."""


class _Issued(msgspec.Struct, frozen=True):
    certificate: str


class _Refused(Exception):
    """The host's answer is no successor of our certificate."""


class Renewal:
    """Looks now and then, on the thread of the worker that it is given to."""

    def __init__(
        self,
        lane: Lane,
        shelf: PairShelf,
        connect: Callable[[Callable[[], Pair]], _Client],
        now: Callable[[], KnownTime | None],
        clock: Callable[[], int],
        deadline_ms: int,
    ) -> None:
        """``connect`` makes a client that proves itself with the pair it asks for; ``clock`` counts milliseconds."""
        self._lane = lane
        self._shelf = shelf
        self._connect = connect
        self._now = now
        self._clock = clock
        self._deadline_ms = deadline_ms
        self._next_look: int | None = None

    def due(self) -> bool:
        """Time for ``look``."""
        return self._next_look is None or self._clock() >= self._next_look

    def look(self, client: _Client) -> CertificateSeen:
        """Ask for a successor when the certificate is old, try one that was fetched; what our certificate is like then."""
        self._next_look = self._clock() + LOOK_MS
        why = ""
        try:
            following = self._shelf.following()
            if following is None and self._old():
                following = self._fetch(client)
            if following is not None:
                self._try(following, client)
        except (_Refused, PairError, OSError) as error:
            self._next_look = self._clock() + AGAIN_MS
            why = str(error) if isinstance(error, (_Refused, PairError)) else (error.strerror or type(error).__name__)
            LOG.warning("event=CertificateNotRenewed why=%r", why)
        try:
            return CertificateSeen(read_validity(self._shelf.current.certificate).ends, why)
        except PairError as error:
            return CertificateSeen(None, str(error))

    def _old(self) -> bool:
        now = self._now()
        if now is None or not now.proven:
            return False
        own = read_validity(self._shelf.current.certificate)
        return (now.utc_ms - own.begins) * 3 >= (own.ends - own.begins) * OLD_OF_3

    def _fetch(self, client: _Client) -> Pair:
        own = read_validity(self._shelf.current.certificate)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, own.name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        body = msgspec.json.encode({"request": request.public_bytes(serialization.Encoding.PEM).decode("ascii")})
        came = client.call(Call("POST", f"/v1/terminals/{self._lane.terminal}/certificate", body), self._deadline_ms)
        if isinstance(came, Trouble):
            raise _Refused(came.why)
        if came.status != 200:
            raise _Refused(f"status {came.status}")
        certificate = _successor(came.body, key, own, self._now())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return self._shelf.put(certificate, pem)

    def _try(self, pair: Pair, proven: _Client) -> None:
        """``proven`` has the old pair. Only a host that answers that one and not the new one does not take the new one."""
        client = self._connect(lambda: pair)
        try:
            came = client.call(self._lane.probe(), self._deadline_ms)
        finally:
            client.close()
        if isinstance(came, Trouble) or came.status != 200:
            why = came.why if isinstance(came, Trouble) else f"status {came.status}"
            old = proven.call(self._lane.probe(), self._deadline_ms)
            if isinstance(old, Answer) and old.status == 200:
                self._shelf.drop(pair)
                raise _Refused(f"the new certificate does not work: {why}")
            raise _Refused(f"the new certificate could not be tried yet: {why}")  # the next look tries it again
        self._shelf.use(pair)
        LOG.info("event=CertificateRenewed number=%d", pair.number)


def _successor(body: bytes, key: ec.EllipticCurvePrivateKey, own: Validity, now: KnownTime | None) -> bytes:
    """The certificate in the host's answer, as PEM, when it is one for our new key and name that is valid for longer. Raises _Refused."""
    try:
        pem = msgspec.json.decode(body, type=_Issued).certificate.encode("ascii")
        found = x509.load_pem_x509_certificate(pem)
    except (msgspec.DecodeError, ValueError) as error:
        raise _Refused("the host's answer holds no certificate") from error
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    names = [str(each.value) for each in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if key_of(found) != public:
        raise _Refused("the host's certificate is for another key")
    if names != [own.name]:
        raise _Refused("the host's certificate is for another name")
    begins = int(found.not_valid_before_utc.timestamp()) * 1000
    if begins <= own.begins:
        # What is no younger is taken for one of before a new commissioning, and goes away at the next start.
        raise _Refused("the host's certificate begins no later than ours")
    if now is not None and begins > now.utc_ms + SKEW_MS:
        raise _Refused("the host's certificate is not valid yet")
    until = int(found.not_valid_after_utc.timestamp()) * 1000
    if until <= own.ends or (now is not None and until < now.utc_ms + SHORTEST_MS):
        raise _Refused("the host's certificate is not valid for longer than ours")
    return pem
