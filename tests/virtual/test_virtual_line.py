"""The leap over idle polls never passes by something that the master would have heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terminal.core.point_config import PointState
from tests.virtual.forecourt import Forecourt

SCENARIO: dict[str, Any] = {
    "terminal": "OPT1",
    "site": "S1",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "decimals": 2,
    "fuelling_points": [
        {"fp": fp, "nozzle": 1, "product": "DIESEL", "price": 17_290, "minimum_ml": 2_000, "protocol": "dart"} for fp in (1, 2)
    ],
    "customers": [],
    "cards": [],
    "limits": [],
    "balances": [],
    "host_counts": [],
}


def test_a_pump_that_answers_again_is_noticed_within_seconds_also_on_an_idle_line(tmp_path: Path) -> None:
    station = Forecourt(SCENARIO, tmp_path)
    station.begin()
    engine = station.terminal.engine
    assert engine is not None
    point = engine.site.points[2]
    station.position(2).connected = False
    station.heap.run_until(station.heap.now + 600_000)
    assert point.state is PointState.INOPERATIVE
    station.position(2).connected = True
    since = station.heap.now
    noticed = station.heap.run_until(since + 200_000, lambda: point.available)
    station.terminal.power_off()
    assert noticed
    assert station.heap.now - since < 5_000
