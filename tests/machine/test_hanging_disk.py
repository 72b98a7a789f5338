"""A disk that hangs for 20 s when a pump is to be released; and one that never comes back, under the installed units and real systemd.

The short form of the first is ``tests/rig/test_hanging_disk.py``.
"""

from __future__ import annotations

import time

import pytest

from tests.behaviour.told import books_differ
from tests.rig.hanging_disk import HangingWorld
from tests.rig.test_hanging_disk import SETUP, choose, ended_by_the_watchdog

pytestmark = pytest.mark.machine

LONG_MS = 20_000


def test_a_disk_that_hangs_when_a_pump_is_to_be_released_releases_none() -> None:
    world = HangingWorld(SETUP)
    try:
        choose(world)
        world.station.disk.hang("sync", 1, LONG_MS)
        world.station.manager.forget()
        began = time.monotonic()
        world.lift(2, 1)
        ended_by_the_watchdog(world, began, LONG_MS)
        world.hang_up(2)
        assert world.wait(lambda: world.host_open_authorizations() == 0 and not books_differ(world.books(), SETUP), 30_000)
        assert [sale.volume_ml for sale in world.ledger_sales() if sale.volume_ml] == []
        assert list(world.unattributed(2)) == []
        choose(world)
        world.lift(2, 1)
        assert world.wait(lambda: world.release(2) is not None, 10_000), world.screens()[-3:]
        world.flow(2, 5_000)
        world.hang_up(2)
        assert world.wait(lambda: world.host_sales() == 1 and not books_differ(world.books(), SETUP), 20_000)
    finally:
        world.close()
