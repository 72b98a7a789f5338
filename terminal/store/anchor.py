"""Where a ledger's chain begins: at its first row, or at an anchor that stands in the place of rows which were pruned.

An anchor is a snapshot of everything that the journal had led to at one row: the tables, the books of the replay, and for each older row
that is still referred to (the rows of sales that stay) its hash and the hash before it. The snapshot lies in pieces, each with a digest of
its own, so that a flipped bit is found and mended; the digest over all of it stands in the chain (``LedgerPruned``). So a changed anchor
is found as surely as a changed row. (features.md F50; firmware_notes/storage.md, Retention.)
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from terminal.core.rollback_mark import LedgerPruned
from terminal.store.ledger import CHAIN_START, chain_hash, chained_body

DOMAIN = b"ledger/anchor/v1\0"
PIECE_BYTES = 850
"""So that a piece and what belongs to it is one row in one page, also where encryption takes 80 bytes of it."""
NOT_IN_IT = ("journal", "outbox", "anchor")
Execute = Callable[[str, Sequence[Any]], Any]


class AnchorError(Exception):
    """The anchor is not what was once written; the text says what is wrong with it."""


@dataclass(slots=True)
class Life:
    """A sale as the replay follows it. ``explained_ml``: movement of its totaliser since the release that other facts account for."""

    fp: int
    state: str = "reserved"
    decided_by: str | None = None
    nozzle: int | None = None
    start_ml: int = 0
    explained_ml: int = 0


class Table(msgspec.Struct, frozen=True):
    """A table's rows under the names of its columns, so that a later program with more columns reads it too."""

    columns: list[str]
    rows: list[list[int | str | None]]


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A row that stays although the chain does not lead to it any more: its hash, and that of the row before it (hex)."""

    seq: int
    before: str
    link: str


class Nozzle(msgspec.Struct, frozen=True):
    """A nozzle's story so far (replay.py, ``NozzleJournal``), and what the pruned sales took from it."""

    fp: int
    nozzle: int
    first_ml: int
    known_ml: int
    unattributed_ml: int
    went_back_ml: int
    apart_ml: int
    mismatches: list[tuple[str, int, int]]
    sales: int
    sold_ml: int


class Snapshot(msgspec.Struct, frozen=True):
    """Everything at row ``through``. ``gone``: runs of the sequences that were ever pruned; ``lost``: messages that a restoration lost."""

    through: int
    link: str
    utc: int
    kept: list[Kept]
    gone: list[tuple[int, int]]
    tables: dict[str, Table]
    outbox: list[tuple[str, int]]
    lost: list[str]
    nozzles: list[Nozzle]
    lives: dict[str, Life]


@dataclass(frozen=True, slots=True)
class Start:
    """The row behind which the chain begins, its hash, and what stands for it and those before: nothing where there were none.

    ``content``: the snapshot as it is stored; ``digest``: what the chain says of it.
    """

    seq: int = 0
    link: bytes = CHAIN_START
    snapshot: Snapshot | None = None
    digest: str = ""
    content: bytes = b""

    @property
    def kept(self) -> tuple[Kept, ...]:
        """The older rows that stay."""
        return () if self.snapshot is None else tuple(self.snapshot.kept)

    def proved_by(self, kind: str, body: bytes) -> bool:
        """Is this row of the chain the one that vouches for the anchor?"""
        if kind != LedgerPruned.__name__:
            return False
        try:
            fact = msgspec.json.decode(body, type=LedgerPruned)
        except msgspec.DecodeError:
            return False
        return (fact.through, fact.link, fact.digest) == (self.seq, self.link.hex(), self.digest)


def packed(snapshot: Snapshot) -> bytes:
    """As it is stored."""
    return zlib.compress(msgspec.json.encode(snapshot), 6)


def digest_of(content: bytes) -> str:
    """What the chain says of a stored snapshot, hex."""
    return hashlib.sha256(DOMAIN + content).hexdigest()


def write(execute: Execute, content: bytes) -> None:
    """Put a stored snapshot in the place of the one before."""
    execute("DELETE FROM anchor", ())
    for part, at in enumerate(range(0, len(content), PIECE_BYTES)):
        piece = content[at : at + PIECE_BYTES]
        execute("INSERT INTO anchor VALUES (?, ?, ?)", (part, piece, _piece_digest(part, piece)))


def start_of(db: sqlite3.Connection) -> Start:
    """Where this ledger's chain begins. Raises ``AnchorError`` for an anchor that is damaged."""
    return _start(db, lambda part, piece, told: None)


def mended_start_of(db: sqlite3.Connection) -> Start:
    """The same of a damaged ledger: a piece of which one bit was flipped is mended. Raises ``AnchorError``, ``sqlite3.DatabaseError``."""
    return _start(db, _mended)


def pruned_to(db: sqlite3.Connection) -> int:
    """The newest row that was pruned; 0 where none was, or the anchor is damaged."""
    try:
        return start_of(db).seq
    except AnchorError:
        return 0


def started(content: bytes) -> Start:
    """A stored snapshot read. Raises ``AnchorError``."""
    try:
        snapshot = msgspec.json.decode(zlib.decompress(content), type=Snapshot)
        return Start(snapshot.through, bytes.fromhex(snapshot.link), snapshot, digest_of(content), content)
    except (zlib.error, msgspec.DecodeError, ValueError) as error:
        raise AnchorError(f"its anchor cannot be read ({error})") from error


def kept_rows_wrong(db: sqlite3.Connection, start: Start) -> str | None:
    """What is wrong with the older rows that stay; None when nothing is."""
    for one in start.kept:
        row = db.execute("SELECT utc, clock, kind, body, hash FROM journal WHERE seq = ?", (one.seq,)).fetchone()
        if row is None:
            return f"journal row {one.seq} is missing"
        if not is_kept(one, row):
            return f"journal row {one.seq} is not the one that was kept"
    return None


def is_kept(one: Kept, row: Sequence[Any]) -> bool:
    """``row``: time, clock, kind, body and hash."""
    utc, clock, kind, body, link = row
    if not isinstance(body, bytes) or not isinstance(link, bytes) or link.hex() != one.link:
        return False
    return chain_hash(bytes.fromhex(one.before), one.seq, chained_body(utc, clock, kind, body)) == link


def merged(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs of whole numbers, first and last, in order and as few as can be."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def fill(db: sqlite3.Connection, tables: Mapping[str, Table]) -> None:
    """Put the snapshot's tables into an empty ledger's."""
    for name, table in tables.items():
        if table.rows:
            marks = ", ".join("?" * len(table.columns))
            db.executemany(f"INSERT INTO {name} ({', '.join(table.columns)}) VALUES ({marks})", table.rows)  # noqa: S608 - our own words


def tables_of(db: sqlite3.Connection) -> dict[str, Table]:
    """What ``fill`` puts in again."""
    found = {}
    for name in table_names(db):
        cursor = db.execute(f"SELECT * FROM {name}")  # noqa: S608 - our own words
        found[name] = Table([str(column[0]) for column in cursor.description], [list(row) for row in cursor])
    return found


def table_names(db: sqlite3.Connection) -> list[str]:
    """The tables that a snapshot has."""
    names = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return [str(name) for (name,) in names if name not in NOT_IN_IT]


# --- pieces -------------------------------------------------------------------------------------------------------------------


def _start(db: sqlite3.Connection, mend: Callable[[int, bytes, bytes], bytes | None]) -> Start:
    pieces: list[bytes] = []
    for part, piece, told in db.execute("SELECT part, content, digest FROM anchor ORDER BY part"):
        if part != len(pieces) or not isinstance(piece, bytes) or not isinstance(told, bytes):
            raise AnchorError(f"piece {len(pieces)} of its anchor is missing")
        right = piece if _piece_digest(part, piece) == told else mend(part, piece, told)
        if right is None:
            raise AnchorError(f"piece {part} of its anchor was changed")
        pieces.append(right)
    return started(b"".join(pieces)) if pieces else Start()


def _piece_digest(part: int, piece: bytes) -> bytes:
    return hashlib.sha256(DOMAIN + b"%d\0" % part + piece).digest()[:8]


def _mended(part: int, piece: bytes, told: bytes) -> bytes | None:
    """The piece as it was, if one bit of it, or of its digest, was flipped."""
    if len(told) == 8 and (int.from_bytes(_piece_digest(part, piece)) ^ int.from_bytes(told)).bit_count() == 1:
        return piece
    return next((trial for trial in _flipped(piece) if _piece_digest(part, trial) == told), None)


def _flipped(content: bytes) -> Iterator[bytes]:
    trial = bytearray(content)
    for at in range(len(trial)):
        for bit in range(8):
            trial[at] ^= 1 << bit
            yield bytes(trial)
            trial[at] ^= 1 << bit
