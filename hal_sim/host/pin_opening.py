"""The host's half of PINs that it checks itself: the key of a transaction from its serial number, and the PIN out of its block.

Source: firmware_notes/pins.md (ANSI X9.24-3:2017 for AES DUKPT, ISO 9564-1:2017 for format 4). Written apart from the terminal's half: the
host goes down from its base key by the counter's set bits, a terminal goes along its registers.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

_STEP, _INITIAL, _PIN = 0x8000, 0x8001, 0x1000
_SIZES = {16: 2, 32: 4}


def _aes(key: bytes, data: bytes, *, back: bool = False) -> bytes:
    cipher = Cipher(AES(key), ECB())  # noqa: S305 - single blocks, as the standard has it
    worker = cipher.decryptor() if back else cipher.encryptor()
    return worker.update(data) + worker.finalize()


def _child(key: bytes, usage: int, last: bytes) -> bytes:
    """A key of the same length made from ``key`` (X9.24-3): block counter, usage, algorithm, bits, eight bytes of context."""
    parts = range(1, len(key) // 16 + 1)
    fixed = usage.to_bytes(2, "big") + _SIZES[len(key)].to_bytes(2, "big") + (len(key) * 8).to_bytes(2, "big") + last
    return b"".join(_aes(key, bytes([1, part]) + fixed) for part in parts)


def initial_key(base: bytes, key_id: bytes) -> bytes:
    """What a terminal with this key id (8 bytes) is given."""
    return _child(base, _INITIAL, key_id)


def counter_of(ksn: str) -> int:
    """The transaction counter of a serial number in hex."""
    return int(ksn[16:], 16)


def pin_key(base: bytes, ksn: str) -> bytes:
    """The key of one PIN block; ``ksn`` is 24 hex digits."""
    key_id, counter = bytes.fromhex(ksn[:16]), counter_of(ksn)
    key, so_far = initial_key(base, key_id), 0
    for bit in reversed(range(32)):
        if counter >> bit & 1:
            so_far |= 1 << bit
            key = _child(key, _STEP, key_id[4:] + so_far.to_bytes(4, "big"))
    return _child(key, _PIN, key_id[4:] + counter.to_bytes(4, "big"))


def opened(base: bytes, ksn: str, block: str, number: str) -> str | None:
    """The digits of a format 4 block (32 hex digits) for this card number; None when it is none of this key and card."""
    if not (number.isascii() and number.isdigit() and len(number) <= 19):
        return None
    digits = number.rjust(12, "0")
    pan = bytes.fromhex(f"{len(digits) - 12:x}{digits}".ljust(32, "0"))
    key = pin_key(base, ksn)
    outer = _aes(key, bytes.fromhex(block), back=True)
    text = _aes(key, bytes(a ^ b for a, b in zip(outer, pan, strict=True)), back=True).hex()
    length = int(text[1], 16)
    pin, fill = text[2 : 2 + length], text[2 + length : 16]
    good = text[0] == "4" and 4 <= length <= 12 and pin.isdigit() and set(fill) <= {"a"}
    return pin if good else None
