"""Several addresses as one fuelling point: an AZT head of three hoses, DART twins (dispenser-protocols 3.2, features F39 and F40)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.commands import ConfirmFill, ReadFill, ReadTotal, StopFuellingPoint
from drivers.dispenser.azt.profile import PositionProfile as AztProfile
from drivers.dispenser.dart.profile import PositionProfile as DartProfile
from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PumpLineLost,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
    TotalReported,
)
from tests.drivers import azt_bench, dart_bench
from tests.drivers.azt_bench import Hose

S = PumpStatus
START = replace(azt_bench.START, nozzle=2, prices=(450_000, 450_000, 450_000))


def three() -> tuple[azt_bench.Bench, list[Hose]]:
    """Point 1 has nozzles 1, 2, 3 at addresses 1, 2, 3; point 2 one hose at address 4."""
    hoses = [Hose(1, total=1_000), Hose(2, total=2_000), Hose(3, total=3_000), Hose(4)]
    places = [*(AztProfile(1, address, address) for address in (1, 2, 3)), AztProfile(2, 4)]
    return azt_bench.Bench(*hoses, positions=places), hoses


def surveyed() -> tuple[azt_bench.Bench, list[Hose]]:
    bench, hoses = three()
    bench.run(8_000)
    bench.take()
    return bench, hoses


def test_the_point_is_surveyed_once_when_all_its_hoses_are() -> None:
    bench, hoses = three()
    hoses[2].silent = True
    hoses[1].out, hoses[1].state = True, 1
    bench.run(12_000)
    assert [event.fp for event in bench.of(PumpSurveyed)] == [2]
    assert bench.of(PumpLineLost) == [PumpLineLost(1, "no answer to 5 requests")]
    hoses[2].silent = False
    bench.run(12_000)
    assert bench.of(PumpSurveyed)[1:] == [PumpSurveyed(1, S.RESET, 2)]


def test_a_fuelling_at_one_hose_of_the_point() -> None:
    bench, hoses = surveyed()
    hoses[1].lift()
    bench.run(600)
    assert bench.take() == [NozzleLifted(1, 2, 450_000)]
    bench.submit(START)
    bench.run(3_000)
    assert [hose.state for hose in hoses] == [0, 3, 0, 0]
    assert hoses[0].count("2") == hoses[2].count("2") == 0
    hoses[1].flow(500)
    hoses[0].lift()
    bench.run(3_000)
    hoses[1].hang_up()
    bench.run(3_000)
    told = bench.take()
    assert [event.status for event in told if isinstance(event, PumpStatusChanged)] == [S.FILLING, S.COMPLETED]
    assert FillProgressed(1, 5_000, 22_500) in told
    assert not any(isinstance(event, NozzleLifted) for event in told), "another nozzle is nobody's while one is released"
    for command in (ReadFill(1), ReadTotal(1, 1), ReadTotal(1, 2), ReadTotal(1, 3), ConfirmFill(1)):
        bench.submit(command)
    bench.run(6_000)
    told = bench.take()
    assert [event for event in told if isinstance(event, FillReported)] == [FillReported(1, 5_000, 22_500)]
    totals = {event.nozzle: event.volume_ml for event in told if isinstance(event, TotalReported)}
    assert totals == {1: 10_000, 2: 25_000, 3: 30_000}
    assert told[-1] == NozzleLifted(1, 1, 450_000), "now it is its turn"
    assert PumpStatusChanged(1, S.RESET) in told
    assert not [event for event in told if isinstance(event, CommandFailed)]


def test_no_release_while_another_hose_of_the_point_has_something_unread() -> None:
    bench, hoses = surveyed()
    hoses[0].leak(300)
    bench.run(2_000)
    assert bench.of(PumpStatusChanged) == [PumpStatusChanged(1, S.COMPLETED)]
    bench.submit(START)
    bench.run(2_000)
    assert hoses[1].count("2") == 0
    assert bench.of(CommandFailed) == [CommandFailed(1, "AuthorizeFuellingPoint", "nozzle 1 of the same point is completed, not reset")]


def test_a_stop_reaches_the_hose_that_flows_and_all_when_nobody_knows() -> None:
    bench, hoses = surveyed()
    hoses[1].lift()
    bench.run(600)
    bench.submit(START)
    bench.run(3_000)
    hoses[1].flow(100)
    bench.submit(StopFuellingPoint(1))
    bench.run(2_000)
    assert hoses[1].state == 4
    assert hoses[0].count("3") == hoses[2].count("3") == 0


def test_two_unread_records_are_read_and_confirmed_each_by_its_own_nozzle() -> None:
    bench, hoses = three()
    hoses[0].leak(5_000)
    hoses[1].leak(500)
    bench.run(8_000)
    assert bench.of(PumpSurveyed)[0] == PumpSurveyed(1, S.COMPLETED, None)
    bench.take()
    bench.submit(ReadFill(1, 2))
    bench.run(2_000)
    assert bench.of(FillReported) == [FillReported(1, 5_000, 22_500)]
    bench.take()
    bench.submit(ConfirmFill(1))
    bench.run(2_000)
    assert [hose.state for hose in hoses] == [4, 0, 0, 0]
    assert bench.take() == [PumpStatusChanged(1, S.COMPLETED)], "there is one more, or nobody would read it"
    bench.submit(ReadFill(1))
    bench.run(2_000)
    assert bench.take() == [FillReported(1, 50_000, 225_000)]
    bench.submit(ConfirmFill(1))
    bench.run(2_000)
    assert [hose.state for hose in hoses] == [0, 0, 0, 0]
    assert bench.take() == [PumpStatusChanged(1, S.RESET)]


def test_a_hose_that_keeps_no_record_never_tells_that_of_another_one() -> None:
    bench, hoses = three()
    hoses[0].leak(5_000)
    hoses[1].volume = 4_000
    bench.run(8_000)
    bench.take()
    bench.submit(ReadFill(1, 2))
    bench.submit(ReadFill(1, 9))
    bench.run(2_000)
    assert bench.take() == [FillReported(1, 0, 0), CommandFailed(1, "ReadFill", "no nozzle 9")]


def test_a_stop_reaches_all_hoses_that_flow_and_takes_back_a_release_under_way() -> None:
    bench, hoses = surveyed()
    for hose in hoses[:2]:
        hose.lift()
    bench.run(600)
    bench.submit(START)
    bench.run(3_000)
    hoses[0].state = 3  # by a hand at the head
    bench.run(1_000)
    bench.submit(StopFuellingPoint(1))
    bench.run(2_000)
    assert [hose.state for hose in hoses] == [4, 4, 0, 0]
    bench, hoses = surveyed()
    for hose in hoses[:2]:
        hose.lift()
    bench.run(600)
    bench.submit(START)
    hoses[0].state = 3
    bench.run(200)
    bench.submit(StopFuellingPoint(1))
    bench.run(3_000)
    assert hoses[0].state == 4
    assert hoses[1].state in (1, 4)
    assert "withdrawn by a stop" in [event.why for event in bench.of(CommandFailed)]


def test_a_stop_reaches_the_hose_that_answers_while_another_one_is_lost() -> None:
    bench, hoses = surveyed()
    hoses[1].lift()
    bench.run(600)
    bench.submit(START)
    bench.run(3_000)
    hoses[2].silent = True
    bench.run(12_000)
    assert bench.of(PumpLineLost) != []
    bench.submit(StopFuellingPoint(1))
    bench.run(3_000)
    assert hoses[1].state == 4


def test_the_last_lifted_of_two_counts_and_the_other_when_it_hangs() -> None:
    bench, hoses = surveyed()
    hoses[0].lift()
    bench.run(600)
    hoses[2].lift()
    bench.run(600)
    hoses[2].hang_up()
    bench.run(600)
    assert bench.take() == [
        NozzleLifted(1, 1, 450_000),
        NozzleReturned(1, 1),
        NozzleLifted(1, 3, 450_000),
        NozzleReturned(1, 3),
        NozzleLifted(1, 1, 450_000),
    ]


def test_what_cannot_be_is_refused_and_nothing_is_sent() -> None:
    bench, hoses = surveyed()
    before = len(hoses[0].asked)
    for command in (replace(START, nozzle=9), replace(START, prices=(1, 2)), ReadTotal(1, 9)):
        bench.submit(command)
    assert [event.why for event in bench.line.take_events() if isinstance(event, CommandFailed)] == [
        "no nozzle 9",
        "2 prices for 3 nozzles",
        "no nozzle 9",
    ]
    bench.run(400)
    assert {command for hose in hoses for command, _ in hose.asked[before:]} <= {"1", "4", "5", "7", "Y"}
    with pytest.raises(ValueError, match="share a nozzle"):
        azt_bench.Bench(Hose(1), Hose(2), positions=[AztProfile(1, 1, 1), AztProfile(1, 2, 1)])


def test_dart_twins_are_one_point_with_numbers_of_its_own() -> None:
    """Position 50 has nozzles 1 and 2 of the point, its satellite at 51 nozzle 3, which it calls its first."""
    main, satellite = dart_bench.Head(0x50), dart_bench.Head(0x51, price=1_650)
    places = [DartProfile(1, 0x50, nozzles=(1, 2)), DartProfile(1, 0x51, nozzles=(3,))]
    bench = dart_bench.Bench(main, satellite, positions=places)
    bench.run(5_000)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]
    satellite.say_nozzle(1)
    bench.run(300)
    assert bench.take() == [NozzleLifted(1, 3, 16_500)]
    bench.submit(replace(dart_bench.START, nozzle=3, prices=(15_000, 17_290, 16_500)))
    bench.submit(ReadTotal(1, 3))
    bench.run(2_000)
    assert satellite.count(*dart_bench.AUTHORIZE) == 1
    assert (2, b"\x01") in satellite.executed
    assert main.count(*dart_bench.AUTHORIZE) == 0
    assert bench.of(TotalReported) == [TotalReported(1, 3, 1_000_000)]
    assert bench.of(PumpStatusChanged) == [PumpStatusChanged(1, S.AUTHORIZED)]
