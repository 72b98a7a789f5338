"""The DART line master against a scripted head: survey, retries, losses, any bytes at all (dispenser-protocols 1.5, 1.6, 1.10)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import ReadFill, ReadTotal, StopFuellingPoint
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.events import (
    CommandFailed,
    FillProgressed,
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
from tests.drivers.dart_bench import AUTHORIZE, RESET, START, STATUS, Bench, Head, lifted

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


def test_a_frame_that_comes_again_tells_its_history_once() -> None:
    """Found over a noisy wire: a nozzle that went in and another that came out, told twice, took a release back."""
    bench, head = lifted()
    bench.take()
    head.deaf_to_acks = 3
    head.nozzle = 0
    hung_up = head.nozzle_word()
    head.nozzle = 1
    head.say(hung_up, head.nozzle_word(), (1, b"\x05"), (1, b"\x01"))
    head.status = 1
    bench.run(2_000)
    assert head.deaf_to_acks == 0
    told = [event for event in bench.take() if isinstance(event, NozzleReturned | NozzleLifted | PumpStatusChanged)]
    assert [type(event).__name__ for event in told] == ["NozzleReturned", "NozzleLifted", "PumpStatusChanged", "PumpStatusChanged"]
    assert [getattr(event, "nozzle", None) for event in told] == [2, 1, None, None]


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


@pytest.mark.parametrize("piece", [1, 2, 5])
def test_answers_in_pieces_are_waited_for(piece: int) -> None:
    head = Head(0x50, delay_ms=110)  # begins within the window and ends after it
    bench = Bench(head)
    bench.piece = piece
    bench.run(10_000)
    assert bench.take() == [PumpSurveyed(1, PumpStatus.RESET, None)]


def test_a_torn_answer_is_asked_for_again_after_a_short_silence() -> None:
    bench, head = lifted()
    head.say_nozzle(0)
    bench.cut = 2
    bench.run(600)
    returned = bench.of(NozzleReturned)
    assert returned == [NozzleReturned(1, 2)]
    assert bench.of(LineNoise)


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
    assert polls.count(0x50) > 20 * polls.count(0x51) > 0
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


# --- a full line ---


def test_with_everybody_fuelling_everybody_is_heard_and_a_command_waits_for_nobody() -> None:
    heads = [Head(0x50 + place, status=4, nozzle=2) for place in range(31)]
    free = Head(0x6F)
    bench = Bench(*heads, free)
    bench.run(30_000)
    assert len(bench.of(PumpSurveyed)) == 32
    for _ in range(20):
        for head in heads:
            head.volume += 40
        bench.run(1_000)
    progress = [event.fp for event in bench.of(FillProgressed)]
    assert min(progress.count(fp) for fp in range(1, 32)) >= 4, "each is read again and again"
    turns = [at for at, wire in bench.sent if wire[0] == 0x6F and wire[1] == 0x20]
    rounds = [after - before for before, after in zip(turns, turns[1:], strict=False)][-5:]
    assert max(rounds) < 2_600
    for wait in (10, 333, 777):
        free.executed.clear()
        free.say_nozzle(2)
        since = bench.now
        while not bench.of(NozzleLifted) and bench.now - since < 10_000:
            bench.run(1)
        bench.take()
        bench.submit(replace(START, fp=32))
        while not free.count(*AUTHORIZE) and bench.now - since < 10_000:
            bench.run(1)
        assert bench.now - since <= max(rounds) + 50
        free.say_status(1)
        free.say_nozzle(0)
        bench.run(5_000 + wait)
        bench.take()
