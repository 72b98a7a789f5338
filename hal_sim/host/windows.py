"""Day and month windows of limits, by the calendar of an IANA zone.

Source: firmware_notes/host-api.md, section "Windows". A window runs from the first instant of its first local date to the first
instant of the date after its last, so days of 23 and 25 hours need no case of their own, and neither does a clock change at midnight.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone of this name. Raises ``ZoneInfoNotFoundError`` or ``ValueError`` for a name that is none."""
    return ZoneInfo(name)


def _local_date(utc_ms: int, zone: str) -> dt.date:
    return dt.datetime.fromtimestamp(utc_ms // 1000, zone_of(zone)).date()


@lru_cache(maxsize=4096)
def first_instant(date: dt.date, zone: str) -> int:
    """UTC milliseconds of the first instant at which this local date, or a later one, is shown."""
    midnight = dt.datetime.combine(date, dt.time(0), tzinfo=zone_of(zone))
    start = (midnight.astimezone(dt.UTC) - _EPOCH) // _MS
    if dt.datetime.fromtimestamp(start // 1000, zone_of(zone)).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return start
    # Midnight is in a gap of the clock: the date starts where the gap ends. The clock only jumps ahead there, so bisect.
    low, high = start - DAY_MS, start
    while high - low > 1:
        middle = (low + high) // 2
        if _local_date(middle, zone) >= date:
            high = middle
        else:
            low = middle
    return high


class Calendar:
    """Turns instants into window keys, remembering the last day per zone because nearly all questions are about today."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int, str, str]] = {}

    def keys(self, utc_ms: int, zone: str) -> tuple[str, str]:
        """(day key, month key), such as ("2026-03-29", "2026-03")."""
        last = self._last.get(zone)
        if last is None or not last[0] <= utc_ms < last[1]:
            last = self._find(utc_ms, zone)
            self._last[zone] = last
        return last[2], last[3]

    def day_window(self, utc_ms: int, zone: str) -> tuple[int, int]:
        """First instant of the day of this instant, and of the next day, in UTC milliseconds."""
        start, end, _, _ = self._find(utc_ms, zone)
        return start, end

    @staticmethod
    def _find(utc_ms: int, zone: str) -> tuple[int, int, str, str]:
        date = _local_date(utc_ms, zone)
        # Where the clock goes back over midnight the shown date repeats; the window of the later date has begun already.
        while utc_ms >= first_instant(date + dt.timedelta(days=1), zone):
            date += dt.timedelta(days=1)
        key = date.isoformat()
        return first_instant(date, zone), first_instant(date + dt.timedelta(days=1), zone), key, key[:7]
