"""A stripe reader that pretends to be a keyboard: its key events back into the characters that it typed. Pure, no input device needed.

Sources: Linux ``input-event-codes.h`` and ``Documentation/input/event-codes.rst`` (EV_KEY values, SYN_DROPPED); the US and French (AZERTY)
keyboard layouts of xkeyboard-config. A key code says which key went down, not which character: that is a matter of the layout the reader
was set to. Small letters come out as capitals, since no track has small ones. A key that gives no character of a track gives ``ODD``: a
character that is dropped silently would make another number.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from types import MappingProxyType
from typing import Final

EV_SYN: Final = 0x00
EV_KEY: Final = 0x01
SYN_REPORT: Final = 0
SYN_DROPPED: Final = 3

ENTER: Final = "\n"
ODD: Final = "\ufffd"
"""Stands for a key that types nothing a track could hold."""

_UP: Final = 0
_DOWN: Final = 1

_SHIFTS: Final = frozenset((42, 54))  # KEY_LEFTSHIFT, KEY_RIGHTSHIFT
_ALT_GR: Final = 100  # KEY_RIGHTALT
_OTHERS_HELD: Final = frozenset((29, 97, 56, 125, 126))  # both KEY_*CTRL, KEY_LEFTALT, both KEY_*META
_LOCKS: Final = frozenset((58, 69, 70))  # KEY_CAPSLOCK, KEY_NUMLOCK, KEY_SCROLLLOCK

_SPACE: Final = 57
_DEAD_CIRCUMFLEX: Final = 26  # KEY_LEFTBRACE, the dead ^ of the French layout

_ROWS: Final = (range(2, 14), range(16, 28), range(30, 42), range(44, 54))
"""Codes of the four rows, from KEY_1, KEY_Q, KEY_A and KEY_Z on."""


class WedgeLayout(Enum):
    """The keyboard that the reader was set to be."""

    US = "us"
    FRENCH = "fr"


class Mark(Enum):
    """What a wedge says besides characters."""

    TORN = "events were lost"


def _rows(*rows: str) -> dict[int, str]:
    table: dict[int, str] = {}
    for codes, row in zip(_ROWS, rows, strict=True):
        table.update(zip(codes, row, strict=True))
    return table


_COMMON: Final = {
    _SPACE: " ",
    28: ENTER,  # KEY_ENTER
    96: ENTER,  # KEY_KPENTER
    **dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True)),  # KEY_KP0 ... KEY_KP9
    98: "/",  # KEY_KPSLASH
    55: "*",  # KEY_KPASTERISK
    74: "-",  # KEY_KPMINUS
    78: "+",  # KEY_KPPLUS
}

_PLAIN: Final = {
    WedgeLayout.US: _rows("1234567890-=", "QWERTYUIOP[]", "ASDFGHJKL;'`", "ZXCVBNM,./") | {43: "\\", 86: "<"} | _COMMON,
    WedgeLayout.FRENCH: _rows("&É\"'(-È_ÇÀ)=", "AZERTYUIOP^$", "QSDFGHJKLMÙ²", "WXCVBN,;:!") | {43: "*", 86: "<"} | _COMMON,
}
_SHIFTED: Final = {
    WedgeLayout.US: _rows("!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"~', "ZXCVBNM<>?") | {43: "|", 86: ">"} | _COMMON,
    WedgeLayout.FRENCH: _rows("1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM%~", "WXCVBN?./§") | {43: "µ", 86: ">"} | _COMMON,
}
_ALT_GR_TABLE: Final = {
    WedgeLayout.US: dict[int, str](),
    WedgeLayout.FRENCH: dict(zip(range(3, 14), "~#{[|`\\^@]}", strict=True)),
}

TABLES: Final = MappingProxyType({layout: (_PLAIN[layout], _SHIFTED[layout], _ALT_GR_TABLE[layout]) for layout in WedgeLayout})
"""Layout → characters by code: plain, with Shift, with AltGr."""


class WedgeDecoder:
    """Turns one reader's input events into characters, on key *down* only: releases and repeats type nothing.

    After SYN_DROPPED the kernel has thrown events away, in the middle of a number perhaps: ``Mark.TORN`` comes out once, what follows up to
    the next SYN_REPORT is ignored, and which keys are held is no longer known. The caller throws away the swipe that was under way.
    """

    def __init__(self, layout: WedgeLayout) -> None:
        self._layout = layout
        self._plain, self._shifted, self._alt_gr = TABLES[layout]
        self._held: set[int] = set()
        self._dropped = False
        self._dead = False

    def feed(self, kind: int, code: int, value: int) -> str | Mark | None:
        """One event's type, code and value in; the characters it typed (one, rarely two), ``Mark.TORN``, or None."""
        if kind == EV_SYN:
            return self._sync(code)
        if kind != EV_KEY or self._dropped or code in _LOCKS:
            return None
        if code in _SHIFTS or code == _ALT_GR or code in _OTHERS_HELD:
            (self._held.discard if value == _UP else self._held.add)(code)
            return None
        return self._typed(code) if value == _DOWN else None

    def forget(self) -> None:
        """Start anew: after a reopen."""
        self._held.clear()
        self._dropped = self._dead = False

    def _sync(self, code: int) -> Mark | None:
        if code == SYN_DROPPED:
            self.forget()
            self._dropped = True
            return Mark.TORN
        if code == SYN_REPORT:
            self._dropped = False
        return None

    def _typed(self, code: int) -> str | None:
        """On the French layout ^ is a dead key: the reader types it twice over, as ^ and space, where a person would too."""
        if self._dead:
            self._dead = False
            return "^" if code == _SPACE else "^" + self._character(code)
        if self._layout is WedgeLayout.FRENCH and code == _DEAD_CIRCUMFLEX and not self._held:
            self._dead = True
            return None
        return self._character(code)

    def _character(self, code: int) -> str:
        if self._held & _OTHERS_HELD:
            return ODD
        if _ALT_GR in self._held:
            return self._alt_gr.get(code, ODD)
        return (self._shifted if self._held else self._plain).get(code, ODD)


def typed(events: Iterable[tuple[int, int]], layout: WedgeLayout) -> str:
    """What a list of key events (code, value) typed. For recordings; a live reader feeds a ``WedgeDecoder``."""
    decoder = WedgeDecoder(layout)
    got = (decoder.feed(EV_KEY, code, value) for code, value in events)
    return "".join(text for text in got if isinstance(text, str))
