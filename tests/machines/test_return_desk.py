"""Sales that come back from the host: asked for behind a loss, taken once, counted once, and what cannot be taken is said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from terminal.core.account_book import SaleUse, UseState
from terminal.core.corrections import NoPast
from terminal.core.effects import FetchSales
from terminal.core.events import HostTrouble
from terminal.core.facts import Cap, ExposureCaps, Policy
from terminal.core.faults import FaultCode
from terminal.core.ids import Minting, SaleId
from terminal.core.records import MediumRef, NozzleRef, SaleCorrected, SaleEnded, Unattributed
from terminal.core.return_desk import MOST_LOOKS
from terminal.core.returned_record import ReturnSettled, SaleReturned, first_of, may_begin
from terminal.core.returned_sales import BackHold, BackSale, Missing, Outcome, SalesBack, SalesBackFailed
from terminal.core.sale import Sale, SaleState
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, messages, names, records

FIRST = 1_000_001
ONLINE = Policy(exposure=ExposureCaps(terminal=Cap(count=0)))
"""Of a terminal that decides nothing alone: there can be no fuel of sales that the host never heard of."""
CARD = MediumRef("aa" * 16, "E5F6", "badge", "T0", "QUJD")


def sale(sequence: int, volume_ml: int = 10_000, **changes: object) -> SaleReturned:
    """A sale of fuelling point 1, nozzle 1, that began where the one before ended."""
    good = SaleReturned(
        sale=SaleId(f"T-1-{sequence}"), epoch=1, sequence=sequence, fp=1, nozzle=1, card=CARD, account="aa" * 16, customer="C1",
        pin_verified=False, prompts=(), product="GAZOLE", price=17290, quantity_ml=volume_ml, value_minor=volume_ml * 17290 // 100_000,
        decided_by="host", authorization="A1", authorized_at=MIDNIGHT, ended_at=MIDNIGHT, end="nozzle",
        total_start_ml=100_000 + sequence * 10_000, total_end_ml=100_000 + sequence * 10_000 + volume_ml, clock="trusted", list_version=1,
    )  # fmt: skip
    return replace(good, **changes)  # type: ignore[arg-type]


def hold(sequence: int, *, quantity_ml: int | None = 60_000) -> BackHold:
    nothing = sale(sequence, 0, nozzle=None, product=None, price=None, total_start_ml=None, total_end_ml=None, end="power", found=True)
    return BackHold(nothing, (NozzleRef(1, "GAZOLE", 17290), NozzleRef(2, "SP95", 18590)), quantity_ml, None)


@dataclass
class Past(NoPast):
    """A ledger that knows sales up to number 4 and says what the test lays down."""

    asked: Missing | None = field(default_factory=lambda: Missing(1, 4, 2, FIRST))
    found: Outcome = field(default_factory=lambda: Outcome(4, (), 0, True))
    known: dict[str, SaleUse] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    corrections: set[str] = field(default_factory=set)
    bench: Bench | None = None

    def missing(self) -> Missing | None:
        steps = [] if self.bench is None else self.bench.steps
        return None if any(records(step, ReturnSettled) for step in steps) else self.asked

    def outcome(self, missing: Missing) -> Outcome:
        return self.found

    def use(self, sale: str) -> SaleUse | None:
        return self.known.get(sale)

    def has_correction(self, name: str) -> bool:
        return name in self.corrections

    def number_taken(self, sequence: int) -> bool:
        return sequence in self.taken


def opened(past: Past, policy: Policy = ONLINE, *left_open: Sale) -> Bench:
    """A station that has lost rows, with the host there. ``left_open``: sales in doubt."""
    bench = Bench(policy=policy)
    bench.recovered.open_sales = list(left_open)
    bench.recovered.uses = [one.held() for one in left_open]
    bench.recovered.unanswered = list(bench.recovered.uses)
    bench.recovered.minting = Minting("T", 2, FIRST)
    bench.recovered.past = past
    bench.recovered.faults[FaultCode.STORAGE_DAMAGED, "ledger"] = "rows are lost"
    bench.__post_init__()
    past.bench = bench
    bench.open()
    return bench


def silent(past: Past) -> tuple[Bench, tuple[int, ...]]:
    """The same, where no pump has answered yet; its points."""
    bench = Bench()
    bench.recovered.minting = Minting("T", 2, FIRST)
    bench.recovered.past = past
    bench.__post_init__()
    past.bench = bench
    points, bench.points = bench.points, ()
    bench.open()
    bench.wait(3_000)
    return bench, points


@pytest.fixture
def past() -> Past:
    return Past()


@pytest.fixture
def bench(past: Past) -> Bench:
    return opened(past)


def page(*sales: BackSale, after: int = 4, last: int | None = None, more: bool = False, holds: tuple[BackHold, ...] = ()) -> SalesBack:
    newest = max([one.fact.sequence for one in sales] + [one.fact.sequence for one in holds], default=after)
    return SalesBack(1, after, newest if last is None else last, more, sales, holds, UtcMs(MIDNIGHT + 13 * 3_600_000))


def detail(bench: Bench) -> str:
    return bench.site.desk.faults.active.get((FaultCode.STORAGE_DAMAGED, "ledger"), "")


def asked(bench: Bench, ms: int) -> list[FetchSales]:
    return [effect for effect in bench.wait(ms) if isinstance(effect, FetchSales)]


def ended(bench: Bench) -> ReturnSettled:
    """How it ended, within the time that pumps are waited for."""
    (fact,) = records(bench.wait(2_000 * (MOST_LOOKS + 1)), ReturnSettled)
    return fact


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


def settle(bench: Bench, *holds: BackHold, last: int | None = None) -> tuple[list[SaleReturned], list[str], ReturnSettled]:
    """The last page has these holds: what is taken of them, the messages for the host, and the end."""
    bench.wait(3_000)
    bench.do(page(holds=holds, last=last))
    effects = bench.wait(2_000 * (MOST_LOOKS + 1))
    (end,) = records(effects, ReturnSettled)
    return records(effects, SaleReturned), messages(effects), end


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


# --- what was left open ------------------------------------------------------------------------------------------------------------


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
