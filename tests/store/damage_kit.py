"""A ledger with a backup and a log, to be damaged: what is in it, what comes out of it when it is opened, and how."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from terminal.core.messages import Booking, Reverse
from terminal.store.backup import make
from terminal.store.ledger import Ledger
from terminal.store.opening import open_ledger
from tests.store.books import Station, live

BEFORE, BEHIND = 50, 25
"""Moves of the station before the backup, and behind it; the latter are in the log."""
FILE = "ledger.db"


def encode(message: Booking | Reverse) -> bytes:
    """As ``Station`` makes messages."""
    return msgspec.json.encode(message)


@dataclass(frozen=True, slots=True)
class Content:
    """What a ledger says: its journal, its messages, and its tables."""

    journal: tuple[tuple[object, ...], ...]
    outbox: frozenset[tuple[object, ...]]
    sales: tuple[tuple[object, ...], ...]
    pins: tuple[tuple[object, ...], ...]
    faults: frozenset[str]


def content(db: sqlite3.Connection) -> Content:
    """Read all of it."""
    return Content(
        tuple(db.execute("SELECT * FROM journal ORDER BY seq")),
        frozenset(db.execute("SELECT key, quarantined, body FROM outbox")),
        tuple(db.execute("SELECT * FROM sale ORDER BY sequence")),
        tuple(db.execute("SELECT * FROM pin ORDER BY account")),
        frozenset(str(code) for (code,) in db.execute("SELECT code FROM fault")),
    )


@dataclass(frozen=True, slots=True)
class Ruin:
    """A ledger as it was when the program died: the files, its backup's, and what was in it."""

    file: bytes
    log: bytes
    backup: bytes
    was: Content

    def put(self, folder: Path, *, file: bytes | None = None, log: bytes | None = None, backup: bool = True) -> Path:
        """Lay it into an empty folder, with these files in place of its own."""
        path = folder / FILE
        path.write_bytes(self.file if file is None else file)
        path.with_name(f"{FILE}-wal").write_bytes(self.log if log is None else log)
        if backup:
            (folder / "backup").mkdir()
            (folder / "backup" / "ledger-backup.db").write_bytes(self.backup)
        return path


def ruin(folder: Path, *, seed: int = 6) -> Ruin:
    """A life of the real ledger, a backup in the middle of it, and a log that was not folded."""
    path = folder / FILE
    station = Station(path)
    for _ in live(station, BEFORE, seed):
        pass
    station.ledger.connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    station.ledger.hold_folding(True)
    found = make(path, folder / "backup")
    assert found is None, found
    station.ledger.hold_folding(False)
    for _ in live(station, BEHIND, seed + 1):
        pass
    was = content(station.ledger.connection)
    log = path.with_name(f"{FILE}-wal").read_bytes()
    ruined = Ruin(path.read_bytes(), log, (folder / "backup" / "ledger-backup.db").read_bytes(), was)
    station.ledger.close()
    return ruined


def opened(path: Path) -> Ledger:
    """As the program opens it."""
    return open_ledger(path, path.parent / "backup", encode)


def place_of(data: bytes, words: bytes = b"volume_ml") -> int:
    """Where in a ledger's file these words stand. An encrypted one shows none: then a page's middle, another one for other words."""
    at = data.find(words)
    return at if at >= 0 else (4 + len(words) % 8) * 1024 + 500


def flipped(data: bytes, bit: int) -> bytes:
    """One bit otherwise."""
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


def some_bits(data: bytes, count: int, step: int, seed: int) -> Iterator[int]:
    """Bits of a file: in every ``step`` of the header, and so many anywhere."""
    random = Random(seed)
    yield from range(0, 100 * 8, step)
    yield from sorted(random.randrange(len(data) * 8) for _ in range(count))
