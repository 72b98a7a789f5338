"""Stop, reading, confirming, and what AZT heads do by themselves (reference dispenser-protocols 3.4 to 3.8, 8; azt.md)."""

from __future__ import annotations

import pytest

from drivers.commands import ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.azt.position import LOCAL_DOSE_ALARM, OVER_ALARM
from drivers.dispenser.azt.profile import PositionProfile
from drivers.dispenser.line_position import MAX_COMMANDS
from drivers.events import (
    CommandFailed,
    DeviceEvent,
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PumpAlarmed,
    PumpStatus,
    PumpStatusChanged,
    TotalReported,
)
from tests.drivers.azt_bench import START, Bench, Hose, failure, filling, lifted, statuses

S = PumpStatus


# --- stop ---


def test_a_stop_ends_a_fill() -> None:
    bench, hose = filling()
    hose.flow(100)
    bench.submit(StopFuellingPoint(1))
    bench.run(1_000)
    assert (hose.state, statuses(bench)) == (4, [S.COMPLETED])
    assert not bench.of(CommandFailed)


def test_a_stop_goes_before_everything_and_withdraws_a_release_at_any_moment() -> None:
    for after_ms in range(0, 700, 23):
        bench, hose = lifted()
        bench.submit(START)
        bench.run(after_ms)
        bench.submit(StopFuellingPoint(1))
        bench.run(2_500)
        assert hose.state in (1, 4), after_ms
        if hose.state == 4:
            assert statuses(bench)[-1] is S.COMPLETED
        failed = [event.command for event in bench.of(CommandFailed)]
        assert failed in ([], ["AuthorizeFuellingPoint"])
        assert failed or hose.count("2") == 1


def test_a_stop_that_a_head_does_not_obey_fails() -> None:
    bench, hose = filling()
    hose.obey = False
    bench.submit(StopFuellingPoint(1))
    bench.run(2_000)
    assert "in spite of the stop" in failure(bench)


def test_a_stop_at_rest_sends_nothing() -> None:
    bench, hose = lifted()
    bench.submit(StopFuellingPoint(1))
    bench.run(1_000)
    assert not bench.events
    assert hose.count("3") == 0


# --- reading and confirming ---


def test_a_reading_while_fuel_flows_is_progress() -> None:
    bench, hose = filling()
    hose.flow(100)
    bench.submit(ReadFill(1))
    bench.run(600)
    assert bench.of(FillProgressed)[0] == FillProgressed(1, 1_000, 4_500)
    assert not bench.of(FillReported)


@pytest.mark.parametrize(("kind", "volume"), [(":", 1_234), (";", 123_400 // 100), ("A", 1_234)])
def test_the_register_is_read_by_the_type_of_the_head(kind: str, volume: int) -> None:
    bench = Bench(Hose(type=kind, state=4, volume=volume)).surveyed()
    bench.submit(ReadFill(1))
    bench.run(1_000)
    assert bench.take() == [FillReported(1, 12_340, 55_530)]


def test_a_record_that_is_gone_is_not_invented() -> None:
    """A head at rest by itself, and another transaction in its register: the totals must do."""
    bench, hose = filling()
    hose.leaves_4 = True
    hose.hang_up()
    bench.run(600)
    bench.take()
    hose.transaction, hose.volume = 12, 777
    bench.submit(ReadFill(1))
    bench.run(1_000)
    assert [type(event) for event in bench.events] == [PumpStatusChanged, CommandFailed]
    assert statuses(bench) == [S.RESET]


def test_a_confirm_is_refused_while_fuel_can_flow() -> None:
    bench, hose = filling()
    bench.submit(ConfirmFill(1))
    bench.run(1_000)
    assert "not at rest" in failure(bench)
    assert hose.count("8") == 0


@pytest.mark.parametrize("lost", ["lost_requests", "lost_answers"])
def test_a_confirm_whose_answer_is_lost(lost: str) -> None:
    bench, hose = filling()
    hose.hang_up()
    bench.run(1_000)
    bench.take()
    getattr(hose, lost)["8"] = 1
    bench.submit(ConfirmFill(1))
    bench.run(2_000)
    assert hose.state == 0
    assert bench.take() == [NozzleReturned(1, 1), PumpStatusChanged(1, S.RESET)]


def test_a_confirm_that_a_head_does_not_obey_fails_and_the_fill_stays() -> None:
    bench, hose = filling()
    hose.hang_up()
    bench.run(1_000)
    bench.take()
    hose.deny["8"] = b"\x7f\x06"
    bench.submit(ConfirmFill(1))
    bench.run(3_000)
    assert "finished, not at rest" in failure(bench)
    bench.submit(ReadFill(1))
    bench.run(1_000)
    assert bench.of(FillReported)


def test_totals_of_another_nozzle_are_refused() -> None:
    bench, hose = lifted()
    bench.submit(ReadTotal(1, 2))
    bench.run(1_000)
    assert "nozzle 1, not 2" in failure(bench)


# --- what heads do by themselves ---


def test_fuel_that_nobody_released_is_an_end_with_an_alarm() -> None:
    bench, hose = lifted()
    hose.leak(50)
    bench.run(1_000)
    assert statuses(bench) == [S.COMPLETED]
    assert bench.of(PumpAlarmed) == [PumpAlarmed(1, OVER_ALARM)]


def test_a_dose_entered_at_the_head_is_taken_away() -> None:
    hose = Hose()
    bench = Bench(hose).surveyed()
    hose.state, hose.dose = 8, "T01000"
    bench.run(1_000)
    assert hose.state == 0
    assert bench.take() == [PumpAlarmed(1, LOCAL_DOSE_ALARM)]


def test_a_head_that_keeps_such_a_dose_is_asked_again_and_released_to_nobody() -> None:
    hose = Hose(obey=False)
    bench = Bench(hose).surveyed()
    hose.state = 8
    bench.run(10_000)
    assert 3 <= hose.count("3") <= 5
    assert bench.of(PumpAlarmed) == [PumpAlarmed(1, LOCAL_DOSE_ALARM)]
    bench.submit(START)
    bench.run(1_000)
    assert "local dose" in failure(bench)


def test_a_released_head_whose_nozzle_hangs_tells_of_the_lift_by_starting() -> None:
    hose = Hose()
    bench = Bench(hose).surveyed()
    bench.submit(START)
    bench.run(1_500)
    assert bench.take() == [PumpStatusChanged(1, S.AUTHORIZED)]
    hose.lift()
    bench.run(300)
    assert bench.take() == [PumpStatusChanged(1, S.FILLING), NozzleLifted(1, 1, 450_000)]


def test_only_so_many_commands_wait() -> None:
    bench, hose = lifted()
    for number in range(MAX_COMMANDS + 2):
        bench.submit(ConfirmFill(1) if number % 2 else ReadTotal(1, 1))
    refused = [event for event in bench.line.take_events() if isinstance(event, CommandFailed)]
    assert len(refused) == 1, "one runs already"
    bench.run(9_000)
    assert len(bench.of(TotalReported)) == MAX_COMMANDS // 2 + 1


@pytest.mark.parametrize("command", [START, ReadFill(1), ReadTotal(1, 1), ConfirmFill(1), SetPrices(1, (440_000,))])
def test_before_the_survey_nothing_is_done(command: PumpCommand) -> None:
    hose = Hose()
    bench = Bench(hose)
    bench.submit(command)
    bench.run(10)
    assert "not connected" in failure(bench)


def test_a_foreign_point_is_answered() -> None:
    bench, _ = lifted()
    bench.submit(ReadFill(9))
    bench.run(10)
    found: list[DeviceEvent] = bench.take()
    assert [event.fp for event in found if isinstance(event, CommandFailed)] == [9]


def test_profiles_refuse_what_cannot_be() -> None:
    for options in ({"address": 0}, {"address": 226}, {"fp": 0}, {"nozzle": 0}, {"volume_decimals": 4}, {"slow_down_ml": 10_000}):
        with pytest.raises(ValueError, match=r"must be|1 or more"):
            PositionProfile(**({"fp": 1, "address": 1} | options))  # type: ignore[arg-type]
