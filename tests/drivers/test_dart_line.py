"""The DART line master against a scripted head: fuelling, retries, losses, survey, and what it must never do (dispenser-protocols 1.5-1.10)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.dart.frames import Transaction
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    LineNoise,
    NozzleLifted,
    NozzleReturned,
    PumpAlarmed,
    PumpLineLost,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
    TotalReported,
)
from tests.drivers.dart_bench import Bench, Head

STATUS, FILLING, RESET, AUTHORIZE, STOP = ((1, bytes((code,))) for code in (0, 4, 5, 6, 8))
START = AuthorizeFuellingPoint(fp=1, nozzle=2, preset_volume_ml=20_000, preset_amount_minor=None, prices=(15_000, 17_290))


def lifted(**options: bool) -> tuple[Bench, Head]:
    """A surveyed head with nozzle 2 out."""
    head = Head(0x50)
    bench = Bench(head, positions=[PositionProfile(fp=1, address=0x50, **options)]).surveyed()
    head.say_nozzle(2)
    bench.run(200)
    assert bench.take() == [NozzleLifted(1, 2, 17_290)]
    return bench, head


# --- survey ---


def test_survey_comes_first_and_once() -> None:
    head = Head(0x50, status=5, nozzle=2)
    head.say_status()
    head.say((5, b"\x01"))
    bench = Bench(head)
    bench.run(5_000)
    assert bench.take() == [PumpSurveyed(1, PumpStatus.COMPLETED, 2), PumpAlarmed(1, "CPU reset")]
    assert head.count(*STATUS) == 3
    head.say_status(5)
    head.say_nozzle(2)
    bench.run(1_000)
    assert bench.take() == []
    assert head.count(*RESET) == 0


def test_survey_waits_for_three_equal_rounds() -> None:
    head = Head(0x50)
    bench = Bench(head)
    for status in (1, 5, 1, 5, 1):
        head.status = status
        before = head.count(*STATUS)
        for _ in range(50):
            if head.count(*STATUS) == before:
                bench.run(20)
    assert bench.events == []
    bench.run(3_000)
    assert bench.take() == [PumpSurveyed(1, PumpStatus.RESET, None)]


def test_commands_before_the_survey_are_refused() -> None:
    bench = Bench(Head(0x50))
    bench.submit(ReadFill(1))
    bench.submit(ReadFill(9))
    bench.run(10)
    assert [(event.fp, event.command) for event in bench.of(CommandFailed)] == [(1, "ReadFill"), (9, "ReadFill")]


# --- fuelling ---


@pytest.mark.parametrize("combined", [True, False])
def test_a_fuelling(combined: bool) -> None:
    bench, head = lifted(combined_start=combined)
    head.executed.clear()
    bench.submit(START)
    bench.run(500)
    assert bench.take() == [PumpStatusChanged(1, PumpStatus.AUTHORIZED)]
    assert head.executed == [(2, b"\x02"), (3, bytes.fromhex("00002000")), AUTHORIZE]

    head.say_status(4)
    for step in range(1, 4):
        head.volume, head.amount = 500 * step, 864 * step
        bench.run(1_100)
    assert bench.of(PumpStatusChanged) == [PumpStatusChanged(1, PumpStatus.FILLING)]
    assert bench.of(FillProgressed) == [FillProgressed(1, 5_000 * step, 864 * step) for step in range(1, 4)]

    head.volume, head.amount, head.total = 1_999, 3_456, 101_999
    bench.take()
    head.say_status(6)
    head.say_nozzle(0)
    head.say_status(5)
    bench.run(1_000)
    assert bench.take() == [
        PumpStatusChanged(1, PumpStatus.LIMIT_REACHED),
        NozzleReturned(1, 2),
        PumpStatusChanged(1, PumpStatus.COMPLETED),
    ]
    bench.submit(ReadFill(1))
    bench.submit(ReadTotal(1, 2))
    bench.run(1_000)
    assert bench.take() == [FillReported(1, 19_990, 3_456), TotalReported(1, 2, 1_019_990)]

    bench.run(20_000)
    assert head.count(*RESET) == 0, "the record was erased before it was confirmed"
    bench.submit(ConfirmFill(1))
    bench.run(1_000)
    assert bench.take() == [PumpStatusChanged(1, PumpStatus.RESET)]
    assert head.count(*RESET) == 1


def test_unchanged_readings_post_nothing() -> None:
    bench, head = lifted()
    head.volume = 100
    head.say_status(4)
    bench.run(5_000)
    assert head.count(*FILLING) >= 4
    assert len(bench.of(FillProgressed)) == 1
    bench.submit(ReadFill(1))  # but who asks is answered
    bench.run(500)
    assert len(bench.of(FillProgressed)) == 2
    assert bench.of(FillReported) == []


@pytest.mark.parametrize("status", [0, 2, 4, 5, 6, 7, 8])
def test_no_release_and_no_reset_in_another_state_than_reset(status: int) -> None:
    head = Head(0x50, status=status, nozzle=2, price=1729)
    bench = Bench(head).surveyed()
    bench.submit(START)
    bench.run(8_000)
    assert [event.command for event in bench.of(CommandFailed)] == ["AuthorizeFuellingPoint"]
    assert head.count(*AUTHORIZE) == 0
    assert head.count(*RESET) == 0


def test_release_that_is_acknowledged_and_not_done_is_repeated_once_then_stopped() -> None:
    bench, head = lifted()
    head.obey = False
    bench.submit(START)
    bench.run(3_500)
    assert head.count(*AUTHORIZE) == 2
    assert bench.events == []
    bench.run(8_000)
    assert head.count(*AUTHORIZE) == 2
    assert head.count(*STOP) == 1
    assert head.executed.index(STOP) > head.executed.index(AUTHORIZE)
    (failed,) = bench.of(CommandFailed)
    assert (failed.fp, failed.command, failed.why) == (1, "AuthorizeFuellingPoint", "the position stayed reset")


def test_release_done_late_by_the_repeat_counts() -> None:
    bench, head = lifted()
    head.obey = False
    bench.submit(START)
    bench.run(2_000)
    head.obey = True
    bench.run(4_000)
    assert bench.take() == [PumpStatusChanged(1, PumpStatus.AUTHORIZED)]
    assert head.count(*STOP) == 0


def test_a_head_that_shows_another_price_is_not_released() -> None:
    bench, head = lifted()
    bench.submit(AuthorizeFuellingPoint(1, 2, 20_000, None, (15_000, 18_000)))
    bench.run(1_000)
    (failed,) = bench.of(CommandFailed)
    assert "price 17290" in failed.why
    assert head.count(*AUTHORIZE) == 0


def test_prices_go_with_the_release_where_the_profile_says_so() -> None:
    bench, head = lifted(prices_with_authorize=True)
    head.executed.clear()
    bench.submit(AuthorizeFuellingPoint(1, 2, None, 5_000, (15_000, 18_000)))
    bench.run(1_000)
    assert head.executed[:4] == [(2, b"\x02"), (5, bytes.fromhex("001500 001800")), (4, bytes.fromhex("00005000")), AUTHORIZE]


def test_stop() -> None:
    bench, head = lifted()
    bench.submit(START)
    bench.run(500)
    bench.take()
    bench.submit(StopFuellingPoint(1))
    bench.run(500)
    assert bench.take() == [PumpStatusChanged(1, PumpStatus.COMPLETED)]
    assert head.count(*STOP) == 1


def test_stop_is_repeated_until_it_works_and_failure_is_told() -> None:
    bench, head = lifted()
    bench.submit(START)
    bench.run(500)
    head.obey = False
    bench.take()
    bench.submit(StopFuellingPoint(1))
    bench.run(4_000)
    assert head.count(*STOP) == 2
    bench.run(20_000)
    assert head.count(*STOP) == 5
    assert [event.command for event in bench.take() if isinstance(event, CommandFailed)] == ["StopFuellingPoint"]


def test_stop_withdraws_a_release_under_way_and_makes_sure() -> None:
    bench, head = lifted()
    head.obey = False
    bench.submit(START)
    bench.run(300)
    assert head.count(*AUTHORIZE) == 1
    head.status = 2  # done after all, not yet told
    head.obey = True
    bench.submit(StopFuellingPoint(1))
    bench.submit(ReadFill(1))
    bench.run(3_000)
    assert head.status == 5
    assert [event for event in bench.take() if not isinstance(event, PumpStatusChanged)] == [
        CommandFailed(1, "AuthorizeFuellingPoint", "withdrawn by a stop"),
        FillReported(1, 0, 0),
    ]


def test_stop_goes_before_what_waits() -> None:
    bench, head = lifted()
    head.say_status(4)
    bench.run(300)
    head.executed.clear()
    bench.submit(ReadTotal(1, 1))
    bench.submit(ReadTotal(1, 2))
    bench.submit(StopFuellingPoint(1))
    bench.run(2_000)
    assert head.executed.index(STOP) <= 1
    assert [event.nozzle for event in bench.of(TotalReported)] == [1, 2]


def test_reset_that_is_not_done_is_told() -> None:
    head = Head(0x50, status=5, obey=False)
    bench = Bench(head).surveyed()
    bench.submit(ConfirmFill(1))
    bench.run(15_000)
    assert head.count(*RESET) == 3
    assert [event.command for event in bench.take() if isinstance(event, CommandFailed)] == ["ConfirmFill"]


def test_nothing_is_erased_while_the_fill_runs() -> None:
    bench, head = lifted()
    head.say_status(4)
    bench.run(300)
    bench.submit(ConfirmFill(1))
    bench.run(1_000)
    assert head.count(*RESET) == 0
    assert len(bench.of(CommandFailed)) == 1


def test_an_old_reading_in_the_heads_queue_is_not_taken_for_the_record() -> None:
    bench, head = lifted()
    head.volume, head.amount = 1_000, 1_729
    head.say_status(4)
    asked = head.count(*FILLING)
    for _ in range(200):
        if head.count(*FILLING) == asked:
            bench.run(10)
    # The live reading is queued; this head tells its new status first.
    reading = head.queue.pop()
    head.say_status(5)
    head.queue.append(reading)
    head.volume, head.amount = 1_234, 2_134
    for _ in range(500):
        if PumpStatusChanged(1, PumpStatus.COMPLETED) not in bench.events:
            bench.run(1)
    bench.submit(ReadFill(1))
    bench.run(2_000)
    assert bench.of(FillReported) == [FillReported(1, 12_340, 2_134)]


def test_prices() -> None:
    head = Head(0x50, status=0)
    bench = Bench(head, positions=[PositionProfile(fp=1, address=0x50, prices_twice=True)]).surveyed()
    bench.submit(SetPrices(1, (11_750, 12_340)))
    bench.submit(SetPrices(1, (11_755,)))
    bench.run(2_000)
    assert head.count(5, bytes.fromhex("001175 001234")) == 2
    changed, refused = bench.take()
    assert changed == PumpStatusChanged(1, PumpStatus.COMPLETED)
    assert isinstance(refused, CommandFailed)


def test_too_many_commands_are_refused_not_lost() -> None:
    bench, head = lifted()
    head.silent = True
    for _ in range(40):
        bench.submit(ReadTotal(1, 1))
    bench.run(5_000)
    assert len(bench.of(CommandFailed)) == 40


# --- the link ---


def test_timing_of_turns() -> None:
    head = Head(0x50)
    bench = Bench(head).surveyed()
    bench.sent.clear()
    head.say_nozzle(1)
    bench.run(200)
    times = [at for at, _ in bench.sent]
    kinds = [wire[1] & 0xF0 for _, wire in bench.sent]
    first = kinds.index(0xC0)
    poll, ack, after = times[first - 1 : first + 2]
    data = 4 + 6 + bench.profile.transmit_ms(12)
    assert ack - poll == data + 5
    assert after - ack == 4 + 35
    assert times[first + 2] - after == 4 + 6 + 4 + 35


def test_numbers_start_at_0_and_wrap_from_15_to_1() -> None:
    bench, head = lifted()
    for _ in range(20):
        bench.submit(ReadTotal(1, 1))
        bench.run(300)
    assert head.numbers == [0, *range(1, 16), *range(1, 8)]
    assert len(bench.of(TotalReported)) == 20


def test_lost_data_and_lost_ack_are_repeated_under_their_number() -> None:
    bench, head = lifted()
    head.numbers.clear()
    head.lost_data = 2
    bench.submit(ReadTotal(1, 1))
    bench.run(1_500)
    head.lost_answers = 2
    bench.submit(ReadTotal(1, 1))
    bench.run(1_500)
    assert head.numbers == [3, 4, 4, 4]
    assert head.count(0x65, b"\x01") == 2, "a repeat was executed as a new command"
    assert len(bench.of(TotalReported)) == 2


def test_a_number_given_up_is_not_used_for_other_content() -> None:
    bench, head = lifted()
    head.lost_answers = 1
    bench.submit(START)
    bench.run(100)
    assert head.status == 2
    bench.submit(StopFuellingPoint(1))
    bench.run(400)
    assert head.status == 5, "the stop was taken for a repeat of the release"
    assert head.numbers[-3:] == [3, 0, 1]


def test_a_link_that_fails_for_one_frame_is_tried_again() -> None:
    bench, head = lifted()
    head.lost_answers = 4
    bench.submit(ReadTotal(1, 1))
    bench.submit(ReadTotal(1, 2))
    bench.run(6_000)
    assert [event.nozzle for event in bench.of(TotalReported)] == [1, 2]
    assert bench.of(CommandFailed) == []


def test_nak_restarts_at_0() -> None:
    bench, head = lifted()
    head.numbers.clear()
    head.naks = 1
    bench.submit(ReadTotal(1, 1))
    bench.run(1_000)
    assert head.numbers == [3, 0]
    assert len(bench.of(TotalReported)) == 1


def test_our_lost_ack_is_given_again_and_told_once() -> None:
    bench, head = lifted()
    head.deaf_to_acks = 2
    head.say((5, b"\x09"))
    head.say_status(7)
    bench.sent.clear()
    bench.run(1_000)
    assert bench.take() == [PumpAlarmed(1, "emergency stop"), PumpStatusChanged(1, PumpStatus.SWITCHED_OFF)]
    assert sum(wire[1] & 0xF0 == 0xC0 for _, wire in bench.sent) == 4
    head.say((5, b"\x09"))
    bench.run(500)
    assert bench.take() == [PumpAlarmed(1, "emergency stop")]


def test_any_number_of_the_head_is_acknowledged() -> None:
    bench, head = lifted()
    for number in (7, 7, 0, 15, 0):
        head.number = number
        head.say_nozzle(0 if head.nozzle else 2)
        bench.run(200)
        assert (0x50, 0xC0 | number, 0xFA) in {tuple(wire) for _, wire in bench.sent}
    assert len(bench.take()) == 5


def test_stray_lead_bytes_cost_nothing_but_a_count() -> None:
    head = Head(0x50)
    bench = Bench(head)
    bench.lead = b"\xbc\xfe"
    bench.run(5_000)
    assert bench.of(PumpSurveyed) == [PumpSurveyed(1, PumpStatus.RESET, None)]
    noise = bench.of(LineNoise)
    assert noise
    assert len(noise) <= 5
    assert bench.of(PumpLineLost) == []


def test_own_echo_is_not_taken_for_the_head() -> None:
    head = Head(0x50)
    bench = Bench(head, line=LineProfile(echo=True)).surveyed()
    head.say_nozzle(2)
    bench.run(300)
    bench.submit(START)
    bench.run(500)
    assert bench.take() == [NozzleLifted(1, 2, 17_290), PumpStatusChanged(1, PumpStatus.AUTHORIZED)]
    assert head.count(*AUTHORIZE) == 1


# --- loss ---


def test_a_dead_position_is_lost_once_polled_rarely_and_surveyed_anew() -> None:
    living, dying = Head(0x50), Head(0x51)
    bench = Bench(living, dying).surveyed()
    dying.silent = True
    bench.submit(ReadTotal(2, 1))
    bench.run(20_000)
    lost, failed = bench.take()
    assert isinstance(lost, PumpLineLost)
    assert lost.fp == 2
    assert isinstance(failed, CommandFailed)
    bench.sent.clear()
    bench.run(5_000)
    polls = [wire[0] for _, wire in bench.sent]
    assert polls.count(0x50) == pytest.approx(4 * polls.count(0x51), abs=4)
    dying.silent = False
    dying.status = 5
    living.say_nozzle(1)
    bench.run(5_000)
    assert bench.take() == [NozzleLifted(1, 1, 17_290), PumpSurveyed(2, PumpStatus.COMPLETED, None)]


def test_positions_that_never_answered_are_lost_once_too() -> None:
    bench = Bench(Head(0x50, silent=True), Head(0x51, silent=True))
    bench.run(20_000)
    assert [event.fp for event in bench.of(PumpLineLost)] == [1, 2]
    assert len(bench.events) == 2


def test_a_lost_port_loses_every_position_once() -> None:
    head = Head(0x50)
    bench = Bench(head, Head(0x51, silent=True)).surveyed()
    bench.submit(ReadTotal(1, 1))
    bench.line.port_lost("unplugged", bench.now)
    bench.line.port_lost("still unplugged", bench.now)
    bench.arrivals.clear()
    bench.run(1)
    assert bench.take() == [
        PumpLineLost(1, "unplugged"),
        CommandFailed(1, "ReadTotal", "the position was lost: unplugged"),
    ]
    bench.run(5_000)
    assert bench.take() == [PumpSurveyed(1, PumpStatus.RESET, None)]


def test_a_talkative_head_does_not_starve_the_others() -> None:
    talker, other = Head(0x50), Head(0x51)
    bench = Bench(talker, other).surveyed()
    for _ in range(500):
        talker.say_nozzle(2 if not talker.nozzle else 0)
    bench.sent.clear()
    bench.run(5_000)
    polls = [wire[0] for _, wire in bench.sent if wire[1] == 0x20]
    assert polls.count(0x51) >= 15
    assert polls.count(0x50) >= polls.count(0x51)


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
        if step % 397 == 0:
            heads[step % 4].say_nozzle(0 if heads[step % 4].nozzle else 1)
        bench.run(1)
        if bench.line.idle_period() is not None:
            seen += 1
            last = [wire for _, wire in bench.sent[-5:-1]]
            assert {wire[1] for wire in last} == {0x20}
            assert len({wire[0] for wire in last}) == 4
    assert 500 < seen < 5_500


# --- anything at all ---


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 200), st.binary(max_size=40)), max_size=40))
def test_no_bytes_break_the_master_or_silence_it(pieces: list[tuple[int, bytes]]) -> None:
    bench, head = lifted()
    for pause, data in pieces:
        bench.run(pause)
        bench.line.receive(data, bench.now)
    bench.run(60_000)
    bench.take()
    head.say_status(7)
    bench.run(3_000)
    assert PumpStatus.SWITCHED_OFF in {getattr(event, "status", None) for event in bench.take()}


def test_a_line_that_never_falls_silent_does_not_hold_the_master_back() -> None:
    line = DartLine("line-1", [PositionProfile(fp=1, address=0x50)])
    sent = 0
    for now in range(0, 10_000, 10):
        sent += line.next_transmission(now) is not None
        line.receive(b"\x50\x31\x50\x31", now)
    assert sent >= 10
    assert PumpLineLost(1, "no answer to 5 polls") in line.take_events()


def test_lines_that_cannot_be_are_refused() -> None:
    one = PositionProfile(fp=1, address=0x50)
    with pytest.raises(ValueError, match="1 to 32"):
        DartLine("line-1", [])
    with pytest.raises(ValueError, match="address"):
        DartLine("line-1", [one, PositionProfile(fp=2, address=0x50)])
    with pytest.raises(ValueError, match="fuelling point"):
        DartLine("line-1", [one, PositionProfile(fp=1, address=0x51)])


def test_transactions_of_the_start_are_one_frame() -> None:
    bench, _ = lifted()
    bench.sent.clear()
    bench.submit(START)
    bench.run(300)
    (frame,) = [wire for _, wire in bench.sent if wire[1] & 0xF0 == 0x30]
    assert frame[2:-4] == bytes.fromhex("020102 0304 00002000 010106")
    assert Transaction(*AUTHORIZE) == Transaction(1, b"\x06")
