"""The builder refuses, before anything runs, what the library would accept and fail on in service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import pytest

from terminal.core.machine import Grid, Ignored, Rule, TableError, UnexpectedEvent
from terminal.core.units import Instant


class Lamp(Enum):
    OFF = "off"
    ON = "on"


class Other(Enum):
    OFF = "off"


@dataclass(frozen=True)
class Pressed:
    pass


@dataclass(frozen=True)
class Broken:
    pass


class Model:
    def __init__(self) -> None:
        self.state = Lamp.OFF
        self.seen: list[tuple[Lamp, Instant]] = []
        self.willing = True

    def note(self, event: object, at: Instant) -> None:
        self.seen.append((self.state, at))

    def may(self, event: object, at: Instant) -> bool:
        return self.willing


def lamp(*rules: Rule[Lamp], ignored: tuple[Ignored[Lamp], ...] = (), events: tuple[type, ...] = (Pressed, Broken)) -> Grid[Lamp]:
    return Grid("Lamp", Lamp, events, rules, ignored)


def test_a_rule_moves_the_model_after_its_action() -> None:
    model = Model()
    assert lamp(Rule(Pressed, (Lamp.OFF,), Lamp.ON, Model.note)).fire(model, Pressed(), Instant(5))
    assert (model.state, model.seen) == (Lamp.ON, [(Lamp.OFF, Instant(5))])


def test_a_rule_without_target_stays() -> None:
    model = Model()
    assert lamp(Rule(Pressed, (Lamp.OFF,), None, Model.note)).fire(model, Pressed(), Instant(5))
    assert (model.state, len(model.seen)) == (Lamp.OFF, 1)


def test_rules_are_tried_in_order_and_the_reason_stands_behind_them() -> None:
    grid = lamp(Rule(Pressed, (Lamp.OFF,), Lamp.ON, guard=Model.may), ignored=(Ignored((Pressed,), (Lamp.OFF,), "nobody is willing"),))
    model = Model()
    model.willing = False
    assert grid.fire(model, Pressed(), Instant(0)) is False
    stayed = model.state
    model.willing = True
    assert grid.fire(model, Pressed(), Instant(0))
    assert (stayed, model.state) == (Lamp.OFF, Lamp.ON)
    assert grid.answer(Lamp.OFF, Pressed) == "→ ON when guarded; ignored: nobody is willing"


@pytest.mark.parametrize("willing", [True, False])
@pytest.mark.parametrize("state", list(Lamp))
@pytest.mark.parametrize("event", [Pressed(), Broken()])
def test_the_library_alone_would_do_the_same(state: Lamp, event: object, willing: bool) -> None:
    grid = lamp(
        Rule(Pressed, (Lamp.OFF,), Lamp.ON, Model.note, Model.may),
        Rule(Pressed, (Lamp.OFF,), None, Model.note),
        Rule(Pressed, (Lamp.ON,), Lamp.OFF, guard=Model.may),
        Rule(Broken, tuple(Lamp), Lamp.OFF, Model.note),
        ignored=(Ignored((Pressed,), (Lamp.ON,), "nobody is willing"),),
    )
    ours, theirs = Model(), Model()
    ours.state = theirs.state = state
    ours.willing = theirs.willing = willing
    assert grid.fire(ours, event, Instant(3)) is grid.trigger(theirs, event, Instant(3))
    assert (ours.state, ours.seen) == (theirs.state, theirs.seen)


def test_an_empty_cell_raises_and_changes_nothing() -> None:
    model = Model()
    grid = lamp(Rule(Pressed, (Lamp.ON,), Lamp.OFF, Model.note))
    with pytest.raises(UnexpectedEvent, match="Lamp: Pressed in OFF"):
        grid.fire(model, Pressed(), Instant(0))
    assert (model.state, model.seen) == (Lamp.OFF, [])


def test_a_guard_that_fails_with_no_reason_behind_it_is_a_hole_and_raises() -> None:
    grid = lamp(Rule(Pressed, tuple(Lamp), Lamp.ON, guard=Model.may), ignored=(Ignored((Broken,), tuple(Lamp), "it is only a lamp"),))
    assert grid.holes() == [(Lamp.OFF, Pressed), (Lamp.ON, Pressed)]
    model = Model()
    model.willing = False
    with pytest.raises(UnexpectedEvent):
        grid.fire(model, Pressed(), Instant(0))
    assert model.state is Lamp.OFF


def test_two_models_of_one_grid_do_not_touch_each_other() -> None:
    grid = lamp(Rule(Pressed, (Lamp.OFF,), Lamp.ON))
    one, two = Model(), Model()
    grid.fire(one, Pressed(), Instant(0))
    assert (one.state, two.state) == (Lamp.ON, Lamp.OFF)


foreign = cast(Any, Other.OFF)
word = cast(Any, "ON")


@pytest.mark.parametrize(
    ("rules", "ignored", "why"),
    [
        ((Rule(Pressed, (word,), Lamp.ON),), (), "'ON' is not a state"),
        ((Rule(Pressed, (Lamp.OFF,), word),), (), "'ON' is not a state"),
        ((Rule(Pressed, (foreign,), Lamp.ON),), (), "Other.OFF"),
        ((Rule(Pressed, (Lamp.OFF,), foreign),), (), "Other.OFF"),
        ((Rule(Pressed, (), Lamp.ON),), (), "without a source"),
        ((Rule(int, (Lamp.OFF,), Lamp.ON),), (), "int is not an event"),
        ((), (Ignored((int,), (Lamp.OFF,), "no number"),), "int is ignored but is not an event"),
        ((), (Ignored((Pressed,), (foreign,), "no lamp"),), "is ignored but is not an event"),
        ((), (Ignored((Pressed,), (Lamp.OFF,), ""),), "without a reason"),
        ((), (Ignored((Pressed,), (Lamp.OFF,), "once"), Ignored((Pressed,), (Lamp.OFF,), "twice")), "ignored twice"),
        ((Rule(Pressed, (Lamp.OFF,), Lamp.ON), Rule(Pressed, (Lamp.OFF,), None)), (), "stands behind an unguarded rule"),
        ((Rule(Pressed, (Lamp.OFF,), Lamp.ON), Rule(Pressed, (Lamp.OFF,), None, guard=Model.may)), (), "stands behind an unguarded rule"),
        ((Rule(Pressed, (Lamp.OFF,), Lamp.ON),), (Ignored((Pressed,), (Lamp.OFF,), "and yet"),), "both moves and is ignored"),
    ],
)
def test_a_bad_table_is_refused(rules: tuple[Rule[Lamp], ...], ignored: tuple[Ignored[Lamp], ...], why: str) -> None:
    with pytest.raises(TableError, match=why):
        lamp(*rules, ignored=ignored)


def test_two_events_of_one_name_are_refused() -> None:
    with pytest.raises(TableError, match="one name"):
        lamp(events=(Pressed, type("Pressed", (), {})))


def test_the_library_adds_nothing_of_its_own() -> None:
    model = Model()
    grid = lamp(Rule(Pressed, (Lamp.OFF,), Lamp.ON))
    grid.fire(model, Pressed(), Instant(0))
    assert set(vars(model)) == {"state", "seen", "willing"}
