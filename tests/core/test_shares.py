"""Shares of a shared limit: offline the terminal's own part of the window binds, whatever the limit itself would still allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from terminal.core.account_book import UseState
from terminal.core.authorization import Policy, Step
from terminal.core.card_data import Limit, Measure, Period, Share
from terminal.core.reasons import Reason
from tests.core.decisions import THEIRS, UNBOUNDED, limit, quantity, refused, run, sale

DAY = "2026-03-29"
SHARED = limit(500_000, Period.DAY, subject=THEIRS, shared=True)
MONTHLY = replace(SHARED, period=Period.MONTH)
REASON = Reason.CUSTOMER_LIMIT_DAY_QUANTITY


def share(amount: int, of: Limit = SHARED, window: str = DAY, watermark: int | None = None, **changes: object) -> Share:
    row = Share("G1", of.subject, of.period, window, of.measure, of.products, amount, watermark)
    return replace(row, **changes)  # type: ignore[arg-type]


def test_the_share_binds_and_names_the_limit() -> None:
    assert quantity(limits=(SHARED,), shares=(share(50_000),)) == (50_000, REASON)
    assert quantity(limits=(MONTHLY,), shares=(share(60_000, MONTHLY, "2026-03"),)) == (60_000, Reason.CUSTOMER_LIMIT_MONTH_QUANTITY)


def test_the_limit_binds_where_it_is_tighter_than_the_share() -> None:
    assert quantity(limits=(replace(SHARED, amount=40_000),), shares=(share(50_000),)) == (40_000, REASON)


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (share(50_000, window="2026-03-28"),),
        (share(50_000, MONTHLY, "2026-03"),),
        (share(50_000, measure=Measure.VALUE),),
        (share(50_000, products=frozenset({"GAZOLE"})),),
    ],
)
def test_without_a_share_of_this_very_window_nothing_is_left(rows: tuple[Share, ...]) -> None:
    refused(Step.LIMITS, REASON, limits=(SHARED,), shares=rows)


def test_deliveries_above_the_watermark_and_holds_come_off() -> None:
    done = sale("s1", ml=10_000, sequence=42)
    assert quantity(limits=(SHARED,), shares=(share(50_000, watermark=41),), sales=(done,)) == (40_000, REASON)
    assert quantity(limits=(SHARED,), shares=(share(50_000, watermark=42),), sales=(done,)) == (50_000, REASON), "the host knew of it"
    assert quantity(limits=(SHARED,), shares=(share(50_000),), sales=(done,)) == (40_000, REASON)
    doubtful = sale("s2", UseState.IN_DOUBT, ml=15_000, sequence=3)
    assert quantity(limits=(SHARED,), shares=(share(50_000, watermark=42),), sales=(done, doubtful)) == (35_000, REASON)
    yesterday = sale("s3", ml=10_000, sequence=43, authorized_at=done.authorized_at - 86_400_000)
    assert quantity(limits=(SHARED,), shares=(share(50_000, watermark=41),), sales=(yesterday,)) == (50_000, REASON)
    refused(Step.LIMITS, REASON, limits=(SHARED,), shares=(share(9_000),), sales=(done,))


def test_a_share_is_not_scaled_by_the_age_of_the_lists_but_the_limit_is() -> None:
    old: dict[str, Any] = {"age": timedelta(hours=13)}
    assert quantity(limits=(SHARED,), shares=(share(50_000),), **old) == (50_000, REASON)
    assert quantity(limits=(replace(SHARED, amount=50_000),), shares=(share(50_000),), **old) == (35_000, REASON)


def test_counts_have_shares_too() -> None:
    counted = replace(SHARED, measure=Measure.COUNT, amount=9)
    uses = (sale("s1"),)
    assert run(limits=(counted,), shares=(share(2, counted),), sales=uses).approved
    refused(Step.LIMITS, Reason.CUSTOMER_LIMIT_DAY_COUNT, limits=(counted,), shares=(share(1, counted),), sales=uses)


def test_a_limit_that_is_not_shared_and_a_fuelling_know_no_shares() -> None:
    assert quantity(limits=(replace(SHARED, shared=False),), shares=(share(1_000),)) == (500_000, REASON)
    assert quantity(limits=(replace(SHARED, period=Period.FUELLING),))[0] == 500_000


def test_online_the_host_decides_and_shares_do_not_bind() -> None:
    found = run(limits=(SHARED,), shares=(), host=UNBOUNDED, policy=Policy())
    assert found.approved


def test_what_remains_is_of_the_limit_not_of_the_share() -> None:
    (left,) = run(limits=(SHARED,), shares=(share(50_000),), sales=(sale("s1", ml=10_000),)).remaining
    assert (left.used, left.remaining) == (10_000, 490_000)
