"""Which scenario is played over which wires: in ``make test`` each over two of the four, turn by turn; ``make wires`` plays the others too.

A scenario that is ``steady`` is about one moment at a head. Where frames are lost the moment may be over (a price is put right before
anybody lifts), so it has two wires, and one of them in ``make test``.
"""

from __future__ import annotations

from tests.behaviour.binding import FEATURES, LATER, Scene, feature_id, read
from tests.behaviour.worlds import WIRES

ROWS = (*(f"F{number}" for number in range(31, 41)), "F62", "F64")
"""Of features.md, "Fuel", and of "Run it" what is about pumps."""
STEADY = "steady"
TURNS = (("perfect", "noisy"), ("bytewise", "lossy"))

SCENES: list[Scene] = [scene for file in sorted(FEATURES.glob("*.feature")) if feature_id(file) in ROWS for scene in read(file)]

Part = tuple[list[Scene], list[str]]
"""Scenarios, and the worlds that they are played in."""


def parts(*, rest: bool) -> list[Part]:
    """What ``make test`` plays, or the rest of it."""
    found: list[Part] = []
    for steady in (False, True):
        scenes = [scene for scene in SCENES if LATER not in scene.tags and (STEADY in scene.tags) is steady]
        for turn in (0, 1):
            names = TURNS[turn != rest]
            found.append((scenes[turn::2], [f"virtual/{name}" for name in names if not steady or name in ("perfect", "bytewise")]))
    return found


def played(parted: list[Part]) -> list[tuple[str, str]]:
    """Each scenario with each of its worlds."""
    return [(f"{scene.file.name}: {scene.key}", world) for scenes, worlds in parted for scene in scenes for world in worlds]


def all_of_them() -> list[tuple[str, str]]:
    """Each scenario with each wire that it can be played over."""
    built = [scene for scene in SCENES if LATER not in scene.tags]
    return [
        (f"{scene.file.name}: {scene.key}", f"virtual/{name}")
        for scene in built
        for name in WIRES
        if STEADY not in scene.tags or name in ("perfect", "bytewise")
    ]
