"""Key codes of a USB keypad into keys of the terminal: pure, no input device needed.

Source: Linux ``input-event-codes.h`` and the kernel's ``Documentation/input/event-codes.rst`` (EV_KEY values, SYN_DROPPED).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from drivers.events import Key

EV_SYN: Final = 0x00
EV_KEY: Final = 0x01
SYN_REPORT: Final = 0
SYN_DROPPED: Final = 3

_UP: Final = 0
_DOWN: Final = 1

_SHIFTS: Final = frozenset((42, 54))  # KEY_LEFTSHIFT, KEY_RIGHTSHIFT

_DIGITS: Final = tuple(Key(str(digit)) for digit in range(10))
_MAIN_ROW: Final = dict(zip((11, 2, 3, 4, 5, 6, 7, 8, 9, 10), _DIGITS, strict=True))  # KEY_0, KEY_1 ... KEY_9
_NUMBER_PAD: Final = dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), _DIGITS, strict=True))  # KEY_KP0 ... KEY_KP9
_TELEPHONE_PAD: Final = dict(zip(range(0x200, 0x20A), _DIGITS, strict=True))  # KEY_NUMERIC_0 ... KEY_NUMERIC_9

KEYS: Final = MappingProxyType(
    {
        **_MAIN_ROW,
        **_NUMBER_PAD,
        **_TELEPHONE_PAD,
        28: Key.ENTER,  # KEY_ENTER
        96: Key.ENTER,  # KEY_KPENTER
        14: Key.CLEAR,  # KEY_BACKSPACE
        83: Key.CLEAR,  # KEY_KPDOT
        111: Key.CLEAR,  # KEY_DELETE
        0x163: Key.CLEAR,  # KEY_CLEAR
        1: Key.CANCEL,  # KEY_ESC
        223: Key.CANCEL,  # KEY_CANCEL
    }
)
"""Event code → key. Codes not listed mean nothing to the terminal."""


class KeyDecoder:
    """Turns input events into keys, on key *down* only: neither a release (0) nor an auto-repeat (2) is a key pressed.

    Not a table alone because of two states. A main-row digit under shift is punctuation (a pad may send shift-8 for ``*``) and must not
    become a digit of a PIN. After SYN_DROPPED the kernel has thrown events away: what follows up to the next SYN_REPORT belongs to a
    torn packet and is ignored, and what was held before is no longer known.
    """

    def __init__(self) -> None:
        self._dropped = False
        self._shifts: set[int] = set()

    def feed(self, kind: int, code: int, value: int) -> Key | None:
        """One event's type, code and value in; the key that went down, or None."""
        if kind == EV_SYN:
            if code == SYN_DROPPED:
                self.forget()
                self._dropped = True
            elif code == SYN_REPORT:
                self._dropped = False
            return None
        if kind != EV_KEY or self._dropped:
            return None
        if code in _SHIFTS:
            (self._shifts.discard if value == _UP else self._shifts.add)(code)
            return None
        if value != _DOWN or (self._shifts and code in _MAIN_ROW):
            return None
        return KEYS.get(code)

    def forget(self) -> None:
        """Start anew: after a reopen, or when events were lost."""
        self._dropped = False
        self._shifts.clear()
