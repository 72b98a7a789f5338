"""The inbox: many post, one takes; facts keep their order and their number, stamps never go back."""

from __future__ import annotations

import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.events import FillProgressed, FillReported, KeyPressed, NozzleReturned
from drivers.events import Key as PadKey
from terminal.runtime.clock import SystemClock
from terminal.runtime.inbox import CAPACITY, Inbox, InboxOverflow, Stamped
from tests.runtime.kit import SetClock

PATIENCE_S = 60.0


def drained(inbox: Inbox) -> list[Stamped]:
    """Everything that waits."""
    found = []
    while (item := inbox.take(0)) is not None:
        found.append(item)
    return found


EVENTS = st.lists(
    st.one_of(
        st.builds(FillProgressed, st.integers(1, 3), st.integers(0, 5), st.just(0)),
        st.builds(FillReported, st.integers(1, 3), st.integers(0, 5), st.just(0)),
        st.builds(NozzleReturned, st.integers(1, 3), st.just(1)),
        st.builds(KeyPressed, st.just(1), st.sampled_from(PadKey)),
        st.none(),  # one is taken
    ),
    max_size=60,
)


@given(EVENTS)
def test_coalescing_loses_no_fact_and_reorders_none(events: list[object]) -> None:
    """Against what was posted: facts one for one; each point's last reading before each of its facts; stamps in order."""
    clock = SetClock()
    inbox = Inbox(clock)
    taken: list[Stamped] = []
    for event in events:
        clock.at += 1
        if event is None:
            taken += [item for item in (inbox.take(0),) if item is not None]
        else:
            inbox.post(event)
    taken += drained(inbox)
    facts = [event for event in events if event is not None and not isinstance(event, FillProgressed)]
    assert [item.event for item in taken if not isinstance(item.event, FillProgressed)] == facts
    assert [item.at for item in taken] == sorted(item.at for item in taken)
    for fp in (1, 2, 3):
        posted = [event for event in events if getattr(event, "fp", None) == fp]
        came = [item.event for item in taken if getattr(item.event, "fp", None) == fp]
        assert _last_of_runs(came) == _last_of_runs(posted)


def _last_of_runs(events: list[object]) -> list[object]:
    """Of readings in a row only the last one: what a reading may be replaced by."""
    return [
        event
        for event, after in zip(events, [*events, None][1:], strict=True)
        if not (isinstance(event, FillProgressed) and isinstance(after, FillProgressed))
    ]


def test_a_newer_reading_takes_the_place_and_the_stamp_of_the_older() -> None:
    """Time must not go back for what came between them."""
    clock = SetClock(10)
    inbox = Inbox(clock)
    inbox.post(FillProgressed(1, 100, 0))
    clock.at = 20
    inbox.post("between")
    clock.at = 30
    inbox.post(FillProgressed(1, 300, 0))
    assert drained(inbox) == [Stamped(FillProgressed(1, 300, 0), 10), Stamped("between", 20)]  # type: ignore[arg-type]


def test_a_reading_that_was_taken_is_not_changed_behind_the_takers_back() -> None:
    """The next one is an event of its own."""
    inbox = Inbox(SetClock())
    inbox.post(FillProgressed(1, 100, 0))
    first = inbox.take(0)
    inbox.post(FillProgressed(1, 200, 0))
    assert first is not None
    assert first.event == FillProgressed(1, 100, 0)
    assert len(drained(inbox)) == 1


def test_too_many_facts_are_said_and_never_dropped_in_silence() -> None:
    """At the bound it still works; one more ends the program, however much is taken then."""
    inbox = Inbox(SetClock())
    for number in range(CAPACITY):
        inbox.post(number)
    assert inbox.take(0) is not None
    inbox.post(CAPACITY)
    inbox.post("one too many")
    with pytest.raises(InboxOverflow):
        inbox.take(0)
    with pytest.raises(InboxOverflow):
        inbox.take(0)


def test_live_readings_alone_never_overflow() -> None:
    """At the bound a reading is left out: the next one says the same and more."""
    inbox = Inbox(SetClock())
    for number in range(CAPACITY):
        inbox.post(number)
    for volume in range(100):
        inbox.post(FillProgressed(1 + volume % 5, volume, 0))
    assert len(drained(inbox)) == CAPACITY
    inbox.post(FillProgressed(1, 7, 0))
    assert [item.event for item in drained(inbox)] == [FillProgressed(1, 7, 0)]


def test_readings_do_not_pile_up() -> None:
    """However many come while the core is busy."""
    inbox = Inbox(SetClock())
    for volume in range(5 * CAPACITY):
        inbox.post(FillProgressed(1 + volume % 4, volume, 0))
    assert len(inbox) == 4


def test_many_threads() -> None:
    """Each thread's events come in its order, all of them, with rising stamps."""
    inbox = Inbox(SystemClock())
    start = threading.Barrier(8)

    def post(name: int) -> None:
        start.wait()
        for number in range(1_000):
            inbox.post((name, number))

    threads = [threading.Thread(target=post, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    taken: list[Stamped] = []
    while len(taken) < 8_000:
        item = inbox.take(int(PATIENCE_S * 1000))
        assert item is not None
        taken.append(item)
    for thread in threads:
        thread.join(PATIENCE_S)
    for name in range(8):
        assert [event[1] for item in taken if isinstance(event := item.event, tuple) and event[0] == name] == list(range(1_000))
    assert [item.at for item in taken] == sorted(item.at for item in taken)


def test_take_waits_and_is_woken() -> None:
    """An event ends the wait at once; nothing ends it with None."""
    inbox = Inbox(SystemClock())
    assert inbox.take(0) is None
    assert inbox.take(1) is None
    thread = threading.Thread(target=lambda: inbox.post("hello"))
    began = SystemClock().instant()
    thread.start()
    item = inbox.take(60_000)
    thread.join(PATIENCE_S)
    assert item is not None
    assert SystemClock().instant() - began < PATIENCE_S * 1000


def test_the_oldest_stamp_is_shown() -> None:
    """For who asks what comes first, a deadline or an event."""
    clock = SetClock(5)
    inbox = Inbox(clock)
    assert inbox.oldest() is None
    inbox.post("first")
    clock.at = 9
    inbox.post("second")
    assert inbox.oldest() == 5
    inbox.take(0)
    assert inbox.oldest() == 9


def test_a_signal_handler_may_post() -> None:
    """In the middle of whatever the main thread does with the inbox: nothing is lost, nothing locks up."""
    inbox = Inbox(SystemClock())
    signalled: list[int] = []

    def on_signal(number: int, frame: object) -> None:
        signalled.append(len(signalled))
        inbox.post(("signal", len(signalled)))

    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        taken: list[object] = []
        posted = 0
        while len(signalled) < 50:
            inbox.post(("main", posted))
            posted += 1
            item = inbox.take(1)
            taken += [] if item is None else [item.event]
        signal.setitimer(signal.ITIMER_REAL, 0)
        taken += [item.event for item in drained(inbox)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sorted(event[1] for event in taken if isinstance(event, tuple) and event[0] == "signal") == list(range(1, len(signalled) + 1))
    assert sum(isinstance(event, tuple) and event[0] == "main" for event in taken) == posted


def test_a_signal_ends_the_wait() -> None:
    """SIGTERM while nothing happens: ``take`` comes back with what the handler posted."""
    inbox = Inbox(SystemClock())
    before = signal.signal(signal.SIGALRM, lambda number, frame: inbox.post("stop"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        began = SystemClock().instant()
        item = inbox.take(60_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert item is not None
    assert item.event == "stop"
    assert SystemClock().instant() - began < PATIENCE_S * 1000
