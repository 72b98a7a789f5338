"""The fuelling point from the armed sale to the erased record, as a pump in order behaves."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.events import FillProgressed, NozzleLifted, PumpStatus, TotalReported
from terminal.core.authorization import Policy
from terminal.core.records import NozzleRef, Refused, SaleDelivered, SaleEnded, SaleReleased, Unattributed
from terminal.core.sale import SaleState
from tests.machines.site_kit import DYED, GAZOLE, Bench, messages, names, records, screen, sends


@pytest.fixture
def bench() -> Bench:
    """Open, with a card and the host away: the lists decide at once."""
    found = Bench().open(host=False)
    found.add_card("A")
    return found


def test_a_point_serves_only_after_its_books_are_compared() -> None:
    bench = Bench()
    bench.boot()
    bench.add_card("A")
    assert bench.state() == "INOPERATIVE"
    bench.survey(1)
    assert bench.state() == "IDLE"
    assert bench.state(2) == "INOPERATIVE"
    bench.survey(2, nozzle=2)
    assert bench.state(2) == "CALLING"


def test_the_release_is_written_in_the_step_that_sends_it(bench: Bench) -> None:
    sale = bench.arm()
    effects = bench.lift(1)
    (release,) = records(effects, SaleReleased)
    (command,) = sends(effects, AuthorizeFuellingPoint)
    assert bench.steps[-1] == effects, "one step"
    assert (release.sale, release.nozzle, release.product, release.total_start_ml) == (sale, 1, "GAZOLE", 100_000)
    assert (command.fp, command.nozzle, command.preset_volume_ml, command.preset_amount_minor) == (1, 1, release.preset_ml, None)
    assert command.prices == (17290, 18590)
    assert names(effects, "Cancel LiftOverdue", "Start FlowOverdue") == ["Cancel LiftOverdue", "Start FlowOverdue"]
    assert bench.sale(sale).state is SaleState.DELIVERING


def test_nothing_is_released_without_a_sale(bench: Bench) -> None:
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []
    assert bench.state() == "CALLING"


def test_a_nozzle_that_is_up_already_is_released_with_the_choice(bench: Bench) -> None:
    bench.lift(1)
    bench.badge("A")
    assert bench.session().digits == "1", "the calling point is offered first"
    effects = bench.keys("#")
    assert names(effects, "SaleReserved", "SaleAuthorized", "SaleReleased") == ["SaleReserved", "SaleAuthorized", "SaleReleased"]
    assert len(sends(effects, AuthorizeFuellingPoint)) == 1


def test_the_fill_is_written_in_the_step_that_lets_the_pump_forget_it(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    assert bench.state() == "FUELLING"
    bench.hang(1)
    asked = bench.status(1, PumpStatus.COMPLETED)
    assert names(asked, "ReadFill", "ReadTotal", "Start RecordOverdue") == ["ReadFill", "ReadTotal", "Start RecordOverdue"]
    assert [command.nozzle for command in sends(asked, ReadTotal)] == [1]
    assert bench.sale(sale).state is SaleState.DELIVERING, "not ended by the status alone"
    answered = bench.read(1, asked, totals=120_000, fill=(20_000, 3_458))
    last = bench.steps[-1]
    assert names(last, "SaleDelivered", "advice", "ConfirmFill") == ["ConfirmFill", "SaleDelivered", "advice"]
    (delivered,) = records(answered, SaleDelivered)
    assert (delivered.volume_ml, delivered.amount_minor, delivered.total_end_ml, delivered.end) == (20_000, 3_458, 120_000, "nozzle")
    assert messages(answered) == [f"{sale}/advice"]
    assert bench.state() == "IDLE"
    assert bench.site.points[1].totals[1] == 120_000


def test_no_confirm_without_the_totaliser(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    asked = bench.status(1, PumpStatus.COMPLETED)
    effects = bench.read(1, [e for e in asked if not sends([e], ReadTotal)], totals=0, fill=(20_000, 3_458))
    assert records(effects, SaleDelivered) == []
    assert sends(effects, ConfirmFill) == []


def test_the_hold_is_narrowed_to_the_lifted_product(bench: Bench) -> None:
    sale = bench.arm()
    held = bench.site.desk.book.get(sale)
    assert held is not None
    assert held.product is None
    assert held.products == {"GAZOLE", "SP95"}
    bench.lift(1, 2)
    held = bench.site.desk.book.get(sale)
    assert held is not None
    assert (held.product, held.products) == ("SP95", frozenset({"SP95"}))


def test_a_wrong_nozzle_is_refused_and_the_right_one_released(bench: Bench) -> None:
    bench.add_card("B", products=frozenset({"SP95"}))
    sale = bench.arm("B")
    effects = bench.lift(1, 1)
    assert sends(effects, AuthorizeFuellingPoint) == []
    (refused,) = records(effects, Refused)
    assert (refused.reason, refused.fp) == ("PRODUCT_NOT_ALLOWED", 1)
    assert screen(effects) == ("Pump 1:", "wrong nozzle", "Take: SP95", f"Code {refused.code}")
    assert bench.sale(sale).state is SaleState.AUTHORIZED, "stays armed"
    bench.hang(1, 1)
    (command,) = sends(bench.lift(1, 2), AuthorizeFuellingPoint)
    assert command.nozzle == 2


def test_the_wrong_nozzle_notice_gives_way_to_the_welcome(bench: Bench) -> None:
    bench.add_card("B", products=frozenset({"SP95"}))
    bench.arm("B")
    bench.wait(6_000)
    assert bench.session().state.name == "IDLE"
    assert screen(bench.lift(1, 1))[1] == "wrong nozzle"
    assert screen(bench.wait(6_000))[0] == "Welcome"


def test_a_restricted_product_is_never_released_to_a_card_that_does_not_name_it() -> None:
    bench = Bench(products=(GAZOLE, DYED), policy=Policy(restricted_products=frozenset({"GNR"}))).open(host=False)
    bench.add_card("A")
    bench.arm()
    assert sends(bench.lift(1, 3), AuthorizeFuellingPoint) == []


def test_another_price_on_the_head_stops_the_release_until_they_agree(bench: Bench) -> None:
    bench.answers_prices = False
    bench.arm()
    effects = bench.do(NozzleLifted(1, 1, 16990))
    assert sends(effects, AuthorizeFuellingPoint) == []
    assert sends(effects, SetPrices) == [SetPrices(1, (17290, 18590))]
    assert bench.faults() >= {"PRICE_MISMATCH"}
    assert screen(effects) == ("Pump 1:", "its price is being", "corrected. Wait, or", "hang up the nozzle")
    bench.hang(1)
    assert len(sends(bench.lift(1), AuthorizeFuellingPoint)) == 1
    assert "PRICE_MISMATCH" not in bench.faults()


def test_another_price_on_a_nozzle_that_is_up_already_stops_the_release_too(bench: Bench) -> None:
    bench.answers_prices = False
    bench.do(NozzleLifted(1, 1, 16990))
    sale = bench.arm()
    assert bench.sale(sale).state is SaleState.AUTHORIZED
    assert bench.state() == "CALLING"


def test_nothing_lifted_frees_the_hold_and_a_late_lift_gets_nothing(bench: Bench) -> None:
    sale = bench.arm()
    bench.wait(59_999)
    assert bench.sale(sale).state is SaleState.AUTHORIZED
    effects = bench.wait(1)
    (ended,) = records(effects, SaleEnded)
    assert (ended.end, ended.reversed) == ("lift_timeout", False)
    assert bench.site.desk.book.get(sale) is None
    assert messages(effects) == [f"{sale}/advice"]
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []


def test_hang_up_during_the_release_withdraws_it(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    assert sends(bench.hang(1), StopFuellingPoint) == [StopFuellingPoint(1)]
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == [], "released once is released"
    bench.hang(1)
    bench.status(1, PumpStatus.AUTHORIZED)
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=100_000, fill=(0, 0))
    (ended,) = records(effects, SaleEnded)
    assert (ended.sale, ended.end) == (sale, "nozzle")
    assert bench.state() == "IDLE"


def test_hang_up_before_the_pump_took_the_release_ends_by_the_totals(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.hang(1)
    effects = bench.read(1, bench.wait(3_000), totals=100_000)
    assert len(records(effects, SaleEnded)) == 1
    assert bench.state() == "IDLE"


def test_hung_up_for_a_moment_at_a_released_point_does_not_stop_the_next_pull(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED)
    bench.hang(1)
    bench.wait(1_000)
    bench.lift(1)
    bench.status(1, PumpStatus.FILLING)
    assert sends(bench.wait(10_000), StopFuellingPoint) == []
    assert bench.sale(sale).state is SaleState.DELIVERING


def test_no_flow_is_stopped_and_ends_with_the_pumps_word(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED)
    assert sends(bench.wait(89_999), StopFuellingPoint) == []
    assert sends(bench.wait(1), StopFuellingPoint) == [StopFuellingPoint(1)]
    assert bench.sale(sale).state is SaleState.DELIVERING, "the hold is freed when the pump confirms"
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=100_000, fill=(0, 0))
    (ended,) = records(effects, SaleEnded)
    assert ended.end == "flow_timeout"


def test_flow_puts_the_deadline_off_and_a_repeated_reading_does_not(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.wait(80_000)
    bench.do(FillProgressed(1, 1_000, 173))
    bench.wait(80_000)
    bench.do(FillProgressed(1, 1_000, 173))
    assert sends(bench.wait(10_000), StopFuellingPoint) == [StopFuellingPoint(1)]


def test_a_pump_that_does_not_stop_is_told_again_and_never_settled_by_time(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    effects = bench.wait(90_000 + 4 * 3_000)
    assert len(sends(effects, StopFuellingPoint)) == 5
    assert sends(effects, ReadTotal) == []
    assert "PUMP_COMMAND_FAILED" in bench.faults()
    assert bench.sale(sale).state is SaleState.DELIVERING


def test_hung_up_without_the_pumps_word_is_stopped_and_not_settled_by_time(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(FillProgressed(1, 5_000, 865))
    bench.hang(1)
    effects = bench.wait(6_000)
    assert len(sends(effects, StopFuellingPoint)) == 2
    assert sends(effects, ReadTotal) == []
    assert bench.sale(sale).state is SaleState.DELIVERING


def test_preset_reached_with_the_nozzle_out_waits_for_the_last_drops(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    assert sends(bench.status(1, PumpStatus.LIMIT_REACHED), ReadFill) == []
    asked = bench.wait(2_000)
    effects = bench.read(1, asked, totals=190_030, fill=(90_030, 15_566))
    (delivered,) = records(effects, SaleDelivered)
    assert (delivered.volume_ml, delivered.end) == (90_030, "limit"), "posted in full"
    assert bench.state() == "CALLING"


def test_preset_reached_and_hung_up_is_read_at_once(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.LIMIT_REACHED)
    bench.wait(500)
    bench.hang(1)
    asked = bench.wait(0)
    assert len(sends(asked, ReadFill)) == 1
    (delivered,) = records(bench.read(1, asked, totals=110_000, fill=(10_000, 1_729)), SaleDelivered)
    assert delivered.end == "limit"
    assert bench.state() == "IDLE"


def test_a_reading_behind_the_end_is_no_flow(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED)
    bench.hang(1)
    asked = bench.status(1, PumpStatus.COMPLETED)
    bench.do(FillProgressed(1, 5_000, 865))
    (delivered,) = records(bench.read(1, asked, totals=105_000, fill=(5_000, 865)), SaleDelivered)
    assert delivered.volume_ml == 5_000


def test_the_next_sale_waits_until_the_record_is_erased(bench: Bench) -> None:
    bench.add_card("B")
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=120_000, fill=(20_000, 3_458))
    bench.arm("B")
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == [], "the pump still keeps the fill"
    assert len(sends(bench.status(1, PumpStatus.RESET), AuthorizeFuellingPoint)) == 1


def test_equal_consecutive_fills_are_two_sales(bench: Bench) -> None:
    one = bench.arm()
    first = bench.deliver(volume_ml=20_000, start=100_000)
    two = bench.arm()
    second = bench.deliver(volume_ml=20_000, start=120_000)
    assert [record.sale for record in records(first + second, SaleDelivered)] == [one, two]
    assert [record.volume_ml for record in records(first + second, SaleDelivered)] == [20_000, 20_000]
    assert bench.faults() == {"HOST_UNREACHABLE"}


def test_prices_and_nozzles_of_the_point_stand_in_the_sale(bench: Bench) -> None:
    sale = bench.arm()
    assert bench.sale(sale).nozzles == (NozzleRef(1, "GAZOLE", 17290), NozzleRef(2, "SP95", 18590))


def test_what_left_a_resting_nozzle_before_the_arming_is_never_the_sales(bench: Bench) -> None:
    bench.answers_arming = False
    sale = bench.arm()
    asked = bench.steps[-1]
    assert [command.nozzle for command in sends(asked, ReadTotal)] == [1, 2], "read while the driver walks"
    effects = bench.do(TotalReported(1, 1, 105_190), TotalReported(1, 2, 100_000))
    (stray,) = records(effects, Unattributed)
    assert (stray.nozzle, stray.volume_ml) == (1, 5_190)
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED)
    end = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=105_190, fill=(0, 0))
    (ended,) = records(end, SaleEnded)
    assert ended.sale == sale


def test_a_nozzle_that_is_up_already_is_released_behind_the_reading(bench: Bench) -> None:
    bench.answers_arming = False
    bench.lift(1)
    bench.arm()
    assert sends(bench.steps[-1], AuthorizeFuellingPoint) == []
    effects = bench.do(TotalReported(1, 1, 100_000), TotalReported(1, 2, 100_000))
    assert [command.nozzle for command in sends(effects, AuthorizeFuellingPoint)] == [1]


def test_an_unanswered_reading_at_the_arming_is_asked_for_again(bench: Bench) -> None:
    bench.answers_arming = False
    bench.arm()
    bench.lift(1)
    effects = bench.wait(3_000)
    assert len(sends(effects, ReadTotal)) == 2
    assert sends(effects, AuthorizeFuellingPoint) == []
