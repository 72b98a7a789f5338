"""The card file: one list version as one read-only SQLite file of its own, so that no import ever delays a driver.

It is built beside the live one, checked, and swapped in by the commit that names it. Rows are kept as the core's own values in JSON: a
look-up is one primary-key SELECT and one decode.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from terminal.core.card_data import Balance, Baseline, Card, Customer, DenyList, Limit, Subject, SubjectKind

T = TypeVar("T")

_TABLES = """
CREATE TABLE card (token TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE customer (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE bound (kind TEXT NOT NULL, subject_kind TEXT NOT NULL, subject TEXT NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (subject_kind, subject, kind, place)) STRICT, WITHOUT ROWID;
CREATE TABLE deny (kind TEXT NOT NULL, value TEXT NOT NULL, upto TEXT NOT NULL DEFAULT '', PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID;
CREATE TABLE head (epoch TEXT NOT NULL, version INTEGER NOT NULL, rows INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT;
"""


class CardFileError(Exception):
    """A card file cannot be built or read; the text is meant for people."""


@dataclass(frozen=True, slots=True)
class DenyRow:
    """A denied card (token), customer (name) or range of numbers (first, last, same length)."""

    kind: str
    value: str
    upto: str = ""


ListRow = Card | Customer | Limit | Balance | Baseline | DenyRow
_BOUND_KINDS: dict[type, str] = {Limit: "limit", Balance: "balance", Baseline: "baseline"}


def build(path: Path, epoch: str, version: int, sha256: str, rows: Iterable[ListRow]) -> int:
    """Write one list version to ``path`` (through a temporary name, synced). Returns the number of rows.

    Raises ``CardFileError`` for a row that comes twice or a disk that is full; nothing is left at ``path`` then.
    """
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    try:
        count = _fill(partial, epoch, version, sha256, rows)
        os.replace(partial, path)
        _sync_directory(path.parent)
    except sqlite3.Error as error:
        raise CardFileError(f"the card file cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _fill(partial: Path, epoch: str, version: int, sha256: str, rows: Iterable[ListRow]) -> int:
    connection = sqlite3.connect(partial, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        count = 0
        for count, row in enumerate(rows, 1):  # noqa: B007 - the count is the result
            _insert(connection, row, count)
        connection.execute("INSERT INTO head VALUES (?, ?, ?, ?)", (epoch, version, count, sha256))
        connection.execute("COMMIT")
    finally:
        connection.close()
    return count


def _insert(connection: sqlite3.Connection, row: ListRow, place: int) -> None:
    if isinstance(row, Card):
        connection.execute("INSERT INTO card VALUES (?, ?)", (row.token, msgspec.json.encode(row)))
    elif isinstance(row, Customer):
        connection.execute("INSERT INTO customer VALUES (?, ?)", (row.customer, msgspec.json.encode(row)))
    elif isinstance(row, DenyRow):
        connection.execute("INSERT OR IGNORE INTO deny VALUES (?, ?, ?)", (row.kind, row.value, row.upto))
    else:
        values = (_BOUND_KINDS[type(row)], row.subject.kind.value, row.subject.id, place, msgspec.json.encode(row))
        connection.execute("INSERT INTO bound VALUES (?, ?, ?, ?, ?)", values)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class CardFile:
    """Reads one card file: the core's ``CardSource`` and ``DenyList``."""

    def __init__(self, path: Path) -> None:
        """Open for reading. Raises ``CardFileError`` when it is missing or no card file."""
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"  # a name may contain what a URI gives a meaning
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise CardFileError(f"{path}: not a readable card file ({error})") from error
        try:
            self.epoch, self.version, self.rows, self.sha256 = self._connection.execute(
                "SELECT epoch, version, rows, sha256 FROM head"
            ).fetchone()
            self._ranges = self._connection.execute("SELECT value, upto FROM deny WHERE kind = 'range'").fetchall()
        except (sqlite3.Error, TypeError) as error:
            self._connection.close()
            raise CardFileError(f"{path}: not a readable card file ({error})") from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def card(self, token: str) -> Card | None:
        """See ``core.card_data.CardSource``."""
        return self._one("SELECT body FROM card WHERE token = ?", token, Card)

    def customer(self, name: str) -> Customer | None:
        """See ``core.card_data.CardSource``."""
        return self._one("SELECT body FROM customer WHERE name = ?", name, Customer)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """See ``core.card_data.CardSource``."""
        return self._bounds("limit", account, customer, Limit)

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """See ``core.card_data.CardSource``."""
        return self._bounds("balance", account, customer, Balance)

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """See ``core.card_data.CardSource``."""
        return self._bounds("baseline", account, customer, Baseline)

    def card_denied(self, token: str) -> bool:
        """Is this medium on the deny list?"""
        return self._denied("card", token)

    def customer_denied(self, name: str) -> bool:
        """Is this customer on the deny list?"""
        return self._denied("customer", name)

    def number_denied(self, number: str) -> bool:
        """Does the number fall into a denied range?"""
        return any(len(first) == len(number) and first <= number <= last for first, last in self._ranges)

    def _denied(self, kind: str, value: str) -> bool:
        return self._connection.execute("SELECT 1 FROM deny WHERE kind = ? AND value = ?", (kind, value)).fetchone() is not None

    def _one(self, query: str, key: str, kind: type[T]) -> T | None:
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=kind)

    def _bounds(self, kind: str, account: str, customer: str | None, shape: type[T]) -> tuple[T, ...]:
        rows = self._connection.execute(
            "SELECT place, body FROM bound "
            "WHERE kind = ? AND ((subject_kind = 'card' AND subject = ?) OR (subject_kind = 'customer' AND subject = ?))",
            (kind, account, customer or ""),
        ).fetchall()
        return tuple(msgspec.json.decode(body, type=shape) for _, body in sorted(rows))


class _Deny:
    def __init__(self, lists: LiveLists) -> None:
        self._lists = lists

    def card(self, token: str) -> bool:
        return self._lists.file is not None and self._lists.file.card_denied(token)

    def customer(self, name: str) -> bool:
        return self._lists.file is not None and self._lists.file.customer_denied(name)

    def in_range(self, number: str) -> bool:
        return self._lists.file is not None and self._lists.file.number_denied(number)


class LiveLists:
    """Whichever card file is live; none at all before the first list arrived."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file: CardFile | None = None
        self.epoch = ""
        self.version = 0
        self.deny: DenyList = _Deny(self)

    def use(self, name: str) -> None:
        """Read from this file of the directory from now on. Raises ``CardFileError``; the old one goes on serving then."""
        fresh = CardFile(self.directory / name)
        old, self.file = self.file, fresh
        self.epoch, self.version = fresh.epoch, fresh.version
        if old is not None:
            old.close()
        for other in self.directory.glob("cards-*.db"):
            if other.name != name:
                other.unlink(missing_ok=True)

    def card(self, token: str) -> Card | None:
        """See ``core.card_data.CardSource``."""
        return None if self.file is None else self.file.card(token)

    def customer(self, name: str) -> Customer | None:
        """See ``core.card_data.CardSource``."""
        return None if self.file is None else self.file.customer(name)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.limits(account, customer)

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.balances(account, customer)

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.baselines(account, customer)


def subject_of(card: str | None, customer: str | None) -> Subject:
    """The subject of a limit, balance or baseline: exactly one of the two. Raises ``CardFileError`` otherwise."""
    if (card is None) is (customer is None):
        raise CardFileError("a subject names one card or one customer")
    return Subject(SubjectKind.CARD, card) if card is not None else Subject(SubjectKind.CUSTOMER, customer or "")
