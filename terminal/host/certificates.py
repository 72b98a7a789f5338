"""Certificates and time: which of the host's are valid now, and the terminal's own pair with its successor.

The operating system's wall clock is never asked (design/behaviour-language.md, One clock), so OpenSSL does not check the times of
certificates here; ``judge`` does, by what the terminal can prove. Where nothing is proven there is still a time that has surely passed:
the newest that the ledger has, and the beginning of our own certificate. A certificate that ended before it is refused; one that seems
to begin later is not, because then it is our clock that is behind. (Reference: security-and-reliability, 4.3 and 4.4.)

The terminal's own pair comes with commissioning, read-only, from the service manager's credentials. Its successors are made here:
``state_dir/tls/N/`` holds one pair each, and the file ``tls/use`` names the one in use. A pair is complete and synced before it is named.
Their private keys lie there sealed (sealed_key.py); one that an earlier version left in clear is sealed when it is found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID

from terminal.host.sealed_key import KeySeal, in_memory, path_of

SKEW_MS = 5 * 60_000
"""A certificate made a moment ago by a host whose clock is a little ahead of ours."""
CERTIFICATE, SEALED, USE = "client.crt", "client.key.sealed", "use"
CLEAR = "client.key"
"""Of an earlier version."""


class PairError(ValueError):
    """A certificate or key that cannot be used; the text says why, without any content."""


@dataclass(frozen=True, slots=True)
class KnownTime:
    """The terminal's UTC in milliseconds. Not ``proven``: it is at least this late.

    ``passed_ms``: what has passed by the host's last word. Where that took back a wrong one, the terminal's time stands and is later.
    """

    utc_ms: int
    proven: bool
    passed_ms: int | None = None


def known_time(utc_ms: int | None, *, trusted: bool, own: Path, passed_ms: int | None = None) -> KnownTime | None:
    """The clock's time; without one the beginning of our own certificate, which lies in the past whatever the clock says."""
    if utc_ms is not None:
        return KnownTime(utc_ms, trusted, passed_ms)
    try:
        return KnownTime(read_validity(own).begins, proven=False)
    except PairError:
        return None


def judge(chain: Sequence[bytes], now: KnownTime | None) -> str:
    """Why a verified chain (DER, leaf first) is not valid now; empty when it is, or when nobody can say.

    Raises nothing: what cannot be read is refused.
    """
    if now is None:
        return ""
    passed_ms = now.utc_ms if now.passed_ms is None else now.passed_ms
    for der in chain:
        try:
            certificate = x509.load_der_x509_certificate(der)
            begins, ends = _ms(certificate.not_valid_before_utc), _ms(certificate.not_valid_after_utc)
        except ValueError:
            return "the host's certificate cannot be read"
        if passed_ms > ends:
            return "the host's certificate has expired"
        if now.proven and now.utc_ms + SKEW_MS < begins:
            return "the host's certificate is not valid yet"
    return ""


def common_validity(chain: Sequence[bytes]) -> tuple[int, int]:
    """From when until when (UTC ms) all certificates of a chain (DER) are valid. Raises ``ValueError`` for what cannot be read."""
    found = [x509.load_der_x509_certificate(der) for der in chain]
    return max(_ms(each.not_valid_before_utc) for each in found), min(_ms(each.not_valid_after_utc) for each in found)


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate of ours is valid (UTC ms), and whose it is."""

    begins: int
    ends: int
    name: str


def read_validity(certificate: Path) -> Validity:
    """Of the first certificate in a PEM file. Raises PairError."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise PairError(f"{certificate.name} cannot be read as a certificate ({type(error).__name__})") from error
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Validity(_ms(found.not_valid_before_utc), _ms(found.not_valid_after_utc), str(names[0].value) if names else "")


def _ms(when: datetime) -> int:
    return int(when.replace(tzinfo=UTC).timestamp()) * 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files. ``number`` 0 is the pair of commissioning; the key of any other is in this process's memory only."""

    number: int
    certificate: Path
    key: Path = field(compare=False)


class PairShelf:
    """The terminal's own pairs. ``current`` may be read from any thread; all else belongs to one."""

    def __init__(self, folder: Path, commissioned: Pair) -> None:
        """``folder`` is made with the first successor. A pair that is named but not there, or older than commissioning's, is not used."""
        self._folder = folder
        self._commissioned = commissioned
        self._held: dict[int, weakref.finalize[[int], PairShelf]] = {}
        self.current = self._named() or commissioned

    def _named(self) -> Pair | None:
        try:
            number = int((self._folder / USE).read_text(encoding="ascii"))
            if read_validity(self._folder / str(number) / CERTIFICATE).begins < read_validity(self._commissioned.certificate).begins:
                return None  # somebody commissioned this terminal anew
            pair = self._opened(number)
            return pair if fits(pair) else None
        except (OSError, ValueError):
            return None

    def _opened(self, number: int) -> Pair:
        """This pair, its key where the TLS library can read it. Raises ``OSError`` and ``ValueError``."""
        place = self._folder / str(number)
        seal = KeySeal(self._commissioned.key.read_bytes())
        if (place / SEALED).exists():
            key = seal.opened((place / SEALED).read_bytes())
            with contextlib.suppress(OSError):
                (place / CLEAR).unlink(missing_ok=True)  # the power went before it had gone
        else:
            key = (place / CLEAR).read_bytes()
            with contextlib.suppress(OSError):  # a disk that takes nothing now does so at another start
                _seal_at_last(place, seal.closed(key))
        self._release(number)
        handle = in_memory(key)
        self._held[number] = weakref.finalize(self, os.close, handle)
        return Pair(number, place / CERTIFICATE, path_of(handle))

    def _release(self, number: int) -> None:
        """Of a pair that nobody uses: its key leaves the memory too."""
        close = self._held.pop(number, None)
        if close is not None:
            close()

    def following(self) -> Pair | None:
        """A successor that was fetched and never used yet. What is no younger is none: a commissioning came after it, and it goes away."""
        number = self.current.number + 1
        with contextlib.suppress(OSError, ValueError):
            if read_validity(self._folder / str(number) / CERTIFICATE).begins > read_validity(self.current.certificate).begins:
                pair = self._opened(number)
                if fits(pair):
                    return pair
        self._drop(number)
        return None

    def put(self, certificate: bytes, key: bytes) -> Pair:
        """Keep this pair (PEM) as the successor of the current one, whole, sealed and synced. Raises OSError and PairError."""
        number = self.current.number + 1
        place = self._folder / str(number)
        try:
            sealed = KeySeal(self._commissioned.key.read_bytes()).closed(key)
        except ValueError as error:
            raise PairError(str(error)) from error
        self._folder.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        _write(place / SEALED, sealed)
        _write(place / CERTIFICATE, certificate)
        _sync(place)
        _sync(self._folder)
        return self._opened(number)

    def use(self, pair: Pair) -> None:
        """It has worked: from now on this one, and all others of ours go away. Raises OSError."""
        partial = self._folder / f"{USE}.part"
        _write(partial, str(pair.number).encode("ascii"))
        partial.replace(self._folder / USE)
        _sync(self._folder)
        self.current = pair
        for other in self._folder.iterdir():
            if other.is_dir() and other != pair.certificate.parent:
                shutil.rmtree(other, ignore_errors=True)

    def drop(self, pair: Pair) -> None:
        """It does not work: away with it."""
        self._drop(pair.number)

    def _drop(self, number: int) -> None:
        self._release(number)
        shutil.rmtree(self._folder / str(number), ignore_errors=True)


def _seal_at_last(place: Path, sealed: bytes) -> None:
    """In the place of a key in clear, for whom that was. Raises ``OSError``; the clear one is there then."""
    partial = place / f"{SEALED}.part"
    _write(partial, sealed)
    status = (place / CLEAR).stat()
    os.chown(partial, status.st_uid, status.st_gid)
    partial.replace(place / SEALED)
    _sync(place)
    (place / CLEAR).unlink()
    _sync(place)


def fits(pair: Pair) -> bool:
    """Can both files be read, and is the key that of the certificate? A bit that turned over on the flash makes every connection fail."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
        return _public(key.public_key()) == key_of(certificate)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write(path: Path, content: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_of(certificate: x509.Certificate) -> bytes:
    """The public key, to compare."""
    return _public(certificate.public_key())
