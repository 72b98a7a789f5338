"""Days and hours of a card: read strictly, held against the clock on the wall of the site."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.authorization import Step
from terminal.core.hours import DAY_MINUTES, DAYS, BadHours, read_hours, week_minute
from terminal.core.reasons import Reason
from terminal.core.windows import utc_ms
from tests.core.decisions import CARD, CUSTOMER, UNBOUNDED, refused, run
from tests.core.naive import open_at

OFFICE = "Mo-Fr 06:00-20:00; Sa 08:00-12:00"


def minute(day: str, hour: int, minutes: int = 0) -> int:
    return DAYS.index(day) * DAY_MINUTES + hour * 60 + minutes


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        (OFFICE, [("Mo", 6, 0), ("Fr", 19, 59), ("Sa", 8, 0)], [("Mo", 5, 59), ("Fr", 20, 0), ("Sa", 12, 0), ("Su", 9, 0)]),
        ("Fr 22:00-05:00", [("Fr", 22, 0), ("Fr", 23, 59), ("Sa", 0, 0), ("Sa", 4, 59)], [("Fr", 4, 0), ("Sa", 5, 0), ("Sa", 23, 0)]),
        ("Su 22:00-05:00", [("Su", 23, 0), ("Mo", 4, 59)], [("Mo", 5, 0), ("Su", 4, 0)]),
        ("Fr-Mo 10:00-11:00", [("Fr", 10, 30), ("Su", 10, 0), ("Mo", 10, 59)], [("Tu", 10, 30), ("Th", 10, 30)]),
        ("Mo,We 00:00-24:00", [("Mo", 0, 0), ("Mo", 23, 59), ("We", 12, 0)], [("Tu", 0, 0), ("Th", 0, 0)]),
        ("Mo,Th-Fr 08:00-09:00", [("Th", 8, 30), ("Fr", 8, 30)], [("Tu", 8, 30)]),
        ("", [("Su", 3, 0)], []),
        ("  ", [("Su", 3, 0)], []),
    ],
)
def test_hours_hold_from_their_start_to_before_their_end(
    hours: str, inside: list[tuple[str, int, int]], outside: list[tuple[str, int, int]]
) -> None:
    found = read_hours(hours)
    assert all(found.hold(minute(*at)) for at in inside)
    assert not any(found.hold(minute(*at)) for at in outside)


@pytest.mark.parametrize(
    "hours",
    ["Mo", "06:00-20:00", "Mo 6:00-20:00", "Mo 06:00-25:00", "Mo 06:60-20:00", "Mo 24:00-05:00", "Mo 06:00-06:00", "mo 06:00-20:00",
     "Mo-Xx 06:00-20:00", "Mo- 06:00-20:00", "Mo 06:00-20:00;", "Mo 06:00-20:00, Tu 06:00-20:00", "Lu 06:00-20:00", "Mo 24:01-05:00",
     "Mo-Tu-We 06:00-20:00", "always", "; ".join(["Mo 06:00-20:00"] * 65)],
)  # fmt: skip
def test_hours_that_cannot_be_read_are_refused(hours: str) -> None:
    with pytest.raises(BadHours):
        read_hours(hours)


times = st.integers(0, DAY_MINUTES - 1)
days = st.sampled_from(DAYS)
windows = st.tuples(st.one_of(days, st.tuples(days, days).map("-".join), st.tuples(days, days).map(",".join)), times, times).filter(
    lambda window: window[1] != window[2]
)


@given(st.lists(windows, min_size=1, max_size=3), st.integers(0, 7 * DAY_MINUTES - 1))
def test_hours_agree_with_the_rule_written_apart(found: list[tuple[str, int, int]], at: int) -> None:
    text = "; ".join(f"{span} {start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}" for span, start, end in found)
    wall = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=at)
    assert read_hours(text).hold(at) is open_at(text, wall)


def test_the_minute_is_what_the_wall_at_the_site_shows_also_on_the_days_of_the_clock_change() -> None:
    def shown(text: str) -> int:
        return week_minute(utc_ms(datetime.fromisoformat(text)), "Europe/Paris")

    assert shown("2026-03-29T00:30:00+00:00") == minute("Su", 1, 30)
    assert shown("2026-03-29T01:00:00+00:00") == minute("Su", 3), "two o'clock is left out"
    assert shown("2026-10-25T00:30:00+00:00") == shown("2026-10-25T01:30:00+00:00") == minute("Su", 2, 30), "half past two comes twice"


def test_outside_of_its_hours_a_card_is_refused_whoever_decides() -> None:
    """The small world's time is Sunday 03:30 at the site."""
    card = replace(CARD, hours=OFFICE)
    refused(Step.SITE, Reason.TIME_NOT_ALLOWED, card=card)
    refused(Step.SITE, Reason.TIME_NOT_ALLOWED, card=card, host=UNBOUNDED)
    assert run(card=replace(CARD, hours="Su 03:00-04:00")).approved
    assert run(card=replace(CARD, hours="Sa 22:00-04:00")).approved, "Saturday's window"
    assert run(card=replace(CARD, hours="")).approved


def test_the_site_s_zone_counts_not_the_customer_s() -> None:
    away = replace(CUSTOMER, zone="Pacific/Auckland")
    assert run(card=replace(CARD, hours="Su 03:00-04:00"), customer=away).approved


def test_the_site_is_judged_before_the_hour() -> None:
    refused(Step.SITE, Reason.SITE_NOT_ALLOWED, card=replace(CARD, hours=OFFICE, sites=frozenset({"S2"})))


def test_a_card_s_sites_may_name_a_network_of_the_site() -> None:
    card = replace(CARD, sites=frozenset({"NORTH"}))
    refused(Step.SITE, Reason.SITE_NOT_ALLOWED, card=card)
    refused(Step.SITE, Reason.SITE_NOT_ALLOWED, card=card, networks=("SOUTH",))
    assert run(card=card, networks=("SOUTH", "NORTH")).approved
    assert run(card=card, networks=("NORTH",), host=UNBOUNDED).approved
