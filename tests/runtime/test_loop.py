"""The core's loop: deadlines and events by their instants, the watchdog fed, an end when asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.effects import Effect, Persist, StartDeadline
from terminal.core.events import LiftOverdue, ProbeDue
from terminal.core.ids import MessageKey
from terminal.core.records import MessageAcknowledged
from terminal.core.units import Instant
from terminal.runtime import loop
from terminal.runtime.clock import SystemClock
from terminal.runtime.inbox import CAPACITY, Inbox, InboxOverflow
from terminal.runtime.watchdog import Notifier
from terminal.store.ledger import StorageFailed
from tests.runtime.kit import Bench, SetClock, fault
from tests.runtime.test_watchdog import Manager

PATIENCE_S = 60.0


class Room:
    """A bench with clock and inbox."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.clock = SetClock(100)
        self.inbox = Inbox(self.clock)
        self.looks: list[int] = []

    def run(self, notifier: Notifier | None = None) -> None:
        """Until it ends."""
        loop.run(self.bench.engine, self.inbox, self.clock, notifier or Notifier(None, None), self.looks.append)

    @property
    def handled(self) -> list[tuple[object, int]]:
        """What the site was given, and when."""
        return self.bench.site.handled


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """Closed behind the test."""
    found = Room(tmp_path)
    yield found
    found.bench.ledger.close()


def test_a_clean_end_writes_what_the_host_has_answered(room: Room) -> None:
    """Answers wait for the next commit; behind the last step there is none."""
    room.bench.site.uploads.acknowledged.append(MessageAcknowledged(MessageKey("T-1-1/advice"), "accepted"))
    room.inbox.post(loop.Shutdown())
    room.run()
    assert room.bench.journal == ["MessageAcknowledged"]


def test_shutdown_ends_it_behind_what_came_before(room: Room) -> None:
    """Events before it are handled, those behind it are not, and it is no event of the core."""
    for event in ("one", "two", loop.Shutdown(), "three"):
        room.inbox.post(event)
    room.run()
    assert room.handled == [("one", 100), ("two", 100)]
    assert len(room.inbox) == 1


def test_an_event_keeps_its_stamp(room: Room) -> None:
    """What the site hears is when it entered, not when its turn came."""
    room.inbox.post("early")
    room.clock.at = 5_000
    room.inbox.post(loop.Shutdown())
    room.run()
    assert room.handled == [("early", 100)]


def test_what_came_in_time_was_in_time(room: Room) -> None:
    """The step before took seconds (a slow disk): an event of before the deadline is handled before it, one of behind it behind it."""
    room.bench.engine.deadlines.start(LiftOverdue(1), Instant(200))
    room.bench.engine.deadlines.start(ProbeDue(), Instant(400))
    for at, event in ((150, "in time"), (300, "between"), (500, "late"), (600, loop.Shutdown())):
        room.clock.at = at
        room.inbox.post(event)
    room.clock.at = 9_000
    room.run()
    assert [event for event, _ in room.handled] == ["in time", LiftOverdue(1), "between", ProbeDue(), "late"]
    stamps = [at for _, at in room.handled]
    assert stamps == sorted(stamps)


def test_a_deadline_that_a_step_starts_counts_from_its_event(room: Room) -> None:
    """And fires without any further event."""
    room.bench.site.script = {"lift": [StartDeadline(LiftOverdue(1), 50)]}
    room.inbox.post("lift")
    room.clock.at = 160
    room.inbox.post(loop.Shutdown())
    room.run()
    assert [event for event, _ in room.handled] == ["lift", LiftOverdue(1)]


def test_the_watchdog_is_fed_between_steps_and_never_within(room: Room, tmp_path: Path) -> None:
    """One feed a third of its time, however many steps."""
    with Manager(str(tmp_path / "notify")) as manager:
        notifier = Notifier(manager.address, 300_000)
        for at in range(100, 400, 10):
            room.clock.at = at
            room.inbox.post(at)
        room.inbox.post(loop.Shutdown())
        room.run(notifier)
        assert manager.all() == ["WATCHDOG=1"]
    assert len(room.handled) == 30
    assert len(room.looks) == 31


def test_an_idle_loop_feeds_the_watchdog(tmp_path: Path) -> None:
    """On the real clock, with nothing to do."""
    room = Room(tmp_path)
    inbox = Inbox(SystemClock())
    with Manager(str(tmp_path / "notify")) as manager:
        looks: list[Instant] = []

        def serve() -> None:
            loop.run(room.bench.engine, inbox, SystemClock(), Notifier(manager.address, 300_000), looks.append)

        # The ledger belongs to this thread, and no step of the other one writes.
        thread = threading.Thread(target=serve)
        thread.start()
        assert [manager.next() for _ in range(3)] == ["WATCHDOG=1"] * 3
        inbox.post(loop.Shutdown())
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    room.bench.ledger.close()


def test_a_disk_that_fails_goes_up(room: Room) -> None:
    """From an event and from a deadline."""
    effects: list[Effect] = [Persist(fault("a"))]
    room.bench.site.script = {"event": effects, ProbeDue(): effects}
    room.bench.fill_disk()
    room.inbox.post("event")
    with pytest.raises(StorageFailed):
        room.run()
    room.bench.engine.deadlines.start(ProbeDue(), Instant(0))
    with pytest.raises(StorageFailed):
        room.run()
    room.bench.fill_disk(False)


def test_an_inbox_that_overflows_goes_up(room: Room) -> None:
    """The program ends and asks the pumps at its next start."""
    for number in range(CAPACITY + 1):
        room.inbox.post(number)
    with pytest.raises(InboxOverflow):
        room.run()
