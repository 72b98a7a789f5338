"""What stands on the emulated display, read back: which of the terminal's screens it is, in which language, with which fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from drivers.display.lk204 import CodePage, encode_line
from terminal.core.screens import COLUMNS, Screen
from terminal.core.texts import SCREENS

_FIELD = re.compile(r"\{(\w+)\}")
QUESTIONS = {
    Screen.PIN: "PIN",
    Screen.PIN_AGAIN: "PIN",
    Screen.PIN_HOST: "PIN",
    Screen.NUMBER: "NUMBER",
    Screen.ODOMETER: "ODOMETER",
    Screen.VEHICLE: "VEHICLE",
    Screen.DRIVER: "DRIVER",
    Screen.PROVER: "PROVER",
    Screen.SECOND_CARD: "SECOND CARD",
    Screen.FUELLING_POINT: "FUELLING POINT",
    Screen.TEST_POINT: "FUELLING POINT",
    Screen.WISH_MONEY: "FUELLING POINT",
    Screen.WISH_VOLUME: "FUELLING POINT",
}
"""What a screen asks a driver for, in the words of the language."""
WISHES = (Screen.WISH_MONEY, Screen.WISH_VOLUME)


@dataclass(frozen=True, slots=True)
class Seen:
    """A recognised picture. ``entry`` is what the driver has typed so far, empty when it is nothing."""

    screen: Screen
    language: str
    entry: str

    @property
    def typed(self) -> bool:
        """Something stands in the entry; a wish of nothing is shown as 0.00."""
        return bool(self.entry.strip("0.") if self.screen in WISHES else self.entry)


def recognise(lines: Sequence[str], code_page: CodePage) -> Seen | None:
    """The screen that these four lines show; None for a picture that is none of ours, such as a half-drawn one."""
    for language, screen, patterns in _patterns(code_page):
        matches = [pattern.fullmatch(line.ljust(COLUMNS)[:COLUMNS]) for pattern, line in zip(patterns, lines, strict=True)]
        if all(matches):
            entry = next((match["entry"] for match in matches if match is not None and "entry" in match.groupdict()), "")
            return Seen(screen, language, entry.strip())
    return None


@cache
def _patterns(code_page: CodePage) -> list[tuple[str, Screen, list[re.Pattern[str]]]]:
    return [
        (language, screen, [_pattern(line, code_page) for line in screens[screen.value]])
        for language, screens in SCREENS.items()
        for screen in Screen
    ]


def _pattern(template: str, code_page: CodePage) -> re.Pattern[str]:
    """A line as this display can show it. What does not fit its width is cut off, so what follows a field may be missing."""
    parts = _FIELD.split(template)
    whole = "".join(f"(?P<{part}>.*?)" if number % 2 else _literal(part, code_page) for number, part in enumerate(parts))
    full = rf"(?=.{{{COLUMNS - 1}}}\S){_literal(parts[0], code_page)}.*"
    return re.compile(rf"(?:{whole}\s*|{full})" if len(parts) > 1 else rf"{whole}\s*")


def _literal(text: str, code_page: CodePage) -> str:
    return "".join(" " if each == " " else re.escape(encode_line(each, code_page).decode(code_page.value).rstrip()) for each in text)
