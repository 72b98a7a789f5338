"""Heads that are released while the nozzle hangs: such a release is taken back like one that has not begun, and no time alone ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from drivers.commands import AuthorizeFuellingPoint, ReadTotal, StopFuellingPoint
from drivers.events import PumpStatus, TotalReported
from terminal.core.deny_book import OnDeny
from terminal.core.deny_subject import DenyKind, DenySubject
from terminal.core.effects import Effect
from terminal.core.events import DenyPushed
from terminal.core.host_events import ClosingPushed, ClosingScope
from terminal.core.records import SaleEnded
from terminal.core.sale import SaleState
from tests.machines.site_kit import GAZOLE, Bench, messages, records, sends, token_of

RELEASED = {"told": (), "seen": (PumpStatus.AUTHORIZED,)}
TAKEN_BACK: dict[str, tuple[Callable[[Bench], list[Effect]], str]] = {
    "cancel": (lambda bench: bench.keys("x"), "cancelled"),
    "deny": (lambda bench: bench.do(DenyPushed(5, DenySubject(DenyKind.CARD, token_of("A")), False, "E1", 8)), "declined"),
    "closing": (lambda bench: bench.do(ClosingPushed(6, ClosingScope.FUELLING_POINT, "1", True, "spill")), "cancelled"),
}


@pytest.fixture
def bench() -> Bench:
    bench = Bench(products=(GAZOLE,), on_deny=OnDeny.FINISH).open(host=False)
    bench.add_card("A")
    point = bench.site.points[1]
    point.config = replace(point.config, before_lift=True)
    return bench


@pytest.mark.parametrize("statuses", RELEASED.values(), ids=RELEASED)
@pytest.mark.parametrize(("take", "end"), TAKEN_BACK.values(), ids=TAKEN_BACK)
def test_a_release_that_nobody_touched_is_taken_back(
    bench: Bench, take: Callable[[Bench], list[Effect]], end: str, statuses: tuple[PumpStatus, ...]
) -> None:
    sale = bench.arm("A")
    assert [command.fp for step in bench.steps for command in sends(step, AuthorizeFuellingPoint)] == [1]
    bench.status(1, *statuses)
    assert sends(take(bench), StopFuellingPoint) == [StopFuellingPoint(1)]
    if not statuses:
        bench.status(1, PumpStatus.AUTHORIZED)  # the release was on its way before the stop
    done = bench.read(1, bench.status(1, PumpStatus.RESET), totals=100_000)
    assert [(fact.sale, fact.end) for fact in records(done, SaleEnded)] == [(sale, end)]
    assert messages(done) == [f"{sale}/advice"]


@pytest.mark.parametrize(("take", "end"), [TAKEN_BACK["deny"], TAKEN_BACK["closing"]], ids=["deny", "closing"])
def test_a_lifted_one_finishes(bench: Bench, take: Callable[[Bench], list[Effect]], end: str) -> None:
    sale = bench.arm("A")
    bench.status(1, PumpStatus.AUTHORIZED)
    bench.lift(1)
    assert sends(take(bench), StopFuellingPoint) == []
    assert bench.sale(sale).state is SaleState.DELIVERING


@pytest.mark.parametrize("lifted", [False, True])
def test_nothing_is_settled_while_the_head_says_that_fuel_may_flow(bench: Bench, lifted: bool) -> None:
    sale = bench.arm("A")
    bench.status(1, PumpStatus.AUTHORIZED)
    if lifted:
        bench.lift(1)
        bench.hang(1)
    found = bench.wait(90_000 + 20_000)
    assert len(sends(found, StopFuellingPoint)) > 3
    assert sends(found, ReadTotal) == []
    assert bench.faults() == {"HOST_UNREACHABLE", "PUMP_COMMAND_FAILED"}
    bench.do(TotalReported(1, 1, 100_000))
    bench.status(1, PumpStatus.FILLING)
    assert bench.sale(sale).state is SaleState.DELIVERING
    assert "PUMP_UNEXPECTED_FLOW" not in bench.faults()
