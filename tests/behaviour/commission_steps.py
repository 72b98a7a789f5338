"""Steps about the commissioning walk: a technician goes from head to head while the terminal is off. (F64.)

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.behaviour import values
from tests.behaviour.stage import Kind, Stage, known
from tests.behaviour.values import Unclear


def _seen(stage: Stage) -> Mapping[str, Any]:
    """The report of the last walk; the check before a play has none."""
    return stage.walked or {}


@known(Kind.WHEN, "the technician walks the fuelling points")
def _walks(stage: Stage) -> None:
    stage.walked = stage.world.commission({})


@known(Kind.WHEN, 'the technician walks the fuelling points and answers "{answer}" to "{question}"')
def _slips(stage: Stage, answer: str, question: str) -> None:
    stage.walked = stage.world.commission({question: answer})


@known(Kind.THEN, 'the commissioning report says "{result}"')
def _says(stage: Stage, result: str) -> None:
    wanted = values.one_of(result, ("OK", "FAILED", "INCOMPLETE"), "a result")
    stage.expect(lambda: _seen(stage).get("result") == wanted, 0, lambda: f"it says {_seen(stage).get('result')}: {_open(stage)}")


@known(Kind.THEN, 'the step "{step}" is {outcome:open|ok|failed|skipped}')
def _step(stage: Stage, step: str, outcome: str) -> None:
    found = {each["name"]: each for point in _seen(stage).get("points", ()) for each in point["steps"]}
    if found and step not in found:
        raise Unclear(f"there is no step {step!r}; there are {', '.join(found)}")
    stage.expect(lambda: found.get(step, {}).get("outcome") == outcome, 0, lambda: f"it is {found.get(step)}")


@known(Kind.THEN, "the technician was asked {count} questions", r"the technician was asked (?P<count>\d+) questions?")
def _asked(stage: Stage, count: str) -> None:
    wanted = values.whole(count, "a number")
    stage.expect(lambda: len(_seen(stage).get("asked", ())) == wanted, 0, lambda: f"he was asked {_seen(stage).get('asked')}")


def _open(stage: Stage) -> str:
    steps = [each for point in _seen(stage).get("points", ()) for each in point["steps"] if each["outcome"] != "ok"]
    return "; ".join(f"{each['name']} {each['outcome']} {each['why']}" for each in steps) or "every step is ok"
