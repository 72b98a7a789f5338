"""What of a damaged ledger can be proved: the rows of it and of its backups, from one beginning of the chain on.

A row whose hash is right is genuine, wherever it is read from; of a row with one flipped bit that bit is found by trying. Where rows were
pruned the chain begins at an anchor (anchor.py): the damaged ledger's own, or a backup's; the oldest backup may still have the rows from
the first on. The beginning that leads furthest is taken. (firmware_notes/storage.md, A bit flips.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from terminal.core.rollback_mark import LedgerPruned
from terminal.store.anchor import AnchorError, Start, mended_start_of
from terminal.store.ledger import chain_hash, chained_body
from terminal.store.row_shelf import Row, RowShelf

MOST_STRAY = 200
MOST_LEAPT = 10_000
_ROW = "SELECT seq, utc, clock, kind, body, hash FROM journal"
_UNREADABLE = (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError)


@dataclass(slots=True)
class _Walk:
    """A chain as it was proved: how far, and the rows that are not simply the first on the shelf under their number."""

    link: bytes
    last: int
    newest: Row | None = None
    odd: dict[int, Row] = field(default_factory=dict)
    told: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Proved:
    """``kept``: the older rows that the anchor keeps; ``last``: the number of the newest row of the chain, which is ``newest``; ``most``:
    the highest number that was seen, or one more than that of the newest row, where what is behind it in the damaged ledger cannot be read.

    ``vouched``: the row of the chain that speaks for the anchor is among them, or there is no anchor.
    """

    start: Start
    kept: list[Row]
    last: int
    newest: Row
    most: int
    vouched: bool
    odd: dict[int, Row]
    shelf: RowShelf

    def rows(self) -> Iterator[Row]:
        """The chain behind the beginning, one row after the other: all of them may be more than memory."""
        groups = self.shelf.groups(self.start.seq)
        here, first = next(groups, (0, []))
        for seq in range(self.start.seq + 1, self.last + 1):
            while here and here < seq:
                here, first = next(groups, (0, []))
            yield self.odd[seq] if seq in self.odd else first[0]


def proved(sources: Sequence[sqlite3.Connection], shelf: RowShelf) -> Proved | None:
    """What can be saved of these ledgers, the damaged one first; None when nothing can. ``shelf``: an empty one, for their rows."""
    starts = [_start(source) for source in sources]
    known = {one.digest: one for one in starts if one is not None}
    highest = max((one.seq for one in known.values()), default=0)
    rows = [
        _Rows(source, highest if start is None else start.seq, shelf, number)
        for number, (source, start) in enumerate(zip(sources, starts, strict=True))
    ]
    known[""] = Start()
    found = [one for one in (_from(start, rows, shelf) for start in known.values()) if one is not None]
    return max(found, key=lambda one: (one.last, one.start.seq), default=None)


def _start(db: sqlite3.Connection) -> Start | None:
    """Where this ledger's chain begins; None where that cannot be told."""
    try:
        return mended_start_of(db)
    except sqlite3.OperationalError:
        return Start()  # of a program that did not prune
    except (AnchorError, sqlite3.DatabaseError, UnicodeDecodeError, OverflowError):
        return None


def _from(start: Start, sources: list[_Rows], shelf: RowShelf) -> Proved | None:
    """The chain from this beginning on, if everything is there that the beginning needs."""
    kept = [_kept(one.seq, bytes.fromhex(one.before), bytes.fromhex(one.link), sources, shelf) for one in start.kept]
    there = [row for row in kept if row is not None]
    walk = _chain(start, sources, shelf)
    if len(there) < len(kept) or walk.newest is None:
        return None
    told = [msgspec.json.decode(row[4], type=LedgerPruned) for row in walk.told]
    if any(fact.through == start.seq and fact.digest != start.digest for fact in told):
        return None
    vouched = start.snapshot is None or any(start.proved_by(row[3], row[4]) for row in walk.told)
    seen = max((source.most for source in sources), default=0)
    most = max(seen, walk.last + 1 if sources and sources[0].cut else walk.last)
    return Proved(start, there, walk.last, walk.newest, most, vouched, walk.odd, shelf)


def _kept(seq: int, before: bytes, link: bytes, sources: list[_Rows], shelf: RowShelf) -> Row | None:
    candidates = _candidates(shelf.at(seq), sources, seq)
    for row in candidates:
        if row[5] == link and _hash(before, row) == link:
            return row
    mended = _mended(before, candidates)
    return mended if mended is not None and mended[5] == link else None


class _Rows:
    """Lays the journal's rows on the shelf as far as they can be read, each under its number, and knows those that stand where another
    number must be."""

    def __init__(self, db: sqlite3.Connection, after: int, shelf: RowShelf, source: int) -> None:
        """``after``: from behind this row on there is one for every number. ``cut``: what is behind the last of them cannot be read;
        ``most``: the highest number in its place."""
        self.stray: list[Row] = []
        self.cut = False
        self.most = 0
        before = after
        for read in _scan(db):
            row = None if read is None else _as_written(read)
            self.cut |= read is None
            if row is None:
                continue
            stray = False
            if row[0] == before + 1 or (self.cut and row[0] > before):
                self.cut = False
                before = row[0]
            elif row[0] > after or row[0] < 1 or before > after:
                before += 1
                stray = len(self.stray) < MOST_STRAY
                if stray:
                    self.stray.append(row)
            if not stray:
                self.most = max(self.most, row[0])
            shelf.put(source, row, in_place=not stray)


def _as_written(row: Sequence[object]) -> Row | None:
    """One flipped bit makes bytes of a text, or the other way round; what they say stays."""
    seq, utc, *rest = row
    clock, kind = (one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in rest[:2])
    body, link = (one.encode() if isinstance(one, str) else one for one in rest[2:])
    if isinstance(seq, int) and isinstance(utc, int) and isinstance(clock, str) and isinstance(kind, str):
        if isinstance(body, bytes) and isinstance(link, bytes):
            return seq, utc, clock, kind, body, link
    return None


def _scan(db: sqlite3.Connection) -> Iterator[Sequence[Any] | None]:
    """Every row that can be read; where a page cannot be, None, and the search goes on behind it."""
    after, step = 0, 1
    while step <= 1 << 20:
        try:
            first = step > 1
            for row in db.execute(f"{_ROW} WHERE seq > ? ORDER BY seq", (after,)):
                if first:
                    yield from _leapt_over(db, after)
                yield row
                after, step, first = row[0], 1, False
            if first:
                yield from _leapt_over(db, after)
            return
        except _UNREADABLE:
            if step == 1:
                yield None
            after, step = after + step, step * 2


def _leapt_over(db: sqlite3.Connection, last: int) -> list[Sequence[Any]]:
    """What can be read up to this row, back to where nothing can be."""
    found: list[Sequence[Any]] = []
    for seq in range(last, max(0, last - MOST_LEAPT), -1):
        try:
            row = db.execute(f"{_ROW} WHERE seq = ?", (seq,)).fetchone()
        except _UNREADABLE:
            break
        if row is not None:
            found.append(row)
    return found[::-1]


def _chain(start: Start, sources: list[_Rows], shelf: RowShelf) -> _Walk:
    """The longest chain that can be proved."""
    walk = _Walk(start.link, start.seq)
    groups = shelf.groups(start.seq)
    here, rows = next(groups, (0, []))
    while True:
        seq = walk.last + 1
        while here and here < seq:
            here, rows = next(groups, (0, []))
        there = rows if here == seq else []
        candidates = _candidates(there, sources, seq)
        row = next((row for row in candidates if _hash(walk.link, row) == row[5]), None) or _mended(walk.link, candidates)
        if row is None:
            return walk
        if not there or row is not there[0]:
            walk.odd[seq] = row
        if row[3] == LedgerPruned.__name__:
            walk.told.append(row)
        walk.link, walk.last, walk.newest = row[5], seq, row


def _candidates(there: list[Row], sources: list[_Rows], seq: int) -> list[Row]:
    """What this row may be: what the sources have under its number, then what they have under a wrong one."""
    return there + [(seq, *row[1:]) for source in sources for row in source.stray]


def _hash(link: bytes, row: Row) -> bytes:
    seq, utc, clock, kind, body, _ = row
    return chain_hash(link, seq, chained_body(utc, clock, kind, body))


def _mended(link: bytes, candidates: list[Row]) -> Row | None:
    """The row with the one bit flipped back that was flipped, if one was: of its hash, its body, its time or its words."""
    for row in islice(candidates, 5):
        right = _hash(link, row)
        if (int.from_bytes(right) ^ int.from_bytes(row[5])).bit_count() == 1:
            return (*row[:5], right)
        for candidate in _flips(row):
            if _hash(link, candidate) == row[5]:
                return candidate
    return None


def _flips(row: Row) -> Iterator[Row]:
    seq, utc, clock, kind, body, told = row
    for bit in range(63):
        yield seq, utc ^ 1 << bit, clock, kind, body, told
    for text in _flipped(clock.encode()):
        yield seq, utc, text.decode("utf-8", "replace"), kind, body, told
    for text in _flipped(kind.encode()):
        yield seq, utc, clock, text.decode("utf-8", "replace"), body, told
    for content in _flipped(body):
        yield seq, utc, clock, kind, content, told


def _flipped(content: bytes) -> Iterator[bytes]:
    trial = bytearray(content)
    for at in range(len(trial)):
        for bit in range(8):
            trial[at] ^= 1 << bit
            yield bytes(trial)
            trial[at] ^= 1 << bit
