"""A badge's own key from a group's master key and the badge's UID, as NXP AN10922 does it.

Sources: NXP AN10922 section 2.2 (AES-128; AES-256 alike with two constants); reference/security-and-reliability.md 0.7 and 2.3.
Not plain CMAC: an input shorter than one block is still padded to two blocks, which gives another key than RFC
4493 would. The caller's bytes are never changed.
"""

from __future__ import annotations

from drivers.badge.aes import BLOCK, ZERO_BLOCK, cbc_encrypt, encrypt_block

INPUT_MAX = 2 * BLOCK - 1
"""Bytes of diversification input beside the constant in front of it."""

INPUT_MIN_OURS = BLOCK
"""Our own badges use at least this much, so that plain CMAC gives the same key and every other tool agrees."""

_CONSTANTS = {16: (0x01,), 32: (0x41, 0x42)}
_REDUCTION = 0x87
_UID_BYTES = (4, 7, 10)


def diversify(master: bytes, text: bytes) -> bytes:
    """The diversified key, as long as ``master`` (16 or 32 bytes). ``text`` is 1 to 31 bytes. Raises ``ValueError``."""
    if len(master) not in _CONSTANTS:
        raise ValueError("a master key has 16 or 32 bytes")
    if not 1 <= len(text) <= INPUT_MAX:
        raise ValueError("a diversification input has 1 to 31 bytes")
    return b"".join(_two_block_mac(master, bytes((constant,)) + text) for constant in _CONSTANTS[len(master)])


def badge_key(master: bytes, uid: bytes, aid: bytes, system: bytes) -> bytes:
    """The key of one badge in one application of one system: diversified by UID ‖ AID ‖ system, 16 to 31 bytes. Raises ``ValueError``."""
    if len(uid) not in _UID_BYTES:
        raise ValueError("a UID has 4, 7 or 10 bytes")
    text = uid + aid + system
    if len(text) < INPUT_MIN_OURS:
        raise ValueError("the system's name is too short to keep keys apart")
    return diversify(master, text)


def _two_block_mac(key: bytes, text: bytes) -> bytes:
    """CMAC over exactly two blocks, whatever the length of the text."""
    first = _doubled(encrypt_block(key, ZERO_BLOCK))
    whole = len(text) == 2 * BLOCK
    mask = first if whole else _doubled(first)
    padded = text if whole else (text + b"\x80").ljust(2 * BLOCK, b"\x00")
    masked = padded[:BLOCK] + bytes(a ^ b for a, b in zip(padded[BLOCK:], mask, strict=True))
    return cbc_encrypt(key, ZERO_BLOCK, masked)[BLOCK:]


def _doubled(block: bytes) -> bytes:
    """Multiplication by x in GF(2^128), the subkey step of RFC 4493."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number ^ _REDUCTION) & ((1 << 128) - 1)
    return number.to_bytes(BLOCK, "big")
