"""Pruning as the program does it: the backup's process proposes, the core takes it between two steps while nobody is served (F50)."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from terminal.config_tables import StorageTable
from terminal.core.host_events import StateAnswered
from terminal.core.records import Record
from terminal.core.rest import nobody_is_served
from terminal.core.rollback_mark import LedgerPruned, LedgerRestored
from terminal.core.units import Instant, UtcMs
from terminal.runtime.engine import Engine
from terminal.runtime.logs import line_of
from terminal.store import backup, retention
from terminal.store.anchor import digest_of, packed, start_of, started
from terminal.store.backup import NEWEST, make
from terminal.store.care import LedgerCare
from terminal.store.disk_room import DiskRoom
from terminal.store.integrity import verify
from terminal.store.past_sales import LedgerPast
from terminal.store.pruning import PAUSE_MS
from terminal.store.sqlite_kind import connect
from terminal.store.start_check import damage
from tests.machines.site_kit import Bench, records
from tests.store.damage_kit import encode
from tests.store.years import KEEP, ROUNDS, Years, finish, newest_stamp, proposed, pruned, pruner_of

pytestmark = pytest.mark.usefixtures("ledger_kind")

WAIT_S = 180.0


def care_of(folder: Path, keep_months: int) -> LedgerCare:
    care = LedgerCare(DiskRoom(folder, 1), folder, folder / "backup", 3_600_000, encode)
    care.keep_months = keep_months
    return care


def test_from_the_backup_s_process_to_the_last_row(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(ROUNDS, 1)
    station.ledger.close()
    care = care_of(tmp_path, KEEP)
    ledger = care.open()
    db, stamp = ledger.connection, newest_stamp(ledger)
    (before,) = db.execute("SELECT count(*) FROM journal").fetchone()
    care.begin(ledger, 0)
    until, now, served, asked = time.monotonic() + WAIT_S, 0, True, 0

    def quiet() -> bool:
        nonlocal asked
        asked += 1
        return not served

    ended = None
    while ended is None:
        time.sleep(0.02)
        now += PAUSE_MS
        ended = care.look(now)
        assert care.prune(now, lambda: stamp, quiet, 1 << 60) is None
        assert time.monotonic() < until
    assert asked == 1, "asked only when there is something to do, and no backup under way"
    assert start_of(db).seq == 0, "a driver was served"
    served, told = False, None
    for _ in range(100):
        now += PAUSE_MS
        told = care.prune(now, lambda: stamp, quiet, 1 << 60) or told
    assert told is not None
    assert db.execute("SELECT count(*) FROM journal").fetchone() == (before + 1 - told.rows,)
    assert line_of(told).startswith("event=LedgerPruned ")
    assert f"rows={told.rows}" in line_of(told)
    assert not (tmp_path / "backup" / "ledger-prune.db").exists()
    asked = 0
    care.prune(now + PAUSE_MS, lambda: stamp, quiet, 1 << 60)
    assert asked == 0, "nothing is left to do"
    care.end()
    ledger.close()
    assert verify(tmp_path / "ledger.db").sound


def test_a_terminal_that_keeps_everything_proposes_nothing(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(ROUNDS, 1)
    station.ledger.close()
    care = care_of(tmp_path, 0)
    ledger = care.open()
    care.begin(ledger, 0)
    until = time.monotonic() + WAIT_S
    while care.look(0) is None:
        time.sleep(0.02)
        assert time.monotonic() < until
    assert care.prune(10_000, lambda: newest_stamp(ledger), lambda: True, 1 << 60) is None
    assert not (tmp_path / "backup" / "ledger-prune.db").exists()
    care.end()
    ledger.close()


def test_after_a_restart_the_rest_goes_without_another_proposal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminal.store.pruning.SLICE_ROWS", 20)
    station = Years(tmp_path / "ledger.db")
    station.weeks(ROUNDS, 1)
    pruned_rows = station.ledger.connection.execute("SELECT count(*) FROM journal").fetchone()[0]
    told = None
    proposed(station.ledger, tmp_path / "backup")
    pruner = pruner_of(station.ledger, tmp_path / "backup")
    for at in range(3):  # taken, and two pieces
        told = pruner.work((at + 1) * PAUSE_MS, station.stamp, known_to_host=1 << 60) or told
    station.ledger.close()
    assert told is not None
    care = care_of(tmp_path, KEEP)
    ledger = care.open()
    care.begin(ledger, 0)
    for at in range(1, 200):
        assert care.prune(at * PAUSE_MS, lambda: newest_stamp(ledger), lambda: True, 0) is None
    assert ledger.connection.execute("SELECT count(*) FROM journal").fetchone() == (pruned_rows + 1 - told.rows,)
    assert damage(ledger.connection) is None
    care.end()
    ledger.close()


# --- the core ------------------------------------------------------------------------------------------------------------------------


def test_nobody_is_served_between_drivers_only() -> None:
    bench = Bench()
    bench.open()
    bench.add_card("A")
    bench.wait(5_000)
    assert nobody_is_served(bench.site)
    bench.badge("A")
    assert not nobody_is_served(bench.site), "a driver stands at the terminal"
    bench.keys("1#")
    bench.wait(10_000)
    assert not nobody_is_served(bench.site), "a point is released"


def test_the_host_s_word_about_the_head_is_needed_and_a_pruned_row_is_no_loss(tmp_path: Path) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(ROUNDS, 1)
    told = pruned(station, tmp_path / "backup")
    bench = Bench()
    bench.recovered.past = LedgerPast(station.ledger.connection)
    bench.open()
    state = bench.site.state

    def say(row: int, link: str) -> list[LedgerRestored]:
        return records(bench.do(StateAnswered(UtcMs(bench.site.desk.utc(bench.now)), (row, link))), LedgerRestored)

    assert state.known_to_host == 0
    assert say(told.through - 1, "77" * 32) == []
    assert say(told.through, told.link) == []
    assert state.known_to_host == 0, "of what is not here any more nothing follows"
    seq, link = station.ledger.head
    assert say(seq, link.hex()) == []
    assert state.known_to_host == seq
    assert len(say(seq, "77" * 32)) == 1, "another row is a loss as ever"
    assert state.known_to_host == seq
    station.ledger.close()


def test_the_engine_asks_the_site_and_tells_what_was_written(tmp_path: Path) -> None:
    bench = Bench()
    bench.open()
    heard: list[Record] = []
    asked: list[tuple[object, ...]] = []
    record = LedgerPruned(7, "ab", "cd", (), (), 5)
    engine = Engine(bench.site, None, None)  # type: ignore[arg-type]
    engine.committed = heard.extend
    bench.site.state.known_to_host = 9

    def work(at: Instant, stamp: object, quiet: object, known: int) -> LedgerPruned:
        asked.append((at, stamp().utc, quiet(), known))  # type: ignore[operator]
        return record

    engine.prune(work, bench.now)
    assert heard == [record]
    assert asked == [(bench.now, bench.site.desk.utc(bench.now), True, 9)]


@pytest.mark.parametrize("months", [0, 14, 121, "15", 15.5])
def test_fewer_than_fifteen_months_are_refused(months: object) -> None:
    assert StorageTable().keep_months == KEEP
    assert msgspec.convert({"keep_months": 120}, StorageTable).keep_months == 120
    with pytest.raises(msgspec.ValidationError, match="keep_months"):
        msgspec.convert({"keep_months": months}, StorageTable)


def test_a_proposal_that_would_take_rows_of_what_stays_is_dropped(tmp_path: Path) -> None:
    """Its digest is right, and still: of a row that it keeps too few, or all of them."""
    station = Years(tmp_path / "ledger.db")
    station.weeks(26, 1, balanced=lambda week: week != 2)
    proposal = proposed(station.ledger, tmp_path / "backup")
    assert proposal is not None
    snapshot = started(proposal.content).snapshot
    assert snapshot is not None
    db = station.ledger.connection
    rows = db.execute("SELECT count(*) FROM journal").fetchone()
    columns = "reserved_row", "authorized_row", "released_row", "ended_row"
    stay = [row for found in db.execute(f"SELECT {', '.join(columns)} FROM sale") for row in found]  # noqa: S608 - our own words
    plans = [row for (row,) in db.execute("SELECT row FROM price_plan")]
    corrections = [row for (row,) in db.execute("SELECT row FROM correction")]
    needed = [one.seq for one in snapshot.kept if one.seq in {*stay, *plans, *corrections}]
    assert needed
    for without in ({one.seq for one in snapshot.kept}, {needed[0]}, {needed[-1]}, *({one} for one in (*plans, *corrections)[:3])):
        kept = [one for one in snapshot.kept if one.seq not in without]
        if len(kept) == len(snapshot.kept):
            continue  # a row that is younger than what goes
        content = packed(msgspec.structs.replace(snapshot, kept=kept))
        bad = retention.Proposal(replace(proposal.record, digest=digest_of(content)), content)
        retention.write(bad, tmp_path / "backup")
        assert finish(pruner_of(station.ledger, tmp_path / "backup"), newest_stamp(station.ledger)) is None, without
        assert db.execute("SELECT count(*) FROM journal").fetchone() == rows
    retention.write(proposal, tmp_path / "backup")
    assert finish(pruner_of(station.ledger, tmp_path / "backup"), newest_stamp(station.ledger)) == proposal.record
    assert damage(db) is None
    station.ledger.close()


@pytest.mark.parametrize("host_time", [253_402_300_800_000, 1 << 62, -(1 << 62)])
def test_a_time_that_is_in_no_calendar_proposes_nothing_and_costs_no_backup(tmp_path: Path, host_time: int) -> None:
    station = Years(tmp_path / "ledger.db")
    station.weeks(2, 1)
    assert make(station.ledger.path, tmp_path) is None
    station.ledger.close()
    with closing(connect(tmp_path / NEWEST)) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'clock_anchor'", (f"{host_time} 0 boot-1",))
    with pytest.raises((ValueError, OverflowError)), closing(connect(tmp_path / NEWEST)) as db:
        retention.propose(db, KEEP)
    backup._propose(tmp_path, KEEP)
    assert not (tmp_path / retention.PROPOSAL).exists()
