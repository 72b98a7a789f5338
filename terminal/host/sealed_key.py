"""The private key of a renewed certificate at rest: sealed, and in clear only in this process's memory.

The key of the seal comes (HKDF, RFC 5869) from the private key of commissioning, which the terminal has as a credential anyway: without
that credential the file shows nothing. The TLS library takes a private key from a file only, so it is given one that no disk has: a
memfd, which is named under ``/proc/self/fd``. (Reference: security-and-reliability, 4.3; firmware_notes/threat-model.md, Assets.)
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES, NONCE_BYTES = 32, 12
_SEAL = b"fleet/tls-key/v1\0"
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class KeySeal:
    """Seals and opens; shows nothing of its key."""

    __slots__ = ("_aead",)

    def __init__(self, commissioned: bytes) -> None:
        """``commissioned``: the private key of commissioning, PEM. Raises ``ValueError`` when it is none."""
        try:
            key = serialization.load_pem_private_key(commissioned, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("the key of commissioning cannot be read") from error
        plain = serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain)
        self._aead = AESGCM(HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=_SEAL).derive(secret))

    def closed(self, content: bytes) -> bytes:
        """What may lie on a disk."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, content, _SEAL)

    def opened(self, sealed: bytes) -> bytes:
        """What was sealed. Raises ``ValueError`` for what this seal did not make, or for a changed bit."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _SEAL)
        except InvalidTag:
            raise ValueError("not sealed with this terminal's key of commissioning") from None


def in_memory(content: bytes) -> int:
    """A file without a disk that holds this and never changes; the caller closes it. Raises ``OSError``."""
    handle = os.memfd_create("key", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(handle, 0o400)
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(content)
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(handle)
        raise
    return handle


def path_of(handle: int) -> Path:
    """Where this process finds it."""
    return Path(f"/proc/self/fd/{handle}")
