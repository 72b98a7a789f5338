"""The AZT emulator in hand-made sessions: fills, the register, the transaction number, idle polls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal_sim.dispensers import azt_codec as codec
from hal_sim.dispensers.azt import AztHead
from hal_sim.dispensers.head import HeadOptions, HeadState
from hal_sim.dispensers.hydraulics import amount_of, volume_within
from tests.hal_sim.azt_kit import ACK, CAN, filled, in_state, make, make_head

# a fuelling


def test_a_whole_fuelling_by_hand() -> None:
    hand, head = make()
    assert hand.status == "0"
    assert hand.ask("P") == "00000002"
    assert hand.ask("7") == ":"
    assert hand.ask("Y") == "00000000"
    assert hand.ask("5") == "000000" + "000000" + "4500"
    assert hand.ask("T", "00500") == ACK
    assert hand.ask("X") == "000500"
    assert hand.ask("2") == ACK
    assert hand.status == "2"
    head.lift(1, hand.now)
    assert hand.status == "3"
    head.squeeze(9_000, hand.now)
    hand.wait(3_000)
    assert 190 < int(hand.ask("4")) < 220
    running = hand.ask("5")
    assert int(running[6:12]) == int(running[:6]) * 45
    hand.wait(10_000)
    assert hand.status == "40"
    assert not head.valve_open
    head.hang_up(hand.now)
    assert hand.status == "40"
    assert hand.ask("5") == "000500" + "022500" + "4500"
    assert hand.ask("Y") == "00000001"
    assert hand.ask("6") == "0000000500" + "0000022500"
    assert hand.ask("8") == ACK
    assert hand.status == "0"
    assert hand.ask("5") == "000500" + "022500" + "4500"
    head.lift(1, hand.now)
    assert hand.status == "1"


def test_hanging_up_ends_a_fill_below_its_dose() -> None:
    hand, head = make()
    filled(hand, head, 2_340)
    assert hand.ask("4") == "000234"
    assert hand.ask("X") == CAN  # in 4, and the dose is spent
    assert hand.ask("8") == ACK
    assert hand.ask("X") == CAN
    assert hand.ask("2") == CAN  # nothing runs without a dose
    assert hand.ask("4") == "000234"


def test_a_lifted_nozzle_starts_at_once() -> None:
    hand, head = make()
    head.lift(1, hand.now)
    hand.ask("T", "00500")
    assert hand.ask("2") == ACK
    assert hand.status == "3"
    head.hang_up(hand.now)
    assert hand.status == "40"
    assert hand.ask("5") == "000000" + "000000" + "4500"


def test_reset_before_the_start_gives_a_fill_of_nothing() -> None:
    hand, head = make()
    filled(hand, head)
    hand.ask("8")
    hand.ask("T", "00100")
    hand.ask("2")
    assert hand.ask("3") == ACK
    assert hand.status == "40"
    assert hand.ask("5") == "000000" + "000000" + "4500"


def test_hanging_up_a_release_that_has_not_started_changes_nothing() -> None:
    hand, head = make(make_head(2))
    hand.ask("T", "00500")
    hand.ask("2")
    head.lift(2, hand.now)
    head.squeeze(1_000, hand.now)
    assert hand.status == "2"
    assert hand.ask("1", address=2) == "1"
    head.hang_up(hand.now)
    assert hand.status == "2"
    assert head.totals_ml(hand.now) == {1: 0, 2: 0}


def test_stop_ends_a_running_fill() -> None:
    hand, head = make()
    hand.ask("T", "05000")
    hand.ask("2")
    head.lift(1, hand.now)
    head.squeeze(50_000, hand.now)
    hand.wait(6_000)
    assert hand.ask("3") == ACK
    kept = hand.ask("5")
    hand.wait(10_000)
    assert (hand.status, hand.ask("5")) == ("40", kept)
    assert 380 < int(kept[:6]) < 420


@given(minor=st.integers(1, 999_999), cents=st.integers(1, 9_999))
def test_a_dose_in_money_is_never_passed(minor: int, cents: int) -> None:
    """Nor is the largest dose of all, 990 l."""
    head = AztHead({1: "AI95"}, {1: cents * 100}, options=HeadOptions(rate_ml_per_min=10**9))
    hand, _ = make(head)
    assert hand.ask("S", f"{minor:06d}") == ACK
    most = min(volume_within(minor, cents * 100) // 10 * 10, 990_000)
    assert hand.ask("X") == f"{most // 10:06d}"
    assert hand.ask("2") == ACK
    head.lift(1, hand.now)
    head.squeeze(10**9, hand.now)
    hand.wait(1_000)
    cost = int(hand.ask("5")[6:12])
    assert cost == amount_of(most, cents * 100)
    assert cost <= minor
    assert most == 990_000 or minor < amount_of(most + 10, cents * 100)
    assert hand.status == "40"


def test_more_than_the_dose_has_cause_1() -> None:
    hand, head = make(make_head(overrun_ml=120))
    hand.ask("T", "00500")
    hand.ask("2")
    head.lift(1, hand.now)
    head.squeeze(9_000, hand.now)
    hand.wait(60_000)
    assert hand.status == "41"
    assert hand.ask("5")[:6] == "000512"


def test_the_last_litres_flow_slowly() -> None:
    hand, head = make()
    assert hand.ask("R", "100") == ACK
    hand.ask("T", "01000")
    hand.ask("2")
    head.lift(1, hand.now)
    started = hand.now
    head.squeeze(20_000, hand.now)
    assert head.next_change() == started + 9_000 * 60 // 40 + 1_000 * 60 // 5


def test_fuel_that_nobody_released_is_told_from_any_state() -> None:
    hand, head = make()
    head.dispense_locally(1, 1_500, hand.now)
    assert hand.status == "41"
    assert hand.ask("5") == "000150" + "006750" + "4500"
    assert hand.ask("Y") == "00000000"
    assert hand.ask("8") == ACK
    filled(hand, head, 2_000)
    head.dispense_locally(1, 500, hand.now)
    assert hand.status == "41"
    assert hand.ask("4") == "000250"
    hand.ask("8")
    hand.ask("T", "00500")
    hand.ask("2")
    head.dispense_locally(1, 300, hand.now)
    assert hand.status == "41"
    assert hand.ask("4") == "000030"
    assert hand.ask("6")[:10] == f"{(1_500 + 2_000 + 500 + 300) // 10:010d}"


# transaction number and register


def test_the_transaction_number_counts_releases_and_prices() -> None:
    hand, head = make()
    assert hand.ask("Q", "4600") == ACK
    assert hand.ask("Y") == "00000001"
    filled(hand, head)
    assert hand.ask("Y") == "00000002"
    assert hand.ask("2") == CAN
    assert hand.ask("Q", "4700") == CAN
    hand.ask("8")
    assert hand.ask("Y") == "00000002"
    head.power_off(hand.now)
    head.power_on(hand.now)
    assert hand.ask("Y") == "00000002"


def test_a_price_erases_the_record_and_a_confirmation_does_not() -> None:
    hand, head = make()
    filled(hand, head)
    hand.ask("8")
    assert hand.ask("5") == "000200" + "009000" + "4500"
    assert hand.ask("Q", "4600") == ACK
    assert hand.ask("5") == "000000" + "000000" + "4600"


def test_a_top_up_goes_on_with_the_record() -> None:
    hand, head = make()
    assert hand.ask("U") == CAN
    filled(hand, head, 2_000)
    hand.ask("8")
    assert hand.ask("U") == ACK
    assert hand.ask("X") == "000500"
    assert hand.ask("2") == ACK
    assert hand.ask("4") == "000200"
    head.lift(1, hand.now)
    head.squeeze(9_000, hand.now)
    hand.wait(60_000)
    assert hand.status == "40"
    assert hand.ask("5") == "000500" + "022500" + "4500"
    assert hand.ask("6") == "0000000500" + "0000022500"
    hand.ask("8")
    assert hand.ask("U") == CAN  # nothing left of that dose


def test_a_dose_typed_at_the_pump() -> None:
    hand, head = make()
    head.enter_dose(1, 12_500, hand.now)
    assert hand.status == "8"
    assert hand.ask("X") == "001250"
    assert hand.ask("3") == ACK
    assert hand.status == "0"
    assert hand.ask("X") == CAN
    head.enter_dose(1, 12_500, hand.now)
    assert hand.ask("2") == ACK
    assert head.preset == (12_500, None)
    with pytest.raises(ValueError, match="resting"):
        head.enter_dose(1, 100, hand.now)


def test_unconditional_start_does_not_ask_for_the_nozzle() -> None:
    hand, _ = in_state("2")
    assert hand.ask("V") == ACK
    assert hand.status == "3"


def test_no_flow_ends_a_fill() -> None:
    hand, head = make()
    assert hand.ask("O", ";010") == ACK
    hand.ask("T", "05000")
    hand.ask("2")
    hand.wait(100_000)
    assert hand.status == "2"
    head.lift(1, hand.now)
    head.squeeze(4_000, hand.now)
    hand.wait(6_000 + 9_900)
    assert hand.status == "3"
    ends = head.next_change()
    assert ends is not None
    hand.wait(200)
    assert hand.status == "40"
    assert hand.ask("4") == "000400"
    assert head.nozzle_out == 1


def test_a_full_tank_ends_sooner() -> None:
    hand, head = make()
    hand.ask("O", "<005")
    hand.ask("T", "99000" + "1")
    hand.ask("2")
    head.lift(1, hand.now)
    hand.wait(6_000)
    assert hand.status == "3"  # not before some has flowed
    head.squeeze(1_000, hand.now)
    hand.wait(1_500 + 5_100)
    assert hand.status == "40"


# idle polling in virtual time


def test_idle_polls_can_be_skipped() -> None:
    hand, head = make()
    bus, poll = hand.bus, codec.request(1, 0x31)
    assert bus.quiet_until(hand.now) is None
    assert bus.idle_poll(poll) == bus.idle_answer(1) == codec.answer(b"0")
    assert bus.idle_poll(codec.request(1, 0x34)) is None
    assert bus.idle_poll(codec.request(2, 0x31)) is None
    head.lift(1, hand.now)
    assert bus.quiet_until(hand.now) == hand.now
    assert bus.idle_answer(1) is None
    assert hand.status == "1"
    assert bus.idle_answer(1) == codec.answer(b"1")
    hand.ask("T", "00500")
    hand.ask("2")
    head.squeeze(9_000, hand.now)
    assert hand.status == "3"
    assert bus.quiet_until(hand.now) == bus.next_wakeup() == head.next_change()
    hand.wait(60_000)
    assert bus.quiet_until(hand.now) == hand.now
    head.power_off(hand.now)
    assert bus.idle_answer(1) is None
    head.power_on(hand.now)
    assert bus.quiet_until(hand.now) == hand.now
    assert hand.status == "40"
    assert bus.quiet_until(hand.now) is None


def test_silence_of_a_master_changes_nothing() -> None:
    """No watchdog: the fill runs to its dose and stays readable (fact sheet 3.7)."""
    hand, head = make()
    hand.ask("T", "00500")
    hand.ask("2")
    head.lift(1, hand.now)
    head.squeeze(9_000, hand.now)
    hand.now += 3_600_000
    assert hand.status == "40"
    assert hand.ask("5") == "000500" + "022500" + "4500"
    assert hand.ask("Y") == "00000001"


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.just("ask"),
                st.sampled_from(["1", "2", "3", "4", "5", "6", "8", "T00300", "S005000", "Q4600", "U", "V", "X", "Y", "O;005"]),
            ),
            st.tuples(st.sampled_from(["lift", "hang", "squeeze", "let go", "wait", "dark", "light", "local", "dose"]), st.just("")),
        ),
        max_size=60,
    )
)
def test_the_books_always_agree(steps: list[tuple[str, str]]) -> None:
    """Whatever happens: the register never passes its dose, the totaliser is never below it."""
    hand, head = make()
    local = 0
    doings: dict[str, Callable[[], object]] = {
        "wait": lambda: None,
        "lift": lambda: head.lift(1, hand.now),
        "hang": lambda: head.hang_up(hand.now),
        "squeeze": lambda: head.squeeze(1_000, hand.now),
        "let go": lambda: head.release_trigger(hand.now),
        "dark": lambda: head.power_off(hand.now),
        "light": lambda: head.power_on(hand.now),
        "local": lambda: head.dispense_locally(1, 10, hand.now),
        "dose": lambda: head.enter_dose(1, 2_000, hand.now),
    }
    for what, data in steps:
        hand.now += 700
        try:
            if what == "ask":
                hand.ask(data[0], data[1:])
            else:
                doings[what]()
                local += 10 * (what == "local")
        except ValueError:
            continue
        head.advance(hand.now)
        assert not (head.valve_open and head.state is HeadState.RESET)
        assert head.fill_ml(hand.now) <= 3_000 + local
        assert head.total_ml(1, hand.now) >= head.fill_ml(hand.now)
        wakes = head.next_change()
        assert wakes is None or wakes > hand.now
