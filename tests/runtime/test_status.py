"""The status file: whole or not at all, and never a reason to stop serving."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from terminal.core.site import Site
from terminal.core.units import Instant
from terminal.runtime.status import EVERY_MS, HEARTBEAT_MS, StatusFile
from terminal.store.ledger import Ledger
from terminal.store.live_lists import LiveLists
from terminal.store.recovery import recover
from terminal.store.vault import KeyVault
from tests.runtime.test_engine import Room
from tests.test_config import config_in


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that has booted."""
    ledger = Ledger(tmp_path / "ledger.db")
    recovered = recover(ledger, "OPT1", "boot")
    ledger.close()
    vault = KeyVault(bytes(32), bytes(32), bytes(32))
    made = Site(config_in(tmp_path).site("1.0"), recovered, boot="boot", lists=LiveLists(tmp_path), vault=vault, storage=Room())
    made.boot(Instant(0))
    return made


def read(path: Path) -> dict[str, Any]:
    """The file."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_it_says_what_is(site: Site, tmp_path: Path) -> None:
    """One object with what people and programs look for."""
    status = StatusFile(tmp_path, "1.0")
    status.update(site, Instant(0))
    found = read(status.path)
    assert (found["version"], found["pid"], found["host"], found["unsent"]) == ("1.0", os.getpid(), "reachable", 0)
    assert [point["fp"] for point in found["fuelling_points"]] == [1, 2]
    assert [path.name for path in tmp_path.iterdir() if "status" in path.name] == ["status.json"]


def test_it_is_written_when_it_changes_or_is_old(site: Site, tmp_path: Path) -> None:
    """Not at every step, and not for the mere time."""
    status = StatusFile(tmp_path, "1.0")
    status.update(site, Instant(0))

    def renewed(at: int) -> bool:
        status.path.unlink(missing_ok=True)
        status.update(site, Instant(at))
        return status.path.exists()

    assert not renewed(EVERY_MS)
    site.uploads.waiting = 3
    assert not renewed(EVERY_MS - 1)
    assert renewed(EVERY_MS)
    assert not renewed(EVERY_MS + HEARTBEAT_MS - 1)
    assert renewed(EVERY_MS + HEARTBEAT_MS)
    assert read(status.path)["unsent"] == 3


def test_a_folder_that_is_missing_costs_the_status_and_nothing_else(site: Site, tmp_path: Path) -> None:
    """And it is written as soon as the folder is there."""
    folder = tmp_path / "run"
    status = StatusFile(folder, "1.0")
    status.update(site, Instant(0))
    status.update(site, Instant(EVERY_MS))
    folder.mkdir()
    status.update(site, Instant(EVERY_MS + 1))
    assert not status.path.exists()
    status.update(site, Instant(2 * EVERY_MS))
    assert read(status.path)["version"] == "1.0"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_a_full_disk_leaves_the_old_status(site: Site, tmp_path: Path) -> None:
    """The new one is written beside it first; there the disk is full."""
    status = StatusFile(tmp_path, "1.0")
    status.update(site, Instant(0))
    before = status.path.read_bytes()
    (tmp_path / "status.part").symlink_to("/dev/full")
    site.uploads.waiting = 3
    status.update(site, Instant(EVERY_MS))
    assert status.path.read_bytes() == before
    (tmp_path / "status.part").unlink()
    status.update(site, Instant(2 * EVERY_MS))
    assert read(status.path)["unsent"] == 3


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    """Whoever reads while it is replaced reads one or the other."""
    status = StatusFile(tmp_path, "1.0")
    status.write({"n": 0, "text": ""})
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            found = read(status.path)
            assert len(found["text"]) == found["n"]
            seen.append(found["n"])

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(500):
        status.write({"n": number, "text": "x" * number})
    over.set()
    thread.join(10)
    assert seen == sorted(seen)
    assert read(status.path)["n"] == 499
