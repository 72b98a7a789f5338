"""Calendar windows: which local day or month an instant belongs to, and from when to when that lasts in UTC.

A window starts at the first instant of its first local date and ends at the first instant of the date after its last, so days of
23, 24 and 25 hours come out by themselves, also where the clock changes at midnight. Never "start plus 24 hours".
Source: design/behaviour-language.md, explain, rule 2; reference/host-and-offline-authorization.md 8.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from terminal.core.units import UtcMs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_ONE_DAY = timedelta(days=1)
_KEY = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?", re.ASCII)
LAST_YEAR = 9990
"""Beyond, the calendar of the standard library ends before the window does."""


class UnknownZone(ValueError):
    """The machine's zone data has no zone of this name."""


class BadWindowKey(ValueError):
    """Not ``2026-03-29`` or ``2026-03``."""


@dataclass(frozen=True, slots=True)
class Window:
    """One local day or month: ``start`` belongs to it, ``end`` is the first millisecond after it (both UTC)."""

    key: str
    start: UtcMs
    end: UtcMs

    def holds(self, at: UtcMs) -> bool:
        """Is this instant in the window?"""
        return self.start <= at < self.end


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZone(f"no time zone of this name: {name!r}") from error


def utc_ms(at: datetime) -> UtcMs:
    """Milliseconds since 1970 of an aware datetime, rounded down."""
    return UtcMs((at - _EPOCH) // _MS)


def utc_datetime(at: UtcMs) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + at * _MS


def local_date(at: UtcMs, zone: str) -> date:
    """The date that a calendar on the wall of this zone shows."""
    return utc_datetime(at).astimezone(zone_of(zone)).date()


@lru_cache(maxsize=4096)
def first_instant(day: date, zone: str) -> UtcMs:
    """The first instant at which the zone's date is ``day`` (or later, where a zone left that date out)."""
    info = zone_of(zone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=info)
    # Fold 0: of a midnight that comes twice the first one; of one that never comes the instant computed with the offset before the
    # change, which is the change itself when that happens at midnight sharp.
    high = utc_ms(midnight.astimezone(UTC))
    low = utc_ms(midnight.replace(fold=1).astimezone(UTC))
    if low >= high:
        return high
    # Midnight falls into a gap that may have begun before it: find the change. Before it the date is earlier, after it not.
    while high - low > 1:
        middle = UtcMs((low + high) // 2)
        if local_date(middle, zone) < day:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def _window(first: date, after: date, key: str, zone: str) -> Window:
    return Window(key, first_instant(first, zone), first_instant(after, zone))


def _day(day: date, zone: str) -> Window:
    return _window(day, day + _ONE_DAY, day.isoformat(), zone)


def _month(year: int, month: int, zone: str) -> Window:
    after = date(year + month // 12, month % 12 + 1, 1)
    return _window(date(year, month, 1), after, f"{year:04d}-{month:02d}", zone)


def _window_date(at: UtcMs, zone: str) -> date:
    """The date whose window holds the instant. It is the local date, except in the second pass of an hour before midnight in a zone
    that sets its clock back across midnight: the new date has begun there, and a window never opens twice."""
    day = local_date(at, zone)
    while at >= _day(day, zone).end:
        day += _ONE_DAY
    return day


_latest_day: dict[str, Window] = {}
_latest_month: dict[str, Window] = {}
"""The window that was asked for last in each zone: nearly every decision falls into the same one."""


def day_window(at: UtcMs, zone: str) -> Window:
    """The local day of an instant. Raises UnknownZone."""
    known = _latest_day.get(zone)
    if known is None or not known.start <= at < known.end:
        known = _latest_day[zone] = _day(_window_date(at, zone), zone)
    return known


def month_window(at: UtcMs, zone: str) -> Window:
    """The local month of an instant. Raises UnknownZone."""
    known = _latest_month.get(zone)
    if known is None or not known.start <= at < known.end:
        day = _window_date(at, zone)
        known = _latest_month[zone] = _month(day.year, day.month, zone)
    return known


def window_of_key(key: str, zone: str) -> Window:
    """The window that a key names. Raises BadWindowKey, UnknownZone."""
    match = _KEY.fullmatch(key)
    if match is None or int(match[1]) > LAST_YEAR:
        raise BadWindowKey("a window is written 2026-03-29 or 2026-03")
    try:
        day = date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError as error:
        raise BadWindowKey("no such date in the calendar") from error
    return _day(day, zone) if match[3] else _month(day.year, day.month, zone)
