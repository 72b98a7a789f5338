"""Prices: written down first, in force between two sales, told to heads at rest, read back; nothing released while they differ. (F38.)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, SetPrices
from drivers.events import CommandFailed, NozzleLifted, PricesReported, PumpLineLost, PumpStatus
from terminal.core.card_data import HostDecision, Nozzle
from terminal.core.effects import AckEvent, AskHost, Effect
from terminal.core.events import PriceStartDue, ProbeAnswered
from terminal.core.ids import Minting
from terminal.core.price_records import NozzlePrice, PriceSet, PricesPlanned, PricesTaken
from terminal.core.prices import MOST_PLANNED, PriceMemory, PriceRow, PricesPushed
from terminal.core.records import EventPassed, SaleReleased, TerminalStarted
from terminal.core.site import Recovered
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, names, records, screen, sends

HOUR = 3_600_000


def word(event: int, version: int, *rows: PriceRow, starts_at: int | None = None, confirm: bool = False) -> PricesPushed:
    return PricesPushed(event, version, starts_at, rows or (PriceRow("GAZOLE", 17_990),), confirm)


def acks(effects: list[Effect]) -> list[AckEvent]:
    return [effect for effect in effects if isinstance(effect, AckEvent)]


def refusal(effects: list[Effect]) -> str:
    (passed,) = records(effects, EventPassed)
    assert passed.refused
    assert [ack.refused for ack in acks(effects)] == [passed.why]
    return passed.why


def prices(bench: Bench, fp: int = 1) -> tuple[int, ...]:
    return bench.site.points[fp].config.prices


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open(host=False)
    bench.add_card("A")
    bench.add_card("B")
    return bench


# --- the beginning --------------------------------------------------------------------------------------------------------------


def test_the_first_start_writes_the_configurations_prices_and_later_ones_read_the_ledgers() -> None:
    first = Bench()
    facts = records(first.boot(), PriceSet)
    assert [(fact.fp, fact.nozzle, fact.price, fact.version) for fact in facts] == [
        (1, 1, 17_290, 0), (1, 2, 18_590, 0), (2, 1, 17_290, 0), (2, 2, 18_590, 0),
    ]  # fmt: skip
    known = {(1, 1): PriceSet(1, 1, "GAZOLE", 19_990, 7, 5), (1, 2): PriceSet(1, 2, "DIESEL", 1, 7, 5)}
    later = Bench(points=(1,), recovered=Recovered(Minting("T", 1, 1), prices=PriceMemory(known, [], 7)))
    (new,) = records(later.boot(), PriceSet)
    assert (new.nozzle, new.product, new.price, new.version) == (2, "SP95", 18_590, 0), "it sells something else than the ledger knows"
    assert prices(later) == (19_990, 18_590)


def test_a_head_is_told_its_prices_once_its_books_are_read_and_not_before() -> None:
    bench = Bench(points=(1,))
    bench.boot()
    effects = bench.survey(1, PumpStatus.COMPLETED, totals=100_000, fill=(0, 0))
    assert sends(effects, SetPrices) == []
    assert sends(effects, ConfirmFill) == [ConfirmFill(1)]
    assert sends(bench.status(1, PumpStatus.RESET), SetPrices) == [SetPrices(1, (17_290, 18_590))]


# --- in force -------------------------------------------------------------------------------------------------------------------


def test_a_change_is_written_put_in_force_told_and_acknowledged_in_one_step(bench: Bench) -> None:
    effects = bench.do(word(4, 1))
    now = bench.site.desk.utc(bench.now)
    assert records(effects, PricesPlanned)[0].prices == (NozzlePrice(1, 1, "GAZOLE", 17_990), NozzlePrice(2, 1, "GAZOLE", 17_990))
    assert records(effects, PriceSet) == [PriceSet(fp, 1, "GAZOLE", 17_990, 1, now) for fp in (1, 2)]
    assert records(effects, PricesTaken) == [PricesTaken(4, 1, now)]
    assert acks(effects) == [AckEvent(4, now)]
    assert sends(effects, SetPrices) == [SetPrices(1, (17_990, 18_590)), SetPrices(2, (17_990, 18_590))]
    assert names(effects).index("PriceSet") < names(effects).index("SetPrices")
    assert bench.site.push.last_event == 4
    assert bench.site.prices.state().in_force[0].shown == 17_990


@pytest.mark.parametrize("until", ["reserved", "armed", "fuelling"])
def test_a_sale_keeps_its_price_and_the_next_one_has_the_new_one(until: str) -> None:
    bench = Bench(points=(1,)).open()
    bench.add_card("A")
    bench.badge("A")
    (asked,) = [effect for effect in bench.keys("1#") if isinstance(effect, AskHost)]
    effects: list[Effect] = bench.do(word(1, 1)) if until == "reserved" else []
    bench.approve(asked.sale)
    effects += bench.do(word(1, 1)) if until == "armed" else []
    released = records(bench.lift(1), SaleReleased)
    effects += bench.do(word(1, 1)) if until == "fuelling" else []
    assert [fact.price for fact in released] == [17_290]
    assert (records(effects, PriceSet), sends(effects, SetPrices), acks(effects)) == ([], [], [])
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=120_000, fill=(20_000, 3_458))
    assert [fact.price for fact in records(effects, PriceSet)] == [17_990], "the sale is over: its price may go"
    assert len(acks(effects)) == 1
    assert sends(effects, SetPrices) == [], "and the head keeps a record that nobody has confirmed"
    assert sends(bench.status(1, PumpStatus.RESET), SetPrices) == [SetPrices(1, (17_990, 18_590))]


def test_a_start_is_waited_for_by_the_terminals_own_time(bench: Bench) -> None:
    now = bench.site.desk.utc(bench.now)
    effects = bench.do(word(1, 1, starts_at=now + 3 * HOUR))
    assert len(records(effects, PricesPlanned)) == 1
    assert (records(effects, PriceSet), acks(effects)) == ([], [])
    assert [one.version for one in bench.site.prices.state().planned] == [1]
    assert records(bench.wait(3 * HOUR - 1), PriceSet) == []
    effects = bench.wait(1)
    assert {fact.effective_at for fact in records(effects, PriceSet)} == {now + 3 * HOUR}
    assert acks(effects) == [AckEvent(1, now + 3 * HOUR)]


def test_a_terminal_that_does_not_know_the_time_waits_until_it_does() -> None:
    bench = Bench()
    bench.boot()
    assert records(bench.do(word(1, 1, starts_at=MIDNIGHT)), PriceSet) == []
    assert len(records(bench.do(ProbeAnswered(UtcMs(MIDNIGHT + HOUR))), PriceSet)) == 2


def test_a_change_that_began_while_the_terminal_was_off_is_in_force_before_anything_else() -> None:
    change = PricesPlanned(3, 2, MIDNIGHT, (NozzlePrice(1, 1, "GAZOLE", 17_990),))
    known = {(1, 1): PriceSet(1, 1, "GAZOLE", 17_290, 1, 5), (1, 2): PriceSet(1, 2, "SP95", 18_590, 1, 5)}
    memory = Recovered(Minting("T", 1, 1), prices=PriceMemory(known, [change], 2), clock_floor=UtcMs(MIDNIGHT + 1))
    bench = Bench(points=(1,), recovered=memory)
    effects = bench.boot()
    assert names(effects, "TerminalStarted", "PriceSet", "PricesTaken") == ["TerminalStarted", "PriceSet", "PricesTaken"]
    assert records(effects, TerminalStarted)
    assert acks(effects) == [AckEvent(3, MIDNIGHT + 1)]


# --- versions -------------------------------------------------------------------------------------------------------------------


def test_nothing_goes_back_to_an_earlier_version(bench: Bench) -> None:
    now = bench.site.desk.utc(bench.now)
    bench.do(word(1, 5, starts_at=now + HOUR), word(2, 6, PriceRow("GAZOLE", 17_590)))
    effects = bench.wait(HOUR)
    assert records(effects, PriceSet) == []
    (taken,) = records(effects, PricesTaken)
    assert (taken.version, taken.refused is not None) == (5, True)
    assert acks(effects)[0].refused == taken.refused
    assert prices(bench) == (17_590, 18_590)
    assert "not above 6" in refusal(bench.do(word(3, 4)))


def test_an_earlier_start_that_is_announced_later_is_waited_for(bench: Bench) -> None:
    now = bench.site.desk.utc(bench.now)
    bench.do(word(1, 1, starts_at=now + 10 * HOUR))
    bench.do(word(2, 2, starts_at=now + HOUR // 10))
    assert bench.due[PriceStartDue()] - bench.now == HOUR // 10
    bench.wait(HOUR // 10)
    assert prices(bench)[0] == 17_990
    assert bench.due[PriceStartDue()] > bench.now


def test_a_later_start_of_a_later_version_leaves_the_earlier_its_time(bench: Bench) -> None:
    now = bench.site.desk.utc(bench.now)
    bench.do(word(1, 1, starts_at=now + HOUR), word(2, 2, PriceRow("GAZOLE", 18_490), starts_at=now + 2 * HOUR))
    bench.wait(HOUR)
    assert prices(bench) == (17_990, 18_590)
    bench.wait(HOUR)
    assert prices(bench) == (18_490, 18_590)


def test_the_same_once_more_is_known_and_other_prices_under_a_known_version_are_refused(bench: Bench) -> None:
    now = bench.site.desk.utc(bench.now)
    bench.do(word(1, 1), word(2, 2, starts_at=now + HOUR))
    assert records(bench.do(word(2, 2, starts_at=now + HOUR)), EventPassed) == [], "it waits, and is acknowledged when it is in force"
    assert "something else" in refusal(bench.do(word(3, 2, PriceRow("GAZOLE", 18_000), starts_at=now + HOUR)))
    (again,) = records(bench.do(word(4, 1)), EventPassed)
    assert (again.refused, again.effective_at) == (False, now)
    assert "not above 2" in refusal(bench.do(word(5, 1, PriceRow("GAZOLE", 18_000))))


# --- what cannot be -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([PriceRow("KEROSINE", 17_990)], "not sold"),
        ([PriceRow("GAZOLE", 17_990, fp=9)], "not sold"),
        ([PriceRow("GAZOLE", 17_990, fp=1, nozzle=2)], "not sold"),
        ([PriceRow("GAZOLE", 17_990, nozzle=1)], "without its fuelling point"),
        ([PriceRow("GAZOLE", 0)], "above 0"),
        ([PriceRow("GAZOLE", -17_990)], "above 0"),
        ([PriceRow("GAZOLE", 10**12)], "digits"),
        ([PriceRow("GAZOLE", 22_500)], "not confirmed"),
        ([PriceRow("GAZOLE", 1_729)], "not confirmed"),
        ([PriceRow("GAZOLE", 17_990), PriceRow("GAZOLE", 17_980)], "two prices"),
        ([PriceRow("SP95", 18_990), PriceRow("GAZOLE", 0, fp=2)], "above 0"),
    ],
)
def test_what_cannot_be_is_refused_whole(bench: Bench, rows: list[PriceRow], why: str) -> None:
    effects = bench.do(word(1, 1, *rows))
    assert why in refusal(effects)
    assert records(effects, PricesPlanned) == []
    assert prices(bench) == (17_290, 18_590)
    assert records(bench.do(word(2, 1)), PriceSet), "and the version is free"


def test_the_narrowest_line_counts_and_a_confirmed_jump_is_a_price(bench: Bench) -> None:
    rows = PriceRow("GAZOLE", 22_500), PriceRow("GAZOLE", 22_000, fp=2), PriceRow("SP95", 18_690, fp=1, nozzle=2)
    bench.do(word(1, 1, *rows, confirm=True))
    assert (prices(bench, 1), prices(bench, 2)) == ((22_500, 18_690), (22_000, 18_590))


def test_a_start_in_two_years_and_a_hundred_plans_are_refused(bench: Bench) -> None:
    now = bench.site.desk.utc(bench.now)
    assert "year" in refusal(bench.do(word(1, 1, starts_at=now + 2 * 366 * 24 * HOUR)))
    for number in range(1, MOST_PLANNED + 1):
        bench.do(word(number, number, starts_at=now + number * HOUR))
    assert "wait for their starts" in refusal(bench.do(word(99, 99, starts_at=now + 99 * HOUR)))


# --- the head ---------------------------------------------------------------------------------------------------------------------


def liar(bench: Bench) -> list[Effect]:
    """The head takes the prices and goes on showing its own."""
    bench.answers_prices = False
    bench.do(word(1, 1))
    return bench.do(PricesReported(1, (17_290, None)), PricesReported(2, (17_990, None)))


def test_a_head_that_shows_another_price_is_told_again_and_its_driver_told_why(bench: Bench) -> None:
    liar(bench)
    assert bench.faults() >= {"PRICE_MISMATCH"}
    bench.arm("A")
    effects = bench.do(NozzleLifted(1, 1, 17_290))
    assert sends(effects, AuthorizeFuellingPoint) == []
    assert screen(effects)[1] == "its price is being"
    assert sends(bench.wait(10_000), SetPrices) != []
    effects = bench.do(PricesReported(1, (17_990, None)))
    assert [command.prices for command in sends(effects, AuthorizeFuellingPoint)] == [(17_990, 18_590)]
    assert "PRICE_MISMATCH" not in bench.faults()


def test_the_other_nozzle_of_such_a_head_is_served(bench: Bench) -> None:
    liar(bench)
    bench.arm("A")
    assert len(sends(bench.do(NozzleLifted(1, 2, 18_590)), AuthorizeFuellingPoint)) == 1


def test_a_point_whose_every_nozzle_shows_another_price_is_not_armed(bench: Bench) -> None:
    bench.answers_prices = False
    bench.do(word(1, 1, PriceRow("GAZOLE", 17_990), PriceRow("SP95", 18_990)), PricesReported(1, (17_290, 18_590)))
    bench.badge("A")
    assert screen(bench.keys("1#"))[1] == "Pump not available"


def test_a_head_that_says_nothing_is_told_three_times_and_then_somebody_is_told(bench: Bench) -> None:
    bench.answers_prices = False
    bench.do(word(1, 1))
    told = sends(bench.wait(45_000), SetPrices)
    assert len([command for command in told if command.fp == 1]) >= 2
    assert "PRICE_MISMATCH" in bench.faults()
    assert len(sends(bench.do(*(), PricesReported(1, (17_990, None)), PricesReported(2, (17_990, None))), SetPrices)) == 0
    assert "PRICE_MISMATCH" not in bench.faults()


def test_a_head_that_refuses_is_told_again_and_a_lost_line_is_no_matter_of_prices(bench: Bench) -> None:
    bench.answers_prices = False
    bench.do(word(1, 1), CommandFailed(1, "SetPrices", "the head has the price 17290, not 17990"))
    assert bench.faults() >= {"PRICE_MISMATCH"}
    assert "PUMP_COMMAND_FAILED" not in bench.faults()
    assert [command.fp for command in sends(bench.wait(10_000), SetPrices)].count(1) == 1
    bench.do(PricesReported(1, (17_990, None)), PumpLineLost(2, "unplugged"), CommandFailed(2, "SetPrices", "the position was lost"))
    assert "PRICE_MISMATCH" not in bench.faults()


def test_a_lost_pump_is_told_when_it_is_back_and_shows_no_mismatch_meanwhile(bench: Bench) -> None:
    bench.do(PumpLineLost(1, "unplugged"))
    effects = bench.do(word(1, 1))
    assert [fact.fp for fact in records(effects, PriceSet)] == [1, 2], "in force for whoever comes next"
    assert [command.fp for command in sends(effects, SetPrices)] == [2]
    assert [command.fp for command in sends(bench.wait(60_000), SetPrices)] == []
    assert "PRICE_MISMATCH" not in bench.faults()
    assert sends(bench.survey(1), SetPrices) == [SetPrices(1, (17_990, 18_590))]


def test_an_answer_to_older_prices_is_no_mismatch(bench: Bench) -> None:
    bench.answers_prices = False
    bench.do(word(1, 1))
    bench.do(word(2, 2, PriceRow("GAZOLE", 17_590)))
    effects = bench.do(PricesReported(1, (17_990, None)))
    assert "PRICE_MISMATCH" not in bench.faults()
    assert sends(effects, SetPrices) == [SetPrices(1, (17_590, 18_590))]


def test_a_price_that_goes_away_and_comes_back_waits_for_the_answer_to_the_newest_order() -> None:
    bench = Bench(answers_prices=False, products=(Nozzle(1, "GAZOLE", 17_290),), points=(1,)).open(host=False)
    bench.add_card("A")
    bench.do(PricesReported(1, (17_290,)))
    assert sends(bench.do(word(1, 1, PriceRow("GAZOLE", 18_000))), SetPrices) == [SetPrices(1, (18_000,))]
    bench.do(word(2, 2, PriceRow("GAZOLE", 17_290)))
    bench.arm("A")
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == [], "the head may show the other price by now"
    answered = bench.do(PricesReported(1, (18_000,)))
    assert (sends(answered, SetPrices), sends(answered, AuthorizeFuellingPoint)) == ([SetPrices(1, (17_290,))], [])
    assert len(sends(bench.do(PricesReported(1, (17_290,))), AuthorizeFuellingPoint)) == 1


def test_an_order_without_an_answer_is_not_forgotten_when_it_is_repeated() -> None:
    bench = Bench(answers_prices=False, products=(Nozzle(1, "GAZOLE", 17_290),), points=(1,)).open(host=False)
    bench.add_card("A")
    bench.do(PricesReported(1, (17_290,)))
    bench.do(word(1, 1, PriceRow("GAZOLE", 18_000)))
    bench.do(word(2, 2, PriceRow("GAZOLE", 17_290)))
    assert SetPrices(1, (17_290,)) in sends(bench.wait(15_000), SetPrices)
    bench.arm("A")
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []
    assert len(sends(bench.do(PricesReported(1, (17_290,))), AuthorizeFuellingPoint)) == 1


def test_an_answer_is_in_the_order_of_the_nozzles_whatever_their_numbers() -> None:
    bench = Bench(products=(Nozzle(2, "SP95", 18_590),), points=(1,)).open(host=False)
    assert bench.faults() & {"PRICE_MISMATCH"} == set()
    assert bench.site.prices.state().in_force[0].shown == 18_590


def test_a_decision_is_made_with_the_price_in_force() -> None:
    bench = Bench(points=(1,)).open()
    bench.add_card("A")
    bench.do(word(1, 1, PriceRow("GAZOLE", 20_000)))
    sale = bench.arm("A", decision=HostDecision.PARTIAL, value_minor=2_000)
    assert [(one.price, one.product) for one in bench.sale(sale).nozzles] == [(20_000, "GAZOLE"), (18_590, "SP95")]
    assert {one.product: one.quantity_ml for one in bench.sale(sale).allowed}["GAZOLE"] == 10_000


def _none(bench: Bench) -> None:
    """Nothing happens."""


@pytest.mark.parametrize("meanwhile", [_none, lambda bench: bench.do(word(1, 1, PriceRow("SP95", 18_690)))])
def test_a_price_is_never_told_to_a_head_that_keeps_an_unread_fill(meanwhile: Callable[[Bench], object]) -> None:
    bench = Bench(points=(1,)).open(host=False)
    bench.add_card("A")
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(word(9, 9))
    meanwhile(bench)
    effects = bench.hang(1) + bench.status(1, PumpStatus.COMPLETED)
    effects += bench.wait(60_000)
    assert sends(effects, SetPrices) == []
