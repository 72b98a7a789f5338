"""Virtual time: looks that are not made are as good as those that are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from tests.virtual.heap import Heap, Look


class Ticker:
    """Acts at given instants, each time with a word; tells how far it was let go without anybody being asked."""

    def __init__(self, heap: Heap, instants: list[int], act: Callable[[int], None]) -> None:
        self.heap = heap
        self.instants = instants
        self.act = act

    def next_due(self, now: int) -> int | None:
        return self.instants[0] if self.instants else None

    def look(self, now: int) -> None:
        pass

    def run(self, now: int, horizon: int) -> None:
        self.act(self.instants.pop(0))


def _polled(heap: Heap, look: Look, then: Callable[[], None]) -> None:
    """What ``Heap.look`` stands for: every look is an action."""

    def again(left: int | None) -> None:
        look.seen = left != 0 and look.until()
        if look.seen or left == 0:
            then()
        else:
            heap.after(look.every_ms, lambda: again(None if left is None else left - 1))

    again(look.times)


def _story(seed: int, *, leap: bool) -> list[tuple[int, str]]:
    """People who wait for each other, for an actor's and for actions' doings; what happened when."""
    rng, heap, told = Random(seed), Heap(), []
    open_ = [False] * 4

    def switch(at: int, place: int) -> None:
        open_[place] = not open_[place]
        told.append((at, f"switch {place}"))

    def later(place: int) -> None:
        switch(heap.now, place)

    heap.actors = [Ticker(heap, sorted(rng.sample(range(1, 600), 12)), lambda at: switch(at, at % 2))]
    for _ in range(12):
        heap.after(rng.randrange(600), partial(later, rng.randrange(2, 4)))

    def person(number: int) -> None:
        once: list[int] = []
        place, wants = rng.randrange(4), bool(rng.randrange(2))
        look = Look(rng.choice((10, 40)), lambda: open_[place] is wants, rng.choice((None, 1, 3)))

        def then() -> None:
            assert not once
            once.append(1)
            told.append((heap.now, f"{number} {'sees' if look.seen else 'gives up'}"))
            if number < 40:
                person(number + 4)

        (heap.look if leap else lambda look, then: _polled(heap, look, then))(look, then)

    for number in range(4):
        heap.after(rng.randrange(50), partial(person, number))
    heap.run_until(700)
    assert heap.now == 700
    return told


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_looks_that_are_left_out_change_nothing(first: int) -> None:
    for seed in range(first, first + 100):
        story = _story(seed, leap=True)
        assert story == _story(seed, leap=False), f"seed {seed}"
        assert any("sees" in what for _, what in story)


def test_nobody_looks_again_before_something_has_happened() -> None:
    heap, looks, seen = Heap(), [], []
    door: list[int] = []

    def at_the_door() -> bool:
        looks.append(heap.now)
        return bool(door)

    heap.after(0, lambda: heap.look(Look(10, at_the_door), lambda: seen.append(heap.now)))
    heap.after(1_003, lambda: door.append(1))
    heap.run_until(2_000)
    assert seen == [1_010]
    assert len(looks) < 6


def test_patience_ends_without_a_last_look() -> None:
    heap, look, told = Heap(), Look(10, lambda: heap.now >= 30, 3), []
    heap.after(0, lambda: heap.look(look, lambda: told.append(heap.now)))
    heap.run_until(100)
    assert told == [30]
    assert not look.seen
