"""A stopped terminal's ledger from plain to encrypted, or back: a copy that is compared row by row, verified, and put in its place whole.

The old file is held under its lock until the new one has its name, so no terminal can start in between. Power cut anywhere: the old ledger
or the new one, and a second run ends what is left. Backups are of the old kind then; they are replaced by one of the new ledger.
(reference security-and-reliability 5.2; firmware_notes/storage.md, Encrypted.)
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from terminal.store import retention
from terminal.store.backup import NEWEST, PART, backups_of, make
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, LedgerError, StorageFailed
from terminal.store.ledger_key import LedgerKey
from terminal.store.sqlite_kind import is_encrypted, keep_ledgers


@dataclass(frozen=True, slots=True)
class Converted:
    """``head``: the newest row's hash, as it was before. ``was_so``: nothing was to be done. ``left``: files that were left."""

    ledger: str
    encrypted: bool
    was_so: bool
    rows: int
    head: str
    left: tuple[str, ...]


def convert(path: Path, backups: Path, key: LedgerKey, *, encrypt: bool) -> Converted:
    """Make the ledger encrypted, or plain. The process keeps its ledgers in the new way afterwards (``sqlite_kind.keep_ledgers``).

    Raises ``LedgerError`` (``LedgerBusy``: the terminal runs) and ``StorageFailed``; the ledger is as it was then.
    """
    if not path.is_file():
        raise LedgerError(f"{path}: no such file")
    try:
        was_so = is_encrypted(path) == encrypt
        old, new = (None, key) if encrypt else (key, None)
        keep_ledgers(new if was_so else old)
        before = verify(path)
        if not before.sound:
            raise LedgerError(f"{path}: not sound, so it is not converted; python -m terminal verify says why")
        if not was_so:
            _replaced(path, before.head, old, new)
        _renew(path, backups, encrypt)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"{path}: {error}") from error
    left = tuple(str(one) for one in sorted(path.parent.glob(f"{path.name}.damaged-*/{path.name}")) if is_encrypted(one) != encrypt)
    return Converted(str(path), encrypt, was_so, before.rows, before.head, left)


def _replaced(path: Path, head: str, old: LedgerKey | None, new: LedgerKey | None) -> None:
    fresh = path.with_name(f"{path.name}.converted")
    _clear(fresh)
    with closing(Ledger(path)) as ledger:
        if ledger.head[1].hex() != head:
            raise LedgerError(f"{path}: changed while it was read; stop the terminal first")
        ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # or its log would be played into the new file
        keep_ledgers(new)
        done = False
        try:
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))  # a plain one is for nobody else's eyes
            _copy(ledger.connection, fresh)
            if verify(fresh).head != head:
                raise LedgerError(f"{path}: the copy is not what it was made of; nothing was changed")
            status = path.stat()
            os.chmod(fresh, status.st_mode & 0o777)
            os.chown(fresh, status.st_uid, status.st_gid)
            _sync(fresh)
            os.replace(fresh, path)
            path.with_name(f"{path.name}-wal").unlink(missing_ok=True)  # empty; SQLite leaves that of a file that lost its name
            _sync(path.parent)
            done = True
        finally:
            if not done:
                keep_ledgers(old)
            _clear(fresh)


def _clear(fresh: Path) -> None:
    for name in (fresh.name, f"{fresh.name}-wal", f"{fresh.name}-journal"):
        fresh.with_name(name).unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, fresh: Path) -> None:
    """Every row of every table, in one transaction, and then every row compared."""
    tables = [str(name) for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    with closing(Ledger(fresh)) as made:
        target = made.connection
        target.execute("BEGIN IMMEDIATE")
        for table in tables:
            columns = len(source.execute(f"PRAGMA table_info({table})").fetchall())
            target.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words, as below
            marks = ", ".join("?" * columns)
            target.executemany(f"INSERT INTO {table} VALUES ({marks})", source.execute(f"SELECT * FROM {table}"))  # noqa: S608
        target.execute("COMMIT")
        for table in tables:
            rows, copied = (db.execute(f"SELECT * FROM {table}") for db in (source, target))  # noqa: S608
            if any(one != other for one, other in zip(rows, copied, strict=True)):
                raise LedgerError(f"the copy of table {table} is not what it was made of; nothing was changed")
    if fresh.with_name(f"{fresh.name}-wal").exists():
        raise StorageFailed("the disk did not take the copy")  # a closing that cannot fold says nothing


def _renew(path: Path, backups: Path, encrypt: bool) -> None:
    """A backup of the new kind in the place of those of the old one: their rows are all in the ledger, which was verified.

    What else was made of the old one goes whatever comes of that: the next backup proposes again what may be pruned.
    """
    retention.write(None, backups)
    _clear(backups / PART)
    others = [one for one in backups_of(backups) if is_encrypted(one) != encrypt]
    if not others:
        if backups.is_dir():
            _sync(backups)
        return
    status = (backups / NEWEST).stat() if NEWEST in {one.name for one in others} else others[0].stat()
    found = make(path, backups)
    if found is not None:
        raise LedgerError(f"{path}: no backup could be made of it ({found})")
    os.chown(backups / NEWEST, status.st_uid, status.st_gid)
    for one in backups_of(backups):
        if is_encrypted(one) != encrypt:
            one.unlink()
    _sync(backups)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
