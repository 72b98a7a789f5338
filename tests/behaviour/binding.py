"""Feature files in, scenarios out: read with pytest-bdd's parser and bound to pytest as test functions.

Two things that pytest-bdd does not do are done here: scenarios of the same name (legal in Gherkin) all count, and tags stay ours
instead of becoming pytest marks, so that a file from any folder may carry any tag.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_bdd.feature
from pytest_bdd.exceptions import GherkinParseError
from pytest_bdd.parser import Feature, FeatureParser, ScenarioTemplate

FEATURES = Path(__file__).resolve().parent.parent / "features"
"""Our own feature files; the table of features counts these."""
_ID = re.compile(r"(F\d\d+)(?:_|$)")
NOT_HERE = "machine"
"""Scenarios with this tag need a virtual machine and are played in neither world."""
LATER = "later"
"""Scenarios with this tag state what is not built yet: the ordinary run leaves them out, the player plays them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that cannot be understood. ``line`` 0 stands for the file as a whole."""

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}: {self.what}" if self.line else f"{shown(self.file)}: {self.what}"


class NotUnderstood(Exception):
    """A file cannot be read as Gherkin."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def shown(file: Path) -> str:
    """A path as a person types it: relative to where he stands, when it is below."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def feature_id(file: Path) -> str:
    """``F14`` for ``F14_offline.feature``, else the file's name without its ending."""
    match = _ID.match(file.stem)
    return match[1] if match else file.stem


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario or outline of a file. ``key`` is its name, made unique within the file."""

    file: Path
    key: str
    tags: frozenset[str]
    template: ScenarioTemplate

    def title(self, example: dict[str, str]) -> str:
        """The name of one play; an outline whose name has no place for the example shows it behind."""
        name = self.template.render(example).name
        if not example or name != self.template.name:
            return name
        return f"{name} ({', '.join(example.values())})"

    def examples(self) -> list[dict[str, str]]:
        """One for each row of an outline; one empty for a plain scenario."""
        return [row for block in self.template.examples for row in block.as_contexts()] if self.template.templated else [{}]

    def plays_in(self, world: str) -> bool:
        """Whether the tags let it be played there: ``@virtual`` only there, ``@machine`` in neither."""
        return NOT_HERE not in self.tags and not ("virtual" in self.tags and world == "rig")


class _Parser(FeatureParser):
    """pytest-bdd's parser, where the second scenario of a name gets a name of its own instead of replacing the first."""

    def __init__(self, basedir: str, filename: str) -> None:
        super().__init__(basedir, filename, "utf-8-sig")
        self._names: set[str] = set()

    def parse_scenario(self, *given: object, **named: object) -> ScenarioTemplate:
        """The scenario under a name that this file has not had."""
        template = super().parse_scenario(*given, **named)  # type: ignore[arg-type]
        template.name = self._unique(template.name)
        return template

    def _unique(self, name: str) -> str:
        fresh, number = name, 1
        while fresh in self._names:
            number += 1
            fresh = f"{name} [{number}]"
        self._names.add(fresh)
        return fresh

    def parse(self) -> Feature:
        """The feature, each tagged block of examples as an outline of its own."""
        feature = super().parse()
        for name, template in list(feature.scenarios.items()):
            tagged = [block for block in template.examples if block.tags]
            if not tagged:
                continue
            template.examples = [block for block in template.examples if not block.tags]
            if not template.examples:
                del feature.scenarios[name]
                self._names.discard(name)
            for block in tagged:
                part = copy.copy(template)
                part.name, part.examples, part.tags = self._unique(name), [block], template.tags | block.tags
                feature.scenarios[part.name] = part
        return feature


def read(file: Path) -> tuple[Scene, ...]:
    """All scenarios of one file. Raises NotUnderstood: no such file, no UTF-8, no Gherkin, no scenario in it."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise NotUnderstood(Problem(file, 0, f"cannot be read: {problem.strerror}")) from None
    except UnicodeDecodeError as problem:
        raise NotUnderstood(Problem(file, 0, f"is not text in UTF-8: {problem.reason} at byte {problem.start}")) from None
    if all(not line.strip() or line.strip().startswith("#") for line in text.splitlines()):
        raise NotUnderstood(Problem(file, 0, "is empty"))
    base, name = os.path.split(file)
    try:
        feature = _Parser(base, name).parse()
    except GherkinParseError as problem:
        cause = problem.__cause__
        first = getattr(cause, "errors", None)
        said = str(first[0]) if first else problem.message
        raise NotUnderstood(Problem(file, problem.line, f"is not Gherkin: {said} — {problem.line_content.strip()!r}")) from None
    if not feature.scenarios:
        raise NotUnderstood(Problem(file, 0, "holds no scenario"))
    scenes = tuple(_scene(file, feature, key, template) for key, template in feature.scenarios.items())
    _untag(feature)
    # pytest-bdd binds scenarios out of this cache by file name; ours is the reading that lost nothing.
    pytest_bdd.feature.features[feature.filename] = feature
    return scenes


def _scene(file: Path, feature: Feature, key: str, template: ScenarioTemplate) -> Scene:
    rule = template.rule.tags if template.rule is not None else set()
    return Scene(file, key, frozenset(feature.tags | rule | template.tags), template)


def _untag(feature: Feature) -> None:
    feature.tags = set()
    for template in feature.scenarios.values():
        template.tags = set()
        if template.rule is not None:
            template.rule.tags = set()
        for block in template.examples:
            block.tags = set()


def bind(scenes: Iterable[Scene], worlds: Iterable[str], namespace: dict[str, object]) -> None:
    """Put one test function for each scenario into a module's namespace, parametrized by the worlds it plays in.

    The function carries its scenario as ``scene``. Plays in the rig are marked ``rig``. Needs a running pytest (pytest-bdd asks it for
    hooks).
    """
    worlds = tuple(worlds)
    for number, scene in enumerate(scenes, start=1):
        here = [world for world in worlds if scene.plays_in(world)]
        if here:
            name = re.sub(r"\W+", "_", f"test_{feature_id(scene.file)}_{scene.key}")
            namespace[name if name not in namespace else f"{name}_{number}"] = _function(scene, here)


def _function(scene: Scene, worlds: list[str]) -> Callable[..., object]:
    def played(world_name: str) -> None:
        """The steps have run before; ``world_name`` is asked for so that pytest makes one test for each world."""

    base, name = os.path.split(scene.file)
    function = pytest_bdd.scenario(name, scene.key, features_base_dir=base)(played)
    params = [pytest.param(world, marks=[pytest.mark.rig] if world == "rig" else []) for world in worlds]
    bound: Callable[..., object] = pytest.mark.parametrize("world_name", params)(function)
    bound.scene = scene  # type: ignore[attr-defined]
    return bound
