"""A ledger that no program has open, for looking at: the file, its log and its directory stay as they are.

A running terminal holds its ledger under an exclusive lock, and what it wrote last is in the log; there is nothing to be seen from outside.
A copy of both files (``ledger.db`` and ``ledger.db-wal``) can be looked at at any time.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from terminal.store.ledger import LedgerBusy, LedgerError
from terminal.store.sqlite_kind import connect, refuse_other_kind


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger with its log folded in. Raises ``LedgerError`` when there is none, ``LedgerBusy`` when a program has it open, before the
    look or during it."""
    if not path.is_file():
        raise LedgerError(f"{path}: no such file")
    _refuse_when_open(path)
    refuse_other_kind(path)
    before = _fingerprint(path)
    with _reader(path) as db:
        yield db
    _refuse_when_open(path)
    if _fingerprint(path) != before:
        raise LedgerBusy(f"{path}: changed while it was examined; stop the terminal first")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _fingerprint(path: Path) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for part in (path, _beside(path, "-wal"), _beside(path, "-journal")):
        try:
            status = part.stat()
            found.append((status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found


def _refuse_when_open(path: Path) -> None:
    """An open ledger has a log and a lock that forbids the first read. Without a log we do not even ask: SQLite would make one."""
    if not _beside(path, "-wal").exists():
        return
    with closing(connect(path, "mode=ro&readonly_shm=1")) as db:
        try:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            # Any other refusal comes after the lock was granted: a log without its index cannot be read in place, hence the copy.
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise LedgerBusy(f"{path}: another program has the ledger open; stop the terminal first") from error


@contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger with its log folded in. With a log that is done on a copy, because folding writes."""
    logs = [log for log in (_beside(path, "-wal"), _beside(path, "-journal")) if log.exists() and log.stat().st_size]
    if not logs:
        with closing(connect(path, "mode=ro&immutable=1")) as db:
            yield db
        return
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        for part in (path, *logs):
            shutil.copyfile(part, Path(folder) / part.name)
        with closing(connect(Path(folder) / path.name)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            yield db
