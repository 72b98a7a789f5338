"""The one clock: the host's time advanced by proven time; it never goes back and says how far it may be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.clock import AGREED_MS, HOLDOVER_AFTER_MS, LEAP_MS, ClockState, TerminalClock
from terminal.core.events import ProbeAnswered
from terminal.core.records import ClockAnchored, Refused
from terminal.core.units import Instant, UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, records

HOUR_MS = 3_600_000
NOON = UtcMs(MIDNIGHT + 12 * HOUR_MS)


def told(host: int = NOON, at: int = 1_000) -> TerminalClock:
    clock = TerminalClock()
    clock.host_said(UtcMs(host), Instant(at))
    return clock


def test_untrusted_before_the_host_has_spoken() -> None:
    clock = TerminalClock()
    assert clock.state(Instant(5)) is ClockState.UNTRUSTED
    clock.host_said(NOON, Instant(10))
    assert clock.state(Instant(10)) is ClockState.TRUSTED


def test_it_advances_with_elapsed_time() -> None:
    assert told().utc(Instant(61_000)) == NOON + 60_000


def test_a_day_without_contact_is_a_holdover_and_the_time_goes_on() -> None:
    clock = told(at=0)
    assert clock.state(Instant(HOLDOVER_AFTER_MS)) is ClockState.TRUSTED
    assert clock.state(Instant(HOLDOVER_AFTER_MS + 1)) is ClockState.HOLDOVER
    assert clock.utc(Instant(HOLDOVER_AFTER_MS + 1)) == NOON + HOLDOVER_AFTER_MS + 1
    clock.host_said(UtcMs(NOON + HOLDOVER_AFTER_MS + 2), Instant(HOLDOVER_AFTER_MS + 2))
    assert clock.state(Instant(HOLDOVER_AFTER_MS + 2)) is ClockState.TRUSTED


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 2 * 10**12)), min_size=1, max_size=20))
def test_it_never_goes_back_whatever_the_host_says(contacts: list[tuple[int, int]]) -> None:
    clock, now, last = told(host=contacts[0][1], at=0), 0, contacts[0][1]
    for elapsed, host in contacts:
        now += elapsed
        before = clock.utc(Instant(now))
        why = clock.host_said(UtcMs(host), Instant(now))
        after = clock.utc(Instant(now))
        assert after >= before >= last
        assert after >= host or why
        last = after


def test_a_host_that_is_a_little_ahead_is_followed_at_once() -> None:
    clock = told()
    assert clock.host_said(UtcMs(NOON + LEAP_MS), Instant(1_000)) == ""
    assert clock.utc(Instant(1_000)) == NOON + LEAP_MS


@pytest.mark.parametrize("ahead_ms", [LEAP_MS + 1, 2 * HOUR_MS, 26 * HOUR_MS, 366 * 24 * HOUR_MS])
def test_one_answer_that_is_far_ahead_changes_nothing_and_the_right_time_is_heard_behind_it(ahead_ms: int) -> None:
    clock = told(at=0)
    assert "far ahead" in clock.host_said(UtcMs(NOON + ahead_ms), Instant(0))
    assert (clock.utc(Instant(5)), clock.passed_utc(Instant(5))) == (NOON + 5, NOON + 5)
    assert clock.host_said(UtcMs(NOON + 60_000), Instant(60_000)) == ""
    assert clock.utc(Instant(61_000)) == NOON + 61_000


def test_a_host_that_says_the_same_for_an_hour_is_followed_there_too() -> None:
    """Ours may be the wrong one."""
    clock, ahead = told(at=0), UtcMs(NOON + 5 * HOUR_MS)
    for minute in range(60):
        assert clock.host_said(UtcMs(ahead + minute * 60_000), Instant(minute * 60_000)) != ""
    assert clock.host_said(UtcMs(ahead + AGREED_MS), Instant(AGREED_MS)) == ""
    assert clock.utc(Instant(AGREED_MS)) == ahead + AGREED_MS


@pytest.mark.parametrize("between", [NOON + 30 * 60_000, NOON + 20 * HOUR_MS])
def test_another_word_between_begins_the_hour_anew(between: int) -> None:
    clock, ahead = told(at=0), UtcMs(NOON + 5 * HOUR_MS)
    for minute in range(30):
        clock.host_said(UtcMs(ahead + minute * 60_000), Instant(minute * 60_000))
    clock.host_said(UtcMs(between), Instant(30 * 60_000))
    for minute in range(31, 91):
        assert clock.host_said(UtcMs(ahead + minute * 60_000), Instant(minute * 60_000)) != ""
    assert clock.host_said(UtcMs(ahead + 91 * 60_000), Instant(91 * 60_000)) == ""


def test_two_answers_are_too_few_however_far_apart() -> None:
    clock, ahead = told(at=0), UtcMs(NOON + 5 * HOUR_MS)
    assert [clock.host_said(UtcMs(ahead + at), Instant(at)) == "" for at in (0, AGREED_MS, AGREED_MS + 1)] == [False, False, True]


def test_a_host_that_was_hours_behind_is_followed_at_once_when_it_is_right_again() -> None:
    clock = told(at=0)
    for minute in range(0, 180, 5):
        assert clock.host_said(UtcMs(NOON - 26 * HOUR_MS + minute * 60_000), Instant(minute * 60_000)) == ""
    assert clock.utc(Instant(179 * 60_000)) == NOON
    assert clock.host_said(UtcMs(NOON + 3 * HOUR_MS), Instant(3 * HOUR_MS)) == ""
    assert clock.utc(Instant(3 * HOUR_MS)) == NOON + 3 * HOUR_MS


@pytest.mark.parametrize(("off_days", "minutes"), [(0, 0), (31, 0), (32, 5), (200, 5)])
def test_behind_a_power_off_the_first_word_counts_and_after_months_the_first_minutes(off_days: int, minutes: int) -> None:
    """Nothing proves how long it was off; but one wrong word alone brings no other year."""
    clock = TerminalClock()
    clock.restore(NOON, Instant(0), elapsed_known=False, contact=None)
    found = [
        clock.host_said(UtcMs(NOON + off_days * 24 * HOUR_MS + minute * 60_000), Instant(minute * 60_000)) == "" for minute in range(6)
    ]
    assert found.index(True) == minutes
    assert clock.utc(Instant(5 * 60_000)) == NOON + off_days * 24 * HOUR_MS + 5 * 60_000


def test_at_commissioning_the_first_word_counts_unless_the_host_s_own_certificate_speaks_against_it() -> None:
    for host, believed in ((NOON - HOUR_MS, False), (NOON, True), (NOON + 90 * 24 * HOUR_MS + 1, False)):
        clock = TerminalClock()
        clock.host_valid = lambda: (NOON, NOON + 90 * 24 * HOUR_MS)
        assert (clock.host_said(UtcMs(host), Instant(0)) == "") is believed
        assert (clock.state(Instant(0)) is ClockState.TRUSTED) is believed


def test_a_time_outside_the_host_s_own_certificate_is_never_believed_however_often_it_is_said() -> None:
    """Else every later connection would be refused as expired, and no right time could come."""
    clock = told(at=0)
    clock.host_valid = lambda: (NOON, NOON + 90 * 24 * HOUR_MS)
    for minute in range(300):
        assert "certificate" in clock.host_said(UtcMs(NOON + 366 * 24 * HOUR_MS + minute * 60_000), Instant(minute * 60_000))
    assert clock.utc(Instant(0)) == NOON


def test_what_has_passed_goes_back_with_the_host_while_the_time_stands() -> None:
    """Certificates are judged by it: a host that was wrong and is right again is not refused for what it had said."""
    clock, ahead = told(at=0), UtcMs(NOON + 5 * HOUR_MS)
    for minute in range(61):
        clock.host_said(UtcMs(ahead + minute * 60_000), Instant(minute * 60_000))
    clock.host_said(UtcMs(NOON + 62 * 60_000), Instant(62 * 60_000))
    assert clock.passed_utc(Instant(62 * 60_000)) == NOON + 62 * 60_000
    assert clock.utc(Instant(62 * 60_000)) == ahead + 62 * 60_000


def test_a_time_that_is_not_believed_is_a_fault_until_a_right_one_comes() -> None:
    bench = Bench().open()
    bench.do(ProbeAnswered(NOON))
    effects = bench.do(ProbeAnswered(UtcMs(NOON + 366 * 24 * HOUR_MS)))
    assert "HOST_TIME_REFUSED" in bench.faults()
    assert bench.site.link.reachable
    assert records(effects, ClockAnchored) == []
    bench.wait(3_700_000)
    assert records(bench.do(ProbeAnswered(UtcMs(NOON + 366 * 24 * HOUR_MS))), ClockAnchored) == []
    assert bench.site.desk.clock.utc(bench.now) < NOON + 2 * HOUR_MS
    bench.do(ProbeAnswered(UtcMs(bench.site.desk.clock.utc(bench.now))))
    assert "HOST_TIME_REFUSED" not in bench.faults()


def test_offline_nobody_is_served_before_the_host_s_time_was_ever_known() -> None:
    bench = Bench(points=(1,))
    bench.boot()
    bench.survey(1)
    bench.add_card("A")
    bench.site.link.down = True
    (refused,) = records(bench.badge("A"), Refused)
    assert refused.reason == "CLOCK_UNTRUSTED"
    bench.wait(10_000)
    bench.do(ProbeAnswered(NOON))
    bench.site.teller.lists_checked = NOON
    bench.site.link.down = True
    bench.badge("A")
    assert bench.session().state.name == "CHOOSING"


def test_a_host_that_is_behind_lets_our_time_stand_until_it_has_caught_up() -> None:
    clock = told(at=0)
    clock.host_said(UtcMs(NOON - 60_000), Instant(0))
    assert [clock.utc(Instant(at)) - NOON for at in (0, 59_999, 60_000, 61_000)] == [0, 0, 0, 1_000]


def test_after_a_power_off_it_is_a_holdover_from_the_first_instant() -> None:
    clock = TerminalClock()
    clock.restore(NOON, Instant(500), elapsed_known=False, contact=None)
    assert clock.state(Instant(500)) is ClockState.HOLDOVER
    assert clock.utc(Instant(1_500)) == NOON + 1_000


def test_a_restart_never_goes_behind_the_last_time_that_was_written() -> None:
    clock = TerminalClock()
    clock.restore(NOON, Instant(0), elapsed_known=True, contact=Instant(0), newest=UtcMs(NOON + 5_000))
    assert [clock.utc(Instant(at)) - NOON for at in (1_000, 6_000)] == [5_000, 6_000]
