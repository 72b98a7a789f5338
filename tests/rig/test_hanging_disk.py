"""A disk that neither answers nor fails, in mid-fuelling: the watchdog's, for nothing else would ever end it (service.md)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.behaviour.told import books_differ
from tests.powercut.recorder import read_journal
from tests.rig.clean_log import unexpected
from tests.rig.hanging_disk import WATCHDOG_S, HangingWorld

BADGE = "04A1B2C3D4E5F6"
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290), NozzleRow(2, "dart", 1, "GAZOLE", 17290)),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(BADGE, BADGE, "badge", "C1"),),
)
SHORT_MS, LONG_MS = 1_000, 4_000
PATIENCE_S = 90.0


@pytest.fixture
def world() -> Iterator[HangingWorld]:
    made = HangingWorld(SETUP)
    try:
        yield made
        assert unexpected(made.log()) == []
    finally:
        made.close()


def choose(world: HangingWorld) -> None:
    """The driver is sent to fuelling point 2."""
    world.present_badge(BADGE)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 10_000), world.screens()[-3:]
    world.choose(2)
    assert world.wait(lambda: any(point["fp"] == 2 and point["sale"] for point in points(world)), 5_000)
    assert world.wait(lambda: world.asked() is None, 5_000)


def points(world: HangingWorld) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (world.program.status() or {}).get("fuelling_points", [])
    return found


def shown(world: HangingWorld) -> object:
    return world.act("display")["lines"]


def ended_by_the_watchdog(world: HangingWorld, began: float, long_ms: int = LONG_MS) -> None:
    """It was told to end when it fell silent, could not before the disk answered, and then did; nothing was shown or released meanwhile."""
    manager, program = world.station.manager, world.program
    assert manager.watch(program, lambda: manager.aborted_at is not None, long_ms / 1000)
    assert manager.aborted_at is not None
    assert manager.aborted_at - began < WATCHDOG_S + 2
    picture = shown(world)
    manager.watch(program, lambda: world.release(2) is not None or shown(world) != picture, long_ms / 1000 + PATIENCE_S)
    assert program.process is not None
    assert program.process.poll() is not None, "it ended before anything was released or shown"
    assert time.monotonic() - began > long_ms / 1000 - 0.5, "the disk had hung until then"
    assert program.await_end(1) < 0
    world.return_power()


def test_a_disk_that_hangs_in_mid_fuelling_costs_a_restart_and_no_fuel(world: HangingWorld) -> None:
    """For less than the watchdog's time, when the sale is reserved: the driver waits. For longer, when it is recorded: the fuel has flowed,
    and no commit says so yet. (For long, when the pump is to be released, and for ever: ``tests/machine/test_hanging_disk.py``.)"""
    station = world.station
    station.disk.hang("sync", 1, SHORT_MS)
    choose(world)
    world.lift(2, 1)
    assert world.wait(lambda: world.release(2) is not None, 10_000), world.screens()[-3:]
    world.flow(2, 5_000)
    station.disk.hang("sync", 1, LONG_MS)
    station.manager.forget()
    began = time.monotonic()
    world.hang_up(2)
    ended_by_the_watchdog(world, began)
    assert world.wait(lambda: world.host_sales() == 1 and not books_differ(world.books(), SETUP), 90_000), world.log()[-2000:]
    assert [sale.volume_ml for sale in world.ledger_sales()] == [5_000]
    assert list(world.unattributed(2)) == []
    assert [record[0] for record in read_journal(station.disk.journal) if record[0] == "hung"] == ["hung"] * 2
