"""A deny in every state of session and fuelling point: it acts in its own step, is written with it, and acknowledged behind it."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint, StopFuellingPoint
from drivers.events import PumpLineLost, PumpStatus, PumpSurveyed
from terminal.core import events as ev
from terminal.core.deny_book import DenyEntry, DenyKind, DenySubject, OnDeny
from terminal.core.effects import AckEvent, CheckLists, Continue, Effect, OpenPush, Persist
from terminal.core.events import AckAnswered, AckFailed, DenyPushed, HostTrouble, ListHint, ListsInUse, PushDown, PushUnreadable, PushUp
from terminal.core.ids import Minting
from terminal.core.reasons import Reason
from terminal.core.records import DenyAdded, DenyLifted, EventAcknowledged, EventPassed, Refused
from terminal.core.sale import SaleState
from terminal.core.session import SessionState
from terminal.core.site import Recovered
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, messages, names, pin_rule, records, screen, sends, token_of

CUSTOMER = DenySubject(DenyKind.CUSTOMER, "C1")


def card(number: str) -> DenySubject:
    return DenySubject(DenyKind.CARD, token_of(number))


def deny(subject: DenySubject, event: int = 1, *, lifted: bool = False, version: int = 8, epoch: str = "E1") -> DenyPushed:
    return DenyPushed(event, subject, lifted, epoch, version)


def refused(effects: list[Effect]) -> list[str]:
    return [one.reason for one in records(effects, Refused)]


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open()
    bench.add_card("A")
    bench.add_card("B", pair=token_of("A"), customer="C2")
    bench.add_card("P", pin=pin_rule(token_of("P"), "1234"))
    bench.add_card("Q", prompts=("ODOMETER",))
    bench.lists.customers["C2"] = bench.lists.customers["C1"]
    return bench


# --- written, then acknowledged ---------------------------------------------------------------------------------------------


def test_a_deny_is_durable_before_it_is_acknowledged(bench: Bench) -> None:
    effects = bench.do(deny(card("A")))
    now = bench.site.desk.utc(bench.now)
    assert records(effects, DenyAdded) == [DenyAdded(1, "card", token_of("A"), "", "E1", 8, now)]
    assert [effect for effect in effects if isinstance(effect, AckEvent)] == [AckEvent(1, now)], "after the commit, which is before any act"
    assert isinstance(effects[0], Persist)


def test_acknowledgements_that_hang_do_not_pile_up_and_all_are_told_in_the_end(bench: Bench) -> None:
    """A host that takes every call and answers none, for an hour: one call is under way, 15 s each."""
    line: list[int] = []

    def heard(effects: list[Effect]) -> None:
        line.extend(effect.event for effect in effects if isinstance(effect, AckEvent))

    for number in range(1, 101):
        heard(bench.do(deny(DenySubject(DenyKind.CUSTOMER, f"X{number}"), number)))
    for _ in range(240):
        heard(bench.wait(15_000))
        heard(bench.do(AckFailed(line.pop(0), HostTrouble.TIMED_OUT, "slow"), ev.ProbeAnswered(UtcMs(bench.site.desk.utc(bench.now)))))
        heard(bench.do(PushDown("the host ended it"), PushUp()))
        assert len(line) * 15 <= 300, "nothing waits longer than five minutes for its turn"
        assert len(set(line)) == len(line), "none waits twice"
    told = []
    while line:
        told.append(line.pop(0))
        heard(bench.do(AckAnswered(told[-1], taken=True)))
    assert sorted(told) == list(range(1, 101))
    assert not bench.site.push.unacknowledged


def test_the_same_event_again_is_acknowledged_with_its_first_instant(bench: Bench) -> None:
    bench.do(deny(card("A")))
    first = bench.site.desk.utc(bench.now)
    bench.wait(60_000)
    effects = bench.do(deny(card("A")))
    assert records(effects, DenyAdded) == []
    assert AckEvent(1, first) in effects


def test_what_the_live_list_has_already_is_only_noted(bench: Bench) -> None:
    effects = bench.do(deny(card("A"), 4, version=7))
    assert [one.event for one in records(effects, EventPassed)] == [4]
    assert bench.site.push.last_event == 4
    assert not bench.site.lists.deny.card(token_of("A"))


def test_an_older_word_about_a_subject_changes_nothing(bench: Bench) -> None:
    bench.do(deny(card("A"), 5, lifted=True, version=9))
    effects = bench.do(deny(card("A"), 3, version=8))
    assert len(records(effects, EventPassed)) == 1
    assert not bench.site.lists.deny.card(token_of("A"))


def test_an_acknowledgement_is_repeated_until_the_host_has_it(bench: Bench) -> None:
    (ack,) = [effect for effect in bench.do(deny(card("A"))) if isinstance(effect, AckEvent)]
    for _ in range(3):
        bench.do(AckFailed(1, HostTrouble.TIMED_OUT, "slow"))
        assert ack in bench.wait(5_000)
    assert records(bench.do(AckAnswered(1, taken=True)), EventAcknowledged) == [EventAcknowledged(1, taken=True)]
    assert ack not in bench.wait(60_000)
    assert records(bench.do(AckAnswered(1, taken=True)), EventAcknowledged) == [], "told twice"
    assert bench.do(AckFailed(1, HostTrouble.TIMED_OUT, "slow")) == []


def test_a_restart_knows_its_denies_resumes_behind_them_and_acknowledges_what_was_not() -> None:
    known = Recovered(Minting("T", 1, 1), denies=[DenyEntry(6, card("A"), False, "E1", 8, 77)], last_event=6, unacknowledged={6: 77})
    bench = Bench(recovered=known)
    bench.add_card("A")
    effects = bench.boot()
    assert OpenPush(6) in effects
    assert AckEvent(6, 77) in effects
    bench.open(host=False)
    assert refused(bench.badge("A")) == ["CARD_BLOCKED"]


# --- a driver at the terminal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "keys", "state"),
    [
        ("B", "", SessionState.IDENTIFYING),
        ("P", "", SessionState.PIN),
        ("P", "12", SessionState.PIN),
        ("Q", "", SessionState.PROMPTS),
        ("A", "", SessionState.CHOOSING),
        ("A", "1#", SessionState.AUTHORIZING),
    ],
)
def test_an_attempt_in_any_state_ends_in_the_step_of_the_deny(bench: Bench, number: str, keys: str, state: SessionState) -> None:
    bench.badge(number)
    bench.keys(keys)
    assert bench.session().state is state
    effects = bench.do(deny(card(number)))
    assert refused(effects) == ["CARD_BLOCKED"]
    assert bench.session().state is SessionState.REFUSED
    assert bench.session().medium is None
    assert refused(bench.do(deny(card(number), 2))) == [], "nobody stands there any more"
    bench.wait(10_000)
    assert refused(bench.badge(number)) == ["CARD_BLOCKED"]


def test_a_customer_and_a_range_end_an_attempt_too(bench: Bench) -> None:
    bench.badge("A")
    assert refused(bench.do(deny(CUSTOMER))) == ["CUSTOMER_BLOCKED"]
    bench.do(deny(CUSTOMER, 2, lifted=True))
    bench.wait(10_000)
    bench.badge("A")
    assert refused(bench.do(deny(DenySubject(DenyKind.RANGE, "A", "C"), 3))) == ["CARD_BLOCKED"]
    bench.wait(10_000)
    assert refused(bench.badge("P")) == []


def test_another_drivers_deny_disturbs_nobody(bench: Bench) -> None:
    bench.badge("A")
    effects = bench.do(deny(card("P")), deny(DenySubject(DenyKind.CUSTOMER, "C9"), 2), deny(DenySubject(DenyKind.RANGE, "X", "Z"), 3))
    assert refused(effects) == []
    assert bench.session().state is SessionState.CHOOSING


def test_a_denied_second_medium_is_no_pair(bench: Bench) -> None:
    bench.do(deny(card("A")))
    bench.badge("B")
    assert refused(bench.badge("A")) == ["SECOND_CARD_WRONG"]


def test_whatever_the_host_answers_a_denied_sale_is_declined(bench: Bench) -> None:
    bench.badge("A")
    bench.keys("1#")
    (sale,) = bench.site.desk.sales
    effects = bench.do(deny(card("A")))
    assert messages(effects) == [f"{sale}/reverse", f"{sale}/advice"]
    assert bench.sale(sale).state is SaleState.REVERSED
    assert names(bench.approve(sale), "SaleAuthorized", "AuthorizeFuellingPoint") == []
    assert ev.HostOverdue(sale) not in bench.due
    assert bench.site.desk.book.open_holds(token_of("A")) == ()


# --- armed --------------------------------------------------------------------------------------------------------------------


def test_an_armed_sale_is_withdrawn_and_its_driver_told_where_he_stands(bench: Bench) -> None:
    sale = bench.arm("A")
    effects = bench.do(deny(card("A")))
    assert refused(effects) == ["CARD_BLOCKED"], "once"
    assert bench.sale(sale).state is SaleState.ZERO
    assert bench.session().state is SessionState.REFUSED
    assert messages(effects) == [f"{sale}/complete"], "closes the host's hold"
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []


def test_an_armed_sale_is_withdrawn_also_when_the_driver_has_left_the_terminal(bench: Bench) -> None:
    sale = bench.arm("A")
    bench.wait(10_000)
    assert bench.session().state is SessionState.IDLE
    effects = bench.do(deny(CUSTOMER))
    assert [(one.reason, one.fp) for one in records(effects, Refused)] == [("CUSTOMER_BLOCKED", 1)]
    assert screen(effects) != screen(bench.wait(10_000)), "a notice, which gives way again"
    assert bench.sale(sale).state is SaleState.ZERO


def test_the_next_driver_at_the_terminal_is_not_disturbed_by_the_one_before(bench: Bench) -> None:
    bench.arm("A")
    bench.badge("P")
    effects = bench.do(deny(card("A")))
    assert bench.session().state is SessionState.PIN
    assert refused(effects) == ["CARD_BLOCKED"]


# --- fuelling -----------------------------------------------------------------------------------------------------------------

RUNNING = {
    "released, not seen": [],
    "AUTHORIZED": [PumpStatus.AUTHORIZED],
    "FILLING": [PumpStatus.AUTHORIZED, PumpStatus.FILLING],
    "SUSPENDED": [PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.SUSPENDED],
}


@pytest.mark.parametrize("statuses", RUNNING.values(), ids=RUNNING)
def test_a_running_fuelling_is_stopped_in_every_state(bench: Bench, statuses: list[PumpStatus]) -> None:
    sale = bench.arm("A")
    bench.lift(1)
    bench.status(1, *statuses)
    effects = bench.do(deny(card("A")))
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)]
    assert refused(effects) == ["CARD_BLOCKED"]
    assert sends(bench.do(deny(CUSTOMER, 2)), StopFuellingPoint) == [], "it has been told"
    done = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=107_000, fill=(7_000, 1_210))
    assert bench.sale(sale).state is SaleState.DELIVERED
    assert '"stop"' in repr([effect for effect in done if isinstance(effect, Persist)]).replace("'", '"')


@pytest.mark.parametrize("statuses", RUNNING.values(), ids=RUNNING)
def test_a_running_fuelling_may_finish_where_the_operator_wants_it_so(statuses: list[PumpStatus]) -> None:
    bench = Bench(on_deny=OnDeny.FINISH).open()
    bench.add_card("A")
    bench.arm("A")
    bench.lift(1)
    bench.status(1, *statuses)
    effects = bench.do(deny(card("A")))
    assert sends(effects, StopFuellingPoint) == []
    assert refused(effects) == []
    bench.wait(10_000)
    assert refused(bench.badge("A")) == ["CARD_BLOCKED"]


def test_an_end_that_is_being_read_is_not_called_a_stop(bench: Bench) -> None:
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    asked = bench.status(1, PumpStatus.COMPLETED)
    assert sends(bench.do(deny(card("A"))), StopFuellingPoint) == []
    done = bench.read(1, asked, totals=107_000, fill=(7_000, 1_210))
    assert "'nozzle'" in repr([effect for effect in done if isinstance(effect, Persist)])


@pytest.mark.parametrize("status", [PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.SUSPENDED])
def test_a_pump_that_could_not_be_told_is_stopped_when_it_is_heard_again(bench: Bench, status: PumpStatus) -> None:
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(PumpLineLost(1, "silent"))
    assert sends(bench.do(deny(card("A"))), StopFuellingPoint) == [StopFuellingPoint(1)], "for what still answers there"
    assert sends(bench.do(PumpSurveyed(1, status, 1)), StopFuellingPoint) == [StopFuellingPoint(1)]


# --- lists --------------------------------------------------------------------------------------------------------------------


def test_whoever_a_new_list_denies_is_stopped_when_it_is_in_use(bench: Bench) -> None:
    sale = bench.arm("A")
    bench.lists.denied.cards.add(token_of("A"))
    effects = bench.do(ListsInUse())
    assert refused(effects) == ["CARD_BLOCKED"]
    assert bench.sale(sale).state is SaleState.ZERO


def test_an_adopted_list_supersedes_what_it_has_and_is_looked_at_in_the_next_step(bench: Bench) -> None:
    bench.do(deny(card("A"), 1, version=8), deny(card("P"), 2, version=9))
    bench.site.push.adopted("E1", 8)
    assert [entry.event for entry in bench.site.push.book.entries.values()] == [2]
    assert Continue(ListsInUse()) in bench.site.desk.take()


def test_a_hint_of_newer_lists_is_followed_at_once_and_once_more_when_the_check_was_too_early(bench: Bench) -> None:
    def asks(effects: list[Effect]) -> int:
        return sum(isinstance(effect, CheckLists) for effect in effects)

    assert asks(bench.do(ListHint("E1", 7))) == 0, "that is the live one"
    assert asks(bench.do(ListHint("E1", 8))) == 1
    now = bench.site.desk.clock.utc(bench.now)
    assert asks(bench.do(ev.ListsCurrent(now))) == 1
    assert asks(bench.do(ev.ListsCurrent(now))) == 0, "a host that says two things is not asked for ever"
    assert asks(bench.do(ListHint("E2", 1))) == 1, "another epoch is another database"


def test_what_cannot_be_read_is_looked_up_in_the_lists(bench: Bench) -> None:
    assert any(isinstance(effect, CheckLists) for effect in bench.do(PushUnreadable("too long")))


# --- the stream ---------------------------------------------------------------------------------------------------------------


def test_a_stream_that_comes_up_while_the_host_is_thought_away_has_it_asked_at_once() -> None:
    bench = Bench().open(host=False)
    bench.do(PushUp())
    assert bench.site.push.up
    assert any(type(effect).__name__ == "ProbeHost" for effect in bench.wait(0))


def test_a_stream_that_ends_has_the_host_asked_whether_it_is_away(bench: Bench) -> None:
    bench.do(PushUp(), PushDown("cut"))
    assert not bench.site.push.up
    assert any(type(effect).__name__ == "ProbeHost" for effect in bench.wait(0))
    bench.do(ev.ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    assert not bench.site.link.reachable
    assert not any(type(effect).__name__ == "ProbeHost" for effect in bench.do(PushDown("again")) + bench.wait(0)), "it is being asked"


def test_a_host_that_is_back_is_listened_to_at_once() -> None:
    bench = Bench().open(host=False)
    bench.do(deny(card("A"), 9))
    assert OpenPush(9) in bench.do(ev.ProbeAnswered(bench.site.desk.clock.utc(bench.now)))


def test_a_lift_serves_again(bench: Bench) -> None:
    bench.do(deny(card("A")))
    assert refused(bench.badge("A")) == ["CARD_BLOCKED"]
    assert len(records(bench.do(deny(card("A"), 2, lifted=True)), DenyLifted)) == 1
    bench.wait(10_000)
    assert refused(bench.badge("A")) == []
    assert bench.session().state is SessionState.CHOOSING


def test_two_blocks_and_one_lift_leave_one_block(bench: Bench) -> None:
    bench.do(deny(card("A")), deny(CUSTOMER, 2), deny(CUSTOMER, 3, lifted=True))
    assert bench.site.lists.why_denied(token_of("A"), "C1") is Reason.CARD_BLOCKED
    assert bench.site.lists.why_denied(token_of("P"), "C1") is None
