"""What the care of the ledger tells the core of its disk, and what it sweeps away at the program's start."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.core.events import RoomSeen
from terminal.store.care import ROOM_AGAIN_MS, ROOM_EVERY_MS, LedgerCare
from terminal.store.disk_room import DiskRoom
from terminal.store.ledger import Ledger, LedgerBusy, StorageFailed
from tests.store.damage_kit import FILE, encode

pytestmark = pytest.mark.usefixtures("ledger_kind")

HOUR_MS = 3_600_000
PLENTY = 1 << 60


def care_of(folder: Path, reserve: int = 0) -> LedgerCare:
    return LedgerCare(DiskRoom(folder, reserve), folder, folder / "backup", HOUR_MS, encode)


def test_a_disk_without_room_is_told_once_and_its_room_again(tmp_path: Path) -> None:
    care = care_of(tmp_path)
    ledger = care.open()
    care.begin(ledger, 0)
    try:
        assert care.look_at_room(0) == RoomSeen("")
        care.room.reserve_bytes = PLENTY
        assert care.look_at_room(ROOM_EVERY_MS - 1) is None
        low = care.look_at_room(ROOM_EVERY_MS)
        assert low is not None
        assert "MiB free" in low.why
        assert care.look_at_room(ROOM_EVERY_MS + ROOM_AGAIN_MS) is None
        care.room.reserve_bytes = 0
        assert care.look_at_room(ROOM_EVERY_MS + 2 * ROOM_AGAIN_MS) == RoomSeen("")
    finally:
        care.end()
        ledger.close()


def test_what_goes_to_the_core_is_both(tmp_path: Path) -> None:
    care = care_of(tmp_path)
    ledger = care.open()
    care.begin(ledger, 0)
    try:
        assert care.news(0) == [RoomSeen("")]
        assert care._keeper is not None
        assert care._keeper.under_way
    finally:
        care.end()
        ledger.close()


def test_a_disk_that_is_full_at_the_start_has_a_minute(tmp_path: Path) -> None:
    care = care_of(tmp_path, PLENTY)
    ledger = care.open()
    care.begin(ledger, 0)
    try:
        assert care.look_at_room(ROOM_EVERY_MS - 1) is None
        low = care.look_at_room(ROOM_EVERY_MS)
        assert low is not None
        assert low.why
    finally:
        care.end()
        ledger.close()


LEFT_BEHIND = ("cards-e1-7.part", "cards-e1-7.part-journal", ".look-abc/ledger.db", "ledger.db.rebuilt/rows.db")
OURS = ("cards-e1-6.db", "cards-e1-6.db-wal", "ledger.db.damaged-1/ledger.db", "pin-keys.bin")


def laid(folder: Path) -> None:
    for name in (*LEFT_BEHIND, *OURS):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_what_was_left_half_made_is_swept_away_at_the_start(tmp_path: Path) -> None:
    Ledger(tmp_path / FILE).close()
    laid(tmp_path)
    care_of(tmp_path).open().close()
    assert [name for name in LEFT_BEHIND if (tmp_path / name).parent.exists() and (tmp_path / name).exists()] == []
    assert not (tmp_path / ".look-abc").exists()
    assert all((tmp_path / name).exists() for name in (*OURS, FILE))


def test_while_a_ledger_is_examined_nobody_else_has_it(tmp_path: Path) -> None:
    Ledger(tmp_path / FILE).close()
    refused: list[str] = []

    def held(ledger: Ledger) -> None:
        try:
            care_of(tmp_path).open().close()
        except LedgerBusy as error:
            refused.append(str(error))

    care_of(tmp_path).open(held).close()
    assert len(refused) == 1


def test_of_a_disk_that_cannot_be_written_it_is_swept_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be full of what was left there."""
    laid(tmp_path)
    care = care_of(tmp_path)
    monkeypatch.setattr(care.room, "missing", lambda: "its disk is not there")
    with pytest.raises(StorageFailed):
        care.open()
    assert not (tmp_path / LEFT_BEHIND[0]).exists()


def test_nothing_is_swept_away_while_another_program_has_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / FILE)
    laid(tmp_path)
    held: list[str] = []
    with pytest.raises(LedgerBusy):
        care_of(tmp_path).open(lambda ledger: held.append("pumps asked"))
    ledger.close()
    assert not held, "it would disturb the other one at its ports"
    assert all((tmp_path / name).exists() for name in (*LEFT_BEHIND, *OURS))
