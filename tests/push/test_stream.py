"""The stream over real HTTPS: what the host says arrives at once, resumes behind a cut, and ends when the terminal stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.deny_subject import DenyKind
from terminal.core.events import AckAnswered, AckFailed, DenyPushed, HostTrouble, ListHint, PushDown, PushUp
from terminal.runtime.clock import SystemClock
from terminal.runtime.inbox import CAPACITY, ROOM, Inbox
from tests.hal_sim.host_kit import BADGE
from tests.push.kit import PATIENCE_S, Stream, utc_ms


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    made = Stream(tmp_path / "host")
    yield made
    made.close()
    assert made.server.errors == []


def open_from(stream: Stream, last_event: int = 0) -> None:
    stream.push.open(last_event)
    assert stream.heard(PushUp)


def test_a_block_arrives_at_once_and_is_acknowledged_with_its_instant(stream: Stream) -> None:
    open_from(stream)
    assert stream.heard(ListHint)
    with stream.server.lock:
        stream.book.block(card=BADGE)
    assert stream.heard(DenyPushed)
    (deny,) = stream.denies()
    assert (deny.event, deny.subject.kind, deny.subject.value) == (1, DenyKind.CARD, stream.book.token_of(BADGE))
    assert (deny.lifted, deny.epoch, deny.list_version) == (False, "e1", 2)
    before = utc_ms()
    assert stream.acknowledge(1, before) == AckAnswered(1, taken=True)
    with stream.server.lock:
        ack = stream.book.acks[1]
    assert ack.effective_at_ms == before <= ack.received_at_ms
    assert stream.acknowledge(2, before) == AckAnswered(2, taken=False), "never sent"


def test_new_lists_are_hinted(stream: Stream) -> None:
    open_from(stream)
    with stream.server.lock:
        version = stream.book.publish()
    assert stream.wait(lambda: any(event == ListHint("e1", version) for _, event in stream.posted))


def test_a_backlog_waits_at_the_host_until_the_terminal_has_room(stream: Stream) -> None:
    """More than the inbox holds: it is read on as it is taken, and nothing is lost."""
    events = CAPACITY + 500
    with stream.server.lock:
        for number in range(events):
            stream.book.block(customer=f"K{number}")
    inbox = Inbox(SystemClock())
    stream.push._post, stream.push._room = inbox.post, inbox.room
    stream.push.open(0)
    taken: list[int] = []
    longest, due = 0, time.monotonic() + 6 * PATIENCE_S
    while len(taken) < events and time.monotonic() < due:
        if not taken:
            time.sleep(0.5)  # a core that is busy: all would have come by now
        longest = max(longest, len(inbox))
        item = inbox.take(100)
        if item is not None and isinstance(item.event, DenyPushed):
            taken.append(item.event.event)
    assert taken == list(range(1, events + 1))
    assert ROOM < longest < CAPACITY // 2


def test_behind_a_cut_it_goes_on_where_it_was(stream: Stream) -> None:
    open_from(stream)
    with stream.server.lock:
        stream.book.block(card=BADGE)
    assert stream.heard(DenyPushed)
    stream.server.set_reachable(False)
    assert stream.heard(PushDown)
    with stream.server.lock:
        stream.book.block(customer="C1")
        stream.book.unblock(card=BADGE)
    stream.server.set_reachable(True)
    assert stream.heard(PushUp, 2)
    assert stream.heard(DenyPushed, 3)
    assert [(deny.event, deny.lifted) for deny in stream.denies()] == [(1, False), (2, False), (3, True)]


def test_a_terminal_that_starts_again_hears_only_what_it_missed(stream: Stream) -> None:
    with stream.server.lock:
        stream.book.block(card=BADGE)
        stream.book.block(numbers=("7001000", "7001999"))
    open_from(stream, last_event=1)
    assert stream.heard(DenyPushed)
    assert [(deny.event, deny.subject.kind, deny.subject.upto) for deny in stream.denies()] == [(2, DenyKind.RANGE, "7001999")]


def test_a_host_that_restored_its_data_tells_everything_again(stream: Stream) -> None:
    with stream.server.lock:
        stream.book.block(card=BADGE)
    open_from(stream, last_event=40)
    assert stream.heard(DenyPushed)


def test_heartbeats_keep_a_silent_stream_and_their_absence_ends_it(tmp_path: Path) -> None:
    stream = Stream(tmp_path / "host", silence_ms=600)
    try:
        stream.server.heartbeat_s = 0.1
        open_from(stream)
        time.sleep(1.5)
        assert stream.events(PushDown) == []
        stream.server.heartbeat_s = PATIENCE_S
        assert stream.heard(PushDown)
        assert stream.heard(PushUp, 2), "and it is opened again"
    finally:
        stream.close()


@pytest.mark.parametrize("fault", ["always_500", "garbage"])
def test_what_is_no_stream_never_counts_as_one(stream: Stream, fault: str) -> None:
    setattr(stream.server.faults, fault, True)
    stream.push.open(0)
    time.sleep(0.5)
    assert stream.posted == []
    stream.server.faults.clear()
    assert stream.heard(PushUp)


def test_it_stops_in_the_middle_of_a_silent_read(stream: Stream) -> None:
    open_from(stream)
    started = time.monotonic()
    stream.push.stop()
    assert time.monotonic() - started < 10
    assert "host-push" not in {thread.name for thread in threading.enumerate()}


def test_an_acknowledgement_without_a_host_is_kept_for_later(stream: Stream) -> None:
    stream.server.set_reachable(False)
    came = stream.acknowledge(1, utc_ms())
    assert isinstance(came, AckFailed)
    assert came.trouble is HostTrouble.NO_LINE
