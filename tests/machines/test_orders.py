"""Orders that come late, twice, or while nobody can tell the pump: what holds on, what is refused. (features.md F34.)"""

from __future__ import annotations

import pytest

from drivers.commands import ReadFill, StopFuellingPoint
from drivers.events import PumpLineLost, PumpStatus, PumpSurveyed
from terminal.core.clock import ClockState
from terminal.core.effects import AckEvent
from terminal.core.events import ProbeAnswered
from terminal.core.orders import Order, OrderAsked, OrderKind, OrderMemory, OrderPushed, OrderTaken
from terminal.core.records import EventPassed, SaleDelivered
from terminal.core.sale import SaleState
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, records, sends
from tests.machines.test_restart import NOON, open_sale, restarted

STOP = Order(OrderKind.STOP_POINT, "Meier", "smoke", fuelling_point=1)
LATER = UtcMs(NOON + 12 * 3_600_000)


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open(host=False)
    for number in ("A", "B"):
        bench.add_card(number)
    return bench


def test_a_stop_while_the_line_is_lost_leaves_for_what_answers_and_is_told_again(bench: Bench) -> None:
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(PumpLineLost(1, "cut"))
    effects = bench.do(OrderAsked(7, STOP))
    assert bench.site.orders.take_answers() == {7: None}
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)]
    for _ in range(2):
        assert sends(bench.do(PumpSurveyed(1, PumpStatus.FILLING, 1)), StopFuellingPoint) == [StopFuellingPoint(1)]
        bench.do(PumpLineLost(1, "cut"))
    done = bench.survey(1, PumpStatus.COMPLETED, totals=105_000, fill=(5_000, 864))
    assert sends(done, StopFuellingPoint) == []
    assert [fact.volume_ml for fact in records(done, SaleDelivered)] == [5_000]
    bench.status(1, PumpStatus.RESET)
    bench.hang(1)
    bench.arm("B")
    bench.lift(1)
    running = bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(PumpLineLost(1, "cut"))
    assert sends(running + bench.do(PumpSurveyed(1, PumpStatus.FILLING, 1)), StopFuellingPoint) == [], "it was another one's order"


@pytest.mark.parametrize("stopped", [True, False])
def test_a_stop_holds_over_a_restart(stopped: bool) -> None:
    sale = open_sale(SaleState.DELIVERING)
    bench = restarted(sale)
    bench.site.orders = type(bench.site.orders)(
        bench.site.desk, bench.site.push, bench.site.emergency, bench.site.points,
        OrderMemory(stopped=[sale.id] if stopped else []), host_resets=False,
    )  # fmt: skip
    bench.boot()
    told = sends(bench.do(PumpSurveyed(1, PumpStatus.FILLING, 1)), StopFuellingPoint)
    assert told == ([StopFuellingPoint(1)] if stopped else [])


def test_an_order_of_the_host_is_refused_before_the_time_was_heard() -> None:
    """Across a power-off the terminal's time stands still: an order of an hour ago would look young."""
    sale = open_sale(SaleState.DELIVERING)
    bench = restarted(sale, same_boot=False)
    bench.boot()
    bench.do(PumpSurveyed(1, PumpStatus.FILLING, 1))
    assert bench.site.desk.clock.state(bench.now) is ClockState.HOLDOVER
    effects = bench.do(OrderPushed(9, STOP, LATER))
    assert records(effects, OrderTaken) == []
    assert sends(effects, StopFuellingPoint) == []
    assert [(fact.why, fact.refused) for fact in records(effects, EventPassed)] == [
        ("the terminal has not heard the time since it was switched on", True)
    ]
    bench.do(ProbeAnswered(UtcMs(NOON + 3_600_000)))
    assert [fact.event for fact in records(bench.do(OrderPushed(10, STOP, LATER)), OrderTaken)] == [10]


def test_an_order_is_taken_on_the_same_boot_also_when_the_program_was_started_anew() -> None:
    bench = restarted(open_sale(SaleState.DELIVERING))
    bench.boot()
    bench.do(PumpSurveyed(1, PumpStatus.FILLING, 1))
    assert [fact.event for fact in records(bench.do(OrderPushed(9, STOP, LATER)), OrderTaken)] == [9]


def test_an_order_that_is_told_twice_is_done_once(bench: Bench) -> None:
    bench.arm("A")
    order = OrderPushed(9, STOP, LATER)
    first = bench.do(order)
    assert [fact.event for fact in records(first, OrderTaken)] == [9]
    another = bench.arm("B")
    again = bench.do(order)
    assert bench.sale(another).state is SaleState.AUTHORIZED
    assert records(again, OrderTaken) == []
    assert [e for e in again if isinstance(e, AckEvent)] == [e for e in first if isinstance(e, AckEvent)]
    assert [fact.event for fact in records(bench.do(OrderPushed(10, STOP, LATER)), OrderTaken)] == [10]


def test_an_order_that_was_refused_is_not_done_to_who_comes_later(bench: Bench) -> None:
    order = OrderPushed(9, STOP, LATER)
    bench.do(order)
    sale = bench.arm("A")
    again = [effect for effect in bench.do(order) if isinstance(effect, AckEvent)]
    assert [effect.refused for effect in again] == ["nothing waits or flows at fuelling point 1"]
    assert bench.sale(sale).state is SaleState.AUTHORIZED


def test_the_fill_is_asked_of_the_nozzle_of_the_sale(bench: Bench) -> None:
    bench.arm("A")
    bench.lift(1, 2)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(PumpLineLost(1, "cut"))
    assert sends(bench.do(PumpSurveyed(1, PumpStatus.COMPLETED, None)), ReadFill) == [ReadFill(1, 2)]
    bench = Bench()
    bench.boot()
    assert sends(bench.do(PumpSurveyed(1, PumpStatus.COMPLETED, None)), ReadFill) == [ReadFill(1)], "nobody's in particular"
