"""An encrypted ledger: nothing to be read without its key, no other key taken for damage, and a way there and back with nothing lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from terminal.store import conversion
from terminal.store.backup import NEWEST, BackupKeeper, make
from terminal.store.conversion import convert
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, LedgerBusy, LedgerError
from terminal.store.ledger_key import LedgerKey
from terminal.store.opening import open_ledger
from terminal.store.schema import PAGE_SIZE
from terminal.store.sealed_pages import genuine, make_readable
from terminal.store.sqlite_kind import PLAIN_NAME, connect, is_encrypted, keep_ledgers
from tests.ledger_kinds import KEY
from tests.store.books import TERMINAL, Station, live
from tests.store.damage_kit import FILE, Content, content, encode, flipped, opened
from tests.store.test_conversion_cut import left_of_backups

ROOT = Path(__file__).resolve().parents[2]
OTHER = LedgerKey(bytes(32))
WORDS = (TERMINAL.encode(), b"TerminalStarted", b'"sale"', b"volume_ml", b"carrier", b"DIESEL", b"CREATE TABLE", b"journal", PLAIN_NAME)
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def encrypted() -> Iterator[None]:
    keep_ledgers(KEY)
    yield
    keep_ledgers(None)


def lived(path: Path, moves: int = 60) -> Station:
    station = Station(path)
    for _ in live(station, moves, 5):
        pass
    return station


def closed(path: Path, moves: int = 60) -> Content:
    """A ledger with so much in it, at rest."""
    station = lived(path, moves)
    found = content(station.ledger.connection)
    station.ledger.close()
    return found


def pages(data: bytes) -> list[bytes]:
    return [data[at : at + PAGE_SIZE] for at in range(0, len(data), PAGE_SIZE)]


# --- what can be read of it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_file_log_and_backup_show_nothing(tmp_path: Path, key: LedgerKey | None) -> None:
    """The plain one shows that the search finds what is there."""
    keep_ledgers(key)
    station = lived(tmp_path / FILE)
    assert make(station.ledger.path, tmp_path / "backup") is None
    log = station.ledger.path.with_name(f"{FILE}-wal").read_bytes()
    station.ledger.close()
    disk = {"file": (tmp_path / FILE).read_bytes(), "log": log, "backup": (tmp_path / "backup" / NEWEST).read_bytes()}
    assert len(log) > 20 * PAGE_SIZE
    for name, data in disk.items():
        shown = [word for word in WORDS if word in data or word.decode().encode("utf-16-le") in data]
        assert len(shown) == (0 if key is not None else len(WORDS)), (name, shown)
        assert is_encrypted(tmp_path / FILE) is (key is not None)


def test_the_key_is_in_no_words_of_ours(tmp_path: Path) -> None:
    path = tmp_path / FILE
    closed(path, 5)
    keep_ledgers(OTHER)
    told = [repr(OTHER), str(OTHER), repr(KEY)]
    for attempt in (lambda: Ledger(path), lambda: verify(path), lambda: connect(path).execute("SELECT * FROM journal")):
        with pytest.raises((LedgerError, sqlite3.DatabaseError)) as caught:
            attempt()
        told.append("".join(traceback.format_exception(caught.value)))
        for frame, _ in traceback.walk_tb(caught.tb):
            told.append(repr({name: value for name, value in frame.f_locals.items() if name != "told"}))
    for key in (KEY, OTHER):
        assert [words for words in told if key.content().hex() in words or repr(key.content()) in words] == []


def test_the_process_that_makes_backups_shows_no_key(tmp_path: Path) -> None:
    station = lived(tmp_path / FILE)
    keeper = BackupKeeper(station.ledger, tmp_path / "backup", HOUR_MS, 0)
    keeper.look(0)
    assert keeper._child is not None
    process, shown, until = Path(f"/proc/{keeper._child.pid}"), b"", time.monotonic() + 60
    while b"terminal.store.backup" not in shown:  # until it has become that program
        shown = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        assert time.monotonic() < until
    assert KEY.content() not in shown
    assert KEY.content().hex().encode() not in shown
    ended = None
    while ended is None:
        ended = keeper.look(1)
        time.sleep(0.05)
        assert time.monotonic() < until
    assert ended == (False, "")
    station.ledger.close()
    assert verify(tmp_path / "backup" / NEWEST).head == verify(tmp_path / FILE).head
    keep_ledgers(OTHER)
    with pytest.raises(LedgerError, match="not with this key"):
        verify(tmp_path / "backup" / NEWEST)


# --- another key, another kind --------------------------------------------------------------------------------------------------


def refusals(path: Path) -> list[str]:
    """What every way to the ledger says. The program's and the examiner's change nothing; a bare ``Ledger`` may fold the log."""
    before = sorted((one, one.read_bytes()) for one in path.parent.rglob("*") if one.is_file())
    told = []
    for way in (lambda: open_ledger(path, path.parent / "backup", encode), lambda: verify(path), lambda: Ledger(path)):
        with pytest.raises(LedgerError) as caught:
            way()
        told.append(str(caught.value))
        if len(told) < 3:
            assert sorted((one, one.read_bytes()) for one in path.parent.rglob("*") if one.is_file()) == before
    return told


@pytest.mark.parametrize("unfolded", [False, True])
def test_another_key_is_named_and_is_no_damage(tmp_path: Path, unfolded: bool) -> None:
    path = tmp_path / FILE
    station = lived(path)
    assert make(path, tmp_path / "backup") is None
    left = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    was = content(station.ledger.connection)
    station.ledger.close()
    if unfolded:
        for name, data in left.items():
            (tmp_path / name).write_bytes(data)
    keep_ledgers(OTHER)
    assert all("not with this key" in words for words in refusals(path))
    keep_ledgers(KEY)
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()


def test_a_ledger_that_is_gone_is_not_begun_anew_with_another_key(tmp_path: Path) -> None:
    path = tmp_path / FILE
    closed(path)
    assert make(path, tmp_path / "backup") is None
    path.unlink()
    keep_ledgers(OTHER)
    with pytest.raises(LedgerError, match="not with this key"):
        opened(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup"]


def test_the_other_kind_is_named_and_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / FILE
    closed(path)
    keep_ledgers(None)
    assert all("[storage] encrypted = true and [keys] ledger are missing" in words for words in refusals(path))
    path.unlink()
    closed(path)
    keep_ledgers(KEY)
    assert all("not encrypted, and [storage] encrypted = true" in words for words in refusals(path))


def test_the_first_bytes_damaged_are_no_other_key(tmp_path: Path) -> None:
    """Of the ledger's name and its key's mark, a bit or all of them."""
    path = tmp_path / FILE
    was = closed(path)
    for damaged in (flipped(path.read_bytes(), 3), flipped(path.read_bytes(), 90), bytes(16) + path.read_bytes()[16:]):
        shutil.rmtree(tmp_path / f"{FILE}.damaged-1", ignore_errors=True)
        path.write_bytes(damaged)
        ledger = opened(path)
        found = content(ledger.connection)
        ledger.close()
        assert found.sales == was.sales
        assert found.faults == was.faults | {"LEDGER_RESTORED"}


def test_without_the_package_it_is_said_what_to_install() -> None:
    program = (
        "import sys; sys.modules['sqlcipher3'] = None\n"
        "from terminal.store.ledger_key import LedgerKey; from terminal.store.sqlite_kind import LedgerError, keep_ledgers\n"
        "keep_ledgers(None)\n"
        "try: keep_ledgers(LedgerKey(bytes(32)))\n"
        "except LedgerError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "pip install 'forecourt-terminal[encrypted]'" in done.stdout


def test_a_key_of_another_length_is_none() -> None:
    for size in (0, 16, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            LedgerKey(bytes(size))


# --- pages ------------------------------------------------------------------------------------------------------------------------


def test_every_page_that_sqlcipher_wrote_is_genuine_in_its_place_only(tmp_path: Path) -> None:
    path = tmp_path / FILE
    closed(path)
    found = pages(path.read_bytes())
    assert len(found) > 30
    for number, page in enumerate(found, 1):
        assert genuine(page, number, KEY)
        assert not genuine(page, number + 1, KEY)
        assert not genuine(page, number, OTHER)


def test_any_flipped_bit_of_any_page_is_mended_to_the_byte(tmp_path: Path) -> None:
    path, random = tmp_path / FILE, Random(2)
    closed(path)
    data = path.read_bytes()
    for bit in [*range(0, 128, 7), *(random.randrange(len(data) * 8) for _ in range(120))]:
        path.write_bytes(flipped(data, bit))
        make_readable(path, KEY)
        assert path.read_bytes() == data, bit


def test_sqlcipher_says_the_same_of_a_whole_file_and_of_a_flipped_bit(tmp_path: Path) -> None:
    path = tmp_path / FILE
    closed(path)
    data = path.read_bytes()
    for damaged, wrong in ((data, []), (flipped(data, (9 * PAGE_SIZE + 77) * 8), ["HMAC verification failed for page 10"])):
        path.write_bytes(damaged)
        db = connect(path)
        assert [words for (words,) in db.execute("PRAGMA cipher_integrity_check")] == wrong
        db.close()


# --- there and back -----------------------------------------------------------------------------------------------------------------


def plain_station(folder: Path) -> tuple[Path, Content, str]:
    keep_ledgers(None)
    path = folder / FILE
    was = closed(path)
    assert make(path, folder / "backup") is None
    assert make(path, folder / "backup") is None
    return path, was, verify(path).head


def test_there_and_back_the_ledger_stays_what_it_was(tmp_path: Path) -> None:
    path, was, head = plain_station(tmp_path)
    path.chmod(0o640)
    os.chown(path, 12_345, 12_346)
    for encrypt in (True, False):
        left_of_backups(tmp_path / "backup")
        done = convert(path, tmp_path / "backup", KEY, encrypt=encrypt)
        assert (done.head, done.encrypted, done.was_so, done.left) == (head, encrypt, False, ())
        assert is_encrypted(path) is encrypt
        assert is_encrypted(tmp_path / "backup" / NEWEST) is encrypt
        assert [one.name for one in (tmp_path / "backup").iterdir()] == [NEWEST], "nothing else of the old kind"
        assert sorted(one.name for one in tmp_path.iterdir()) == ["backup", FILE]
        status = path.stat()
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 12_345, 12_346)
        assert verify(path).findings == ()
        ledger = opened(path)
        assert content(ledger.connection) == was
        ledger.close()
        assert convert(path, tmp_path / "backup", KEY, encrypt=encrypt).was_so


def test_a_running_terminal_s_ledger_is_left_alone(tmp_path: Path) -> None:
    keep_ledgers(None)
    path = tmp_path / FILE
    station = lived(path)
    program = (
        "import sys; from pathlib import Path; from terminal.store.conversion import convert\n"
        "from terminal.store.ledger import LedgerBusy; from terminal.store.ledger_key import LedgerKey\n"
        "try: convert(Path(sys.argv[1]), Path(sys.argv[2]), LedgerKey(bytes(32)), encrypt=True)\n"
        "except LedgerBusy as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "backup")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "stop the terminal first" in done.stdout
    for _ in live(station, 20, 9):
        pass
    station.ledger.close()
    assert verify(path).findings == ()


def test_a_ledger_that_is_not_sound_is_not_converted(tmp_path: Path) -> None:
    path, _, _ = plain_station(tmp_path)
    with connect(path) as db:
        db.execute("UPDATE sale SET value_minor = value_minor + 1")
    db.close()
    data = path.read_bytes()
    with pytest.raises(LedgerError, match="not sound"):
        convert(path, tmp_path / "backup", KEY, encrypt=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize("place", range(1, 4))
def test_a_power_cut_leaves_the_old_one_or_the_new_one_and_the_next_run_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Behind each sync of the conversion's own: of the copy, of the name, of the backups' folder."""
    path, was, head = plain_station(tmp_path)
    done, sync = 0, conversion._sync

    class PowerCut(BaseException):
        pass

    def cut(one: Path) -> None:
        nonlocal done
        sync(one)
        done += 1
        if done == place:
            raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(conversion, "_sync", cut)
        with pytest.raises(PowerCut):
            convert(path, tmp_path / "backup", KEY, encrypt=True)
    keep_ledgers(KEY if is_encrypted(path) else None)
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()
    again = convert(path, tmp_path / "backup", KEY, encrypt=True)
    assert again.head == head
    assert is_encrypted(path)
    assert is_encrypted(tmp_path / "backup" / NEWEST)


def test_damaged_ones_that_are_kept_are_named(tmp_path: Path) -> None:
    path, _, _ = plain_station(tmp_path)
    path.write_bytes(flipped(path.read_bytes(), (5 * PAGE_SIZE + 300) * 8))
    opened(path).close()
    aside = tmp_path / f"{FILE}.damaged-1" / FILE
    assert aside.exists()
    assert convert(path, tmp_path / "backup", KEY, encrypt=True).left == (str(aside),)


def test_with_the_wrong_key_nothing_is_decrypted(tmp_path: Path) -> None:
    path = tmp_path / FILE
    closed(path)
    with pytest.raises(LedgerError, match="not with this key"):
        convert(path, tmp_path / "backup", OTHER, encrypt=False)
    with pytest.raises(LedgerError, match="no such file"):
        convert(tmp_path / "none.db", tmp_path / "backup", KEY, encrypt=False)
    keep_ledgers(KEY)
    ledger = Ledger(path)
    with pytest.raises(LedgerBusy):
        Ledger(path)
    ledger.close()


def test_a_cut_behind_the_new_name_leaves_no_old_log_to_be_played_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was killed leaves a log; nothing of it may lie beside the new file."""
    keep_ledgers(None)
    path, replace = tmp_path / FILE, os.replace
    station = lived(path)
    left = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    was = content(station.ledger.connection)
    station.ledger.close()
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)

    class PowerCut(BaseException):
        pass

    beside: list[int] = []

    def cut(source: Path, target: Path) -> None:
        replace(source, target)
        beside.append(path.with_name(f"{FILE}-wal").stat().st_size)
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", cut)
        with pytest.raises(PowerCut):
            convert(path, tmp_path / "backup", KEY, encrypt=True)
    assert beside == [0]
    keep_ledgers(KEY)
    ledger = opened(path)
    assert content(ledger.connection) == was
    ledger.close()
