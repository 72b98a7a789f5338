"""Windows against the calendar: known clock changes by hand, and every date of some years against a search on a quarter-hour grid."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.units import UtcMs
from terminal.core.windows import (
    BadWindowKey,
    UnknownZone,
    Window,
    day_window,
    first_instant,
    local_date,
    month_window,
    utc_datetime,
    utc_ms,
    window_of_key,
)

MIDNIGHT_ZONES = ("Atlantic/Azores", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "Asia/Tehran", "America/Asuncion")
ZONES = (*MIDNIGHT_ZONES, "Europe/Paris", "Europe/Berlin", "UTC", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")
QUARTER_MS = 15 * 60 * 1000
HOUR_MS = 3_600_000


def ms(text: str) -> UtcMs:
    return utc_ms(datetime.fromisoformat(text))


def start_by_search(day: date, zone: str) -> int:
    """The first quarter hour whose local date is the day or later. Every change of clock since 1990 lies on a quarter hour."""
    info = ZoneInfo(zone)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    while at.astimezone(info).date() < day:
        at += timedelta(minutes=15)
    return int(at.timestamp()) * 1000


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("Europe/Paris", "2026-03-28", "2026-03-27T23:00:00+00:00", 24),
        ("Europe/Paris", "2026-03-29", "2026-03-28T23:00:00+00:00", 23),
        ("Europe/Paris", "2026-10-25", "2026-10-24T22:00:00+00:00", 25),
        # The Azores put the clock on at 00:00 (to 01:00) and back at 01:00 (to 00:00).
        ("Atlantic/Azores", "2025-03-30", "2025-03-30T01:00:00+00:00", 23),
        ("Atlantic/Azores", "2025-10-26", "2025-10-26T00:00:00+00:00", 25),
        ("America/Havana", "2025-03-09", "2025-03-09T05:00:00+00:00", 23),
        ("America/Havana", "2025-11-02", "2025-11-02T04:00:00+00:00", 25),
        # Cairo, Beirut and Santiago put it back at 24:00 to 23:00: the day that ends has 25 hours.
        ("Africa/Cairo", "2024-04-26", "2024-04-25T22:00:00+00:00", 23),
        ("Africa/Cairo", "2024-10-31", "2024-10-30T21:00:00+00:00", 25),
        ("Asia/Beirut", "2025-03-30", "2025-03-29T22:00:00+00:00", 23),
        ("Asia/Beirut", "2025-10-25", "2025-10-24T21:00:00+00:00", 25),
        ("America/Santiago", "2025-09-07", "2025-09-07T04:00:00+00:00", 23),
        ("America/Santiago", "2025-04-05", "2025-04-05T03:00:00+00:00", 25),
        ("Asia/Kathmandu", "2026-01-01", "2025-12-31T18:15:00+00:00", 24),
    ],
)
def test_a_day_on_a_clock_change_starts_and_lasts_as_the_calendar_says(zone: str, day: str, start: str, hours: int) -> None:
    window = window_of_key(day, zone)
    assert window == Window(day, ms(start), UtcMs(ms(start) + hours * HOUR_MS))


def test_a_month_with_the_spring_change_is_an_hour_short_and_february_knows_leap_years() -> None:
    march = month_window(ms("2026-03-29T01:30:00+00:00"), "Europe/Paris")
    assert march == Window("2026-03", ms("2026-02-28T23:00:00+00:00"), ms("2026-03-31T22:00:00+00:00"))
    assert march.end - march.start == (31 * 24 - 1) * HOUR_MS
    february = window_of_key("2028-02", "Europe/Paris")
    assert february.end - february.start == 29 * 24 * HOUR_MS
    assert day_window(ms("2028-02-29T12:00:00+00:00"), "Europe/Paris").key == "2028-02-29"
    assert window_of_key("2026-12", "UTC").end == ms("2027-01-01T00:00:00+00:00")


def test_the_last_millisecond_belongs_to_the_old_day_and_the_next_to_the_new() -> None:
    midnight = ms("2026-03-28T23:00:00+00:00")
    assert day_window(UtcMs(midnight - 1), "Europe/Paris").key == "2026-03-28"
    assert day_window(midnight, "Europe/Paris").key == "2026-03-29"
    window = day_window(midnight, "Europe/Paris")
    assert window.holds(midnight)
    assert not window.holds(window.end)
    assert not window.holds(UtcMs(midnight - 1))


def test_both_passes_of_the_repeated_hour_are_one_day() -> None:
    for utc in ("2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00"):
        assert day_window(ms(utc), "Europe/Paris").key == "2026-10-25"


def test_a_clock_put_back_across_midnight_never_opens_the_old_day_again() -> None:
    # St. John's, 1 November 2009: at 00:01 back to 23:01 of 31 October.
    zone = "America/St_Johns"
    change = ms("2009-11-01T02:31:00+00:00")
    assert local_date(change, zone) == date(2009, 10, 31)
    assert day_window(change, zone).key == "2009-11-01"
    assert month_window(change, zone).key == "2009-11"
    assert day_window(change, zone).holds(change)


def test_a_gap_that_began_before_midnight_starts_the_day_at_the_change() -> None:
    # Toronto, 30 March 1919: at 23:30 on to 00:30 of the 31st.
    zone = "America/Toronto"
    start = first_instant(date(1919, 3, 31), zone)
    assert local_date(start, zone) == date(1919, 3, 31)
    assert local_date(UtcMs(start - 1), zone) == date(1919, 3, 30)
    assert utc_datetime(start).astimezone(ZoneInfo(zone)).strftime("%H:%M") == "00:30"


def test_a_date_that_a_zone_left_out_has_an_empty_window() -> None:
    # Samoa had no 30 December 2011.
    gone = window_of_key("2011-12-30", "Pacific/Apia")
    assert gone.start == gone.end == window_of_key("2011-12-31", "Pacific/Apia").start == window_of_key("2011-12-29", "Pacific/Apia").end


@given(st.sampled_from(ZONES), st.dates(date(1996, 1, 1), date(2037, 12, 31)))
def test_every_day_starts_where_a_search_finds_it(zone: str, day: date) -> None:
    assert first_instant(day, zone) == start_by_search(day, zone)


@pytest.mark.parametrize("zone", MIDNIGHT_ZONES)
def test_the_days_of_years_with_changes_at_midnight_join_without_gap(zone: str) -> None:
    day = date(2022, 1, 1)
    while day < date(2026, 1, 1):
        window, following = window_of_key(day.isoformat(), zone), window_of_key((day + timedelta(days=1)).isoformat(), zone)
        assert window.end == following.start
        assert window.end - window.start in (23 * HOUR_MS, 24 * HOUR_MS, 25 * HOUR_MS)
        assert local_date(window.start, zone) == day != local_date(UtcMs(window.start - 1), zone)
        day += timedelta(days=1)


@given(st.sampled_from(ZONES), st.integers(ms("1996-01-01T00:00:00+00:00"), ms("2037-12-31T00:00:00+00:00")))
def test_an_instant_lies_in_its_day_and_its_day_in_its_month(zone: str, at: int) -> None:
    day, month = day_window(UtcMs(at), zone), month_window(UtcMs(at), zone)
    assert day.holds(UtcMs(at))
    assert month.start <= day.start < day.end <= month.end
    assert day.key.startswith(month.key)
    assert window_of_key(day.key, zone) == day
    assert window_of_key(month.key, zone) == month


@pytest.mark.parametrize("key", ["", "2026", "2026-3", "2026-13", "2026-02-30", "2026-03-29 ", "2026-W12", "9999-12-31", "٢٠٢٦-03"])
def test_a_key_that_is_no_date_is_refused(key: str) -> None:
    with pytest.raises(BadWindowKey):
        window_of_key(key, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "/etc/localtime"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(UnknownZone):
        day_window(UtcMs(0), zone)
