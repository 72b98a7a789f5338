"""What a disk with a volatile cache holds after a power cut, from QEMU's ``blklogwrites`` log of every write and flush.

Source: Linux, Documentation/admin-guide/device-mapper/log-writes.rst (format); reference on hardware, section C5. A cut leaves everything
up to the last flush, and of what was written behind it any subset: the disk may have written it already, or not.
"""

from __future__ import annotations

import random
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0x6A736677736872
_FLUSH, _FUA, _DISCARD = 1, 2, 4


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


def crash(base: Path, log: Path, log_entries: list[Entry], disk: Path, rng: random.Random, *, lies: bool = False) -> tuple[int, int]:
    """The disk after a cut behind these entries; how many writes are on it, and how many were lost.

    ``lies``: a disk that answers to a flush and does nothing, for the control run: every write may be lost, back to the first.
    """
    shutil.copyfile(base, disk)
    last = max((place for place, entry in enumerate(log_entries) if entry.flush), default=-1)
    kept = lost = 0
    with log.open("rb") as source, disk.open("r+b") as target:
        for place, entry in enumerate(log_entries):
            if entry.discard or not entry.size:
                continue
            safe = not lies and (place <= last or entry.fua)
            if not safe and rng.random() < 0.5:
                lost += 1
                continue
            kept += 1
            source.seek(entry.data)
            target.seek(entry.place)
            target.write(source.read(entry.size))
    return kept, lost
