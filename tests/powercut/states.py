"""What a disk may hold after a power cut, made from the journal of everything that was written and synced.

Model (reference hardware-simulation F; the disk is one that keeps what it has synced):

* a file's content is durable up to that file's last sync; of what was written since, any set of 512-byte sectors may be there;
* names (create, rename, unlink) happen in their order and are durable up to the last sync of anything; of those since, the first few may
  have happened (ext4 writes its journal when it likes);
* a file's length grows with whatever of it survived; what lies between is zeros. A shortening is there or not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.powercut.recorder import Records

SECTOR = 512
EDGES = frozenset({"fsync", "fsyncdir", "rename", "unlink", "create", "trunc", "mark"})

Piece = tuple[int, int, bytes | None]
"""Record, offset, and the bytes; None: the file ends there."""
Keep = Callable[[int, int], bool]
"""Does this piece survive? Told the record's number, and the piece's number among all that were not synced."""


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Piece] = field(default_factory=list)
    frozen: bytes | None = None

    def sync(self) -> None:
        for _, offset, data in self.pending:
            _put(self.durable, offset, data)
        if self.pending:
            self.pending.clear()
            self.frozen = None

    def content(self) -> bytes:
        if self.frozen is None:
            self.frozen = bytes(self.durable)
        return self.frozen


@dataclass(frozen=True, slots=True)
class State:
    """One disk. ``cut``: how many records were made before the power went; ``lost``: pieces that did not survive."""

    seed: int
    cut: int
    policy: str
    files: dict[str, bytes]
    lost: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a seed cuts, and by which rule it chooses what survives."""

    seed: int
    cut: int
    policy: str


class Disk:
    """Plays the journal forward; at any record it tells what a cut may leave."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.at = 0
        self._now: dict[str, int] = {}
        self._durable: dict[str, int] = {}
        self._names: list[tuple[Any, ...]] = []
        self._files: dict[int, _File] = {}

    def forward(self, cut: int) -> None:
        """Play up to this many records."""
        if cut < self.at:
            raise ValueError("the journal is played forward only")
        for number in range(self.at, cut):
            self._play(number, self._records[number])
        self.at = cut

    def _play(self, number: int, record: tuple[Any, ...]) -> None:
        kind, *rest = record
        if kind == "create":
            (path,) = rest
            if path not in self._now:
                self._now[path] = len(self._files)
                self._files[self._now[path]] = _File()
                self._names.append(("create", path, self._now[path]))
        elif kind == "write":
            path, offset, data = rest
            self._files[self._now[path]].pending.extend(_sectors(number, offset, data))
        elif kind == "trunc":
            path, length = rest
            self._files[self._now[path]].pending.append((number, length, None))
        elif kind == "fsync":
            (path,) = rest
            if path in self._now:
                self._files[self._now[path]].sync()
            self._settle()
        elif kind == "fsyncdir":
            self._settle()
        elif kind == "unlink":
            (path,) = rest
            self._now.pop(path, None)
            self._names.append(record)
        elif kind == "rename":
            old, new = rest
            self._now[new] = self._now.pop(old)
            self._names.append(record)

    def _settle(self) -> None:
        for change in self._names:
            _rename(self._durable, change)
        self._names.clear()

    def state(self, place: Place) -> State:
        """The disk after a cut here."""
        random = Random(place.seed)
        names = dict(self._durable)
        pieces = [piece for inode in sorted(self._files) for piece in self._files[inode].pending]
        keep, ahead = _rule(place.policy, random, pieces, len(self._names))
        for change in self._names[:ahead]:
            _rename(names, change)
        files: dict[str, bytes] = {}
        lost = number = 0
        for inode in sorted(self._files):
            file = self._files[inode]
            paths = [path for path, known in names.items() if known == inode]
            kept = [piece for place_, piece in enumerate(file.pending, number) if keep(piece[0], place_)]
            number += len(file.pending)
            lost += len(file.pending) - len(kept)
            if paths:
                content = file.content()
                if kept:
                    made = bytearray(content)
                    for _, offset, data in kept:
                        _put(made, offset, data)
                    content = bytes(made)
                files.update(dict.fromkeys(paths, content))
        return State(place.seed, place.cut, place.policy, files, lost)


POLICIES = ("none", "all", "few", "half", "most", "first", "last", "but one", "one file")


def places(records: Records, seeds: Sequence[int]) -> list[Place]:
    """Where these seeds cut, in the journal's order. One in two cuts at a sync, a name or an acknowledgement, or right behind it."""
    edges = [number for number, record in enumerate(records) if record[0] in EDGES]
    found = []
    for seed in seeds:
        random = Random(f"place {seed}")
        if edges and random.randrange(2):
            cut = random.choice(edges) + random.randrange(2)
        else:
            cut = random.randint(1, len(records))
        found.append(Place(seed, cut, random.choice(POLICIES)))
    return sorted(found, key=lambda place: place.cut)


def crashes(records: Records, seeds: Sequence[int]) -> Iterator[State]:
    """The disks of these seeds."""
    disk = Disk(records)
    for place in places(records, seeds):
        disk.forward(place.cut)
        yield disk.state(place)


def _rule(policy: str, random: Random, pieces: Sequence[Piece], names: int) -> tuple[Keep, int]:
    """Which pieces survive, and how many changes of names."""
    total = len(pieces)
    ahead = random.choice((0, 0, names, random.randint(0, names)))
    if policy == "none":
        return (lambda record, piece: False), 0
    if policy == "all":
        return (lambda record, piece: True), names
    if policy in ("first", "last"):
        border = random.randint(0, total)
        order = sorted(record for record, _, _ in pieces)
        limit = order[border] if border < total else (order[-1] + 1 if order else 0)
        before = bisect_left(order, limit)
        return ((lambda record, piece: record < limit) if policy == "first" else (lambda record, piece: record >= limit)), (
            ahead if before else 0
        )
    if policy == "but one":
        missing = random.randrange(max(1, total))
        return (lambda record, piece: piece != missing), names
    if policy == "one file":
        low, high = sorted((random.randint(0, total), random.randint(0, total)))
        return (lambda record, piece: low <= piece < high), ahead
    likelihood = {"few": 0.1, "half": 0.5, "most": 0.9}[policy]
    return (lambda record, piece: random.random() < likelihood), ahead


def _sectors(number: int, offset: int, data: bytes) -> Iterator[Piece]:
    at, end = offset, offset + len(data)
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        yield number, at, data[at - offset : stop - offset]
        at = stop


def _put(content: bytearray, offset: int, data: bytes | None) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _rename(names: dict[str, int], change: tuple[Any, ...]) -> None:
    kind, *rest = change
    if kind == "create":
        names[rest[0]] = rest[1]
    elif kind == "unlink":
        names.pop(rest[0], None)
    elif rest[0] in names:
        names[rest[1]] = names.pop(rest[0])
