"""Sales that come back from the host: asked for behind a loss, taken once, counted once, and what cannot be taken is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from terminal.core.account_book import SaleUse, UseState
from terminal.core.effects import FetchSales
from terminal.core.events import HostTrouble
from terminal.core.facts import Policy
from terminal.core.faults import FaultCode
from terminal.core.ids import SaleId
from terminal.core.records import SaleCorrected, Unattributed
from terminal.core.return_desk import MOST_LOOKS
from terminal.core.returned_record import ReturnSettled, SaleReturned, first_of, may_begin
from terminal.core.returned_sales import BackSale, Outcome, SalesBackFailed
from terminal.core.units import UtcMs
from tests.machines.return_kit import FIRST, Past, asked, detail, ended, hold, opened, page, sale, settle, silent
from tests.machines.site_kit import MIDNIGHT, Bench, messages, records


@pytest.fixture
def past() -> Past:
    return Past()


@pytest.fixture
def bench(past: Past) -> Bench:
    return opened(past)


def test_the_host_is_asked_for_what_is_behind_the_last_number_and_once_at_a_time(bench: Bench) -> None:
    assert asked(bench, 3_000) == [FetchSales(1, 4)]
    assert "behind number 4 of epoch 1" in detail(bench)
    assert asked(bench, 300_000) == [], "a question is on its way"
    bench.do(SalesBackFailed("status 500"))
    assert "status 500" in detail(bench)
    assert asked(bench, 31_000) == [FetchSales(1, 4)]


def test_nothing_is_asked_where_nothing_was_lost() -> None:
    bench = opened(Past(asked=None))
    assert asked(bench, 300_000) == []
    assert detail(bench) == "rows are lost"


def test_a_host_that_is_away_is_not_asked(past: Past) -> None:
    bench = opened(past)
    bench.site.link.failed(HostTrouble.NO_LINE, "unplugged")
    bench.site.desk.take()
    assert asked(bench, 20_000) == []


def test_each_sale_is_a_fact_and_counts_once_and_nothing_is_sent(bench: Bench) -> None:
    bench.wait(3_000)
    effects = bench.do(page(BackSale(sale(5)), BackSale(sale(6, 2_000)), more=True))
    assert [fact.sequence for fact in records(effects, SaleReturned)] == [5, 6]
    assert messages(effects) == []
    assert asked(bench, 100) == [FetchSales(1, 6)], "more is to come"
    assert {one.sale: (one.quantity_ml, one.state) for one in bench.site.desk.book.snapshot()} == {
        "T-1-5": (10_000, UseState.DELIVERED),
        "T-1-6": (2_000, UseState.DELIVERED),
    }


def test_a_nozzle_that_was_never_read_is_compared_with_where_its_sale_ended(past: Past) -> None:
    """The ledger has that as its total now; what is more at the pump left without a sale."""
    bench, points = silent(past)
    bench.do(page(BackSale(sale(5))))
    (fuel,) = records(bench.survey(points[0], totals=161_000), Unattributed)
    assert (fuel.nozzle, fuel.volume_ml) == (1, 1_000)


def test_a_page_that_was_not_asked_for_now_is_not_taken(bench: Bench) -> None:
    bench.wait(3_000)
    assert records(bench.do(page(BackSale(sale(5)), after=3)), SaleReturned) == []
    assert asked(bench, 31_000) == [FetchSales(1, 4)]


@pytest.mark.parametrize(
    ("here", "fact", "words"),
    [
        (sale(5), sale(5), ""),
        (sale(5, 9_000), sale(5), "contradicts the sale that is here"),
        (None, sale(FIRST), "has a number of the new epoch"),
    ],
)
def test_what_cannot_be_taken_is_said_and_loses_nothing(
    bench: Bench, past: Past, here: SaleReturned | None, fact: SaleReturned, words: str
) -> None:
    if here is not None:
        past.known[here.sale] = SaleUse(
            here.sale, 5, "aa", None, "GAZOLE", here.quantity_ml, here.value_minor, UtcMs(MIDNIGHT), UseState.DELIVERED
        )
    bench.wait(3_000)
    assert records(bench.do(page(BackSale(fact))), SaleReturned) == []
    assert ended(bench).refused == (1 if words else 0), "the same sale once more is nothing to tell"
    assert (f"1 not taken: {fact.sale} {words}" in detail(bench)) is bool(words)
    assert len(bench.site.desk.book) == 0


def test_a_number_that_another_sale_has_is_not_taken(bench: Bench, past: Past) -> None:
    past.taken.add(5)
    bench.wait(3_000)
    assert records(bench.do(page(BackSale(sale(5)))), SaleReturned) == []
    assert ended(bench).refused == 1
    assert "1 not taken: T-1-5 has the number of another sale that is here" in detail(bench)


def test_corrections_come_once_and_count(bench: Bench, past: Past) -> None:
    made = SaleCorrected(0, "K1", SaleId("T-1-5"), "refund", 2_500, 432, None, None, (), "measured", 0)
    past.corrections.add("K0")
    bench.wait(3_000)
    effects = bench.do(page(BackSale(sale(5), (replace(made, correction="K0"), made))))
    (fact,) = records(effects, SaleCorrected)
    assert (fact.correction, fact.effective_at > 0) == ("K1", True)
    assert [one.quantity_ml for one in bench.site.desk.book.snapshot()] == [7_500]


def test_a_settlement_is_in_the_record_already(bench: Bench) -> None:
    made = SaleCorrected(0, "K1", SaleId("T-1-5"), "settle", 10_000, 1_729, None, None, (), "measured", 0)
    bench.wait(3_000)
    effects = bench.do(page(BackSale(sale(5), (made,))))
    assert records(effects, SaleCorrected) == []
    assert [one.quantity_ml for one in bench.site.desk.book.snapshot()] == [10_000]


def test_the_end_says_what_came_back_and_what_did_not(bench: Bench, past: Past) -> None:
    past.found = Outcome(4, (6, 9), 12_000, True)
    bench.wait(3_000)
    bench.do(page(last=12))
    fact = ended(bench)
    assert (fact.returned, fact.quantity_ml, fact.unknown, fact.first_unknown) == (2, 12_000, 6, 5)
    assert detail(bench) == "rows were lost; 2 sales came back from the host, 12000 ml; 6 numbers from 5 on are unknown there too"
    assert FaultCode.STORAGE_DAMAGED.value in bench.faults(), "only people end it"


# --- what the host only holds ------------------------------------------------------------------------------------------------------


def test_a_hold_where_nothing_flowed_is_completed_with_nothing(bench: Bench) -> None:
    (fact,), sent, end = settle(bench, hold(5))
    assert (fact.quantity_ml, fact.found, sent, end.held, end.unknown) == (0, True, ["T-1-5/complete"], (), 0)
    assert len(bench.site.desk.book) == 0


def test_a_hold_whose_pump_tells_the_fuel_is_completed_with_it_and_marked(bench: Bench, past: Past) -> None:
    past.found = Outcome(4, (), 0, True, {(1, 1): 7_000}, {(1, 1): 150_000}, frozenset({"fp 1 nozzle 1"}))
    bench.site.desk.raise_fault(FaultCode.UNATTRIBUTED_DELIVERY, "fp 1 nozzle 1", "7000 ml")
    (fact,), sent, end = settle(bench, hold(5))
    assert (fact.quantity_ml, fact.value_minor, fact.product, fact.total_start_ml, fact.total_end_ml) == (
        7_000,
        1_210,
        "GAZOLE",
        143_000,
        150_000,
    )
    assert (fact.extra.marks, sent, end.held) == (("RESTORED",), ["T-1-5/complete"], ())
    assert [one.quantity_ml for one in bench.site.desk.book.snapshot()] == [7_000]
    assert FaultCode.UNATTRIBUTED_DELIVERY.value not in bench.faults(), "its sale has come back"


DOUBTS = {
    "the loss is not exact": (Outcome(4, (), 0, False, {}, {}), (hold(5),), 5),
    "two nozzles": (Outcome(4, (), 0, True, {(1, 1): 7_000, (1, 2): 10}, {(1, 1): 1, (1, 2): 1}), (hold(5),), 5),
    "another nozzle": (Outcome(4, (), 0, True, {(1, 3): 7_000}, {(1, 3): 9_000}), (hold(5),), 5),
    "a number that nobody has": (Outcome(4, (), 0, True, {(1, 1): 7_000}, {(1, 1): 9_000}), (hold(6),), 6),
    "more than was allowed": (Outcome(4, (), 0, True, {(1, 1): 7_000}, {(1, 1): 9_000}), (hold(5, quantity_ml=6_999),), 5),
    "less than nothing": (Outcome(4, (), 0, True, {(1, 1): -10}, {(1, 1): 9_000}), (hold(5),), 5),
    "a totaliser that was never read": (Outcome(4, (), 0, True, unsure=frozenset({(1, 1)})), (hold(5),), 5),
    "two at one point": (Outcome(4, (), 0, True, {(1, 1): 7_000}, {(1, 1): 9_000}), (hold(5), hold(6)), 6),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_hold_of_which_nobody_can_be_sure_stays_and_is_told(bench: Bench, past: Past, doubt: str) -> None:
    past.found, holds, last = DOUBTS[doubt]
    facts, sent, end = settle(bench, *holds, last=last)
    assert (facts, sent) == ([], [])
    assert end.held == tuple(one.fact.sale for one in holds)
    assert holds[0].fact.sale in detail(bench)


def test_fuel_is_nobodys_where_the_terminal_may_have_served_others_alone(past: Past) -> None:
    """The host never heard of a sale offline, so the fuel may be another driver's."""
    past.found = Outcome(4, (), 0, True, {(1, 1): 7_000}, {(1, 1): 150_000})
    facts, sent, end = settle(opened(past, Policy()), hold(5))
    assert (facts, sent, end.held) == ([], [], ("T-1-5",))


def test_a_pump_that_is_not_read_is_waited_for_and_not_for_ever(past: Past) -> None:
    bench, _ = silent(past)
    bench.do(page(holds=(hold(5),)))
    assert records(bench.wait(2_000 * MOST_LOOKS - 1_000), ReturnSettled) == []
    (end,) = records(bench.wait(3_000), ReturnSettled)
    assert end.held == ("T-1-5",)


def test_a_pump_that_is_read_late_still_counts(past: Past) -> None:
    bench, points = silent(past)
    bench.do(page(holds=(hold(5),)))
    assert records(bench.wait(10_000), ReturnSettled) == []
    for fp in points:
        bench.survey(fp)
    (end,) = records(bench.wait(3_000), ReturnSettled)
    assert end.held == ()


@pytest.mark.parametrize(
    ("epoch", "last", "first"),
    [
        (2, 0, 1_000_001),
        (2, 42, 1_000_001),
        (3, 42, 2_000_001),
        (3, 1_000_007, 2_000_001),
        (2, 999_990, 2_000_001),
        (2, 900_000, 1_000_001),
    ],
)
def test_an_epoch_begins_far_enough_behind_what_may_have_been_lost(epoch: int, last: int, first: int) -> None:
    assert first_of(epoch, last) == first
    assert may_begin(first)
    assert first - last > 100_000
