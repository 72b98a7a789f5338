"""One heap for every deadline of the core. A deadline is its own name: started again it is moved, cancelled it is gone."""

from __future__ import annotations

import heapq

from terminal.core.events import Deadline
from terminal.core.units import Instant

ROOM = 64
"""So many old places may stay in the heap before it is built anew."""


class Deadlines:
    """Due instants by deadline, in the order of falling due and, within one instant, of starting."""

    def __init__(self) -> None:
        self._due: dict[Deadline, tuple[Instant, int]] = {}
        self._runs: set[int] = set()  # the orders of those that run: an old place in the heap is known by it
        self._heap: list[tuple[Instant, int, Deadline]] = []
        self._order = 0

    def start(self, deadline: Deadline, due: Instant) -> None:
        """Let it fall due then, whatever was said of it before."""
        self.cancel(deadline)
        self._order += 1
        self._due[deadline] = (due, self._order)
        self._runs.add(self._order)
        heapq.heappush(self._heap, (due, self._order, deadline))
        if len(self._heap) > ROOM + 2 * len(self._due):
            # One that is moved again and again leaves its old places behind the running ones, where nothing would ever take them out.
            self._heap = [(at, order, name) for name, (at, order) in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, deadline: Deadline) -> None:
        """Forget it; nothing happens when it is not running."""
        old = self._due.pop(deadline, None)
        if old is not None:
            self._runs.discard(old[1])

    def next_due(self) -> Instant | None:
        """When the first one falls due; None when none is running."""
        while self._heap:
            due, order, _ = self._heap[0]
            if order in self._runs:
                return due
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: Instant) -> Deadline | None:
        """The first one that is due, taken off; None when none is."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, _, deadline = heapq.heappop(self._heap)
        self.cancel(deadline)
        return deadline

    def running(self) -> int:
        """How many run."""
        return len(self._due)

    def kept(self) -> int:
        """How many places the heap has, old ones included."""
        return len(self._heap)
