"""What a disk with a volatile cache holds after a power cut, from QEMU's ``blklogwrites`` log of every write and flush.

Source: Linux, Documentation/admin-guide/device-mapper/log-writes.rst (format); reference on hardware, section C5. A cut leaves everything
up to the last flush; of what was written behind it the disk has written any part: a request wholly, not at all, or some of its pages.
"""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0x6A736677736872
_FLUSH, _FUA, _DISCARD = 1, 2, 4
PAGE = 4096
"""What a disk writes in one piece: flash has larger pages still."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of the guest: ``size`` bytes at ``place`` of the disk, which stand at ``data`` of the log."""

    place: int
    size: int
    data: int
    flush: bool
    fua: bool
    discard: bool


def entries(log: Path) -> list[Entry]:
    """Every request that the log holds so far, oldest first. Raises ValueError for a file that is no log."""
    with log.open("rb") as file:
        head = file.read(28)
        if len(head) < 28:
            return []
        magic, version, _, sector = struct.unpack("<QQQI", head)
        if magic != _MAGIC or version != 1:
            raise ValueError(f"{log} is no log of writes")
        found: list[Entry] = []
        end, position = log.stat().st_size, sector
        while position + sector <= end:
            file.seek(position)
            place, count, flags, extra = struct.unpack("<QQQQ", file.read(32))
            if not (place or count or flags or extra):
                break
            data = position + sector
            size = 0 if flags & _DISCARD else count * sector
            if data + size > end:
                break
            found.append(Entry(place * sector, size, data, bool(flags & _FLUSH), bool(flags & _FUA), bool(flags & _DISCARD)))
            position = data + size
    return found


def flushed(log_entries: Sequence[Entry]) -> int:
    """How many of them, from the first on, the disk has for certain."""
    return max((place + 1 for place, entry in enumerate(log_entries) if entry.flush), default=0)


def crash(base: Path, log: Path, log_entries: Sequence[Entry], disk: Path, rng: random.Random, *, lies: bool = False) -> int:
    """Make the disk after a cut behind these entries; how many writes were lost, wholly or in part.

    ``lies``: a disk that answers to a flush and does nothing, for the control run: every write may be lost, back to the first.
    """
    shutil.copyfile(base, disk)
    certain, lost = flushed(log_entries), 0
    with log.open("rb") as source, disk.open("r+b") as target:
        for place, entry in enumerate(log_entries):
            if entry.discard or not entry.size:
                continue
            pages = list(_pages(entry))
            kept = pages if not lies and (place < certain or entry.fua) else _part(pages, rng)
            lost += len(kept) < len(pages)
            for begin, size in kept:
                source.seek(entry.data + begin)
                target.seek(entry.place + begin)
                target.write(source.read(size))
    return lost


def _pages(entry: Entry) -> Iterator[tuple[int, int]]:
    """Where each page of the request begins in it, and its size."""
    begin = 0
    while begin < entry.size:
        size = min(PAGE - (entry.place + begin) % PAGE, entry.size - begin)
        yield begin, size
        begin += size


def _part(pages: list[tuple[int, int]], rng: random.Random) -> list[tuple[int, int]]:
    match rng.randrange(3):
        case 0:
            return pages
        case 1:
            return []
        case _:
            return [page for page in pages if rng.random() < 0.5]
