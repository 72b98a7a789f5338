"""Flipped bits of the log: each single one is mended, and what a power cut tears is never taken for damage."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

import pytest

from terminal.store.log_repair import FRAME, HEADER, examine_log
from terminal.store.sqlite_kind import connect
from tests.store.books import Station, live

pytestmark = pytest.mark.usefixtures("ledger_kind")

COMMITS = 25


@pytest.fixture(scope="module")
def files(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A ledger's file and its log, with so many commits in the log; the page size is the product's."""
    path = tmp_path_factory.mktemp("log") / "ledger.db"
    station = Station(path)
    for _ in live(station, COMMITS, 2):
        pass
    found = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
    station.ledger.close()
    return found


def rows(folder: Path, file: bytes, log: bytes) -> list[tuple[object, ...]]:
    path = folder / "ledger.db"
    path.write_bytes(file)
    path.with_name("ledger.db-wal").write_bytes(log)
    db = connect(path)
    try:
        return db.execute("SELECT * FROM journal ORDER BY seq").fetchall()
    except sqlite3.OperationalError:
        return []  # so much was dropped that there is no table
    finally:
        db.close()
        path.unlink()
        path.with_name("ledger.db-wal").unlink(missing_ok=True)


def frame_size(log: bytes) -> int:
    return FRAME + int.from_bytes(log[8:12], "big")


def test_a_whole_log_is_whole(files: tuple[bytes, bytes]) -> None:
    report = examine_log(files[1])
    assert report.frames >= COMMITS
    assert (report.flipped, report.mended, report.broken) == (0, None, None)
    assert examine_log(b"").broken is None
    assert examine_log(bytes(4096)).broken is None


def test_any_single_flipped_bit_of_the_log_is_mended_or_left_in_its_page_alone(files: tuple[bytes, bytes], tmp_path: Path) -> None:
    file, log = files
    random, whole = Random(4), len(rows(tmp_path, file, log))
    last = HEADER + examine_log(log).frames * frame_size(log)
    places = {*range(0, HEADER * 8, 5), *range(HEADER * 8, (HEADER + FRAME) * 8, 3), *(random.randrange(last * 8) for _ in range(60))}
    left = 0
    for place in sorted(places):
        flipped = bytearray(log)
        flipped[place // 8] ^= 1 << place % 8
        report = examine_log(bytes(flipped))
        assert (place, report.flipped, report.broken) == (place, 1, None)
        assert report.mended is not None
        assert examine_log(report.mended).flipped == 0  # SQLite takes it to its end
        if report.mended != log:
            left += 1
            frames = range(HEADER, last, frame_size(log))
            apart = [at for at in range(last) if report.mended[at] != log[at] and not any(0 <= at - one - 16 < 8 for one in frames)]
            assert apart == [place // 8], f"bit {place}"
    assert whole >= 15
    assert left <= len(places) // 5


def test_a_log_with_more_than_a_bit_wrong_is_told_from_one_that_a_power_cut_tore(files: tuple[bytes, bytes]) -> None:
    log = files[1]
    step = frame_size(log)
    frames = examine_log(log).frames
    wrong = bytearray(log)
    for at in range(10):
        wrong[HEADER + 3 * step + 100 + at] ^= 0x5A
    report = examine_log(bytes(wrong))
    assert report.broken is not None
    assert "frame 4 of the log is damaged" in report.broken
    torn = bytearray(log[: HEADER + frames * step])
    torn[-512:] = bytes(512)  # a sector of the commit under way is missing
    assert examine_log(bytes(torn)).broken is None
    assert examine_log(log[: HEADER + 5 * step + 77]).broken is None


def test_what_sqlite_would_drop_comes_back(files: tuple[bytes, bytes], tmp_path: Path) -> None:
    file, log = files
    whole = rows(tmp_path, file, log)
    flipped = bytearray(log)
    flipped[HEADER + 2 * frame_size(log) + 300] ^= 16
    assert len(rows(tmp_path, file, bytes(flipped))) < len(whole)
    mended = examine_log(bytes(flipped)).mended
    assert mended is not None
    assert rows(tmp_path, file, mended) == whole


def test_a_bit_that_a_power_cut_left_out_of_the_last_commit_is_no_damage(files: tuple[bytes, bytes], tmp_path: Path) -> None:
    """A frame's first eight bytes may lie in a sector of their own: without it, page 8 has one bit less and is page 0."""
    file, log = files
    step = frame_size(log)
    end = HEADER + examine_log(log).frames * step
    commits = [at for at in range(HEADER, end, step) if any(log[at + 4 : at + 8])]
    last = range(commits[-2] + step, end, step)
    (at, bit) = next((at, 8 * 3 + 7 - "".join(f"{log[at + 3]:08b}").index("1")) for at in last if bin(log[at + 3]).count("1") == 1)
    for place in (at * 8 + bit, (at + FRAME + 500) * 8):
        wrong = bytearray(log)
        wrong[place // 8] ^= 1 << place % 8
        report = examine_log(bytes(wrong))
        assert (report.flipped, report.torn, report.broken, report.mended) == (1, True, None, log)
    for place in ((commits[-2] + FRAME + 500) * 8, (HEADER + FRAME + 500) * 8, 17):
        wrong = bytearray(log)
        wrong[place // 8] ^= 1 << place % 8
        assert not examine_log(bytes(wrong)).torn, "a commit lies behind it, or it is the header, which is synced before"
