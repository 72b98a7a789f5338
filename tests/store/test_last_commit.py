"""A lone wrong bit in the log's last commit, as a power cut may leave it: opening the ledger puts it right in place, and that is no damage.

Left alone, SQLite would drop that commit without a word, and it may have been acknowledged.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from terminal.store.log_repair import FRAME, HEADER, examine_log
from tests.store.damage_kit import FILE, Ruin, content, flipped, opened, ruin

pytestmark = pytest.mark.usefixtures("ledger_kind")

PLACES = {"page number": 0, "salt": 9, "checksum": 18, "first word of the page": FRAME, "middle of the page": FRAME + 500}
"""Bytes of a frame. Of what is summed up the low ones of a word (they are read as little-endian): those weigh like no others."""


@pytest.fixture(scope="module")
def ruined(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Ruin:
    return ruin(tmp_path_factory.mktemp("ruin"))


def last_frames(log: bytes) -> list[int]:
    """Where the frames of the last commit begin."""
    step = FRAME + int.from_bytes(log[8:12], "big")
    frames = range(HEADER, HEADER + examine_log(log).frames * step, step)
    before = max(at for at in frames[:-1] if any(log[at + 4 : at + 8]))
    return [at for at in frames if at > before]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("first", [True, False], ids=["first frame", "last frame"])
def test_a_lone_wrong_bit_of_the_last_commit_is_put_right(
    ruined: Ruin, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: int, first: bool
) -> None:
    frames = last_frames(ruined.log)
    wrong = flipped(ruined.log, ((frames[0] if first else frames[-1]) + place) * 8 + 1)
    assert examine_log(wrong).torn, "not what this is about"
    path = ruined.put(tmp_path, log=wrong)
    log = path.with_name(f"{FILE}-wal")
    file = log.stat().st_ino
    with caplog.at_level(logging.WARNING):
        ledger = opened(path)
    found = content(ledger.connection)
    assert found == ruined.was
    assert (log.stat().st_ino, log.read_bytes()) == (file, ruined.log)
    ledger.close()
    assert [record.getMessage().split()[0] for record in caplog.records] == ["event=LogMended"]
    assert sorted(one.name for one in tmp_path.iterdir() if FILE in one.name and not one.name.endswith("-shm")) == [FILE]
    opened(path).close()
    assert len(caplog.records) == 1, "the next start finds nothing to mend"


def test_the_same_bit_with_a_commit_behind_it_is_damage(ruined: Ruin, tmp_path: Path) -> None:
    """Then no power cut can have left it: the ledger is made anew, and says so."""
    path = ruined.put(tmp_path, log=flipped(ruined.log, (HEADER + FRAME + 500) * 8 + 1))
    ledger = opened(path)
    assert "LEDGER_RESTORED" in content(ledger.connection).faults
    ledger.close()
