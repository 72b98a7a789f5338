"""Every feature of the project on the rig: as ``tests/features/test_features.py`` plays them in the virtual world.

Real time is mostly waiting, so a few files are played at once, each in a process of its own; each scenario is a test here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.binding import FEATURES, LATER, Scene, read
from tests.play.jobs import Plays

JOBS = 4
SCENES: list[Scene] = [
    scene for file in sorted(FEATURES.glob("*.feature")) for scene in read(file) if scene.plays_in("rig") and LATER not in scene.tags
]
CASES: list[tuple[Path, str]] = [(scene.file, scene.title(example)) for scene in SCENES for example in scene.examples()]


@pytest.fixture(scope="module")
def plays(request: pytest.FixtureRequest) -> Iterator[Plays]:
    """The plays of the files whose scenarios were asked for, the longest first."""
    mine = [item for item in request.session.items if isinstance(item, pytest.Function) and "plays" in item.fixturenames]
    asked = {file for item in mine if isinstance(file := item.callspec.params["file"], Path)}
    files = sorted(asked, key=lambda file: (-sum(case[0] == file for case in CASES), file))
    started = Plays(files, "rig", JOBS, built=True)
    yield started
    started.close()


@pytest.mark.parametrize(("file", "title"), CASES, ids=[f"{file.stem}: {title}" for file, title in CASES])
def test_on_the_rig(plays: Plays, file: Path, title: str) -> None:
    """The scenario passes."""
    (told,) = [told for told in plays.of[file].result() if told["scenario"] == title]
    assert told["outcome"] == "passed", f"{file}:{told['line']}: {told['step']}\n    {told['reason']}"
