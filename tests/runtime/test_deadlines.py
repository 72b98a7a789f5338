"""Deadlines against a list that is searched from end to end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.events import Deadline, FlowOverdue, LiftOverdue, ProbeDue, UploadDue
from terminal.core.units import Instant
from terminal.runtime.deadlines import Deadlines

NAMES: tuple[Deadline, ...] = (FlowOverdue(1), FlowOverdue(2), LiftOverdue(1), ProbeDue(), UploadDue())


class Naive:
    """The same in the plainest way: rows of due instant, order of starting, name."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, Deadline]] = []
        self.order = 0

    def start(self, name: Deadline, due: int) -> None:
        """Move or add."""
        self.cancel(name)
        self.order += 1
        self.rows.append((due, self.order, name))

    def cancel(self, name: Deadline) -> None:
        """Take out."""
        self.rows = [row for row in self.rows if row[2] != name]

    def first(self) -> tuple[int, int, Deadline] | None:
        """The one that falls due first."""
        return min(self.rows, key=lambda row: row[:2], default=None)


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from(NAMES), st.integers(0, 20)),
        st.tuples(st.just("cancel"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("pop"), st.none(), st.integers(0, 20)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(MOVES)
def test_like_the_naive_model(moves: list[tuple[str, Deadline | None, int]]) -> None:
    """Start, start again, cancel, pop, in any order."""
    heap, naive = Deadlines(), Naive()
    for what, name, at in moves:
        if what == "start" and name is not None:
            heap.start(name, Instant(at))
            naive.start(name, at)
        elif what == "cancel" and name is not None:
            heap.cancel(name)
            naive.cancel(name)
        else:
            first = naive.first()
            expected = None if first is None or first[0] > at else first[2]
            assert heap.pop_due(Instant(at)) == expected
            if expected is not None:
                naive.cancel(expected)
        first = naive.first()
        assert heap.next_due() == (None if first is None else first[0])
        assert heap.running() == len(naive.rows)


def test_equal_values_are_one_deadline() -> None:
    """The value is the name: a new object of the same value moves the first one."""
    heap = Deadlines()
    heap.start(FlowOverdue(1), Instant(10))
    heap.start(FlowOverdue(1), Instant(30))
    assert heap.pop_due(Instant(20)) is None
    heap.cancel(FlowOverdue(1))
    assert heap.next_due() is None


def test_a_deadline_that_is_moved_for_ever_does_not_grow_the_heap() -> None:
    """Each live reading moves a point's flow deadline; a point fills for hours, a terminal runs for years."""
    heap = Deadlines()
    heap.start(ProbeDue(), Instant(1))
    for at in range(100_000):
        heap.start(FlowOverdue(1), Instant(at + 90_000))
    assert heap.running() == 2
    assert heap.kept() < 1_000
    assert heap.pop_due(Instant(1)) == ProbeDue()
    assert heap.next_due() == 99_999 + 90_000
