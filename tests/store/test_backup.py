"""Backups: of a ledger in use, sound before they count, in place whole, and the core does not wait for them."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from terminal.core.records import TerminalStarted
from terminal.store.backup import FIRST_MS, LATE_MS, NEWEST, OLDER, BackupKeeper, backups_of, make
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger
from terminal.store.sqlite_kind import connect
from tests.store.books import BOOT, Station, live

pytestmark = pytest.mark.usefixtures("ledger_kind")

HOUR_MS = 3_600_000
WAIT_S = 180.0


def head_of(path: Path) -> tuple[int, bytes]:
    with closing(connect(path, "mode=ro&immutable=1")) as db:
        seq, link = db.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return int(seq), bytes(link)


def station_of(folder: Path, moves: int, **settings: int) -> Station:
    folder.mkdir(exist_ok=True)
    station = Station(folder / "ledger.db", **settings)
    for _ in live(station, moves, 3):
        pass
    return station


def test_a_ledger_in_use_is_copied_whole_and_goes_on(tmp_path: Path) -> None:
    station = station_of(tmp_path, 40)
    assert make(station.ledger.path, tmp_path / "backup") is None
    first = tmp_path / "backup" / NEWEST
    assert head_of(first) == station.ledger.head
    assert verify(first).sound
    for _ in live(station, 10, 4):
        pass
    assert make(station.ledger.path, tmp_path / "backup") is None
    assert head_of(first) == station.ledger.head
    assert head_of(tmp_path / "backup" / OLDER)[0] < station.ledger.head[0]
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == sorted([NEWEST, OLDER])
    with pytest.raises(sqlite3.OperationalError, match="locked"):  # nothing of the copying has let go of the ledger's locks
        connect(station.ledger.path).execute("SELECT count(*) FROM journal")
    station.ledger.close()


def test_a_backup_is_made_by_another_process_while_the_core_commits(tmp_path: Path) -> None:
    station = station_of(tmp_path, 60, autocheckpoint_pages=20)
    heads = {station.ledger.head}
    keeper = BackupKeeper(station.ledger, tmp_path / "backup", HOUR_MS, 0)
    assert keeper.look(0) is None  # there is none yet: one is begun at once
    (held,) = station.ledger.connection.execute("PRAGMA wal_autocheckpoint").fetchone()
    assert held == 0
    ended, until = None, time.monotonic() + WAIT_S
    moves = live(station, 100_000, 5)
    while ended is None:
        next(moves)
        heads.add(station.ledger.head)
        ended = keeper.look(1)
        assert time.monotonic() < until
    assert ended == (False, "")
    assert head_of(tmp_path / "backup" / NEWEST) in heads
    assert station.ledger.connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (20,)
    assert keeper.look(2) is None
    assert keeper.look(HOUR_MS - 1) is None
    keeper.look(HOUR_MS)
    assert station.ledger.connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)  # the next one, an hour later
    keeper.stop()
    station.ledger.close()
    assert verify(station.ledger.path).sound


def test_a_damaged_ledger_is_no_backup_and_is_told(tmp_path: Path) -> None:
    station = station_of(tmp_path, 40)
    assert make(station.ledger.path, tmp_path / "backup") is None
    before = (tmp_path / "backup" / NEWEST).read_bytes()
    station.ledger.connection.execute("UPDATE sale SET value_minor = value_minor + 1 WHERE sequence = 1")
    found = make(station.ledger.path, tmp_path / "backup")
    assert found is not None
    assert "sale" in found
    assert (tmp_path / "backup" / NEWEST).read_bytes() == before
    keeper = BackupKeeper(station.ledger, tmp_path / "backup", HOUR_MS, -HOUR_MS)
    ended, until = keeper.look(0), time.monotonic() + WAIT_S
    while ended is None:
        time.sleep(0.02)
        ended = keeper.look(1)
        assert time.monotonic() < until
    assert ended[0] is True
    assert "sale" in ended[1]
    station.ledger.close()


def test_where_no_backup_can_be_made_the_reason_is_told_and_the_ledger_goes_on(tmp_path: Path) -> None:
    station = station_of(tmp_path, 10)
    (tmp_path / "file").write_bytes(b"")
    keeper = BackupKeeper(station.ledger, tmp_path / "file" / "backup", HOUR_MS, 0)
    ended, until = keeper.look(0), time.monotonic() + WAIT_S
    while ended is None:
        time.sleep(0.02)
        ended = keeper.look(1)
        assert time.monotonic() < until
    assert ended[0] is False
    assert "Not a directory" in ended[1]
    assert backups_of(tmp_path / "file" / "backup") == ()
    for _ in live(station, 5, 9):
        pass
    station.ledger.close()


def wait_for_end(keeper: BackupKeeper, now: int) -> tuple[bool, str]:
    ended, until = keeper.look(now), time.monotonic() + WAIT_S
    while ended is None:
        time.sleep(0.02)
        ended = keeper.look(now)
        assert time.monotonic() < until
    return ended


def test_a_backup_that_hangs_is_killed_and_told_and_the_log_is_folded_again(tmp_path: Path) -> None:
    station = station_of(tmp_path, 20, autocheckpoint_pages=20)
    keeper = BackupKeeper(station.ledger, tmp_path / "backup", HOUR_MS, 0)
    assert keeper.look(0) is None
    assert keeper._child is not None
    hung = keeper._child
    os.kill(hung.pid, signal.SIGSTOP)
    assert keeper.look(LATE_MS - 1) is None
    assert station.ledger.connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    assert keeper.look(LATE_MS) == (False, "the backup did not end within 30 minutes and was killed")
    assert station.ledger.connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (20,)
    until = time.monotonic() + WAIT_S
    while keeper._child is not None:
        assert keeper.look(LATE_MS + 1) is None, "told once"
        assert time.monotonic() < until
    assert hung.returncode == -signal.SIGKILL
    assert backups_of(tmp_path / "backup") == ()
    assert wait_for_end(keeper, HOUR_MS) == (False, ""), "the next one is made all the same"
    assert verify(tmp_path / "backup" / NEWEST).sound
    station.ledger.close()


def test_what_a_killed_backup_left_is_not_taken_for_the_next_one_s(tmp_path: Path) -> None:
    station = station_of(tmp_path, 40)
    folder = tmp_path / "backup"
    assert make(station.ledger.path, folder) is None
    left = folder / "ledger-backup.part"
    shutil.copyfile(folder / NEWEST, left)
    with closing(connect(left)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("PRAGMA synchronous = OFF")  # its journal counts as whole at once
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN")
        db.execute("UPDATE journal SET hash = zeroblob(32)")
        journal = left.with_name(f"{left.name}-journal")
        kept = journal.read_bytes()
        db.execute("ROLLBACK")
    journal.write_bytes(kept)
    for _ in live(station, 30, 4):
        pass
    station.ledger.connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    station.desk.persist(TerminalStarted(BOOT, "1.0"))
    station.commit()  # the log begins afresh, so what the old journal put back would stay
    assert make(station.ledger.path, folder) is None
    assert head_of(folder / NEWEST) == station.ledger.head
    station.ledger.close()


def test_a_terminal_that_never_runs_for_long_makes_backups_too(tmp_path: Path) -> None:
    station = station_of(tmp_path, 10)
    assert make(station.ledger.path, tmp_path / "backup") is None
    keeper = BackupKeeper(station.ledger, tmp_path / "backup", HOUR_MS, 0)
    keeper.look(FIRST_MS - 1)
    assert keeper._child is None
    assert wait_for_end(keeper, FIRST_MS) == (False, "")
    keeper.look(FIRST_MS + HOUR_MS - 1)
    assert keeper._child is None
    keeper.look(FIRST_MS + HOUR_MS)
    assert keeper._child is not None
    keeper.stop()
    station.ledger.close()


def test_a_log_that_begins_afresh_during_the_copy_is_copied_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    station = station_of(tmp_path, 40)
    ledger: Ledger = station.ledger
    log = ledger.path.with_name("ledger.db-wal")
    ledger.connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()  # folded: the next commit begins the log afresh
    ledger.hold_folding(True)
    copies: list[bytes] = []
    real = shutil.copyfile

    def copied(source: Path, target: Path) -> object:
        found = real(source, target)
        if source == log:
            copies.append(log.read_bytes()[:32])
            if len(copies) == 1:
                station.desk.persist(TerminalStarted(BOOT, "1.0"))
                station.commit()
                assert log.read_bytes()[:32] != copies[0]
        return found

    monkeypatch.setattr(shutil, "copyfile", copied)
    assert make(ledger.path, tmp_path / "backup") is None
    assert len(copies) == 2
    assert verify(tmp_path / "backup" / NEWEST).sound
    ledger.close()
