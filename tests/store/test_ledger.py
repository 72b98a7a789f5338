"""One step, one transaction: all of it or nothing, on disk before ``commit`` returns, and never beside another program."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from terminal.core.records import FaultRaised, MediumRef, PinTried, Refused, SaleReserved, TerminalStarted, TotalRead
from terminal.store.integrity import verify
from terminal.store.ledger import (
    AUTOCHECKPOINT_PAGES,
    CHAIN_START,
    Ledger,
    LedgerBusy,
    LedgerError,
    QueuedMessage,
    Stamp,
    StorageFailed,
    chain_hash,
    chained_body,
)
from terminal.store.schema import MIGRATIONS, PAGE_SIZE
from terminal.store.sqlite_kind import connect
from terminal.store.vault import KeyVault
from tests.store.books import BOOT, TERMINAL, Station, live, sale_values

pytestmark = pytest.mark.usefixtures("ledger_kind")

ROOT = Path(__file__).parents[2]
STAMP = Stamp(1_000, "trusted")
STARTED = TerminalStarted(BOOT, "1.0")
NUMBER = "7001231234567890123"
"""The test number of reference security-and-reliability 2.4."""


def rows(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    """Everything in every table."""
    names = [name for (name,) in ledger.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: ledger.connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}


# --- all or nothing -----------------------------------------------------------------------------------------------------------


def test_a_violated_constraint_leaves_nothing_of_the_step(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    one = station.reserve(0)
    before, head = rows(station.ledger), station.ledger.head
    values = {name: value for name, value in sale_values(one).items() if name in SaleReserved.__slots__}
    again = SaleReserved(sale=one.id, **values)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError, match="sale.sequence"):
        station.ledger.commit(STAMP, [TotalRead(1, 1, 5), again], [QueuedMessage("k", b"{}")])
    assert (rows(station.ledger), station.ledger.head) == (before, head)
    station.ledger.commit(STAMP, [TotalRead(1, 1, 5)], [])
    station.ledger.close()
    assert verify(tmp_path / "ledger.db").rows == head[0] + 1


def test_a_message_that_is_queued_twice_takes_its_step_along(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.commit(STAMP, [STARTED], [QueuedMessage("OPT-1-1-1/advice", b"{}")])
    before = rows(ledger)
    with pytest.raises(sqlite3.IntegrityError, match="outbox.key"):
        ledger.commit(STAMP, [FaultRaised("X", "y", "z")], [QueuedMessage("OPT-1-1-1/advice", b"{}")])
    assert rows(ledger) == before
    ledger.close()


def test_a_full_disk_fails_the_step_and_only_the_step(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.commit(STAMP, [STARTED], [])
    before, head = rows(ledger), ledger.head
    (pages,) = ledger.connection.execute("PRAGMA page_count").fetchone()
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
    big = QueuedMessage("OPT-1-1-1/advice", bytes(8 * PAGE_SIZE))
    with pytest.raises(StorageFailed, match="full"):
        ledger.commit(STAMP, [TotalRead(1, 1, 5)], [big])
    assert (rows(ledger), ledger.head) == (before, head)
    ledger.connection.execute("PRAGMA max_page_count = 100000")
    ledger.commit(STAMP, [TotalRead(1, 1, 5)], [big])
    assert ledger.next_message() == big
    ledger.close()


def test_a_disk_that_became_read_only_fails_the_step_and_the_probe(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.commit(STAMP, [STARTED], [])
    before = rows(ledger)
    ledger.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageFailed, match="readonly"):
        ledger.commit(STAMP, [TotalRead(1, 1, 5)], [])
    with pytest.raises(StorageFailed, match="readonly"):
        ledger.probe()
    ledger.connection.execute("PRAGMA query_only = OFF")
    ledger.probe()
    assert rows(ledger) == before
    ledger.close()


def test_a_damaged_page_is_a_failed_storage_and_no_riddle(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    ledger.commit(STAMP, [STARTED], [])
    (page,) = ledger.connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'total'").fetchone()
    ledger.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xff" * PAGE_SIZE)
    damaged = Ledger(path)
    with pytest.raises(StorageFailed, match="malformed"):
        damaged.commit(STAMP, [TotalRead(1, 1, 5)], [])
    damaged.close()


def test_a_ledger_whose_journal_cannot_be_read_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    ledger.commit(STAMP, [STARTED], [])
    (page,) = ledger.connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()
    ledger.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xff" * PAGE_SIZE)
    for _ in range(2):
        with pytest.raises(LedgerError, match="damaged .*keep the file and restore the last backup"):
            Ledger(path)


# --- opening ------------------------------------------------------------------------------------------------------------------


def test_every_setting_is_kept_and_read_back(ledger_kind: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    names = ("locking_mode", "journal_mode", "synchronous", "foreign_keys", "trusted_schema", "cell_size_check", "mmap_size")
    more = ("wal_autocheckpoint", "journal_size_limit", "page_size", "user_version")
    found = {name: ledger.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names + more}
    ledger.close()
    assert found == {
        "locking_mode": "exclusive",
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
        "wal_autocheckpoint": AUTOCHECKPOINT_PAGES,
        "journal_size_limit": 4_194_304,
        "page_size": 1024 if ledger_kind == "plain" else "1024",
        "user_version": len(MIGRATIONS),
    }


def test_a_setting_that_sqlite_does_not_keep_closes_the_ledger(tmp_path: Path) -> None:
    """SQLite takes a negative number of pages for "never" and says 0."""
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerError, match=r"does not keep wal_autocheckpoint=-5 \(it says 0\)"):
        Ledger(path, autocheckpoint_pages=-5)
    Ledger(path).close()  # and the lock is gone


def test_a_second_opener_is_told_to_stop_the_first(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    ledger.commit(STAMP, [STARTED], [])
    with pytest.raises(LedgerBusy, match="stop the terminal first"):
        Ledger(path)
    program = "import sys; from pathlib import Path; from terminal.store.ledger import Ledger; Ledger(Path(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "LedgerBusy" in other.stderr
    ledger.commit(STAMP, [TotalRead(1, 1, 5)], [])
    ledger.close()
    reopened = Ledger(path)
    assert reopened.head == ledger.head
    reopened.close()


def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    for _ in range(2):
        with pytest.raises(LedgerError, match=f"newer program.*schema {len(MIGRATIONS) + 1}"):
            Ledger(path)


def test_what_is_no_database_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    content = b"pump 1: 45.20 l\n" * 100
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="not a ledger, or damaged .*keep the file"):
        Ledger(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_gets_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with connect(path) as db:
        db.execute("CREATE TABLE song (title TEXT)")
    db.close()
    with pytest.raises(LedgerError, match="a database, but not a ledger"):
        Ledger(path)
    with connect(path) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("song",)]
    db.close()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="check that the directory exists"):
        Ledger(tmp_path / "nowhere" / "ledger.db")


def test_a_ledger_in_memory_is_no_ledger() -> None:
    with pytest.raises(LedgerError, match="journal_mode=wal"):
        Ledger(Path(":memory:"))


# --- old ledgers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_a_stored_old_ledger_is_migrated_with_nothing_lost(tmp_path: Path, version: int) -> None:
    """``tests/store/old/ledger-N.sql`` is what the program of schema N wrote (see ``make_old.py``); it is never made again."""
    path = tmp_path / "ledger.db"
    with connect(path) as db:
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        db.executescript((Path(__file__).parent / "old" / f"ledger-{version}.sql").read_text(encoding="utf-8"))
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
        wanted = db.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        sales = db.execute("SELECT count(*) FROM sale").fetchone()
    db.close()
    ledger = Ledger(path)
    assert ledger.head == wanted
    assert ledger.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert ledger.connection.execute("SELECT count(*) FROM sale").fetchone() == sales
    ledger.commit(STAMP, [STARTED], [])
    ledger.close()
    assert verify(path).findings == ()


# --- the chain ------------------------------------------------------------------------------------------------------------------


def test_the_chain_is_the_references() -> None:
    """Reference security-and-reliability 2.4, row "ours audit chain"."""
    first = chain_hash(CHAIN_START, 1, b'{"e":"boot"}')
    second = chain_hash(first, 2, b'{"e":"auth","t":"x"}')
    assert first.hex() == "e7667cb28460f91d2fe6f8441fb635301c451acdda348d2761e22522e418dc97"
    assert second.hex() == "2630ef417e138abd4f0b1b42b249cd65fe0bd3929ce34998cccf014a6376449f"


def test_the_ledgers_rows_are_that_chain_over_the_whole_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.commit(STAMP, [STARTED, TotalRead(1, 2, 30)], [])
    ledger.close()
    reopened = Ledger(tmp_path / "ledger.db")
    reopened.commit(Stamp(2_000, "holdover"), [PinTried("a1", 1, 1)], [])
    link = CHAIN_START
    for seq, utc, clock, kind, body, stored in reopened.connection.execute("SELECT * FROM journal ORDER BY seq"):
        whole = f"{utc}\0{clock}\0{kind}\0".encode() + body
        assert chained_body(utc, clock, kind, body) == whole
        link = hashlib.sha256(b"fleet/audit/v1\0" + link + seq.to_bytes(8, "big") + hashlib.sha256(whole).digest()).digest()
        assert stored == link
    assert reopened.head == (3, link)
    reopened.close()


# --- the queue ------------------------------------------------------------------------------------------------------------------


def test_messages_wait_in_their_order_with_their_bytes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    messages = [QueuedMessage(f"OPT-1-1-{number}/advice", bytes([number, 0, 255])) for number in (3, 1, 2)]
    ledger.commit(STAMP, [STARTED], messages[:2])
    ledger.commit(STAMP, [STARTED], messages[2:])
    ledger.close()
    reopened = Ledger(tmp_path / "ledger.db")
    assert reopened.next_message() == messages[0]
    assert reopened.next_message() == messages[0]
    reopened.close()


# --- what must not be in the file -------------------------------------------------------------------------------------------------


def test_no_clear_number_reaches_the_disk(ledger_kind: str, tmp_path: Path) -> None:
    """The number in the forms in which it could slip in. Token and sealed field prove that the search sees the rows of a plain one."""
    vault = KeyVault(bytes(range(32)), bytes(32), bytes(range(64, 96)))
    station = Station(tmp_path / "ledger.db")
    one = station.reserve(0)
    ref = MediumRef(vault.token(NUMBER), NUMBER[-4:], "magstripe", "number", vault.seal(NUMBER, one.id))
    one.card = ref
    station.desk.persist(Refused(1, "LIMIT_USED_UP", ref, 1))
    station.commit()
    station.grant(one, 1)
    station.end_empty(one, 0)
    disk = b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))
    station.ledger.close()
    disk += (tmp_path / "ledger.db").read_bytes()
    number = NUMBER.encode()
    forms = {number, number[::-1], number.hex().encode(), NUMBER.encode("utf-16-le"), bytes.fromhex("0" + NUMBER)}
    forms |= {base64.b64encode(b"x" * shift + number)[4:-4] for shift in range(3)}
    assert [form for form in forms if form in disk] == []
    assert (ref.token.encode() in disk) is (ledger_kind == "plain")
    assert ref.sealed is not None
    assert (ref.sealed.encode() in disk) is (ledger_kind == "plain")


def test_a_long_life_is_sound(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db", autocheckpoint_pages=30)
    assert len(list(live(station, 500, seed=11))) == 500
    station.ledger.close()
    report = verify(tmp_path / "ledger.db")
    assert report.findings == ()
    assert report.head == station.ledger.head[1].hex()
    assert report.sales == station.minting.next_sequence - 1
    assert TERMINAL in str(station.minting.id())
