"""Known bugs, planted one at a time into a copy of the product: the swarm must find each, or it sees nothing.

A plant is a replacement of source text in ``terminal/`` or ``drivers/``, listed in ``planted.toml``; the old text must occur exactly once.
The copy stands first on the path of a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.run import run

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("planted.toml")
COPIED = ("terminal", "drivers")
STEP_LIMIT_S = 1_800
FUELLINGS = 10

_SEARCH = """
import json, sys
from tests.simulation.run import run
import terminal
assert terminal.__file__.startswith(sys.argv[3]), terminal.__file__
for seed in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    failure = run(seed, int(sys.argv[4])).failure
    if failure is not None:
        print(json.dumps([seed, failure.name, failure.what]))
        break
"""


class PlantError(Exception):
    """A plant cannot be planted, or its run came to no end; the text is for people."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug: ``old`` becomes ``new`` in ``file``."""

    name: str
    file: str
    old: str
    new: str

    def occurrences(self) -> int:
        """How often the old text is in the file; it must be once."""
        return (ROOT / self.file).read_text(encoding="utf-8").count(self.old)


Plants = tuple[Plant, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The seed that showed it, after how many seeds, and the invariant that broke."""

    seed: int
    after: int
    by: str
    what: str


def load(only: str | None = None) -> Plants:
    """All plants, or the one of that name. Raises ``PlantError``."""
    with LIST.open("rb") as file:
        plants = tuple(Plant(**row) for row in tomllib.load(file)["plant"])
    chosen = tuple(plant for plant in plants if only in (None, plant.name))
    if not chosen:
        raise PlantError(f"no planted bug is called {only}; there are {', '.join(plant.name for plant in plants)}")
    return chosen


def search(plant: Plant, seeds: int, first: int = 1) -> Found | None:
    """Plant it and run seeds until one breaks. Raises ``PlantError``."""
    if plant.occurrences() != 1:
        raise PlantError(f"its old text is {plant.occurrences()} times in {plant.file}, not once: bring planted.toml up to date")
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        for name in COPIED:
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        target = Path(folder) / plant.file
        target.write_text(target.read_text(encoding="utf-8").replace(plant.old, plant.new), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
        try:
            done = subprocess.run(
                [sys.executable, "-c", _SEARCH, str(first), str(seeds), folder, str(FUELLINGS)],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=STEP_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PlantError(f"no end after {STEP_LIMIT_S} s") from error
    if done.returncode:
        raise PlantError(f"the search itself failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
    if not done.stdout.strip():
        return None
    seed, by, what = json.loads(done.stdout)
    healthy = run(seed, FUELLINGS).failure
    if healthy is not None:
        raise PlantError(f"seed {seed} breaks without the bug too ({healthy.name}): mend that first")
    return Found(seed, seed - first + 1, by, what)
