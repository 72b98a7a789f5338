"""What the demo prints: lines with the time in front, the display as a frame, the running fuel as one line that moves.

Colours and the moving line only on a terminal; everywhere else plain lines, so that a log reads the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

COLUMNS = 20
BAR = 24
PLAIN_STEPS = 4
"""How often a fuelling is told of where the line cannot move."""

_INDENT = " " * 10
_BOLD, _DIM, _GREEN, _RED, _BLUE, _END = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[36m", "\x1b[0m"


def litres(volume_ml: int) -> str:
    """``22.40 L``."""
    return f"{volume_ml // 1000}.{volume_ml % 1000 // 10:02d} L"


def money(amount_minor: int) -> str:
    """``38.73 EUR``."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d} EUR"


class Show:
    """Prints to one stream; ``live`` when it is a terminal that moves."""

    def __init__(self, out: TextIO, live: bool) -> None:
        self._out = out
        self._live = live
        self._moving = False
        self._told = -1

    def _write(self, text: str, colour: str = "") -> None:
        self._settle()
        painted = f"{colour}{text}{_END}" if colour and self._live else text
        print(painted.rstrip(), file=self._out, flush=True)

    def _settle(self) -> None:
        if self._moving:
            print(file=self._out)
            self._moving = False

    def title(self, text: str) -> None:
        """A chapter begins."""
        self._write("")
        self._write(text, _BOLD)

    def plain(self, text: str, good: bool | None = None) -> None:
        """A line without time; green or red when it is a verdict."""
        self._write(text, "" if good is None else _GREEN if good else _RED)

    def say(self, text: str) -> None:
        """Something happened, now."""
        self._write(f"{datetime.now().astimezone():%H:%M:%S}  {text}")

    def note(self, text: str) -> None:
        """Why it happened, for whoever has never seen a forecourt."""
        self._write(f"{_INDENT}{text}", _DIM)

    def display(self, lines: Sequence[str]) -> None:
        """What the driver reads."""
        edge = "─" * (COLUMNS + 2)
        self._write(f"{_INDENT}┌{edge}┐", _BLUE)
        for line in lines:
            self._write(f"{_INDENT}│ {line[:COLUMNS]:<{COLUMNS}} │", _BLUE)
        self._write(f"{_INDENT}└{edge}┘", _BLUE)

    def flow(self, fp: int, volume_ml: int, amount_minor: int, whole_ml: int) -> None:
        """Fuel runs: ``whole_ml`` is what this driver will take."""
        share = min(1.0, volume_ml / whole_ml)
        text = f"{_INDENT}pump {fp}  [{'=' * int(share * BAR):<{BAR}}]  {litres(volume_ml):>9}  {money(amount_minor):>10}"
        if self._live:
            print(f"\r{text}", end="", file=self._out, flush=True)
            self._moving = True
            return
        step = int(share * PLAIN_STEPS)
        if step != self._told:
            self._told = step
            if step:
                self._write(text)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Columns beside each other, the first row as their heads; the first column to the left, the others to the right."""
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for number, row in enumerate(rows):
            cells = [
                f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self._write("  " + "   ".join(cells), _BOLD if number == 0 else "")
