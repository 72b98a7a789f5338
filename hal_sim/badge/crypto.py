"""AES as badges use it: CBC, CMAC and its short form, and keys made from a master key and a UID. A second opinion beside the product's.

Sources: RFC 4493 (CMAC), NXP AN12196 and AN10922 as told in ``firmware_notes/badges.md``; golden vectors in ``badges.vectors.toml``.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

ZEROS = bytes(16)


def encipher(key: bytes, data: bytes, iv: bytes = ZEROS) -> bytes:
    """AES-CBC of whole blocks."""
    worker = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return worker.update(data) + worker.finalize()


def decipher(key: bytes, data: bytes, iv: bytes = ZEROS) -> bytes:
    """The other way round."""
    worker = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return worker.update(data) + worker.finalize()


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC, 16 bytes."""
    worker = CMAC(algorithms.AES(key))
    worker.update(data)
    return worker.finalize()


def short_cmac(key: bytes, data: bytes) -> bytes:
    """Bytes 1, 3 … 15 of the CMAC."""
    return cmac(key, data)[1::2]


def padded(data: bytes) -> bytes:
    """With 80 and zeros up to the next block, a whole one more when it was full."""
    return (data + b"\x80").ljust((len(data) // 16 + 1) * 16, b"\x00")


def unpadded(data: bytes) -> bytes | None:
    """Without that padding; None when it is not there."""
    text = data.rstrip(b"\x00")
    return text[:-1] if text.endswith(b"\x80") else None


def badge_key(master: bytes, uid: bytes, application: bytes, system: bytes) -> bytes:
    """AN10922 for AES-128: CMAC over 01 ‖ UID ‖ application ‖ system. Raises ValueError below 17 bytes, where plain CMAC is another key."""
    text = b"\x01" + uid + application + system
    if not 17 <= len(text) <= 32:
        raise ValueError("a diversification input has 17 to 32 bytes")
    return cmac(master, text)
