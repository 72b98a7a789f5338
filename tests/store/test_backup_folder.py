"""The backups' disk is dead, unsearchable or full: backups are missing, and nothing else is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from terminal.core.events import BackupEnded
from terminal.core.faults import FaultCode
from terminal.core.records import FaultRaised
from terminal.store.backup import NEWEST, backups_of, make
from terminal.store.backup_folder import is_there, not_writable, unsearchable
from terminal.store.care import LedgerCare
from terminal.store.disk_room import DiskRoom
from terminal.store.ledger import Ledger, Stamp, StorageFailed
from tests.store.damage_kit import FILE, encode

pytestmark = pytest.mark.usefixtures("ledger_kind")

HOUR_MS = 3_600_000
WAIT_S = 180.0
PLENTY = 1 << 60


def dead(folder: Path) -> Path:
    """A folder of which every question is answered with an error (ENAMETOOLONG: root too is refused), as a dead disk does with EIO."""
    return folder / ("x" * 300)


def ledger_in(folder: Path) -> None:
    ledger = Ledger(folder / FILE)
    ledger.commit(Stamp(1, "trusted"), [FaultRaised(FaultCode.DEVICE_DOWN.value, "display-1", "")], [])
    ledger.close()


def first_backup(care: LedgerCare) -> str:
    """What the core hears of the first backup."""
    heard, until = care.look(0), time.monotonic() + WAIT_S
    while heard is None:
        time.sleep(0.02)
        heard = care.look(1)
        assert time.monotonic() < until
    assert isinstance(heard, BackupEnded)
    return heard.why


def test_the_folder_is_as_we_think(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        (dead(tmp_path) / NEWEST).stat()
    assert not is_there(dead(tmp_path) / NEWEST)
    assert "File name too long" in unsearchable(dead(tmp_path) / NEWEST)
    assert unsearchable(tmp_path / NEWEST) == ""
    (tmp_path / "file").write_bytes(b"")
    assert unsearchable(tmp_path / "file" / NEWEST) == ""


def test_a_dead_backup_folder_costs_backups_only(tmp_path: Path) -> None:
    ledger_in(tmp_path)
    care = LedgerCare(DiskRoom(tmp_path, 0), tmp_path, dead(tmp_path), HOUR_MS, encode)
    care.keep_months = 15
    ledger = care.open()
    try:
        assert ledger.head[0] == 1
        care.begin(ledger, 0)
        assert "File name too long" in first_backup(care)
        ledger.probe()
    finally:
        care.end()
        ledger.close()


def test_a_damaged_ledger_is_made_anew_without_the_backups_of_a_dead_disk(tmp_path: Path) -> None:
    ledger_in(tmp_path)
    damaged = bytearray((tmp_path / FILE).read_bytes())
    damaged[damaged.rfind(b"display-1")] ^= 1
    (tmp_path / FILE).write_bytes(damaged)
    ledger = LedgerCare(DiskRoom(tmp_path, 0), tmp_path, dead(tmp_path), HOUR_MS, encode).open()
    assert ledger.head[0] == 3  # the restoration and its fault
    ledger.close()


def test_a_ledger_that_is_gone_is_not_begun_anew_while_nobody_knows_whether_there_is_a_backup(tmp_path: Path) -> None:
    care = LedgerCare(DiskRoom(tmp_path, 0), tmp_path, dead(tmp_path), HOUR_MS, encode)
    with pytest.raises(StorageFailed, match="whether there is a backup of one cannot be told"):
        care.open()
    assert not (tmp_path / FILE).exists()
    LedgerCare(DiskRoom(tmp_path, 0), tmp_path, tmp_path / "backup", HOUR_MS, encode).open().close()


def test_a_backup_leaves_the_reserve_alone(tmp_path: Path) -> None:
    ledger_in(tmp_path)
    folder = tmp_path / "backup"
    with pytest.raises(OSError, match=r"no room for a backup: \d+ MiB free, \d+ MiB needed"):
        make(tmp_path / FILE, folder, PLENTY)
    assert list(folder.iterdir()) == []
    assert make(tmp_path / FILE, folder, 1 << 20) is None
    care = LedgerCare(DiskRoom(tmp_path, PLENTY), tmp_path, folder, HOUR_MS, encode)
    ledger = care.open()
    (folder / NEWEST).unlink()
    try:
        care.begin(ledger, 0)
        assert "no room for a backup" in first_backup(care), "the process that makes it is told the reserve"
    finally:
        care.end()
        ledger.close()
    assert backups_of(folder) == ()


def test_whether_backups_can_be_written_is_tried(tmp_path: Path) -> None:
    assert not_writable(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    assert not_writable(tmp_path / "to be made") == ""
    (tmp_path / "file").write_bytes(b"")
    assert "Not a directory" in not_writable(tmp_path / "file")
    assert "File name too long" in not_writable(dead(tmp_path))
