"""Windows over whole years: they tile the time, every instant is in one day and one month, of the right length (reference 10.3).

What is right is found by walking through the years in quarter hours, not by asking for midnight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.card_data import Limit, Measure, Period, Subject, SubjectKind
from terminal.core.windows import Window, day_window, month_window, utc_ms, window_of_key
from tests.core.station import RowLists, Station, window_of

ZONES = ("Europe/Berlin", "Atlantic/Azores", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "Europe/Paris")
CHANGES_AT_MIDNIGHT = {"Atlantic/Azores", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Santiago"}
FIRST, LAST = datetime(2023, 12, 20, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HOUR_MS = 3_600_000


def quarters() -> Iterator[datetime]:
    at = FIRST
    while at < LAST:
        yield at
        at += QUARTER


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_hour_of_two_years_is_in_the_window_of_the_date_on_the_wall(zone: str) -> None:
    info = ZoneInfo(zone)
    days: list[tuple[date, datetime, datetime]] = []
    for day, members in groupby(quarters(), lambda at: at.astimezone(info).date()):
        inside = list(members)
        days.append((day, inside[0], inside[-1] + QUARTER))
    assert len({day for day, _, _ in days}) == len(days), "a date came twice"
    for day, start, end in days[1:-1]:
        window = Window(day.isoformat(), utc_ms(start), utc_ms(end))
        for at in (start, start + QUARTER, end - QUARTER, end - timedelta(milliseconds=1)):
            assert day_window(utc_ms(at), zone) == window
            assert month_window(utc_ms(at), zone).key == day.isoformat()[:7]
        assert window_of_key(day.isoformat(), zone) == window
    months = [(key, list(members)) for key, members in groupby(days[1:-1], lambda row: row[0].isoformat()[:7])]
    for key, members_ in months[1:-1]:
        assert window_of_key(key, zone) == Window(key, utc_ms(members_[0][1]), utc_ms(members_[-1][2]))


@pytest.mark.parametrize("zone", ZONES)
def test_windows_tile_the_time_and_as_many_days_are_short_and_long_as_the_clock_changes(zone: str) -> None:
    windows = [day_window(utc_ms(FIRST), zone)]
    while windows[-1].end < utc_ms(LAST):
        windows.append(day_window(windows[-1].end, zone))
    assert all(one.end == following.start for one, following in pairwise(windows))
    lengths = Counter((one.end - one.start) / HOUR_MS for one in windows)
    offsets = [at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta() for at in quarters()]
    on = sum(1 for before, after in pairwise(offsets) if after - before == timedelta(hours=1))
    back = sum(1 for before, after in pairwise(offsets) if before - after == timedelta(hours=1))
    assert on > 1
    assert back > 1
    assert lengths == {23: on, 24: len(windows) - on - back, 25: back}
    months = [month_window(utc_ms(FIRST), zone)]
    while months[-1].end < utc_ms(LAST):
        months.append(month_window(months[-1].end, zone))
    assert all(one.end == following.start for one, following in pairwise(months))
    assert [month.key for month in months[1:4]] == ["2024-01", "2024-02", "2024-03"]
    assert sum(1 for one in windows if one.key.startswith("2024-02")) == 29
    assert sum(1 for one in windows if one.key.startswith("2025-02")) == 28
    assert {one.start for one in months} <= {one.start for one in windows} | {months[0].start}


@pytest.mark.parametrize("zone", sorted(CHANGES_AT_MIDNIGHT))
def test_these_zones_really_change_their_clock_at_midnight(zone: str) -> None:
    """Else the two tests above would not test what they are for."""
    info = ZoneInfo(zone)
    odd = [
        at
        for at in quarters()
        if (at.astimezone(info).utcoffset() != (at - timedelta(seconds=1)).astimezone(info).utcoffset())
        and (at.astimezone(info).hour in (0, 23) or (at - timedelta(seconds=1)).astimezone(info).hour in (0, 23))
    ]
    assert len(odd) >= 2


LITRES = Limit(Subject(SubjectKind.CARD, "a"), Period.DAY, Measure.QUANTITY, 50_000, None)
paris = st.integers(utc_ms(datetime(2024, 1, 1, tzinfo=UTC)), utc_ms(datetime(2025, 12, 31, tzinfo=UTC)))
edges = st.sampled_from(["2024-02-29", "2024-03-01", "2024-03-31", "2024-10-27", "2025-01-01", "2025-03-30", "2025-10-26"]).flatmap(
    lambda key: st.integers(-4 * HOUR_MS, 4 * HOUR_MS).map(lambda by: window_of_key(key, "Europe/Paris").start + by)
)


@settings(max_examples=200, deadline=None)
@given(paris | edges, st.integers(0, 30 * HOUR_MS), st.integers(1, 50_000))
def test_a_fuelling_belongs_to_the_window_of_its_authorization_however_long_it_takes(at: int, later: int, litres: int) -> None:
    """Also over midnight, the end of a month and the repeated hour: what is delivered later counts where it was allowed."""
    station = Station("T", RowLists((LITRES,)), checked=at)
    use = station.authorize("a", ("GAZOLE",), at)
    assert use is not None
    station.narrow(use.sale, "GAZOLE", 50_000)
    station.settle(use.sale, litres)
    station.checked = at + later
    left = 50_000 - litres if window_of(Period.DAY, at + later) == window_of(Period.DAY, at) else 50_000
    decision = station.decide("a", ("GAZOLE",), at + later)
    assert (decision.allowance[0].quantity_ml if decision.approved else 0) == left


def test_both_passes_of_the_repeated_hour_draw_on_one_limit_and_an_hour_after_midnight_on_a_fresh_one() -> None:
    first = utc_ms(datetime(2025, 10, 26, 0, 30, tzinfo=UTC))  # 02:30 summer time in Paris
    station = Station("T", RowLists((LITRES,)), checked=first)
    use = station.authorize("a", ("GAZOLE",), first)
    assert use is not None
    station.narrow(use.sale, "GAZOLE", 50_000)
    station.settle(use.sale, 30_000)
    again = station.decide("a", ("GAZOLE",), first + HOUR_MS)  # 02:30 once more
    assert again.allowance[0].quantity_ml == 20_000
    station.checked = window_of(Period.DAY, first).end  # lists of the day before would count for less
    fresh = station.decide("a", ("GAZOLE",), station.checked)
    assert fresh.allowance[0].quantity_ml == 50_000
