"""The instrument itself: what a cut may and may not take from a disk, on a log written by hand."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from tests.machine.write_log import PAGE, crash, entries, flushed

SECTOR = 512
SIZE = 8 * PAGE
WRITE, FLUSH, FUA = 0, 1, 2
BEGUN = b"\0" * PAGE


def a_log(file: Path, *requests: tuple[int, bytes, int]) -> Path:
    """Requests as (place, data, flags)."""
    made = struct.pack("<QQQI", 0x6A736677736872, 1, len(requests), SECTOR).ljust(SECTOR, b"\0")
    for place, data, flags in requests:
        made += struct.pack("<QQQQ", place // SECTOR, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0") + data
    file.write_bytes(made)
    return file


def pages(*letters: bytes) -> bytes:
    return b"".join(letter * PAGE for letter in letters)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    found = tmp_path / "base"
    found.write_bytes(b"\0" * SIZE)
    return found


def after(base: Path, log: Path, *, lies: bool = False) -> set[bytes]:
    """Every disk that two hundred cuts at the log's end leave, and each says how many writes it lacks."""
    disk, rng, every, found = base.with_name("disk"), random.Random(1), entries(log), set()
    for _ in range(200):
        lost = crash(base, log, every, disk, rng, lies=lies)
        content = disk.read_bytes()
        assert (lost == 0) is all(content[e.place : e.place + e.size] == log.read_bytes()[e.data : e.data + e.size] for e in every)
        found.add(content.rstrip(b"\0"))
    return found


def test_what_was_flushed_is_there_and_the_rest_may_be(base: Path, tmp_path: Path) -> None:
    log = a_log(tmp_path / "log", (0, pages(b"a"), WRITE), (0, b"", FLUSH), (PAGE, pages(b"b"), WRITE))
    assert flushed(entries(log)) == 2
    assert after(base, log) == {pages(b"a"), pages(b"a", b"b")}
    assert b"" in after(base, log, lies=True)


def test_a_request_is_torn_between_pages_and_never_in_one(base: Path, tmp_path: Path) -> None:
    log = a_log(tmp_path / "log", (0, pages(b"a", b"b", b"c"), WRITE))
    kept = {tuple(each.ljust(3 * PAGE, b"\0")[place * PAGE :][:PAGE] for place in range(3)) for each in after(base, log)}
    assert len(kept) == 8
    assert {page for disk in kept for page in disk} == {BEGUN, *(letter * PAGE for letter in (b"a", b"b", b"c"))}


def test_a_write_that_may_not_wait_is_there(base: Path, tmp_path: Path) -> None:
    assert after(base, a_log(tmp_path / "log", (0, pages(b"a"), FUA))) == {pages(b"a")}


def test_a_request_that_was_not_wholly_recorded_is_none(tmp_path: Path) -> None:
    log = a_log(tmp_path / "log", (0, pages(b"a"), WRITE), (0, pages(b"b"), WRITE))
    log.write_bytes(log.read_bytes()[:-1])
    assert [entry.size for entry in entries(log)] == [PAGE]
    log.write_bytes(b"x" * SECTOR)
    with pytest.raises(ValueError, match="no log"):
        entries(log)
