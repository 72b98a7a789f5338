"""What the last plays of our own features gave, kept in ``build/features.json`` for the table of features.

Shape: ``{world: {file name: {title: {"outcome": "passed" | "failed", "seconds": 0.012, "later": false}}}}``.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.behaviour.binding import FEATURES, LATER, Scene, read
from tests.behaviour.worlds import WORLDS

RESULTS = FEATURES.parent.parent / "build" / "features.json"
Results = dict[str, dict[str, dict[str, dict[str, object]]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario played in one world. ``where`` and ``reason`` are empty when it passed."""

    scene: Scene
    title: str
    world: str
    passed: bool
    seconds: float
    line: int = 0
    step: str = ""
    reason: str = ""


def load(file: Path = RESULTS) -> Results:
    """The last results; empty when there are none or the file is not ours."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def keep(outcomes: Iterable[Outcome], file: Path = RESULTS) -> None:
    """Add these outcomes of our own files to the last ones; forget scenarios that their file no longer holds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several plays may end at once
        _keep(outcomes, file)


def _keep(outcomes: Iterable[Outcome], file: Path) -> None:
    results = load(file)
    touched: set[tuple[str, Path]] = set()
    for outcome in outcomes:
        if outcome.scene.file.parent != FEATURES or outcome.world not in WORLDS:
            continue
        touched.add((outcome.world, outcome.scene.file))
        titles = results.setdefault(outcome.world, {}).setdefault(outcome.scene.file.name, {})
        titles[outcome.title] = {
            "outcome": "passed" if outcome.passed else "failed",
            "seconds": round(outcome.seconds, 3),
            "later": LATER in outcome.scene.tags,
        }
    if not touched:
        return
    for world, source in touched:
        there = {scene.title(example) for scene in read(source) for example in scene.examples()}
        titles = results[world][source.name]
        results[world][source.name] = {title: kept for title, kept in titles.items() if title in there}
    write_json(file, results)


def write_json(file: Path, value: object) -> None:
    """Write a file whole or not at all: two runs at once must not leave half a table."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(value, out, indent=1, ensure_ascii=False, sort_keys=True)
        out.write("\n")
    os.chmod(name, 0o644)
    os.replace(name, file)
