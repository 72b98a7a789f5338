"""The tables must be what the journal leads to, to the last value; told at the start without holding them in memory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from terminal.store.ledger import Ledger
from terminal.store.start_check import damage
from tests.store.books import Station, live
from tests.store.damage_kit import FILE

pytestmark = pytest.mark.usefixtures("ledger_kind")

CHANGES = (
    "UPDATE sale SET value_minor = value_minor + 1 WHERE sequence = 1",
    "UPDATE total SET volume_ml = volume_ml - 1 WHERE (fp, nozzle) = (SELECT fp, nozzle FROM total LIMIT 1)",
    "DELETE FROM sale WHERE sequence = 2",
    "INSERT INTO meta VALUES ('more', '1')",
    "UPDATE sale SET customer = NULL WHERE sequence = 1",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A station's life."""
    station = Station(tmp_path / FILE)
    for _ in live(station, 60, 3):
        pass
    return station.ledger


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_table_is_found(ledger: Ledger, change: str) -> None:
    with closing(ledger.connection) as db:
        assert damage(db) is None
        assert db.execute(change).rowcount == 1
        found = damage(db)
    assert found is not None
    assert "is not what the journal leads to" in found


def test_two_rows_that_changed_places_are_found(ledger: Ledger) -> None:
    """Their values are all there, and each stands at the other."""
    with closing(ledger.connection) as db:
        rows = db.execute("SELECT sequence, value_minor FROM sale GROUP BY value_minor ORDER BY sequence LIMIT 2").fetchall()
        (one, its), (other, others) = rows
        db.execute("UPDATE sale SET value_minor = ? WHERE sequence = ?", (others, one))
        db.execute("UPDATE sale SET value_minor = ? WHERE sequence = ?", (its, other))
        found = damage(db)
    assert found == "table sale is not what the journal leads to"
