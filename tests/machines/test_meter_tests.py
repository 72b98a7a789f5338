"""Tests of meters: whose they are not, how a deviation is told, and how long any fuelling may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.commands import AuthorizeFuellingPoint, ReadFill, StopFuellingPoint
from drivers.events import FillProgressed, FillReported, PumpLineLost, PumpStatus, Trust
from terminal.core.card_data import Offline
from terminal.core.card_desk import OfflineTrust
from terminal.core.card_table import CardRange, PinAt, RangeKind, Routing
from terminal.core.effects import AskHost, Enqueue
from terminal.core.events import HostTrouble
from terminal.core.exposure import Exposure
from terminal.core.meter_tests import PRESET_ML, deviation_text, of_a_test
from terminal.core.records import Refused, SaleAuthorized, SaleDelivered, SaleReserved
from tests.machines.site_kit import Bench, pin_rule, records, sends, token_of

TECHNICIAN = "9990000000000017"


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open()
    row = CardRange("9990", "9990", RangeKind.TECHNICIAN, Routing.HOST, (16,), luhn=False)
    bench.lists.table = (row,)
    bench.add_card(TECHNICIAN, pin=pin_rule(token_of(TECHNICIAN), "1357"))
    bench.add_card("A")
    return bench


def begin(bench: Bench) -> None:
    bench.badge(TECHNICIAN)
    bench.keys("1357#")


def test_a_test_is_on_nobodys_account_and_the_host_is_not_asked(bench: Bench) -> None:
    begin(bench)
    armed = bench.keys("1#")
    (reserved,) = records(armed, SaleReserved)
    assert of_a_test(reserved.account)
    assert (reserved.customer, reserved.extra.marks, reserved.asked_host) == (None, ("TEST",), False)
    assert [effect for effect in armed if isinstance(effect, AskHost)] == []
    (release,) = sends(bench.lift(1), AuthorizeFuellingPoint)
    assert (release.preset_volume_ml, release.preset_amount_minor) == (PRESET_ML, None)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    done = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=120_000, fill=(20_000, 3_458))
    assert [(fact.volume_ml, fact.amount_minor, fact.total_end_ml) for fact in records(done, SaleDelivered)] == [(20_000, 0, 120_000)]
    (message,) = [effect.message for effect in done if isinstance(effect, Enqueue)]
    assert (getattr(message, "marks", None), getattr(message, "value_minor", None)) == (("TEST",), 0)
    assert bench.site.desk.exposure == Exposure()


def _range(**row: Any) -> Callable[[Bench], None]:
    def change(bench: Bench) -> None:
        bench.lists.table = (replace(bench.lists.table[0], **row),)

    return change


def _card(**row: Any) -> Callable[[Bench], None]:
    def change(bench: Bench) -> None:
        bench.lists.cards[token_of(TECHNICIAN)] = replace(bench.lists.cards[token_of(TECHNICIAN)], **row)

    return change


def _customer_never(bench: Bench) -> None:
    bench.lists.customers["C1"] = replace(bench.lists.customers["C1"], offline=Offline.NEVER)


def _least_t2(bench: Bench) -> None:
    bench.site.teller.cards.trust = OfflineTrust(Trust.T2, Trust.T2)


def _grey(bench: Bench) -> None:
    bench.lists.grey.add(TECHNICIAN)


NEVER_ALONE: dict[str, Callable[[Bench], None]] = {
    "without a PIN": _card(pin=None),
    "offline never": _card(offline=Offline.NEVER),
    "its customer never": _customer_never,
    "PIN at the host": _range(pin=PinAt.ONLINE),
    "no PIN in its range": _range(pin=PinAt.NONE),
    "easy to copy": _least_t2,
    "grey range": _grey,
}


@pytest.mark.parametrize("change", NEVER_ALONE.values(), ids=NEVER_ALONE)
@pytest.mark.parametrize("host", [True, False])
def test_what_may_not_be_decided_alone_tests_nothing(bench: Bench, change: Callable[[Bench], None], host: bool) -> None:
    if not host:
        bench.site.link.failed(HostTrouble.NO_LINE, "unplugged")
        bench.site.desk.take()
    change(bench)
    assert [fact.reason for fact in records(bench.badge(TECHNICIAN), Refused)] == ["OFFLINE_NOT_ALLOWED"]


@pytest.mark.parametrize(("keys", "most_ml"), [("<<99999#", 200_000), ("<99999#", 200_000), ("<<15000#", 150_000)])
def test_a_wish_goes_no_farther_than_the_most_of_one_test(bench: Bench, keys: str, most_ml: int) -> None:
    begin(bench)
    bench.keys(keys)
    (authorized,) = records(bench.keys("1#"), SaleAuthorized)
    assert {allowed.quantity_ml for allowed in authorized.allowed} == {most_ml}


volumes = st.integers(min_value=1_000, max_value=990_000)


@given(volume=volumes, off=st.integers(min_value=-50_000, max_value=50_000))
def test_a_deviation_is_told_to_the_tenth_of_a_per_mille(volume: int, off: int) -> None:
    prover = max(1, volume - off)
    text = deviation_text(volume, prover)
    millilitres, _, per_mille = text.replace(" ml", "").partition(" ")
    assert int(millilitres) == volume - prover
    exact = Fraction(volume - prover, prover) * 1000
    assert abs(Fraction(per_mille.removesuffix("/1000")) - exact) <= Fraction(1, 20)


def test_a_fuelling_has_its_longest_time_and_no_reading_puts_it_off(bench: Bench) -> None:
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    stops = []
    for minute in range(61):
        stops += sends(bench.do(FillProgressed(1, minute * 10 + 10, 2)) + bench.wait(60_000), StopFuellingPoint)
    assert stops[:1] == [StopFuellingPoint(1)]
    assert bench.site.points[1].times.longest_ms == 60 * 60_000


def test_the_longest_time_runs_on_while_the_line_is_down(bench: Bench) -> None:
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.do(PumpLineLost(1, "cut"))
    assert sends(bench.wait(2 * 3_600_000), StopFuellingPoint) == [StopFuellingPoint(1)], "for what still answers there"
    bench.survey(1, PumpStatus.FILLING, 1)
    assert sends(bench.wait(0), StopFuellingPoint) == [StopFuellingPoint(1)]


def test_an_amount_that_is_not_volume_at_price_is_read_again_and_then_not_believed(bench: Bench) -> None:
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    asked = bench.status(1, PumpStatus.COMPLETED)
    assert sends(asked, ReadFill) == [ReadFill(1, 1)]
    for _ in range(2):
        assert sends(bench.do(FillReported(1, 20_000, 9_999)), ReadFill) == [ReadFill(1, 1)]
    done = bench.do(FillReported(1, 20_000, 9_999)) + bench.read(1, asked, totals=120_000)
    assert [(fact.volume_ml, fact.amount_minor) for fact in records(done, SaleDelivered)] == [(20_000, 3_458)]
    assert "PUMP_RECORD_MISMATCH" in bench.faults()


@pytest.mark.parametrize("near", [-3, 3])
def test_a_head_may_round_in_its_own_way(bench: Bench, near: int) -> None:
    """One display unit of the volume and one coin: 10 ml at 1.729 are 2."""
    bench.arm("A")
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.hang(1)
    done = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=120_000, fill=(20_000, 3_458 + near))
    assert [fact.amount_minor for fact in records(done, SaleDelivered)] == [3_458 + near]
    assert bench.faults() == set()
