"""The power fails at any moment of the real ledger's writing: what was acknowledged is there, what was under way is there whole or not at
all. The same question asked of a disk without syncs must find losses and damage, or it would find nothing here either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from terminal.core.records import TerminalStarted
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, LedgerError, Stamp, StorageFailed
from tests.store.books import BOOT, NEW_YEAR, Station, live
from tests.store.crash_states import HEADER, SECTOR, Cut, Files, close_cuts, commit_cuts, unordered_cut

pytestmark = pytest.mark.usefixtures("ledger_kind")

COMMITS, SEED, EACH = 40, 3, 4
FOLD_EVERY_PAGES = 20
"""Low, so that the log is folded and started over many times in few commits."""

Head = tuple[int, bytes]


@dataclass(slots=True)
class Recording:
    """The files and the chain's head after each commit; ``closed`` after a clean close."""

    files: list[Files] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    closed: Files = Files(b"", None)


def record(path: Path) -> Recording:
    """A life of the real ledger, copied after every commit that wrote something."""
    station = Station(path, autocheckpoint_pages=FOLD_EVERY_PAGES)
    kept = [station.ledger.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "locking_mode")]
    assert kept == ["wal", 2, "exclusive"], "copies do not show syncs; the model knows where these settings put them, and no others"
    found = Recording([Files.read(path)], [station.ledger.head])
    for _ in live(station, 10 * COMMITS, SEED):
        if station.ledger.head != found.heads[-1]:
            found.files.append(Files.read(path))
            found.heads.append(station.ledger.head)
        if len(found.heads) > COMMITS:
            break
    station.ledger.close()
    found.closed = Files.read(path)
    return found


@pytest.fixture(scope="module")
def recording(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("recording") / "ledger.db")


@dataclass(frozen=True, slots=True)
class Outcome:
    """After switching on again: None, or what is wrong; and the head that was found."""

    wrong: str | None
    head: Head | None = None


def switch_on(path: Path, files: Files, allowed: Sequence[Head]) -> Outcome:
    """The ledger must be sound, have one of the allowed heads, and go on."""
    files.write(path)
    try:
        report = verify(path)
        ledger = Ledger(path)
    except (LedgerError, StorageFailed):
        return Outcome("damaged")
    try:
        head = ledger.head
        if report.findings or report.head != head[1].hex():
            return Outcome("damaged", head)
        if head not in allowed:
            return Outcome("lost" if head[0] < allowed[-1][0] else "made up", head)
        ledger.commit(Stamp(NEW_YEAR, "untrusted"), [TerminalStarted(BOOT, "1.0")], [])
    finally:
        ledger.close()
    after = verify(path)
    return Outcome(None if not after.findings and after.rows == head[0] + 1 else "damaged", head)


def cuts(recording: Recording) -> list[tuple[Cut, tuple[Head, ...]]]:
    """Every cut with the heads that it may leave."""
    random = Random(SEED)
    found: list[tuple[Cut, tuple[Head, ...]]] = []
    for number, (before, after) in enumerate(pairwise(recording.files)):
        old, new = recording.heads[number : number + 2]
        found += [(cut, (old, new) if cut.may_miss else (new,)) for cut in commit_cuts(before, after, random, EACH)]
    last = recording.heads[-1]
    found += [(cut, (last,)) for cut in close_cuts(recording.files[-1], recording.closed, random, EACH)]
    return found


def test_no_power_cut_loses_an_acknowledged_step_or_leaves_half_of_one(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    tried = [(cut, heads, switch_on(path, cut.files, heads)) for cut, heads in cuts(recording)]
    assert [(number, cut.where, outcome.wrong) for number, (cut, _, outcome) in enumerate(tried) if outcome.wrong] == []
    # And it was worth asking: many foldings, logs started over, and torn logs that kept the commit or did not.
    counted = Counter(cut.where for cut, _, _ in tried)
    assert len(tried) >= 300
    assert counted["writing the log"] >= 150
    assert counted["folding"] >= 20
    assert counted["log started over"] >= 5
    assert counted["closing"] == EACH
    kept = Counter(outcome.head == heads[-1] for cut, heads, outcome in tried if cut.where == "writing the log")
    assert kept[False] >= 50
    assert kept[True] >= 1


@pytest.mark.parametrize("commits", [1, 4])
def test_the_same_question_finds_a_disk_without_syncs(recording: Recording, tmp_path: Path, commits: int) -> None:
    """``synchronous=OFF``: the last commits' sectors survive in any order, in log and file alike."""
    random, path = Random(SEED), tmp_path / "ledger.db"
    found = Counter[str | None]()
    for number in range(commits, len(recording.files)):
        files = unordered_cut(recording.files[number - commits], recording.files[number], random)
        found[switch_on(path, files, (recording.heads[number],)).wrong] += 1
    assert found["lost"] >= 5
    assert found["damaged"] >= (1 if commits > 1 else 0)


def test_the_same_question_finds_a_log_that_is_started_over_without_its_sync(recording: Recording, tmp_path: Path) -> None:
    """The one sync that looks superfluous: without it, old frames under an old header may be folded over newer pages."""
    path = tmp_path / "ledger.db"
    found = Counter[str | None]()
    for number, (before, after) in enumerate(pairwise(recording.files)):
        old, new = before.wal or b"", after.wal or b""
        if old and old[:HEADER] != new[:HEADER]:
            for survived in range(SECTOR, len(new), 3 * SECTOR):  # the frames' later sectors reached the disk first
                files = Files(before.db, old[:survived] + new[survived:])
                found[switch_on(path, files, recording.heads[number : number + 2]).wrong] += 1
    assert found["damaged"] >= 1
