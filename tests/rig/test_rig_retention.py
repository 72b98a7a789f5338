"""The real program prunes a ledger of years: its own backup's process proposes, the host says which head it knows, the rows go (F50)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.sale import SaleState
from terminal.store.integrity import verify
from tests.behaviour.setup import NozzleRow, Setup
from tests.rig.process import wait_for
from tests.rig.station import Station
from tests.store.years import ROUNDS, Years

SETUP = Setup(fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290), NozzleRow(2, "dart", 1, "GAZOLE", 17290)))
IN_2020 = 1_577_836_800_000


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """One whose ledger began in 2020, and whose program is not started yet."""
    monkeypatch.setattr("tests.store.books.NEW_YEAR", IN_2020)
    for module in ("books", "years"):
        monkeypatch.setattr(f"tests.store.{module}.TERMINAL", "OPT1")
    made = Station(SETUP, start=False)
    try:
        life = Years(made.state_dir / "ledger.db")
        life.weeks(ROUNDS, 1)
        for one in life.open_sales():  # at pumps that know nothing of them
            (life.deliver if one.state is SaleState.DELIVERING else life.end_empty)(one, 900)
        life.drain()
        life.ledger.close()
        yield made
    finally:
        made.close()


def test_the_program_prunes_what_the_host_has(station: Station, tmp_path: Path) -> None:
    before = verify(station.state_dir / "ledger.db")
    station.terminal.start()
    assert wait_for(lambda: "event=LedgerPruned" in station.terminal.logged(), 60), station.terminal.last_words()
    station.terminal.kill()
    for part in ("ledger.db", "ledger.db-wal"):
        if (station.state_dir / part).exists():
            shutil.copyfile(station.state_dir / part, tmp_path / part)
    killed = verify(tmp_path / "ledger.db")
    assert killed.sound, killed.findings
    assert killed.first_row > 1
    assert killed.sales < before.sales - 20
    station.terminal.start()
    assert wait_for(lambda: station.terminal.logged().count("event=TerminalStarted") == 2, 15), station.terminal.last_words()
