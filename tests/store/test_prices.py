"""Prices across a restart: what recovery makes of the ledger is what the core had in memory, and an edited table is seen. (F38.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.core.effects import Persist
from terminal.core.price_records import NozzlePrice, PriceSet, PricesPlanned, PricesTaken
from terminal.core.prices import PriceMemory, PriceRow, PricesPushed
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, Stamp
from terminal.store.recovery import recover
from tests.machines.site_kit import Bench

pytestmark = pytest.mark.usefixtures("ledger_kind")

STAMP = Stamp(1_773_097_200_000, "trusted")
HOUR = 3_600_000


def commit(ledger: Ledger, bench: Bench) -> None:
    """Every fact of the bench's steps so far."""
    for step in bench.steps:
        facts = [effect.record for effect in step if isinstance(effect, Persist)]
        if facts:
            ledger.commit(STAMP, facts, [])
    bench.steps.clear()


def test_a_restart_knows_prices_plans_and_what_is_not_acknowledged(tmp_path: Path) -> None:
    bench = Bench(points=(1, 2)).open(host=False)
    now = bench.site.desk.utc(bench.now)
    bench.do(PricesPushed(5, 1, None, (PriceRow("GAZOLE", 17_990),)))
    bench.do(PricesPushed(6, 2, now + HOUR, (PriceRow("SP95", 18_690, fp=2),)))
    ledger = Ledger(tmp_path / "ledger.db")
    commit(ledger, bench)
    found = recover(ledger, "T", "boot-b")
    book = bench.site.prices.book
    assert found.prices == PriceMemory(book.in_force, list(book.planned.values()), 2)
    assert (found.last_event, found.unacknowledged) == (6, {5: now})

    again = Bench(points=(1, 2), recovered=found)
    again.boot()
    assert [point.config.prices for point in again.site.points.values()] == [(17_990, 18_590), (17_990, 18_590)]
    again.wait(HOUR)
    assert again.site.points[2].config.prices == (17_990, 18_690)
    commit(ledger, again)
    assert recover(ledger, "T", "boot-c").prices.planned == []
    ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.sound, report.findings


def test_a_price_that_somebody_edited_in_the_ledger_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    plan = PricesPlanned(5, 1, 7, (NozzlePrice(1, 1, "GAZOLE", 17_990),))
    ledger.commit(STAMP, [plan, PriceSet(1, 1, "GAZOLE", 17_990, 1, 8), PricesTaken(5, 1, 8)], [])
    assert verify_closed(ledger, path) == []
    ledger = Ledger(path)
    ledger.connection.execute("UPDATE price SET price = 9990")
    assert verify_closed(ledger, path) == ["table price, fp 1 nozzle 1"]


def verify_closed(ledger: Ledger, path: Path) -> list[str]:
    ledger.close()
    return [finding.where for finding in verify(path).findings]
