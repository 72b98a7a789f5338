"""Instants where calendars go wrong: clock changes, midnights, ends of months, 29 February. Found in the zone data, not written down.

Source: reference/host-and-offline-authorization.md 8.4 and 10.3.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

from tests.core.naive import start_of

ZONES = (
    "Europe/Paris",
    "Europe/Berlin",
    "Atlantic/Azores",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Santiago",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "UTC",
)
FIRST, LAST = datetime(2023, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
NEAR = (0, 0, 1, -1, 59, -60, 1799, 1800, -3600, 3599, 3600, 7200)


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The first instant after each change of the zone's offset, from 2023 to 2028."""
    info, found = ZoneInfo(zone), []
    at = FIRST
    while at < LAST:
        following = at + timedelta(days=1)
        if at.astimezone(info).utcoffset() != following.astimezone(info).utcoffset():
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                same = middle.astimezone(info).utcoffset() == at.astimezone(info).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high)
        at = following
    return tuple(found)


def moment(dice: Random, zone: str) -> datetime:
    """An instant near something, to the second, seldom to the millisecond."""
    kind = dice.random()
    near = changes(zone)
    if kind < 0.4 and near:
        at = dice.choice(near) + timedelta(days=dice.choice((0, 0, 0, -1, 1)))
    elif kind < 0.55:
        year, month = dice.choice(((2024, 3), (2025, 3), (2026, 1), (2026, 10), (2027, 4), (2028, 1), (2028, 2), (2028, 3), (2028, 12)))
        at = start_of(date(year, month, 1), zone)
    elif kind < 0.65:
        at = start_of(date(dice.choice((2024, 2028)), 2, 29), zone) + timedelta(days=dice.choice((0, 1)))
    elif kind < 0.8:
        at = start_of(date(2026, 1, 1) + timedelta(days=dice.randrange(365)), zone)
    else:
        return FIRST + timedelta(seconds=dice.randrange(int((LAST - FIRST).total_seconds())))
    if dice.random() < 0.6:
        return at + timedelta(seconds=dice.choice(NEAR), milliseconds=dice.choice((0, 0, 0, 0, -1, 1, 500)))
    return at + timedelta(seconds=dice.randint(-100_000, 100_000))


def written(dice: Random, at: datetime) -> str:
    """RFC 3339, in UTC or with some zone's offset."""
    if dice.random() < 0.6:
        return at.isoformat().replace("+00:00", "Z")
    return at.astimezone(ZoneInfo(dice.choice(ZONES))).isoformat()
