"""Polling through idle rounds of a DART line and skipping them lead to the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import ReadTotal
from tests.drivers.dart_bench import START, Bench, Head, lifted

# --- skipping ---


def snapshot(bench: Bench, since: int) -> list[tuple[int, bytes]]:
    return [(at, wire) for at, wire in bench.sent if at >= since]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(0, 2), st.integers(0, 40), st.integers(0, 400), st.data())
def test_skipping_and_polling_lead_to_the_same(alive: int, dead: int, periods: int, phase: int, data: st.DataObject) -> None:
    """The same bench twice: one polls through, one skips; later transmissions and events are the same at the same instants."""
    delays = data.draw(st.lists(st.integers(1, 30), min_size=alive + dead, max_size=alive + dead))

    def bench() -> Bench:
        heads = [Head(0x50 + each, delay_ms=delays[each], silent=each >= alive) for each in range(alive + dead)]
        made = Bench(*heads)
        made.run(15_000 + phase)
        return made

    polled, skipped = bench(), bench()
    period = skipped.line.idle_period()
    assert period is not None
    assert skipped.line.skippable_until() is None
    skipped.line.skip(periods)
    skipped.arrivals = [(at + periods * period, wire) for at, wire in skipped.arrivals]
    skipped.now += periods * period
    polled.run(periods * period)
    since = polled.now
    for each in (polled, skipped):
        each.run(period)
        assert each.line.idle_period() == period
        each.take()
        each.run(777)
        each.heads[0].say_nozzle(2)
        each.run(300)
        each.submit(START)
        each.run(4_000)
    assert snapshot(skipped, since) == snapshot(polled, since)
    assert skipped.events == polled.events
    assert skipped.line.idle_period() == polled.line.idle_period()


def test_skipping_keeps_the_instant_of_the_live_reading() -> None:
    def bench() -> Bench:
        made, head = lifted()
        head.volume = 100
        head.say_status(4)
        made.run(1_500)
        return made

    polled, skipped = bench(), bench()
    period, until = skipped.line.idle_period(), skipped.line.skippable_until()
    assert period is not None
    assert until is not None
    rounds = (until - skipped.now) // period
    assert rounds >= 3
    skipped.line.skip(rounds)
    skipped.arrivals = [(at + rounds * period, wire) for at, wire in skipped.arrivals]
    skipped.now += rounds * period
    polled.run(rounds * period)
    since = polled.now
    for each in (polled, skipped):
        each.heads[0].volume = 200
        each.run(3_000)
    assert snapshot(skipped, since) == snapshot(polled, since)
    assert skipped.events == polled.events


def test_no_skipping_while_anything_is_going_on() -> None:
    bench, head = lifted()
    bench.run(500)
    assert bench.line.idle_period() == 4 + 6 + 4 + 35
    bench.submit(ReadTotal(1, 1))
    assert bench.line.idle_period() is None
    with pytest.raises(ValueError, match="idle"):
        bench.line.skip(1)
    bench.run(1_000)
    assert bench.line.idle_period() is not None
    with pytest.raises(ValueError, match="forward"):
        bench.line.skip(-1)
    head.say_nozzle(0)
    bench.run(60)
    assert bench.line.idle_period() is None


def test_idle_means_that_every_position_had_its_turn_since_the_last_word() -> None:
    heads = [Head(0x50 + each, delay_ms=5 + each) for each in range(4)]
    bench = Bench(*heads).surveyed()
    seen = 0
    for step in range(6_000):
        if step % 797 == 0:
            for head in heads[: 1 + step % 4]:
                head.say_nozzle(0 if head.nozzle else 1)
                head.say_status()
        bench.run(1)
        if bench.line.idle_period() is not None:
            seen += 1
            last = [wire for _, wire in bench.sent[-5:-1]]
            assert {wire[1] for wire in last} == {0x20}
            assert len({wire[0] for wire in last}) == 4
    assert 1_000 < seen < 5_500
