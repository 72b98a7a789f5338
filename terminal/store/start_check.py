"""Is the ledger that we are about to use whole? Asked at every start, of an opened ledger; answered with the first thing that is wrong.

SQLite's own check sees what does not fit together; the chain sees a changed journal row; the messages' digests see a changed message; and
the tables must be what the journal leads to. For that the journal is not played from its first row on: the last backup, which was examined
row by row when it was made, is taken as the beginning. (design/architecture.md, Storage; reference security-and-reliability 5.2.)
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import zip_longest

import msgspec

from terminal.store import projection
from terminal.store.anchor import AnchorError, Start, fill, kept_rows_wrong, start_of
from terminal.store.integrity import COMPARED
from terminal.store.ledger import chain_hash, chained_body, message_digest
from terminal.store.schema import MIGRATIONS

_KINDS: dict[str, type] = {kind.__name__: kind for kind in projection.APPLY}
_TABLES = {name: query for name, query in COMPARED.items() if name != "outbox"} | {"refusal": "SELECT code, row FROM refusal"}


def damage(db: sqlite3.Connection, base: sqlite3.Connection | None = None) -> str | None:
    """What is wrong with this ledger, in words; None when nothing is. ``base``: an examined ledger of the same history, or none."""
    try:
        wrong = _structure(db)
        if wrong is not None:
            return wrong
        start = start_of(db)
        return kept_rows_wrong(db, start) or _chain(db, start) or _messages(db) or _tables(db, _usable(db, base, start), start)
    except AnchorError as error:
        return str(error)
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError) as error:
        return f"it cannot be read to its end ({error})"


def schema_of(db: sqlite3.Connection) -> frozenset[str]:
    """The statements that made its tables."""
    return frozenset(str(text) for (text,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def schema_at(version: int) -> frozenset[str]:
    """What ``schema_of`` must be at this version."""
    with closing(empty(version)) as db:
        return schema_of(db)


def empty(version: int = len(MIGRATIONS)) -> sqlite3.Connection:
    """A new ledger's tables, in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS[:version]:
        db.executescript(script)
    return db


def _structure(db: sqlite3.Connection) -> str | None:
    (word,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if word != "ok":
        return str(word)
    return None if schema_of(db) == schema_at(len(MIGRATIONS)) else "its tables are not those of a ledger"


def _chain(db: sqlite3.Connection, start: Start) -> str | None:
    number, link, proved = start.seq, start.link, start.snapshot is None
    rows = db.execute("SELECT seq, utc, clock, kind, body, hash FROM journal WHERE seq > ? ORDER BY seq", (start.seq,))
    for seq, utc, clock, kind, body, told in rows:
        number += 1
        if seq != number:
            return f"journal row {number} is missing"
        link = chain_hash(link, seq, chained_body(utc, clock, kind, body))
        if link != told:
            return f"the hash chain breaks at journal row {seq}"
        proved = proved or start.proved_by(kind, body)
    return None if proved else "its anchor is not the one that the journal tells of"


def _messages(db: sqlite3.Connection) -> str | None:
    for key, body, digest in db.execute("SELECT key, body, digest FROM outbox WHERE digest IS NOT NULL"):
        if message_digest(key, body) != digest:
            return "a message to the host was changed"
    return None


def _usable(db: sqlite3.Connection, base: sqlite3.Connection | None, start: Start) -> sqlite3.Connection | None:
    """The base, if its newest row is one of this ledger's, with all behind it, and its tables are today's."""
    if base is None or base.execute("PRAGMA user_version").fetchone() != (len(MIGRATIONS),):
        return None
    newest = base.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    if newest is None or newest[0] < start.seq:
        return None
    if newest == (start.seq, start.link):
        return base
    return base if db.execute("SELECT seq, hash FROM journal WHERE seq = ?", (newest[0],)).fetchone() == newest else None


def _tables(db: sqlite3.Connection, base: sqlite3.Connection | None, start: Start) -> str | None:
    with closing(empty()) as wanted:
        first = start.seq
        if base is None:
            fill(wanted, {} if start.snapshot is None else start.snapshot.tables)
        else:
            (first,) = base.execute("SELECT max(seq) FROM journal").fetchone()
            for table in _TABLES:
                rows = base.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own words, as below
                wanted.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows.description))})", rows)  # noqa: S608
        for seq, utc, kind, body in db.execute("SELECT seq, utc, kind, body FROM journal WHERE seq > ? ORDER BY seq", (first,)):
            shape = _KINDS.get(kind)
            if shape is None:
                return f"journal row {seq} is of the unknown kind {kind}"
            try:
                projection.APPLY[shape](wanted.execute, msgspec.json.decode(body, type=shape), seq, utc)
            except (msgspec.DecodeError, ValueError):
                return f"journal row {seq} cannot be read"
        for table, query in _TABLES.items():
            if not _same(db.execute(query), wanted.execute(query)) and _sum(db.execute(query)) != _sum(wanted.execute(query)):
                return f"table {table} is not what the journal leads to"
    return None


def _same(some: Iterable[object], others: Iterable[object]) -> bool:
    """The same rows in the same order, as they are nearly always: that is told without a digest of each."""
    return all(one == other for one, other in zip_longest(some, others))


def _sum(rows: Iterable[object]) -> tuple[int, int]:
    """How many rows, and the sum of their digests: the same for the same rows in any order, and in one row's memory."""
    count = total = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - counts on
        total += int.from_bytes(hashlib.sha256(repr(row).encode(errors="surrogatepass")).digest())
    return count, total
