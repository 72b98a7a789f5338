"""The driver's session: what he is asked, what he is told, what his keys do in every state."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint
from drivers.events import Key, KeyPressed, MediumKind, MediumPresented, MediumUnreadable
from terminal.core.card_data import Status
from terminal.core.effects import AskHost, Continue
from terminal.core.pin_desk import PinTries
from terminal.core.records import PinCleared, PinTried, Refused, SaleEnded, SaleReserved
from terminal.core.sale import SaleState
from tests.machines.site_kit import Bench, messages, names, pin_rule, records, screen, sends, token_of


@pytest.fixture
def bench() -> Bench:
    found = Bench().open(host=False)
    found.add_card("A")
    found.add_card("B")
    return found


def where(bench: Bench) -> str:
    return bench.session().state.name


def with_pin(bench: Bench, number: str = "P", pin: str = "4711", epoch: int = 1) -> None:
    bench.add_card(number, pin=pin_rule(token_of(number), pin, epoch))


def reach(bench: Bench, state: str) -> None:
    """Bring the session into a state with card A (the host reachable, so that it can be asked)."""
    bench.site.link.down = False
    if state == "IDENTIFYING":
        bench.add_card("A", pair="other")
    elif state == "PIN":
        with_pin(bench, "A")
    elif state == "PROMPTS":
        bench.add_card("A", prompts=("ODOMETER",))
    elif state == "REFUSED":
        bench.add_card("A", status=Status.BLOCKED)
        bench.site.link.down = True
    bench.badge("A")
    if state == "AUTHORIZING":
        bench.keys("1#")
    elif state == "ARMED":
        bench.site.link.down = True
        bench.keys("1#")
    assert where(bench) == state


ATTEMPT = ["IDENTIFYING", "PIN", "PROMPTS", "CHOOSING", "AUTHORIZING"]


# --- cancel, other badges, the same badge -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ATTEMPT)
def test_cancel_ends_the_attempt(bench: Bench, state: str) -> None:
    reach(bench, state)
    effects = bench.keys("x")
    assert where(bench) == "REFUSED"
    assert [refused.reason for refused in records(effects, Refused)] == ["CANCELLED"]
    assert screen(effects)[:2] == ("Refused", "Cancelled")
    bench.wait(6_000)
    assert where(bench) == "IDLE"


@pytest.mark.parametrize("state", ["IDLE", "REFUSED"])
def test_cancel_with_no_attempt_is_harmless(bench: Bench, state: str) -> None:
    if state != "IDLE":
        reach(bench, state)
    assert records(bench.keys("x"), Refused) == []
    assert where(bench) == "IDLE"


def test_cancel_on_the_armed_notice_frees_the_hold(bench: Bench) -> None:
    sale = bench.arm()
    (ended,) = records(bench.keys("x"), SaleEnded)
    assert (ended.sale, ended.end) == (sale, "cancelled")
    assert bench.site.desk.book.get(sale) is None
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []


def test_cancel_on_the_notice_never_touches_another_drivers_sale() -> None:
    bench = Bench(points=(1,), sides=(1, 2)).open(host=False)
    bench.add_card("A")
    bench.add_card("B")
    bench.arm("A")
    bench.lift(1)
    bench.read(1, bench.hang(1) + bench.wait(3_000), totals=100_000)
    bench.badge("B", side=2)
    bench.keys("1#", side=2)
    second = bench.site.points[1].sale
    assert second is not None
    assert where(bench) == "ARMED", "the first driver's notice still stands"
    bench.keys("x")
    assert bench.sale(second).state is SaleState.AUTHORIZED


def test_cancel_after_the_lift_does_not_stop_the_fuelling(bench: Bench) -> None:
    sale = bench.arm()
    bench.lift(1)
    bench.keys("x")
    assert bench.sale(sale).state is SaleState.DELIVERING


@pytest.mark.parametrize("state", [*ATTEMPT, "ARMED", "REFUSED"])
def test_the_same_badge_within_three_seconds_changes_nothing(bench: Bench, state: str) -> None:
    reach(bench, state)
    bench.wait(2_999)
    assert bench.badge("A") == []
    assert where(bench) == state


@pytest.mark.parametrize("state", [*ATTEMPT[1:], "REFUSED"])
def test_another_badge_starts_afresh(bench: Bench, state: str) -> None:
    reach(bench, state)
    bench.badge("B")
    assert where(bench) == "CHOOSING"
    assert bench.session().token == token_of("B")


def test_another_badge_leaves_the_armed_point_alone(bench: Bench) -> None:
    sale = bench.arm("A")
    bench.badge("B")
    assert where(bench) == "CHOOSING"
    assert bench.sale(sale).state is SaleState.AUTHORIZED
    assert len(sends(bench.lift(1), AuthorizeFuellingPoint)) == 1


def test_another_badge_while_the_host_is_asked_frees_the_first_ones_hold(bench: Bench) -> None:
    reach(bench, "AUTHORIZING")
    effects = bench.badge("B")
    assert messages(effects) == ["T-1-1/reverse", "T-1-1/advice"]
    assert where(bench) == "CHOOSING"


def test_the_same_badge_again_while_the_host_is_asked_is_not_in_its_own_way(bench: Bench) -> None:
    reach(bench, "AUTHORIZING")
    bench.wait(3_000)
    effects = bench.badge("A")
    assert len(records(effects, SaleEnded)) == 1
    assert where(bench) == "CHOOSING", "not CARD_IN_USE"


def test_the_clear_number_does_not_outlive_the_attempt(bench: Bench) -> None:
    bench.badge("A")
    assert bench.session().medium is not None
    bench.keys("x")
    assert bench.session().medium is None


def test_an_unreadable_medium_is_told_and_does_not_end_an_attempt(bench: Bench) -> None:
    effects = bench.do(MediumUnreadable(1, MediumKind.BADGE, "torn"))
    assert screen(effects)[:2] == ("Refused", "Badge unreadable")
    bench.badge("A")
    assert bench.do(MediumUnreadable(1, MediumKind.BADGE, "torn")) == []
    assert where(bench) == "CHOOSING"


def test_no_key_for_a_while_ends_the_attempt(bench: Bench) -> None:
    bench.badge("A")
    bench.wait(29_000)
    bench.keys("7")
    bench.wait(29_999)
    assert where(bench) == "CHOOSING"
    (refused,) = records(bench.wait(1), Refused)
    assert refused.reason == "TIMED_OUT"


def test_an_unknown_badge_is_refused_at_once_when_the_host_is_away(bench: Bench) -> None:
    (refused,) = records(bench.badge("nobody's"), Refused)
    assert refused.reason == "CARD_UNKNOWN"
    assert refused.card is not None
    assert refused.card.sealed is None
    assert "nobody's" not in repr(refused)


# --- PIN ------------------------------------------------------------------------------------------------------------------------


def test_the_try_is_on_disk_in_the_step_before_the_comparison(bench: Bench) -> None:
    with_pin(bench)
    assert screen(bench.badge("P"))[0] == "PIN:"
    bench.keys("471")
    before = len(bench.steps)
    bench.keys("1#")
    counting, comparing = bench.steps[before + 1 : before + 3]
    assert records(counting, PinTried) == [PinTried(token_of("P"), 1, 1)]
    assert [type(effect) for effect in counting if isinstance(effect, Continue)] == [Continue]
    assert where(bench) == "CHOOSING"
    assert records(comparing, PinTried) == []


def test_no_digit_is_shown_and_none_is_kept(bench: Bench) -> None:
    with_pin(bench)
    bench.badge("P")
    assert screen(bench.keys("47"))[1] == "**"
    bench.keys("11#")
    assert bytes(bench.session().entry.view()) == b""
    assert "4711" not in repr(bench.steps)


def test_a_right_pin_gives_the_tries_back_with_the_hold(bench: Bench) -> None:
    with_pin(bench)
    bench.badge("P")
    bench.keys("0000#4711#")
    effects = bench.keys("1#")
    assert names(effects, "PinCleared", "SaleReserved") == ["SaleReserved", "PinCleared"]
    assert records(effects, SaleReserved)[0].pin_verified
    assert bench.site.teller.pins.tries == {}


def test_a_right_pin_gives_the_tries_back_also_when_the_driver_leaves(bench: Bench) -> None:
    with_pin(bench)
    bench.badge("P")
    bench.keys("4711#")
    assert records(bench.keys("x"), PinCleared) == [PinCleared(token_of("P"))]


def test_three_wrong_pins_lock_and_a_right_one_comes_too_late(bench: Bench) -> None:
    with_pin(bench)
    bench.badge("P")
    effects = bench.keys("0000#1111#")
    assert screen(effects)[:3] == ("Wrong PIN", "", "Tries left: 1")
    assert [refused.reason for refused in records(effects, Refused)] == ["PIN_WRONG", "PIN_WRONG"]
    bench.keys("2222#")
    assert where(bench) == "REFUSED"
    bench.wait(10_000)
    (refused,) = records(bench.badge("P"), Refused)
    assert refused.reason == "PIN_LOCKED"
    assert records(bench.keys("4711#"), PinTried) == []


def test_a_new_epoch_unlocks(bench: Bench) -> None:
    bench.site.teller.pins.tries[token_of("P")] = PinTries(1, 3)
    with_pin(bench, epoch=2)
    bench.badge("P")
    assert where(bench) == "PIN"
    assert records(bench.keys("9999#"), PinTried) == [PinTried(token_of("P"), 2, 1)]


def test_too_short_a_pin_is_no_try_and_clear_begins_again(bench: Bench) -> None:
    with_pin(bench)
    bench.badge("P")
    assert records(bench.keys("471#"), PinTried) == []
    bench.keys("<4711#")
    assert where(bench) == "CHOOSING"


def test_tries_count_for_the_account_whatever_the_badge(bench: Bench) -> None:
    for number in ("P", "Q"):
        bench.add_card(number, account="shared", pin=pin_rule("shared", "4711"))
    bench.badge("P")
    bench.keys("0000#1111#")
    bench.badge("Q")
    bench.keys("2222#")
    bench.wait(10_000)
    (refused,) = records(bench.badge("P"), Refused)
    assert refused.reason == "PIN_LOCKED"


# --- prompts, pair, choice ----------------------------------------------------------------------------------------------------------


def test_prompts_are_asked_in_order_and_stand_in_the_sale(bench: Bench) -> None:
    bench.add_card("D", prompts=("odometer", "driver"))
    assert screen(bench.badge("D"))[0] == "Odometer:"
    assert screen(bench.keys("123<#"))[1] == "", "an empty answer is none"
    assert screen(bench.keys("99#"))[0] == "Driver no.:"
    bench.keys("5#")
    (reserved,) = records(bench.keys("1#"), SaleReserved)
    assert reserved.prompts == (("DRIVER", "5"), ("ODOMETER", "99"))


def test_the_second_card_must_be_the_pair(bench: Bench) -> None:
    bench.add_card("D", pair=token_of("B"))
    assert screen(bench.badge("D"))[:2] == ("Present the", "second card")
    (refused,) = records(bench.badge("A"), Refused)
    assert refused.reason == "SECOND_CARD_WRONG"
    bench.wait(10_000)
    bench.badge("D")
    bench.badge("B")
    assert where(bench) == "CHOOSING"


def test_a_wish_in_money_bounds_the_release_by_money(bench: Bench) -> None:
    bench.badge("A")
    effects = bench.keys("<5000")
    assert screen(effects)[1] == "50.00 EUR"
    assert screen(bench.keys("#"))[2] == "50.00 EUR"
    bench.keys("1#")
    (command,) = sends(bench.lift(1), AuthorizeFuellingPoint)
    assert (command.preset_volume_ml, command.preset_amount_minor) == (None, 5_000)


def test_a_wish_in_litres_bounds_the_release_by_volume(bench: Bench) -> None:
    bench.badge("A")
    assert screen(bench.keys("<<2000"))[1] == "20.00 L"
    bench.keys("#1#")
    (command,) = sends(bench.lift(1), AuthorizeFuellingPoint)
    assert (command.preset_volume_ml, command.preset_amount_minor) == (20_000, None)


def test_clear_goes_round_and_takes_the_wish_back(bench: Bench) -> None:
    bench.badge("A")
    bench.keys("<5000#<")
    assert bench.session().wish is None
    assert screen(bench.keys("<<"))[0] == "Pump no.:"


@pytest.mark.parametrize("choice", ["9", "0", "4000000000"])
def test_a_point_that_is_not_there_is_refused(bench: Bench, choice: str) -> None:
    bench.badge("A")
    (refused,) = records(bench.keys(choice + "#"), Refused)
    assert refused.reason == "FUELLING_POINT_NOT_AVAILABLE"


def test_a_taken_point_is_refused_and_the_other_serves(bench: Bench) -> None:
    bench.arm("A", 1)
    bench.badge("B")
    (refused,) = records(bench.keys("1#"), Refused)
    assert refused.reason == "FUELLING_POINT_NOT_AVAILABLE"
    bench.wait(10_000)
    assert bench.arm("B", 2) == "T-1-2"


def test_the_driver_reads_what_he_may_take(bench: Bench) -> None:
    bench.badge("A")
    assert screen(bench.keys("1#")) == ("Go to pump 1", "Max. 990.00 L", "GAZOLE, SP95", "Have a safe trip")


def test_no_room_on_the_disk_refuses_before_anything_is_reserved(bench: Bench) -> None:
    bench.badge("A")
    bench.storage.room = False
    effects = bench.keys("1#")
    assert screen(effects)[:2] == ("Refused", "Terminal not ready")
    assert records(effects, object) == [], "nothing is written where there is no room"


def test_a_right_pin_is_not_written_where_there_is_no_room_and_is_later(bench: Bench) -> None:
    with_pin(bench)
    bench.badge("P")
    bench.keys("4711#")
    bench.storage.room = False
    assert records(bench.keys("1#"), object) == []
    bench.storage.room = True
    assert records(bench.wait(6_000), PinCleared) == [PinCleared(token_of("P"))]


def test_keys_and_media_of_another_side_are_nobodys(bench: Bench) -> None:
    assert bench.do(KeyPressed(9, Key.ENTER), MediumPresented(9, MediumKind.BADGE, "A")) == []


def test_two_sides_serve_two_drivers_at_once() -> None:
    bench = Bench(sides=(1, 2)).open()
    bench.add_card("A")
    bench.add_card("B")
    bench.badge("A", side=1)
    bench.badge("B", side=2)
    one = bench.keys("1#", side=1)
    two = bench.keys("2#", side=2)
    assert [effect.sale for effect in one + two if isinstance(effect, AskHost)] == ["T-1-1", "T-1-2"]
    bench.approve(bench.site.desk.sales["T-1-2"].id)  # type: ignore[index]
    assert (bench.session(1).state.name, bench.session(2).state.name) == ("AUTHORIZING", "ARMED")
