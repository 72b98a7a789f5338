"""The anchor in the place of pruned rows: each change of it is found, mended or taken from a backup, and the replay is the same (F50)."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.store import past
from terminal.store.anchor import PIECE_BYTES, Start, packed, start_of, write
from terminal.store.backup import NEWEST, make
from terminal.store.integrity import COMPARED, known_keys, verify
from terminal.store.ledger import Ledger, LedgerError
from terminal.store.opening import open_ledger
from terminal.store.past_sales import LedgerPast
from terminal.store.recovery import recover
from terminal.store.replay import Replay
from terminal.store.sqlite_kind import connect
from terminal.store.start_check import damage
from tests.store.damage_kit import encode, flipped
from tests.store.years import DAY_MS, Years, aged, proposed, pruned, pruner_of, sales

pytestmark = pytest.mark.usefixtures("ledger_kind")
# --- tampering ------------------------------------------------------------------------------------------------------------------------


def _piece(db: sqlite3.Connection) -> None:
    db.execute("UPDATE anchor SET content = zeroblob(length(content)) WHERE part = 0")


def _no_piece(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM anchor WHERE part = (SELECT max(part) FROM anchor)")


def _no_anchor(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM anchor")


def _another_total(db: sqlite3.Connection) -> None:
    """By somebody who knows how: table and snapshot fit together, and every piece has its digest."""
    snapshot = start_of(db).snapshot
    assert snapshot is not None
    table = snapshot.tables["pin"]
    table.rows.append(["b7" * 16, 1, 0])
    db.execute("INSERT INTO pin VALUES (?, 1, 0)", ("b7" * 16,))
    write(db.execute, packed(snapshot))


def _kept_row(db: sqlite3.Connection) -> None:
    (seq, body) = db.execute("SELECT seq, body FROM journal ORDER BY seq LIMIT 1").fetchone()
    db.execute("UPDATE journal SET body = ? WHERE seq = ?", (body.replace(b"carrier", b"courier"), seq))


def _no_kept_row(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)")


def _first_behind(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM journal WHERE seq = ?", (start_of(db).seq + 1,))


def _the_row_that_says_so(db: sqlite3.Connection) -> None:
    (seq, body) = db.execute("SELECT seq, body FROM journal WHERE kind = 'LedgerPruned'").fetchone()
    db.execute("UPDATE journal SET body = ? WHERE seq = ?", (body.replace(b'"rows":', b'"rows":1'), seq))


@pytest.fixture(scope="module")
def with_a_kept_sale(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pruned ledger with rows of a sale that stays, and a backup from before it was pruned."""
    folder = tmp_path_factory.mktemp("kept")

    def begin(station: Years) -> None:
        station.refused.add(station.minting.id())
        station.sell(0)
        assert make(station.ledger.path, folder / "early") is None  # its newest row is one that stays

    station, _ = aged(folder, begin)
    pruned(station, folder / "backup")
    station.weeks(2, 20)
    station.ledger.close()
    return folder


@pytest.fixture
def kept(with_a_kept_sale: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_a_kept_sale, tmp_path / "kept"))


TAMPERING = [_piece, _no_piece, _no_anchor, _another_total, _kept_row, _no_kept_row, _first_behind]


@pytest.mark.parametrize("tamper", TAMPERING)
def test_every_change_is_found_and_what_the_backup_has_brings_it_back(kept: Path, tamper: Callable[[sqlite3.Connection], None]) -> None:
    path = kept / "ledger.db"
    with closing(Ledger(path)) as ledger:
        assert damage(ledger.connection) is None
        before = ledger.head
        tamper(ledger.connection)
        assert damage(ledger.connection) is not None
    assert not verify(path).sound
    with closing(open_ledger(path, kept / "backup", encode)) as again:
        assert again.head[0] > before[0], "the restoration is told"
        assert again.connection.execute("SELECT hash FROM journal WHERE seq = ?", (before[0],)).fetchone() == (before[1],)
        faults = {code for (code,) in again.connection.execute("SELECT code FROM fault WHERE subject = 'ledger'")}
        assert faults == {"LEDGER_RESTORED"}, "nothing was lost"
        assert again.connection.execute("SELECT 1 FROM pin WHERE account = ?", ("b7" * 16,)).fetchone() is None, "what was made up stays"
    assert verify(path).sound


def test_an_edited_row_that_speaks_for_the_anchor_is_found_and_what_was_behind_it_is_lost(kept: Path) -> None:
    path = kept / "ledger.db"
    with closing(Ledger(path)) as ledger:
        _the_row_that_says_so(ledger.connection)
        assert damage(ledger.connection) is not None
    assert not verify(path).sound
    with closing(open_ledger(path, kept / "backup", encode)) as again:
        assert {code for (code,) in again.connection.execute("SELECT code FROM fault WHERE subject = 'ledger'")} == {"STORAGE_DAMAGED"}
    assert verify(path).sound


def test_a_flipped_bit_of_the_anchor_or_of_a_kept_row_is_mended_without_any_backup(kept: Path, tmp_path: Path) -> None:
    with closing(Ledger(kept / "ledger.db")) as ledger:
        pieces = ledger.connection.execute("SELECT part, content FROM anchor").fetchall()
        rows = [seq for (seq,) in ledger.connection.execute("SELECT seq FROM journal WHERE seq <= ?", (start_of(ledger.connection).seq,))]
        was = start_of(ledger.connection)
    assert len(pieces[0][1]) == PIECE_BYTES
    for number, (table, key, at) in enumerate([("anchor", pieces[0][0], 77), ("anchor", pieces[-1][0], 3), ("journal", rows[1], 12)]):
        folder = tmp_path / f"bit-{number}"
        folder.mkdir()
        shutil.copyfile(kept / "ledger.db", folder / "ledger.db")
        with closing(Ledger(folder / "ledger.db")) as ledger:
            column, name = ("content", "part") if table == "anchor" else ("body", "seq")
            (content,) = ledger.connection.execute(f"SELECT {column} FROM {table} WHERE {name} = ?", (key,)).fetchone()
            changed = bytearray(content)
            changed[at] ^= 1
            ledger.connection.execute(f"UPDATE {table} SET {column} = ? WHERE {name} = ?", (bytes(changed), key))
        with closing(open_ledger(folder / "ledger.db", folder / "backup", encode)) as again:
            assert start_of(again.connection) == was
            faults = {code for (code,) in again.connection.execute("SELECT code FROM fault WHERE subject = 'ledger'")}
            assert faults == {"LEDGER_RESTORED"}
        assert verify(folder / "ledger.db").sound


def test_any_flipped_bit_of_a_pruned_ledger_is_harmless_or_found_and_nothing_is_lost(kept: Path, tmp_path: Path) -> None:
    with closing(Ledger(kept / "ledger.db")) as ledger:
        proposed(ledger, kept / "backup")
        head = ledger.head
    whole, random, told = (kept / "ledger.db").read_bytes(), Random(4), 0
    for number in range(16):
        folder = Path(shutil.copytree(kept, tmp_path / f"bit-{number}"))
        (folder / "ledger.db").write_bytes(flipped(whole, random.randrange(len(whole) * 8)))
        with closing(open_ledger(folder / "ledger.db", folder / "backup", encode)) as again:
            assert again.connection.execute("SELECT hash FROM journal WHERE seq = ?", (head[0],)).fetchone() == (head[1],)
            faults = {code for (code,) in again.connection.execute("SELECT code FROM fault WHERE subject = 'ledger'")}
            assert faults <= {"LEDGER_RESTORED"}
            told += len(faults)
        assert verify(folder / "ledger.db").sound
    assert told > 4


def test_the_newest_rows_lost_behind_an_anchor_the_rest_serves_on(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With them goes the row that spoke for the anchor; the restoration says it again."""
    shutil.rmtree(kept / "backup")
    path = kept / "ledger.db"
    monkeypatch.setattr("terminal.store.proved_rows.MOST_STRAY", 1_000_000)  # or what is out of place would be taken for in place
    with closing(Ledger(path)) as ledger:
        db = ledger.connection
        start, last = start_of(db), recover(ledger, "OPT-1", "boot-1").minting.next_sequence
        (spoken,) = db.execute("SELECT seq FROM journal WHERE kind = 'LedgerPruned'").fetchone()
        db.execute("UPDATE journal SET body = zeroblob(9) WHERE seq = ?", (spoken - 40,))
    with closing(open_ledger(path, kept / "backup", encode)) as again:
        assert start_of(again.connection) == start
        assert {code for (code,) in again.connection.execute("SELECT code FROM fault WHERE subject = 'ledger'")} == {"STORAGE_DAMAGED"}
        minting = recover(again, "OPT-1", "boot-1").minting
        assert minting.epoch == 2
        assert sales(again.connection)[-1] < last
    assert verify(path).sound


@pytest.mark.parametrize("lose", [_no_anchor, _no_kept_row])
def test_what_the_chain_needs_lost_without_a_backup_is_a_matter_for_people(kept: Path, lose: Callable[[sqlite3.Connection], None]) -> None:
    shutil.rmtree(kept / "backup")
    with closing(Ledger(kept / "ledger.db")) as ledger:
        lose(ledger.connection)
    with pytest.raises(LedgerError, match="nothing of it can be saved"):
        open_ledger(kept / "ledger.db", kept / "backup", encode)


# --- with backups from before and behind -----------------------------------------------------------------------------------------------


def test_a_backup_from_before_serves_the_start_too(kept: Path) -> None:
    with closing(Ledger(kept / "ledger.db")) as ledger, closing(connect(kept / "backup" / NEWEST, "mode=ro&immutable=1")) as base:
        assert damage(ledger.connection, base) is None
        base_tables = sales(base)
        assert sales(ledger.connection) != base_tables
        ledger.connection.execute("DELETE FROM pin")
        assert (ledger.connection.execute("SELECT count(*) FROM pin").fetchone(), bool(base.execute("SELECT 1 FROM pin").fetchone())) == (
            (0,),
            True,
        )
        assert damage(ledger.connection, base) == "table pin is not what the journal leads to"
        assert damage(ledger.connection) == "table pin is not what the journal leads to"


def test_a_backup_of_which_only_the_newest_row_is_still_here_is_passed_over(kept: Path) -> None:
    with closing(Ledger(kept / "ledger.db")) as ledger, closing(connect(kept / "early" / NEWEST, "mode=ro&immutable=1")) as base:
        (newest,) = base.execute("SELECT max(seq) FROM journal").fetchone()
        assert newest in {one.seq for one in start_of(ledger.connection).kept}
        assert damage(ledger.connection, base) is None


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_ledger_that_is_gone_comes_back_from_either_backup(kept: Path, when: str) -> None:
    with closing(Ledger(kept / "ledger.db")) as ledger:
        if when == "behind":
            proposed(ledger, kept / "backup")
            (kept / "backup" / "ledger-backup-older.db").unlink()
        head = ledger.head
        there = sales(ledger.connection)
    (kept / "ledger.db").unlink()
    with closing(open_ledger(kept / "ledger.db", kept / "backup", encode)) as again:
        assert {code for (code,) in again.connection.execute("SELECT code FROM fault WHERE subject = 'ledger'")} == {"STORAGE_DAMAGED"}
        if when == "behind":
            assert again.connection.execute("SELECT hash FROM journal WHERE seq = ?", (head[0],)).fetchone() == (head[1],)
            assert sales(again.connection) == there
        else:
            assert {1, 2, 3} <= set(sales(again.connection)) - set(there), "what was pruned since is here again"
    assert verify(kept / "ledger.db").sound


# --- what is left to look at -----------------------------------------------------------------------------------------------------------


def test_decisions_and_hashes_of_what_is_left_and_of_what_is_not(kept: Path) -> None:
    path = kept / "ledger.db"
    with closing(Ledger(path)) as ledger:
        db = ledger.connection
        start = start_of(db)
        there = db.execute("SELECT id FROM sale WHERE authorized_row > ?", (start.seq,)).fetchall()
        (older,) = db.execute("SELECT id FROM sale WHERE authorized_row <= ?", (start.seq,)).fetchone()
        codes = [code for (code,) in db.execute("SELECT code FROM refusal WHERE row > ?", (start.seq,))]
        behind = LedgerPast(db)
        assert behind.hash_at(ledger.head[0]) == ledger.head[1].hex()
        stay = {one.seq for one in start.kept}
        for row in range(1, start.seq + 1):
            assert (behind.hash_at(row) == "pruned") is (row not in stay)
        assert behind.hash_at(ledger.head[0] + 1) is None
        (gone,) = (first for first, _ in start.snapshot.gone[:1]) if start.snapshot else (0,)
    for sale in (there[0][0], there[-1][0], older):
        assert past.by_sale(path, sale)
    assert len(codes) > 1
    for code in codes:  # of some no input was written down
        with contextlib.suppress(past.NotFound):
            assert past.by_code(path, code)
    with pytest.raises(past.NotFound, match="was pruned"):
        past.by_sale(path, f"OPT-1-1-{gone}")
    with closing(Ledger(path)) as ledger:
        ledger.connection.execute("UPDATE journal SET clock = 'edited' WHERE seq <= ? AND kind = 'SaleAuthorized'", (start.seq,))
    with pytest.raises(Exception, match="is damaged or was edited"):
        past.by_sale(path, older)


# --- the same tables ---------------------------------------------------------------------------------------------------------------------


def tables(replay: Replay) -> dict[str, list[tuple[object, ...]]]:
    return {name: sorted(replay.db.execute(query).fetchall(), key=repr) for name, query in COMPARED.items()}


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), moves=st.integers(8, 30))
def test_from_the_anchor_on_the_journal_leads_to_the_same_tables_as_from_its_first_row(
    tmp_path_factory: pytest.TempPathFactory, seed: int, moves: int
) -> None:
    folder = tmp_path_factory.mktemp("twice")
    station = Years(folder / "ledger.db", pace_ms=4 * DAY_MS)
    if seed % 2:
        station.held.add("OPT-1-1-2")
    station.weeks(14, seed, moves=moves)
    db = station.ledger.connection
    proposal = proposed(station.ledger, folder / "backup")
    if proposal is not None:
        pruner = pruner_of(station.ledger, folder / "backup")
        assert pruner.work(1_000_000, station.stamp, known_to_host=1 << 60) is not None  # taken; every row is still there
        station.weeks(2, seed + 1)
        found: list[str] = []
        start = start_of(db)
        assert start.snapshot is not None
        with closing(Replay(known_keys(db), lambda what, where: found.append(what))) as whole:
            with closing(Replay(known_keys(db), lambda what, where: found.append(what))) as behind:
                behind.begin(start.snapshot)
                for seq, utc, kind, body in db.execute("SELECT seq, utc, kind, body FROM journal ORDER BY seq"):
                    whole.take(seq, utc, kind, body)
                    if seq > start.seq:
                        behind.take(seq, utc, kind, body)
                assert tables(whole) == tables(behind)
                assert whole.nozzles == behind.nozzles
                assert whole.gone == behind.gone
        assert found == []
    station.ledger.close()


def test_a_new_and_an_old_ledger_have_no_anchor(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        assert start_of(ledger.connection) == Start()
        assert proposed(ledger, tmp_path / "backup") is None


def test_no_table_has_bytes_that_a_snapshot_would_not_bring_back(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        db = ledger.connection
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        kinds = {name: {row[2] for row in db.execute(f"PRAGMA table_info({name})")} for name in names}
    assert {name for name, found in kinds.items() if not found <= {"INTEGER", "TEXT"}} == {"journal", "outbox", "anchor"}
