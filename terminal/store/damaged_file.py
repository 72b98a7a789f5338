"""A damaged ledger's file made readable, on a copy: its fixed header bytes, its log, and the pages that say where its tables are."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from terminal.store.log_repair import examine_log
from terminal.store.schema import MIGRATIONS, PAGE_SIZE
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
    content = bytearray(source.read_bytes())
    for at, wanted in FIXED:
        content[at : at + len(wanted)] = wanted
    log = source.with_name(source.name + "-wal")
    log_content = log.read_bytes() if log.exists() else b""
    log_content = examine_log(log_content).mended or log_content
    db = _readable(copy, bytes(content), log_content)
    for other in like if db is None else ():
        template = other.read_bytes()
        for page in range(min(FIRST_PAGES, len(content) // PAGE_SIZE, len(template) // PAGE_SIZE)):
            start, end = page * PAGE_SIZE, (page + 1) * PAGE_SIZE
            if content[start:end] != template[start:end]:
                db = _readable(copy, bytes(content[:start] + template[start:end] + content[end:]), log_content)
                if db is not None:
                    return db
    return db


def _readable(copy: Path, content: bytes, log: bytes) -> sqlite3.Connection | None:
    copy.write_bytes(content)
    copy.with_name(copy.name + "-wal").unlink(missing_ok=True)
    if log:
        copy.with_name(copy.name + "-wal").write_bytes(log)
    db = sqlite3.connect(copy, isolation_level=None)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(_ROWS).fetchall()
        if any(schema_of(db) == schema_at(version) for version in range(len(MIGRATIONS), 0, -1)):
            return db
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
        pass
    db.close()
    return None
