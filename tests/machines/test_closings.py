"""Closed means: nothing new is armed there, what waits is taken back, what flows finishes; and nobody is told two things. (F63.)"""

from __future__ import annotations

import pytest

from drivers.events import PumpStatus
from terminal.core.closings import Closing
from terminal.core.effects import AckEvent, AskHost, Effect
from terminal.core.host_events import ClosingPushed, ClosingScope
from terminal.core.ids import Minting
from terminal.core.records import ClosingSet, EventPassed, Refused, SaleEnded
from terminal.core.sale import SaleState
from terminal.core.session import SessionState
from terminal.core.site import Recovered
from tests.machines.site_kit import Bench, messages, records, screen

SITE, PRODUCT, POINT = ClosingScope.SITE, ClosingScope.PRODUCT, ClosingScope.FUELLING_POINT


def closing(scope: ClosingScope, name: str = "", *, closed: bool = True, event: int = 1) -> ClosingPushed:
    return ClosingPushed(event, scope, name, closed, "tanker")


def acks(effects: list[Effect]) -> list[AckEvent]:
    return [effect for effect in effects if isinstance(effect, AckEvent)]


def reasons(effects: list[Effect]) -> list[str]:
    return [one.reason for one in records(effects, Refused)]


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open(host=False)
    bench.add_card("A")
    bench.add_card("B", customer="C2")
    bench.lists.customers["C2"] = bench.lists.customers["C1"]
    return bench


def test_a_closing_is_written_with_what_it_ends_and_acknowledged_behind_it(bench: Bench) -> None:
    sale = bench.arm("A", fp=2)
    effects = bench.do(closing(POINT, "2"))
    now = bench.site.desk.utc(bench.now)
    assert records(effects, ClosingSet) == [ClosingSet(1, "fuelling_point", "2", True, "tanker", now)]
    assert [(fact.sale, fact.end) for fact in records(effects, SaleEnded)] == [(sale, "cancelled")]
    assert messages(effects) == [f"{sale}/advice"]
    assert acks(effects) == [AckEvent(1, now)]
    assert reasons(effects) == ["FUELLING_POINT_NOT_AVAILABLE"]
    assert bench.session().state is SessionState.REFUSED


def test_a_closed_fuelling_point_is_not_armed_and_the_others_are(bench: Bench) -> None:
    bench.do(closing(POINT, "2"))
    bench.badge("A")
    assert reasons(bench.keys("2#")) == ["FUELLING_POINT_NOT_AVAILABLE"]
    assert bench.sale(bench.arm("B", fp=1)).state is SaleState.AUTHORIZED


def test_what_flows_at_a_closed_fuelling_point_finishes(bench: Bench) -> None:
    sale = bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    effects = bench.do(closing(POINT, "1"), closing(SITE, event=2), closing(PRODUCT, "GAZOLE", event=3))
    assert records(effects, SaleEnded) == []
    assert reasons(effects) == []
    bench.hang(1)
    bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=107_000, fill=(7_000, 1_210))
    assert bench.sale(sale).state is SaleState.DELIVERED


def test_a_closed_product_is_not_offered(bench: Bench) -> None:
    bench.do(closing(PRODUCT, "GAZOLE"))
    sale = bench.arm("A")
    assert [allowed.product for allowed in bench.sale(sale).allowed] == ["SP95"]
    assert [ref.product for ref in bench.sale(sale).nozzles] == ["SP95"]
    effects = bench.do(closing(PRODUCT, "SP95", event=2))
    assert [(fact.sale, fact.end) for fact in records(effects, SaleEnded)] == [(sale, "cancelled")]
    bench.wait(10_000)
    assert reasons(bench.badge("A")) == ["FUELLING_POINT_NOT_AVAILABLE"], "nothing is left to offer"
    bench.do(closing(PRODUCT, "GAZOLE", closed=False, event=3))
    bench.wait(10_000)
    assert [allowed.product for allowed in bench.sale(bench.arm("A")).allowed] == ["GAZOLE"]


def test_a_closed_site_says_so_and_serves_nobody(bench: Bench) -> None:
    effects = bench.do(closing(SITE))
    assert screen(effects)[0] == "Closed"
    assert screen(bench.badge("A"))[:2] == ("Refused", "Terminal not ready")
    assert screen(bench.wait(10_000))[0] == "Closed"
    effects = bench.do(closing(SITE, closed=False, event=2))
    assert screen(effects)[0] == "Welcome"
    assert bench.sale(bench.arm("A")).state is SaleState.AUTHORIZED


@pytest.mark.parametrize("keys", ["", "1"])
def test_a_driver_who_stands_there_when_the_site_closes_is_sent_away(bench: Bench, keys: str) -> None:
    bench.badge("A")
    bench.keys(keys)
    assert screen(bench.do(closing(SITE)))[:2] == ("Refused", "Terminal not ready")
    assert bench.session().state is SessionState.REFUSED


@pytest.mark.parametrize(("scope", "name"), [(SITE, ""), (POINT, "1"), (PRODUCT, "GAZOLE")])
def test_a_host_that_is_being_asked_gets_its_hold_back(scope: ClosingScope, name: str) -> None:
    bench = Bench(products=Bench().products[:1]).open()
    bench.add_card("A")
    bench.badge("A")
    (question,) = [effect for effect in bench.keys("1#") if isinstance(effect, AskHost)]
    effects = bench.do(closing(scope, name))
    if scope is SITE:
        assert messages(effects) == [f"{question.sale}/reverse", f"{question.sale}/advice"]
    else:
        effects = bench.approve(question.sale)
        assert messages(effects) == [f"{question.sale}/complete"], "the host's approval is completed with nothing"
        assert reasons(effects) == ["FUELLING_POINT_NOT_AVAILABLE"]
    assert bench.site.points[1].sale is None


def test_a_nozzle_that_is_up_at_a_closed_point_is_not_offered(bench: Bench) -> None:
    bench.lift(1)
    bench.do(closing(POINT, "1"))
    bench.badge("A")
    assert bench.session().digits == ""


# --- told again, and told wrong ---------------------------------------------------------------------------------------------------


def test_the_same_event_again_keeps_its_instant(bench: Bench) -> None:
    (first,) = acks(bench.do(closing(POINT, "1")))
    bench.wait(10_000)
    effects = bench.do(closing(POINT, "1"))
    assert records(effects, ClosingSet) == []
    assert acks(effects) == [first]


def test_opening_what_is_open_changes_nothing(bench: Bench) -> None:
    effects = bench.do(closing(POINT, "1", closed=False))
    assert records(effects, ClosingSet) == []
    assert [one.refused for one in records(effects, EventPassed)] == [False]


def test_a_fuelling_point_that_is_not_here_is_refused(bench: Bench) -> None:
    (ack,) = acks(bench.do(closing(POINT, "9")))
    assert ack.refused == "there is no fuelling point '9' here"


def test_a_restart_stays_closed() -> None:
    known = Recovered(Minting("T", 1, 1), closings=[Closing(SITE, "", "tanker", 3, 77), Closing(POINT, "2", "", 4, 78)], last_event=4)
    bench = Bench(recovered=known)
    assert screen(bench.boot())[0] == "Closed"
    bench.add_card("A")
    bench.open(host=False)
    bench.do(closing(SITE, closed=False, event=5))
    bench.badge("A")
    assert reasons(bench.keys("2#")) == ["FUELLING_POINT_NOT_AVAILABLE"]
