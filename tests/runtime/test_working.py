"""Signs of life while the ledger is examined: as long as the work goes on, and no longer."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from terminal.runtime.watchdog import EXTEND_USEC, Notifier
from terminal.runtime.working import while_working
from tests.runtime.test_watchdog import Manager

EVERY_S = 0.02


def work(seconds: float) -> None:
    """Of the processor."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1_000))


def test_a_start_that_examines_a_long_ledger_is_given_more_time(tmp_path: Path) -> None:
    with Manager(f"{tmp_path}/notify") as manager:
        notifier = Notifier(manager.address, 15_000_000)
        with while_working(notifier, EVERY_S):
            work(0.5)
        told = manager.all()
        assert len(told) >= 3
        assert all(f"EXTEND_TIMEOUT_USEC={EXTEND_USEC}" in one.splitlines() for one in told)
        assert not any("WATCHDOG=1" in one for one in told), "it would begin to count, and nobody feeds it before READY"


def test_one_that_is_opened_again_in_service_feeds_the_watchdog(tmp_path: Path) -> None:
    with Manager(f"{tmp_path}/notify") as manager:
        notifier = Notifier(manager.address, 15_000_000)
        notifier.ready("serving")
        manager.next()
        with while_working(notifier, EVERY_S):
            work(0.5)
        assert any("WATCHDOG=1" in one.splitlines() for one in manager.all())


def test_a_disk_that_hangs_is_not_taken_for_work(tmp_path: Path) -> None:
    """The thread waits for something that does not come: after its patience nothing is sent any more."""
    with Manager(f"{tmp_path}/notify") as manager:
        with while_working(Notifier(manager.address, 15_000_000), EVERY_S, patience_s=5 * EVERY_S):
            threading.Event().wait(1.0)
        assert 1 <= len(manager.all()) <= 7


def test_work_without_end_is_not_taken_for_a_start(tmp_path: Path) -> None:
    with Manager(f"{tmp_path}/notify") as manager:
        with while_working(Notifier(manager.address, 15_000_000), EVERY_S, longest_s=5 * EVERY_S):
            work(0.8)
        assert 1 <= len(manager.all()) <= 5
