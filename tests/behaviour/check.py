"""The reading before a play: every step of every scenario is matched and its words are read, in a world where nothing happens.

So a file that is not understood is refused before anything moves, with file, line and the nearest step that is known.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import cast

from pytest_bdd.parser import Step

from tests.behaviour import steps as _steps  # noqa: F401  (fills KNOWN)
from tests.behaviour.binding import Problem, Scene
from tests.behaviour.stage import KNOWN, Kind, Known, NotSo, Stage
from tests.behaviour.values import Unclear
from tests.behaviour.world import Books, Setup, World

_EMPTY: dict[str, object] = {
    "wait": False,
    "refusals": (),
    "screens": (),
    "faults": (),
    "ledger_sales": (),
    "unattributed": (),
    "orders_taken": (),
    "ledger_tests": (),
    "proved": (),
    "live": (0, 0),
    "host_sales": 0,
    "host_open_authorizations": 0,
    "books": Books({}, {}, {}, 0, 0, (), ()),
}


class _Nowhere:
    """A world in which nothing happens and nothing is seen."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __getattr__(self, name: str) -> Callable[..., object]:
        return lambda *said, **named: _EMPTY.get(name)


def matching(kind: Kind, text: str) -> list[Known]:
    """The steps of the language that this text is; more than one would be a mistake of ours."""
    return [step for step in KNOWN if step.kind is kind and step.pattern.fullmatch(text)]


def check(scene: Scene) -> list[Problem]:
    """Everything in one scenario that cannot be understood."""
    examples = scene.examples()
    if not examples or (not scene.template.templated and scene.template.keyword in {"Scenario Outline", "Scenario Template"}):
        return [Problem(scene.file, scene.template.line_number, "the outline has no examples")]
    problems: list[Problem] = []
    for example in examples:
        stage = Stage(lambda setup: cast(World, _Nowhere(setup)))
        for step in scene.template.render(example).steps:
            problem = _check_step(scene, step, stage)
            if problem is not None and problem not in problems:
                problems.append(problem)
    return problems


def _check_step(scene: Scene, step: Step, stage: Stage) -> Problem | None:
    kind = Kind(step.type)
    found = matching(kind, step.name)
    if not found:
        return Problem(
            scene.file, step.line_number, f"no such step: {kind.value.title()} {step.name}\n    the nearest is:  {nearest(kind, step.name)}"
        )
    known = found[0]
    words: dict[str, object] = dict(cast("dict[str, object]", known.pattern.fullmatch(step.name).groupdict()))  # type: ignore[union-attr]
    if known.with_table:
        if step.datatable is None:
            return Problem(scene.file, step.line_number, f"the step needs a table: {kind.value.title()} {step.name}")
        words["datatable"] = step.datatable.raw()
    elif known.with_text:
        if step.docstring is None:
            return Problem(scene.file, step.line_number, f"the step needs a text: {kind.value.title()} {step.name}")
        words["docstring"] = step.docstring
    elif step.datatable is not None or step.docstring is not None:
        return Problem(scene.file, step.line_number, f"the step takes no table or text: {kind.value.title()} {step.name}")
    try:
        known.function(stage=stage, **words)
    except Unclear as problem:
        return Problem(scene.file, step.line_number, f"{kind.value.title()} {step.name}\n    {problem}")
    except NotSo:
        pass  # nothing is so where nothing happens; only the words were to be read
    return None


def _plain(text: str) -> str:
    """A step without what differs from use to use."""
    return re.sub(r"\b\d[\d.:-]*\b|…", "0", re.sub(r'"[^"]*"', '"0"', text)).lower()


def nearest(kind: Kind, text: str) -> str:
    """The known step most like this text, one of the same kind when it is as near."""
    plain = _plain(text)

    def likeness(spelt: tuple[Known, str]) -> float:
        step, spelling = spelt
        return difflib.SequenceMatcher(None, plain, _plain(spelling)).ratio() + (0.05 if step.kind is kind else 0.0)

    spellings = [(step, spelling) for step in KNOWN for spelling in (step.spelling, step.short) if spelling]
    best, spelling = max(spellings, key=likeness)
    return f"{best.kind.value.title()} {spelling}"
