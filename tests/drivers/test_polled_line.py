"""The round of a polled line over both protocols: polling idle rounds and skipping them lead to the same; the lost wait their turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import AuthorizeFuellingPoint, ReadTotal
from drivers.dispenser.dart import profile as dart_profile
from drivers.events import PumpSurveyed
from tests.drivers import azt_bench, dart_bench

Bench = azt_bench.Bench | dart_bench.Bench


@dataclass(frozen=True)
class Kind:
    """One protocol's way to the same things."""

    bench: Callable[[list[int], int], Bench]
    """A line of positions that answer after so many ms, the last so many of them silent."""
    lift: Callable[[Bench, int], None]
    silence: Callable[[Bench, int, bool], None]
    flowing: Callable[[], Bench]
    address: Callable[[bytes], int]
    is_poll: Callable[[bytes], bool]
    start: AuthorizeFuellingPoint
    exchange_ms: int


def _dart(delays: list[int], silent: int) -> Bench:
    living = len(delays) - silent
    return dart_bench.Bench(*[dart_bench.Head(0x50 + place, delay_ms=delay, silent=place >= living) for place, delay in enumerate(delays)])


def _azt(delays: list[int], silent: int) -> Bench:
    living = len(delays) - silent
    return azt_bench.Bench(*[azt_bench.Hose(1 + place, delay_ms=delay, silent=place >= living) for place, delay in enumerate(delays)])


def _dart_lift(bench: Bench, place: int) -> None:
    assert isinstance(bench, dart_bench.Bench)
    bench.heads[place].say_nozzle(0 if bench.heads[place].nozzle else 2)


def _azt_lift(bench: Bench, place: int) -> None:
    assert isinstance(bench, azt_bench.Bench)
    hose = bench.hoses[place]
    (hose.hang_up if hose.out else hose.lift)()


def _silence(bench: Bench, place: int, silent: bool) -> None:
    heads = bench.heads if isinstance(bench, dart_bench.Bench) else bench.hoses
    heads[place].silent = silent


def _dart_flowing() -> Bench:
    bench, head = dart_bench.lifted()
    head.volume = 100
    head.say_status(4)
    bench.run(1_500)
    return bench


def _azt_flowing() -> Bench:
    bench, hose = azt_bench.filling()
    hose.flow(100)
    bench.run(1_300)
    return bench


def _dart_poll(wire: bytes) -> bool:
    return wire[1] == 0x20


def _azt_poll(wire: bytes) -> bool:
    return wire[4] == 0x31


KINDS = {
    "dart": Kind(_dart, _dart_lift, _silence, _dart_flowing, lambda wire: wire[0], _dart_poll, dart_bench.START, 4 + 6 + 4 + 35),
    "azt": Kind(
        _azt, _azt_lift, _silence, _azt_flowing, lambda wire: azt_bench.request_of(wire)[0], _azt_poll, azt_bench.START, 21 + 10 + 17 + 35
    ),
}
both = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def snapshot(bench: Bench, since: int) -> list[tuple[int, bytes]]:
    return [(at, wire) for at, wire in bench.sent if at >= since]


def skip(bench: Bench, periods: int) -> int:
    """Skip so many periods; the length of one."""
    period = bench.line.idle_period()
    assert period is not None
    bench.line.skip(periods)
    bench.arrivals = [(at + periods * period, wire) for at, wire in bench.arrivals]
    bench.now += periods * period
    return period


def two(make: Callable[[], Bench], periods: int) -> tuple[Bench, Bench, int]:
    """The same bench polled and skipped by so many periods, and the instant from which they must be the same."""
    polled, skipped = make(), make()
    period = skip(skipped, periods)
    polled.run(periods * period)
    return polled, skipped, polled.now


@both
@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 12), st.integers(0, 400))
def test_skipping_and_polling_lead_to_the_same(kind: Kind, delays: list[int], silent: int, periods: int, phase: int) -> None:
    """The same bench twice: one polls through, one skips; later transmissions and events are the same at the same instants."""

    def make() -> Bench:
        bench = kind.bench([*delays, *[1] * silent], silent)
        bench.run(35_000 + phase)
        return bench

    polled, skipped, since = two(make, periods)
    assert skipped.line.skippable_until() is None
    for each in (polled, skipped):
        period = each.line.idle_period()
        assert period is not None
        each.run(period)
        assert each.line.idle_period() == period
        each.take()
        each.run(777)
        kind.lift(each, 0)
        each.run(300)
        each.submit(kind.start)
        each.run(4_000)
        assert snapshot(each, since)
    assert snapshot(skipped, since) == snapshot(polled, since)
    assert skipped.events == polled.events
    assert skipped.line.idle_period() == polled.line.idle_period()


@both
def test_skipping_keeps_the_instant_of_the_live_reading(kind: Kind) -> None:
    def make() -> Bench:
        bench = kind.flowing()
        while bench.line.idle_period() is None:
            bench.run(1)
        return bench

    probe = make()
    period, until = probe.line.idle_period(), probe.line.skippable_until()
    assert period is not None
    assert until is not None
    rounds = (until - probe.now) // period
    assert rounds >= 3
    polled, skipped, since = two(make, rounds)
    for each in (polled, skipped):
        each.run(3_000)
    assert snapshot(skipped, since) == snapshot(polled, since)
    assert skipped.events == polled.events


@both
@pytest.mark.parametrize("periods", [1, 2, 3, 7, 40])
def test_who_is_lost_after_a_skip_has_its_turn_where_it_would_have_been(kind: Kind, periods: int) -> None:
    def make() -> Bench:
        bench = kind.bench([6, 6, 6], 0)
        bench.settle()
        return bench

    polled, skipped, since = two(make, periods)
    for each in (polled, skipped):
        kind.silence(each, 1, True)
        each.run(20_000)
        kind.silence(each, 2, True)
        each.run(20_000)
    assert snapshot(skipped, since) == snapshot(polled, since)


@both
def test_no_skipping_while_anything_is_going_on(kind: Kind) -> None:
    bench = kind.bench([10 if kind is KINDS["azt"] else 6], 0)
    bench.settle()
    assert bench.line.idle_period() == kind.exchange_ms
    bench.submit(ReadTotal(1, 1))
    assert bench.line.idle_period() is None
    with pytest.raises(ValueError, match="idle"):
        bench.line.skip(1)
    bench.run(1_500)
    assert bench.line.idle_period() is not None
    with pytest.raises(ValueError, match="forward"):
        bench.line.skip(-1)
    kind.lift(bench, 0)
    periods = set()
    for _ in range(140):
        bench.run(1)
        periods.add(bench.line.idle_period())
    assert None in periods, "a nozzle is out, and the line took it for idle"


@both
def test_idle_means_that_every_position_had_its_turn_since_the_last_word(kind: Kind) -> None:
    bench = kind.bench([5, 6, 7, 8], 0)
    bench.settle()
    seen = 0
    for step in range(6_000):
        if step % 1_597 == 0:
            for place in range(1 + step % 4):
                kind.lift(bench, place)
        bench.run(1)
        if bench.line.idle_period() is not None:
            seen += 1
            last = [wire for _, wire in bench.sent[-5:-1]]
            assert all(kind.is_poll(wire) for wire in last)
            assert len({kind.address(wire) for wire in last}) == 4
    assert 1_000 < seen < 5_500


# --- the lost ---


@both
@pytest.mark.parametrize(("living", "lost"), [(1, 1), (1, 7), (4, 4), (8, 24), (24, 8)])
def test_the_lost_cost_the_living_one_window_in_so_many_turns_however_many_they_are(kind: Kind, living: int, lost: int) -> None:
    bench = kind.bench([6] * (living + lost), lost)
    bench.run(150_000)
    bench.sent.clear()
    bench.run(120_000)
    turns = bench.line.profile.lost_poll_turns
    addresses = [kind.address(wire) for _, wire in bench.sent]
    first = min(addresses)
    asked_lost = [address for address in addresses if address >= first + living]
    asked = len(addresses) - len(asked_lost)
    assert asked / (turns + living) - 1 <= len(asked_lost) <= asked / turns + 1
    counts = {address: asked_lost.count(address) for address in range(first + living, first + living + lost)}
    assert max(counts.values()) - min(counts.values()) <= 1, "each in its turn"
    for place, address in enumerate(addresses[:-1]):
        assert address < first + living or addresses[place + 1] < first + living, "never two windows together"


@both
def test_with_nobody_living_everybody_is_asked_one_after_another(kind: Kind) -> None:
    bench = kind.bench([6] * 3, 3)
    bench.run(30_000)
    bench.sent.clear()
    bench.run(10_000)
    addresses = [kind.address(wire) for _, wire in bench.sent]
    assert max(map(addresses.count, set(addresses))) - min(map(addresses.count, set(addresses))) <= 1
    assert len(set(addresses)) == 3
    kind.silence(bench, 1, False)
    bench.run(10_000)
    assert len(bench.line.lost_addresses()) == 2


@both
@pytest.mark.parametrize("living", [0, 1, 7])
def test_who_answers_again_is_noticed_in_seconds(kind: Kind, living: int) -> None:
    bench = kind.bench([6] * (living + 1), 1)
    bench.run(30_000)
    kind.silence(bench, living, False)
    bench.run(4_000)
    assert bench.line.lost_addresses() == []


def test_the_dead_poll_share_is_a_setting() -> None:
    often = dart_bench.Bench(dart_bench.Head(0x50), dart_bench.Head(0x51, silent=True), line=dart_profile.LineProfile(lost_poll_turns=4))
    often.run(20_000)
    often.sent.clear()
    often.run(10_000)
    polls = [wire[0] for _, wire in often.sent]
    assert polls.count(0x50) == pytest.approx(4 * polls.count(0x51), abs=4)


@both
def test_a_point_that_may_run_is_surveyed_before_the_others(kind: Kind) -> None:
    """Of eight heads the last one is known in about the time that a line with it alone takes, then the others, all of them."""
    alone, whole = _surveys(kind.bench([5], 0)), kind.bench([5] * 8, 0)
    whole.master.survey_first({8})
    told = _surveys(whole)
    first = min(told, key=lambda fp: told[fp])
    assert first == 8
    assert told[8] <= alone[1] + kind.exchange_ms
    assert set(told) == set(range(1, 9))


@both
def test_a_silent_point_does_not_keep_the_others_from_being_surveyed(kind: Kind) -> None:
    """Of two that may run, the one that answers waits for a single answer of the silent one; all the others are surveyed too."""
    alone, bench = _surveys(kind.bench([5], 0)), kind.bench([5] * 8, 0)
    kind.silence(bench, 0, True)
    bench.master.survey_first({1, 2})
    told = _surveys(bench)
    assert told[2] <= alone[1] + bench.timing.answer_window_ms + 2 * kind.exchange_ms
    assert set(told) == set(range(2, 9))


def test_a_head_that_is_never_whole_keeps_nobody_waiting_for_long() -> None:
    """It answers and refuses to say how it is: of two that may run the other one is known after its turns, and then all the others."""
    heads = [dart_bench.Head(0x50, naks=1 << 30), *(dart_bench.Head(0x51 + place) for place in range(3))]
    bench = dart_bench.Bench(*heads)
    bench.master.survey_first({1, 2})
    told = _surveys(bench)
    alone = _surveys(dart_bench.Bench(dart_bench.Head(0x50)))
    assert told[2] <= 4 * alone[1]
    assert told[2] < min(told[3], told[4]) <= 6 * alone[1]


def _surveys(bench: Bench) -> dict[int, int]:
    """When each point was surveyed, in ms from the beginning."""
    began, told = bench.now, dict[int, int]()
    for _ in range(12_000):
        bench.run(1)
        for event in bench.events:
            if isinstance(event, PumpSurveyed):
                told.setdefault(event.fp, bench.now - began)
        bench.events.clear()
    return told
