"""A restoration that the power ends, or that a leftover misleads, tells no fewer losses and gives no sale id a second time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from terminal.core.events import BackupEnded
from terminal.core.messages import CloseBatch
from terminal.core.records import BatchSent, MessageAcknowledged
from terminal.core.rollback_mark import LedgerRestored
from terminal.store import salvage
from terminal.store.backup import NEWEST, OLDER, make
from terminal.store.care import LedgerCare
from terminal.store.disk_room import DiskRoom
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import Ledger, QueuedMessage, Stamp, StorageFailed
from terminal.store.log_repair import examine_log
from terminal.store.recovery import recover
from terminal.store.salvage import FINISHED, MOST_ASIDE
from tests.store.books import Station
from tests.store.damage_kit import FILE, Content, Ruin, content, encode, flipped, opened, place_of, ruin
from tests.store.editing import edited

pytestmark = pytest.mark.usefixtures("ledger_kind")

HOUR_MS = 3_600_000
WAIT_S = 180.0


class PowerCut(BaseException):
    """Nothing of the program runs behind it."""


@pytest.fixture(scope="module")
def ruined(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Ruin:
    return ruin(tmp_path_factory.mktemp("ruin"))


def broken_log(ruined: Ruin) -> bytes:
    """Its newer half cannot be mended."""
    log = bytearray(ruined.log)
    at = 32 + examine_log(ruined.log).frames // 2 * (24 + 1024)
    for place in range(at, at + 1_048):
        log[place] ^= 0x5A
    return bytes(log)


def mendable(ruined: Ruin) -> bytes:
    """The file with a flipped bit that costs nothing."""
    return flipped(ruined.file, (place_of(ruined.file) + 3) * 8 + 1)


def told(path: Path) -> tuple[Content, LedgerRestored, str]:
    """Open it as the program does: what is in it, what the newest restoration said, and the next sale's id."""
    ledger = opened(path)
    found, minting = content(ledger.connection), recover(ledger, "OPT-1", "boot").minting
    ledger.close()
    facts = [row for row in found.journal if row[3] == "LedgerRestored"]
    assert facts, "nothing is said of a restoration"
    return found, msgspec.json.decode(bytes(facts[-1][4]), type=LedgerRestored), str(minting.id())  # type: ignore[call-overload]


def take_away(path: Path) -> None:
    path.unlink()
    path.with_name(f"{FILE}-wal").unlink(missing_ok=True)


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The power goes behind this sync or renaming of the restoration, counted from 1."""
    done = 0

    def cutting(real: Callable[..., object]) -> Callable[..., None]:
        def step(*given: object) -> None:
            nonlocal done
            real(*given)
            done += 1
            if done == number:
                raise PowerCut

        return step

    monkeypatch.setattr(salvage, "_sync", cutting(salvage._sync))
    monkeypatch.setattr(os, "replace", cutting(os.replace))


def test_a_power_cut_anywhere_in_a_restoration_hides_no_loss_and_gives_no_id_again(ruined: Ruin, tmp_path: Path) -> None:
    given = {str(row[2]) for row in ruined.was.sales}
    for number in range(1, 40):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = ruined.put(folder, log=broken_log(ruined))
        with pytest.MonkeyPatch.context() as cut:
            cut_at(cut, number)
            try:
                opened(path).close()
                break
            except PowerCut:
                pass
        found, fact, following = told(path)
        assert fact.lost, f"cut {number}"
        assert "STORAGE_DAMAGED" in found.faults, f"cut {number}"
        assert following.startswith(("OPT-1-2-", "OPT-1-3-")), f"cut {number}"  # one is left out between the mark and the new name
        assert following not in given
    assert number > 9


def test_a_ledger_that_goes_after_its_restoration_comes_back_as_a_loss(ruined: Ruin, tmp_path: Path) -> None:
    path = ruined.put(tmp_path, file=mendable(ruined))
    _, first, _ = told(path)
    assert not first.lost
    assert make(path, tmp_path / "backup") is None
    with edited(path) as db:
        given = {str(one) for (one,) in db.execute("SELECT id FROM sale")}
    take_away(path)
    found, fact, following = told(path)
    assert fact.lost
    assert fact.why == "the file is gone, and there is a backup of it"
    assert "STORAGE_DAMAGED" in found.faults
    assert following.startswith("OPT-1-2-")
    assert following not in given
    assert sorted(one.name for one in (tmp_path / f"{FILE}.damaged-2").iterdir()) == [FINISHED]  # nothing came to the older one


def test_a_ledger_cut_to_nothing_is_no_new_one_while_there_is_a_backup(tmp_path: Path, ruined: Ruin) -> None:
    path = ruined.put(tmp_path, file=mendable(ruined))
    told(path)
    assert make(path, tmp_path / "backup") is None
    take_away(path)
    path.write_bytes(b"")
    found, fact, _ = told(path)
    assert fact.lost
    assert "STORAGE_DAMAGED" in found.faults


def test_a_backup_older_than_the_last_loss_does_not_give_its_epoch_again(ruined: Ruin, tmp_path: Path) -> None:
    path = ruined.put(tmp_path, log=broken_log(ruined))
    _, first, _ = told(path)
    assert (first.lost, first.epoch) == (True, 2)
    take_away(path)  # with the sales of epoch 2; the backup knows of epoch 1 only
    _, fact, following = told(path)
    assert (fact.lost, fact.epoch) == (True, 3)
    assert following.startswith("OPT-1-3-")


def test_a_ledger_that_goes_after_its_restoration_is_not_begun_anew_for_want_of_a_backup(ruined: Ruin, tmp_path: Path) -> None:
    path = ruined.put(tmp_path, file=mendable(ruined), backup=False)
    assert not told(path)[1].lost
    take_away(path)
    found, fact, _ = told(path)
    assert fact.lost
    assert found.journal[: fact.rows] == ruined.was.journal[: fact.rows]
    assert fact.rows > 0


# --- messages -----------------------------------------------------------------------------------------------------------------------


def change_message(path: Path, kind: str) -> bytes:
    """Flip a bit of the queued one. Returns what it was."""
    with edited(path) as db:
        (key, body) = db.execute("SELECT key, body FROM outbox WHERE key LIKE ?", (f"%{kind}%",)).fetchone()
        db.execute("UPDATE outbox SET body = ? WHERE key = ?", (flipped(body, 3), key))
    return bytes(body)


def test_a_reversal_that_was_changed_is_made_again_to_the_byte(tmp_path: Path) -> None:
    station = Station(tmp_path / FILE)
    for draw in (1, 3):
        station.reverse(station.reserve(draw), 0)
    station.ledger.close()
    was = change_message(tmp_path / FILE, "-2/reverse")
    found, fact, _ = told(tmp_path / FILE)
    assert fact.messages == ()
    assert was in {body for _, _, body in found.outbox}
    assert verify(tmp_path / FILE).findings == ()


def test_a_message_that_cannot_be_made_again_is_named_and_no_error_for_ever(tmp_path: Path) -> None:
    path = tmp_path / FILE
    station = Station(path)
    station.end_empty(station.reserve(0), 0)
    close = CloseBatch("OPT-1", 1, 1, 1, 1, 1, (), (), (), 1)
    station.ledger.commit(Stamp(1, "trusted"), [BatchSent(1, 1, 1, 1, 1, ())], [QueuedMessage(close.key, msgspec.json.encode(close))])
    station.ledger.close()
    assert verify(path).findings == ()
    change_message(path, "close")
    found, fact, _ = told(path)
    assert fact.messages == (close.key,)
    assert close.key not in {key for key, _, _ in found.outbox}
    (finding,) = verify(path).findings
    assert finding.severity is Severity.WARNING
    assert close.key in finding.where
    assert make(path, tmp_path / "backup") is None


# --- the care of it -----------------------------------------------------------------------------------------------------------------


def cared_for(folder: Path, suspected: set[str]) -> str:
    """One life of the program until its first backup has ended; what it ended the program with, or nothing."""
    care = LedgerCare(DiskRoom(folder, 0), folder, folder / "backup", HOUR_MS, encode, suspected)
    ledger = care.open()
    care.begin(ledger, 0)
    keeper, until = care._keeper, time.monotonic() + WAIT_S
    assert keeper is not None
    try:
        care.look(0)
        while keeper._child is not None:
            time.sleep(0.02)
            assert time.monotonic() < until
            care.look(0)
    except StorageFailed as error:
        return str(error)
    finally:
        care.end()
        ledger.close()
    return ""


def test_a_finding_that_the_start_does_not_share_ends_the_program_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / FILE)
    ledger.commit(Stamp(1, "trusted"), [MessageAcknowledged("OPT-1-1-9/advice", "ok")], [])  # type: ignore[arg-type]
    ledger.close()
    suspected: set[str] = set()
    assert "was not queued" in cared_for(tmp_path, suspected)
    assert cared_for(tmp_path, suspected) == ""


def test_the_core_hears_of_every_backup_that_has_ended(tmp_path: Path) -> None:
    """Of one that could not be made, with why; and of a good one."""
    (tmp_path / "file").write_bytes(b"")
    for backups, said in ((tmp_path / "file" / "x", "Not a directory"), (tmp_path / "b", "")):
        care = LedgerCare(DiskRoom(tmp_path, 0), tmp_path, backups, HOUR_MS, encode)
        ledger = care.open()
        care.begin(ledger, 0)
        heard, until = care.look(0), time.monotonic() + WAIT_S
        while heard is None:
            time.sleep(0.02)
            heard = care.look(1)
            assert time.monotonic() < until
        care.end()
        ledger.close()
        assert isinstance(heard, BackupEnded)
        assert said in heard.why
        assert bool(heard.why) is bool(said)


def test_a_rotten_backup_does_not_condemn_a_sound_ledger(ruined: Ruin, tmp_path: Path) -> None:
    path = ruined.put(tmp_path)
    backup = tmp_path / "backup" / NEWEST
    (tmp_path / "backup" / OLDER).write_bytes(ruined.backup)
    with edited(backup) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("UPDATE sale SET value_minor = value_minor + 1")
    for _ in range(MOST_ASIDE + 2):
        ledger = opened(path)
        assert content(ledger.connection) == ruined.was
        ledger.close()
    assert not path.with_name(f"{FILE}.damaged-1").exists()
    assert not backup.exists()
    assert cared_for(tmp_path, set()) == ""  # at once, though the older one is there
    assert verify(backup).sound


def test_a_damaged_ledger_is_believed_to_be_so_with_a_backup_beside_it(ruined: Ruin, tmp_path: Path) -> None:
    path = ruined.put(tmp_path)
    station = Ledger(path)
    station.connection.execute("UPDATE sale SET value_minor = value_minor + 1")
    station.close()
    found, fact, _ = told(path)
    assert not fact.lost
    assert found.sales == ruined.was.sales
    assert (tmp_path / "backup" / NEWEST).exists()
