"""The card file: one card list as one SQLite file of its own, so that no import ever delays a driver.

A snapshot is built beside the live one (``card_import``) and swapped in by the commit that names it; a delta is one short transaction of
the core's own on the live file. Rows are kept as they came, so a look-up is one primary-key SELECT and one decode, and version, hash and
number of rows live in the file, changed with the rows or not at all.

The file's journal is a log (WAL): a delta costs the core one sequential write and one sync, after a power cut the file is old or new, and
the log is folded into the file by another thread (``live_lists.LiveLists.tidy``). Why: firmware_notes/decisions/0007-card-file-wal.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from terminal.core.card_data import Balance, Baseline, Card, Customer, Limit, Share, SubjectKind
from terminal.core.card_lists import ListDelta
from terminal.core.card_table import CardRange
from terminal.core.prompt_rules import Odometer, PromptRule
from terminal.store import identification, pin_layer
from terminal.store.list_rows import ONLINE, bound_of, hash_text, row_hash, subject_key

T = TypeVar("T")

TABLES = (
    """
CREATE TABLE card (token BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE customer (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE bound (subject TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (subject, kind, key)) STRICT, WITHOUT ROWID;
CREATE TABLE deny (kind TEXT NOT NULL, value TEXT NOT NULL, upto TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, value, upto)) STRICT, WITHOUT ROWID;
CREATE TABLE product (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE head (epoch TEXT NOT NULL, version INTEGER NOT NULL, rows INTEGER NOT NULL, sha256 TEXT NOT NULL, content_hash TEXT NOT NULL,
    issued_at INTEGER NOT NULL) STRICT;
"""
    + identification.TABLES
)
KEYS: dict[str, tuple[str, ...]] = {
    "card": ("token",),
    "customer": ("name",),
    "bound": ("subject", "kind", "key"),
    "deny": ("kind", "value", "upto"),
    "product": ("name",),
    **identification.KEYS,
}
_SETTINGS: tuple[tuple[str, str, object], ...] = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("mmap_size", "0", 0),
    ("cache_size", "-8192", -8192),
    ("wal_autocheckpoint", "0", 0),
)
MEMO = 2_000
_decode_card = msgspec.json.Decoder(Card).decode
_decode_customer = msgspec.json.Decoder(Customer).decode

Bounds = tuple[tuple[Limit, ...], tuple[Balance, ...], tuple[Baseline, ...], tuple[Share, ...]]
_NONE: Bounds = ((), (), (), ())


class CardFileError(Exception):
    """A card file cannot be built, read or changed; the text is meant for people."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a card file says of itself; the one row of its table."""

    epoch: str
    version: int
    rows: int
    sha256: str
    content_hash: str
    issued_at: int


def where(table: str) -> str:
    """The condition that names one row by its key."""
    return " AND ".join(f"{name} = ?" for name in KEYS[table])


def log_of(path: Path) -> Path:
    """The name of a card file's log."""
    return path.with_name(path.name + "-wal")


class CardFile:
    """One card file: the core's ``CardSource`` and the list's own deny rows. One thread."""

    def __init__(self, path: Path, *, own: bool = False) -> None:
        """Open for reading; ``own``: with its log, and for deltas too. Raises ``CardFileError``."""
        self.path = path
        self.own = own
        try:
            mode = "rw" if own else "ro&immutable=1"
            uri = f"{path.absolute().as_uri()}?mode={mode}"  # a name may contain what a URI gives a meaning
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0)
        except sqlite3.Error as error:
            raise CardFileError(f"{path.name}: not a readable card file ({error})") from error
        try:
            if own:
                self._take()
            self._load()
        except (sqlite3.Error, TypeError) as error:
            self._connection.close()
            raise CardFileError(f"{path.name}: not a readable card file ({error})") from error
        except CardFileError:
            self._connection.close()
            raise

    def _take(self) -> None:
        for name, value, _ in _SETTINGS:
            self._connection.execute(f"PRAGMA {name} = {value}")
        for name, _, wanted in _SETTINGS:
            (found,) = self._connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise CardFileError(f"{self.path.name}: this SQLite does not keep {name}={wanted} (it says {found}); deltas are not safe")
        if identification.missing(self._connection):
            self._connection.executescript(identification.TABLES)

    def _load(self) -> None:
        columns = "epoch, version, rows, sha256, content_hash, issued_at"
        self.head = Head(*self._connection.execute(f"SELECT {columns} FROM head").fetchone())  # noqa: S608 - our own words
        self._ranges = self._connection.execute("SELECT value, upto FROM deny WHERE kind = 'range'").fetchall()
        self._online = self._connection.execute("SELECT value, upto FROM deny WHERE kind = ?", (ONLINE,)).fetchall()
        kinds = {kind for (kind,) in self._connection.execute("SELECT DISTINCT kind FROM deny")}
        self._denies_cards, self._denies_customers = "card" in kinds, "customer" in kinds
        subjects = f"SELECT 1 FROM bound WHERE subject >= '{SubjectKind.CARD.value} ' AND subject < '{SubjectKind.CARD.value}!' LIMIT 1"  # noqa: S608
        self._bounds_of_cards = self._connection.execute(subjects).fetchone() is not None
        self._customers: dict[str, Customer] = {}
        self._of_customers: dict[str, Bounds] = {}
        self._last: tuple[str, Bounds] = ("", _NONE)
        self._plain = identification.missing(self._connection)
        self.ranges: tuple[CardRange, ...] = () if self._plain else identification.ranges(self._connection)

    @property
    def layered(self) -> bool:
        """PINs have the second layer in this file."""
        return pin_layer.layered(self._connection)

    def shrink(self) -> None:
        """Give the memory of its cached pages back: nobody reads this file any more."""
        self._connection.execute("PRAGMA shrink_memory").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """For figures and examinations; whoever writes with it ruins the file."""
        return self._connection

    # --- looking up -----------------------------------------------------------------------------------------------------------

    def card(self, token: str) -> Card | None:
        """See ``core.card_data.CardSource``."""
        row = self._connection.execute("SELECT body FROM card WHERE token = ?", (_raw(token),)).fetchone()
        return None if row is None else _decode_card(row[0])

    def customer(self, name: str) -> Customer | None:
        """See ``core.card_data.CardSource``."""
        known = self._customers.get(name)
        if known is not None:
            return known
        row = self._connection.execute("SELECT body FROM customer WHERE name = ?", (name,)).fetchone()
        return None if row is None else _keep(self._customers, name, _decode_customer(row[0]))

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """See ``core.card_data.CardSource``."""
        return self._of_account(account)[0] + self._of_customer(customer)[0]

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """See ``core.card_data.CardSource``."""
        return self._of_account(account)[1] + self._of_customer(customer)[1]

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """See ``core.card_data.CardSource``."""
        return self._of_account(account)[2] + self._of_customer(customer)[2]

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        """See ``core.card_data.CardSource``."""
        return self._of_account(account)[3] + self._of_customer(customer)[3]

    def online_only(self, number: str) -> bool:
        """See ``core.card_data.CardSource``."""
        return any(len(first) == len(number) and first <= number <= last for first, last in self._online)

    def prompt_rules(self, account: str, customer: str | None) -> tuple[PromptRule, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self._plain else identification.rules(self._connection, account, customer)

    def odometer(self, account: str) -> Odometer | None:
        """See ``core.card_data.CardSource``."""
        return None if self._plain else identification.odometer(self._connection, account)

    def card_denied(self, token: str) -> bool:
        """Is this medium on the deny list?"""
        return self._denies_cards and self._denied("card", token)

    def customer_denied(self, name: str) -> bool:
        """Is this customer on the deny list?"""
        return self._denies_customers and self._denied("customer", name)

    def number_denied(self, number: str) -> bool:
        """Does the number fall into a denied range?"""
        return bool(self.ranges_of(number))

    def ranges_of(self, number: str) -> tuple[tuple[str, str], ...]:
        """The denied ranges that the number falls into."""
        return tuple((first, last) for first, last in self._ranges if len(first) == len(number) and first <= number <= last)

    def _denied(self, kind: str, value: str) -> bool:
        return self._connection.execute("SELECT 1 FROM deny WHERE kind = ? AND value = ?", (kind, value)).fetchone() is not None

    def _of_account(self, account: str) -> Bounds:
        """A decision asks three times for the same account, and the account's next look is a decision away."""
        if not self._bounds_of_cards:
            return _NONE
        if self._last[0] != account:
            self._last = account, self._bounds(subject_key(SubjectKind.CARD, account))
        return self._last[1]

    def _of_customer(self, customer: str | None) -> Bounds:
        if customer is None:
            return _NONE
        known = self._of_customers.get(customer)
        if known is not None:
            return known
        return _keep(self._of_customers, customer, self._bounds(subject_key(SubjectKind.CUSTOMER, customer)))

    def _bounds(self, subject: str) -> Bounds:
        rows = self._connection.execute("SELECT body FROM bound WHERE subject = ? ORDER BY kind, key", (subject,)).fetchall()
        if not rows:
            return _NONE
        found = [bound_of(body) for (body,) in rows]
        return (
            tuple(one for one in found if isinstance(one, Limit)),
            tuple(one for one in found if isinstance(one, Balance)),
            tuple(one for one in found if isinstance(one, Baseline)),
            tuple(one for one in found if isinstance(one, Share)),
        )

    # --- deltas ---------------------------------------------------------------------------------------------------------------

    def apply(self, deltas: Sequence[ListDelta]) -> None:
        """Take these deltas in one transaction, or none of them. Raises ``CardFileError``; the file is as it was then."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for delta in deltas:
                    self._apply(delta)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self._load()
            self._connection.execute("PRAGMA shrink_memory").fetchone()
        except sqlite3.Error as error:
            raise CardFileError(f"the card file cannot be changed: {error}") from error

    def _apply(self, delta: ListDelta) -> None:
        execute = self._connection.execute
        (epoch, version, rows, content) = execute("SELECT epoch, version, rows, content_hash FROM head").fetchone()
        offer = delta.offer
        if epoch != offer.epoch or version != delta.base:
            raise CardFileError(f"the delta to {offer.version} is based on {delta.base}, the live list is {epoch}/{version}")
        if self.layered and any(op.table == "card" for op in delta.ops):
            raise CardFileError(f"the delta to {offer.version} changes cards, whose PINs have a second layer here")
        total = int(content, 16)
        for op in sorted(delta.ops, key=lambda one: (one.table, one.key)):  # in the order of the file: each page is met once
            condition = where(op.table)
            old = execute(f"SELECT body FROM {op.table} WHERE {condition}", op.key).fetchone()  # noqa: S608 - our own words
            if old is not None:
                total -= row_hash(old[0])
                rows -= 1
            if op.body is not None:
                total += row_hash(op.body)
                rows += 1
                if old is None:
                    marks = ", ".join("?" * (len(op.key) + 1))
                    execute(f"INSERT INTO {op.table} VALUES ({marks})", (*op.key, op.body))  # noqa: S608
                else:
                    execute(f"UPDATE {op.table} SET body = ? WHERE {condition}", (op.body, *op.key))  # noqa: S608
            elif old is None:
                raise CardFileError(f"the delta to {offer.version} removes a row that is not there")
            else:
                execute(f"DELETE FROM {op.table} WHERE {condition}", op.key)  # noqa: S608
        if rows != offer.rows or hash_text(total) != offer.content_hash:
            raise CardFileError(f"the delta to {offer.version} does not lead to the list that was announced (rows or content hash differ)")
        self._check(delta)
        execute(
            "UPDATE head SET version = ?, rows = ?, sha256 = ?, content_hash = ?, issued_at = ?",
            (offer.version, rows, delta.sha256, offer.content_hash, offer.issued_at),
        )

    def _check(self, delta: ListDelta) -> None:
        """What the rows say together. Raises ``CardFileError``."""
        version = delta.offer.version
        doubt = identification.doubt(self._connection)
        if doubt is not None:
            raise CardFileError(f"the delta to {version}: {doubt}")
        for name in delta.products:
            if self._connection.execute("SELECT 1 FROM product WHERE name = ?", (name,)).fetchone() is None:
                raise CardFileError(f"the delta to {version} names a product that is not in the list")

    def content_hash(self) -> str:
        """The content hash made anew from every row: what ``head`` must say."""
        total = 0
        for table in KEYS:
            for (body,) in self._connection.execute(f"SELECT body FROM {table}"):  # noqa: S608 - our own words
                total += row_hash(body)
        return hash_text(total)


def _raw(token: str) -> bytes:
    try:
        return bytes.fromhex(token)
    except ValueError:
        return b""


def _keep(memo: dict[str, T], name: str, value: T) -> T:
    """Remember a few: most drivers of a site are of few customers."""
    if len(memo) >= MEMO:
        memo.clear()
    memo[name] = value
    return value
