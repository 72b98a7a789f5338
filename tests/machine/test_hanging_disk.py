"""A disk that hangs for 20 s when a pump is to be released; and one that never comes back, under the installed units and real systemd.

The short form of the first is ``tests/rig/test_hanging_disk.py``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.setup import Setup
from tests.behaviour.told import books_differ
from tests.powercut.recorder import Recorder, recording
from tests.rig.hanging_disk import HangingWorld
from tests.rig.process import wait_for
from tests.rig.test_hanging_disk import SETUP, choose, ended_by_the_watchdog
from tests.service.installation import UNIT
from tests.service.station import FAST, STATE_DIR, ServiceStation, ServiceWorld
from tests.service.test_service import MISSED, REBOOT, up_at_least

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


# --- for ever ---------------------------------------------------------------------------------------------------------------------

FASTER = FAST + "TimeoutStopSec=2\nTimeoutStartSec=8\n"
AWAY_S = 25
OFTEN = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/3\nAccuracySec=100ms\n"
HOURS_MS = 3_600_000
GIVEN_UP_S = 150.0


class OnFuse(ServiceStation):
    """The installed service; its state directory is a disk that can hang."""

    disk: Recorder

    def __init__(self, setup: Setup) -> None:
        self.stack = contextlib.ExitStack()
        super().__init__(setup, drop_ins={"fast.conf": FASTER})
        self.state_dir = self.folder / "fuse" / "disk"

    def _lay_inputs(self, root: Path) -> None:
        super()._lay_inputs(root)
        user = next(line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("forecourt-terminal:"))
        place = self.folder / "fuse"
        place.mkdir()
        self.disk = self.stack.enter_context(recording(place, (int(user[2]), int(user[3]))))
        self.disk.folder.chmod(0o700)
        self.binds = (f"--bind={self.disk.folder}:{STATE_DIR}",)
        for unit, text in ((REBOOT, up_at_least(0, AWAY_S)), (MISSED, OFTEN)):
            folder = root / f"etc/systemd/system/{unit}.d"
            folder.mkdir()
            (folder / "test.conf").write_text(text)

    def close(self) -> None:
        """See ``ServiceStation.close``; the disk first, for who waits for it cannot be killed."""
        if "disk" in self.__dict__:
            self.disk.vanish()
        if self.container is not None:
            self.container.close()
        self.stack.close()
        super().close()


class OnFuseWorld(ServiceWorld):
    """The people of it."""

    station_class = OnFuse


@pytest.fixture
def installed() -> Iterator[OnFuseWorld]:
    made = OnFuseWorld(SETUP)
    yield made
    made.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="a container needs root")
def test_a_disk_that_never_comes_back_starts_the_machine_anew(installed: OnFuseWorld) -> None:
    """Neither SIGABRT nor SIGKILL ends the program; the next one hangs before it has begun. It is missed, and the machine starts anew."""
    station = installed._station
    assert isinstance(station, OnFuse)
    station.disk.hang("sync", 1, HOURS_MS)
    station.disk.close()
    installed.present_badge("04A1B2C3D4E5F6")
    box = station.box

    def decided() -> bool:
        with contextlib.suppress(subprocess.SubprocessError):
            said = box.run("journalctl", "--no-pager", "--output=cat", f"--unit={REBOOT}", check=False, timeout_s=10).stdout
            return not box.up or "event=Reboot why='the terminal has been away" in said
        return False

    assert wait_for(decided, GIVEN_UP_S, 0.3), box.run("journalctl", "--no-pager", f"--unit={UNIT}").stdout[-3000:]
    station.disk.vanish()
    assert box.wait_for_end(60) == 133
