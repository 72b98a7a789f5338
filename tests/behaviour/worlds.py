"""The worlds by name. A world is loaded only when it is played in."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

from tests.behaviour.world import Setup, World

WIRES = ("perfect", "bytewise", "lossy", "noisy")
"""What may lie between terminal and pumps in the virtual world (tests/virtual/wires.py); ``virtual/lossy`` names a world over one."""
WORLDS = {"virtual": "tests.virtual.world:VirtualWorld", "rig": "tests.rig.world:RigWorld"}
"""Name → ``module:class``. A further world may be named as ``module:class`` on the command line."""


class NoSuchWorld(LookupError):
    """The world is not there or cannot be loaded; the text says why."""


def load_world(name: str) -> Callable[[Setup], World]:
    """The class of this world. Raises NoSuchWorld."""
    name, over, wire = name.partition("/")
    if over:
        if name != "virtual" or wire not in WIRES:
            raise NoSuchWorld(f"wires lie in the virtual world only, and are {', '.join(WIRES)}")
        wired: Callable[..., World] = load_world(name)
        return functools.partial(wired, wire=wire)
    where = WORLDS.get(name, name)
    module_name, colon, class_name = where.partition(":")
    if not colon:
        raise NoSuchWorld(f"there is no world {name!r}; known are {', '.join(WORLDS)}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as problem:
        raise NoSuchWorld(f"the world {name!r} cannot be loaded: {problem}") from problem
    world = getattr(module, class_name, None)
    if not callable(world):
        raise NoSuchWorld(f"the world {name!r} cannot be loaded: {module_name} has no class {class_name}")
    made: Callable[[Setup], World] = world
    return made
