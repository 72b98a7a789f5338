"""The one rule of the program, on a real ledger: what is to be remembered is durable before anything leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, ShowLines
from drivers.events import DeviceDown
from terminal.core.batch_events import BatchWasRead
from terminal.core.card_lists import NO_LIST
from terminal.core.effects import (
    AckEvent,
    ApplyChanges,
    AskHost,
    CancelDeadline,
    CheckLists,
    Continue,
    Effect,
    Enqueue,
    OpenPush,
    Persist,
    ProbeHost,
    ReadBatch,
    Send,
    StartDeadline,
    UploadNext,
    UseCards,
)
from terminal.core.events import FlowOverdue, LiftOverdue, ListsRefused, PinTryCounted, ProbeDue
from terminal.core.ids import SaleId
from terminal.core.site import Site
from terminal.core.units import Instant
from terminal.runtime.engine import Engine
from terminal.store.ledger import StorageFailed
from terminal.store.live_lists import LiveLists
from terminal.store.recovery import recover
from terminal.store.vault import KeyVault
from tests.host.kit import LANE, reverse
from tests.runtime.kit import Bench, fault
from tests.test_config import config_in

AT = Instant(1_000)
RELEASE = AuthorizeFuellingPoint(1, 1, 20_000, None, (17290,))
EVERYTHING: list[Effect] = [
    Send(RELEASE),
    Persist(fault("a")),
    ProbeHost(),
    Enqueue(reverse(1)),
    CheckLists("e1", 3),
    StartDeadline(ProbeDue(), 500),
    UseCards("cards-e1-3.db"),
    OpenPush(7),
    AckEvent(7, 900),
    UploadNext(),
    Persist(fault("b")),
    Continue(PinTryCounted(1)),
]
"""Facts in the middle and at the end of a step, behind what must wait for them."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Closed behind the test."""
    found = Bench(tmp_path)
    yield found
    found.ledger.close()


def test_nothing_leaves_before_all_of_the_step_is_durable(bench: Bench) -> None:
    """Whatever the order of the effects; what leaves leaves in order."""
    bench.site.script = {"event": EVERYTHING}
    bench.engine.step("event", AT)
    assert [what for what, _, _ in bench.outside.left] == ["send", "probe", "lists", "cards", "push", "ack", "upload"]
    assert {rows for _, _, rows in bench.outside.left} == {2}
    assert [value for _, value, _ in bench.outside.left[2:6]] == [("e1", 3, NO_LIST, False), "cards-e1-3.db", 7, (7, 900, None)]
    assert bench.engine.deadlines.next_due() == 1_500
    (_, (message,), _) = bench.outside.left[-1]
    assert message.body == LANE.encode(reverse(1))


def test_a_step_whose_commit_fails_has_not_happened(bench: Bench) -> None:
    """Nothing sent, no deadline, no row, no message, and what should have followed does not."""
    bench.site.script = {"event": EVERYTHING, "before": [StartDeadline(LiftOverdue(1), 100)], "after": [Persist(fault("c"))]}
    bench.engine.step("before", AT)
    head = bench.ledger.head
    bench.fill_disk()
    with pytest.raises(StorageFailed):
        bench.engine.step("event", AT)
    bench.fill_disk(False)
    assert bench.outside.left == []
    assert bench.engine.deadlines.running() == 1
    assert bench.site.handled == [("before", AT), ("event", AT)]
    assert (bench.journal, bench.ledger.next_message(), bench.ledger.head) == ([], None, head)
    bench.engine.step("after", AT)
    assert bench.journal == ["FaultRaised"]


@pytest.mark.parametrize("after", [1, 5, 20, 60, 100])
def test_wherever_in_the_commit_the_disk_fails(bench: Bench, tmp_path: Path, after: int) -> None:
    """The write breaks off after so many instructions and the program starts anew: nothing is in the ledger and nothing was sent."""
    bench.site.script = {"event": EVERYTHING}
    left = [after]

    def tick() -> int:
        left[0] -= 1
        return left[0] < 0

    bench.ledger.connection.set_progress_handler(tick, 1)
    with pytest.raises(StorageFailed):
        bench.engine.step("event", AT)
    bench.ledger.close()
    again = Bench(tmp_path)
    assert (again.journal, again.ledger.next_message(), bench.outside.left) == ([], None, [])
    again.ledger.close()


def test_a_step_without_facts_needs_no_disk(bench: Bench) -> None:
    """A screen can be shown on a disk that is full."""
    bench.site.script = {"event": [Send(ShowLines(1, ("", "", "", "")))]}
    (before,) = bench.ledger.connection.execute("SELECT count(*) FROM journal").fetchone()
    bench.engine.step("event", AT)
    assert [(what, rows) for what, _, rows in bench.outside.left] == [("send", before)]


def test_what_continues_runs_before_the_next_event_and_behind_its_cause(bench: Bench) -> None:
    """The PIN is compared when its try is durable, in a step and a commit of its own."""
    bench.site.script = {
        "pin": [Persist(fault("tried")), Continue(PinTryCounted(1)), Continue(PinTryCounted(2))],
        PinTryCounted(1): [Persist(fault("compared")), Send(ConfirmFill(1)), Continue(PinTryCounted(3))],
        PinTryCounted(2): [Send(ConfirmFill(2))],
        PinTryCounted(3): [Send(ConfirmFill(3))],
    }
    bench.engine.step("pin", AT)
    bench.engine.step("next", AT)
    assert [event for event, _ in bench.site.handled] == ["pin", PinTryCounted(1), PinTryCounted(2), PinTryCounted(3), "next"]
    assert [(command.fp, rows) for _, command, rows in bench.outside.left] == [(1, 2), (2, 2), (3, 2)]


def test_what_became_of_changes_is_the_next_step(bench: Bench) -> None:
    """They are made behind the commit of the step that asked for them, and what the card file says is handled before the next event."""
    bench.outside.changed = ListsRefused("the card file is another")
    bench.site.script = {"ready": [ApplyChanges(()), Persist(fault("asked"))], bench.outside.changed: [Persist(fault("refused"))]}
    bench.engine.step("ready", AT)
    bench.engine.step("next", AT)
    assert [event for event, _ in bench.site.handled] == ["ready", bench.outside.changed, "next"]
    assert bench.outside.left == [("changes", (), 1)]
    assert bench.journal == ["FaultRaised", "FaultRaised"]


def test_a_continuation_that_fails_leaves_its_cause(bench: Bench) -> None:
    """The try counts, whatever became of the comparison."""
    bench.site.script = {
        "pin": [Persist(fault("tried")), Continue(PinTryCounted(1))],
        PinTryCounted(1): [Persist(fault("x")), Send(RELEASE)],
    }
    bench.engine.committed = lambda records: bench.fill_disk()
    with pytest.raises(StorageFailed):
        bench.engine.step("pin", AT)
    bench.fill_disk(False)
    assert bench.journal == ["FaultRaised"]
    assert bench.outside.left == []


def test_committed_hears_the_facts_before_anything_leaves(bench: Bench) -> None:
    """The log follows the ledger."""
    heard: list[tuple[int, int]] = []
    bench.site.script = {"event": EVERYTHING[:2], "nothing": [ProbeHost()]}
    bench.engine.committed = lambda records: heard.append((len(records), len(bench.outside.left)))
    bench.engine.step("event", AT)
    bench.engine.step("nothing", AT)
    assert heard == [(1, 0)]


def test_a_mistake_of_ours_is_no_failure_of_the_disk(bench: Bench) -> None:
    """The same message twice: the step has not happened, and it is not said to be the disk's fault."""
    bench.site.script = {"event": [Enqueue(reverse(1)), Send(RELEASE)], "again": [Persist(fault("a")), Enqueue(reverse(1)), Send(RELEASE)]}
    bench.engine.step("event", AT)
    with pytest.raises(sqlite3.IntegrityError):
        bench.engine.step("again", AT)
    assert (bench.journal, len(bench.outside.left)) == ([], 1)


def test_what_was_heard_before_the_boot_is_handled_at_the_boots_instant(bench: Bench) -> None:
    """Pumps are asked while the ledger is still examined; no row of theirs is older than the boot's."""
    bench.engine.boot(AT)
    bench.site.script = {"event": [StartDeadline(ProbeDue(), 500), Persist(fault("a"))]}
    bench.engine.step("event", Instant(AT - 900))
    assert bench.engine.deadlines.next_due() == AT + 500
    assert bench.site.handled[-1] == ("event", AT)


def test_due_deadlines_one_by_one(bench: Bench) -> None:
    """In order, each in a step of its own, at the instant of now; a cancelled one never."""
    starts: list[Effect] = [StartDeadline(FlowOverdue(2), 20), StartDeadline(LiftOverdue(1), 10), StartDeadline(ProbeDue(), 15)]
    bench.site.script = {"event": starts, LiftOverdue(1): [CancelDeadline(ProbeDue())]}
    bench.engine.step("event", AT)
    assert not bench.engine.fire_due(Instant(AT + 9))
    now = Instant(AT + 50)
    assert [bench.engine.fire_due(now) for _ in range(3)] == [True, True, False]
    assert bench.site.handled[1:] == [(LiftOverdue(1), now), (FlowOverdue(2), now)]


def test_a_sale_that_is_gone_is_not_asked_for(bench: Bench) -> None:
    """The host is asked only about a sale that is there."""
    bench.site.script = {"event": [AskHost(SaleId("OPT1-1-9"))]}
    bench.engine.step("event", AT)
    assert bench.outside.left == []


def test_a_queue_that_is_empty_against_all_belief_is_a_bug(bench: Bench) -> None:
    """Not silently passed over: the outbox would stand still."""
    bench.site.script = {"event": [UploadNext()]}
    with pytest.raises(AssertionError):
        bench.engine.step("event", AT)


class Room:
    """A disk with room."""

    def ready(self) -> bool:
        """Always."""
        return True


def test_the_real_site_boots_fails_and_comes_back(bench: Bench, tmp_path: Path) -> None:
    """A disk that fails under a device's fault: nothing of it is in the ledger, and the next start is a start like any other."""
    config = config_in(tmp_path).site("1.0")
    vault = KeyVault(bytes(32), bytes(32), bytes(32))

    def start() -> Engine:
        recovered = recover(bench.ledger, "OPT1", "boot")
        site = Site(config, recovered, boot="boot", lists=LiveLists(tmp_path), vault=vault, storage=Room())
        engine = Engine(site, bench.ledger, bench.outside)
        engine.boot(AT)
        return engine

    engine = start()
    facts = len(bench.journal)
    assert {rows for _, _, rows in bench.outside.left} == {facts}
    assert facts >= 1
    count = len(bench.outside.left)
    bench.fill_disk()
    with pytest.raises(StorageFailed):
        engine.step(DeviceDown("badge-1", "unplugged"), AT)
    bench.fill_disk(False)
    assert (len(bench.journal), len(bench.outside.left)) == (facts, count)
    start().step(DeviceDown("badge-1", "unplugged"), AT)
    assert bench.journal[-1] == "FaultRaised"


def test_a_batch_is_read_behind_the_commit_and_handled_in_the_same_step(bench: Bench) -> None:
    """What is told of it is what is durable; nothing else of the outside comes between."""
    read = BatchWasRead(1, (), (), ())
    bench.site.script = {"event": [ReadBatch(1, 1, 3, (), None), Persist(fault("a"))], read: [Persist(fault("b"))]}
    bench.engine.step("event", AT)
    assert [event for event, _ in bench.site.handled] == ["event", read]
    assert bench.journal == ["FaultRaised", "FaultRaised"]
