"""How the simulated host decides: windows by the calendar, arithmetic, bounds and their order, holds."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal_sim.host.messages import instant_ms
from hal_sim.host.rules import BOUND_ORDER, MEASURES, PERIODS, Bound, Offer, Wish, cost, decide, possible, quantity_for
from hal_sim.host.windows import Calendar, first_instant
from tests.hal_sim.host_kit import ACCOUNT, BADGE, CUSTOMER, SPARE, STRIPE, card, limit, world

HOUR_MS = 3_600_000


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", date(2026, 3, 29), 23),
        ("Europe/Paris", date(2026, 10, 25), 25),
        ("Europe/Paris", date(2026, 7, 1), 24),
        ("America/Havana", date(2026, 3, 8), 23),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Atlantic/Azores", date(2026, 3, 29), 23),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("Asia/Beirut", date(2026, 10, 24), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Santiago", date(2026, 9, 6), 23),
    ],
)
def test_a_day_is_as_long_as_the_calendar_says(zone: str, day: date, hours: float) -> None:
    start = first_instant(day, zone)
    assert Calendar().keys(start, zone)[0] == day.isoformat()
    first, end = Calendar().day_window(start, zone)
    assert (first, end - first) == (start, hours * HOUR_MS)
    assert Calendar().keys(end - 1, zone)[0] == day.isoformat()
    assert Calendar().keys(end, zone)[0] > day.isoformat()
    assert Calendar().keys(start - 1, zone)[0] < day.isoformat()


def test_a_clock_that_goes_back_over_midnight_does_not_reopen_the_day_before() -> None:
    # St John's changed at 00:01 in those years: 00:01 of the new day became 23:01 of the old one.
    zone = "America/St_Johns"
    start = first_instant(date(2006, 10, 29), zone)
    shown = [datetime.fromtimestamp((start + minute * 60_000) // 1000, ZoneInfo(zone)).date().isoformat() for minute in range(90)]
    assert "2006-10-28" in shown, "the shown date goes back"
    assert {Calendar().keys(start + minute * 60_000, zone)[0] for minute in range(90)} == {"2006-10-29"}


def test_a_gap_around_midnight_starts_the_day_where_it_ends() -> None:
    # Toronto, 30 March 1919: after 23:29:59 came 00:30 of the 31st.
    start = first_instant(date(1919, 3, 31), "America/Toronto")
    assert datetime.fromtimestamp(start // 1000, ZoneInfo("America/Toronto")).strftime("%d %H:%M") == "31 00:30"
    assert datetime.fromtimestamp(start // 1000 - 1, ZoneInfo("America/Toronto")).strftime("%d %H:%M") == "30 23:29"


@given(st.integers(0, 4_000_000_000), st.sampled_from(["Europe/Paris", "America/Havana", "Asia/Beirut", "Pacific/Apia", "UTC"]))
@settings(max_examples=300, deadline=None)
def test_windows_never_go_back(second: int, zone: str) -> None:
    calendar = Calendar()
    keys = [calendar.keys(second * 1000 + step * HOUR_MS // 2, zone)[0] for step in range(60)]
    assert keys == sorted(keys)
    start, end = calendar.day_window(second * 1000, zone)
    assert start <= second * 1000 < end


def test_a_limit_is_fresh_at_local_midnight_before_a_clock_change() -> None:
    book, terminal, clock = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 100_000), limit(ACCOUNT, "MONTH", "QUANTITY", 150_000)])
    assert terminal.authorize(1)["quantity_ml"] == 100_000
    assert terminal.complete(1, 90_000) == "accepted"
    assert terminal.authorize(2)["quantity_ml"] == 10_000
    assert terminal.complete(2, 0) == "accepted"
    clock.set("2026-03-28T22:59:59.999Z")
    assert terminal.authorize(3)["quantity_ml"] == 10_000
    terminal.complete(3, 0)
    clock.set("2026-03-28T23:00:00.000Z")
    assert terminal.authorize(4)["quantity_ml"] == 60_000, "a new day, the month's rest"
    terminal.complete(4, 20_000)
    clock.set("2026-03-29T21:59:59.999Z")
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 80_000, "the day of 23 hours is not over"
    clock.set("2026-03-29T22:00:00.000Z")
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 100_000
    clock.set("2026-03-31T22:00:00.000Z")
    assert book.remaining(ACCOUNT, "MONTH", "QUANTITY") == 150_000, "April"


def test_the_customers_zone_beats_the_sites() -> None:
    customers = [{"customer": "C1", "status": "active", "offline": "ALLOWED", "zone": "America/New_York"}]
    book, terminal, clock = world(customers=customers, limits=[limit(CUSTOMER, "DAY", "COUNT", 1)])
    terminal.authorize(1)
    terminal.complete(1, 5_000)
    clock.set("2026-03-29T03:59:00.000Z")
    assert terminal.authorize(2)["reason"] == "CUSTOMER_LIMIT_DAY_COUNT"
    clock.set("2026-03-29T04:00:00.000Z")
    assert terminal.authorize(3)["decision"] == "approved"
    assert book.remaining(CUSTOMER, "DAY", "COUNT") == 0, "the hold counts as one"


def test_a_fuelling_counts_in_the_window_of_its_authorization() -> None:
    book, terminal, clock = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 100_000)])
    terminal.authorize(1)
    before = clock.text
    clock.set("2026-03-28T23:05:00.000Z")
    terminal.complete(1, 30_000, authorized_at=before)
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 100_000
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY", at_utc_ms=instant_ms(before)) == 70_000


def test_an_untrusted_clock_does_not_choose_the_window() -> None:
    book, terminal, _ = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 100_000)])
    terminal.authorize(1, clock="untrusted", requested_at="2031-01-01T00:00:00.000Z")
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 0
    terminal.complete(1, 40_000, clock="untrusted", authorized_at="2031-01-01T00:00:00.000Z")
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 60_000


# --- arithmetic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity_ml", "price", "decimals", "expected"),
    [
        (12_500, 17_290, 2, 2161),
        (1000, 12_345, 2, 123),
        (1000, 12_350, 2, 124),
        (1000, 17_290, 0, 2),
        (1000, 17_290, 3, 1729),
        (5, 0, 2, 0),
    ],
)
def test_cost_rounds_half_up(quantity_ml: int, price: int, decimals: int, expected: int) -> None:
    assert cost(quantity_ml, price, decimals) == expected


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.sampled_from([0, 2, 3]))
def test_money_buys_at_most_what_it_pays(value: int, price: int, decimals: int) -> None:
    quantity = quantity_for(value, price, decimals)
    assert quantity * price <= value * 10 ** (7 - decimals) < (quantity + 1) * price
    assert cost(quantity, price, decimals) <= value


# --- deciding ---------------------------------------------------------------------------------------------------------

GAZOLE = Offer("GAZOLE", 17_290, 2000)
SP95 = Offer("SP95", 18_990, 2000)


def test_no_bound_means_that_the_host_does_not_bind() -> None:
    verdict = decide([GAZOLE], [], None, 2)
    assert (verdict.decision, verdict.quantity_ml, verdict.value_minor) == ("approved", None, None)


def test_the_tightest_bound_declines_below_the_minimum_and_ties_go_by_order() -> None:
    tie = [Bound("TANK_CAPACITY", 1999), Bound("CUSTOMER_LIMIT_DAY_QUANTITY", 1999), Bound("LIMIT_MONTH_QUANTITY", 1999)]
    assert decide([GAZOLE], tie, None, 2).reason == "LIMIT_MONTH_QUANTITY"
    assert decide([GAZOLE], [Bound("LIMIT_DAY_QUANTITY", 2000)], None, 2).decision == "approved"
    assert decide([GAZOLE], [Bound("LIMIT_DAY_VALUE", 345, in_value=True)], None, 2).reason == "LIMIT_DAY_VALUE"
    assert decide([GAZOLE], [Bound("LIMIT_DAY_VALUE", 346, in_value=True)], None, 2).value_minor == 346
    assert decide([GAZOLE], [Bound("LIMIT_DAY_QUANTITY", 50_000)], Wish(1000, None), 2).reason == "WISH"


def test_a_wish_makes_it_partial_and_is_not_a_bound() -> None:
    bounds = [Bound("LIMIT_DAY_QUANTITY", 40_000)]
    assert decide([GAZOLE], bounds, Wish(40_000, None), 2).decision == "approved"
    partial = decide([GAZOLE], bounds, Wish(40_001, None), 2)
    assert (partial.decision, partial.quantity_ml) == ("partial", 40_000)
    assert decide([GAZOLE], bounds, Wish(None, 6917), 2).decision == "partial", "69.17 EUR buy 40.005 L"


def test_one_answer_is_safe_for_all_its_products() -> None:
    bounds = [Bound("LIMIT_DAY_QUANTITY", 10_000, products=frozenset({"SP95"})), Bound("LIMIT_DAY_QUANTITY", 80_000)]
    both = decide([SP95, GAZOLE], bounds, None, 2)
    assert (both.offers, both.quantity_ml) == ((SP95, GAZOLE), 10_000)
    empty = [Bound("LIMIT_DAY_QUANTITY", 1_000, products=frozenset({"SP95"})), Bound("LIMIT_DAY_QUANTITY", 80_000)]
    one = decide([SP95, GAZOLE], empty, None, 2)
    assert (one.offers, one.quantity_ml) == ((GAZOLE,), 80_000), "what cannot reach its minimum is left out and bounds nobody"


@given(
    st.lists(
        st.builds(
            Bound,
            st.sampled_from(BOUND_ORDER[:-1]),
            st.integers(0, 100_000),
            st.booleans(),
            st.sampled_from([None, frozenset({"GAZOLE"}), frozenset({"SP95"})]),
        ),
        max_size=6,
    )
)
def test_an_approval_breaks_no_bound_and_reaches_every_minimum(bounds: list[Bound]) -> None:
    verdict = decide([GAZOLE, SP95], bounds, None, 2)
    if verdict.decision == "declined":
        assert verdict.reason in {bound.reason for bound in bounds}
        return
    for offer in verdict.offers:
        quantity = possible(offer, verdict.quantity_ml, verdict.value_minor, 2)
        assert quantity >= offer.minimum_ml
        for bound in bounds:
            if bound.binds(offer.product):
                assert (cost(quantity, offer.price, 2) if bound.in_value else quantity) <= bound.amount


# --- limits, balances and holds of the book ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "measure"),
    [(period, measure) for period in PERIODS for measure in MEASURES if (period, measure) != ("FUELLING", "COUNT")],
)
@pytest.mark.parametrize(("subject", "prefix"), [(ACCOUNT, ""), (CUSTOMER, "CUSTOMER_")])
def test_zero_allows_nothing(subject: dict[str, str], prefix: str, period: str, measure: str) -> None:
    _, terminal, _ = world(limits=[limit(subject, period, measure, 0)])
    answer = terminal.authorize(1)
    assert (answer["decision"], answer["reason"]) == ("declined", f"{prefix}LIMIT_{period}_{measure}")


def test_holds_of_two_cards_of_one_customer_share_its_limit() -> None:
    book, terminal, _ = world(cards=[card(BADGE), card(STRIPE)], limits=[limit(CUSTOMER, "DAY", "QUANTITY", 100_000)])
    assert terminal.authorize(1, wish={"quantity_ml": 70_000})["decision"] == "approved"
    assert terminal.authorize(2, STRIPE)["quantity_ml"] == 30_000
    assert terminal.authorize(3, STRIPE)["reason"] == "CUSTOMER_LIMIT_DAY_QUANTITY"
    assert terminal.reverse(1) == "accepted"
    assert terminal.complete(2, 12_000, STRIPE) == "accepted"
    assert book.remaining(CUSTOMER, "DAY", "QUANTITY") == 88_000
    assert not book.open_authorizations()


def test_host_counts_and_replaced_badge_share_the_account() -> None:
    account = {"card": "ACC7"}
    _, terminal, _ = world(
        cards=[card(BADGE, account="ACC7"), card(SPARE, account="ACC7")],
        limits=[limit(account, "DAY", "QUANTITY", 100_000)],
        host_counts=[limit(account, "DAY", "QUANTITY", 20_000)],
    )
    terminal.authorize(1)
    terminal.complete(1, 30_000)
    assert terminal.authorize(2, SPARE)["quantity_ml"] == 50_000


def test_group_limits_bind_their_products_only() -> None:
    _, terminal, _ = world(limits=[limit(ACCOUNT, "DAY", "VALUE", 5_000, ["SP95"]), limit(ACCOUNT, "FUELLING", "QUANTITY", 60_000)])
    assert terminal.authorize(1)["value_minor"] is None
    answer = terminal.authorize(2, products=("SP95",))
    assert (answer["quantity_ml"], answer["value_minor"]) == (60_000, 5_000)
    assert terminal.authorize(3, products=("SP95",))["reason"] == "LIMIT_DAY_VALUE"
    both = terminal.authorize(4, products=("GAZOLE", "SP95"))
    assert (both["products"], both["quantity_ml"], both["value_minor"]) == (["GAZOLE"], 60_000, None)


@pytest.mark.parametrize(("kind", "reason"), [("prepaid", "BALANCE_EMPTY"), ("ceiling", "CREDIT_CEILING")])
def test_balances_shrink_with_holds_and_sales(kind: str, reason: str) -> None:
    balance = {"subject": CUSTOMER, "kind": kind, "measure": "VALUE", "amount": 5_000, "products": None}
    _, terminal, _ = world(balances=[balance])
    assert terminal.authorize(1)["value_minor"] == 5_000
    assert terminal.authorize(2)["reason"] == reason
    terminal.complete(1, 20_000)
    assert terminal.authorize(3)["value_minor"] == 5_000 - 3_458
    assert terminal.complete(3, 10_000) == "accepted_flagged", "17.29 EUR of 15.42 EUR"
    assert terminal.authorize(4)["reason"] == reason


def test_the_tank_bounds() -> None:
    _, terminal, _ = world(cards=[card(BADGE, tank_ml=60_000)])
    assert terminal.authorize(1)["quantity_ml"] == 60_000
    assert terminal.authorize(2, wish={"quantity_ml": 61_000})["decision"] == "partial"


@given(
    st.lists(st.tuples(st.sampled_from([BADGE, STRIPE]), st.integers(0, 1), st.integers(0, 120)), min_size=1, max_size=25),
    st.integers(0, 200_000),
    st.integers(0, 40_000),
)
@settings(max_examples=40, deadline=None)
def test_without_overrun_no_limit_is_ever_exceeded(steps: list[tuple[str, int, int]], quantity: int, value: int) -> None:
    book, terminal, _ = world(
        cards=[card(BADGE), card(STRIPE)],
        limits=[limit(CUSTOMER, "DAY", "QUANTITY", quantity), limit(CUSTOMER, "MONTH", "VALUE", value), limit(ACCOUNT, "DAY", "COUNT", 4)],
    )
    pending: list[tuple[int, str, int]] = []
    booked = 0
    for sequence, (number, finish, share) in enumerate(steps, start=1):
        answer = terminal.authorize(sequence, number)
        if answer["decision"] != "declined":
            most = possible(GAZOLE, answer["quantity_ml"], answer["value_minor"], 2)
            pending.append((sequence, number, min(most, most * share // 100)))
        if finish and pending:
            done, whose, volume = pending.pop(0)
            assert terminal.complete(done, volume, whose) == "accepted"
            booked += volume
        held = book.remaining(CUSTOMER, "DAY", "QUANTITY")
        assert booked + held <= quantity
    for done, whose, volume in pending:
        assert terminal.complete(done, volume, whose) == "accepted"
        booked += volume
    assert book.remaining(CUSTOMER, "DAY", "QUANTITY") == quantity - booked
