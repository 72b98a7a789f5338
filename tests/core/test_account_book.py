"""The account book against a naive sum over all its sales, and that it equals one rebuilt from the ledger whatever happened to it."""

from __future__ import annotations

import functools
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.account_book import AccountBook, SaleUse, Sums, UnknownSale, Use, UseState
from terminal.core.card_data import Measure, Subject, SubjectKind
from terminal.core.units import UtcMs

HOUR_MS = 3_600_000
A = Subject(SubjectKind.CARD, "a")
C = Subject(SubjectKind.CUSTOMER, "c")


def sale(name: str = "s1", **changes: object) -> SaleUse:
    base = SaleUse(
        sale=name,
        sequence=1,
        account="a",
        customer="c",
        product="GAZOLE",
        quantity_ml=10_000,
        value_minor=1729,
        authorized_at=UtcMs(10 * HOUR_MS),
        state=UseState.HELD,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def ever(book: AccountBook, subject: Subject = A, products: frozenset[str] | None = None, watermark: int | None = None) -> Use:
    return book.use(subject, window=None, products=products, watermark=watermark, lists_checked=None)


def naive(
    sales: list[SaleUse],
    subject: Subject,
    window: tuple[int, int] | None,
    products: frozenset[str] | None,
    watermark: int | None,
    checked: int | None,
) -> dict[str, list[int]]:
    found = {"before": [0, 0, 0], "since": [0, 0, 0], "held": [0, 0, 0]}
    for one in sales:
        if subject.id != (one.account if subject.kind is SubjectKind.CARD else one.customer):
            continue
        if window is not None and not window[0] <= one.authorized_at < window[1]:
            continue
        if products is not None:
            if one.product is not None and one.product not in products:
                continue
            if one.product is None and one.products and not one.products & products:
                continue
        if one.state is UseState.DELIVERED:
            if watermark is not None and one.sequence <= watermark:
                continue
            part = "before" if checked is not None and one.authorized_at <= checked else "since"
            count = int(one.quantity_ml > 0)
        else:
            part, count = "held", 1
        found[part] = [found[part][0] + one.quantity_ml, found[part][1] + one.value_minor, found[part][2] + count]
    return found


def as_lists(use: Use) -> dict[str, list[int]]:
    return {
        name: [sums.quantity_ml, sums.value_minor, sums.count]
        for name, sums in (("before", use.before), ("since", use.since), ("held", use.held))
    }


PRODUCTS = ("GAZOLE", "SP95", "FIOUL")
some_products = st.none() | st.frozensets(st.sampled_from(PRODUCTS))
times = st.integers(0, 6 * HOUR_MS) | st.sampled_from([HOUR_MS * n + d for n in range(6) for d in (-1, 0, 1) if HOUR_MS * n + d >= 0])
sales_lists = st.lists(
    st.builds(
        SaleUse,
        sale=st.just(""),
        sequence=st.integers(1, 30),
        account=st.sampled_from("ab"),
        customer=st.sampled_from(["c", "d", None]),
        product=st.sampled_from([*PRODUCTS, None]),
        quantity_ml=st.integers(0, 3) | st.integers(0, 100_000),
        value_minor=st.integers(0, 10_000),
        authorized_at=times,
        state=st.sampled_from(UseState),
        products=st.frozensets(st.sampled_from(PRODUCTS)),
    ),
    max_size=40,
).map(lambda found: [replace(one, sale=f"s{number}") for number, one in enumerate(found)])
windows = st.none() | st.tuples(times, times).map(lambda pair: (min(pair), max(pair) + 1))


@given(
    sales_lists,
    st.sampled_from([A, C, Subject(SubjectKind.CARD, "b"), Subject(SubjectKind.CUSTOMER, "x")]),
    windows,
    some_products,
    st.none() | st.integers(0, 31),
    st.none() | times,
)
def test_use_is_the_naive_sum(
    sales: list[SaleUse],
    subject: Subject,
    window: tuple[UtcMs, UtcMs] | None,
    products: frozenset[str] | None,
    watermark: int | None,
    checked: UtcMs | None,
) -> None:
    use = AccountBook(sales).use(subject, window=window, products=products, watermark=watermark, lists_checked=checked)
    assert as_lists(use) == naive(sales, subject, window, products, watermark, checked)


@given(sales_lists, st.data())
def test_whatever_happened_it_equals_the_book_rebuilt_from_the_ledger(sales: list[SaleUse], data: st.DataObject) -> None:
    book, ledger = AccountBook(), {}
    for one in sales:
        held = replace(one, state=UseState.HELD)
        book.hold(held)
        ledger[one.sale] = held
        name = data.draw(st.sampled_from(sorted(ledger)))
        act = data.draw(st.sampled_from(["settle", "doubt", "drop", "narrow", "correct", "forget", "none"]))
        old = ledger[name]
        known = book.get(name) is not None
        if act == "settle" and known:
            ledger[name] = replace(old, product="SP95", quantity_ml=one.quantity_ml, value_minor=one.value_minor, state=UseState.DELIVERED)
            book.settle(name, product="SP95", quantity_ml=one.quantity_ml, value_minor=one.value_minor)
        elif act == "doubt" and known and old.state is not UseState.DELIVERED:
            ledger[name] = replace(old, state=UseState.IN_DOUBT)
            book.doubt(name)
        elif act == "drop" and known:
            del ledger[name]
            book.drop(name)
        elif act in ("narrow", "correct") and known:
            ledger[name] = replace(
                old, product="GAZOLE", quantity_ml=7, authorized_at=one.authorized_at if act == "correct" else old.authorized_at
            )
            book.replace(ledger[name])
        elif act == "forget":
            book.forget_before(one.authorized_at)
            ledger = {
                key: use for key, use in ledger.items() if use.state is not UseState.DELIVERED or use.authorized_at >= one.authorized_at
            }
    assert book == AccountBook(ledger.values())
    assert as_lists(ever(book, C)) == naive(list(ledger.values()), C, None, None, None, None)


def test_a_hold_becomes_the_delivery_and_keeps_its_window() -> None:
    book = AccountBook()
    book.hold(sale(product=None, products=frozenset({"GAZOLE", "SP95"}), quantity_ml=60_000, value_minor=10_374))
    assert ever(book, products=frozenset({"SP95"})).held == Sums(60_000, 10_374, 1)
    assert ever(book, products=frozenset({"FIOUL"})).held == Sums()
    assert [use.sale for use in book.open_holds("a")] == ["s1"]
    book.replace(sale(product="GAZOLE", quantity_ml=50_000))
    assert ever(book, products=frozenset({"SP95"})).held == Sums()
    book.settle("s1", product="GAZOLE", quantity_ml=12_500, value_minor=2161)
    assert book.open_holds("a") == ()
    assert ever(book, C).since == Sums(12_500, 2161, 1)
    settled = book.get("s1")
    assert settled is not None
    assert settled.authorized_at == 10 * HOUR_MS


def test_an_in_doubt_sale_is_held_but_leaves_the_card_free() -> None:
    book = AccountBook()
    book.hold(sale())
    book.doubt("s1")
    assert book.open_holds("a") == ()
    assert ever(book).held.of(Measure.QUANTITY) == 10_000
    assert ever(book).held.of(Measure.VALUE) == 1729
    assert ever(book).held.of(Measure.COUNT) == 1


def test_an_empty_delivery_leaves_the_same_book_as_a_freed_hold() -> None:
    freed, empty = AccountBook([sale()]), AccountBook([sale()])
    freed.drop("s1")
    empty.settle("s1", product="GAZOLE", quantity_ml=0, value_minor=0)
    assert freed == empty == AccountBook()
    assert len(empty) == 0


def test_holds_are_never_forgotten_and_deliveries_are() -> None:
    book = AccountBook([sale("old", state=UseState.DELIVERED), sale("held"), sale("doubt", state=UseState.IN_DOUBT)])
    book.forget_before(UtcMs(10 * HOUR_MS))
    assert len(book) == 3
    book.forget_before(UtcMs(10 * HOUR_MS + 1))
    assert [use.sale for use in book.snapshot()] == ["doubt", "held"]


def test_a_book_with_one_other_amount_differs() -> None:
    assert AccountBook([sale()]) != AccountBook([sale(quantity_ml=10_001)])
    assert AccountBook([sale()]) != AccountBook()
    assert AccountBook() != "book"


def test_what_the_book_does_not_know_is_an_error_and_changes_nothing() -> None:
    book = AccountBook([sale()])
    for wrong in (sale(), sale("s2", state=UseState.DELIVERED)):
        with pytest.raises(ValueError, match="s[12]"):
            book.hold(wrong)
    with pytest.raises(ValueError, match="s1"):
        AccountBook([sale(), sale()])
    with pytest.raises(UnknownSale):
        book.drop("s9")
    with pytest.raises(UnknownSale):
        book.doubt("s9")
    with pytest.raises(UnknownSale):
        book.replace(sale("s9"))
    with pytest.raises(UnknownSale):
        book.settle("s9", product=None, quantity_ml=1, value_minor=1)
    assert book.snapshot() == (sale(),)


@settings(deadline=None)
@given(st.integers(0, 50_001))
def test_the_watermark_is_exact_in_a_large_book(watermark: int) -> None:
    use = large().use(C, window=None, products=frozenset({"P1"}), watermark=watermark, lists_checked=None)
    assert use.since.count == len([sequence for sequence in range(watermark + 1, 50_001) if sequence % 3 == 1])


@functools.cache
def large() -> AccountBook:
    """Made once, and not while tests are collected."""
    return AccountBook(
        sale(f"s{n}", sequence=n, account=f"a{n % 500}", product=f"P{n % 3}", authorized_at=UtcMs(n * 50_000), state=UseState.DELIVERED)
        for n in range(1, 50_001)
    )


def test_a_customer_with_50000_sales_does_not_slow_a_question() -> None:
    month = (UtcMs(1), UtcMs(50_000 * 50_000))
    book = large()
    started = time.process_time()
    for _ in range(20):
        book.use(C, window=month, products=None, watermark=7, lists_checked=UtcMs(1_000_000_000))
    assert (time.process_time() - started) / 20 < 0.02
