"""What a power cut owes: facts that had an effect outside must be on the disk of every later instant."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from terminal.store.integrity import verify
from tests.machine.write_log import crash, entries


@dataclass(slots=True)
class Watch:
    """What somebody outside sees of a disk's facts, and how much of its log there was by then. ``had``: what was on it before."""

    log: Path
    had: Mapping[str, int]
    owed: list[tuple[int, str, int]] = field(default_factory=list)

    def saw(self, kind: str) -> None:
        """One fact more of this kind has had an effect outside."""
        self.owed.append((len(entries(self.log)), kind, self.at(sys.maxsize).get(kind, 0) + 1))

    def at(self, cut: int) -> dict[str, int]:
        """What is owed by a disk that was cut off behind so many requests: how many facts of each kind."""
        return {**self.had, **{kind: times for seen, kind, times in self.owed if seen <= cut}}


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger on a disk: what is wrong with it, empty when nothing is, and how many facts of each kind it has."""

    wrong: tuple[str, ...]
    facts: Mapping[str, int]

    def lacks(self, owed: Mapping[str, int]) -> str:
        """What is wrong with it, and what it must have and has not, in words; empty when nothing is."""
        short = (f"{self.facts.get(kind, 0)} of {times} {kind}" for kind, times in owed.items() if self.facts.get(kind, 0) < times)
        return "; ".join((*self.wrong, *short))


@dataclass(frozen=True, slots=True)
class Findings:
    """``wrong`` has one line a disk whose ledger is not what it must be; ``dropped`` counts the writes that the cuts took."""

    disks: int = 0
    dropped: int = 0
    wrong: tuple[str, ...] = ()

    def __add__(self, more: Findings) -> Findings:
        """Both."""
        return Findings(self.disks + more.disks, self.dropped + more.dropped, self.wrong + more.wrong)


def look(cuts: Sequence[int], base: Path, watch: Watch, rng: random.Random, *, lies: bool = False) -> Findings:
    """Make the disk of each cut, let ext4 replay its journal, and check the ledger on it. ``lies``: a disk that does nothing at a flush."""
    every, disk = entries(watch.log), base.with_name("cut.img")
    dropped, wrong = 0, []
    for cut in cuts:
        dropped += crash(base, watch.log, every[:cut], disk, rng, lies=lies)
        lacks = ledger_on(disk).lacks(watch.at(cut))
        if lacks:
            wrong.append(f"cut behind {cut} of {watch.log.name}: {lacks}")
    disk.unlink(missing_ok=True)
    return Findings(len(cuts), dropped, tuple(wrong))


def ledger_on(disk: Path) -> Ledger:
    """Mount this disk, which replays its journal, and examine the ledger on it. None on it: no facts."""
    with tempfile.TemporaryDirectory(prefix="cut-") as folder:
        file = Path(folder) / "ledger.db"
        try:
            with _mounted(disk) as place:
                for found in sorted(place.glob("ledger.db*")):
                    shutil.copyfile(found, file.with_name(found.name))
            if not file.exists():
                return Ledger((), {})
            report = verify(file)
            with closing(sqlite3.connect(file)) as db:
                facts = dict(db.execute("SELECT kind, count(*) FROM journal GROUP BY kind").fetchall())
        except Exception as error:  # noqa: BLE001 - whatever a ruined file makes of its reader is a finding
            return Ledger((f"{type(error).__name__}: {error}",), {})
        return Ledger(() if report.sound else report.lines(), facts)


@contextmanager
def _mounted(disk: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="disk-") as place:
        subprocess.run(["mount", "-t", "ext4", "-o", "loop", str(disk), place], capture_output=True, check=True)
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True)
