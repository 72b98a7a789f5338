"""Releases and prices at an AZT head, and what is refused (reference dispenser-protocols 3.4 to 3.8, 8; azt.md)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.commands import ConfirmFill, ReadFill, ReadTotal, SetPrices
from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    NozzleReturned,
    PricesReported,
    PumpStatus,
    PumpStatusChanged,
    TotalReported,
)
from tests.drivers.azt_bench import CAN, NAK, START, Bench, Hose, failure, filling, lifted, statuses

S = PumpStatus
MONEY = replace(START, preset_volume_ml=None, preset_amount_minor=8_000)


# --- authorize ---


def test_a_fuelling_from_release_to_confirm() -> None:
    bench, hose = lifted()
    hose.asked.clear()
    bench.submit(START)
    bench.run(1_500)
    assert bench.take() == [PumpStatusChanged(1, S.FILLING)]
    asked = [each for each, _ in hose.asked]
    assert [each for each in asked if each != "1"] == ["Y", "T", "X", "2", "Y"], "transaction, dose, its reading, release, proof"
    assert asked[asked.index("2") - 1] == "1", "the nozzle is looked at once more before the release"
    assert hose.dose == "T02000"
    hose.flow(1_250)
    bench.run(2_000)
    assert bench.take() == [FillProgressed(1, 12_500, 56_250)]
    hose.hang_up()
    bench.run(1_000)
    assert bench.take() == [PumpStatusChanged(1, S.COMPLETED)]
    bench.submit(ReadFill(1))
    bench.submit(ReadTotal(1, 1))
    bench.run(1_500)
    assert bench.take() == [FillReported(1, 12_500, 56_250), TotalReported(1, 1, 1_012_500)]
    assert hose.state == 4
    assert hose.count("8") == 0, "nobody confirmed yet"
    bench.submit(ConfirmFill(1))
    bench.run(1_000)
    assert bench.take() == [NozzleReturned(1, 1), PumpStatusChanged(1, S.RESET)]
    assert hose.count("8") == 1


def test_the_dose_ends_the_fill_with_the_nozzle_out() -> None:
    bench, hose = filling()
    hose.flow(5_000)
    bench.run(1_000)
    assert statuses(bench)[-1] is S.LIMIT_REACHED
    bench.submit(ConfirmFill(1))
    bench.run(1_000)
    assert hose.state == 1
    assert statuses(bench)[-1] is S.RESET
    assert not bench.of(NozzleReturned)
    hose.hang_up()
    bench.run(300)
    assert bench.events[-1] == NozzleReturned(1, 1)


@pytest.mark.parametrize(("price", "volume"), [(4_500, 177), (173, 4_624), (9_999, 80)])
def test_a_dose_of_money_is_never_passed_and_counts_as_reached(price: int, volume: int) -> None:
    hose = Hose(price=price)
    bench = Bench(hose).surveyed()
    hose.lift()
    bench.run(200)
    bench.submit(replace(MONEY, prices=(price * 100,)))
    bench.run(1_500)
    assert hose.dose == "S008000"
    hose.flow(99_000)
    bench.run(1_000)
    assert hose.volume == volume
    assert hose.amount() <= 8_000
    assert statuses(bench)[-1] is S.LIMIT_REACHED


def test_a_dose_of_money_that_was_not_used_up_was_not_reached() -> None:
    bench, hose = filling(MONEY)
    hose.flow(100)
    hose.hang_up()
    bench.run(1_000)
    assert statuses(bench) == [S.COMPLETED]


def test_what_a_head_cannot_be_told_is_refused_before_anything_is_sent() -> None:
    for command, why in (
        (replace(START, nozzle=2), "nozzle 1, not 2"),
        (replace(START, preset_amount_minor=100), "at once"),
        (replace(START, preset_volume_ml=None), "no dose"),
        (replace(START, preset_volume_ml=5), "smallest quantity"),
        (replace(MONEY, preset_amount_minor=0), "smallest unit"),
        (replace(START, prices=(450_000, 1)), "one hose"),
        (replace(START, prices=(440_000,)), "price 450000, not 440000"),
    ):
        bench, hose = lifted()
        bench.submit(command)
        bench.run(1_500)
        assert why in failure(bench)
        assert hose.dose is None
        assert hose.count("2") == 0


def test_a_dose_above_the_protocols_is_its_largest() -> None:
    bench, hose = lifted()
    bench.submit(replace(START, preset_volume_ml=5_000_000))
    bench.run(1_500)
    assert hose.dose == "T99000"


def test_a_head_with_another_dose_than_told_is_not_released() -> None:
    bench, hose = lifted()
    hose.deny["T"] = b"\x7f\x06"  # says done, and keeps the dose that it has
    hose.dose = "T09900"
    bench.submit(START)
    bench.run(1_500)
    assert "another dose" in failure(bench)
    assert hose.count("2") == 0


@pytest.mark.parametrize(
    ("command", "answer", "why"), [("T", CAN, "take the dose (CAN)"), ("X", NAK, "tell the dose"), ("Y", NAK, "transaction")]
)
def test_a_head_that_does_not_take_or_tell_it_is_not_released(command: str, answer: bytes, why: str) -> None:
    bench, hose = lifted()
    hose.deny[command] = answer
    bench.submit(START)
    bench.run(1_500)
    assert why in failure(bench)
    assert hose.count("2") == 0


def test_a_head_of_version_1_is_believed_its_dose() -> None:
    bench, hose = lifted(dose_readback=False)
    hose.deny["X"] = NAK
    bench.submit(START)
    bench.run(1_500)
    assert statuses(bench) == [S.FILLING]


def test_the_slow_down_threshold_is_set_once() -> None:
    bench, hose = lifted(slow_down_ml=500)
    bench.submit(START)
    bench.run(1_500)
    assert [data for command, data in hose.asked if command == "R"] == ["050"]


@pytest.mark.parametrize("lost", ["lost_requests", "lost_answers"])
def test_a_release_whose_answer_is_lost_happens_once(lost: str) -> None:
    bench, hose = lifted()
    getattr(hose, lost)["2"] = 1
    bench.submit(START)
    bench.run(4_000)
    assert statuses(bench) == [S.FILLING]
    assert not bench.of(CommandFailed)
    assert hose.transaction == 8
    assert hose.count("2") == 1


def test_a_release_that_a_head_acknowledges_and_does_not_carry_out_fails_and_is_stopped() -> None:
    bench, hose = lifted()
    hose.deny["2"] = b"\x7f\x06"
    bench.submit(START)
    bench.run(10_000)
    assert "stayed lifted" in failure(bench)
    assert not bench.of(PumpStatusChanged)


def test_a_release_that_the_head_does_not_take_now_fails_at_once() -> None:
    bench, hose = lifted()
    hose.deny["2"] = CAN
    bench.submit(START)
    bench.run(1_500)
    assert "CAN" in failure(bench)


def test_a_nozzle_that_moves_before_the_release_ends_it() -> None:
    """Once released, a head does not tell where its nozzle is: it would wait for the next one who lifts it."""
    bench, hose = lifted()
    bench.submit(START)
    while hose.count("X") == 0:
        bench.run(5)
    hose.hang_up()
    bench.run(1_500)
    assert "moved" in failure(bench)
    assert hose.count("2") == 0
    assert bench.of(NozzleReturned)


def test_a_release_at_a_head_that_is_not_at_rest_is_refused() -> None:
    bench, hose = filling()
    bench.submit(START)
    bench.run(1_500)
    assert "started, not at rest" in failure(bench)
    assert hose.transaction == 8


def test_a_release_over_an_unconfirmed_fill_is_refused() -> None:
    """The next release erases the record; a head that leaves the finished state by itself is no excuse."""
    bench, hose = filling()
    hose.leaves_4 = True
    hose.flow(500)
    hose.hang_up()
    bench.run(600)
    assert statuses(bench) == [S.COMPLETED]
    hose.lift()
    bench.run(300)
    bench.submit(START)
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(2_000)
    assert all("not confirmed" in event.why for event in bench.of(CommandFailed))
    assert len(bench.of(CommandFailed)) == 2
    bench.take()
    bench.submit(ReadFill(1))
    bench.submit(ConfirmFill(1))
    bench.run(1_500)
    assert bench.take() == [FillReported(1, 5_000, 22_500), PumpStatusChanged(1, S.RESET)]
    bench.submit(START)
    bench.run(1_500)
    assert hose.transaction == 9


def test_a_transaction_that_nobody_of_ours_began_is_read_before_anything_is_released() -> None:
    bench, hose = lifted()
    hose.transaction, hose.volume, hose.total = 9, 300, 100_300
    bench.submit(START)
    bench.run(1_500)
    assert "moved from 7 to 9 without us" in failure(bench)
    assert statuses(bench) == [S.COMPLETED]
    bench.take()
    bench.submit(ReadFill(1))
    bench.submit(ConfirmFill(1))
    bench.run(1_500)
    assert bench.take() == [FillReported(1, 3_000, 13_500), PumpStatusChanged(1, S.RESET)]


# --- prices ---


def test_a_price_is_set_and_read_again() -> None:
    bench, hose = lifted()
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(1_000)
    assert bench.take() == [PricesReported(1, (440_000,))]
    assert hose.price == 4_400
    bench.submit(replace(START, prices=(440_000,)))
    bench.run(1_500)
    assert statuses(bench) == [S.FILLING]


def test_the_price_that_a_head_has_is_not_sent_again() -> None:
    """It would erase the record of the last fill for nothing."""
    bench, hose = lifted()
    bench.submit(SetPrices(1, (450_000,)))
    bench.run(1_000)
    assert bench.take() == [PricesReported(1, (450_000,))]
    assert hose.count("Q") == 0


@pytest.mark.parametrize("lost", ["lost_requests", "lost_answers"])
def test_a_price_whose_answer_is_lost_is_set_all_the_same(lost: str) -> None:
    bench, hose = lifted()
    getattr(hose, lost)["Q"] = 1
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(2_500)
    assert bench.take() == [PricesReported(1, (440_000,))]
    assert hose.price == 4_400
    assert hose.transaction == 8


def test_a_price_that_a_head_does_not_take_fails() -> None:
    bench, hose = lifted()
    hose.deny["Q"] = b"\x7f\x06"
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(2_500)
    assert "price 450000, not 440000" in failure(bench)


@pytest.mark.parametrize("values", [(), (440_000, 450_000), (441_234,), (0,), (1_000_000,)])
def test_a_price_that_a_head_cannot_show_is_refused(values: tuple[int, ...]) -> None:
    bench, hose = lifted()
    bench.submit(SetPrices(1, values))
    bench.run(1_000)
    assert failure(bench)
    assert hose.count("Q") == 0


def test_no_price_change_while_fuel_can_flow_or_a_fill_is_unread() -> None:
    bench, hose = filling()
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(1_000)
    assert "no price change now" in failure(bench)
    bench.take()
    hose.hang_up()
    bench.run(1_000)
    bench.take()
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(1_000)
    assert "no price change now" in failure(bench)
    assert hose.count("Q") == 0


def test_a_price_with_the_release_where_the_site_wants_it() -> None:
    bench, hose = lifted(prices_with_authorize=True)
    bench.submit(replace(START, prices=(440_000,)))
    bench.run(2_000)
    assert statuses(bench) == [S.FILLING]
    assert hose.price == 4_400
    assert hose.transaction == 9, "one for the price, one for the release"


def test_a_head_that_never_got_a_price_is_not_programmed_until_it_has_one() -> None:
    hose = Hose(price=0)
    bench = Bench(hose)
    bench.run(2_000)
    assert bench.take()[0].status is S.NOT_PROGRAMMED  # type: ignore[union-attr]
    bench.submit(SetPrices(1, (440_000,)))
    bench.run(1_000)
    assert bench.take() == [PumpStatusChanged(1, S.RESET), PricesReported(1, (440_000,))]
