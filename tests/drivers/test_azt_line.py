"""Turns, silence, loss, noise and survey of an AZT line (reference dispenser-protocols 3.2, 3.3, 3.8; azt.md)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import ConfirmFill, ReadFill, ReadTotal, StopFuellingPoint
from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.azt.position import LOCAL_DOSE_ALARM, OVER_ALARM
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
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
from tests.drivers.azt_bench import CAN, START, Bench, Hose, filling, lifted, long_answer, request_of

S = PumpStatus


# --- survey ---


@pytest.mark.parametrize(
    ("hose", "status", "nozzle"),
    [
        (Hose(state=0), S.RESET, None),
        (Hose(state=1, out=True), S.RESET, 1),
        (Hose(state=2), S.AUTHORIZED, None),
        (Hose(state=3, out=True), S.FILLING, 1),
        (Hose(state=4), S.COMPLETED, None),
        (Hose(state=0, price=0), S.NOT_PROGRAMMED, None),
    ],
)
def test_the_survey_tells_the_whole_picture_once(hose: Hose, status: PumpStatus, nozzle: int | None) -> None:
    bench = Bench(hose)
    bench.run(3_000)
    assert bench.of(PumpSurveyed) == [PumpSurveyed(1, status, nozzle)]
    assert bench.events[0] == bench.of(PumpSurveyed)[0]
    assert not bench.of(PumpLineLost)
    assert {command for command, _ in hose.asked} <= {"1", "4", "5", "7", "Y"}, "a survey only looks"


def test_the_survey_tells_alarms_behind_the_picture() -> None:
    bench = Bench(Hose(state=4, cause=1))
    bench.run(3_000)
    assert bench.events == [PumpSurveyed(1, S.COMPLETED, None), PumpAlarmed(1, OVER_ALARM)]
    bench = Bench(Hose(state=8))
    bench.run(3_000)
    assert bench.events == [PumpSurveyed(1, S.RESET, None), PumpAlarmed(1, LOCAL_DOSE_ALARM)]


def test_a_head_that_changes_under_the_survey_is_looked_at_again() -> None:
    hose = Hose(state=3, out=True)
    bench = Bench(hose)
    while hose.count("5") == 0:
        bench.run(1)
    hose.hang_up()
    bench.run(2_000)
    assert bench.take() == [PumpSurveyed(1, S.COMPLETED, None)]


def test_a_head_that_does_not_tell_its_register_is_never_surveyed_and_still_stopped() -> None:
    hose = Hose(state=3, out=True, deny={"5": CAN})
    bench = Bench(hose)
    bench.run(3_000)
    assert not bench.events
    bench.submit(StopFuellingPoint(1))
    bench.run(1_000)
    assert hose.state == 4
    del hose.deny["5"]
    bench.run(3_000)
    assert bench.take() == [PumpSurveyed(1, S.COMPLETED, None)]


# --- nozzles and live readings ---


def test_nozzles_are_told_with_the_price() -> None:
    bench, hose = lifted()
    hose.hang_up()
    bench.run(200)
    hose.lift()
    bench.run(200)
    assert bench.take() == [NozzleReturned(1, 1), NozzleLifted(1, 1, 450_000)]


def test_live_readings_come_every_second_and_only_when_something_moved() -> None:
    bench, hose = filling()
    for volume in (100, 0, 150, 0, 0):
        hose.flow(volume)
        bench.run(1_000)
    assert bench.of(FillProgressed) == [FillProgressed(1, 1_000, 4_500), FillProgressed(1, 2_500, 11_250)]


# --- turns ---


def test_every_position_is_asked_in_turn_and_nobody_before_the_answer() -> None:
    hoses = [Hose(address=address) for address in (1, 15, 16, 225)]
    bench = Bench(*hoses).surveyed()
    since = len(bench.sent)
    bench.run(2_000)
    addresses = [request_of(wire)[0] for _, wire in bench.sent[since:]]
    assert addresses[:8] in [[1, 15, 16, 225][k:] + [1, 15, 16, 225] + [1, 15, 16, 225][:k] for k in range(4)]
    gaps = {later - earlier for (earlier, _), (later, _) in zip(bench.sent[since:], bench.sent[since + 1 :], strict=False)}
    assert gaps == {21 + 10 + 17 + 35}


def test_a_silent_position_takes_its_whole_time_before_another_is_asked() -> None:
    """Answers carry no address: an early question could take one head's answer for the other's."""
    hoses = [Hose(address=1), Hose(address=2)]
    bench = Bench(*hoses).surveyed()
    hoses[0].silent = True
    bench.run(20_000)
    asked = [(at, request_of(wire)[0]) for at, wire in bench.sent]
    silent = [later - at for (at, address), (later, _) in zip(asked, asked[1:], strict=False) if address == 1 and at > 6_000]
    assert silent
    assert min(silent) >= 400


def test_a_command_does_not_starve_the_others() -> None:
    hoses = [Hose(address=1), Hose(address=2), Hose(address=3)]
    bench = Bench(*hoses).surveyed()
    since = bench.now
    for _ in range(10):
        bench.submit(ReadTotal(1, 1))
        bench.submit(ConfirmFill(1))
    bench.run(2_400)
    assert len(bench.of(TotalReported)) >= 3
    turns = [request_of(wire)[0] for at, wire in bench.sent if at >= since]
    assert turns.count(2) + turns.count(3) >= len(turns) // 3


# --- loss ---


def test_a_position_is_lost_after_so_many_misses_told_once_and_asked_more_rarely() -> None:
    hoses = [Hose(address=1), Hose(address=2)]
    bench = Bench(*hoses).surveyed()
    hoses[0].silent = True
    bench.run(20_000)
    assert bench.of(PumpLineLost) == [PumpLineLost(1, "no answer to 5 requests")]
    asked = [request_of(wire)[0] for at, wire in bench.sent if at > 10_000]
    assert asked.count(2) > 30 * asked.count(1) > 0
    assert bench.line.lost_addresses() == [1]
    bench.take()
    hoses[0].silent = False
    bench.run(6_000)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]


def test_a_dose_entered_at_the_head_is_no_idle_line() -> None:
    hose = Hose(obey=False)
    bench = Bench(hose).surveyed()
    hose.state = 8
    for _ in range(200):
        bench.run(37)
        assert bench.line.idle_period() is None or hose.count("3") == 0


def test_a_single_lost_answer_is_no_loss() -> None:
    bench, hose = lifted()
    hose.lost_answers["1"] = 4
    bench.run(5_000)
    assert not bench.events


def test_what_was_asked_of_a_lost_position_fails() -> None:
    bench, hose = lifted()
    hose.silent = True
    bench.submit(START)
    bench.submit(ReadFill(1))
    bench.run(6_000)
    assert [event.command for event in bench.of(CommandFailed)] == ["AuthorizeFuellingPoint", "ReadFill"]


def test_a_fill_that_ended_while_the_line_was_away_is_read_by_its_transaction() -> None:
    """Also at a head that is at rest again: its transaction number is that of our release."""
    bench, hose = filling()
    hose.silent, hose.leaves_4 = True, True
    bench.run(4_000)
    hose.flow(500)
    hose.hang_up()
    assert hose.state == 0
    hose.silent = False
    bench.take()
    bench.run(4_000)
    assert bench.take() == [PumpSurveyed(1, S.COMPLETED, None)]
    bench.submit(ReadFill(1))
    bench.submit(ConfirmFill(1))
    bench.run(2_000)
    assert bench.take() == [FillReported(1, 5_000, 22_500), PumpStatusChanged(1, S.RESET)]


def test_a_release_that_was_taken_as_the_line_went_away_is_found_by_its_transaction() -> None:
    bench, hose = lifted()
    hose.lost_answers = {"2": 1}
    bench.submit(START)
    while hose.count("2") == 0:
        bench.run(5)
    hose.silent, hose.leaves_4 = True, True
    bench.run(5_000)
    hose.flow(200)
    hose.hang_up()
    hose.silent = False
    bench.take()
    bench.run(4_000)
    assert bench.take() == [PumpSurveyed(1, S.COMPLETED, None)]


def test_a_lost_port_is_told_once_for_each_position_and_surveyed_anew() -> None:
    bench = Bench(Hose(address=1), Hose(address=2)).surveyed()
    bench.submit(ReadTotal(1, 1))
    bench.line.port_lost("unplugged", bench.now)
    bench.line.port_lost("unplugged", bench.now)
    bench.arrivals.clear()
    bench.run(5)
    assert bench.take() == [
        PumpLineLost(1, "unplugged"),
        CommandFailed(1, "ReadTotal", "the position was lost: unplugged"),
        PumpLineLost(2, "unplugged"),
    ]
    bench.run(3_000)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None), PumpSurveyed(2, S.RESET, None)]


# --- noise ---


@pytest.mark.parametrize("lead", [b"\xbc", b"\x02", b"\x02\x34", b"\x7f\x7f", b"\x03\x03"])
def test_stray_bytes_before_an_answer_cost_nothing(lead: bytes) -> None:
    bench, hose = lifted()
    bench.lead = lead
    bench.submit(START)
    bench.run(2_500)
    assert bench.of(PumpStatusChanged) == [PumpStatusChanged(1, S.FILLING)]
    assert bool(bench.of(LineNoise)) is (lead != b"\x7f\x7f")


def test_a_line_that_loses_every_lead_in_works() -> None:
    hose = Hose()
    bench = Bench(hose)
    bench.bare = True
    bench.run(4_000)
    hose.lift()
    bench.run(500)
    bench.submit(START)
    bench.run(4_000)
    assert hose.state == 3
    assert not bench.of(CommandFailed)


def test_an_adapter_that_hears_itself_is_no_noise() -> None:
    hose = Hose()
    bench = Bench(hose)
    bench.echo = True
    bench.run(4_000)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]


@pytest.mark.parametrize("piece", [1, 2, 5])
def test_answers_in_pieces(piece: int) -> None:
    hose = Hose()
    bench = Bench(hose)
    bench.piece = piece
    bench.run(4_000)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]


def test_cut_answers_are_asked_again() -> None:
    bench, hose = lifted()
    bench.cut = 2
    bench.submit(ReadTotal(1, 1))
    bench.run(4_000)
    assert bench.of(TotalReported) == [TotalReported(1, 1, 1_000_000)]


def test_an_answer_that_cannot_be_one_is_not_taken() -> None:
    bench, hose = lifted()
    hose.deny["1"] = long_answer("7")
    bench.run(6_000)
    assert bench.of(PumpLineLost)


def test_bytes_that_nobody_was_asked_for_are_nobodys() -> None:
    bench, hose = lifted()
    for _ in range(200):
        bench.arrivals.append((bench.now + 70, long_answer("3")))
        bench.run(83)
    # An intruder may hit the window of a question; what nobody asked for while the line rested is never anybody's.
    assert not bench.of(CommandFailed)


def test_noise_without_end_does_not_stop_the_line() -> None:
    bench, hose = lifted()
    for _ in range(300):
        bench.arrivals.append((bench.now + 10, b"\x02"))
        bench.run(20)
    bench.take()
    bench.run(5_000)
    hose.hang_up()
    bench.run(1_000)
    assert bench.events[-1] == NozzleReturned(1, 1)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 300), st.binary(max_size=12)), max_size=40))
def test_any_bytes_at_any_time_are_survived(parts: list[tuple[int, bytes]]) -> None:
    bench, hose = lifted()
    for wait, data in parts:
        if data:
            bench.arrivals.append((bench.now + wait, data))
        bench.run(wait + 1)
    bench.run(6_000)
    assert hose.count("2") == 0, "nothing was ever released"
    assert hose.count("8") == 0
    assert hose.count("Q") == 0


# --- the line itself ---


def test_a_line_refuses_what_cannot_be() -> None:
    one = PositionProfile(1, 1)
    for positions in ((), (one, PositionProfile(2, 1)), (one, PositionProfile(1, 2))):
        with pytest.raises(ValueError, match=r"carries|share"):
            AztLine("line", positions)
    for options in ({"baudrate": 19200}, {"answer_window_ms": 120}, {"misses_until_lost": 0}):
        with pytest.raises(ValueError, match="must be"):
            LineProfile(**options)


def test_answers_that_come_twice_are_not_taken_for_the_next_question() -> None:
    """Nothing in them names the question; each would push all that follow by one."""
    bench, hose = lifted()
    arrive = bench.arrive

    def twice(at: int, data: bytes) -> None:
        arrive(at, data)
        arrive(at + bench.profile.transmit_ms(len(data)) + 60, data)

    bench.arrive = twice  # type: ignore[method-assign]
    bench.submit(START)
    bench.run(3_000)
    hose.flow(500)
    hose.hang_up()
    bench.run(3_000)
    bench.submit(ReadFill(1))
    bench.submit(ReadTotal(1, 1))
    bench.run(4_000)
    assert bench.of(FillReported) == [FillReported(1, 5_000, 22_500)]
    assert bench.of(TotalReported) == [TotalReported(1, 1, 1_005_000)]
    assert not bench.of(CommandFailed)
