"""A damaged ledger's file made readable, on a copy: its fixed header bytes, its log, and the pages that say where its tables are; of an
encrypted one every page, for SQLCipher reads none that has a wrong bit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from terminal.store.log_repair import examine_log
from terminal.store.schema import MIGRATIONS, PAGE_SIZE
from terminal.store.sealed_pages import log_made_readable, made_readable
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
    content = _pages_made_readable(source.read_bytes())
    log = source.with_name(source.name + "-wal")
    log_content = log.read_bytes() if log.exists() else b""
    report, key = examine_log(log_content), ledger_key()
    log_content = report.mended or log_content
    if key is not None:
        log_content = log_made_readable(log_content, report.frames, key)
    db = _readable(copy, content, log_content)
    for other in like if db is None else ():
        template = other.read_bytes()
        for page in range(min(FIRST_PAGES, len(content) // PAGE_SIZE, len(template) // PAGE_SIZE)):
            start, end = page * PAGE_SIZE, (page + 1) * PAGE_SIZE
            if content[start:end] != template[start:end]:
                db = _readable(copy, content[:start] + template[start:end] + content[end:], log_content)
                if db is not None:
                    return db
    return db


def first_bytes_right(head: bytes) -> bool:
    """Are these first bytes of a whole ledger? Of an encrypted one only the first sixteen are told; the rest its page's proof covers."""
    key = ledger_key()
    fixed = FIXED if key is None else ((0, key.salt),)
    return all(head[at : at + len(wanted)] == wanted for at, wanted in fixed)


def _pages_made_readable(content: bytes) -> bytes:
    key = ledger_key()
    if key is not None:
        return made_readable(content, key)
    mended = bytearray(content)
    for at, wanted in FIXED:
        mended[at : at + len(wanted)] = wanted
    return bytes(mended)


def _readable(copy: Path, content: bytes, log: bytes) -> sqlite3.Connection | None:
    copy.write_bytes(content)
    copy.with_name(copy.name + "-wal").unlink(missing_ok=True)
    if log:
        copy.with_name(copy.name + "-wal").write_bytes(log)
    db = connect(copy)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(_ROWS).fetchall()
        if any(schema_of(db) == schema_at(version) for version in range(len(MIGRATIONS), 0, -1)):
            return db
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
        pass
    db.close()
    return None
