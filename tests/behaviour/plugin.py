"""The pytest side of a play: gives each scenario its world, and tells listeners how each one ended.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from typing import Any

import pytest
from pytest_bdd.parser import Feature, Scenario, Step

from tests.behaviour import record
from tests.behaviour.binding import Scene
from tests.behaviour.record import Outcome
from tests.behaviour.stage import NotSo
from tests.behaviour.values import Unclear
from tests.behaviour.world import Setup, World
from tests.behaviour.worlds import NoSuchWorld, load_world


@pytest.fixture
def make_world(world_name: str) -> Callable[[Setup], World]:
    """The class of the world that this test is parametrized with."""
    return load_world(world_name)


def plainly(problem: BaseException) -> str:
    """The reason of a failure in one or a few lines, without a traceback."""
    text = str(problem).strip()
    if isinstance(problem, (NotSo, Unclear, NoSuchWorld)):
        return text
    return f"the world broke: {type(problem).__name__}: {text}" if text else f"the world broke: {type(problem).__name__}"


class Listener:
    """A pytest plugin object: gathers an ``Outcome`` of every scenario and hands it to ``tell`` as it ends."""

    def __init__(self, tell: Callable[[Outcome], None] | None = None, only: Collection[str] = ()) -> None:
        """``only``: the titles of the scenarios to play; none named means all."""
        self._only = only
        self.outcomes: list[Outcome] = []
        self._tell = tell
        self._at: dict[str, tuple[int, str]] = {}
        self._why: dict[str, str] = {}
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what was not asked for."""
        if self._only:
            items[:] = [item for item in items if _title(item) in self._only]

    @pytest.hookimpl
    def pytest_bdd_before_step(self, request: pytest.FixtureRequest, feature: Feature, scenario: Scenario, step: Step) -> None:
        """Remember where the play is, so that any failure has a line."""
        self._at[request.node.nodeid] = (step.line_number, f"{step.keyword.strip()} {step.name}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep the first reason, and tell the outcome once everything of the scenario is put away."""
        report = yield
        scene = getattr(getattr(item, "function", None), "scene", None)
        if isinstance(scene, Scene):
            self._seconds[item.nodeid] = self._seconds.get(item.nodeid, 0.0) + call.duration
            if call.excinfo is not None and not report.passed:
                self._why.setdefault(item.nodeid, plainly(call.excinfo.value))
                if call.when == "call" and isinstance(call.excinfo.value, (NotSo, Unclear)):
                    line, step = self._at[item.nodeid]
                    report.longrepr = f"{scene.file}:{line}: {step}\n    {self._why[item.nodeid]}"
            if call.when == "teardown":
                self._end(item, scene)
        return report

    def _end(self, item: pytest.Item, scene: Scene) -> None:
        params = _params(item)
        line, step = self._at.pop(item.nodeid, (0, ""))
        why = self._why.pop(item.nodeid, None)
        outcome = Outcome(
            scene=scene,
            title=_title(item),
            world=str(params["world_name"]),
            passed=why is None,
            seconds=self._seconds.pop(item.nodeid),
            line=0 if why is None else line,
            step="" if why is None else step,
            reason=why or "",
        )
        self.outcomes.append(outcome)
        if self._tell is not None:
            self._tell(outcome)


def _params(item: pytest.Item) -> dict[str, Any]:
    params: dict[str, Any] = item.callspec.params  # type: ignore[attr-defined]
    return params


def _title(item: pytest.Item) -> str:
    scene = getattr(getattr(item, "function", None), "scene", None)
    return scene.title(_params(item).get("_pytest_bdd_example", {})) if isinstance(scene, Scene) else ""


def pytest_configure(config: pytest.Config) -> None:
    """Whoever loads this plugin keeps the table of features up to date."""
    config.pluginmanager.register(Keeper(), "features-keeper")


class Keeper(Listener):
    """Keeps the outcomes of a whole pytest run for the table of features."""

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        """Write them once."""
        record.keep(self.outcomes)
