"""Where a restoration lays the rows and messages of several ledgers side by side: on the disk, because all of them may be more than memory.

A scratch database of the ledger's own kind (encrypted where that is), in the folder of what is made anew; it goes with that folder.
(firmware_notes/storage.md, A bit flips.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from terminal.store.sqlite_kind import connect

MOST_SOURCES = 8
HIGHEST = 1 << 40
"""A row that says a higher number has a flipped bit in it."""
_CACHE_KIB = 4 << 10
Row = tuple[int, int, str, str, bytes, bytes]


class RowShelf:
    """Journal rows by number and source, the first source's first; messages by key."""

    def __init__(self, path: Path) -> None:
        """Raises ``sqlite3.Error``, as everything here does when the disk is full."""
        self._db = connect(path)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", f"cache_size = -{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {setting}").fetchone()
        self._db.execute("CREATE TABLE row (place INTEGER PRIMARY KEY, utc, clock, kind, body, hash)")
        self._db.execute("CREATE TABLE message (key TEXT PRIMARY KEY, body) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def put(self, source: int, row: Row, *, in_place: bool) -> None:
        """One row of the source of this number; one that stands in its place is preferred to one that says the same number elsewhere."""
        seq, *rest = row
        if not 0 < seq < HIGHEST or any(other == row for other in (self.at(seq) if source else ())):
            return
        verb = "REPLACE" if in_place else "IGNORE"
        self._db.execute(f"INSERT OR {verb} INTO row VALUES (?, ?, ?, ?, ?, ?)", (seq * MOST_SOURCES + source, *rest))  # noqa: S608

    def at(self, seq: int) -> list[Row]:
        """What the sources have under this number, no two of them alike."""
        if not 0 < seq < HIGHEST:
            return []
        places = (seq * MOST_SOURCES, (seq + 1) * MOST_SOURCES - 1)
        return [
            (seq, *rest)
            for rest in self._db.execute("SELECT utc, clock, kind, body, hash FROM row WHERE place BETWEEN ? AND ? ORDER BY place", places)
        ]

    def groups(self, after: int) -> Iterator[tuple[int, list[Row]]]:
        """The same of every number behind this one that any source has, in order."""
        rows = self._db.execute(
            "SELECT place, utc, clock, kind, body, hash FROM row WHERE place >= ? ORDER BY place", ((after + 1) * MOST_SOURCES,)
        )
        for seq, group in itertools.groupby(rows, lambda row: int(row[0]) // MOST_SOURCES):
            yield seq, [(seq, *row[1:]) for row in group]

    def put_message(self, key: str, body: bytes) -> None:
        """The first one under a key stays."""
        self._db.execute("INSERT OR IGNORE INTO message VALUES (?, ?)", (key, body))

    def keys(self) -> Iterable[str]:
        """Of every message."""
        return (str(key) for (key,) in self._db.execute("SELECT key FROM message"))

    def message(self, key: str) -> bytes | None:
        """The message under this key."""
        row = self._db.execute("SELECT body FROM message WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
