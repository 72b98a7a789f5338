"""What a disk may hold after a power cut, built from copies of the real ledger's files around each of its commits.

Model (reference hardware-simulation F, security-and-reliability 5.2): a sector of 512 bytes is old or new, nothing between; a sync makes
everything before it durable; between two syncs any set of changed sectors may have survived, in any order. SQLite's log mode with
``synchronous=FULL`` syncs at these places, and only there:

* a log that starts over: its header (32 bytes) is written and synced before its first frame is;
* a commit: frames, then a sync of the log, then ``commit`` returns or goes on to fold the log into the file;
* folding: pages of the file, then a sync of the file; the log is started over only after that;
* closing: as folding, then the log's name goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

SECTOR = 512
HEADER = 32


@dataclass(frozen=True, slots=True)
class Files:
    """The ledger's file and its log (None: not there)."""

    db: bytes
    wal: bytes | None

    @classmethod
    def read(cls, path: Path) -> Files:
        """A copy of both."""
        wal = path.with_name(path.name + "-wal")
        return cls(path.read_bytes(), wal.read_bytes() if wal.exists() else None)

    def write(self, path: Path) -> None:
        """Put both there, and nothing else."""
        wal = path.with_name(path.name + "-wal")
        wal.unlink(missing_ok=True)
        path.write_bytes(self.db)
        if self.wal is not None:
            wal.write_bytes(self.wal)


@dataclass(frozen=True, slots=True)
class Cut:
    """One state of the disk. ``may_miss``: the commit under way had not returned, so it may be absent."""

    where: str
    files: Files
    may_miss: bool


def torn(old: bytes, new: bytes, random: Random) -> bytes:
    """Each changed sector is old or new; a sector beyond the old end that did not survive is a hole of zeros before one that did."""
    out = bytearray(old)
    likelihood = random.choice((0.1, 0.5, 0.9))
    for start in range(0, max(len(old), len(new)), SECTOR):
        chunk = new[start : start + SECTOR]
        if chunk != old[start : start + SECTOR] and random.random() < likelihood:
            out.extend(bytes(max(0, start - len(out))))
            out[start : start + len(chunk)] = chunk
    return bytes(out)


def commit_cuts(before: Files, after: Files, random: Random, each: int) -> Iterator[Cut]:
    """Power cuts during one commit, with what it folded, if it did. ``each``: random states of every phase that was gone through."""
    old, new = before.wal or b"", after.wal or b""
    yield Cut("before", before, may_miss=True)
    if new[:HEADER] != old[:HEADER]:
        old = new[:HEADER] + old[HEADER:]
        yield Cut("log started over", Files(before.db, old), may_miss=True)
    for _ in range(each):
        yield Cut("writing the log", Files(before.db, torn(old, new, random)), may_miss=True)
    yield Cut("log synced", Files(before.db, new), may_miss=False)
    if after.db != before.db:
        for _ in range(each):
            yield Cut("folding", Files(torn(before.db, after.db, random), new), may_miss=False)
    yield Cut("after", after, may_miss=False)


def close_cuts(before: Files, after: Files, random: Random, each: int) -> Iterator[Cut]:
    """Power cuts during a clean close."""
    for _ in range(each):
        yield Cut("closing", Files(torn(before.db, after.db, random), before.wal), may_miss=False)
    yield Cut("log not yet gone", Files(after.db, before.wal), may_miss=False)
    yield Cut("closed", after, may_miss=False)


def unordered_cut(before: Files, after: Files, random: Random) -> Files:
    """The same disk when nobody syncs: anything written since ``before``, in either file, may have survived or not."""
    return Files(torn(before.db, after.db, random), torn(before.wal or b"", after.wal or b"", random))
