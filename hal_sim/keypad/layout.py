"""The sixteen-key pad: key names of the rig and the Linux input codes that they send.

Codes: linux/input-event-codes.h. A USB keypad sends either the digits of the main block or those of the number block; ``layout`` picks.
"""

from __future__ import annotations

from enum import Enum


class Layout(Enum):
    """Which block of a keyboard the pad pretends to be."""

    MAIN = "main"
    NUMBER_BLOCK = "number block"


_MAIN = {str(digit): 1 + (digit or 10) for digit in range(10)}  # KEY_1 = 2 ... KEY_9 = 10, KEY_0 = 11
_NUMBER_BLOCK = {"7": 71, "8": 72, "9": 73, "4": 75, "5": 76, "6": 77, "1": 79, "2": 80, "3": 81, "0": 82}
_COMMON = {"clear": 14, "cancel": 1}  # KEY_BACKSPACE, KEY_ESC
_ENTER = {Layout.MAIN: 28, Layout.NUMBER_BLOCK: 96}

CODES: dict[Layout, dict[str, int]] = {
    Layout.MAIN: _MAIN | _COMMON | {"enter": _ENTER[Layout.MAIN]},
    Layout.NUMBER_BLOCK: _NUMBER_BLOCK | _COMMON | {"enter": _ENTER[Layout.NUMBER_BLOCK]},
}
"""Key name to evdev code."""

ALL_CODES = tuple(sorted({code for layout in CODES.values() for code in layout.values()}))
"""What the device says that it can send."""


class UnknownKey(ValueError):
    """No key of this name is on the pad."""


def codes_of(keys: list[str], layout: Layout) -> list[int]:
    """The codes of these keys. Raises UnknownKey, naming the keys that exist but not the one that was asked for: it may be of a PIN."""
    table = CODES[layout]
    if any(key not in table for key in keys):
        raise UnknownKey(f"the keys are {', '.join(sorted(table))}")
    return [table[key] for key in keys]
