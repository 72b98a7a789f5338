"""Power cuts under a real ext4 and a disk with a volatile cache, while drivers fuel at the service: nothing acknowledged is lost.

The installed service in its container (``tests/service``) has its ledger on a disk that records every write and flush. Of any instant of
the record the disk is made that a cut would have left: all up to the last flush, and of what came behind it a random part.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.behaviour.setup import Setup
from tests.behaviour.told import books_differ
from tests.machine.cuts import Watch, look
from tests.machine.logged_disk import LoggedDisk
from tests.rig.process import wait_for
from tests.rig.station import Station
from tests.service.station import STATE_DIR, ServiceStation, ServiceWorld
from tests.service.test_service import BADGE, SETUP

CUTS = 100
FUELLINGS = 4
SEED = 20260318
PATIENCE_S = 60.0


class LoggedStation(ServiceStation):
    """The service with its ledger on a recorded disk."""

    disk: LoggedDisk | None = None

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)

    def _make_disk(self) -> None:
        super()._make_disk()
        folder = self.folder / "disk"
        folder.mkdir()
        self.disk = LoggedDisk(folder)
        self.state_dir = self.disk.files
        self.binds = (f"--bind={self.disk.files}:{STATE_DIR}",)

    def close(self) -> None:
        """End everything. Safe to call twice."""
        if self.container is not None:
            self.container.close()
        if self.disk is not None:
            self.disk.close()
        super().close()


class LoggedWorld(ServiceWorld):
    """The people of it."""

    station_class: ClassVar[type[Station]] = LoggedStation


@pytest.fixture
def world() -> Iterator[LoggedWorld]:
    made = LoggedWorld(SETUP)
    yield made
    made.close()


def test_no_cut_in_a_fuelling_loses_what_was_acknowledged(world: LoggedWorld, tmp_path: Path) -> None:
    """A hundred disks cut off at instants all over four fuellings; and the same cuts of a disk that does not flush, for comparison."""
    station = world._station
    assert isinstance(station, LoggedStation)
    disk = station.disk
    assert disk is not None
    watch = Watch(disk.log)
    first = len(disk.requests())
    for number in range(1, FUELLINGS + 1):
        world.present_badge(BADGE)
        world.choose(2)
        world.lift(2, 1)
        assert wait_for(lambda: world.release(2) is not None, PATIENCE_S), world.log()
        watch.saw("SaleReleased", number)
        world.flow(2, 3_000 + 500 * number)
        world.hang_up(2)
        assert wait_for(lambda number=number: world.host_sales() == number, PATIENCE_S), world.log()
        watch.saw("SaleDelivered", number)
        assert wait_for(world.settled, PATIENCE_S)
    assert books_differ(world.books(), SETUP) == ""
    every, base = disk.requests(), disk.base
    flushes = sum(entry.flush for entry in every[first:])
    assert flushes >= 2 * FUELLINGS
    rng = random.Random(SEED)
    cuts = [first + (len(every) - first) * place // CUTS for place in range(1, CUTS + 1)]
    true = look(cuts, every, watch, base, tmp_path, rng, lies=False)
    lied = look(cuts, every, watch, base, tmp_path, rng, lies=True)
    print(
        f"{FUELLINGS} fuellings, {len(every) - first} requests of which {flushes} flush, {CUTS} cuts, {true.dropped} unflushed writes "
        f"dropped: {len(true.wrong)} ledgers wrong; a disk that does not flush, {lied.dropped} writes dropped: {len(lied.wrong)} wrong"
    )
    assert true.wrong == ()
    assert len(lied.wrong) > CUTS // 2
