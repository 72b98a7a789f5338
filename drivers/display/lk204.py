"""Screens for a 20x4 serial character display with the Matrix Orbital LK204 command set: pure, bytes out, no port.

Source: Matrix Orbital LK204-25 technical manual, command summary: prefix 0xFE; 0x58 clear screen; 0x47 column row, both from 1, set
cursor; 0x52 auto scroll off; 0x44 auto line wrap off; 0x42 minutes, backlight on, 0 for ever. The port runs at 19200 8N1.
The module shows what its character table says: the code page of the site's display is configuration.
"""

from __future__ import annotations

import unicodedata
from enum import Enum
from typing import Final

COLUMNS: Final = 20
ROWS: Final = 4
BAUDRATE: Final = 19200

PREFIX: Final = 0xFE
CLEAR: Final = b"\xfe\x58"
SETTINGS: Final = b"\xfe\x52" + b"\xfe\x44" + b"\xfe\x42\x00"
"""Auto scroll off, line wrap off, backlight on for ever."""

INIT: Final = SETTINGS + CLEAR
"""The settings, then clear. Afterwards the screen is ``BLANK``."""

BLANK: Final = (b" " * COLUMNS,) * ROWS
"""What the display shows after ``INIT``."""


class CodePage(Enum):
    """Character tables that the display may have. The value is Python's name of the encoding."""

    LATIN_1 = "iso-8859-1"
    CYRILLIC = "cp1251"


# Look-alikes that Unicode's compatibility decomposition does not know.
_LOOK_ALIKES: Final = {
    "€": "E",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "‹": "<",
    "›": ">",
    "«": '"',
    "»": '"',
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "−": "-",
    "•": "*",
    "·": ".",
    "×": "x",
    "ß": "ss",
    "œ": "oe",
    "Œ": "OE",
    "æ": "ae",
    "Æ": "AE",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    # 0xFE, the command prefix, is a letter in both code pages: its capital, at 0xDE in both, says the same.
    "þ": "Þ",
    "ю": "Ю",
}


def screen(lines: tuple[str, ...], code_page: CodePage = CodePage.LATIN_1) -> tuple[bytes, ...]:
    """Exactly ``ROWS`` encoded lines of ``COLUMNS`` bytes: longer text is cut, missing lines are blank, surplus lines are dropped."""
    encoded = tuple(encode_line(line, code_page) for line in lines[:ROWS])
    return encoded + BLANK[len(encoded) :]


def update(shown: tuple[bytes, ...], wanted: tuple[bytes, ...]) -> bytes:
    """The bytes that turn the screen ``shown`` into ``wanted`` (both from ``screen``): only lines that differ are rewritten.

    Each rewritten line is sent whole, padded, with its own cursor command, so no earlier text and no cursor position is relied upon.
    """
    out = bytearray()
    for row, (old, new) in enumerate(zip(shown, wanted, strict=True), start=1):
        if old != new:
            out += _line(row, new)
    return bytes(out)


def redraw(wanted: tuple[bytes, ...]) -> bytes:
    """The bytes that draw the screen ``wanted`` whole, whatever the display shows."""
    return b"".join(_line(row, line) for row, line in enumerate(wanted, start=1))


def _line(row: int, line: bytes) -> bytes:
    return bytes((PREFIX, 0x47, 1, row)) + line


def encode_line(text: str, code_page: CodePage = CodePage.LATIN_1) -> bytes:
    """One line as exactly ``COLUMNS`` bytes of the code page. Never contains the prefix byte or a control byte.

    A character outside the code page becomes a plain look-alike (compatibility decomposition without accents), else "?".
    """
    # Composed first: an accent sent as a separate code point must neither take a column nor be lost.
    composed = unicodedata.normalize("NFC", text)
    out = b"".join(_encode_character(character, code_page) for character in composed)
    return out[:COLUMNS].ljust(COLUMNS)


def _encode_character(character: str, code_page: CodePage) -> bytes:
    if character.isspace():
        return b" "
    direct = _plain(character, code_page)
    if direct is not None:
        return direct
    # Zero-width characters (joiners, direction marks, stray accents) take no column on paper and take none here.
    if unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return b""
    parts = _LOOK_ALIKES.get(character) or "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    encoded = [_plain(part, code_page) or _plain(_LOOK_ALIKES.get(part, ""), code_page) for part in parts]
    return b"".join(part or b"?" for part in encoded) or b"?"


def _plain(text: str, code_page: CodePage) -> bytes | None:
    """The text in the code page, None when it is not in it or when the display would take a byte of it for something else than text."""
    try:
        encoded = text.encode(code_page.value)
    except UnicodeEncodeError:
        return None
    # 0x00-0x1F are the module's own characters and controls, 0x80-0x9F controls in ISO 8859-1.
    control = any(byte < 0x20 or byte == 0x7F or (code_page is CodePage.LATIN_1 and 0x80 <= byte < 0xA0) for byte in encoded)
    return None if control or PREFIX in encoded or not encoded else encoded
