"""The emergency stop is one fault of the site, whoever tells of it, until a person has reset it; orders and who gave them."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint, StopFuellingPoint
from drivers.events import EMERGENCY_STOP, PumpAlarmed, PumpLineLost, PumpStatus, SiteInputChanged
from terminal.core.effects import AckEvent
from terminal.core.faults import ACKNOWLEDGED, CATALOGUE, FaultCode
from terminal.core.ids import Minting
from terminal.core.orders import Order, OrderAsked, OrderKind, OrderPushed, OrderTaken
from terminal.core.records import EventPassed, FaultCleared, FaultRaised, SaleEnded
from terminal.core.sale import SaleState
from terminal.core.session import SessionState
from terminal.core.site import Recovered
from terminal.core.texts import LANGUAGES, SCREENS
from tests.machines.site_kit import Bench, records, screen, sends

RESET = Order(OrderKind.RESET_EMERGENCY_STOP, "Meier", "all is well")
TOLD = (PumpAlarmed(1, EMERGENCY_STOP), SiteInputChanged(EMERGENCY_STOP, True))


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open(host=False)
    for number in ("A", "B"):
        bench.add_card(number)
    return bench


def ask(bench: Bench, order: Order) -> tuple[str | None, list[OrderTaken]]:
    effects = bench.do(OrderAsked(7, order))
    return bench.site.orders.take_answers()[7], records(effects, OrderTaken)


@pytest.mark.parametrize("told", TOLD)
def test_whoever_tells_of_it_it_is_one_fault_and_all_that_waits_or_flows_ends(bench: Bench, told: object) -> None:
    running = bench.arm("A", fp=1)
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    waiting = bench.arm("B", fp=2)
    effects = bench.do(told)
    assert [fact.code for fact in records(effects, FaultRaised)] == ["EMERGENCY_STOP"]
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)]
    assert [(fact.sale, fact.end) for fact in records(effects, SaleEnded)] == [(waiting, "stop")]
    assert bench.session().state is SessionState.OUT_OF_SERVICE
    again = bench.do(PumpAlarmed(2, EMERGENCY_STOP), SiteInputChanged(EMERGENCY_STOP, True), PumpAlarmed(1, EMERGENCY_STOP))
    assert records(again, FaultRaised) == []
    bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=107_000, fill=(7_000, 1_210))
    assert bench.sale(running).state is SaleState.DELIVERED
    assert sends(bench.lift(2), AuthorizeFuellingPoint) == []


def test_it_is_told_in_every_language_one_after_the_other(bench: Bench) -> None:
    bench.do(TOLD[0])
    seen = set()
    for _ in LANGUAGES:
        seen.add(screen(bench.wait(6_000))[0])
    assert seen == {SCREENS[language]["EMERGENCY_STOP"][0] for language in LANGUAGES}


def test_a_driver_who_tries_all_the_same_is_turned_away(bench: Bench) -> None:
    bench.do(TOLD[0])
    assert screen(bench.badge("A"))[:2] == ("Refused", "Terminal not ready")
    assert bench.site.desk.sales == {}


def test_a_release_under_way_is_withdrawn(bench: Bench) -> None:
    sale = bench.arm("A", fp=1)
    assert len(sends(bench.lift(1), AuthorizeFuellingPoint)) == 1
    assert sends(bench.do(TOLD[0]), StopFuellingPoint) == [StopFuellingPoint(1)]
    bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=100_000, fill=(0, 0))
    assert bench.sale(sale).state is SaleState.ZERO


def test_a_pump_that_was_lost_is_stopped_when_it_is_heard_again(bench: Bench) -> None:
    bench.arm("A", fp=1)
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(PumpLineLost(1, "cut"))
    assert sends(bench.do(SiteInputChanged(EMERGENCY_STOP, True)), StopFuellingPoint) == [StopFuellingPoint(1)]
    assert sends(bench.survey(1, PumpStatus.FILLING, 1), StopFuellingPoint) == [StopFuellingPoint(1)]


def test_a_restart_remembers_it_and_takes_back_what_waited() -> None:
    bench = Bench(recovered=Recovered(Minting("T", 1, 1), faults={(FaultCode.EMERGENCY_STOP, "site"): "told by its input"}))
    bench.add_card("A")
    bench.boot()
    bench.survey(1)
    assert bench.session().state is SessionState.OUT_OF_SERVICE
    assert bench.site.desk.halted


def test_only_who_has_pulled_the_button_out_can_reset_it(bench: Bench) -> None:
    assert ask(bench, RESET) == ("the emergency stop is not on", [])
    bench.do(SiteInputChanged(EMERGENCY_STOP, True))
    refused, taken = ask(bench, RESET)
    assert (refused, taken) == ("the emergency stop button is still pressed", [])
    bench.do(SiteInputChanged(EMERGENCY_STOP, False))
    assert bench.faults() >= {"EMERGENCY_STOP"}, "pulled out is not reset"
    refused, taken = ask(bench, RESET)
    assert refused is None
    assert [(one.event, one.order, one.by, one.why) for one in taken] == [(0, "reset_emergency_stop", "Meier", "all is well")]
    assert bench.session().state is SessionState.IDLE
    assert not bench.site.desk.halted


def test_the_host_resets_it_only_where_it_may_and_in_time(bench: Bench) -> None:
    bench.do(TOLD[0])
    now = bench.site.desk.utc(bench.now)
    for event, allowed, until, why in ((1, False, now, "at the site"), (2, True, now - 1, "too late"), (3, True, now, None)):
        bench.site.orders.host_resets = allowed
        effects = bench.do(OrderPushed(event, RESET, until))
        acks = [effect for effect in effects if isinstance(effect, AckEvent)]
        assert [ack.event for ack in acks] == [event]
        assert (acks[0].refused is None) is (why is None)
        assert [why in fact.why and fact.refused for fact in records(effects, EventPassed) if why] == ([True] if why else [])
        assert [fact.event for fact in records(effects, OrderTaken)] == ([] if why else [event])
    assert "EMERGENCY_STOP" not in bench.faults()


def test_a_point_is_stopped_by_order_and_its_sale_never_released_again(bench: Bench) -> None:
    stop = Order(OrderKind.STOP_POINT, "Meier", "hose leaks", fuelling_point=1)
    assert ask(bench, stop)[0] == "nothing waits or flows at fuelling point 1"
    assert ask(bench, Order(OrderKind.STOP_POINT, "Meier", "", fuelling_point=9))[0] == "there is no fuelling point 9 here"
    sale = bench.arm("A", fp=1)
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    effects = bench.do(OrderAsked(8, stop))
    assert sends(effects, StopFuellingPoint) == [StopFuellingPoint(1)]
    bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=102_000, fill=(2_000, 346))
    bench.status(1, PumpStatus.RESET)
    assert bench.sale(sale).state is SaleState.DELIVERED
    assert sends(bench.hang(1) + bench.lift(1), AuthorizeFuellingPoint) == []


@pytest.mark.parametrize("code", list(FaultCode))
def test_what_is_past_is_acknowledged_and_what_is_present_is_not(bench: Bench, code: FaultCode) -> None:
    bench.site.desk.raise_fault(code, "fp 1", "seen")
    bench.do(SiteInputChanged("another input", True))
    refused, _ = ask(bench, Order(OrderKind.ACKNOWLEDGE_FAULT, "Meier", "", code=code.value, subject="fp 2"))
    assert refused is not None
    assert "fp 1" in refused
    effects = bench.do(OrderAsked(9, Order(OrderKind.ACKNOWLEDGE_FAULT, "Meier", "seen", code=code.value, subject="fp 1")))
    assert (bench.site.orders.take_answers()[9] is None) is (code in ACKNOWLEDGED)
    assert [fact.code for fact in records(effects, FaultCleared)] == ([code.value] if code in ACKNOWLEDGED else [])
    assert code in CATALOGUE


def test_a_fault_that_nobody_knows_is_named(bench: Bench) -> None:
    order = Order(OrderKind.ACKNOWLEDGE_FAULT, "Meier", "", code="PUMP_TIRED", subject="fp 1")
    assert ask(bench, order) == ("there is no fault 'PUMP_TIRED'", [])
