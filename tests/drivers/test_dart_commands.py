"""What the DART master does for each command, and what it must never do (dispenser-protocols 1.8, 8)."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.dart.profile import PositionProfile
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
from tests.drivers.dart_bench import AUTHORIZE, FILLING, RESET, START, STOP, Bench, Head, lifted

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


def test_a_fill_that_is_over_before_its_start_was_told_is_no_failed_release() -> None:
    bench, head = lifted()
    head.obey = False
    bench.submit(START)
    bench.run(300)
    head.say_status(5)
    bench.run(6_000)
    assert bench.take() == [PumpStatusChanged(1, PumpStatus.COMPLETED)]
    assert head.count(*AUTHORIZE) == 1
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


def test_a_reading_that_waits_already_is_not_asked_for_twice() -> None:
    """But behind a command that changes the head it is another one."""
    bench, head = lifted()
    for _ in range(12):
        bench.submit(ReadFill(1))
        bench.submit(ReadTotal(1, 1))
    bench.run(3_000)
    assert bench.of(CommandFailed) == []
    assert 1 <= len(bench.of(TotalReported)) <= 2, "the one under way may be asked for once more"
    bench.take()
    for command in (ReadTotal(1, 1), ReadTotal(1, 2), StopFuellingPoint(1), SetPrices(1, (17_290,)), ReadTotal(1, 2)):
        bench.submit(command)
    bench.run(5_000)
    assert [event.nozzle for event in bench.of(TotalReported)] == [1, 2, 2]


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


def test_a_fill_that_ends_while_it_is_read_is_read_again() -> None:
    bench, head = lifted()
    head.volume, head.amount = 1_000, 1_729
    head.say_status(4)
    bench.run(300)
    asked = head.count(*FILLING)
    bench.submit(ReadFill(1))
    for _ in range(200):
        if head.count(*FILLING) == asked:
            bench.run(1)
    reading = head.queue.pop()
    head.say_status(5)
    head.queue.append(reading)
    head.volume, head.amount = 1_234, 2_134
    bench.run(2_000)
    assert bench.of(FillReported) == [FillReported(1, 12_340, 2_134)]


def test_an_old_status_in_the_heads_queue_does_not_prove_a_stop() -> None:
    bench, head = lifted()
    head.obey = False
    bench.submit(START)
    bench.run(300)
    head.say((1, b"\x01"))
    head.status = 2
    bench.submit(StopFuellingPoint(1))
    bench.run(800)
    assert head.count(*STOP) == 1
    head.obey = True
    bench.run(6_000)
    assert head.status == 5


def test_stop_does_not_wait_for_an_answer_that_does_not_come() -> None:
    bench, head = lifted()
    head.say_status(4)
    head.mute = True
    bench.submit(ReadTotal(1, 1))
    bench.run(500)
    bench.submit(StopFuellingPoint(1))
    bench.run(300)
    assert head.status == 5
    head.mute = False
    bench.run(5_000)
    assert len(bench.of(TotalReported)) == 1


def test_prices() -> None:
    head = Head(0x50, status=0)
    bench = Bench(head, positions=[PositionProfile(fp=1, address=0x50, prices_twice=True)]).surveyed()
    bench.submit(SetPrices(1, (11_750, 12_340)))
    bench.submit(SetPrices(1, (11_755,)))
    bench.run(2_000)
    assert head.count(5, bytes.fromhex("001175 001234")) == 2
    changed, shown, refused = bench.take()
    assert changed == PumpStatusChanged(1, PumpStatus.COMPLETED)
    assert shown == PricesReported(1, (17_290, None)), "what the head shows, not what it was told; of the nozzle that it names"
    assert isinstance(refused, CommandFailed)


def test_no_price_over_a_fill_that_is_not_confirmed() -> None:
    head = Head(0x50, status=5)
    bench = Bench(head).surveyed()
    bench.submit(SetPrices(1, (11_750, 12_340)))
    bench.run(2_000)
    (refused,) = bench.take()
    assert isinstance(refused, CommandFailed)
    assert "not confirmed" in refused.why
    assert head.count(5, bytes.fromhex("001175 001234")) == 0


def test_prices_are_read_back_from_a_word_that_is_younger_than_they_are() -> None:
    bench, head = lifted()
    bench.take()
    head.say(head.nozzle_word())  # queued before the prices come, so it has the old one
    head.price = 1_888
    bench.submit(SetPrices(1, (15_000, 18_880)))
    bench.run(2_000)
    assert bench.take() == [PricesReported(1, (None, 18_880))]


def test_too_many_commands_are_refused_not_lost() -> None:
    bench, head = lifted()
    head.silent = True
    for price in range(40):
        bench.submit(SetPrices(1, (17_000 + price,)))
    bench.run(5_000)
    assert len(bench.of(CommandFailed)) == 40


def test_transactions_of_the_start_are_one_frame() -> None:
    bench, _ = lifted()
    bench.sent.clear()
    bench.submit(START)
    bench.run(300)
    (frame,) = [wire for _, wire in bench.sent if wire[1] & 0xF0 == 0x30]
    assert frame[2:-4] == bytes.fromhex("020102 0304 00002000 010106")
