"""Room on the ledger's disk, shown on a small disk where the machine lets us mount one: ballast made, given up and made again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.events import RoomSeen
from terminal.core.records import FaultRaised
from terminal.store.care import ROOM_EVERY_MS, LedgerCare
from terminal.store.disk_room import BALLAST, BALLAST_BYTES, DiskRoom
from terminal.store.ledger import Ledger, Stamp, StorageFailed
from tests.store.damage_kit import FILE, encode

pytestmark = pytest.mark.usefixtures("ledger_kind")

RESERVE = 4 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Eight MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "room", str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def fill(disk: Path, leave: int) -> Path:
    """Another program takes all but so many bytes."""
    other = disk / "other"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    other.write_bytes(bytes(max(0, free - leave)))
    return other


def eat(disk: Path) -> None:
    """Another program goes on: whatever there is."""
    with (disk / "hungry").open("ab", buffering=0) as other, contextlib.suppress(OSError):
        while other.write(bytes(4096)) == 4096:
            pass


def test_the_ballast_is_made_given_up_on_a_full_disk_and_made_again(disk: Path) -> None:
    room = DiskRoom(disk, RESERVE)
    assert room.ready()
    assert (disk / BALLAST).stat().st_size == BALLAST_BYTES
    assert not room.give()  # the disk has room: whatever failed, it was not that
    other = fill(disk, 0)
    assert room.give()
    assert not (disk / BALLAST).exists()
    (disk / "log").write_bytes(bytes(BALLAST_BYTES // 2))  # what was under way is recorded in its place
    assert not room.give()
    assert not room.ready()
    other.unlink()
    assert room.ready()
    assert (disk / BALLAST).stat().st_size == BALLAST_BYTES


def test_below_the_reserve_nothing_new_is_sold_and_the_ballast_stays(disk: Path) -> None:
    room = DiskRoom(disk, RESERVE)
    assert room.ready()
    fill(disk, RESERVE // 2)
    assert not room.ready()
    assert (disk / BALLAST).exists()


def test_on_a_disk_that_is_full_to_the_last_the_refusal_can_be_written_down(disk: Path) -> None:
    room = DiskRoom(disk, RESERVE)
    assert room.ready()
    fill(disk, 0)
    assert not room.ready()
    (disk / "refusal").write_bytes(bytes(100_000))


def test_what_is_open_is_recorded_although_the_disk_goes_on_filling(disk: Path) -> None:
    """Looks of the minute and of drivers between the filling and the fill's end give nothing away that could be eaten."""
    room = DiskRoom(disk, RESERVE)
    room.in_use = lambda: True
    stamp = Stamp(1, "trusted")
    ledger = Ledger(disk / FILE)
    ledger.commit(stamp, [FaultRaised("A", "b", "c")], [])
    assert room.ready()
    for _ in range(3):
        eat(disk)
        assert not room.ready()
        assert room.low()
    fill = [FaultRaised("A", "b", "c" * 60_000)]
    with pytest.raises(StorageFailed):
        ledger.commit(stamp, fill, [])
    ledger.close()
    assert room.give()
    again = Ledger(disk / FILE)
    again.commit(stamp, fill, [])
    assert again.connection.execute("SELECT count(*) FROM journal").fetchone() == (2,)
    again.close()


def test_the_fault_of_a_full_disk_waits_for_the_end_of_what_is_open(disk: Path) -> None:
    """Its row would be the write that fails, and the ballast would go for it."""
    care = LedgerCare(DiskRoom(disk, RESERVE), disk, disk / "backup", 3_600_000, encode)
    is_open = True
    care.room.in_use = lambda: is_open
    ledger = care.open()
    care.begin(ledger, 0)
    assert care.look_at_room(0) == RoomSeen("")
    eat(disk)
    assert care.room.keeps()
    at = ROOM_EVERY_MS
    for _ in range(20):
        assert care.look_at_room(at) is None
        at += ROOM_EVERY_MS
    assert (disk / BALLAST).exists()
    is_open = False
    assert not care.room.keeps()
    seen = care.look_at_room(at)
    assert seen is not None
    assert "MiB free" in seen.why
    assert not (disk / BALLAST).exists(), "given, so that this can be written down"
    care.end()
    ledger.close()


def test_with_the_ballast_gone_nothing_more_is_kept(disk: Path) -> None:
    room = DiskRoom(disk, RESERVE)
    room.in_use = lambda: True
    assert room.ready()
    assert not room.keeps()
    eat(disk)
    assert room.keeps()
    assert room.give()
    eat(disk)
    assert not room.keeps()


def test_a_disk_without_room_for_the_ballast_is_not_ready(disk: Path) -> None:
    fill(disk, BALLAST_BYTES // 2)
    assert not DiskRoom(disk, 1 << 19).ready()
    assert not (disk / BALLAST).exists()


def test_a_read_only_disk_is_not_ready(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert not DiskRoom(disk, 1).ready()


def test_a_disk_that_is_not_there_is_seen(disk: Path, tmp_path: Path) -> None:
    assert DiskRoom(disk, 1, own_disk=True).missing() is None
    assert DiskRoom(tmp_path, 1).missing() is None
    if tmp_path.stat().st_dev == os.stat("/").st_dev:
        assert "not mounted" in str(DiskRoom(tmp_path, 1, own_disk=True).missing())
    assert DiskRoom(tmp_path / "nothing", 1, own_disk=True).missing() is not None
    assert not DiskRoom(tmp_path / "nothing", 1).ready()
