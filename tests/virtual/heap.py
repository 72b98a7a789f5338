"""One heap of virtual time, integer milliseconds. Everything that lives in the world is asked when it next wants to act."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Actor(Protocol):
    """Something with a time of its own."""

    def next_due(self, now: int) -> int | None:
        """When it wants to act next."""

    def look(self, now: int) -> None:
        """Something may have been done to it without a word."""

    def run(self, now: int, horizon: int) -> None:
        """Act, and go on as long as nobody hears or sees anything of it; before ``horizon`` nobody else will act."""


@dataclass(slots=True, eq=False)
class Look:
    """Somebody looks again and again, at most ``times`` times, until he sees it; ``seen`` says whether he did.

    What he looks for may depend on what happens only, not on the time: between two happenings nobody needs to look twice.
    """

    every_ms: int
    until: Callable[[], bool]
    times: int | None = None
    seen: bool = False


@dataclass(slots=True, eq=False)
class _Looking:
    """A look to come at ``at``, and ``left`` more after it."""

    look: Look
    then: Callable[[], None]
    at: int
    left: int | None

    def skip(self, instant: int) -> None:
        """Looks before this instant see what was seen already."""
        looks = -((self.at - instant) // self.look.every_ms)
        if looks > 0:
            self.at += looks * self.look.every_ms
            if self.left is not None:
                self.left -= looks

    def sees(self) -> int | None:
        """When it goes on if nothing happens any more: he sees it now, or patience ends; None: never."""
        if self.left == 0 or self.look.until():
            return self.at
        return None if self.left is None else self.at + self.left * self.look.every_ms


def _who_looked_longest_ago(one: tuple[_Looking, int]) -> int:
    """Within one instant he looks first; of two the one who did so the last time."""
    return -one[0].look.every_ms


class Heap:
    """Scheduled actions and actors, run in the order of time; within one instant actions first, in the order of scheduling."""

    def __init__(self) -> None:
        self.now = 0
        self.steps = 0
        self._actions: list[tuple[int, int, int, Callable[[], None]]] = []  # due, scheduled at, order
        self._order = 0
        self._looking: list[_Looking] = []
        self.actors: list[Actor] = []

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Run ``action`` in so many milliseconds."""
        self._order += 1
        heapq.heappush(self._actions, (self.now + delay_ms, self.now, self._order, action))

    def look(self, look: Look, then: Callable[[], None]) -> None:
        """Go on with ``then`` when he sees it, or has looked often enough. As if each look were an action, but only those that may see
        something else than the one before are made. He looks for the first time at once.
        """
        look.seen = look.until()
        if look.seen:
            then()
        else:
            # Who is still to look within this instant will always look behind this one.
            place = next((place for place, one in enumerate(self._looking) if one.at == self.now), len(self._looking))
            left = None if look.times is None else look.times - 1
            self._looking.insert(place, _Looking(look, then, self.now + look.every_ms, left))

    def step(self, limit: int) -> bool:
        """Go to the next thing that happens, not beyond ``limit``, and let it happen.

        False when nothing does until then; time is ``limit`` afterwards.
        """
        due, chosen, horizon = self._next(limit)
        if self._looking and self._somebody_sees(*((limit, False) if due is None or due > limit else (due, chosen is None))):
            return True
        if due is None or due > limit:
            self.now = limit
            return False
        late = due < self.now
        self.now = max(self.now, due)
        self.steps += 1
        if chosen is None:
            heapq.heappop(self._actions)[3]()
            self._look()
        else:
            self._run(chosen, horizon, late)
        return True

    def _next(self, limit: int) -> tuple[int | None, Actor | None, int]:
        """When something happens, whose it is (None: the next action's), and when the next thing after it happens."""
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
        return due, chosen, horizon

    def _run(self, actor: Actor, horizon: int, late: bool) -> None:
        """``late``: it should have acted already, and does so before whoever looks within this instant."""
        began = self.now
        for one in self._looking:
            if one.at < horizon:
                sees = one.sees()
                if sees is not None and sees < horizon:
                    horizon = sees
        actor.run(began, horizon)
        passed = self.now - 1 if late and self.now == began else self.now
        for one in self._looking:
            if one.at <= passed:
                one.skip(passed + 1)

    def _somebody_sees(self, until: int, action: bool) -> bool:
        """Let one go on who sees what he waits for, or has lost patience, before ``until``, when an ``action`` or something else is due."""
        due: list[tuple[_Looking, int]] = []
        first: _Looking | None = None
        at = until + 1
        for one in self._looking:
            # Within one instant an action that was scheduled before the last look comes before the next one.
            late = until if action and self._actions[0][1] <= until - one.look.every_ms else until + 1
            if one.at < late:
                due.append((one, late))
        if len(due) > 1:
            due.sort(key=_who_looked_longest_ago)
        for one, late in due:
            sees = one.sees()
            if sees is not None and sees < late and sees < at:
                first, at = one, sees
        before = True
        for one, late in due:
            before = before and one is not first
            one.skip(min(late, at + before))
        if first is None:
            return False
        self._looking.remove(first)
        self.now = max(self.now, at)
        self.steps += 1
        first.look.seen = first.left != 0
        first.then()
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
