"""Corrections of the host: written once, counted once, at once, and what cannot be is told so. (features.md F48.)"""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.events import PumpStatus
from terminal.core.account_book import SaleUse, UseState
from terminal.core.corrections import NoPast
from terminal.core.effects import AckEvent, Effect, Persist
from terminal.core.events import AckFailed, HostTrouble, PushUp
from terminal.core.host_events import CorrectionKind, CorrectionPushed, EventUnusable
from terminal.core.ids import Minting, SaleId
from terminal.core.internal_events import SaleDoubted
from terminal.core.records import EventPassed, SaleCorrected, SaleDelivered, SaleEnded
from terminal.core.sale import SaleState
from terminal.core.site import Recovered
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, messages, names, records, token_of


def correction(sale: str, kind: str = "cancel", event: int = 1, name: str = "K1", **more: object) -> CorrectionPushed:
    plain = CorrectionPushed(event, name, sale, CorrectionKind(kind), None, None, None, None, (), "said by the test")
    return replace(plain, **more)  # type: ignore[arg-type]


def acks(effects: list[Effect]) -> list[AckEvent]:
    return [effect for effect in effects if isinstance(effect, AckEvent)]


def counts(bench: Bench, sale: str) -> tuple[int, int] | None:
    use = bench.site.desk.book.get(sale)
    return None if use is None else (use.quantity_ml, use.value_minor)


class KnownPast(NoPast):
    """What a ledger would find of sales that the book has not."""

    def __init__(self, *uses: SaleUse, made: tuple[str, ...] = ()) -> None:
        self.uses = {use.sale: use for use in uses}
        self.made = made

    def use(self, sale: str) -> SaleUse | None:
        return self.uses.get(sale)

    def has_correction(self, name: str) -> bool:
        return name in self.made

    def hash_at(self, row: int) -> str | None:
        return None


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open(host=False)
    bench.add_card("A")
    bench.add_card("B", customer="C2")
    bench.lists.customers["C2"] = bench.lists.customers["C1"]
    return bench


@pytest.fixture
def sale(bench: Bench) -> SaleId:
    """20 L for 34.58 that were delivered offline."""
    sold = bench.arm("A")
    bench.deliver()
    assert counts(bench, sold) == (20_000, 3_458)
    return sold


def test_a_cancelled_sale_counts_nothing_and_is_written_before_it_is_acknowledged(bench: Bench, sale: SaleId) -> None:
    effects = bench.do(correction(sale))
    (fact,) = records(effects, SaleCorrected)
    assert (fact.event, fact.correction, fact.sale, fact.kind) == (1, "K1", sale, "cancel")
    assert fact.effective_at == bench.site.desk.utc(bench.now)
    assert counts(bench, sale) is None
    assert bench.site.desk.exposure.get(sale) is None
    assert acks(effects) == [AckEvent(1, fact.effective_at)]
    assert isinstance(effects[0], Persist)
    assert messages(effects) == [], "its record stands as it was sent"


def test_a_refund_gives_back_so_much_and_several_add_up(bench: Bench, sale: SaleId) -> None:
    bench.do(correction(sale, "refund", quantity_ml=5_000, value_minor=865))
    assert counts(bench, sale) == (15_000, 2_593)
    exposed = bench.site.desk.exposure.get(sale)
    assert exposed is not None
    assert exposed.quantity_ml == 15_000
    bench.do(correction(sale, "refund", 2, "K2", quantity_ml=0, value_minor=2_593))
    assert counts(bench, sale) == (15_000, 0)
    effects = bench.do(correction(sale, "refund", 3, "K3", quantity_ml=15_001, value_minor=0))
    (passed,) = records(effects, EventPassed)
    assert passed.refused
    assert "more than what counts" in passed.why
    assert counts(bench, sale) == (15_000, 0)


def test_an_amended_sale_moves_to_the_other_account_and_customer(bench: Bench, sale: SaleId) -> None:
    bench.do(correction(sale, "amend", account=token_of("B"), customer="C2", prompts=(("ODOMETER", "123"),)))
    use = bench.site.desk.book.get(sale)
    assert use is not None
    assert (use.account, use.customer, use.quantity_ml) == (token_of("B"), "C2", 20_000)


def test_amended_prompts_are_written_and_count_nothing(bench: Bench, sale: SaleId) -> None:
    before = bench.site.desk.book.get(sale)
    (fact,) = records(bench.do(correction(sale, "amend", prompts=(("ODOMETER", "123"),))), SaleCorrected)
    assert fact.prompts == (("ODOMETER", "123"),)
    assert bench.site.desk.book.get(sale) == before


@pytest.mark.parametrize("event", [1, 2])
def test_a_correction_counts_once_also_under_another_event(bench: Bench, sale: SaleId, event: int) -> None:
    first = correction(sale, "refund", quantity_ml=5_000, value_minor=865)
    (ack,) = acks(bench.do(first))
    bench.wait(10_000)
    effects = bench.do(replace(first, event=event))
    assert records(effects, SaleCorrected) == []
    (passed,) = records(effects, EventPassed)
    assert not passed.refused
    (again,) = acks(effects)
    assert again.refused is None
    assert again == ack or event == 2, "the same event has the same instant for ever"
    assert counts(bench, sale) == (15_000, 2_593)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (correction("T-1-99"), "no such sale"),
        (correction("U-1-1"), "no such sale"),
        (correction("", "refund"), "a refund needs both amounts"),
        (correction("", "refund", quantity_ml=1), "a refund needs both amounts"),
        (correction("", "settle", quantity_ml=1, value_minor=1), "the sale is not in doubt"),
        (correction("", "amend"), "nothing is amended"),
        (correction("", "amend", customer="C2"), "a customer without an account"),
    ],
)
def test_what_cannot_be_is_written_told_as_refused_and_changes_nothing(
    bench: Bench, sale: SaleId, asked: CorrectionPushed, why: str
) -> None:
    effects = bench.do(asked if asked.sale else replace(asked, sale=sale))
    (passed,) = records(effects, EventPassed)
    assert (passed.event, passed.refused) == (1, True)
    assert why in passed.why
    (ack,) = acks(effects)
    assert ack.refused == passed.why
    assert counts(bench, sale) == (20_000, 3_458)
    assert acks(bench.do(AckFailed(1, HostTrouble.TIMED_OUT, "slow"), PushUp())) == [ack], "said again, with its cause"


@pytest.mark.parametrize("kind", ["cancel", "refund", "amend"])
def test_an_open_sale_is_not_corrected(bench: Bench, kind: str) -> None:
    sale = bench.arm("A")
    amount = 1 if kind == "refund" else None
    (passed,) = records(bench.do(correction(sale, kind, quantity_ml=amount, value_minor=amount)), EventPassed)
    assert "has not ended" in passed.why
    assert bench.sale(sale).state is SaleState.AUTHORIZED


# --- a sale in doubt --------------------------------------------------------------------------------------------------------------


def doubted(bench: Bench) -> SaleId:
    """Its totaliser was exchanged and its record is gone; the point serves on."""
    sale = bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    bench.read(1, bench.status(1, PumpStatus.RESET), totals=10)
    assert bench.sale(sale).state is SaleState.IN_DOUBT
    return sale


def test_a_settled_sale_is_delivered_with_these_amounts_and_its_point_is_left_alone(bench: Bench) -> None:
    sale = doubted(bench)
    other = bench.arm("B")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    effects = bench.do(correction(sale, "settle", quantity_ml=12_500, value_minor=2_161))
    assert names(effects, "SaleCorrected", "SaleDelivered", "advice") == ["SaleCorrected", "SaleDelivered", "advice"]
    (fact,) = records(effects, SaleDelivered)
    assert (fact.volume_ml, fact.amount_minor, fact.total_end_ml, fact.end) == (12_500, 2_161, None, "fault")
    assert counts(bench, sale) == (12_500, 2_161)
    assert bench.state(1) == "FUELLING"
    assert bench.site.points[1].sale == other
    assert len(acks(effects)) == 1


def test_a_sale_settled_at_nothing_ends_empty(bench: Bench) -> None:
    sale = doubted(bench)
    effects = bench.do(correction(sale, "settle", quantity_ml=0, value_minor=0))
    assert [fact.sale for fact in records(effects, SaleEnded)] == [sale]
    assert counts(bench, sale) is None
    (passed,) = records(bench.do(correction(sale, "settle", 2, "K2", quantity_ml=1, value_minor=1)), EventPassed)
    assert "not in doubt" in passed.why


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (correction("", "settle", quantity_ml=0, value_minor=5), "money for no fuel"),
        (correction("", "settle", quantity_ml=5), "needs both amounts"),
        (correction("", "cancel"), "must be settled first"),
    ],
)
def test_a_doubt_is_not_ended_by_half_a_word(bench: Bench, asked: CorrectionPushed, why: str) -> None:
    sale = doubted(bench)
    (passed,) = records(bench.do(replace(asked, sale=sale)), EventPassed)
    assert why in passed.why
    assert bench.sale(sale).state is SaleState.IN_DOUBT


def test_fuel_of_a_sale_that_was_left_open_before_its_release_is_refused_and_nothing_is_not(bench: Bench) -> None:
    """A loss of rows has left it (core/left_open.py): a record of fuel without its nozzle would be refused by the host."""
    sale = bench.arm("A")
    bench.do(SaleDoubted(sale, "rows are lost"))
    assert bench.sale(sale).state is SaleState.IN_DOUBT
    (passed,) = records(bench.do(correction(sale, "settle", quantity_ml=12_500, value_minor=2_161)), EventPassed)
    assert "at which nozzle is not known here" in passed.why
    effects = bench.do(correction(sale, "settle", 2, "K2", quantity_ml=0, value_minor=0))
    assert [fact.sale for fact in records(effects, SaleEnded)] == [sale]


# --- the past -----------------------------------------------------------------------------------------------------------------------


def test_a_sale_older_than_the_book_is_corrected_by_the_ledger_s_word() -> None:
    old = SaleUse("T-1-3", 3, "acc", None, "GAZOLE", 9_000, 1_500, UtcMs(0), UseState.DELIVERED)
    bench = Bench(recovered=Recovered(Minting("T", 1, 10), past=KnownPast(old, made=("K0",)))).open()
    (fact,) = records(bench.do(correction("T-1-3", "refund", quantity_ml=9_000, value_minor=1_500)), SaleCorrected)
    assert fact.sale == "T-1-3"
    assert counts(bench, "T-1-3") is None, "no window is so long"
    (passed,) = records(bench.do(correction("T-1-3", "refund", 2, "K2", quantity_ml=9_001, value_minor=0)), EventPassed)
    assert "9000 ml" in passed.why
    (passed,) = records(bench.do(correction("T-1-3", event=3, name="K0")), EventPassed)
    assert not passed.refused, "made in an earlier run"


def test_a_refusal_that_was_not_told_is_told_after_a_restart() -> None:
    known = Recovered(Minting("T", 1, 1), last_event=4, unacknowledged={4: 77}, event_refusals={4: "no such sale"})
    assert AckEvent(4, 77, "no such sale") in Bench(recovered=known).boot()


def test_an_event_that_cannot_be_read_is_told_as_refused(bench: Bench) -> None:
    effects = bench.do(EventUnusable(7, "correction: kind"))
    (passed,) = records(effects, EventPassed)
    assert (passed.event, passed.refused) == (7, True)
    assert [ack.refused for ack in acks(effects)] == ["correction: kind"]
    assert bench.site.push.last_event == 7
