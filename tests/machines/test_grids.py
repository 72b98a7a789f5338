"""Every event has an answer in every state of every machine, in words that a person can read."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from terminal.core import fuelling_point_table, sale, session_table
from terminal.core.machine import Grid, UnexpectedEvent
from terminal.core.units import Instant
from tests.diagrams import states_of

GRIDS: tuple[Grid[Any], ...] = (sale.GRID, fuelling_point_table.GRID, session_table.GRID)
by_name = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)


class Nobody:
    """A model with a state and nothing else."""

    def __init__(self, state: Enum) -> None:
        self.state = state


class Stranger:
    """An event of no machine."""


@by_name
def test_no_cell_is_empty(grid: Grid[Any]) -> None:
    assert grid.holes() == []


@by_name
def test_every_cell_answers_in_words(grid: Grid[Any]) -> None:
    assert all(grid.answer(state, event) for state in grid.states for event in grid.events)


@by_name
def test_every_reason_is_a_sentence_of_its_own(grid: Grid[Any]) -> None:
    for state in grid.states:
        for event in grid.events:
            answer = grid.answer(state, event) or ""
            if "ignored: " in answer:
                reason = answer.split("ignored: ")[1]
                assert len(reason.split()) >= 2, (state, event)
                assert reason[0].islower(), reason
                assert not reason.endswith("."), reason


@by_name
def test_every_state_is_reached_from_the_first(grid: Grid[Any]) -> None:
    reached = {states_of(grid)[0]}
    while True:
        more = {rule.target for rule in grid.rules if rule.target is not None and reached & set(rule.sources)} - reached
        if not more:
            break
        reached |= more
    assert reached == set(states_of(grid))


@by_name
def test_an_event_of_another_machine_is_refused_and_changes_nothing(grid: Grid[Any]) -> None:
    for state in grid.states:
        model = Nobody(state)
        with pytest.raises(UnexpectedEvent, match="Stranger"):
            grid.fire(model, Stranger(), Instant(0))
        assert model.state is state


@by_name
def test_an_ignored_cell_changes_nothing(grid: Grid[Any]) -> None:
    for state in grid.states:
        for event in grid.events:
            if (grid.answer(state, event) or "").startswith("ignored: "):
                model = Nobody(state)
                assert grid.fire(model, object.__new__(event), Instant(0)) is False
                assert model.state is state
                assert set(vars(model)) == {"state"}
