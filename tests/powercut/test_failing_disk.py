"""A disk that fails at the n-th operation of one fuelling: nothing is released that was not written down, every fill is recorded, and the
terminal serves again. ``make powercut`` fails every single operation; here every sync, opening and naming, and one write in nine."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from terminal.core.records import Record
from terminal.store.ledger import Ledger, QueuedMessage, Stamp, StorageFailed
from tests.powercut.failing import MOST_STARTS, Ended, Sickness, every, play

STEP = 9


@pytest.fixture(scope="module")
def clean() -> Ended:
    return play(None)


def some(clean: Ended) -> list[Sickness]:
    """Of each operation one way to fail, turn by turn; the syncs alone and with all behind them."""
    found = every(clean, step=STEP)
    return [one for at, one in enumerate(found) if at % 4 == (at // 4) % 4 or (one.kind == "sync" and at % 2 == (at // 4) % 2)]


def test_a_whole_disk_takes_the_fuelling(clean: Ended) -> None:
    assert (clean.broken, clean.failed, clean.starts, clean.fills) == (None, 0, 2, 2)
    assert clean.operations["write"] >= 50
    assert clean.operations["sync"] >= 8
    assert clean.operations["open"] >= 3


def test_a_disk_that_fails_once_or_for_a_while_loses_nothing_and_releases_nothing_unwritten(clean: Ended) -> None:
    ended = [play(sickness) for sickness in some(clean)]
    assert [(one.sickness, one.broken) for one in ended if one.broken is not None] == []
    assert len(ended) >= 40
    assert sum(one.failed > 0 for one in ended) >= len(ended) - 4
    assert {one.fills for one in ended} >= {1, 2}, "no driver was ever declined before the release, or none was ever served"
    assert max(one.starts for one in ended) <= MOST_STARTS


def test_a_disk_that_became_read_only_declines_and_comes_back(clean: Ended) -> None:
    for nth in (1, clean.operations["write"] // 2):
        ended = play(Sickness("any", nth, errno.EROFS, lasts=True))
        assert ended.broken is None
        assert ended.failed


def test_the_same_question_finds_a_store_that_takes_failures_lightly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that goes on when a commit failed: the very thing that these days are there to find."""
    real = Ledger.commit

    def careless(self: Ledger, stamp: Stamp, records: Sequence[Record], messages: Sequence[QueuedMessage]) -> None:
        try:
            real(self, stamp, records, messages)
        except (StorageFailed, sqlite3.Error):
            return

    monkeypatch.setattr(Ledger, "commit", careless)
    found: list[Any] = [play(Sickness("sync", nth, errno.EIO, lasts=True)).broken for nth in (3, 5, 7)]
    assert any(found)
