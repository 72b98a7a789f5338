"""Who stands there, step by step: card table, two cards, PINs that the host checks, the brake on guessing, prompts, the language's key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.events import MediumKind, MediumPresented
from terminal.core.account_book import AccountBook
from terminal.core.card_data import HostDecision, Offline, Status, Subject, SubjectKind
from terminal.core.card_table import CardRange, PinAt, RangeKind, Routing, Slice, TrackField
from terminal.core.effects import AskHost, Effect, Persist
from terminal.core.events import HostTrouble
from terminal.core.pin_desk import FIRST_WAIT_MS, LONGEST_WAIT_MS, WINDOW_MS, WRONG_MOST
from terminal.core.prompt_rules import Odometer, OdometerRead, PromptRule, WrongAnswers
from terminal.core.reasons import Reason
from terminal.core.records import PinCleared, PinTried, Refused, SaleReserved
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, names, pin_rule, records, screen, token_of

NUMBER = "7001000000000012"
OTHER = "7002000000000011"
ROW = CardRange("7001", "7001", RangeKind.FLEET, Routing.HOST, (16,), luhn=True)
ONLINE = replace(ROW, pin=PinAt.ONLINE)


@pytest.fixture
def bench() -> Bench:
    found = Bench().open(host=False)
    found.add_card("A")
    found.add_card(NUMBER)
    return found


def where(bench: Bench) -> str:
    return bench.session().state.name


def reasons(effects: list[Effect]) -> list[str]:
    return [found.reason for found in records(effects, Refused)]


def online(bench: Bench) -> None:
    bench.site.link.down = False


# --- card table -------------------------------------------------------------------------------------------------------------


def test_the_slice_is_the_card_and_the_whole_number_is_nowhere(bench: Bench) -> None:
    bench.lists.table = (replace(ROW, number=Slice(TrackField.NUMBER, 4, None)),)
    bench.add_card(NUMBER[4:])
    bench.badge(NUMBER)
    (reserved,) = records(bench.keys("1#"), SaleReserved)
    assert (reserved.card.token, reserved.account) == (token_of(NUMBER[4:]), token_of(NUMBER[4:]))
    assert NUMBER not in repr(bench.steps)


def test_the_same_medium_again_is_known_by_what_it_says_not_by_its_slice(bench: Bench) -> None:
    bench.lists.table = (replace(ROW, number=Slice(TrackField.NUMBER, 4, None), lengths=(16,)),)
    bench.add_card(NUMBER[4:])
    bench.badge(NUMBER)
    bench.keys("1")
    bench.badge(NUMBER)
    assert bench.session().digits == "1"


def test_a_range_that_nobody_serves_leaves_no_trace_of_the_medium(bench: Bench) -> None:
    bench.lists.table = (replace(ROW, kind=RangeKind.BANK),)
    (refused,) = records(bench.badge(NUMBER), Refused)
    assert (refused.reason, refused.card) == ("CARD_UNKNOWN", None)


def test_the_host_is_not_asked_for_what_is_decided_locally(bench: Bench) -> None:
    bench.lists.table = (replace(ROW, routing=Routing.LOCAL),)
    online(bench)
    bench.badge(NUMBER)
    assert names(bench.keys("1#"), "AskHost", "SaleAuthorized") == ["SaleAuthorized"]


def test_a_service_code_counts_also_when_the_host_was_asked_in_vain(bench: Bench) -> None:
    bench.lists.table = (ROW,)
    online(bench)
    bench.do(MediumPresented(1, MediumKind.STRIPE, NUMBER, expiry="2912", service_code="121", discretionary=""))
    effects = bench.keys("1#")
    (sale,) = [effect.sale for effect in effects if isinstance(effect, AskHost)]
    assert reasons(bench.no_host(sale, HostTrouble.NO_LINE)) == ["OFFLINE_NOT_ALLOWED"]


# --- two cards --------------------------------------------------------------------------------------------------------------


def pair_up(bench: Bench, **other: object) -> None:
    bench.add_card("D", pair="fleet7")
    bench.add_card("V", pair="fleet7", **other)


def test_the_second_card_stands_sealed_on_the_sale_and_its_account_has_less(bench: Bench) -> None:
    pair_up(bench)
    bench.badge("D")
    bench.badge("V")
    (reserved,) = records(bench.keys("1#"), SaleReserved)
    second = reserved.extra.second
    assert second is not None
    assert (second.token, second.sealed) == (token_of("V"), f"sealed second for {reserved.sale}")
    assert reserved.extra.second_account == token_of("V")
    book = bench.site.desk.book
    assert [use.sale for use in book.open_holds(token_of("V"))] == [reserved.sale] == [use.sale for use in book.open_holds(token_of("D"))]
    assert AccountBook(book.snapshot()) == book


def test_a_second_card_in_use_is_in_use(bench: Bench) -> None:
    pair_up(bench)
    bench.arm("A", 1)
    bench.add_card("D2", pair="fleet7")
    bench.wait(10_000)
    bench.badge("D")
    bench.badge("V")
    bench.keys("2#")
    bench.wait(10_000)
    bench.badge("D2")
    assert reasons(bench.badge("V")) == ["CARD_IN_USE"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": Status.BLOCKED}, "SECOND_CARD_WRONG"),
        ({"customer": "nobody"}, "SECOND_CARD_WRONG"),
        ({"pair": "fleet8"}, "SECOND_CARD_WRONG"),
        ({"pair": None}, "SECOND_CARD_WRONG"),
        ({"sites": frozenset({"S2"})}, "SITE_NOT_ALLOWED"),
        ({"products": frozenset({"GNR"})}, "PRODUCT_NOT_ALLOWED"),
        ({"offline": Offline.NEVER}, "OFFLINE_NOT_ALLOWED"),
    ],
)
def test_what_the_second_card_must_be(bench: Bench, changes: dict[str, object], reason: str) -> None:
    bench.add_card("D", pair="fleet7")
    bench.add_card("V", **({"pair": "fleet7"} | changes))
    bench.badge("D")
    assert reasons(bench.badge("V")) == [reason]


def test_a_pair_that_names_another_card_does_not_fit(bench: Bench) -> None:
    bench.add_card("D", pair=token_of("V"))
    bench.add_card("V", pair=token_of("A"))
    bench.badge("D")
    assert reasons(bench.badge("V")) == ["SECOND_CARD_WRONG"]


def test_both_pins_are_asked_where_both_have_one(bench: Bench) -> None:
    bench.add_card("D", pair="fleet7", pin=pin_rule(token_of("D"), "1111"))
    bench.add_card("V", pair="fleet7", pin=pin_rule(token_of("V"), "2222"))
    bench.badge("D")
    bench.badge("V")
    bench.keys("1111#")
    assert where(bench) == "PIN"
    assert records(bench.keys("1111#"), PinTried) == [PinTried(token_of("V"), 1, 1)]
    bench.keys("2222#")
    (reserved,) = records(bench.keys("1#"), SaleReserved)
    assert reserved.pin_verified


def test_a_locked_second_card_is_locked(bench: Bench) -> None:
    bench.add_card("D", pair="fleet7")
    bench.add_card("V", pair="fleet7", pin=pin_rule(token_of("V"), "2222", tries=1))
    bench.badge("D")
    bench.badge("V")
    assert reasons(bench.keys("0000#")) == ["PIN_WRONG"]
    bench.wait(10_000)
    bench.badge("D")
    assert reasons(bench.badge("V")) == ["PIN_LOCKED"]


# --- PINs of the host -------------------------------------------------------------------------------------------------------


def asked(bench: Bench, pin: str = "4711") -> AskHost:
    online(bench)
    bench.badge(NUMBER)
    bench.keys(pin + "#")
    (question,) = [effect for effect in bench.keys("1#") if isinstance(effect, AskHost)]
    return question


def test_the_block_goes_with_the_question_and_is_written_nowhere(bench: Bench) -> None:
    bench.lists.table = (ONLINE,)
    question = asked(bench)
    sale = bench.sale(question.sale)
    message = sale.question(0, "trusted")
    assert message.pin_block is not None
    assert not message.pin_verified
    written = [effect for step in bench.steps for effect in step if isinstance(effect, Persist)]
    assert message.pin_block.block not in repr(written)
    assert message.pin_block.ksn not in repr(written)
    assert "4711" not in repr(bench.steps)
    assert bytes(bench.session().entry.view()) == b""


def test_a_new_try_is_a_new_sale_and_a_new_block(bench: Bench) -> None:
    bench.lists.table = (ONLINE,)
    first = asked(bench, "0000")
    block = bench.sale(first.sale).pin_block
    effects = bench.approve(first.sale, HostDecision.DECLINED, reason=Reason.PIN_WRONG)
    assert reasons(effects) == ["PIN_WRONG"]
    assert screen(effects)[0] == "Wrong PIN"
    assert where(bench) == "PIN"
    bench.keys("4711#")
    (second,) = [effect for effect in bench.keys("1#") if isinstance(effect, AskHost)]
    assert second.sale != first.sale
    assert bench.sale(second.sale).pin_block not in (None, block)
    assert names(bench.approve(second.sale), "SaleAuthorized") == ["SaleAuthorized"]


def test_another_decline_ends_the_attempt(bench: Bench) -> None:
    bench.lists.table = (ONLINE,)
    question = asked(bench)
    assert reasons(bench.approve(question.sale, HostDecision.DECLINED, reason=Reason.PIN_LOCKED)) == ["PIN_LOCKED"]
    assert where(bench) == "REFUSED"


def test_without_keys_nobody_is_asked_in_vain_twice(bench: Bench) -> None:
    bench.lists.table = (ONLINE,)
    bench.vault.pin_keys = False
    online(bench)
    bench.badge(NUMBER)
    bench.keys("4711#")
    assert where(bench) == "REFUSED"


def test_what_nobody_checked_is_no_pin_when_the_host_is_silent(bench: Bench) -> None:
    bench.lists.table = (ONLINE,)
    question = asked(bench)
    assert reasons(bench.no_host(question.sale, HostTrouble.NO_LINE)) == ["OFFLINE_NOT_ALLOWED"]


def test_the_hosts_word_sets_our_own_count_back(bench: Bench) -> None:
    """Our verifier is older than the PIN: the try is counted here, the host says yes, and the count is given back."""
    bench.lists.table = (ONLINE,)
    bench.add_card(NUMBER, pin=pin_rule(token_of(NUMBER), "1111"))
    question = asked(bench, "4711")
    assert bench.site.teller.pins.tries[token_of(NUMBER)].tries == 1
    assert records(bench.approve(question.sale), PinCleared) == [PinCleared(token_of(NUMBER))]
    assert bench.site.teller.pins.tries == {}


# --- the brake --------------------------------------------------------------------------------------------------------------


def guess(bench: Bench, times: int) -> None:
    for place in range(times):
        bench.add_card(f"G{place}", pin=pin_rule(token_of(f"G{place}"), "4711"))
        bench.badge(f"G{place}")
        bench.keys("0000#")
        bench.wait(LONGEST_WAIT_MS)
        bench.keys("x")


def test_ten_wrong_pins_pass_and_the_eleventh_slows_the_next_down(bench: Bench) -> None:
    start = bench.now
    for place in range(WRONG_MOST + 1):
        bench.add_card(f"G{place}", pin=pin_rule(token_of(f"G{place}"), "4711"))
        bench.badge(f"G{place}")
        assert reasons(bench.keys("0000#")) == ["PIN_WRONG"]
        assert ("PIN_GUESSING" in bench.faults()) is (place == WRONG_MOST)
        bench.keys("x")
    assert bench.now == start
    bench.add_card("P", pin=pin_rule(token_of("P"), "4711"))
    bench.badge("P")
    effects = bench.keys("4711#")
    assert records(effects, PinTried) == [], "nothing is counted before it is looked at"
    assert screen(effects)[0] == "One moment..."
    bench.wait(FIRST_WAIT_MS - 1)
    assert where(bench) == "PIN"
    assert records(bench.wait(1), PinTried) == [PinTried(token_of("P"), 1, 1)]
    assert where(bench) == "CHOOSING"


def test_who_leaves_during_the_wait_is_not_counted_and_the_next_is_not_disturbed(bench: Bench) -> None:
    guess(bench, WRONG_MOST + 1)
    bench.add_card("P", pin=pin_rule(token_of("P"), "4711"))
    bench.badge("P")
    bench.keys("4711#")
    bench.keys("123")
    assert reasons(bench.keys("x")) == ["CANCELLED"]
    bench.badge("G0")
    bench.keys("47")
    effects = bench.wait(FIRST_WAIT_MS)
    assert records(effects, PinTried) == []
    assert len(bench.session().entry) == 2


def test_the_waits_grow_to_a_minute_and_end_with_the_window(bench: Bench) -> None:
    pins, at = bench.site.teller.pins, bench.now
    waits = []
    for _ in range(WRONG_MOST + 8):
        pins.went_wrong(at)
        waits.append(pins.wait_ms(at))
    assert waits == [0] * WRONG_MOST + [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000, 60_000]
    later = type(at)(at + WINDOW_MS)
    assert pins.wait_ms(later) == 0
    assert "PIN_GUESSING" not in bench.faults()


# --- prompts ----------------------------------------------------------------------------------------------------------------


def rule(prompt: str = "ODOMETER", **changes: object) -> PromptRule:
    plain = PromptRule(Subject(SubjectKind.CARD, token_of("O")), prompt, 1, 10, None, None, None, None, WrongAnswers.REFUSE)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_reading_is_written_down_with_the_reservation_only(bench: Bench) -> None:
    bench.add_card("O", prompts=("ODOMETER",))
    bench.badge("O")
    assert records(bench.keys("500#"), OdometerRead) == []
    (read,) = records(bench.keys("1#"), OdometerRead)
    assert (read.account, read.reading) == (token_of("O"), 500)


def test_a_marked_reading_is_not_what_the_next_is_compared_with(bench: Bench) -> None:
    bench.lists.rules = (rule(max_step=100, wrong=WrongAnswers.MARK),)
    bench.lists.odometers[token_of("O")] = Odometer(500, UtcMs(0))
    bench.add_card("O", prompts=("ODOMETER",))
    bench.badge("O")
    bench.keys("9000#9000#9000#")
    effects = bench.keys("1#")
    (reserved,) = records(effects, SaleReserved)
    assert reserved.extra.marks == ("ODOMETER",)
    assert records(effects, OdometerRead) == []


@pytest.mark.parametrize(("answers", "state"), [("1#2#3#", "REFUSED"), ("1#2#75#", "CHOOSING"), ("75#", "CHOOSING"), ("1#2#", "PROMPTS")])
def test_three_wrong_answers_end_it(bench: Bench, answers: str, state: str) -> None:
    subject = Subject(SubjectKind.CARD, token_of("O"))
    hashed = bench.vault.answer(f"card {token_of('O')}", "VEHICLE", "75")
    bench.lists.rules = (rule("VEHICLE", subject=subject, answers=frozenset({hashed})),)
    bench.add_card("O", prompts=("vehicle",))
    bench.badge("O")
    bench.keys(answers)
    assert where(bench) == state


def test_each_prompt_has_three_answers_of_its_own(bench: Bench) -> None:
    bench.lists.rules = (rule("VEHICLE", min_digits=3), rule("DRIVER", min_digits=3))
    bench.add_card("O", prompts=("vehicle", "driver"))
    bench.badge("O")
    bench.keys("1#1#111#2#2#")
    assert where(bench) == "PROMPTS"
    bench.keys("222#")
    assert where(bench) == "CHOOSING"


@pytest.mark.parametrize(("volume_ml", "marks"), [(20_000, ()), (20_010, ("CONSUMPTION",))])
def test_more_than_the_distance_explains_is_marked_on_the_record(bench: Bench, volume_ml: int, marks: tuple[str, ...]) -> None:
    bench.lists.rules = (rule(most_per_100km_ml=20_000),)
    bench.lists.odometers[token_of("O")] = Odometer(500, UtcMs(0))
    bench.add_card("O", prompts=("ODOMETER",))
    bench.badge("O")
    bench.keys("600#")
    (reserved,) = records(bench.keys("1#"), SaleReserved)
    booking = bench.sale(reserved.sale).booking(volume_ml, 0, None, "nozzle", 0, "trusted")
    assert booking.marks == marks


# --- language ---------------------------------------------------------------------------------------------------------------


def test_a_language_key_shows_and_counts_until_the_attempt_is_over(bench: Bench) -> None:
    assert screen(bench.keys("3"))[0] == "Willkommen"
    assert names(bench.keys("9x#"), "ShowLines", "StartDeadline") == [], "no language's key"
    assert screen(bench.badge("A"))[0] == "Zapfpunkt Nr.:"
    assert screen(bench.keys("x"))[0] == "Abgelehnt"
    assert screen(bench.wait(6_000))[0] == "Welcome"
    assert screen(bench.badge("A"))[0] == "Pump no.:"


def test_a_language_that_the_display_cannot_show_is_neither_offered_nor_used(bench: Bench) -> None:
    session = bench.session()
    session.languages = ("fr", "en")
    bench.add_card("U", language="uk")
    assert screen(bench.keys("1"))[3] == "1=FR 2=EN"
    bench.keys("4")
    bench.wait(60_000)
    assert screen(bench.badge("U"))[0] == "Pump no.:"


def test_nothing_of_a_driver_is_left_for_the_next(bench: Bench) -> None:
    bench.lists.table = (ONLINE,)
    bench.lists.rules = (rule(wrong=WrongAnswers.MARK),)
    asked(bench)
    bench.keys("x")
    session = bench.session()
    empty = (session.halves, session.pins, session.pin_block, session.marks, session.odometer, session.most_ml, session.second)
    assert empty == ((), {}, None, [], None, None, None)
