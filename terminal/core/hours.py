"""When a card may be used: days and hours of the week, in the site's zone. ``Mo-Fr 06:00-20:00; Sa 08:00-12:00``.

A window that goes over midnight (``Fr 22:00-05:00``) belongs to the day on which it starts. A start belongs to its window, an end does not;
``24:00`` is the end of the day. What is on the wall counts: where a clock change repeats or leaves out an hour, so does the window.
(features.md F18.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from terminal.core.units import UtcMs
from terminal.core.windows import utc_datetime, zone_of

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
MAX_WINDOWS = 64
_WINDOW = re.compile(r"(?P<days>[A-Za-z,-]+) (?P<from_h>\d\d):(?P<from_m>\d\d)-(?P<to_h>\d\d):(?P<to_m>\d\d)", re.ASCII)


class BadHours(ValueError):
    """Hours that cannot be read; a list with them is refused."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Spans of minutes of the week, ``[start, end)``, counted from Monday 00:00; an end may lie in the next week. None at all: always."""

    spans: tuple[tuple[int, int], ...]

    def hold(self, minute: int) -> bool:
        """Does this minute of the week lie in one of them?"""
        if not self.spans:
            return True
        return any(start <= minute < end or start <= minute + WEEK_MINUTES < end for start, end in self.spans)


@lru_cache(maxsize=512)
def read_hours(text: str) -> Hours:
    """The hours of a card. Raises ``BadHours`` for everything that is not written as above; an empty text means always."""
    if not text.strip():
        return Hours(())
    windows = [part.strip() for part in text.split(";")]
    if len(windows) > MAX_WINDOWS:
        raise BadHours(f"more than {MAX_WINDOWS} windows")
    spans: list[tuple[int, int]] = []
    for window in windows:
        matched = _WINDOW.fullmatch(window)
        if matched is None:
            raise BadHours("hours are written Mo-Fr 06:00-20:00; Sa 08:00-12:00")
        start, end = _minute(matched["from_h"], matched["from_m"]), _minute(matched["to_h"], matched["to_m"])
        if start == end or start == DAY_MINUTES:
            raise BadHours("a window begins before 24:00 and ends at another time than it begins; the whole day is 00:00-24:00")
        length = end - start if end > start else end - start + DAY_MINUTES
        spans += [(day * DAY_MINUTES + start, day * DAY_MINUTES + start + length) for day in sorted(_days(matched["days"]))]
    return Hours(tuple(spans))


def week_minute(at: UtcMs, zone: str) -> int:
    """The minute of the week that a calendar clock on the wall of this zone shows. Raises ``windows.UnknownZone``."""
    local = utc_datetime(at).astimezone(zone_of(zone))
    return local.weekday() * DAY_MINUTES + local.hour * 60 + local.minute


def _minute(hour: str, minute: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > DAY_MINUTES:
        raise BadHours("a time lies between 00:00 and 24:00")
    return found


def _days(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise BadHours("days are Mo Tu We Th Fr Sa Su, alone, as Mo-Fr, or as Mo,We,Fr")
        start = DAYS.index(first)
        end = DAYS.index(last) if dash else start
        found.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return found
