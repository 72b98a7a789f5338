"""How much: every bound, on values written by hand. ``test_explain`` holds it against rules written apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from terminal.core.account_book import UseState
from terminal.core.authorization import Policy, Step
from terminal.core.card_data import Balance, BalanceKind, Baseline, HostAnswer, HostDecision, Measure, Period, Wish
from terminal.core.reasons import BOUND_ORDER, Reason, limit_reason
from terminal.core.windows import utc_ms
from tests.core.decisions import CAP, CARD, CUSTOMER, GAZOLE, MINE, NOW, SP95, THEIRS, limit, prepaid, quantity, refused, run, sale

DAY, MONTH, FUELLING = Period.DAY, Period.MONTH, Period.FUELLING
QUANTITY, VALUE, COUNT = Measure.QUANTITY, Measure.VALUE, Measure.COUNT


def test_use_before_the_list_check_is_scaled_use_after_it_is_not() -> None:
    # 0.7 · (100 - 30) - 10 - 5 = 34
    sales = (
        sale("old", authorized_at=utc_ms(NOW - timedelta(hours=14)), ml=30_000),
        sale("new", authorized_at=utc_ms(NOW - timedelta(hours=12)), ml=10_000),
        sale("doubt", UseState.IN_DOUBT, ml=5_000),
    )
    decision = run(limits=(limit(100_000, MONTH),), sales=sales, age=timedelta(hours=13))
    assert decision.allowance[0].quantity_ml == 34_000
    left = decision.remaining[0]
    assert (left.used, left.held, left.remaining) == (40_000, 5_000, 55_000)


def test_a_factor_rounds_down_and_an_overdrawn_limit_leaves_nothing() -> None:
    assert quantity(limits=(limit(9_999, MONTH),), age=timedelta(hours=13)) == (6_999, Reason.LIMIT_MONTH_QUANTITY)
    over = run(limits=(limit(20_000),), sales=(sale(),))
    assert (over.reason, over.remaining[0].used, over.remaining[0].remaining) == (Reason.LIMIT_DAY_QUANTITY, 30_000, 0)


def test_a_limit_per_fuelling_takes_no_factor_and_no_use() -> None:
    old = timedelta(hours=13)
    assert quantity(limits=(limit(40_000, FUELLING),), sales=(sale(),), age=old) == (40_000, Reason.LIMIT_FUELLING_QUANTITY)
    assert quantity(limits=(limit(1729, FUELLING, VALUE),), sales=(sale(),), age=old) == (10_000, Reason.LIMIT_FUELLING_VALUE)
    left = run(limits=(limit(40_000, FUELLING),), sales=(sale(),)).remaining[0]
    assert (left.used, left.held, left.remaining, left.window) == (0, 0, 40_000, None)


def test_counts_take_no_factor_and_bound_to_all_or_nothing() -> None:
    old = timedelta(hours=13)
    two = (limit(2, DAY, COUNT),)
    assert quantity(limits=two, sales=(sale(),), age=old) == (CAP, Reason.TERMINAL_CAP)
    held = sale("s2", UseState.IN_DOUBT, ml=0)
    refused(Step.LIMITS, Reason.LIMIT_DAY_COUNT, limits=two, sales=(sale(), held))
    empty = sale("s3", ml=0, minor=1)
    assert run(limits=two, sales=(sale(), empty)).remaining[0].used == 1
    refused(Step.LIMITS, Reason.LIMIT_DAY_COUNT, limits=(limit(0, DAY, COUNT),))


def test_a_baseline_counts_for_its_own_subject_window_measure_and_products_only() -> None:
    right = Baseline(MINE, "2026-03-29", QUANTITY, None, 12_000, 41)
    known = run(limits=(limit(100_000),), baselines=(right,), sales=(sale(),)).remaining[0]
    assert known.used == 42_000
    for wrong in (
        replace(right, subject=THEIRS),
        replace(right, window="2026-03-28"),
        replace(right, window="2026-03"),
        replace(right, measure=VALUE),
        replace(right, products=frozenset({"GAZOLE"})),
    ):
        assert run(limits=(limit(100_000),), baselines=(wrong,), sales=(sale(),)).remaining[0].used == 30_000


@pytest.mark.parametrize(("watermark", "used"), [(41, 42_000), (42, 12_000), (None, 42_000)])
def test_a_sale_up_to_the_watermark_is_in_the_baseline_already(watermark: int | None, used: int) -> None:
    baseline = Baseline(MINE, "2026-03-29", QUANTITY, None, 12_000, watermark)
    held = sale("s2", UseState.IN_DOUBT, ml=1_000, sequence=1)
    left = run(limits=(limit(100_000),), baselines=(baseline,), sales=(sale(), held)).remaining[0]
    assert (left.used, left.held, left.remaining) == (used, 1_000, 99_000 - used)


def test_a_sale_belongs_to_the_window_of_its_authorization() -> None:
    midnight = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    rows = (limit(100_000), limit(100_000, MONTH))
    for at, day in ((midnight, 30_000), (midnight - timedelta(milliseconds=1), 0)):
        left = run(limits=rows, sales=(sale(authorized_at=utc_ms(at)),)).remaining
        assert [one.used for one in left] == [day, 30_000]
    # The customer's accounting zone goes before the site's: in Havana the 28th began at 04:00 UTC.
    havana = replace(CUSTOMER, zone="America/Havana")
    left = run(limits=rows, customer=havana, sales=(sale(authorized_at=utc_ms(midnight - timedelta(hours=19))),)).remaining
    assert [one.window and one.window.key for one in left] == ["2026-03-28", "2026-03"]
    assert [one.used for one in left] == [30_000, 30_000]


def test_a_customer_is_the_sum_of_its_cards_and_a_card_is_itself() -> None:
    sales = (sale("s1"), sale("s2", account="a2", ml=20_000), sale("s3", UseState.HELD, account="a3", ml=10_000), sale("s4", customer="C2"))
    left = run(limits=(limit(200_000), limit(100_000, subject=THEIRS)), sales=sales).remaining
    assert [(one.used, one.held) for one in left] == [(60_000, 0), (50_000, 10_000)]


def test_limits_and_balances_bind_their_products_only() -> None:
    given: dict[str, Any] = {"nozzles": (GAZOLE, SP95), "sales": (sale(),)}
    decision = run(limits=(limit(40_000, products=frozenset({"GAZOLE"})),), **given)
    assert [(one.product, one.quantity_ml) for one in decision.allowance] == [("GAZOLE", 10_000), ("SP95", CAP)]
    decision = run(balances=(prepaid(40_000, QUANTITY, products=frozenset({"SP95"})),), **given)
    assert [(one.product, one.quantity_ml) for one in decision.allowance] == [("GAZOLE", CAP), ("SP95", 40_000)]


def test_a_hold_whose_product_is_not_known_yet_counts_for_each_it_may_become() -> None:
    held = sale(state=UseState.HELD, product=None, products=frozenset({"GAZOLE", "SP95"}), account="a2")
    rows = tuple(limit(100_000, subject=THEIRS, products=frozenset({name})) for name in ("GAZOLE", "SP95", "FIOUL"))
    assert [one.held for one in run(limits=rows, sales=(held,)).remaining] == [30_000, 30_000, 0]


def test_balances_count_from_their_watermark_over_all_windows() -> None:
    old = sale("old", sequence=40, authorized_at=utc_ms(NOW - timedelta(days=90)), minor=1_000)
    sales = (old, sale("new", sequence=42, minor=5_000), sale("doubt", UseState.IN_DOUBT, sequence=3, minor=400))
    expected = {39: 3_600, 40: 4_600, 41: 4_600, 42: 9_600, None: 3_600}
    for watermark, left in expected.items():
        found = quantity(balances=(prepaid(10_000, watermark=watermark),), sales=sales, nozzles=(replace(GAZOLE, price=10_000),))
        assert found == (left * 10, Reason.BALANCE_EMPTY)
    ceiling = prepaid(10_000, watermark=42, kind=BalanceKind.CEILING)
    assert quantity(balances=(ceiling,), age=timedelta(hours=13), nozzles=(replace(GAZOLE, price=10_000),)) == (
        70_000,
        Reason.CREDIT_CEILING,
    )
    refused(Step.LIMITS, Reason.BALANCE_EMPTY, balances=(prepaid(0),))
    refused(Step.LIMITS, Reason.CREDIT_CEILING, balances=(prepaid(0, kind=BalanceKind.CEILING),))


def test_the_order_of_bounds_is_that_of_the_behaviour_language() -> None:
    words = "BALANCE_EMPTY CREDIT_CEILING EXPOSURE_REACHED HOST TANK_CAPACITY TERMINAL_CAP WISH".split()
    assert [reason.value for reason in BOUND_ORDER[18:]] == words
    assert [reason.value for reason in BOUND_ORDER[:4]] == [
        "LIMIT_FUELLING_QUANTITY",
        "LIMIT_FUELLING_VALUE",
        "LIMIT_FUELLING_COUNT",
        "LIMIT_DAY_QUANTITY",
    ]
    assert BOUND_ORDER[9] is limit_reason(True, FUELLING, QUANTITY)
    assert len(set(BOUND_ORDER)) == len(BOUND_ORDER) == 25


def test_of_equally_tight_bounds_the_first_in_that_order_is_named() -> None:
    # All of them are 10.000 L of a fuel at 1.000 EUR; the tightest is taken away one by one.
    rows = tuple(
        limit(10_000 if measure is QUANTITY else 1_000, period, measure, subject)
        for subject in (THEIRS, MINE)
        for period in (MONTH, DAY, FUELLING)
        for measure in (VALUE, QUANTITY)
    )
    balances: tuple[Balance, ...] = (prepaid(1_000, kind=BalanceKind.CEILING), prepaid(10_000, QUANTITY))
    given: dict[str, Any] = {
        "card": replace(CARD, tank_ml=10_000),
        "wish": Wish(10_000, None),
        "nozzles": (replace(GAZOLE, price=10_000),),
        "policy": Policy(terminal_cap_ml=10_000),
    }
    seen = []
    while rows or balances:
        ml, reason = quantity(limits=rows, balances=balances, **given)
        assert ml == 10_000
        seen.append(reason)
        gone = [row for row in rows if limit_reason(row.subject is THEIRS, row.period, row.measure) is reason]
        rows = tuple(row for row in rows if row not in gone)
        if not gone:
            balances = tuple(row for row in balances if (row.kind is BalanceKind.PREPAID) is not (reason is Reason.BALANCE_EMPTY))
    assert seen == sorted(seen, key=BOUND_ORDER.index)
    assert len(seen) == len(set(seen)) == 14
    assert quantity(host=HostAnswer(HostDecision.APPROVED, quantity_ml=10_000), **given)[1] is Reason.HOST
    assert quantity(**given)[1] is Reason.TANK_CAPACITY
    assert quantity(**given | {"card": CARD})[1] is Reason.TERMINAL_CAP
    assert quantity(**given | {"card": CARD, "policy": Policy()})[1] is Reason.WISH


@pytest.mark.parametrize(
    ("decimals", "value", "price", "ml", "cost"),
    [
        (2, 5000, 17290, 28918, 5000),
        (2, 1, 17290, 5, 1),
        (0, 3000, 1_650_000, 18181, 3000),
        (3, 5000, 1_850, 27027, 5000),
        (2, 999, 10_000, 9990, 999),
    ],
)
def test_money_becomes_volume_rounded_down_and_cost_is_rounded_half_up(decimals: int, value: int, price: int, ml: int, cost: int) -> None:
    nozzle = replace(GAZOLE, price=price)
    decision = run(limits=(limit(value, DAY, VALUE),), nozzles=(nozzle,), decimals=decimals, policy=Policy(min_dispense_ml=1))
    one = decision.allowance[0]
    assert (one.quantity_ml, one.value_minor, one.money_minor) == (ml, cost, value)
    assert one.value_minor <= value


def test_half_a_minor_unit_costs_a_whole_one() -> None:
    assert run(wish=Wish(2_500, None), nozzles=(replace(GAZOLE, price=10_020),)).allowance[0].value_minor == 251  # 2.505 EUR


def test_at_price_0_money_binds_nothing_and_costs_nothing() -> None:
    decision = run(limits=(limit(0, DAY, VALUE),), balances=(prepaid(0),), wish=Wish(None, 1), nozzles=(replace(GAZOLE, price=0),))
    assert (decision.approved, decision.partial) == (True, False)
    one = decision.allowance[0]
    assert (one.quantity_ml, one.value_minor, one.bound_by, one.money_minor) == (CAP, 0, Reason.TERMINAL_CAP, None)


def test_the_terminal_s_cap_in_money() -> None:
    assert quantity(policy=Policy(terminal_cap_minor=1729)) == (10_000, Reason.TERMINAL_CAP)
