"""The decision's steps and its outcome, on values written by hand. ``test_explain`` holds it against rules written apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from terminal.core.account_book import UseState
from terminal.core.authorization import STEPS, ClockState, DecidedBy, PinResult, Policy, Request, Step
from terminal.core.card_data import HostAnswer, HostDecision, Measure, Offline, Period, Status, Wish
from terminal.core.reasons import Reason
from terminal.core.windows import utc_ms
from tests.core.decisions import (
    ACCOUNT,
    CAP,
    CARD,
    CUSTOMER,
    FIOUL,
    GAZOLE,
    NOW,
    NUMBER,
    PIN,
    SP95,
    TOKEN,
    UNBOUNDED,
    Denied,
    limit,
    prepaid,
    quantity,
    refused,
    run,
    sale,
)


def test_the_steps_stand_in_the_order_of_the_behaviour_language() -> None:
    assert [step.value for step, _ in STEPS] == "deny_list in_use pin host card offline_gate site product limits".split()


def test_a_card_without_any_limit_gets_the_terminal_s_cap() -> None:
    decision = run()
    assert (decision.approved, decision.partial, decision.decided_by) == (True, False, DecidedBy.OFFLINE)
    assert quantity() == (CAP, Reason.TERMINAL_CAP)


@pytest.mark.parametrize("host", [None, UNBOUNDED])
def test_the_deny_list_beats_everything_also_a_host_that_approves(host: HostAnswer | None) -> None:
    refused(Step.DENY_LIST, Reason.CARD_BLOCKED, denied=Denied(cards=frozenset({TOKEN})), host=host)
    refused(Step.DENY_LIST, Reason.CARD_BLOCKED, denied=Denied(numbers=frozenset({NUMBER})), host=host, card=None)
    refused(Step.DENY_LIST, Reason.CUSTOMER_BLOCKED, denied=Denied(customers=frozenset({"C1"})), host=host)
    both = Denied(cards=frozenset({TOKEN}), customers=frozenset({"C1"}))
    refused(Step.DENY_LIST, Reason.CARD_BLOCKED, denied=both, host=host)


@pytest.mark.parametrize("host", [None, UNBOUNDED])
def test_a_card_with_a_held_sale_is_in_use_one_in_doubt_is_not(host: HostAnswer | None) -> None:
    held = sale(state=UseState.HELD)
    refused(Step.IN_USE, Reason.CARD_IN_USE, sales=(held,), host=host)
    assert run(sales=(held,), policy=Policy(max_open=2), host=host).approved
    assert run(sales=(replace(held, state=UseState.IN_DOUBT),), host=host).approved
    assert run(sales=(replace(held, account="a2"),), host=host).approved


def test_a_card_that_no_list_knows_is_in_use_by_its_own_token() -> None:
    refused(Step.IN_USE, Reason.CARD_IN_USE, card=None, host=UNBOUNDED, sales=(sale(state=UseState.HELD, account=TOKEN),))


@pytest.mark.parametrize("host", [None, UNBOUNDED])
def test_the_pin_step(host: HostAnswer | None) -> None:
    card = replace(CARD, pin=PIN)
    assert run(card=card, pin=PinResult.RIGHT, host=host).approved
    refused(Step.PIN, Reason.PIN_WRONG, card=card, pin=PinResult.WRONG, host=host)
    refused(Step.PIN, Reason.PIN_WRONG, card=card, pin=None, host=host)
    refused(Step.PIN, Reason.PIN_LOCKED, card=card, pin=PinResult.LOCKED, host=host)
    assert run(pin=PinResult.WRONG, host=host).approved


def test_a_host_s_decline_is_final_and_carries_its_reason() -> None:
    refused(Step.HOST, Reason.HOST_DECLINED, host=HostAnswer(HostDecision.DECLINED))
    refused(Step.HOST, Reason.BALANCE_EMPTY, host=HostAnswer(HostDecision.DECLINED, reason=Reason.BALANCE_EMPTY))
    assert run(host=HostAnswer(HostDecision.DECLINED), limits=(limit(5000),)).remaining[0].remaining == 5000


def test_the_card_step_has_its_own_order() -> None:
    refused(Step.CARD, Reason.CARD_UNKNOWN, card=None)
    bad = replace(CARD, status=Status.BLOCKED, valid_from=date(2026, 3, 30), valid_to=date(2026, 3, 28))
    blocked = replace(CUSTOMER, status=Status.BLOCKED)
    refused(Step.CARD, Reason.CARD_BLOCKED, card=bad, customer=blocked)
    refused(Step.CARD, Reason.CUSTOMER_BLOCKED, card=replace(bad, status=Status.ACTIVE), customer=blocked)
    refused(Step.CARD, Reason.CUSTOMER_BLOCKED, customer=None)
    refused(Step.CARD, Reason.CARD_NOT_YET_VALID, card=replace(bad, status=Status.ACTIVE))
    refused(Step.CARD, Reason.CARD_EXPIRED, card=replace(CARD, valid_to=date(2026, 3, 28)))
    assert run(card=replace(CARD, customer=None), customer=None).approved


def test_validity_is_by_whole_local_days() -> None:
    today = date(2026, 3, 29)
    assert run(card=replace(CARD, valid_from=today, valid_to=today)).approved
    # 01:30 UTC is still the 28th in Havana, whose customer's calendar counts.
    havana = replace(CUSTOMER, zone="America/Havana")
    refused(Step.CARD, Reason.CARD_NOT_YET_VALID, card=replace(CARD, valid_from=today), customer=havana)
    assert run(card=replace(CARD, valid_to=date(2026, 3, 28)), customer=havana).approved


def test_what_expires_uses_the_latest_plausible_time_what_renews_the_earliest() -> None:
    latest = utc_ms(NOW + timedelta(days=1))
    refused(Step.CARD, Reason.CARD_EXPIRED, card=replace(CARD, valid_to=date(2026, 3, 29)), latest=latest)
    refused(Step.CARD, Reason.CARD_NOT_YET_VALID, card=replace(CARD, valid_from=date(2026, 3, 30)), latest=latest)
    assert quantity(limits=(limit(100_000),), latest=utc_ms(NOW + timedelta(hours=20)))[0] == 70_000
    spent = run(limits=(limit(30_000),), sales=(sale(),), latest=latest)
    assert spent.reason is Reason.LIST_TOO_OLD
    assert spent.remaining[0].remaining == 0


def test_an_approval_replaces_card_gate_limits_and_balances() -> None:
    hard: dict[str, Any] = {"clock": ClockState.UNTRUSTED, "age": None, "limits": (limit(0),), "balances": (prepaid(0),)}
    card = replace(CARD, status=Status.BLOCKED, offline=Offline.NEVER, valid_to=date(2020, 1, 1), tank_ml=50_000)
    decision = run(card=card, customer=None, host=UNBOUNDED, **hard)
    assert (decision.decided_by, decision.remaining) == (DecidedBy.HOST, ())
    assert [(one.quantity_ml, one.bound_by) for one in decision.allowance] == [(50_000, Reason.TANK_CAPACITY)]
    assert run(card=None, host=UNBOUNDED, **hard).approved
    bounded = HostAnswer(HostDecision.PARTIAL, quantity_ml=10_000, value_minor=865)
    assert quantity(host=bounded, **hard) == (5002, Reason.HOST)
    refused(Step.LIMITS, Reason.HOST, host=replace(bounded, quantity_ml=0))


def test_the_gate_looks_at_the_clock_then_at_the_permission() -> None:
    refused(Step.OFFLINE_GATE, Reason.CLOCK_UNTRUSTED, clock=ClockState.UNTRUSTED, card=replace(CARD, offline=Offline.NEVER))
    refused(Step.OFFLINE_GATE, Reason.OFFLINE_NOT_ALLOWED, card=replace(CARD, offline=Offline.NEVER), age=None)
    refused(Step.OFFLINE_GATE, Reason.OFFLINE_NOT_ALLOWED, customer=replace(CUSTOMER, offline=Offline.NEVER))
    assert run(clock=ClockState.HOLDOVER).approved


SECOND = timedelta(seconds=1)
HOURS = timedelta(hours=1)


@pytest.mark.parametrize(
    ("age", "offline", "emergency", "left"),
    [
        (-HOURS, Offline.ALLOWED, False, 100_000),
        (12 * HOURS, Offline.ALLOWED, False, 100_000),
        (12 * HOURS + SECOND, Offline.ALLOWED, False, 70_000),
        (24 * HOURS, Offline.ALLOWED, False, 70_000),
        (24 * HOURS + SECOND, Offline.ALLOWED, False, None),
        (24 * HOURS + SECOND, Offline.ALLOWED, True, None),
        (24 * HOURS + SECOND, Offline.ALWAYS, False, 30_000),
        (72 * HOURS, Offline.ALLOWED_OFFLINE, False, 30_000),
        (72 * HOURS + SECOND, Offline.ALWAYS, False, None),
        (72 * HOURS + SECOND, Offline.ALLOWED, True, 30_000),
        (None, Offline.ALWAYS, False, None),
        (None, Offline.ALLOWED, True, 30_000),
    ],
)
def test_the_list_age_table(age: timedelta | None, offline: Offline, emergency: bool, left: int | None) -> None:
    given: dict[str, Any] = {"age": age, "card": replace(CARD, offline=offline), "limits": (limit(100_000),)}
    policy = Policy(emergency_accounts=frozenset({ACCOUNT} if emergency else ()))
    if left is None:
        refused(Step.OFFLINE_GATE, Reason.LIST_TOO_OLD, policy=policy, **given)
        refused(Step.OFFLINE_GATE, Reason.LIST_TOO_OLD, policy=replace(policy, only_terminal=True), **given)
    else:
        assert quantity(policy=policy, **given) == (left, Reason.LIMIT_DAY_QUANTITY)
        assert quantity(policy=replace(policy, only_terminal=True), **given) == (100_000, Reason.LIMIT_DAY_QUANTITY)


@pytest.mark.parametrize("host", [None, UNBOUNDED])
def test_site_and_product_hold_also_when_the_host_approves(host: HostAnswer | None) -> None:
    refused(Step.SITE, Reason.SITE_NOT_ALLOWED, card=replace(CARD, sites=frozenset({"S2"})), host=host)
    refused(Step.SITE, Reason.SITE_NOT_ALLOWED, card=replace(CARD, sites=frozenset()), host=host)
    assert run(card=replace(CARD, sites=frozenset({"S1", "S2"})), host=host).approved
    refused(Step.PRODUCT, Reason.PRODUCT_NOT_ALLOWED, card=replace(CARD, products=frozenset({"SP95"})), host=host)
    refused(Step.PRODUCT, Reason.PRODUCT_NOT_ALLOWED, card=replace(CARD, products=frozenset()), host=host)
    refused(Step.PRODUCT, Reason.PRODUCT_NOT_ALLOWED, nozzles=(), host=host)


@pytest.mark.parametrize("host", [None, UNBOUNDED])
def test_dyed_fuel_must_be_named(host: HostAnswer | None) -> None:
    policy = Policy(restricted_products=frozenset({"FIOUL"}))
    refused(Step.PRODUCT, Reason.PRODUCT_NOT_ALLOWED, nozzles=(FIOUL,), policy=policy, host=host)
    both = run(nozzles=(FIOUL, GAZOLE), policy=policy, host=host)
    assert [one.product for one in both.allowance] == ["GAZOLE"]
    assert both.allowance_for("FIOUL") is None
    named = replace(CARD, products=frozenset({"FIOUL"}))
    assert [one.product for one in run(card=named, nozzles=(FIOUL, GAZOLE), policy=policy, host=host).allowance] == ["FIOUL"]


def test_a_host_s_products_narrow_and_do_not_widen_a_known_card() -> None:
    host = HostAnswer(HostDecision.APPROVED, products=frozenset({"SP95", "FIOUL"}))
    policy = Policy(restricted_products=frozenset({"FIOUL"}))
    given: dict[str, Any] = {"host": host, "policy": policy, "nozzles": (GAZOLE, SP95, FIOUL)}
    assert [one.product for one in run(**given).allowance] == ["SP95"]
    assert [one.product for one in run(card=None, **given).allowance] == ["SP95", "FIOUL"]
    assert [one.product for one in run(card=None, **given | {"host": UNBOUNDED}).allowance] == ["GAZOLE", "SP95"]


def test_below_the_minimum_is_a_refusal_with_the_bound_s_name() -> None:
    assert run(limits=(limit(2_000),)).approved
    refused(Step.LIMITS, Reason.LIMIT_DAY_QUANTITY, limits=(limit(1_999),))
    refused(Step.LIMITS, Reason.WISH, wish=Wish(1_000, None))


def test_nothing_is_never_approved_whatever_the_minimum() -> None:
    refused(Step.LIMITS, Reason.LIMIT_DAY_QUANTITY, limits=(limit(0),), policy=Policy(min_dispense_ml=0))


@pytest.mark.parametrize(
    ("wish", "partial", "reason"),
    [
        (Wish(20_000, None), False, Reason.WISH),
        (Wish(30_000, None), False, Reason.LIMIT_DAY_QUANTITY),
        (Wish(30_001, None), True, Reason.LIMIT_DAY_QUANTITY),
        (Wish(None, 5_187), False, Reason.LIMIT_DAY_QUANTITY),
        (Wish(None, 5_188), True, Reason.LIMIT_DAY_QUANTITY),
        (Wish(None, 5_000), False, Reason.WISH),
        (None, False, Reason.LIMIT_DAY_QUANTITY),
    ],
)
def test_less_than_the_wish_is_partial(wish: Wish | None, partial: bool, reason: Reason) -> None:
    decision = run(limits=(limit(30_000),), wish=wish)
    assert (decision.approved, decision.partial) == (True, partial)
    assert decision.allowance[0].bound_by is reason


def test_the_product_with_the_largest_quantity_decides_the_first_on_a_tie() -> None:
    small = limit(1_000, products=frozenset({"GAZOLE"}))
    decision = run(limits=(small,), nozzles=(GAZOLE, SP95))
    assert [(one.product, one.quantity_ml) for one in decision.allowance] == [("GAZOLE", 1_000), ("SP95", CAP)]
    other = limit(1_000, Period.MONTH, products=frozenset({"SP95"}))
    refused(Step.LIMITS, Reason.LIMIT_DAY_QUANTITY, limits=(other, small), nozzles=(GAZOLE, SP95))
    refused(Step.LIMITS, Reason.LIMIT_MONTH_QUANTITY, limits=(other, small), nozzles=(SP95, GAZOLE))


def test_one_product_at_two_prices_gets_what_holds_at_both() -> None:
    cheap, dear = replace(GAZOLE, price=10_000), replace(GAZOLE, nozzle=2, price=20_000)
    for nozzles in ((cheap, dear), (dear, cheap)):
        decision = run(limits=(limit(2_000, Period.DAY, Measure.VALUE),), nozzles=nozzles)
        assert [(one.quantity_ml, one.price) for one in decision.allowance] == [(10_000, 20_000)]


def test_the_clear_number_and_the_verifier_are_in_no_repr() -> None:
    assert NUMBER not in repr(Request(TOKEN, NUMBER, None, (), None))
    assert "verifier" not in repr(replace(CARD, pin=PIN))
