"""Exposure: running sums that are what adding up would give, and what the caps make of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.account_book import SaleUse, Sums, UseState
from terminal.core.authorization import Policy, Step
from terminal.core.card_data import Measure, Offline
from terminal.core.exposure import Exposure
from terminal.core.facts import Cap, ExposureCaps
from terminal.core.reasons import Reason
from tests.core.decisions import CARD, UNBOUNDED, limit, quantity, refused, run, sale

OTHER = sale("s2", account="a2", customer="C1", ml=10_000, minor=1_729)
STRANGER = sale("s3", account="a3", customer=None, ml=5_000, minor=865)
HELD = sale("s4", UseState.HELD, ml=40_000, minor=6_916)

moves = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["s1", "s2", "s3", "s4"]),
        st.sampled_from(["a1", "a2"]),
        st.sampled_from(["C1", None]),
        st.sampled_from(list(UseState)),
        st.integers(0, 3),
    ),
    max_size=30,
)


@given(moves)
def test_the_sums_are_what_adding_up_would_give(found: list[tuple[bool, str, str, str | None, UseState, int]]) -> None:
    exposure, plain = Exposure(), dict[str, SaleUse]()
    for drop, name, account, customer, state, amount in found:
        if drop:
            exposure.drop(name)
            plain.pop(name, None)
            continue
        use = sale(name, state, ml=amount, minor=2 * amount, account=account, customer=customer)
        exposure.put(use)
        plain.pop(name, None)
        if state is not UseState.DELIVERED or amount:
            plain[name] = use
    assert exposure == Exposure(plain.values())
    assert len(exposure) == len(plain)
    assert exposure.of("a1", None).customer is None
    for whose, uses in (
        (exposure.of("a1", "C1").card, [use for use in plain.values() if use.account == "a1"]),
        (exposure.of("a1", "C1").customer, [use for use in plain.values() if use.customer == "C1"]),
        (exposure.of("a1", "C1").terminal, list(plain.values())),
    ):
        assert whose == Sums(sum(use.quantity_ml for use in uses), sum(use.value_minor for use in uses), len(uses))


def capped(**caps: Cap) -> Policy:
    return Policy(exposure=ExposureCaps(**caps))


@pytest.mark.parametrize(
    ("caps", "left"),
    [
        (capped(card=Cap(ml=100_000)), 30_000),  # its own delivered and held
        (capped(customer=Cap(ml=100_000)), 20_000),  # its customer's too
        (capped(terminal=Cap(ml=100_000)), 15_000),  # everybody's
        (capped(card=Cap(ml=100_000), terminal=Cap(ml=100_000)), 15_000),
        (capped(terminal=Cap(ml=80_000)), 0),
        (capped(terminal=Cap(ml=0)), 0),
    ],
)
def test_a_cap_leaves_what_is_not_out_yet(caps: Policy, left: int) -> None:
    uses = (sale("s1"), OTHER, STRANGER, HELD)
    caps = replace(caps, max_open=9)
    if left:
        assert quantity(sales=uses, exposure=Exposure(uses), policy=caps) == (left, Reason.EXPOSURE_REACHED)
    else:
        refused(Step.LIMITS, Reason.EXPOSURE_REACHED, sales=uses, exposure=Exposure(uses), policy=caps)


def test_money_and_counts_are_caps_too() -> None:
    uses = (sale("s1"),)  # 30 L for 51.87
    assert quantity(sales=uses, exposure=Exposure(uses), policy=capped(card=Cap(minor=6_916)))[1] is Reason.EXPOSURE_REACHED
    assert quantity(sales=uses, exposure=Exposure(uses), policy=capped(card=Cap(minor=6_916)))[0] == 1729 * 100_000 // 17_290
    assert quantity(sales=uses, exposure=Exposure(uses), policy=capped(card=Cap(count=2)))[1] is Reason.TERMINAL_CAP
    refused(Step.LIMITS, Reason.EXPOSURE_REACHED, sales=uses, exposure=Exposure(uses), policy=capped(card=Cap(count=1)))


def test_the_age_of_the_lists_scales_a_cap_but_not_a_count() -> None:
    uses = (sale("s1", ml=10_000, minor=1_729),)
    old: dict[str, Any] = {"sales": uses, "exposure": Exposure(uses), "age": timedelta(hours=13)}
    assert quantity(policy=capped(card=Cap(ml=100_000)), **old) == (60_000, Reason.EXPOSURE_REACHED), "0.7 of the cap, less what is out"
    assert quantity(policy=capped(card=Cap(count=2)), **old)[1] is Reason.TERMINAL_CAP
    older = old | {"age": timedelta(hours=30), "card": replace(CARD, offline=Offline.ALWAYS)}
    assert quantity(policy=capped(card=Cap(ml=100_001)), **older) == (20_000, Reason.EXPOSURE_REACHED)


def test_what_the_host_approves_is_no_exposure() -> None:
    uses = (sale("s1"),)
    assert run(sales=uses, exposure=Exposure(uses), policy=capped(terminal=Cap(ml=0)), host=UNBOUNDED).approved


def test_a_tighter_limit_is_named_before_an_equal_cap() -> None:
    assert quantity(limits=(limit(50_000),), exposure=Exposure(), policy=capped(card=Cap(ml=50_000)))[1] is Reason.LIMIT_DAY_QUANTITY
    found = quantity(limits=(limit(50_001),), exposure=Exposure(), policy=capped(card=Cap(ml=50_000)))
    assert found == (50_000, Reason.EXPOSURE_REACHED)


def test_a_card_without_a_customer_has_no_customer_s_cap() -> None:
    assert run(card=replace(CARD, customer=None), exposure=Exposure(), policy=capped(customer=Cap(ml=0))).approved
    refused(Step.LIMITS, Reason.EXPOSURE_REACHED, exposure=Exposure(), policy=capped(customer=Cap(ml=0)))


def test_every_measure_has_a_cap() -> None:
    assert [Cap(1, 2, 3).of(measure) for measure in (Measure.QUANTITY, Measure.VALUE, Measure.COUNT)] == [1, 2, 3]
