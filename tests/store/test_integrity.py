"""``verify`` finds what it is for: each test edits a sound ledger in one way and says which finding must come, and where."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from terminal.core import records as r
from terminal.store.integrity import NozzleBook, verify
from terminal.store.ledger import LedgerBusy, LedgerError
from terminal.store.schema import MIGRATIONS, PAGE_SIZE
from tests.store.books import Station, live
from tests.store.editing import chain_again, edited, errors, sold

pytestmark = pytest.mark.usefixtures("ledger_kind")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound ledger: a life of all kinds of facts, and one plain sale whose message waits."""
    station = Station(tmp_path / "ledger.db")
    for _ in live(station, 150, seed=5):
        pass
    for one in station.open_sales():
        station.end_empty(one, 0)
    while station.ledger.next_message() is not None:
        station.answer(1)
    station.tell(4)  # a leak
    sold(station, 0, 30_000)
    station.ledger.close()
    return tmp_path / "ledger.db"


def rewrite(db: sqlite3.Connection, kind: str, change: Callable[[dict[str, object]], object]) -> int:
    """Change the newest fact of a kind, the chain with it. Returns its row."""
    seq, body = db.execute("SELECT seq, body FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT 1", (kind,)).fetchone()
    values = json.loads(body)
    change(values)
    db.execute("UPDATE journal SET body = ? WHERE seq = ?", (json.dumps(values).encode(), seq))
    chain_again(db)
    return int(seq)


# --- a sound one ----------------------------------------------------------------------------------------------------------------


def test_a_sound_ledger_has_its_numbers_and_no_finding(path: Path) -> None:
    report = verify(path)
    assert report.findings == ()
    with edited(path) as db:
        assert report.rows == db.execute("SELECT count(*) FROM journal").fetchone()[0]
        assert report.sales == db.execute("SELECT max(sequence) FROM sale").fetchone()[0]
        assert report.head == db.execute("SELECT hex(hash) FROM journal ORDER BY seq DESC LIMIT 1").fetchone()[0].lower()
        volumes = db.execute("SELECT fp, nozzle, sum(quantity_ml) FROM sale WHERE quantity_ml > 0 GROUP BY 1, 2").fetchall()
    assert [(book.fp, book.nozzle, book.sold_ml) for book in report.nozzles if book.sold_ml] == volumes
    assert sum(book.unattributed_ml for book in report.nozzles) > 0
    assert (report.open_sales, report.unsent, report.sound) == (0, 1, True)


def test_the_report_in_json_and_in_words(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    sold(station, 0, 30_000, apart=3)
    station.desk.persist(r.Unattributed(1, 1, 500, 130_003, 130_503))
    station.desk.persist(r.TotalRead(1, 1, 130_503))
    station.commit()
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.nozzles[0] == NozzleBook(1, 1, 100_000, 130_503, 1, 30_000, 500, 0)
    told = json.loads(report.as_json())
    assert (told["sound"], told["rows"], told["sales"], told["unsent"], told["findings"]) == (True, 11, 1, 1, [])
    assert told["nozzles"][0]["sold_ml"] == 30_000
    words = "\n".join(report.lines())
    assert "11 journal rows, 1 sales, 0 of them open" in words
    assert "fp 1 nozzle 1: 1 sales, 30.000 l; without a sale 0.500 l; totaliser 100.000 → 130.503 l" in words
    assert report.head in words
    assert words.endswith("\nsound")


def test_examining_leaves_no_trace(path: Path) -> None:
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.parent.iterdir()}
    verify(path)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.parent.iterdir()} == before


# --- logs, locks, strangers -------------------------------------------------------------------------------------------------------


def test_what_is_only_in_the_log_counts_and_the_log_stays(tmp_path: Path) -> None:
    """A ledger as a power cut leaves it: the newest commits are in the log and nowhere else."""
    station = Station(tmp_path / "ledger.db")
    sold(station, 0, 30_000)
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copyfile(tmp_path / name, cut / name)
    head = station.ledger.head
    station.ledger.close()
    before = {file.name: file.read_bytes() for file in cut.iterdir()}
    report = verify(cut / "ledger.db")
    assert (report.rows, report.head, report.findings) == (head[0], head[1].hex(), ())
    assert {file.name: file.read_bytes() for file in cut.iterdir()} == before
    (cut / "ledger.db-wal").unlink()
    with pytest.raises(LedgerError, match="not a ledger"):  # the tables themselves were in the log
        verify(cut / "ledger.db")


def test_an_open_ledger_is_not_examined(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    with pytest.raises(LedgerBusy, match="stop the terminal first"):
        verify(tmp_path / "ledger.db")
    sold(station, 0, 30_000)
    station.ledger.close()
    assert verify(tmp_path / "ledger.db").sound


@pytest.mark.parametrize(("content", "words"), [(None, "no such file"), (b"", "not a ledger"), (b"text" * 999, "not a ledger, or damaged")])
def test_strangers_are_refused_in_plain_words(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "some file?.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LedgerError, match=words):
        verify(path)
    assert [file.name for file in tmp_path.iterdir()] == ([path.name] if content is not None else [])


def test_another_schema_is_refused(path: Path) -> None:
    with edited(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(LedgerError, match="newer program"):
        verify(path)


def test_a_damaged_page_is_a_finding(path: Path) -> None:
    with edited(path) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sale'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xff" * PAGE_SIZE)
    assert any(where == "the file" for where, _ in errors(path))


# --- the journal ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["utc = utc + 1", "clock = 'guessed'", "kind = 'PinCleared'", "body = CAST(replace(body, '1', '2') AS BLOB)"]
)
def test_the_first_changed_row_is_named(path: Path, column: str) -> None:
    with edited(path) as db:
        for seq in (9, 12):
            db.execute(f"UPDATE journal SET {column} WHERE seq = ?", (seq,))
    chain = [where for where, what in errors(path) if "chain" in what]
    assert chain == ["journal row 9"]


def test_a_row_taken_out_is_missed(path: Path) -> None:
    with edited(path) as db:
        db.execute("DELETE FROM journal WHERE seq = 9")
        chain_again(db)
    assert ("journal row 10", "row 9 is missing") in errors(path)


def test_a_row_taken_out_and_the_rest_moved_up_breaks_the_tables(path: Path) -> None:
    """Whoever makes numbers and chain good again still has to explain the sale that the tables know."""
    with edited(path) as db:
        (seq,) = db.execute("SELECT max(seq) FROM journal WHERE kind = 'SaleDelivered'").fetchone()
        db.execute("DELETE FROM journal WHERE seq = ?", (seq,))
        db.execute("UPDATE journal SET seq = seq - 1 WHERE seq > ?", (seq,))
        chain_again(db)
        (sale,) = db.execute("SELECT max(sequence) FROM sale").fetchone()
    assert (f"table sale, sale {sale}", "not what the journal says") in errors(path)


def test_a_cut_tail_shows_in_the_tables(path: Path) -> None:
    with edited(path) as db:
        db.execute("DELETE FROM journal WHERE seq > (SELECT max(seq) - 1 FROM journal)")
    assert any(where.startswith("table sale") for where, _ in errors(path))


@pytest.mark.parametrize(
    ("kind", "body", "words"), [("Magic", b"{}", "unknown kind: Magic"), ("TotalRead", b'{"fp": 1', "no readable TotalRead")]
)
def test_a_row_that_cannot_be_read_is_named(path: Path, kind: str, body: bytes, words: str) -> None:
    with edited(path) as db:
        db.execute("UPDATE journal SET kind = ?, body = ? WHERE seq = 2", (kind, body))
        chain_again(db)
    assert any(where == "journal row 2" and words in what for where, what in errors(path))


def test_a_thousand_faults_of_one_kind_are_not_a_thousand_lines(path: Path) -> None:
    with edited(path) as db:
        (rows,) = db.execute("SELECT count(*) FROM journal").fetchone()
        db.execute("UPDATE journal SET kind = 'Magic'")
        chain_again(db)
    found = [(where, what) for where, what in errors(path) if "unknown kind" in what or where == "replay"]
    assert found[20:] == [("replay", f"{rows - 20} more of this kind")]


# --- the tables -------------------------------------------------------------------------------------------------------------------

EDITS = {
    "a smaller sale": (
        "UPDATE sale SET quantity_ml = quantity_ml - 1 WHERE sequence = (SELECT max(sequence) FROM sale)",
        "table sale, sale ",
        "not what",
    ),
    "a sale taken out": ("DELETE FROM sale WHERE sequence = (SELECT max(sequence) FROM sale)", "table sale, sale ", "missing"),
    "another account": ("UPDATE sale SET account = 'ff' WHERE sequence = 1", "table sale, sale 1", "not what"),
    "a message dropped": ("DELETE FROM outbox WHERE quarantined = 0", "table outbox, OPT-1-1-", "neither queued nor acknowledged"),
    "a message freed": ("UPDATE outbox SET quarantined = 1 - quarantined", "table outbox, OPT-1-1-", "not what"),
    "a message made up": (
        "INSERT INTO outbox (key, body) VALUES ('OPT-1-1-777/reverse', x'')",
        "table outbox, OPT-1-1-777/reverse",
        "knows nothing",
    ),
    "pin tries forgotten": ("INSERT INTO pin VALUES ('ff', 1, 1)", "table pin", "knows nothing"),
    "a total": ("UPDATE total SET volume_ml = volume_ml + 1 WHERE fp = 1 AND nozzle = 1", "table total, fp 1 nozzle 1", "not what"),
    "a fault": ("INSERT INTO fault VALUES ('PUMP_ALARM', 'fp 9', '', 0)", "table fault, PUMP_ALARM fp 9", "knows nothing"),
    "the card file": ("INSERT OR REPLACE INTO meta VALUES ('cards_file', 'mine.db')", "table meta, cards_file", "not"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_table_that_was_edited_is_found(path: Path, edit: str) -> None:
    statement, where, what = EDITS[edit]
    with edited(path) as db:
        assert db.execute(statement).rowcount > 0
    found = errors(path)
    assert any(place.startswith(where) and what in words for place, words in found), found


def test_an_account_is_not_told(path: Path) -> None:
    with edited(path) as db:
        db.execute("INSERT INTO pin VALUES ('feedbeef', 1, 1)")
    assert "feedbeef" not in verify(path).as_json()


def test_a_hole_in_the_sequence_is_found(path: Path) -> None:
    """Edited in journal, chain and table alike, by somebody who knew everything but that numbers have no holes."""
    with edited(path) as db:
        row = rewrite(db, "SaleReserved", lambda values: values.update(sequence=values["sequence"] + 1))  # type: ignore[operator]
        db.execute("UPDATE sale SET sequence = sequence + 1 WHERE sequence = (SELECT max(sequence) FROM sale)")
    found = errors(path)
    assert any("without holes" in what for _, what in found)
    assert any(where == f"journal row {row}" and "has the epoch" in what for where, what in found)
