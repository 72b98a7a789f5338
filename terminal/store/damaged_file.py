"""A damaged ledger's file made readable, on a copy: its fixed header bytes, its log, and the pages that say where its tables are; of an
encrypted one every page, for SQLCipher reads none that has a wrong bit."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from terminal.store.log_repair import examine_log
from terminal.store.schema import MIGRATIONS, PAGE_SIZE
from terminal.store.sealed_pages import log_made_readable, make_readable
from terminal.store.sqlite_kind import connect, ledger_key
from terminal.store.start_check import schema_at, schema_of

FIXED = ((0, b"SQLite format 3\0\x04\0\2\2\0\x40\x20\x20"), (72, bytes(20)))
"""What stands in the first page of every ledger: the format's name, 1024 bytes a page, log mode, its fixed fractions; reserved bytes."""
FIRST_PAGES = 64
"""The tables were made before anything was put into them, so what describes them is in the first pages."""
_ROWS = "SELECT seq, utc, clock, kind, body, hash FROM journal LIMIT 0"


def opened(copy: Path, source: Path, like: tuple[Path, ...]) -> sqlite3.Connection | None:
    """A readable copy of this ledger with its log folded in; None when its tables cannot be found any more.

    ``like``: whole ledgers whose first pages may take the place of damaged ones: what describes the tables is the same in all of a history.
    """
    if not source.exists():
        return None
    shutil.copyfile(source, copy)
    _make_readable(copy)
    log = source.with_name(source.name + "-wal")
    log_content = log.read_bytes() if log.exists() else b""
    report, key = examine_log(log_content), ledger_key()
    log_content = report.mended or log_content
    if key is not None:
        log_content = log_made_readable(log_content, report.frames, key)
    db = _readable(copy, log_content)
    for other in like if db is None else ():
        for at, mine, theirs in _unlike_pages(copy, _first_pages(other)):
            _put_page(copy, at, theirs)
            db = _readable(copy, log_content)
            if db is not None:
                return db
            _put_page(copy, at, mine)
    return db


def _first_pages(other: Path) -> bytes:
    """None of a file that its disk cannot read."""
    try:
        with other.open("rb") as file:
            return file.read(FIRST_PAGES * PAGE_SIZE)
    except OSError:
        return b""


def _unlike_pages(copy: Path, theirs: bytes) -> list[tuple[int, bytes, bytes]]:
    """The pages in which the two differ: where, and both."""
    with copy.open("rb") as file:
        pages = [(at, file.read(PAGE_SIZE), theirs[at : at + PAGE_SIZE]) for at in range(0, len(theirs), PAGE_SIZE)]
    return [(at, one, two) for at, one, two in pages if one != two and len(one) == len(two) == PAGE_SIZE]


def _put_page(copy: Path, at: int, page: bytes) -> None:
    with copy.open("r+b") as file:
        file.seek(at)
        file.write(page)


def first_bytes_right(head: bytes) -> bool:
    """Are these first bytes of a whole ledger? Of an encrypted one only the first sixteen are told; the rest its page's proof covers."""
    key = ledger_key()
    fixed = FIXED if key is None else ((0, key.salt),)
    return all(head[at : at + len(wanted)] == wanted for at, wanted in fixed)


def _make_readable(copy: Path) -> None:
    key = ledger_key()
    if key is not None:
        make_readable(copy, key)
        return
    size = copy.stat().st_size
    for at, wanted in FIXED:
        _put_page(copy, at, wanted[: max(0, size - at)])


def _readable(copy: Path, log: bytes) -> sqlite3.Connection | None:
    """The copy with this log, or None, and then it is as it was before."""
    log_copy = copy.with_name(copy.name + "-wal")
    log_copy.unlink(missing_ok=True)
    if log:
        log_copy.write_bytes(log)
    db = connect(copy)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(_ROWS).fetchall()
        if any(schema_of(db) == schema_at(version) for version in range(len(MIGRATIONS), 0, -1)):
            return db
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
        pass
    if log:
        os.truncate(log_copy, 0)  # or closing would fold it into the copy, on which the next page is tried
    db.close()
    return None
