"""The power goes: inside the database's writes, between commit and dispatch, in the middle of the dispatch.

The crash states are those that SQLite's write-ahead log leaves on a disk with atomic 512-byte sectors (https://sqlite.org/wal.html,
https://sqlite.org/atomiccommit.html). Until the log is synced any subset of its new sectors may be there, its length anywhere between,
garbage behind; the file is untouched then. A log that begins afresh is given its header, synced, before any frame. Pages reach the file
only by a checkpoint, behind a whole and synced log; until that is synced any subset of their sectors may be there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random

from terminal.core.effects import CancelDeadline, Effect, Enqueue, Persist, StartDeadline
from terminal.core.site import Site
from terminal.core.units import Instant
from terminal.runtime.engine import Engine, Outside
from terminal.store.ledger import Ledger
from tests.virtual.terminal import PowerLost

SECTOR = 512
WAL_HEADER = 32
LEDGER, LOG = "ledger.db", "ledger.db-wal"
UNSEEN = (StartDeadline, CancelDeadline)
"""Effects that nobody outside sees."""


class Cut(Enum):
    """Where the power goes."""

    BETWEEN = "between steps"
    WRITING = "inside the write"
    COMMITTED = "between commit and dispatch"
    SENDING = "inside the dispatch"
    KILLED = "program killed"  # the machine runs on, and with it whatever the kernel holds


@dataclass(frozen=True, slots=True)
class Disk:
    """Both files of a ledger. None: not there."""

    ledger: bytes | None
    log: bytes | None

    @staticmethod
    def of(folder: Path) -> Disk:
        """As the files are now."""
        return Disk(*((folder / name).read_bytes() if (folder / name).exists() else None for name in (LEDGER, LOG)))

    def put(self, folder: Path) -> None:
        """Make the files so."""
        for name, content in ((LEDGER, self.ledger), (LOG, self.log)):
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                (folder / name).write_bytes(content)


def crashed(before: Disk, after: Disk, rng: Random) -> tuple[Disk, str]:
    """One of the states that a power cut between these two could have left, and its name."""
    old, new = before.log or b"", after.log or b""
    if after.ledger != before.ledger and rng.randrange(2):
        return Disk(_torn(before.ledger or b"", after.ledger or b"", rng), after.log), "checkpoint torn"
    if old[:WAL_HEADER] != new[:WAL_HEADER]:
        header = new[:WAL_HEADER] + old[WAL_HEADER:]
        if rng.randrange(4) == 0:
            return Disk(before.ledger, rng.choice([old, header])), "log header"
        old = header
    log = _torn(old, new, rng)
    if rng.randrange(3) == 0:
        return Disk(before.ledger, log + rng.randbytes(rng.randint(1, 3000))), "log torn, garbage behind"
    return Disk(before.ledger, log), "log torn"


def _torn(old: bytes, new: bytes, rng: Random) -> bytes:
    """Some of the new sectors over the old ones: a prefix, or any subset."""
    places = [at for at in range(0, len(new), SECTOR) if old[at : at + SECTOR] != new[at : at + SECTOR]]
    if rng.randrange(2):
        written = places[: rng.randint(0, len(places))]
    else:
        kept = rng.random()
        written = [at for at in places if rng.random() < kept]
    length = max(len(old), max((min(at + SECTOR, len(new)) for at in written), default=0))
    torn = bytearray(old.ljust(length, b"\0"))
    for at in written:
        torn[at : at + SECTOR] = new[at : at + SECTOR]
    return bytes(torn)


@dataclass(slots=True)
class Plan:
    """The next cut: its kind, and after how many more commits (WRITING, COMMITTED) or dispatches (SENDING)."""

    cut: Cut
    after: int


class Watcher:
    """What the engine tells of its steps; the run implements it."""

    def stepped(self, event: object) -> None:
        """An event is about to be handled."""

    def committed(self, effects: list[Effect], at: Instant) -> None:
        """A step's facts are durable."""

    def sending(self, effect: Effect) -> None:
        """An effect leaves."""

    def lost(self, cut: Cut, disk: Disk, how: str) -> None:
        """The power went; this is what the disk keeps."""


class CutEngine(Engine):
    """The real engine with a hand at the mains."""

    def __init__(self, site: Site, ledger: Ledger, outside: Outside, watcher: Watcher, folder: Path, rng: Random) -> None:
        super().__init__(site, ledger, outside)
        self.watcher = watcher
        self.folder = folder
        self.rng = rng
        self.plan: Plan | None = None
        self._act = {kind: act if kind in UNSEEN else self._watched(act) for kind, act in self._act.items()}

    def _watched(self, act: Callable[[object, Instant], None]) -> Callable[[object, Instant], None]:
        def watched(effect: object, at: Instant) -> None:
            self.watcher.sending(effect)  # type: ignore[arg-type]
            act(effect, at)

        return watched

    def step(self, event: object, at: Instant) -> None:
        """See ``Engine``."""
        self.watcher.stepped(event)
        super().step(event, at)

    def commit(self, effects: list[Effect], at: Instant) -> None:
        """See ``Engine``; the power may go while it writes, or right behind it."""
        writes = any(isinstance(effect, Persist | Enqueue) for effect in effects)
        plan = self.plan if writes and self.plan is not None and self.plan.cut in (Cut.WRITING, Cut.COMMITTED) else None
        if plan is not None:
            plan.after -= 1
        if plan is None or plan.after > 0:
            super().commit(effects, at)
        elif plan.cut is Cut.WRITING:
            before = Disk.of(self.folder)
            super().commit(effects, at)
            disk, how = crashed(before, Disk.of(self.folder), self.rng)
            self._lose(plan.cut, disk, how)
        else:
            super().commit(effects, at)
            self.watcher.committed(effects, at)
            self._lose(plan.cut, Disk.of(self.folder), "whole")
        if writes:
            self.watcher.committed(effects, at)

    def dispatch(self, effects: list[Effect], at: Instant) -> None:
        """See ``Engine``; the power may go when some have left and others not."""
        plan = self.plan
        if plan is None or plan.cut is not Cut.SENDING:
            super().dispatch(effects, at)
            return
        going: list[Effect] = [effect for effect in effects if not isinstance(effect, Persist | Enqueue)]
        if len(going) < 2:
            super().dispatch(effects, at)
            return
        plan.after -= 1
        if plan.after > 0:
            super().dispatch(effects, at)
            return
        super().dispatch(going[: self.rng.randint(1, len(going) - 1)], at)
        self._lose(plan.cut, Disk.of(self.folder), "whole")

    def _lose(self, cut: Cut, disk: Disk, how: str) -> None:
        self.plan = None
        self.watcher.lost(cut, disk, how)
        raise PowerLost(cut.value)
