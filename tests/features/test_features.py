"""Plays every feature file of this folder in the virtual world; what is tagged @later is not built yet and stays out here.

``tests/rig/test_rig_features.py`` plays them on the rig, a few at once; ``python -m tests.play`` plays the same files, the @later ones too.
"""

from __future__ import annotations

import pytest

from tests.behaviour.binding import FEATURES, LATER, Scene, bind, read
from tests.behaviour.check import check
from tests.behaviour.worlds import WORLDS

pytest_plugins = ["tests.behaviour.steps", "tests.behaviour.plugin"]

SCENES: list[Scene] = [scene for file in sorted(FEATURES.glob("*.feature")) for scene in read(file)]

bind([scene for scene in SCENES if LATER not in scene.tags], [world for world in WORLDS if world != "rig"], globals())


@pytest.mark.parametrize("scene", SCENES, ids=[f"{scene.file.stem}: {scene.key}" for scene in SCENES])
def test_is_understood(scene: Scene) -> None:
    """Every scenario, also a later one, is written in the language."""
    assert [str(problem) for problem in check(scene)] == []


def test_each_title_stands_once_in_its_file() -> None:
    """The results are kept by title."""
    titles = [(scene.file.name, scene.title(example)) for scene in SCENES for example in scene.examples()]
    assert sorted(titles) == sorted(set(titles))
