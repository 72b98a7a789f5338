"""Polling through idle rounds of an AZT line and skipping them lead to the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import ReadTotal
from tests.drivers.azt_bench import START, Bench, Hose, filling, lifted


def snapshot(bench: Bench, since: int) -> list[tuple[int, bytes]]:
    return [(at, wire) for at, wire in bench.sent if at >= since]


def skip(bench: Bench, periods: int) -> None:
    period = bench.line.idle_period()
    assert period is not None
    bench.line.skip(periods)
    bench.arrivals = [(at + periods * period, wire) for at, wire in bench.arrivals]
    bench.now += periods * period


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(0, 2), st.integers(0, 40), st.integers(0, 400), st.data())
def test_skipping_and_polling_lead_to_the_same(alive: int, dead: int, periods: int, phase: int, data: st.DataObject) -> None:
    """The same bench twice: one polls through, one skips; later transmissions and events are the same at the same instants."""
    delays = data.draw(st.lists(st.integers(1, 30), min_size=alive + dead, max_size=alive + dead))
    states = data.draw(st.lists(st.sampled_from([0, 1, 2, 4]), min_size=alive + dead, max_size=alive + dead))

    def bench() -> Bench:
        hoses = [
            Hose(1 + each, state=states[each], out=states[each] == 1, delay_ms=delays[each], silent=each >= alive)
            for each in range(alive + dead)
        ]
        made = Bench(*hoses)
        made.run(30_000 + phase)
        return made

    polled, skipped = bench(), bench()
    period = skipped.line.idle_period()
    assert period is not None
    assert skipped.line.skippable_until() is None
    skip(skipped, periods)
    polled.run(periods * period)
    since = polled.now
    for each in (polled, skipped):
        each.run(period)
        assert each.line.idle_period() == period
        each.take()
        each.run(777)
        each.hoses[0].lift()
        each.run(300)
        each.submit(START)
        each.run(4_000)
    assert snapshot(skipped, since) == snapshot(polled, since)
    assert skipped.events == polled.events
    assert skipped.line.idle_period() == polled.line.idle_period()


def test_skipping_keeps_the_instant_of_the_live_reading() -> None:
    def bench() -> Bench:
        made, hose = filling()
        hose.flow(100)
        made.run(1_300)
        while made.line.idle_period() is None:
            made.run(1)
        return made

    polled, skipped = bench(), bench()
    period, until = skipped.line.idle_period(), skipped.line.skippable_until()
    assert period is not None
    assert until is not None
    rounds = (until - skipped.now) // period
    assert rounds >= 3
    skip(skipped, rounds)
    polled.run(rounds * period)
    since = polled.now
    for each in (polled, skipped):
        each.hoses[0].flow(100)
        each.run(3_000)
    assert snapshot(skipped, since) == snapshot(polled, since)
    assert skipped.events == polled.events


@pytest.mark.parametrize("periods", [1, 2, 3, 7])
def test_who_is_lost_after_a_skip_has_its_turn_where_it_would_have_been(periods: int) -> None:
    def bench() -> Bench:
        return Bench(Hose(1), Hose(2)).surveyed()

    polled, skipped = bench(), bench()
    period = skipped.line.idle_period()
    assert period is not None
    skip(skipped, periods)
    polled.run(periods * period)
    since = polled.now
    for each in (polled, skipped):
        each.hoses[1].silent = True
        each.run(20_000)
    assert snapshot(skipped, since) == snapshot(polled, since)


def test_no_skipping_while_anything_is_going_on() -> None:
    bench, hose = lifted()
    bench.run(500)
    assert bench.line.idle_period() == 21 + 10 + 17 + 35
    bench.submit(ReadTotal(1, 1))
    assert bench.line.idle_period() is None
    with pytest.raises(ValueError, match="idle"):
        bench.line.skip(1)
    bench.run(1_000)
    assert bench.line.idle_period() is not None
    with pytest.raises(ValueError, match="forward"):
        bench.line.skip(-1)
    hose.hang_up()
    bench.run(90)
    assert bench.line.idle_period() is None


def test_a_dose_entered_at_the_head_is_no_idle_line() -> None:
    hose = Hose(obey=False)
    bench = Bench(hose).surveyed()
    hose.state = 8
    for _ in range(200):
        bench.run(37)
        assert bench.line.idle_period() is None or hose.count("3") == 0


def test_idle_means_that_every_position_had_its_turn_since_the_last_word() -> None:
    hoses = [Hose(1 + each, delay_ms=5 + each) for each in range(4)]
    bench = Bench(*hoses).surveyed()
    seen = 0
    for step in range(6_000):
        if step % 1_597 == 0:
            for hose in hoses[: 1 + step % 4]:
                (hose.hang_up if hose.out else hose.lift)()
        bench.run(1)
        if bench.line.idle_period() is not None:
            seen += 1
            last = [wire for _, wire in bench.sent[-5:-1]]
            assert {wire[4] for wire in last} == {0x31}
            assert len({wire[2] for wire in last}) == 4
    assert 1_000 < seen < 5_500
