"""The fuelling point when pump, line or books do what they should not: nothing is lost, nothing is invented, somebody is told."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.events import CommandFailed, FillProgressed, FillReported, PumpAlarmed, PumpLineLost, PumpStatus, TotalReported
from terminal.core.ids import SaleId
from terminal.core.records import FaultCleared, SaleDelivered, SaleEnded, SaleInDoubt, TotalRead, Unattributed
from terminal.core.sale import SaleState
from tests.machines.site_kit import Bench, records, sends


@pytest.fixture
def bench() -> Bench:
    found = Bench().open(host=False)
    found.add_card("A")
    return found


@pytest.fixture
def fuelling(bench: Bench) -> SaleId:
    """A sale whose fuel flows at point 1."""
    sale = bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(FillProgressed(1, 5_000, 865))
    return sale


# --- the line -------------------------------------------------------------------------------------------------------------


def test_a_lost_line_keeps_the_hold_and_no_time_ends_it(bench: Bench, fuelling: SaleId) -> None:
    bench.do(PumpLineLost(1, "unplugged"))
    assert bench.state() == "INOPERATIVE"
    effects = bench.wait(3_600_000)
    assert records(effects, SaleEnded) == []
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)], "its longest time is over: for what still answers there"
    assert bench.site.desk.book.get(fuelling) is not None
    assert "PUMP_LINE_LOST" in bench.faults()


@pytest.mark.parametrize(
    ("status", "nozzle", "state"),
    [
        (PumpStatus.FILLING, 1, "FUELLING"),
        (PumpStatus.AUTHORIZED, 1, "STARTED"),
        (PumpStatus.AUTHORIZED, None, "AUTHORIZED"),
        (PumpStatus.SUSPENDED, 1, "SUSPENDED_FUELLING"),
    ],
)
def test_back_while_it_still_runs(bench: Bench, fuelling: SaleId, status: PumpStatus, nozzle: int | None, state: str) -> None:
    bench.do(PumpLineLost(1, "unplugged"))
    effects = bench.survey(1, status, nozzle)
    assert bench.state() == state
    assert sends(effects, StopFuellingPoint) == [], "it is ours"
    assert "PUMP_LINE_LOST" not in bench.faults()
    end = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=130_000, fill=(30_000, 5_187))
    (delivered,) = records(end, SaleDelivered)
    assert (delivered.sale, delivered.volume_ml) == (fuelling, 30_000)


@pytest.mark.parametrize("status", [PumpStatus.COMPLETED, PumpStatus.LIMIT_REACHED])
def test_back_with_the_record_kept(bench: Bench, fuelling: SaleId, status: PumpStatus) -> None:
    bench.do(PumpLineLost(1, "unplugged"))
    effects = bench.survey(1, status, totals={1: 130_000, 2: 100_000}, fill=(30_000, 5_187))
    (delivered,) = records(effects, SaleDelivered)
    assert (delivered.volume_ml, delivered.amount_minor) == (30_000, 5_187)
    assert delivered.end == ("limit" if status is PumpStatus.LIMIT_REACHED else "nozzle")
    assert len(sends(effects, ConfirmFill)) == 1
    assert bench.state() == "IDLE"


@pytest.mark.parametrize("status", [PumpStatus.RESET, PumpStatus.NOT_PROGRAMMED])
def test_back_without_a_record_the_totaliser_tells(bench: Bench, fuelling: SaleId, status: PumpStatus) -> None:
    bench.do(PumpLineLost(1, "unplugged"))
    effects = bench.survey(1, status, totals={1: 130_000, 2: 100_000})
    (delivered,) = records(effects, SaleDelivered)
    assert (delivered.volume_ml, delivered.amount_minor) == (30_000, 5_187)
    assert sends(effects, ConfirmFill) == []
    assert len(sends(effects, SetPrices)) == 1  # what a head that was lost shows now is not known


def test_back_switched_off_is_read_when_it_is_switched_on(bench: Bench, fuelling: SaleId) -> None:
    bench.do(PumpLineLost(1, "unplugged"))
    bench.survey(1, PumpStatus.SWITCHED_OFF)
    assert bench.state() == "CLOSED"
    assert bench.sale(fuelling).state is SaleState.DELIVERING
    effects = bench.read(1, bench.status(1, PumpStatus.RESET), totals={1: 130_000, 2: 100_000})
    assert [record.volume_ml for record in records(effects, SaleDelivered)] == [30_000]
    assert bench.state() == "IDLE"


def test_an_armed_sale_at_a_lost_line_is_given_up_in_time(bench: Bench) -> None:
    sale = bench.arm()
    bench.do(PumpLineLost(1, "unplugged"))
    (ended,) = records(bench.wait(60_000), SaleEnded)
    assert (ended.sale, ended.end) == (sale, "lift_timeout")


def test_an_armed_sale_is_served_when_the_line_is_back_in_time(bench: Bench) -> None:
    bench.arm()
    bench.do(PumpLineLost(1, "unplugged"))
    assert len(sends(bench.survey(1, nozzle=1), AuthorizeFuellingPoint)) == 1


# --- heads that do not obey ---------------------------------------------------------------------------------------------------


def test_a_head_that_acknowledges_and_does_nothing(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    effects = bench.do(CommandFailed(1, "AuthorizeFuellingPoint", "no status within 3 s"))
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)]
    assert "PUMP_COMMAND_FAILED" in bench.faults()
    (ended,) = records(bench.read(1, effects, totals=100_000), SaleEnded)
    assert (ended.sale, ended.end) == (sale, "fault")
    assert bench.state() == "CALLING"


def test_a_failed_release_that_flowed_all_the_same_is_booked(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    asked = bench.do(CommandFailed(1, "AuthorizeFuellingPoint", "no status within 3 s"))
    bench.status(1, PumpStatus.FILLING)
    assert bench.state() == "FUELLING"
    assert records(bench.read(1, asked, totals=100_500), SaleEnded) == [], "the reading of a running pump counts for nothing"
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=102_000, fill=(2_000, 346))
    assert [record.sale for record in records(effects, SaleDelivered)] == [sale]


def test_a_failed_release_of_a_pump_that_runs_changes_nothing(bench: Bench, fuelling: SaleId) -> None:
    effects = bench.do(CommandFailed(1, "AuthorizeFuellingPoint", "late"))
    assert sends(effects, StopFuellingPoint) == []
    assert bench.state() == "FUELLING"


def test_our_own_stop_withdraws_a_release_without_a_fault(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.hang(1)
    effects = bench.do(CommandFailed(1, "AuthorizeFuellingPoint", "withdrawn by a stop"))
    assert "PUMP_COMMAND_FAILED" not in bench.faults()
    (ended,) = records(bench.read(1, effects + bench.wait(3_000), totals=100_000), SaleEnded)
    assert ended.end == "nozzle"


def test_a_head_that_does_nothing_at_all_is_stopped_when_no_fuel_comes(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    effects = bench.wait(90_000 + 3_000)
    assert len(sends(effects, StopFuellingPoint)) == 2
    (ended,) = records(bench.read(1, effects, totals=100_000), SaleEnded)
    assert ended.end == "flow_timeout"


def test_an_unread_record_is_asked_for_again_and_somebody_is_told(bench: Bench, fuelling: SaleId) -> None:
    bench.status(1, PumpStatus.COMPLETED)
    assert len(sends(bench.wait(3_000), ReadFill)) == 1
    bench.wait(6_000)
    assert "PUMP_RECORD_UNREADABLE" in bench.faults()
    effects = bench.do(FillReported(1, 30_000, 5_187))
    assert len(sends(bench.wait(3_000), ReadTotal)) == 1, "only what is missing"
    effects = bench.do(TotalReported(1, 1, 130_000))
    assert len(records(effects, SaleDelivered)) == 1
    assert "PUMP_RECORD_UNREADABLE" not in bench.faults()


def test_a_confirm_that_failed_is_sent_again_but_never_to_the_next_sale(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=120_000, fill=(20_000, 3_458))
    bench.do(CommandFailed(1, "ConfirmFill", "no status"))
    assert len(sends(bench.wait(3_000), ConfirmFill)) == 1
    bench.do(CommandFailed(1, "ConfirmFill", "no status"))
    bench.status(1, PumpStatus.RESET)
    bench.add_card("B")
    two = bench.arm("B")
    bench.lift(1)
    effects = bench.wait(10_000)
    assert sends(effects, StopFuellingPoint) + sends(effects, ConfirmFill) == []
    assert bench.sale(two).state is SaleState.DELIVERING


def test_a_reset_by_hand_leaves_the_totaliser(bench: Bench, fuelling: SaleId) -> None:
    effects = bench.read(1, bench.status(1, PumpStatus.RESET), totals=130_000)
    assert [record.volume_ml for record in records(effects, SaleDelivered)] == [30_000]
    assert sends(effects, ReadFill) == []


def test_a_reset_while_the_fill_is_read_does_not_ask_for_it_for_ever() -> None:
    bench = Bench(points=(1,)).open(host=False)
    bench.status(1, PumpStatus.COMPLETED)
    bench.do(TotalReported(1, 1, 100_000), TotalReported(1, 2, 100_000))
    assert not bench.site.points[1].available
    bench.status(1, PumpStatus.RESET)
    assert bench.site.points[1].available


def test_switched_off_under_a_delivery_is_read_and_then_closed(bench: Bench, fuelling: SaleId) -> None:
    effects = bench.read(1, bench.status(1, PumpStatus.SWITCHED_OFF), totals=130_000)
    assert [record.volume_ml for record in records(effects, SaleDelivered)] == [30_000]
    assert bench.state() == "CLOSED"
    bench.read(1, bench.status(1, PumpStatus.RESET), totals={1: 130_000, 2: 100_000})
    assert bench.state() == "CALLING"


def test_an_alarm_is_a_fault_until_the_position_is_ready_again(bench: Bench) -> None:
    bench.do(PumpAlarmed(1, "vapour recovery"))
    assert "PUMP_ALARM" in bench.faults()
    bench.status(1, PumpStatus.RESET)
    assert "PUMP_ALARM" not in bench.faults()


# --- flow that is not ours -------------------------------------------------------------------------------------------------------


def test_foreign_flow_is_stopped_once_watched_and_recorded(bench: Bench) -> None:
    effects = bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    effects += bench.do(FillProgressed(1, 500, 86), FillProgressed(1, 900, 155))
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)]
    assert "PUMP_UNEXPECTED_FLOW" in bench.faults()
    end = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals={1: 101_000, 2: 100_000}, fill=(1_000, 172))
    (found,) = records(end, Unattributed)
    assert (found.nozzle, found.volume_ml, found.total_start_ml, found.total_end_ml) == (1, 1_000, 100_000, 101_000)
    assert bench.faults() >= {"UNATTRIBUTED_DELIVERY"}
    assert "PUMP_UNEXPECTED_FLOW" not in bench.faults()
    assert [f.code for f in records(end, FaultCleared)] == ["PUMP_UNEXPECTED_FLOW"]


def test_a_sale_armed_under_foreign_flow_is_given_up_in_time(bench: Bench) -> None:
    sale = bench.arm()
    bench.status(1, PumpStatus.FILLING)
    ended = [record for record in records(bench.wait(60_000), SaleEnded) if record.sale == sale]
    assert [record.end for record in ended] == ["lift_timeout"]


def test_a_surplus_of_the_totaliser_is_unattributed_once(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=125_000, fill=(20_000, 3_458))
    (delivered,), (rest,) = records(effects, SaleDelivered), records(effects, Unattributed)
    assert (delivered.volume_ml, rest.volume_ml) == (20_000, 5_000)
    # Whatever the order in which the commit's rows are applied, the ledger's last total is the pump's.
    assert {delivered.total_end_ml} | {read.volume_ml for read in records(effects, TotalRead)} == {125_000}
    assert bench.faults() >= {"PUMP_RECORD_MISMATCH", "UNATTRIBUTED_DELIVERY"}


def test_a_surplus_found_at_the_survey_is_unattributed() -> None:
    bench = Bench(points=(1,))
    bench.recovered.totals = {(1, 1): 90_000, (1, 2): 100_000}
    bench = Bench(points=(1,), recovered=bench.recovered)
    bench.boot()
    effects = bench.survey(1, totals=100_000)
    assert [(found.nozzle, found.volume_ml) for found in records(effects, Unattributed)] == [(1, 10_000)]


def test_a_first_reading_is_a_beginning_and_no_surplus() -> None:
    bench = Bench(points=(1,))
    bench.boot()
    effects = bench.survey(1, totals=100_000)
    assert records(effects, Unattributed) == []
    assert [read.nozzle for read in records(effects, TotalRead)] == [1, 2]


# --- witnesses that disagree -----------------------------------------------------------------------------------------------------


def end(bench: Bench, total: int, fill: tuple[int, int]) -> list[object]:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED)
    bench.hang(1)
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=total, fill=fill)
    found: list[object] = [*records(effects, SaleDelivered), *records(effects, SaleEnded), *records(effects, SaleInDoubt)]
    return found


def test_a_record_left_over_from_before_is_denied_by_the_totaliser(bench: Bench) -> None:
    (ended,) = end(bench, 100_000, (20_000, 3_458))
    assert isinstance(ended, SaleEnded)


def test_a_fill_below_the_totalisers_resolution_is_booked(bench: Bench) -> None:
    (delivered,) = end(bench, 100_000, (10, 2))
    assert isinstance(delivered, SaleDelivered)
    assert delivered.volume_ml == 10


def test_a_record_of_nothing_is_denied_by_the_totaliser(bench: Bench) -> None:
    (delivered,) = end(bench, 103_000, (0, 0))
    assert isinstance(delivered, SaleDelivered)
    assert (delivered.volume_ml, delivered.amount_minor, delivered.end) == (3_000, 519, "fault")


def test_a_totaliser_that_rolled_over_does_not_deny_the_fill(bench: Bench) -> None:
    (delivered,) = end(bench, 5_000, (20_000, 3_458))
    assert isinstance(delivered, SaleDelivered)
    assert (delivered.volume_ml, delivered.total_end_ml) == (20_000, 5_000)
    assert bench.faults() >= {"PUMP_TOTALISER_WENT_BACK", "PUMP_RECORD_MISMATCH"}
    assert bench.site.points[1].totals[1] == 5_000


def test_neither_record_nor_totaliser_leaves_the_sale_in_doubt_and_the_hold_counting(bench: Bench, fuelling: SaleId) -> None:
    effects = bench.read(1, bench.status(1, PumpStatus.RESET), totals=5_000)
    (doubt,) = records(effects, SaleInDoubt)
    assert doubt.sale == fuelling
    held = bench.site.desk.book.get(fuelling)
    assert held is not None
    assert held.quantity_ml > 0
    assert bench.site.points[1].available, "the point itself serves the next driver"
    bench.hang(1)
    bench.add_card("B")
    bench.arm("B")
    assert [record.volume_ml for record in records(bench.deliver(start=5_000), SaleDelivered)] == [20_000]
