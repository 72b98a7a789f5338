"""The watchdog goes hungry for each source that is not heard of: store, every kind of device thread; and is fed again behind it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.device_thread import HANG_MS, DeviceThread
from drivers.display.device import Display
from drivers.events import DeviceEvent
from drivers.keypad.device import Keypad
from terminal.core.effects import Persist
from terminal.core.units import Instant
from terminal.runtime.pulse import STORE_EVERY_MS, STORE_LATE_MS, StorePulse, silent_ones
from terminal.runtime.watchdog import Notifier
from terminal.store.ledger import StorageFailed
from tests.rig.process import wait_for
from tests.runtime.kit import Bench, SetClock, fault
from tests.runtime.test_watchdog import Manager

PATIENCE_S = 60.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A real ledger."""
    found = Bench(tmp_path)
    yield found
    found.ledger.close()


class Patient(DeviceThread):
    """A real device thread whose device does what a test lets it do."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__("line-pumps", lambda event: None, clock, first_pause_ms=1)
        self.go = threading.Event()
        self.turns = 0

    def serve(self) -> None:
        """One turn each time that it may."""
        while not self.stopping:
            self.alive(1_000)
            self.turns += 1
            self.go.wait()
            self.go.clear()

    def wake(self) -> None:
        """See ``DeviceThread``."""
        self.go.set()

    def turn(self) -> None:
        """Let it go on, and wait until it has."""
        before = self.turns
        self.go.set()
        assert wait_for(lambda: self.turns > before, PATIENCE_S)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_000)


@pytest.fixture
def thread(clock: SetClock) -> Iterator[Patient]:
    found = Patient(clock.instant)
    found.start()
    assert wait_for(lambda: found.turns > 0, PATIENCE_S)
    yield found
    assert found.stop()


def test_a_thread_may_wait_as_long_as_it_said(thread: Patient, clock: SetClock) -> None:
    assert not thread.hung(1_000 + 1_000 + HANG_MS)
    assert thread.hung(1_000 + 1_000 + HANG_MS + 1)
    clock.at = 20_000
    thread.turn()
    assert not thread.hung(20_000)


def test_a_thread_that_was_not_started_or_was_stopped_owes_nothing(clock: SetClock) -> None:
    found = Patient(clock.instant)
    assert not found.hung(1_000_000)
    found.start()
    assert found.stop()
    assert not found.hung(1_000_000)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_silent_at_once(clock: SetClock) -> None:
    """SystemExit is no Exception: nothing catches it at the top of the thread, and it says nothing of itself."""

    class Dying(Patient):
        def serve(self) -> None:
            raise SystemExit

    found = Dying(clock.instant)
    found.start()
    assert wait_for(lambda: found.hung(1_000), PATIENCE_S)


def test_a_device_that_is_not_there_is_a_fault_and_no_hang(tmp_path: Path) -> None:
    """The real threads of a display and a keypad without their devices: they say so, and try again and again."""
    told: list[DeviceEvent] = []
    clock = SetClock()
    threads = [
        Display("display-1", 1, str(tmp_path / "none"), told.append, clock.instant),
        Keypad("keypad-1", 1, told.append, clock.instant, path=str(tmp_path / "none")),
    ]
    for one in threads:
        one.start()
    assert wait_for(lambda: len(told) == 2, PATIENCE_S)
    assert silent_ones(threads, None, Instant(HANG_MS)) == ()
    for one in threads:
        assert one.stop()


def test_threads_are_named_for_the_operating_system(thread: Patient) -> None:
    names = [path.read_text().strip() for path in Path(f"/proc/{os.getpid()}/task").glob("*/comm")]
    assert "line-pumps" in names


def test_commits_are_the_stores_pulse(bench: Bench) -> None:
    """A minute without one: a write that is taken back, of which the journal knows nothing."""
    pulse = StorePulse(bench.engine)
    pulse.beat(Instant(0))
    bench.engine.commit([Persist(fault("a"))], Instant(50_000))
    pulse.beat(Instant(50_000))
    assert not pulse.late(Instant(50_000 + STORE_EVERY_MS + STORE_LATE_MS))
    assert pulse.late(Instant(50_001 + STORE_EVERY_MS + STORE_LATE_MS))
    pulse.beat(Instant(50_000 + STORE_EVERY_MS))
    assert not pulse.late(Instant(50_000 + 2 * STORE_EVERY_MS))
    assert bench.journal == ["FaultRaised"]


def test_a_dead_disk_is_known_before_the_next_driver_comes(bench: Bench) -> None:
    pulse = StorePulse(bench.engine)
    pulse.beat(Instant(0))
    bench.fill_disk()
    pulse.beat(Instant(STORE_EVERY_MS - 1))
    with pytest.raises(StorageFailed):
        pulse.beat(Instant(STORE_EVERY_MS))
    bench.fill_disk(False)


def test_a_sale_under_way_is_not_disturbed_by_the_pulse(bench: Bench) -> None:
    pulse = StorePulse(bench.engine)
    pulse.beat(Instant(0))
    bench.site.desk.sales["OPT1-1-1"] = None  # type: ignore[index, assignment]  # only that there is one counts
    bench.fill_disk()
    pulse.beat(Instant(STORE_EVERY_MS))
    assert not pulse.late(Instant(STORE_EVERY_MS + STORE_LATE_MS))
    bench.fill_disk(False)


def test_each_silent_source_keeps_the_watchdog_hungry(bench: Bench, thread: Patient, clock: SetClock, tmp_path: Path) -> None:
    """Store, then line, then both are heard of again: named once each, fed as soon as nobody is silent."""
    pulse = StorePulse(bench.engine)
    with Manager(str(tmp_path / "notify")) as manager:
        notifier = Notifier(manager.address, 15_000_000)
        notifier.silent = lambda now: silent_ones([thread], pulse, now)

        def feed(at: int) -> list[str]:
            notifier.feed(Instant(at))
            return manager.all()

        pulse.beat(Instant(1_000))
        assert feed(2_000) == ["WATCHDOG=1"]
        assert feed(12_500) == ["STATUS=nothing is heard of line-pumps"]
        assert feed(17_500) == []
        clock.at = 90_000
        thread.turn()
        assert feed(90_000) == ["STATUS=nothing is heard of store"]
        assert feed(95_000) == []
        pulse.beat(Instant(96_000))
        assert feed(96_000) == ["STATUS=everybody is heard of again", "WATCHDOG=1"]
        assert feed(98_000) == []
