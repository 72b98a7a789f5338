"""A conversion that was cut: no plain copy stays beside an encrypted ledger, and no backup of the other kind is passed over in silence."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminal.core.rollback_mark import LedgerPruned
from terminal.store import conversion, retention
from terminal.store.backup import NEWEST, OLDER, PART, backups_of, make
from terminal.store.care import LedgerCare
from terminal.store.conversion import convert
from terminal.store.disk_room import DiskRoom
from terminal.store.ledger import LedgerError
from terminal.store.schema import PAGE_SIZE
from terminal.store.sqlite_kind import PLAIN_NAME, is_encrypted, keep_ledgers
from tests.ledger_kinds import KEY
from tests.store.books import Station, live
from tests.store.damage_kit import FILE, Content, content, encode, flipped, opened

CONVERTED = f"{FILE}.converted"


class PowerCut(BaseException):
    pass


@pytest.fixture(autouse=True)
def _plain_afterwards() -> Iterator[None]:
    yield
    keep_ledgers(None)


def station(folder: Path, *, encrypted: bool) -> tuple[Path, Content]:
    """A ledger at rest, with one backup."""
    keep_ledgers(KEY if encrypted else None)
    path = folder / FILE
    found = Station(path)
    for _ in live(found, 60, 5):
        pass
    was = content(found.ledger.connection)
    found.ledger.close()
    assert make(path, folder / "backup") is None
    return path, was


def cut_behind_the_name(path: Path, monkeypatch: pytest.MonkeyPatch, *, encrypt: bool) -> None:
    """The ledger is of the new kind, its backups are of the old one; the process keeps them in the new way."""

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(conversion, "_renew", cut)
        with pytest.raises(PowerCut):
            convert(path, path.parent / "backup", KEY, encrypt=encrypt)
    assert is_encrypted(path) is encrypt
    keep_ledgers(KEY if encrypt else None)


def test_a_killed_decryption_leaves_no_plain_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, was = station(tmp_path, encrypted=True)
    path.chmod(0o644)
    child = os.fork()
    if child == 0:  # nothing of it runs on, as with a kill: no ``finally`` either
        os.umask(0)
        monkeypatch.setattr(conversion, "_copy", _copied_and_gone(conversion._copy))
        convert(path, tmp_path / "backup", KEY, encrypt=False)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = tmp_path / CONVERTED
    assert left.read_bytes().startswith(PLAIN_NAME)
    assert left.stat().st_mode & 0o777 == 0o600, "nobody else reads it before the next start"
    for name in (f"{CONVERTED}-wal", f"{CONVERTED}-journal", f"other.{CONVERTED}"):
        (tmp_path / name).write_bytes(b"of it")
    care = LedgerCare(DiskRoom(tmp_path, 1), tmp_path, tmp_path / "backup", 3_600_000, encode)
    care.open().close()
    assert sorted(one.name for one in tmp_path.iterdir() if CONVERTED in one.name) == [f"other.{CONVERTED}"], "another's is not ours"
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()


def _copied_and_gone(copy: Callable[[sqlite3.Connection, Path], None]) -> Callable[[sqlite3.Connection, Path], None]:
    def gone(source: sqlite3.Connection, fresh: Path) -> None:
        copy(source, fresh)
        os._exit(9)

    return gone


def test_what_a_cut_conversion_left_is_no_hindrance_to_the_next(tmp_path: Path) -> None:
    path, was = station(tmp_path, encrypted=True)
    for name in (CONVERTED, f"{CONVERTED}-wal", f"{CONVERTED}-journal"):
        (tmp_path / name).write_bytes(b"of an earlier one" * 100)
    convert(path, tmp_path / "backup", KEY, encrypt=False)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup", FILE]
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()


def left_of_backups(folder: Path) -> None:
    """What the backup's process leaves beside its backups: what may be pruned, and a part when it was killed."""
    retention.write(retention.Proposal(LedgerPruned(7, "aa", "bb", ((1, 5),), ((1, 1),), 3), b"SaleDelivered"), folder)
    for name in (PART, f"{PART}-wal", f"{PART}-journal"):
        (folder / name).write_bytes(b"of the ledger as it was")


@pytest.mark.parametrize("again", [False, True])
def test_beside_an_encrypted_ledger_nothing_stays_that_was_made_of_the_plain_one(tmp_path: Path, again: bool) -> None:
    """Without a backup, too. ``again``: a second run ends what an earlier version left."""
    path, was = station(tmp_path, encrypted=False)
    backups = tmp_path / "backup"
    if again:
        convert(path, backups, KEY, encrypt=True)
        keep_ledgers(None)
    for one in backups.iterdir():
        one.unlink()
    left_of_backups(backups)
    assert not is_encrypted(backups / retention.PROPOSAL)
    assert convert(path, backups, KEY, encrypt=True).was_so is again
    assert list(backups.iterdir()) == []
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()


@pytest.mark.parametrize("encrypt", [True, False])
def test_a_damaged_ledger_with_backups_of_the_other_kind_waits_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypt: bool
) -> None:
    path, _ = station(tmp_path, encrypted=not encrypt)
    cut_behind_the_name(path, monkeypatch, encrypt=encrypt)
    data = flipped(path.read_bytes(), (5 * PAGE_SIZE + 300) * 8)
    path.write_bytes(data)
    backup = (tmp_path / "backup" / NEWEST).read_bytes()
    for _ in range(7):  # more starts than damaged ledgers are kept
        with pytest.raises(LedgerError, match="move the backups away"):
            opened(path)
        assert path.read_bytes() == data
    assert [one.name for one in tmp_path.glob("*.damaged-*")] == []
    assert (tmp_path / "backup" / NEWEST).read_bytes() == backup
    (tmp_path / "backup" / NEWEST).rename(tmp_path / "away.db")
    ledger = opened(path)
    assert ledger.connection.execute("SELECT count(*) FROM fault WHERE subject = 'ledger'").fetchone() == (1,), "made anew without them"
    ledger.close()


def test_one_backup_of_the_ledger_s_own_kind_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut when the new backup was made and the older one, of the other kind, not yet removed."""
    path, was = station(tmp_path, encrypted=False)
    cut_behind_the_name(path, monkeypatch, encrypt=True)
    assert make(path, tmp_path / "backup") is None
    assert [is_encrypted(one) for one in backups_of(tmp_path / "backup")] == [True, False]
    data = bytearray(path.read_bytes())
    data[len(data) // 2 // PAGE_SIZE * PAGE_SIZE :] = b""
    path.write_bytes(data)
    ledger = opened(path)
    assert content(ledger.connection).journal[: len(was.journal)] == was.journal
    ledger.close()


@pytest.mark.parametrize("encrypt", [True, False])
def test_a_whole_ledger_leaves_a_backup_of_the_other_kind_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, encrypt: bool
) -> None:
    path, was = station(tmp_path, encrypted=not encrypt)
    cut_behind_the_name(path, monkeypatch, encrypt=encrypt)
    backup = (tmp_path / "backup" / NEWEST).read_bytes()
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()
    assert (tmp_path / "backup" / NEWEST).read_bytes() == backup
    assert "event=BackupOfOtherKind" in caplog.text
    assert "BackupDropped" not in caplog.text
    convert(path, tmp_path / "backup", KEY, encrypt=encrypt)
    assert [is_encrypted(one) for one in backups_of(tmp_path / "backup")] == [encrypt], "the conversion, ended, replaces it"
    assert not (tmp_path / "backup" / OLDER).exists()


def test_a_damaged_ledger_that_is_refused_is_not_kept_aside_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = station(tmp_path, encrypted=False)
    cut_behind_the_name(path, monkeypatch, encrypt=True)
    data = bytearray(path.read_bytes())
    data[-PAGE_SIZE:] = bytes(PAGE_SIZE)  # it opens, and its examination finds it
    path.write_bytes(data)
    for _ in range(7):  # more starts than damaged ledgers are kept
        with pytest.raises(LedgerError, match="move the backups away"):
            opened(path)
    assert [one.name for one in tmp_path.glob("*.damaged-*")] == []
    assert path.read_bytes() == data
