"""One heap of virtual time, integer milliseconds. Everything that lives in the world is asked when it next wants to act."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol


class Actor(Protocol):
    """Something with a time of its own."""

    def next_due(self, now: int) -> int | None:
        """When it wants to act next."""

    def look(self, now: int) -> None:
        """Something may have been done to it without a word."""

    def run(self, now: int, horizon: int) -> None:
        """Act, and go on as long as nobody hears or sees anything of it; before ``horizon`` nobody else will act."""


class Heap:
    """Scheduled actions and actors, run in the order of time; within one instant actions first, in the order of scheduling."""

    def __init__(self) -> None:
        self.now = 0
        self.steps = 0
        self._actions: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self.actors: list[Actor] = []

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Run ``action`` in so many milliseconds."""
        self._order += 1
        heapq.heappush(self._actions, (self.now + delay_ms, self._order, action))

    def step(self, limit: int) -> bool:
        """Go to the next thing that happens, not beyond ``limit``, and let it happen.

        False when nothing does until then; time is ``limit`` afterwards.
        """
        due = self._actions[0][0] if self._actions else None
        horizon = limit
        chosen: Actor | None = None
        for actor in self.actors:
            at = actor.next_due(self.now)
            if at is not None and (due is None or at < due):
                horizon = limit if due is None else min(due, limit)
                due, chosen = at, actor
            elif at is not None and at < horizon:
                horizon = at
        if due is None or due > limit:
            self.now = limit
            return False
        self.now = max(self.now, due)
        self.steps += 1
        if chosen is not None:
            chosen.run(self.now, horizon)
        else:
            heapq.heappop(self._actions)[2]()
            self._look()
        return True

    def _look(self) -> None:
        for actor in self.actors:
            actor.look(self.now)

    def run_until(self, limit: int, until: Callable[[], bool] | None = None) -> bool:
        """Let time run to ``limit`` or until ``until()`` holds, asked before and after every step; what it said last."""
        self._look()
        if until is not None and until():
            return True
        while self.step(limit):
            if until is not None and until():
                return True
        return until() if until is not None else False
