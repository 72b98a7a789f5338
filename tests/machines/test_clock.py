"""The one clock: the host's time advanced by proven time; it never goes back and says how far it may be believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terminal.core.clock import HOLDOVER_AFTER_MS, ClockState, TerminalClock
from terminal.core.events import ProbeAnswered
from terminal.core.records import Refused
from terminal.core.units import Instant, UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, records

NOON = UtcMs(MIDNIGHT + 12 * 3_600_000)


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
        clock.host_said(UtcMs(host), Instant(now))
        after = clock.utc(Instant(now))
        assert after >= before >= last
        assert after >= host
        last = after


def test_a_host_that_is_ahead_is_followed_at_once() -> None:
    clock = told()
    clock.host_said(UtcMs(NOON + 3_600_000), Instant(1_000))
    assert clock.utc(Instant(1_000)) == NOON + 3_600_000


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
