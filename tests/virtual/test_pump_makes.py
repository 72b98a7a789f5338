"""What a pump's profile changes for a fuelling: release before the lift, a coarse totaliser, several AZT hoses as one point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.events import Key, KeyPressed, MediumKind, MediumPresented, MediumRemoved
from hal_sim.dispensers.head import HeadOptions
from tests.bench.virtual import SCENARIO
from tests.virtual.forecourt import SIDE, Forecourt

ONE = SCENARIO["fuelling_points"][:1]
TWO = [{**ONE[0], "price": 17_200}, {**ONE[0], "nozzle": 2, "product": "SP95", "price": 18_900}]


class Customer:
    """A driver at a station of one point."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]], **profile: object) -> None:
        self.station = Forecourt({**SCENARIO, "fuelling_points": rows}, folder, head_options=HeadOptions(rate_ml_per_min=40_000))
        terminal = self.station.terminal
        terminal.config = replace(terminal.config, points=tuple(replace(point, **profile) for point in terminal.config.points))  # type: ignore[arg-type]
        self.heap, self.terminal, self.head = self.station.heap, terminal, self.station.heads[1]

    def choose(self) -> None:
        self.terminal.post(MediumPresented(SIDE, MediumKind.BADGE, SCENARIO["cards"][0]["number"]))
        self.wait(300)
        self.terminal.post(MediumRemoved(SIDE, MediumKind.BADGE))
        for key in ("1", "2", "3", "4", "enter", "1", "enter"):
            self.terminal.post(KeyPressed(SIDE, Key(key)))
            self.wait(100)

    def wait(self, duration_ms: int) -> None:
        self.heap.run_until(self.heap.now + duration_ms)

    def fuel(self, volume_ml: int, nozzle: int = 1) -> None:
        self.choose()
        self.head.lift(nozzle, self.heap.now)
        assert self.heap.run_until(self.heap.now + 20_000, lambda: self.head.valve_open), self.terminal.screens[-2:]
        self.head.squeeze(volume_ml, self.heap.now)
        assert self.heap.run_until(self.heap.now + 120_000, lambda: not self.head.delivering)
        self.head.hang_up(self.heap.now)
        assert self.heap.run_until(self.heap.now + 60_000, self.free), self.terminal.screens[-2:]
        self.wait(5_000)

    def free(self) -> bool:
        engine = self.terminal.engine
        return engine is not None and not engine.site.uploads.waiting and all(point.available for point in engine.site.points.values())

    def rows(self, kind: str) -> int:
        with self.terminal.reading() as db:
            return int(db.execute("SELECT count(*) FROM journal WHERE kind = ?", (kind,)).fetchone()[0])

    def faults(self) -> list[str]:
        with self.terminal.reading() as db:
            return [row[0] for row in db.execute("SELECT code FROM fault")]

    def sold(self) -> list[int]:
        return [int(sale["quantity_ml"]) for sale in self.station.book.sales()]


def test_a_head_that_is_released_before_the_lift(tmp_path: Path) -> None:
    driver = Customer(tmp_path, ONE, before_lift=True)
    driver.station.begin()
    driver.choose()
    driver.wait(2_000)
    assert driver.head.preset != (None, None)
    assert driver.head.state.name == "AUTHORIZED", "released, and the nozzle hangs"
    assert not driver.head.valve_open
    driver.head.lift(1, driver.heap.now)
    driver.wait(500)
    driver.head.squeeze(12_000, driver.heap.now)
    assert driver.heap.run_until(driver.heap.now + 60_000, lambda: not driver.head.delivering)
    driver.head.hang_up(driver.heap.now)
    assert driver.heap.run_until(driver.heap.now + 60_000, driver.free)
    assert driver.sold() == [12_000]
    driver.terminal.power_off()


def test_released_before_the_lift_and_nobody_comes(tmp_path: Path) -> None:
    driver = Customer(tmp_path, ONE, before_lift=True)
    driver.station.begin()
    driver.choose()
    driver.wait(150_000)
    assert driver.head.state.name in ("RESET", "COMPLETED"), "the release was taken back"
    assert driver.free()
    assert sum(driver.sold()) == 0
    driver.terminal.power_off()


def test_where_several_nozzles_may_be_taken_nothing_is_released_before_the_lift(tmp_path: Path) -> None:
    driver = Customer(tmp_path, TWO_DART, before_lift=True)
    driver.station.begin()
    driver.choose()
    driver.wait(2_000)
    assert driver.head.state.name == "RESET"
    driver.head.lift(2, driver.heap.now)
    assert driver.heap.run_until(driver.heap.now + 10_000, lambda: driver.head.valve_open)
    driver.terminal.power_off()


TWO_DART = [{**row, "protocol": "dart"} for row in TWO]


def _coarse(driver: Customer) -> None:
    """The head tells its totals in whole litres."""
    exact = driver.head.total_ml

    def whole_litres(nozzle: int, now: int) -> int:
        return exact(nozzle, now) // 1_000 * 1_000

    setattr(driver.head, "total_ml", whole_litres)  # noqa: B010 - this one head's alone


def test_a_totaliser_in_whole_litres_makes_no_alarm_and_loses_nothing(tmp_path: Path) -> None:
    driver = Customer(tmp_path, ONE, resolution_ml=1_000)
    _coarse(driver)
    driver.station.begin()
    for volume_ml in (5_430, 2_810, 7_770, 3_000):
        driver.fuel(volume_ml)
    assert driver.sold() == [5_430, 2_810, 7_770, 3_000]
    assert driver.faults() == []
    assert driver.rows("Unattributed") == 0
    driver.terminal.power_off()


def test_the_same_totaliser_taken_for_a_fine_one_is_told(tmp_path: Path) -> None:
    driver = Customer(tmp_path, ONE)
    _coarse(driver)
    driver.station.begin()
    driver.fuel(5_430)
    assert "PUMP_RECORD_MISMATCH" in driver.faults()
    driver.terminal.power_off()


def test_two_hoses_of_an_azt_head_are_one_point(tmp_path: Path) -> None:
    driver = Customer(tmp_path, [{**row, "protocol": "azt"} for row in TWO])
    driver.station.begin()
    driver.fuel(6_000, nozzle=2)
    driver.fuel(4_000, nozzle=1)
    assert driver.sold() == [6_000, 4_000]
    assert driver.head.totals_ml(driver.heap.now) == {1: 4_000, 2: 6_000}
    assert driver.rows("Unattributed") == 0
    driver.terminal.power_off()
    driver.terminal.power_on()
    assert driver.heap.run_until(driver.heap.now + 60_000, driver.free)
    driver.fuel(3_000, nozzle=2)
    assert driver.sold() == [6_000, 4_000, 3_000]
    driver.terminal.power_off()
