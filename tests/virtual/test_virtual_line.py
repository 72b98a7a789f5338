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


MIXED = {
    **SCENARIO,
    "fuelling_points": [
        {"fp": fp, "nozzle": 1, "product": "DIESEL", "price": 17_200, "minimum_ml": 2_000, "protocol": protocol}
        for fp, protocol in ((1, "dart"), (2, "azt"), (3, "azt"))
    ],
}


def heard(folder: Path, leap: bool) -> list[tuple[int, object]]:
    """What the terminal of a mixed station hears of its pumps, and when, over some twenty minutes."""
    folder.mkdir()
    station = Forecourt(MIXED, folder, leap=leap)
    posts: list[tuple[int, object]] = []
    original = station.terminal.post

    def post(event: object) -> None:
        posts.append((station.heap.now, event))
        original(event)

    station.terminal.post = post  # type: ignore[method-assign]
    station.begin()
    for pause_ms, fp in ((20_000, 2), (301_007, 1), (77, 3), (600_013, 2), (5, 1)):
        station.heap.run_until(station.heap.now + pause_ms)
        head = station.heads[fp]
        head.lift(1, station.heap.now)
        station.heap.run_until(station.heap.now + 3_333)
        head.dispense_locally(1, 1_230, station.heap.now)
        head.hang_up(station.heap.now)
    station.position(3).connected = False
    station.heap.run_until(station.heap.now + 60_000)
    station.position(3).connected = True
    station.heap.run_until(station.heap.now + 60_000)
    station.terminal.power_off()
    return posts


def test_two_lines_hear_the_same_whether_they_leap_or_poll(tmp_path: Path) -> None:
    leapt, polled = heard(tmp_path / "leapt", True), heard(tmp_path / "polled", False)
    assert len(leapt) > 20
    assert leapt == polled
