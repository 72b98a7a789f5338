"""One play: read and check all files, then run their scenarios through pytest-bdd and tell each outcome as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.behaviour.binding import FEATURES, NotUnderstood, Problem, Scene, read
from tests.behaviour.check import check
from tests.behaviour.plugin import Listener
from tests.behaviour.record import Outcome

ROOT = FEATURES.parent.parent


@dataclass(slots=True)
class Play:
    """What is to be played; ``scenes.py`` finds it here when pytest collects it."""

    scenes: list[Scene] = field(default_factory=list)
    world: str = "virtual"


CURRENT = Play()


def files_of(names: Sequence[str]) -> tuple[list[Path], list[Problem]]:
    """The feature files that the words of the command line name: a file, a folder, or an id such as F14."""
    files: list[Path] = []
    problems: list[Problem] = []
    for name in names:
        path = Path(name).resolve()
        if path.is_dir():
            found = sorted(path.rglob("*.feature"))
        elif path.exists() or os.sep in name or name.endswith(".feature"):
            found = [path]
        else:
            found = sorted(FEATURES.glob(f"{name.upper()}_*.feature"))
        if not found:
            problems.append(Problem(path, 0, "is no feature file, no folder with one, and no id of a feature of ours"))
        files.extend(file for file in found if file not in files)
    return files, problems


def understand(files: Sequence[Path]) -> tuple[list[Scene], list[Problem]]:
    """All scenarios of the files, and everything in them that cannot be understood."""
    scenes: list[Scene] = []
    problems: list[Problem] = []
    for file in files:
        try:
            read_here = read(file)
        except NotUnderstood as unread:
            problems.append(unread.problem)
            continue
        for scene in read_here:
            # Steps of a Background are read once for each scenario; one problem there is one problem.
            problems.extend(problem for problem in check(scene) if problem not in problems)
            scenes.append(scene)
    return scenes, problems


def play(
    scenes: Sequence[Scene], world: str, tell: Callable[[Outcome], None], trace: bool = False, only: Collection[str] = ()
) -> list[Outcome]:
    """Run the scenarios in order and return their outcomes. ``trace`` lets pytest print its own report of failures.

    ``only``: the titles to play; none named means all.

    The project's pytest options do not matter here: neither its configuration nor other people's plugins are loaded.
    """
    CURRENT.scenes, CURRENT.world = [scene for scene in scenes if scene.plays_in(world)], world
    listener = Listener(tell, frozenset(only))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-c", os.devnull, "--rootdir", str(ROOT), "--noconftest", "--capture=sys"]
    options += ["-q", "--tb=long"] if trace else ["-p", "no:terminal"]
    for plugin in ("no:cacheprovider", "pytest_bdd.plugin", "tests.behaviour.steps", "tests.behaviour.plugin"):
        options += ["-p", plugin]
    code = pytest.main([*options, str(Path(__file__).with_name("scenes.py"))], plugins=[listener])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise RuntimeError(f"the scenarios could not be run (pytest ended with {int(code)}); --trace shows why")
    return listener.outcomes
