"""``verify`` on ledgers whose chain and tables agree: lives that no sale can have, and sums that do not come out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from terminal.core import records as r
from terminal.core.ids import MessageKey, SaleId
from terminal.core.internal_events import EndCause, FillRecorded
from terminal.store.integrity import Finding, NozzleBook, Severity, verify
from terminal.store.ledger import Ledger, Stamp
from tests.store.books import NEW_YEAR, POINTS, Station
from tests.store.editing import errors, sold

pytestmark = pytest.mark.usefixtures("ledger_kind")

STAMP = Stamp(NEW_YEAR, "trusted")

# --- lives that cannot be -----------------------------------------------------------------------------------------------------------


def written(tmp_path: Path, *facts: r.Record) -> list[tuple[str, str]]:
    """Errors of a ledger that took these facts behind the core's back."""
    station = Station(tmp_path / "ledger.db")
    station.ledger.commit(STAMP, facts, [])
    station.ledger.close()
    return errors(tmp_path / "ledger.db")


def test_a_fact_about_no_sale(tmp_path: Path) -> None:
    found = written(tmp_path, r.SaleInDoubt(SaleId("OPT-1-1-9"), "?"))
    assert found == [("journal row 6", "SaleInDoubt of sale OPT-1-1-9, which was never reserved")]


def test_an_answer_to_no_message(tmp_path: Path) -> None:
    found = written(tmp_path, r.MessageAcknowledged(MessageKey("OPT-1-1-9/advice"), "ACCEPTED"))
    assert found == [("journal row 6", "the host answered OPT-1-1-9/advice, which was not queued")]


def test_a_sale_that_was_delivered_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    station = Station(path)
    sale = sold(station, 0, 30_000).id
    station.ledger.close()
    ledger = Ledger(path)
    (body,) = ledger.connection.execute("SELECT body FROM journal WHERE kind = 'SaleDelivered' ORDER BY seq DESC LIMIT 1").fetchone()
    ledger.commit(STAMP, [msgspec.json.decode(body, type=r.SaleDelivered)], [])
    row = ledger.head[0]
    ledger.close()
    assert (f"journal row {row}", f"SaleDelivered of sale {sale}, which is delivered") in errors(path)


def test_two_sales_armed_at_one_point(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    first, second = station.reserve(0), station.reserve(2)
    assert first.fp == second.fp == POINTS[0]
    station.grant(first, 0)
    station.armed.clear()
    station.grant(second, 0)
    station.ledger.close()
    assert errors(tmp_path / "ledger.db") == [
        (f"journal row {station.ledger.head[0]}", f"sale {second.id} is authorized at fp 1, where sale {first.id} is still open")
    ]


def test_two_drivers_may_ask_for_one_point_and_a_doubt_does_not_block_it(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    first, second = station.reserve(0), station.reserve(2)
    station.grant(first, 0)
    station.take_nozzle(first, 0)
    station.doubt(first, 0)
    station.grant(second, 0)
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert (report.findings, report.open_sales) == ((), 2)


def test_an_end_without_its_message(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    one = station.reserve(0)
    station.ledger.commit(STAMP, [r.SaleEnded(one.id, "cancelled", NEW_YEAR, False)], [])
    station.ledger.close()
    [(where, what)] = errors(tmp_path / "ledger.db")
    assert where == f"table outbox, {one.id}/advice"
    assert "neither queued nor acknowledged" in what


# --- the sums -----------------------------------------------------------------------------------------------------------------------


def test_a_totaliser_that_moved_without_a_reason(tmp_path: Path) -> None:
    assert written(tmp_path, r.TotalRead(1, 1, 101_500)) == [
        ("fp 1 nozzle 1", "totaliser, sales and unattributed fuel differ by 1.500 l"),
    ]


def test_unattributed_fuel_that_does_not_add_up(tmp_path: Path) -> None:
    found = written(tmp_path, r.Unattributed(1, 1, 400, 100_000, 100_500), r.TotalRead(1, 1, 100_500))
    assert found == [
        ("journal row 6", "400 ml unattributed, from 100000 to 100500 ml"),
        ("fp 1 nozzle 1", "totaliser, sales and unattributed fuel differ by 0.100 l"),
    ]


@pytest.mark.parametrize(("apart", "warned"), [(0, False), (10, False), (-10, False), (11, True), (-11, True), (-500, True)])
def test_a_fill_and_its_totaliser_may_round_apart_and_no_more(tmp_path: Path, apart: int, warned: bool) -> None:
    station = Station(tmp_path / "ledger.db")
    one = sold(station, 0, 30_000, apart=apart)
    sold(station, 0, 20_000)
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    moved = f"{(30_000 + apart) // 1000}.{(30_000 + apart) % 1000:03d}"
    warning = Finding(Severity.WARNING, f"the pump's record says 30.000 l, its totaliser moved {moved} l", f"sale {one.id}, fp 1 nozzle 1")
    assert report.findings == ((warning,) if warned else ())
    assert report.sound


def test_a_new_meter_is_a_warning_and_the_sums_go_on(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    sold(station, 0, 30_000)
    station.totals[1, 1] = 0
    station.desk.persist(r.TotalRead(1, 1, 0))
    station.commit()
    sold(station, 0, 20_000)
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.nozzles[0] == NozzleBook(1, 1, 100_000, 20_000, 2, 50_000, 0, 130_000)
    assert [(finding.severity, finding.where) for finding in report.findings] == [(Severity.WARNING, "fp 1 nozzle 1")]


def test_a_meter_exchanged_in_the_middle_of_a_sale(tmp_path: Path) -> None:
    """As core/pump_record.py writes it: the fall first, then the sale by its record, which the new meter cannot confirm."""
    station = Station(tmp_path / "ledger.db")
    one = station.reserve(0)
    station.grant(one, 0)
    station.take_nozzle(one, 0)
    station.totals[1, 1] = 40
    station.desk.persist(r.TotalRead(1, 1, 40))
    station.fire(one, FillRecorded(one.id, 30_000, 100, 40, EndCause.NOZZLE))
    sold(station, 0, 20_000)
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.sound
    assert [finding.where for finding in report.findings] == [f"sale {one.id}, fp 1 nozzle 1", "fp 1 nozzle 1"]


def test_a_doubted_sale_that_is_settled_after_others_at_its_nozzle(tmp_path: Path) -> None:
    """What the others took is theirs: neither the sums nor the late sale count it again."""
    station = Station(tmp_path / "ledger.db")
    doubted = station.reserve(0)
    station.grant(doubted, 0)
    station.take_nozzle(doubted, 0)
    station.doubt(doubted, 0)
    sold(station, 0, 20_000, apart=2)
    station.deliver(doubted, 9_999)
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.findings == ()
    assert report.nozzles[0].sold_ml == 30_000
