"""A PIN enciphered for the host: ISO 9564-1 format 4. The terminal can make such a block and has no way to open one.

Source: ISO 9564-1:2017 (format 4), as checked in reference/security-and-reliability.md 1.1 and 2.4.

    PIN field   4 ‖ length ‖ digits ‖ A … up to 8 bytes ‖ 8 random bytes
    PAN field   length above 12 ‖ digits ‖ 0 … up to 16 bytes; a shorter PAN stands right in 12 digits
    block       E(E(PIN field) ⊕ PAN field)

So the block is bound to the card: under another PAN it does not open. The digits come from a buffer that its owner wipes, go through one
buffer that is wiped here, and are never text; Python may still copy bytes behind our back, the wipe is best effort.
"""

from __future__ import annotations

from collections.abc import Sequence

from terminal.store.aes import BLOCK, encrypt_block

PIN_MIN, PIN_MAX = 4, 12
PAN_MAX = 19
RANDOM_BYTES = 8

_FORMAT = 0x40
_FILL = 0xA
_ZERO = ord("0")
_PAN_ALIGNED = 12


class PinBlockError(Exception):
    """No block can be made of this. The text is one of a few phrases and carries no digit."""


def encipher(key: bytes, pin: memoryview | bytearray, pan: str, random: bytes) -> bytes:
    """The block of 16 bytes. ``pin`` is 4 to 12 ASCII digits, ``random`` 8 bytes never used before, ``key`` the AES key of this one PIN.

    Raises ``PinBlockError``, without a trace of PIN or PAN.
    """
    pan_part = _pan_field(pan)
    if len(random) != RANDOM_BYTES:
        raise PinBlockError("eight random bytes are needed")
    if len(key) not in (16, 32):
        raise PinBlockError("a PIN key has 16 or 32 bytes")
    text = bytearray(BLOCK)
    try:
        _write_pin_field(text, pin)
        text[BLOCK - RANDOM_BYTES :] = random
        inner = encrypt_block(key, text)
    finally:
        for place in range(BLOCK):
            text[place] = 0
    return encrypt_block(key, bytes(a ^ b for a, b in zip(inner, pan_part, strict=True)))


def _write_pin_field(text: bytearray, pin: Sequence[int]) -> None:
    """The first 8 bytes of the PIN field, in place."""
    length = len(pin)
    if not PIN_MIN <= length <= PIN_MAX:
        raise PinBlockError("a PIN has 4 to 12 digits")
    text[0] = _FORMAT | length
    for place in range(2 * (BLOCK - RANDOM_BYTES - 1)):
        digit = pin[place] - _ZERO if place < length else _FILL
        if place < length and not 0 <= digit <= 9:
            raise PinBlockError("a PIN is made of digits")
        text[1 + place // 2] |= digit << 4 if place % 2 == 0 else digit


def _pan_field(pan: str) -> bytes:
    if not 1 <= len(pan) <= PAN_MAX or not (pan.isascii() and pan.isdigit()):
        raise PinBlockError("a PAN has 1 to 19 digits")
    digits = pan.rjust(_PAN_ALIGNED, "0")
    return bytes.fromhex(f"{len(digits) - _PAN_ALIGNED}{digits}".ljust(2 * BLOCK, "0"))
