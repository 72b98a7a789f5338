"""AES as badges use it: CBC without padding, CMAC, NXP's half of a MAC, ISO 9797-1 padding.

Sources: RFC 4493 (CMAC), ISO/IEC 9797-1 (padding method 2), NXP AN12196 rev. 2.0 section 4 (MACt).
With ``originality`` and ``smartcard/certificate`` the only file in drivers that imports cryptography. Nothing here knows what its bytes
mean; sizes that do not fit are the caller's mistake and raise ``ValueError`` without a byte of key or text.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

BLOCK = 16
"""Bytes of one AES block."""

ZERO_BLOCK = bytes(BLOCK)


def _aes(key: bytes) -> algorithms.AES:
    if len(key) not in (16, 32):
        raise ValueError("an AES key here has 16 or 32 bytes")
    return algorithms.AES(key)


def _whole_blocks(data: bytes) -> bytes:
    if len(data) % BLOCK:
        raise ValueError("not a whole number of AES blocks")
    return data


def cbc_encrypt(key: bytes, iv: bytes, plain: bytes) -> bytes:
    """AES-CBC of whole blocks, no padding added."""
    cipher = Cipher(_aes(key), modes.CBC(iv)).encryptor()
    return cipher.update(_whole_blocks(plain)) + cipher.finalize()


def cbc_decrypt(key: bytes, iv: bytes, secret: bytes) -> bytes:
    """The reverse of ``cbc_encrypt``."""
    cipher = Cipher(_aes(key), modes.CBC(iv)).decryptor()
    return cipher.update(_whole_blocks(secret)) + cipher.finalize()


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """One block enciphered: CBC from zero is the bare cipher on the first block."""
    if len(block) != BLOCK:
        raise ValueError("not one AES block")
    return cbc_encrypt(key, ZERO_BLOCK, block)


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC, 16 bytes (RFC 4493)."""
    mac = CMAC(_aes(key))
    mac.update(message)
    return mac.finalize()


def short_mac(key: bytes, message: bytes) -> bytes:
    """MACt: the eight bytes 1, 3 ... 15 of the CMAC (AN12196 section 4)."""
    return cmac(key, message)[1::2]


def same(a: bytes, b: bytes) -> bool:
    """Equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(a, b)


def pad(data: bytes) -> bytes:
    """Padding method 2: 80 and then zeros up to a whole block, always at least one byte."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def unpad(data: bytes) -> bytes | None:
    """The data before the padding, None when there is no right padding in the last block."""
    text = data.rstrip(b"\x00")
    if len(data) % BLOCK or len(data) - len(text) >= BLOCK or not text.endswith(b"\x80"):
        return None
    return text[:-1]
