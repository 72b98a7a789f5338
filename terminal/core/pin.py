"""The PIN between keypad and check: digits in one buffer that is wiped, in a wrapper that never shows them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

PIN_MIN, PIN_MAX = 4, 12
OPIN1_DOMAIN = b"fleet/opin/v1\0"


@dataclass(frozen=True, slots=True)
class PinBlock:
    """A PIN that only the host can open, and the serial number by which it finds the key; both in hex. Never written down."""

    block: str = field(repr=False)
    ksn: str


class PinEntry:
    """The digits of one PIN. Python may copy bytes behind our back; the wipe is best effort."""

    __slots__ = ("_digits", "_length")

    def __init__(self) -> None:
        self._digits = bytearray(PIN_MAX)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return "PinEntry(…)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a PIN is not copied or stored")

    def add(self, digit: str) -> None:
        """Append one digit; more than twelve are dropped."""
        if self._length < PIN_MAX:
            self._digits[self._length] = ord(digit)
            self._length += 1

    def wipe(self) -> None:
        """Overwrite the digits."""
        for place in range(PIN_MAX):
            self._digits[place] = 0
        self._length = 0

    def view(self) -> memoryview:
        """The digits as ASCII, without a copy."""
        return memoryview(self._digits)[: self._length]


def opin1(key: bytes, token: bytes, epoch: int, pin: PinEntry) -> bytes:
    """The offline PIN verifier V1 of scheme ``opin1`` (reference security-and-reliability 1.3), 16 bytes.

    ``key`` is the terminal's own K_dev, ``token`` the account's 16-byte token.
    """
    mac = hmac.new(key, OPIN1_DOMAIN + token + epoch.to_bytes(4, "big") + bytes([len(pin)]), hashlib.sha256)
    mac.update(pin.view())
    return mac.digest()[:16]
