"""Sales that were open where the ledger lost rows: ended by what the host has, by totalisers that stand still, or left to people."""

from __future__ import annotations

import pytest

from terminal.core.account_book import SaleUse, UseState
from terminal.core.effects import FetchSales
from terminal.core.facts import Policy
from terminal.core.ids import SaleId
from terminal.core.records import NozzleRef, SaleCorrected, SaleEnded
from terminal.core.returned_record import ReturnSettled, SaleReturned
from terminal.core.returned_sales import BackSale, Outcome
from terminal.core.sale import Sale, SaleState
from terminal.core.units import UtcMs
from tests.machines.return_kit import CARD, ONLINE, Past, asked, detail, ended, hold, opened, page, sale, settle
from tests.machines.site_kit import MIDNIGHT, Bench, messages, names, records


@pytest.fixture
def past() -> Past:
    return Past()


def left_open(sequence: int, fp: int = 1) -> Sale:
    """A sale of which the ledger has the beginning only."""
    return Sale(
        id=SaleId(f"T-1-{sequence}"), epoch=1, sequence=sequence, side=1, fp=fp, card=CARD, account="aa" * 16, customer="C1",
        pin_verified=False, prompts=(), nozzles=(NozzleRef(1, "GAZOLE", 17290), NozzleRef(2, "SP95", 18590)), wish_ml=None, wish_minor=None,
        asked_host=False, authorized_at=MIDNIGHT, list_version=1, hold_ml=60_000, hold_minor=10_374, hold_products=("GAZOLE",),
        state=SaleState.IN_DOUBT, decided_by="offline", nozzle=1, product="GAZOLE", price=17290, total_start_ml=140_000,
    )  # fmt: skip


def uses(bench: Bench) -> dict[str, tuple[int, UseState]]:
    return {one.sale: (one.quantity_ml, one.state) for one in bench.site.desk.book.snapshot()}


def test_what_the_host_has_booked_of_it_is_its_end(past: Past) -> None:
    bench = opened(past, Policy(), left_open(5))
    assert uses(bench) == {"T-1-5": (60_000, UseState.IN_DOUBT)}
    bench.wait(3_000)
    effects = bench.do(page(BackSale(sale(5, 8_000)), BackSale(sale(6, 1_000))))
    assert [fact.sequence for fact in records(effects, SaleReturned)] == [5, 6]
    assert messages(effects) == []
    assert uses(bench) == {"T-1-5": (8_000, UseState.DELIVERED), "T-1-6": (1_000, UseState.DELIVERED)}
    assert bench.site.desk.exposure.of("aa" * 16, "C1").terminal.count == 0
    assert ended(bench).doubtful == ()


def test_what_people_settled_of_it_is_written_down_before_it(past: Past) -> None:
    """So that the host's word, which comes once more, is known."""
    made = SaleCorrected(0, "K1", SaleId("T-1-5"), "settle", 8_000, 1_383, None, None, (), "measured", 0)
    bench = opened(past, Policy(), left_open(5))
    bench.wait(3_000)
    effects = bench.do(page(BackSale(sale(5, 8_000), (made,))))
    assert names(effects, "SaleCorrected", "SaleReturned") == ["SaleCorrected", "SaleReturned"]
    assert uses(bench) == {"T-1-5": (8_000, UseState.DELIVERED)}


def test_where_no_fuel_is_without_a_sale_it_took_nothing(past: Past) -> None:
    past.found = Outcome(5, (), 0, True, {(1, 1): 0}, left_open=frozenset({"T-1-5"}))
    bench = opened(past, Policy(), left_open(5))
    bench.wait(3_000)
    bench.do(page())
    effects = bench.wait(3_000)
    (fact,) = records(effects, SaleEnded)
    (end,) = records(effects, ReturnSettled)
    assert (fact.sale, messages(effects), end.doubtful, end.held) == ("T-1-5", ["T-1-5/advice"], (), ())
    assert uses(bench) == {}


OPEN = frozenset({"T-1-5"})
STAYS = {
    "fuel without a sale": Outcome(5, (), 0, True, {(1, 1): 7_000}, {(1, 1): 150_000}, left_open=OPEN),
    "fuel at another nozzle": Outcome(5, (), 0, True, {(1, 2): 7_000}, {(1, 2): 150_000}, left_open=OPEN),
    "less than nothing": Outcome(5, (), 0, True, {(1, 1): -10}, left_open=OPEN),
    "the loss is not exact": Outcome(5, (), 0, False, left_open=OPEN),
    "in doubt before the loss": Outcome(5, (), 0, True),
    "a totaliser that was never read": Outcome(5, (), 0, True, unsure=frozenset({(1, 1)}), left_open=OPEN),
}


@pytest.mark.parametrize("why", STAYS)
@pytest.mark.parametrize("held", [False, True])
def test_else_it_stays_in_doubt_and_is_told(past: Past, why: str, held: bool) -> None:
    past.found = STAYS[why]
    bench = opened(past, Policy(), left_open(5))
    facts, sent, end = settle(bench, *([hold(5)] if held else []), last=5)
    assert (facts, sent, end.doubtful, end.held) == ([], [], ("T-1-5",), ("T-1-5",) if held else ())
    assert uses(bench) == {"T-1-5": (60_000, UseState.IN_DOUBT)}
    assert ("1 still held there, first T-1-5" in detail(bench)) is held
    assert ("1 in doubt here, first T-1-5" in detail(bench)) is not held


def test_a_hold_of_it_where_nothing_flowed_is_completed_with_nothing(past: Past) -> None:
    past.found = Outcome(5, (), 0, True, left_open=OPEN)
    (fact,), sent, end = settle(opened(past, Policy(), left_open(5)), hold(5))
    assert (fact.quantity_ml, sent, end.held, end.doubtful) == (0, ["T-1-5/complete"], (), ())
    assert uses(past.bench or Bench()) == {}


def test_fuel_is_not_a_holds_where_another_sale_was_left_open(past: Past) -> None:
    past.found = Outcome(5, (), 0, True, {(1, 1): 7_000}, {(1, 1): 150_000}, left_open=OPEN)
    facts, sent, end = settle(opened(past, ONLINE, left_open(5)), hold(6))
    assert (facts, sent, end.held, end.doubtful) == ([], [], ("T-1-6",), ("T-1-5",))


def test_a_page_of_which_nothing_is_taken_does_not_come_again(past: Past) -> None:
    """Behind a sale that was left open there may be many that are here."""
    past.known["T-1-6"] = SaleUse("T-1-6", 6, "aa", None, "GAZOLE", 10_000, 1_729, UtcMs(MIDNIGHT), UseState.DELIVERED)
    bench = opened(past, Policy(), left_open(5))
    bench.wait(3_000)
    assert records(bench.do(page(BackSale(sale(6)), more=True)), SaleReturned) == []
    assert asked(bench, 100) == [FetchSales(1, 6)]
    assert records(bench.do(page(BackSale(sale(7)), after=6)), SaleReturned) == [sale(7)]
