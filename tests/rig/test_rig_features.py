"""Every feature of the project on the rig, a few scenarios of each: the first, the last and what stands between at even distances.

``make rig`` plays all of them, which takes longer than ``make test`` may. Real time is mostly waiting, so a few files are played at once,
each in a process of its own; each scenario is a test here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.binding import FEATURES, LATER, Scene, read
from tests.play.jobs import Plays

JOBS = 4
MOST = 3
SCENES: list[Scene] = [
    scene for file in sorted(FEATURES.glob("*.feature")) for scene in read(file) if scene.plays_in("rig") and LATER not in scene.tags
]
EVERY: list[tuple[Path, str]] = [(scene.file, scene.title(example)) for scene in SCENES for example in scene.examples()]


def some(cases: list[tuple[Path, str]], most: int = MOST) -> list[tuple[Path, str]]:
    """At most so many, evenly spread, first and last among them."""
    if len(cases) <= most:
        return cases
    return [cases[round(place * (len(cases) - 1) / (most - 1))] for place in range(most)]


CASES: list[tuple[Path, str]] = [
    case for file in dict.fromkeys(file for file, _ in EVERY) for case in some([case for case in EVERY if case[0] == file])
]


@pytest.fixture(scope="module")
def plays(request: pytest.FixtureRequest) -> Iterator[Plays]:
    """The plays of the files whose scenarios were asked for, the longest first."""
    mine = [item for item in request.session.items if isinstance(item, pytest.Function) and "plays" in item.fixturenames]
    asked: dict[Path, list[str]] = {}
    for item in mine:
        file, title = item.callspec.params["file"], item.callspec.params["title"]
        if isinstance(file, Path) and isinstance(title, str):
            asked.setdefault(file, []).append(title)
    files = sorted(asked, key=lambda file: (-len(asked[file]), file))
    started = Plays(files, "rig", JOBS, built=True, only=asked)
    yield started
    started.close()


@pytest.mark.parametrize(("file", "title"), CASES, ids=[f"{file.stem}: {title}" for file, title in CASES])
def test_on_the_rig(plays: Plays, file: Path, title: str) -> None:
    """The scenario passes."""
    (told,) = [told for told in plays.of[file].result() if told["scenario"] == title]
    assert told["outcome"] == "passed", f"{file}:{told['line']}: {told['step']}\n    {told['reason']}"
