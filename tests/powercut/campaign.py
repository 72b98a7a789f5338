"""Days recorded, thousands of power cuts in each, every disk examined; and the same with a store that was made weak, which must be seen.

A state has a number. It says which day it is cut from (``PER_DAY`` to a day) and, with the journal of that day, where and how: so a number
plays one state again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from terminal.store import ledger as ledger_module
from terminal.store.sqlite_kind import keep_ledgers
from tests.ledger_kinds import KEY
from tests.powercut.checks import THOROUGH_EVERY, Checker, Tally
from tests.powercut.day import Committed, Day, Listed, PinUsed
from tests.powercut.recorder import ROOT, Records, read_journal, recording
from tests.powercut.states import Disk, Place, places

PER_DAY = 10_000
FUELLINGS = 40
RAM_DISK = Path("/dev/shm")
KEPT = ROOT / "build" / "powercut"
MOST_NAMED = 20
TRIES = 6


def begin(encrypted: bool) -> None:
    """Days are recorded, and disks examined, with this kind of ledger from now on."""
    keep_ledgers(KEY if encrypted else None)


@dataclass(frozen=True, slots=True)
class Weakness:
    """One way to make the store weak, and what must be found then."""

    name: str
    pragmas: tuple[tuple[str, str, object], ...] = ()
    no_syncs: bool = False
    finds: frozenset[str] = frozenset({"lost"})

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """While this lasts the store is weak."""
        settings = dict((name, (name, value, wanted)) for name, value, wanted in ledger_module._SETTINGS)
        settings.update((name, (name, value, wanted)) for name, value, wanted in self.pragmas)
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(ledger_module, "_SETTINGS", tuple(settings.values())))
            if self.no_syncs:
                stack.enter_context(mock.patch.object(os, "fsync", return_value=None))
            yield


AS_IT_IS = Weakness("as it is", finds=frozenset())
WEAKNESSES = (
    Weakness("WAL, synchronous=NORMAL", (("synchronous", "NORMAL", 1),)),
    Weakness("WAL, synchronous=OFF", (("synchronous", "OFF", 0),)),
    Weakness("rollback journal, synchronous=FULL", (("locking_mode", "NORMAL", "normal"), ("journal_mode", "DELETE", "delete"))),
    Weakness(
        "card files and PIN keys without syncs of ours", no_syncs=True, finds=frozenset({"does not come up", "card file", "PIN keys"})
    ),
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A day's journal in figures."""

    day: int
    records: int
    writes: int
    bytes: int
    syncs: int
    names: int
    commits: int
    rows: int
    card_changes: int
    pin_keys: int
    fuellings: int
    facts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Broke:
    """One state that is not as it must be."""

    seed: int
    day: int
    cut: int
    policy: str
    name: str
    what: str


@dataclass(slots=True)
class Outcome:
    """What a run of states came to."""

    tally: Tally = field(default_factory=Tally)
    broke: list[Broke] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Sum them up."""
        mine, theirs = self.tally, other.tally
        for name in ("states", "recovered", "images", "thorough", "behind", "ahead", "lost_pieces", "cards"):
            setattr(mine, name, getattr(mine, name) + getattr(theirs, name))
        mine.policies.update(theirs.policies)
        mine.broken.update(theirs.broken)
        self.broke.extend(other.broke)


def day_of(seed: int) -> int:
    """The day that a state is cut from."""
    return seed // PER_DAY + 1


def record(day: int, journal: Path, fuellings: int = FUELLINGS, weakness: Weakness = AS_IT_IS) -> Recorded:
    """Play a day on the recorder's disk; its journal goes to ``journal``. A day on which hardly anybody may fuel is drawn anew."""
    for again in range(TRIES):
        with tempfile.TemporaryDirectory(prefix="powercut-", dir=_ram()) as folder:
            with recording(Path(folder)) as recorder, weakness.planted():
                played = Day(day + again * 1_000, recorder, fuellings)
                played.run()
            if played.kinds.get("SaleDelivered", 0) >= fuellings // 4:
                journal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(folder) / "journal", journal)
                return _figures(day, read_journal(journal), played.kinds)
    raise AssertionError(f"day {day}: {TRIES} stations, and hardly anybody could fuel at any of them")


def _figures(day: int, records: Records, facts: dict[str, int]) -> Recorded:
    kinds = Counter(record[0] for record in records)
    marks = Counter(type(record[1]) for record in records if record[0] == "mark")
    return Recorded(
        day,
        len(records),
        kinds["write"] + kinds["trunc"],
        sum(len(record[3]) for record in records if record[0] == "write"),
        kinds["fsync"] + kinds["fsyncdir"],
        kinds["create"] + kinds["rename"] + kinds["unlink"],
        marks[Committed],
        sum(facts.values()),
        marks[Listed],
        marks[PinUsed],
        facts.get("SaleDelivered", 0),
        facts,
    )


def chunks(records: Records, seeds: Sequence[int], size: int) -> list[list[Place]]:
    """The states of one day in the journal's order, so many to a piece of work."""
    placed = places(records, seeds)
    return [placed[at : at + size] for at in range(0, len(placed), size)]


def examine(records: Records, placed: Sequence[Place], day: int, *, thorough_every: int = THOROUGH_EVERY) -> Outcome:
    """Build and examine these states, in their order."""
    with tempfile.TemporaryDirectory(prefix="powercut-", dir=_ram()) as folder:
        checker = Checker(records, Path(folder) / "disk", thorough_every=thorough_every)
        disk, outcome = Disk(records), Outcome(checker.tally)
        for place in placed:
            disk.forward(place.cut)
            state = disk.state(place)
            broken = checker.check(state)
            if broken is not None and len(outcome.broke) < MOST_NAMED:
                outcome.broke.append(Broke(place.seed, day, place.cut, place.policy, broken.name, broken.what))
        return outcome


def control(weakness: Weakness, day: int, states: int, fuellings: int) -> Outcome:
    """A day of a weak store, and its states. What it must find is ``weakness.finds``."""
    with tempfile.TemporaryDirectory(prefix="powercut-", dir=_ram()) as folder:
        journal = Path(folder) / "journal"
        record(day, journal, fuellings, weakness)
        records = read_journal(journal)
        with weakness.planted():
            return examine(records, places(records, range(states)), day)


def caught(weakness: Weakness, outcome: Outcome) -> bool:
    """Was the weakness seen?"""
    return any(outcome.tally.broken[name] for name in weakness.finds)


def _ram() -> Path | None:
    return RAM_DISK if RAM_DISK.is_dir() else None
