"""A bit is flipped anywhere in the ledger, or more is ruined: found at the start, kept aside, made anew, with one fault that says so."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import pytest

from terminal.core.rollback_mark import LedgerRestored
from terminal.store import damaged_file
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import Ledger, LedgerError, StorageFailed
from terminal.store.log_repair import examine_log
from terminal.store.opening import open_ledger
from terminal.store.recovery import points_in_use, recover
from terminal.store.salvage import MOST_ASIDE
from terminal.store.sqlite_kind import connect
from tests.store.damage_kit import FILE, Content, Ruin, content, encode, flipped, opened, place_of, ruin, some_bits

pytestmark = pytest.mark.usefixtures("ledger_kind")

SEED = 11


@pytest.fixture(scope="module")
def ruined(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Ruin:
    return ruin(tmp_path_factory.mktemp("ruin"))


def restored(found: Content) -> LedgerRestored | None:
    """The fact that a restoration left, if there was one."""
    last = [row for row in found.journal if row[3] == "LedgerRestored"]
    return msgspec.json.decode(bytes(last[-1][4]), type=LedgerRestored) if last else None  # type: ignore[call-overload]


def judged(ruined: Ruin, path: Path) -> str:
    """Open it as the program does, and say what came of it; whatever came must be honest."""
    damaged = path.read_bytes(), path.with_name(f"{FILE}-wal").read_bytes()
    ledger = opened(path)
    found, was = content(ledger.connection), ruined.was
    epoch = recover(ledger, "OPT-1", "boot").minting.epoch
    ledger.close()
    fact = restored(found)
    if fact is None:
        assert found == was, "taken as it is, and it is not what it was"
        return "harmless"
    assert [one for one in verify(path).findings if one.severity is Severity.ERROR] == []
    rows = found.journal[: fact.rows]
    assert rows == was.journal[: fact.rows]
    aside = path.with_name(f"{FILE}.damaged-1")
    assert ((aside / FILE).read_bytes(), (aside / f"{FILE}-wal").read_bytes()) == damaged
    if fact.lost:
        assert "STORAGE_DAMAGED" in found.faults
        assert epoch == 2
        return "lost"
    assert fact.rows == len(was.journal)
    assert (found.sales, found.pins) == (was.sales, was.pins)
    assert found.outbox <= was.outbox
    assert found.faults == was.faults | {"LEDGER_RESTORED"}
    assert epoch == 1
    return "saved" if found.outbox == was.outbox else "saved without a message"


def fresh(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def test_any_flipped_bit_of_the_file_is_harmless_or_found_and_nothing_is_lost(ledger_kind: str, ruined: Ruin, tmp_path: Path) -> None:
    """An encrypted file's first bytes are like any other's: a flipped bit of a page that is read never is harmless there."""
    counted = Counter[str]()
    for bit in some_bits(ruined.file, 80, 5, SEED) if ledger_kind == "plain" else some_bits(ruined.file, 50, 40, SEED):
        path = ruined.put(fresh(tmp_path), file=flipped(ruined.file, bit))
        try:
            counted[judged(ruined, path)] += 1
        except (AssertionError, LedgerError, StorageFailed, sqlite3.Error) as error:
            raise AssertionError(f"bit {bit}: {type(error).__name__}: {error}") from error
    assert counted["saved"] >= 15, counted
    assert counted["harmless"] >= (15 if ledger_kind == "plain" else 0), counted
    assert counted["lost"] <= 3, counted


def test_any_flipped_bit_of_the_log_is_harmless_or_found_and_nothing_is_lost(ruined: Ruin, tmp_path: Path) -> None:
    counted = Counter[str]()
    for bit in some_bits(ruined.log, 60, 29, SEED):
        path = ruined.put(fresh(tmp_path), log=flipped(ruined.log, bit))
        try:
            counted[judged(ruined, path)] += 1
        except (AssertionError, LedgerError, StorageFailed, sqlite3.Error) as error:
            raise AssertionError(f"bit {bit} of the log: {type(error).__name__}: {error}") from error
    assert counted["saved"] >= 15, counted
    assert counted["lost"] == 0, counted


def test_a_flipped_bit_is_saved_without_any_backup(ruined: Ruin, tmp_path: Path) -> None:
    """The chain tells which bit of a row it was, or the proof of an encrypted page."""
    counted = Counter[str]()
    for place in (b'"SaleDelivered"', b"volume_ml", b'"account"'):
        at = place_of(ruined.file, place)
        path = ruined.put(fresh(tmp_path), file=flipped(ruined.file, (at + 3) * 8 + 1), backup=False)
        counted[judged(ruined, path)] += 1
    assert counted["saved"] >= 1, counted


def test_a_ruined_page_comes_from_the_backup(ruined: Ruin, tmp_path: Path) -> None:
    counted = Counter[str]()
    for page in range(1, len(ruined.file) // 1024):
        file = bytearray(ruined.file)
        file[page * 1024 + 8 : page * 1024 + 1000] = bytes(992)
        counted[judged(ruined, ruined.put(fresh(tmp_path), file=bytes(file)))] += 1
    assert counted["saved"] + counted["saved without a message"] >= 12, counted


def test_a_page_of_garbage_without_a_backup_loses_nothing_that_is_not_told(ruined: Ruin, tmp_path: Path) -> None:
    """Also where it is the newest rows' page, and nobody can see that they were there."""
    counted, random = Counter[str](), Random(SEED)
    for page in range(1, len(ruined.file) // 1024, 2):
        file = ruined.file[: page * 1024] + random.randbytes(1024) + ruined.file[(page + 1) * 1024 :]
        path = ruined.put(fresh(tmp_path), file=file, backup=False)
        try:
            counted[judged(ruined, path)] += 1
        except LedgerError:
            counted["refused"] += 1
    assert counted["refused"] <= 2, counted
    assert counted["lost"] >= 3, counted
    folded = ruin_at_rest(ruined, fresh(tmp_path))
    for page in range(len(folded) // 1024 - 12, len(folded) // 1024):
        file = folded[: page * 1024] + random.randbytes(1024) + folded[(page + 1) * 1024 :]
        judged(ruined, ruined.put(fresh(tmp_path), file=file, log=b"", backup=False))


def ruin_at_rest(ruined: Ruin, folder: Path) -> bytes:
    """The same ledger with its log folded in: its newest rows are in the last pages."""
    path = ruined.put(folder)
    Ledger(path).close()
    return path.read_bytes()


def test_a_log_that_cannot_be_mended_is_a_loss_that_is_told(ruined: Ruin, tmp_path: Path) -> None:
    log = bytearray(ruined.log)
    at = 32 + examine_log(ruined.log).frames // 2 * (24 + 1024)
    for place in range(at, at + 1_048):
        log[place] ^= 0x5A
    path = ruined.put(tmp_path, log=bytes(log))
    ledger = opened(path)
    found = content(ledger.connection)
    minting = recover(ledger, "OPT-1", "boot").minting
    ledger.close()
    fact = restored(found)
    assert fact is not None
    assert fact.lost
    assert len(ruined.was.journal) > fact.rows > 0
    assert minting.epoch == fact.epoch == 2
    assert minting.next_sequence == fact.first
    assert "STORAGE_DAMAGED" in found.faults
    again = opened(path)  # it is told once, and the epoch stays
    assert content(again.connection) == found
    assert recover(again, "OPT-1", "boot").minting == minting
    again.close()


def test_a_ledger_that_is_gone_comes_back_from_its_backup(ruined: Ruin, tmp_path: Path) -> None:
    path = ruined.put(tmp_path)
    path.unlink()
    path.with_name(f"{FILE}-wal").unlink()
    ledger = opened(path)
    fact = restored(content(ledger.connection))
    ledger.close()
    assert fact is not None
    assert fact.lost
    assert fact.rows > 0


@pytest.mark.parametrize("how", ["whole", "log broken", "page changed", "gone"])
def test_whoever_asks_the_pumps_is_given_the_ledger_that_will_serve(ruined: Ruin, tmp_path: Path, how: str) -> None:
    """Also where it had to be made anew: at the points that it has in use somebody may be fuelling."""
    path = ruined.put(tmp_path, log=ruined.log[:40] + bytes(200) + ruined.log[240:] if how == "log broken" else None)
    if how == "page changed":
        path.write_bytes(path.read_bytes()[:5_000] + bytes(400) + path.read_bytes()[5_400:])
    if how == "gone":
        path.unlink()
        path.with_name(f"{FILE}-wal").unlink()
    asked: list[tuple[int, ...]] = []
    ledger = open_ledger(path, tmp_path / "backup", encode, lambda held: asked.append(points_in_use(held)))
    assert asked[-1] == points_in_use(ledger)
    assert {sale.fp for sale in recover(ledger, "OPT-1", "boot").open_sales} == set(asked[-1])
    ledger.close()


@pytest.mark.parametrize("came", ["ledger moved", "both moved", "new one written"])
def test_a_restoration_that_the_power_ended_is_taken_up_again(ruined: Ruin, tmp_path: Path, came: str) -> None:
    path = ruined.put(tmp_path, log=flipped(ruined.log, (32 + 24 + 100) * 8))
    aside, log = path.with_name(f"{FILE}.damaged-1"), path.with_name(f"{FILE}-wal")
    aside.mkdir()
    path.rename(aside / FILE)
    if came != "ledger moved":
        log.rename(aside / log.name)
    if came == "new one written":
        (tmp_path / f"{FILE}.rebuilt").mkdir()
        (tmp_path / f"{FILE}.rebuilt" / FILE).write_bytes(ruined.file[:5_000])
    assert judged_after(path, ruined) == len(ruined.was.journal)


def judged_after(path: Path, ruined: Ruin) -> int:
    ledger = opened(path)
    found = content(ledger.connection)
    ledger.close()
    fact = restored(found)
    assert fact is not None
    assert found.journal[: fact.rows] == ruined.was.journal[: fact.rows]
    return fact.rows


def test_what_no_program_of_ours_wrote_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    db = connect(path)
    db.execute("CREATE TABLE other (a)")
    db.commit()
    db.close()
    with pytest.raises(LedgerError, match="not a ledger"):
        open_ledger(path, tmp_path / "backup", encode)
    db = connect(path)
    assert db.execute("SELECT count(*) FROM other").fetchone() == (0,)
    db.close()
    assert not path.with_name(f"{FILE}.damaged-1").exists()


def test_a_newer_program_s_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    ledger = Ledger(path)
    ledger.connection.execute("CREATE TABLE newer (a)")
    ledger.connection.execute("PRAGMA user_version = 99")
    ledger.close()
    with pytest.raises(LedgerError, match="newer program"):
        open_ledger(path, tmp_path / "backup", encode)


def test_a_disk_that_damages_again_and_again_is_not_used_any_further(ruined: Ruin, tmp_path: Path) -> None:
    bit = (place_of(ruined.file) + 2) * 8
    path = ruined.put(tmp_path, file=flipped(ruined.file, bit))
    for _ in range(MOST_ASIDE):
        opened(path).close()
        path.write_bytes(flipped(ruined.file, bit))
    with pytest.raises(StorageFailed, match="replace the disk"):
        opened(path)


def test_garbage_without_a_backup_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"\xa5" * 20_000)
    with pytest.raises(LedgerError, match="Put a backup in its place"):
        opened(path)
    assert (tmp_path / f"{FILE}.damaged-1" / FILE).read_bytes() == b"\xa5" * 20_000


def test_a_page_is_tried_on_a_copy_that_the_try_before_left_alone(ruined: Ruin, tmp_path: Path) -> None:
    """A connection that is closed folds its log into the file: of one that could not be read it must not."""
    left_alone = 0
    for page in range(1, 24):
        file = bytearray(ruined.file)
        file[page * 1024 + 8 : page * 1024 + 1000] = bytes(992)
        source = ruined.put(fresh(tmp_path), file=bytes(file), backup=False)
        copy, wanted = tmp_path / "copy.db", tmp_path / "wanted.db"
        db = damaged_file.opened(copy, source, ())
        if db is not None:
            db.close()
            continue
        wanted.write_bytes(file)
        damaged_file._make_readable(wanted)
        assert copy.read_bytes() == wanted.read_bytes()
        left_alone += 1
    assert left_alone >= 1
