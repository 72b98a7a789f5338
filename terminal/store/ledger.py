"""The ledger: one SQLite file, one connection, one thread, one transaction a step.

WAL with ``synchronous=FULL`` under an exclusive lock: what ``commit`` has returned from survives a power cut, nothing after it is half
there (reference security-and-reliability 5.2). Every setting is read back at every open, and a ledger that does not have them is not used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlite_utils import Database

from terminal.core.ids import MessageKind
from terminal.core.records import Record
from terminal.store import projection
from terminal.store.schema import MIGRATIONS, PAGE_SIZE
from terminal.store.sqlite_kind import LedgerError as LedgerError
from terminal.store.sqlite_kind import connect, refuse_other_kind

CHAIN_DOMAIN = b"fleet/audit/v1\0"
CHAIN_START = bytes(32)
AUTOCHECKPOINT_PAGES = 800
ADVICE = f"/{MessageKind.ADVICE.value}"
BATCH_BYTES = 512 * 1024 - 256
"""What the bodies of one call may have together; the rest is what stands around them (firmware_notes/host-api.md)."""

_SETTINGS: tuple[tuple[str, str, object], ...] = (
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("mmap_size", "0", 0),
    ("journal_size_limit", "4194304", 4194304),
)


class LedgerBusy(LedgerError):
    """Another program has the ledger open."""


class StorageFailed(Exception):
    """A write did not become durable: disk full, read-only or broken. Nothing of the step is in the ledger."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The terminal's time of a step and how far to believe it."""

    utc: int
    clock: str


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message for the host, in the bytes that every try will send."""

    key: str
    body: bytes


def chain_hash(previous: bytes, seq: int, body: bytes) -> bytes:
    """One link: SHA-256 over domain, previous hash, row number and the hash of the row's body."""
    return hashlib.sha256(CHAIN_DOMAIN + previous + seq.to_bytes(8, "big") + hashlib.sha256(body).digest()).digest()


def chained_body(utc: int, clock: str, kind: str, body: bytes) -> bytes:
    """What a link covers: the whole row, not only its facts."""
    return b"%d\0%s\0%s\0%s" % (utc, clock.encode(), kind.encode(), body)


def message_digest(key: str, body: bytes) -> bytes:
    """What stands beside a message in the outbox: its body is in no chain, and must not go out with a flipped bit."""
    return hashlib.sha256(key.encode() + b"\0" + body).digest()[:8]


class Ledger:
    """Opens, writes and reads the ledger. Everything here runs on the core's thread."""

    def __init__(
        self, path: Path, *, autocheckpoint_pages: int = AUTOCHECKPOINT_PAGES, on_damage: Callable[[], None] = lambda: None
    ) -> None:
        """Open the ledger, making or migrating it. Raises ``LedgerError`` in plain words, ``StorageFailed`` when the disk does not let us.

        ``autocheckpoint_pages``: after so many pages the log is folded into the file. ``on_damage`` is told that it cannot be read, before
        its closing folds the log.
        """
        self.path = path
        self._autocheckpoint_pages = autocheckpoint_pages
        self._settings = (*_SETTINGS, ("wal_autocheckpoint", str(autocheckpoint_pages), autocheckpoint_pages))
        self._connection = _open(path, self._settings)
        try:
            self._db = Database(self._connection)
            self._check_settings()
            self._migrate()
            last = self._connection.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            refusal = _refusal(path, error)
            if isinstance(refusal, LedgerError):
                on_damage()
            self._connection.close()
            raise refusal from error
        except (LedgerError, StorageFailed):
            self._connection.close()  # or its lock would outlive the refusal
            raise
        self._seq: int = 0 if last is None else last[0]
        self._hash: bytes = CHAIN_START if last is None else last[1]
        self._front = 0  # no message that waits has a lower row
        self._encoder = msgspec.json.Encoder(order="deterministic")  # a set has no order of its own

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading by the other modules of this package."""
        return self._connection

    @property
    def head(self) -> tuple[int, bytes]:
        """Number and hash of the newest journal row."""
        return self._seq, self._hash

    def commit(
        self,
        stamp: Stamp,
        records: Sequence[Record],
        messages: Sequence[QueuedMessage],
        also: Callable[[projection.Execute], None] = lambda execute: None,
    ) -> None:
        """Write one step's facts and messages, and what ``also`` does, durably and together, or nothing. Raises ``StorageFailed``."""
        seq, link, front = self._seq, self._hash, self._front
        execute = self._connection.execute
        try:
            with self._db.atomic():
                for record in records:
                    kind = type(record).__name__
                    body = self._encoder.encode(record)
                    seq += 1
                    link = chain_hash(link, seq, chained_body(stamp.utc, stamp.clock, kind, body))
                    execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", (seq, stamp.utc, stamp.clock, kind, body, link))
                    projection.APPLY[type(record)](execute, record, seq, stamp.utc)
                for message in messages:
                    values = (message.key, message.body, message_digest(message.key, message.body))
                    row = execute("INSERT INTO outbox (key, body, digest) VALUES (?, ?, ?)", values).lastrowid
                    front = min(front, row or 0)
                also(execute)
        except sqlite3.DatabaseError as error:
            if not _is_the_disks(error):
                raise
            raise StorageFailed(str(error)) from error
        self._seq, self._hash, self._front = seq, link, front

    def probe(self) -> None:
        """Write and take back: raises ``StorageFailed`` when the disk does not let us."""
        try:
            with self._db.atomic():
                self._connection.execute("INSERT INTO meta VALUES ('probe', '1') ON CONFLICT (name) DO UPDATE SET value = value || '1'")
                self._connection.execute("DELETE FROM meta WHERE name = 'probe'")
        except sqlite3.DatabaseError as error:
            if not _is_the_disks(error):
                raise
            raise StorageFailed(str(error)) from error

    def next_message(self) -> QueuedMessage | None:
        """The first message of the outbox that was not refused for good."""
        return next(iter(self.next_messages((), 1)), None)

    def next_messages(self, answered: Collection[str], most: int) -> tuple[QueuedMessage, ...]:
        """What goes to the host in one call: the first message that it has not answered, and where that is an advice, the advices right
        behind it: at most ``most``, at most ``BATCH_BYTES``. ``answered``: keys whose acknowledgement is not written yet.

        Reads as many rows as it gives, and those of ``answered``, however many wait.
        """
        found: list[QueuedMessage] = []
        size = 0
        rows = self._connection.execute(
            "SELECT id, key, body FROM outbox WHERE id >= ? AND quarantined = 0 ORDER BY id LIMIT ?", (self._front, most + len(answered))
        )
        with closing(rows):
            for place, (row, key, body) in enumerate(rows):
                if place == 0:
                    self._front = row
                if key in answered:
                    continue
                size += len(body) + 1
                if found and (len(found) == most or size > BATCH_BYTES or not key.endswith(ADVICE)):
                    break
                found.append(QueuedMessage(key, body))
                if not key.endswith(ADVICE):
                    break
        return tuple(found)

    def hold_folding(self, held: bool) -> None:
        """While held the log is not folded into the file, which then does not change at all: for a copy of both."""
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {0 if held else self._autocheckpoint_pages}").fetchone()

    def close(self) -> None:
        """Fold the log into the file and let go of the lock."""
        self._connection.close()

    # --- opening --------------------------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        for name, _, wanted in self._settings:
            (found,) = self._connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise LedgerError(f"{self.path}: this SQLite does not keep {name}={wanted} (it says {found}); sales would not be safe")

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"{self.path}: written by a newer program (schema {version}, this one knows {len(MIGRATIONS)}); install that one again"
            )
        if not version and self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            raise LedgerError(f"{self.path}: a database, but not a ledger; name another file")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            try:
                with self._db.atomic():
                    for statement in filter(str.strip, script.split(";")):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version = {number}")
            except sqlite3.OperationalError as error:
                raise StorageFailed(str(error)) from error


def _is_the_disks(error: sqlite3.DatabaseError) -> bool:
    """A damaged page comes as the bare ``DatabaseError``. A violated constraint is a mistake of ours and goes up as it is."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _open(path: Path, settings: Sequence[tuple[str, str, object]]) -> sqlite3.Connection:
    connection = None
    try:
        connection = connect(path)
        _prepare(connection, settings)
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise _refusal(path, error) from error
    return connection


def _prepare(connection: sqlite3.Connection, settings: Sequence[tuple[str, str, object]]) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    for name, value, _ in settings:
        connection.execute(f"PRAGMA {name} = {value}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _is_a_persons(path: Path) -> bool:
    """Is what keeps this file from being opened for a person to mend? Otherwise it is the disk's, which may be whole again by itself."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        folder = path.parent
        return not folder.is_dir() or not (os.access(folder, os.W_OK | os.X_OK) or os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
    return False


def _refusal(path: Path, error: sqlite3.DatabaseError) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        text = str(error)
        if "locked" in text:
            return LedgerBusy(f"{path}: another program has the ledger open; stop the terminal first")
        if "readonly" in text or "read-only" in text or "disk" in text or not _is_a_persons(path):
            return StorageFailed(text)
        return LedgerError(f"{path}: {text}; check that the directory exists and may be written")
    try:
        refuse_other_kind(path)
    except LedgerError as other:
        return other
    return LedgerError(f"{path}: not a ledger, or damaged ({error}); keep the file and restore the last backup")
