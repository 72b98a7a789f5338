"""The bare AES block, for the PIN block and the key derivation that are built of nothing else.

Source: FIPS 197. One block from zero in CBC is the block cipher itself; no second block is ever enciphered with it.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
"""Bytes of one block."""


def encrypt_block(key: bytes, block: bytes | bytearray) -> bytes:
    """One block of 16 bytes enciphered under a key of 16 or 32. Raises ``ValueError`` for other sizes."""
    if len(block) != BLOCK:
        raise ValueError("not one AES block")
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK))).encryptor()
    return cipher.update(block) + cipher.finalize()
