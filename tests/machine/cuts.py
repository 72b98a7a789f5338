"""What a power cut owes: facts that had an effect outside must be on the disk of every later instant."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from terminal.store.integrity import verify
from tests.machine.write_log import Entry, crash, entries


@dataclass(slots=True)
class Watch:
    """What somebody outside has seen, and how much of the disk's log there was by then."""

    log: Path
    owed: list[tuple[int, str, int]] = field(default_factory=list)

    def saw(self, kind: str, times: int) -> None:
        """So many facts of this kind have had an effect outside."""
        self.owed.append((len(entries(self.log)), kind, times))

    def at(self, cut: int) -> dict[str, int]:
        """What is owed by a disk that was cut off behind so many requests: how many facts of each kind."""
        return {kind: times for seen, kind, times in self.owed if seen <= cut}


@dataclass(frozen=True, slots=True)
class Findings:
    """``wrong`` has one line a disk whose ledger is not what it must be; ``dropped`` counts the writes that the cuts took."""

    wrong: tuple[str, ...]
    dropped: int


def look(cuts: Sequence[int], every: list[Entry], watch: Watch, base: Path, folder: Path, rng: random.Random, *, lies: bool) -> Findings:
    """Make the disk of each cut, let ext4 replay its journal, and check the ledger on it. ``lies``: a disk that does nothing at a flush."""
    wrong, dropped = [], 0
    scratch = folder / f"scratch-{lies}"
    scratch.mkdir()
    for cut in cuts:
        disk = folder / "cut.img"
        dropped += crash(base, watch.log, every[:cut], disk, rng, lies=lies)[1]
        found = missing(disk, watch.at(cut), scratch)
        if found:
            wrong.append(f"cut behind {cut}: {'; '.join(found)}")
    return Findings(tuple(wrong), dropped)


def missing(disk: Path, owed: dict[str, int], scratch: Path) -> list[str]:
    """What is wrong with the ledger of this disk; empty when nothing is."""
    for old in scratch.iterdir():
        old.unlink()
    with _mounted(disk) as place:
        if place is None:
            return ["the file system cannot be mounted"]
        for name in ("ledger.db", "ledger.db-wal"):
            if (place / name).exists():
                shutil.copyfile(place / name, scratch / name)
    file = scratch / "ledger.db"
    if not file.exists():
        return ["no ledger"] if owed else []
    try:
        report = verify(file)
        found = [] if report.sound else list(report.lines())
        with closing(sqlite3.connect(file)) as db:
            counts = dict(db.execute("SELECT kind, count(*) FROM journal GROUP BY kind").fetchall())
    except Exception as error:  # noqa: BLE001 - whatever a ruined file makes of its reader is a finding
        return [f"{type(error).__name__}: {error}"]
    return found + [f"{counts.get(kind, 0)} of {times} {kind}" for kind, times in owed.items() if counts.get(kind, 0) < times]


@contextmanager
def _mounted(disk: Path) -> Iterator[Path | None]:
    place = Path(tempfile.mkdtemp(prefix="cut-"))
    done = subprocess.run(["mount", "-t", "ext4", "-o", "loop", str(disk), str(place)], capture_output=True, check=False)
    try:
        yield place if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
