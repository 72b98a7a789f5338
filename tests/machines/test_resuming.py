"""Sales that were open at a start wait a little for what the host knows of the ledger: it may be an older copy of itself."""

from __future__ import annotations

import pytest

from drivers.commands import ReadTotal, StopFuellingPoint
from drivers.events import EMERGENCY_STOP, PumpStatus, PumpSurveyed, SiteInputChanged
from terminal.core.account_book import UseState
from terminal.core.corrections import NoPast
from terminal.core.effects import ReportState
from terminal.core.events import HostTrouble, ProbeFailed
from terminal.core.faults import FaultCode
from terminal.core.host_events import StateAnswered
from terminal.core.records import SaleDelivered, SaleEnded, SaleInDoubt, Unattributed
from terminal.core.returned_record import LEFT_OPEN
from terminal.core.sale import SaleState
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, messages, records, sends
from tests.machines.test_restart import open_sale, restarted

WAIT_MS = 10_000


class Past(NoPast):
    """A journal of ten rows."""

    def hash_at(self, row: int) -> str | None:
        return "11" * 32 if row <= 10 else None


def waiting(state: SaleState, *, asked_host: bool = False) -> Bench:
    """Booted with a sale in this state, and the host has not said anything yet."""
    bench = restarted(open_sale(state, asked_host=asked_host))
    bench.head_ms = WAIT_MS
    bench.recovered.past = Past()
    bench.__post_init__()
    bench.boot()
    return bench


def said(bench: Bench, row: int | None) -> StateAnswered:
    return StateAnswered(UtcMs(bench.site.desk.utc(bench.now)), None if row is None else (row, "11" * 32))


@pytest.mark.parametrize("row", [None, 10])
def test_it_goes_on_once_the_host_has_said_that_the_ledger_is_the_newest(row: int | None) -> None:
    bench = waiting(SaleState.DELIVERING)
    assert sends(bench.do(PumpSurveyed(1, PumpStatus.COMPLETED, None)), ReadTotal) == [], "kept back"
    effects = bench.read(1, bench.do(said(bench, row)), totals={1: 130_000, 2: 100_000}, fill=(30_000, 5_187))
    assert [fact.volume_ml for fact in records(effects, SaleDelivered)] == [30_000]
    assert messages(effects) == ["T-1-5/advice"]


def test_it_is_asked_for_its_word_at_once() -> None:
    assert any(isinstance(effect, ReportState) for effect in waiting(SaleState.DELIVERING).wait(0))


def test_the_host_is_not_waited_for_longer_than_that() -> None:
    bench = waiting(SaleState.DELIVERING)
    bench.do(PumpSurveyed(1, PumpStatus.COMPLETED, None))
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    assert sends(bench.wait(WAIT_MS - 1), ReadTotal) == []
    effects = bench.read(1, bench.wait(1), totals={1: 130_000, 2: 100_000}, fill=(30_000, 5_187))
    assert [fact.volume_ml for fact in records(effects, SaleDelivered)] == [30_000]


@pytest.mark.parametrize("state", [SaleState.RESERVED, SaleState.AUTHORIZED, SaleState.DELIVERING])
def test_behind_an_older_copy_it_is_in_doubt_and_the_fuel_is_not_its_own(state: SaleState) -> None:
    bench = waiting(state, asked_host=True)
    bench.do(PumpSurveyed(1, PumpStatus.COMPLETED, None))
    asked = bench.do(said(bench, 11))
    assert [fact.why for fact in records(asked, SaleInDoubt)] == [LEFT_OPEN]
    effects = bench.read(1, asked, totals={1: 130_000, 2: 100_000}, fill=(30_000, 5_187))
    assert records(effects, SaleDelivered) == []
    assert records(effects, SaleEnded) == []
    assert [fact.volume_ml for fact in records(effects, Unattributed)] == [30_000]
    assert messages(effects) == []
    use = bench.site.desk.book.get("T-1-5")
    assert use is not None
    assert use.state is UseState.IN_DOUBT
    assert records(bench.wait(120_000), SaleEnded) == []
    assert bench.site.points[1].available


def test_a_loss_that_comes_out_later_takes_it_from_its_point() -> None:
    bench = waiting(SaleState.DELIVERING)
    bench.wait(WAIT_MS)
    bench.survey(1, PumpStatus.FILLING, 1)
    assert bench.site.points[1].sale == "T-1-5"
    bench.do(said(bench, 11))
    assert bench.site.points[1].sale is None
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals={1: 130_000, 2: 100_000}, fill=(30_000, 5_187))
    assert records(effects, SaleDelivered) == []
    assert bench.site.points[1].available


def test_a_reserved_one_is_not_ended_before_the_host_has_said() -> None:
    bench = waiting(SaleState.RESERVED, asked_host=True)
    assert bench.site.desk.book.get("T-1-5") is not None
    assert messages(bench.do(said(bench, 10))) == ["T-1-5/reverse", "T-1-5/advice"]


def test_the_emergency_stop_waits_for_nobody() -> None:
    bench = waiting(SaleState.DELIVERING)
    bench.do(PumpSurveyed(1, PumpStatus.FILLING, 1))
    effects = bench.do(SiteInputChanged(EMERGENCY_STOP, True))
    assert StopFuellingPoint(1) in sends(effects, StopFuellingPoint)


def test_nothing_waits_where_rows_are_known_to_be_lost_or_nothing_is_open() -> None:
    bench = restarted(open_sale(SaleState.IN_DOUBT))
    bench.head_ms = WAIT_MS
    bench.recovered.faults[FaultCode.STORAGE_DAMAGED, "ledger"] = "rows are lost"
    bench.__post_init__()
    bench.boot()
    assert sends(bench.do(PumpSurveyed(1, PumpStatus.COMPLETED, None)), ReadTotal) != []
