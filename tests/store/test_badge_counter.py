"""Badge counters in the ledger: the newest of each badge is remembered, and a changed table is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.core.badge_counter import BadgeCounter
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, Stamp
from terminal.store.recovery import recover

pytestmark = pytest.mark.usefixtures("ledger_kind")

A, B = "a1" * 16, "b2" * 16


def written(path: Path) -> None:
    ledger = Ledger(path)
    for at, (token, counter) in enumerate(((A, 5), (B, 1), (A, 6)), 1):
        ledger.commit(Stamp(at, "trusted"), [BadgeCounter(token, counter)], [])
    ledger.close()


def test_the_newest_counter_of_each_badge_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    written(path)
    ledger = Ledger(path)
    assert recover(ledger, "OPT1", "boot").badge_counters == {A: 6, B: 1}
    ledger.close()
    assert verify(path).sound


def test_a_counter_that_was_put_back_is_found(tmp_path: Path) -> None:
    """So that nobody makes a used link good again without being seen."""
    path = tmp_path / "ledger.db"
    written(path)
    ledger = Ledger(path)
    ledger.connection.execute("UPDATE badge_counter SET counter = 2 WHERE token = ?", (A,))
    ledger.close()
    report = verify(path)
    assert not report.sound
    assert any(A in finding.where for finding in report.findings)
