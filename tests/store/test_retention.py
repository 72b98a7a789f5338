"""What is old and acknowledged leaves the ledger; nothing else does, and the chain can be examined before, during and behind it (F50)."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest

from terminal.core.ids import Minting, SaleId
from terminal.core.records import SaleCorrected
from terminal.core.returned_record import ROOM, ReturnSettled, SaleReturned
from terminal.core.rollback_mark import LedgerRestored
from terminal.store import pruning, retention
from terminal.store.anchor import Start, digest_of, packed, start_of, started
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger
from terminal.store.opening import open_ledger
from terminal.store.past_sales import LedgerPast
from terminal.store.rebooking import rebooked
from terminal.store.recovery import recover
from terminal.store.retention import months_before
from terminal.store.sqlite_kind import connect
from terminal.store.start_check import damage
from tests.store.books import ACCOUNTS, TERMINAL, medium, sale_values
from tests.store.crash_states import Files, commit_cuts
from tests.store.damage_kit import encode
from tests.store.years import DAY_MS, KEEP, ROUNDS, Years, aged, finish, newest_stamp, proposed, prune, pruned, pruner_of, sales

pytestmark = pytest.mark.usefixtures("ledger_kind")


@pytest.fixture(scope="module")
def old(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger of more than two years, whose sales are acknowledged and agreed, and its backup with a proposal."""
    folder = tmp_path_factory.mktemp("old")
    station = Years(folder / "ledger.db")
    station.weeks(ROUNDS, 1)
    assert proposed(station.ledger, folder / "backup") is not None
    station.ledger.close()
    return folder


@pytest.fixture
def folder(old: Path, tmp_path: Path) -> Path:
    """A copy of it of one's own."""
    return Path(shutil.copytree(old, tmp_path / "state"))


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SLICE_ROWS", 20)


# --- what goes ----------------------------------------------------------------------------------------------------------------------


def test_old_acknowledged_sales_go_and_the_ledger_is_sound_at_every_moment(folder: Path, small_slices: None) -> None:
    ledger = Ledger(folder / "ledger.db")
    db = ledger.connection
    before, known, sums = sales(db), recover(ledger, "OPT-1", "boot-1"), verify(folder / "backup" / "ledger-backup.db").nozzles
    pieces: list[int] = []

    def look() -> None:
        assert damage(db) is None
        pieces.append(db.execute("SELECT count(*) FROM journal").fetchone()[0])
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for one in ("ledger.db", "ledger.db-wal"):
            shutil.copyfile(folder / one, copy / one)
        report = verify(copy / "ledger.db")
        assert report.sound, report.findings

    told = finish(pruner_of(ledger, folder / "backup"), newest_stamp(ledger), after=look)
    assert told is not None
    assert len(set(pieces)) > 5, "the rows went in one piece"
    start = start_of(db)
    assert start.seq == told.through
    assert {seq for (seq,) in db.execute("SELECT seq FROM journal WHERE seq <= ?", (told.through,))} == {one.seq for one in start.kept}
    gone = {one for first, last in told.sales for one in range(first, last + 1)}
    assert len(gone) > 20
    assert sales(db) == [one for one in before if one not in gone]
    now = recover(ledger, "OPT-1", "boot-1")
    same = ("minting", "pin_tries", "totals", "faults", "denies", "unanswered", "refusals", "last_event", "badge_counters", "closings")
    for name in same:
        assert getattr(now, name) == getattr(known, name), name
    assert [sale_values(one) for one in now.open_sales] == [sale_values(one) for one in known.open_sales]
    ledger.close()
    report = verify(folder / "ledger.db")
    assert report.sound
    assert [replace(book) for book in report.nozzles] == [replace(book) for book in sums], "the nozzles' sums are those from before"
    assert (report.first_row, report.rows) == (told.through + 1, told.through + pieces[-1] - len(start.kept))
    assert f"the journal is here from row {told.through + 1} on" in "\n".join(report.lines())


def test_nothing_younger_than_the_months_goes(folder: Path) -> None:
    told = prune(folder)
    with closing(Ledger(folder / "ledger.db")) as ledger:
        db = ledger.connection
        (anchor,) = db.execute("SELECT value FROM meta WHERE name = 'clock_anchor'").fetchone()
        edge = months_before(int(anchor.split()[0]), KEEP)
        snapshot = start_of(db).snapshot
        assert snapshot is not None
        assert snapshot.utc < edge
        (oldest,) = db.execute("SELECT min(utc) FROM journal WHERE seq > ?", (told.through,)).fetchone()
        assert oldest < edge + 60 * DAY_MS, "and not much more than these stay"
    with closing(connect(folder / "backup" / "ledger-backup.db", "mode=ro&immutable=1")) as db:
        longer = retention.propose(db, 20)
        assert longer is not None
        assert longer.record.through < told.through
        assert retention.propose(db, 120) is None


@pytest.mark.parametrize(
    ("utc", "months", "before"), [(1_774_965_600_000, 1, 1_772_287_200_000), (1_767_225_600_000, 15, 1_727_740_800_000)]
)
def test_months_end_with_their_last_day(utc: int, months: int, before: int) -> None:
    assert months_before(utc, months) == before  # 2026-03-31 14:00 → 2026-02-28 14:00; 2026-01-01 → 2024-10-01


# --- what holds it back ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["unacknowledged", "quarantined", "empty and unacknowledged"])
def test_a_sale_that_the_host_does_not_have_stays_with_all_its_rows(tmp_path: Path, how: str) -> None:
    def begin(station: Years) -> str:
        one = station.minting.id()
        (station.refused if how == "quarantined" else station.held).add(one)
        if how.startswith("empty"):
            station.end_empty(station.reserve(0), 0)
        else:
            assert station.sell(0) == one
        return one

    station, one = aged(tmp_path, begin)
    db, number = station.ledger.connection, int(str(one).rpartition("-")[2])
    record = rebooked(db, number)
    told = pruned(station, tmp_path / "backup")
    assert not any(first <= number <= last for first, last in told.sales)
    assert len(sales(db)) < 80
    assert record is not None
    assert rebooked(db, number) == record
    facts = [kind for (kind,) in db.execute("SELECT kind FROM journal WHERE seq <= ? ORDER BY seq", (told.through,))]
    life = ["SaleReserved", "SaleEnded"] if how.startswith("empty") else ["SaleReserved", "SaleAuthorized", "SaleReleased", "SaleDelivered"]
    assert facts[: len(life)] == life
    assert damage(db) is None
    if how == "unacknowledged":  # and goes when the host has it
        station.held.clear()
        station.drain()
        station.weeks(ROUNDS // 2, 8)
        again = pruned(station, tmp_path / "backup")
        assert number in sales(db), "its acknowledgement is not old enough yet"
        station.weeks(ROUNDS, 9)
        again = pruned(station, tmp_path / "backup")
        assert any(first <= number <= last for first, last in again.sales)
        assert damage(db) is None
    station.ledger.close()
    assert verify(tmp_path / "ledger.db").sound


def test_the_sales_of_a_batch_that_was_never_agreed_stay(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(ROUNDS, 7, balanced=lambda number: number != 3)
    db = station.ledger.connection
    (first, last) = db.execute("SELECT first, last FROM batch WHERE state = 'given up'").fetchone()
    told = pruned(station, tmp_path / "backup")
    there = sales(db)
    assert all(one in there for one in range(first, last + 1))
    assert first > 1
    assert not any(one in there for one in range(1, first))
    assert any(until > last for _, until in told.sales), "and those behind it go"
    station.ledger.close()
    assert verify(tmp_path / "ledger.db").sound


def test_sales_without_a_batch_stay(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    for draw in range(300):
        station.sell(draw)
        station.drain()
    assert proposed(station.ledger, tmp_path / "backup") is None
    station.ledger.close()


def test_nothing_goes_before_the_host_knows_the_head_behind_it(folder: Path) -> None:
    with closing(Ledger(folder / "ledger.db")) as ledger:
        db, stamp, pruner = ledger.connection, newest_stamp(ledger), pruner_of(ledger, folder / "backup")
        rows = db.execute("SELECT count(*) FROM journal").fetchone()
        proposal = retention.read(folder / "backup")
        assert proposal is not None
        through = proposal.record.through
        for at in range(1, 20):
            assert pruner.work(at * 1000, stamp, known_to_host=through - 1) is None
        assert db.execute("SELECT count(*) FROM journal").fetchone() == rows
        assert pruner.wants
        assert pruner.work(100_000, stamp, known_to_host=through) == proposal.record


def test_what_came_between_the_proposal_and_its_taking_is_looked_up_again(folder: Path) -> None:
    proposal = retention.read(folder / "backup")
    assert proposal is not None
    first = proposal.record.sales[0][0]
    with closing(Ledger(folder / "ledger.db")) as ledger:
        (sale,) = ledger.connection.execute("SELECT id FROM sale WHERE sequence = ?", (first,)).fetchone()
        ledger.connection.execute("INSERT INTO outbox (key, body) VALUES (?, x'')", (f"{sale}/advice",))
        pruner = pruner_of(ledger, folder / "backup")
        assert finish(pruner, newest_stamp(ledger)) is None
        assert first in sales(ledger.connection)
    other = Years(folder / "other.db")
    other.weeks(ROUNDS, 2)
    snapshot = started(proposal.content).snapshot
    assert snapshot is not None
    bare = packed(msgspec.structs.replace(snapshot, kept=[]))
    retention.write(retention.Proposal(replace(proposal.record, sales=(), digest=digest_of(bare)), bare), folder / "backup")
    assert finish(pruner_of(other.ledger, folder / "backup"), other.stamp) is None, "that of another ledger"
    assert start_of(other.ledger.connection) == Start()
    other.ledger.close()
    assert (folder / "backup" / retention.PROPOSAL).read_bytes()[:6] == (folder / "ledger.db").read_bytes()[:6], "of the ledger's own kind"
    retention.write(proposal, folder / "backup")
    assert retention.read(folder / "backup") == proposal
    changed = bytearray(proposal.content)
    changed[40] ^= 1
    retention.write(retention.Proposal(proposal.record, bytes(changed)), folder / "backup")
    assert retention.read(folder / "backup") is None


@pytest.mark.parametrize("years", [2, 30])
def test_a_clock_ahead_makes_nothing_old(tmp_path: Path, years: int) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(9, 3)
    assert proposed(station.ledger, tmp_path / "backup") is None
    station.leap(years * 365 * DAY_MS)
    station.weeks(2, 4)
    assert proposed(station.ledger, tmp_path / "backup") is None
    station.ledger.close()


def test_what_the_host_says_now_counts_where_the_terminal_s_time_is_ahead_of_it(folder: Path) -> None:
    with closing(Ledger(folder / "ledger.db")) as ledger:
        db = ledger.connection
        (anchor,) = db.execute("SELECT value FROM meta WHERE name = 'clock_anchor'").fetchone()
        host_time = int(anchor.split()[0]) - 150 * DAY_MS
        db.execute("UPDATE meta SET value = ? WHERE name = 'clock_anchor'", (f"{host_time} 0 boot-1",))
        proposal = retention.propose(db, KEEP)
        assert proposal is not None
        (utc,) = db.execute("SELECT utc FROM journal WHERE seq = ?", (proposal.record.through,)).fetchone()
        assert utc < months_before(host_time, KEEP)


def test_without_a_time_from_the_host_nothing_is_old(folder: Path) -> None:
    with closing(Ledger(folder / "ledger.db")) as ledger:
        ledger.connection.execute("DELETE FROM meta WHERE name = 'clock_anchor'")
        assert retention.propose(ledger.connection, KEEP) is None


# --- again and again -----------------------------------------------------------------------------------------------------------------


def test_years_of_it_numbers_go_on_sums_hold_and_the_file_stays_small(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(ROUNDS, 11)
    db = station.ledger.connection
    sizes, throughs = [], []
    for seed in range(4):
        throughs.append(pruned(station, tmp_path / "backup").through)
        station.weeks(ROUNDS // 2, seed)
        sizes.append(db.execute("PRAGMA page_count").fetchone()[0])
        assert damage(db) is None
    assert throughs == sorted(set(throughs))
    assert sizes[-1] < sizes[0] * 1.4, f"free pages are not used again: {sizes}"
    last = station.minting.next_sequence - 1
    assert recover(station.ledger, "OPT-1", "boot-1").minting == station.minting
    assert sales(db)[-1] == last
    (here,) = db.execute("SELECT count(*) FROM sale WHERE state = 'booked'").fetchone()
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.sound, report.findings
    assert sum(book.sales for book in report.nozzles) > here * 1.5, "what the pruned sales took stays in the sums"


def test_a_late_correction_of_a_pruned_sale_is_no_fault_of_the_ledger(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    first = station.sell(0)
    station.drain()
    station.desk.persist(SaleCorrected(0, "early-1", first, "refund", 0, 0, None, None, (), "goodwill", station.desk.utc(station.at)))
    station.commit()
    station.weeks(ROUNDS, 12)
    (sale, number) = station.ledger.connection.execute("SELECT id, sequence FROM sale WHERE state = 'booked' ORDER BY sequence").fetchone()
    station.desk.persist(SaleCorrected(0, "late-1", sale, "refund", 0, 0, None, None, (), "goodwill", station.desk.utc(station.at)))
    station.commit()
    told = pruned(station, tmp_path / "backup")
    assert any(first <= number <= last for first, last in told.sales)
    db = station.ledger.connection
    assert LedgerPast(db).use(sale) is None
    assert LedgerPast(db).has_correction("late-1")
    assert not LedgerPast(db).has_correction("early-1"), "it went with its sale and its row"
    assert db.execute("SELECT count(*) FROM refusal WHERE row <= ?", (told.through,)).fetchone() == (0,)
    assert damage(db) is None
    station.ledger.close()
    assert verify(tmp_path / "ledger.db").sound


def came_back(station: Years, sequence: int) -> SaleReturned:
    """A sale of the first epoch that was lost, as the host tells it."""
    sale = SaleId(f"{TERMINAL}-1-{sequence}")
    card, now = medium(ACCOUNTS[0][0]), station.desk.utc(station.at)
    fuel = ("DIESEL", 16_990, 5_000, 8_495, "offline", None, now, now, "nozzle", None, None, "trusted", 3)
    return SaleReturned(sale, 1, sequence, 1, None, card, ACCOUNTS[0][0], None, False, (), *fuel)


def test_epochs_and_what_came_back_from_the_host(tmp_path: Path) -> None:
    """The last known sale of each epoch stays, because what was lost is asked for behind it."""
    station = Years(tmp_path / "ledger.db")
    station.weeks(4, 13)
    last = station.minting.next_sequence - 1
    station.desk.persist(LedgerRestored("a test", station.ledger.head[0], True, 2, ROOM + 1))
    station.minting = Minting(TERMINAL, 2, ROOM + 1)
    for one in (last + 3, last + 5):
        station.desk.persist(came_back(station, one))
    station.desk.persist(ReturnSettled(1, 2, 2, 10_000, 3, last + 1, (), 0))
    station.commit()
    station.weeks(ROUNDS, 14)
    told = pruned(station, tmp_path / "backup")
    db = station.ledger.connection
    assert any(first <= last + 3 <= until for first, until in told.sales), "the host has it, or it would not have come back"
    assert (last + 5) in sales(db)
    assert told.sales[-1][0] > ROOM
    assert LedgerPast(db).missing() is None
    db.execute("DELETE FROM meta WHERE name = 'returned'")
    asked = LedgerPast(db).missing()
    assert asked is not None
    assert (asked.epoch, asked.after) == (1, last + 5)
    station.ledger.connection.execute("INSERT INTO meta VALUES ('returned', '2 1')")
    assert damage(db) is None
    third = sales(db)[-3]
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.sound, report.findings
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.connection.execute("DELETE FROM sale WHERE sequence = ?", (third,))
    words = [finding.what for finding in verify(tmp_path / "ledger.db").findings]
    assert any("numbered without holes" in one for one in words), words


# --- restarts and power cuts ----------------------------------------------------------------------------------------------------------


def test_the_power_goes_at_any_moment_of_it_and_it_goes_on_where_it_was(folder: Path, small_slices: None, tmp_path: Path) -> None:
    """Torn logs, half foldings and commits that were or were not: the model of disks is that of test_power_cut.py."""
    random, path = Random(5), folder / "ledger.db"
    ledger = Ledger(path, autocheckpoint_pages=20)
    steps = [Files.read(path)]
    told = finish(pruner_of(ledger, folder / "backup"), newest_stamp(ledger), after=lambda: steps.append(Files.read(path)))
    assert told is not None
    whole = dict(ledger.connection.execute("SELECT seq, hash FROM journal"))
    ledger.close()
    disk, found = tmp_path / "disk" / "ledger.db", Counter[str]()
    disk.parent.mkdir()
    for before, after in pairwise(steps):
        for cut in commit_cuts(before, after, random, 2):
            cut.files.write(disk)
            report = verify(disk)
            assert report.sound, (cut.where, report.findings)
            found[cut.where] += 1
            with closing(open_ledger(disk, disk.parent / "backup", encode)) as again:
                begun = start_of(again.connection).seq
                assert begun in ((told.through,) if before is not steps[0] or not cut.may_miss else (0, told.through))
                if begun:
                    finish(pruner_of(again, disk.parent / "backup"), newest_stamp(again))
                    assert dict(again.connection.execute("SELECT seq, hash FROM journal")) == whole
    assert not list(disk.parent.glob("*.damaged-*"))
    assert found["writing the log"] > 15
    assert found["folding"] > 3
