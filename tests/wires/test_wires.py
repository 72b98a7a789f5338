"""Every feature of the pumps over each of four wires: perfect, byte by byte, 5 % loss, noise and flipped bits.

A world over a wire fails when its wire disturbed nothing (``tests/virtual/wires.py``), so a play that passes here was disturbed. Written
out: ``python -m tests.play F40 --wire lossy``.
"""

from __future__ import annotations

import pytest

from tests.behaviour.binding import FEATURES, LATER, Scene, bind, feature_id, read
from tests.behaviour.worlds import WIRES as NAMES
from tests.virtual.line import VirtualLine
from tests.virtual.wires import WIRES, WireKind
from tests.virtual.world import VirtualWorld

pytest_plugins = ["tests.behaviour.steps", "tests.behaviour.plugin"]

ROWS = (*(f"F{number}" for number in range(31, 41)), "F62", "F64")
"""Of features.md, "Fuel", and of "Run it" what is about pumps."""

SCENES: list[Scene] = [scene for file in sorted(FEATURES.glob("*.feature")) if feature_id(file) in ROWS for scene in read(file)]

STEADY = "steady"
"""A scenario about one moment at a head: where frames are lost, the moment may be over (a price is put right before anybody lifts)."""

bind([scene for scene in SCENES if not {LATER, STEADY} & set(scene.tags)], [f"virtual/{wire}" for wire in NAMES], globals())
bind([scene for scene in SCENES if STEADY in scene.tags], ["virtual/perfect", "virtual/bytewise"], globals())


def test_every_row_of_the_pumps_is_played() -> None:
    """A row without a feature would pass by not being there."""
    assert {feature_id(scene.file) for scene in SCENES} == set(ROWS)


def test_the_wires_of_the_player_are_those_of_the_world() -> None:
    assert tuple(WIRES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_wire_that_did_nothing_fails_its_play(name: str) -> None:
    """Nothing was carried, so nothing was shown."""
    lines: list[VirtualLine] = []
    with pytest.raises(AssertionError, match="of 0 transmissions"):
        WireKind(name, lines).check()


def test_the_wires_are_where_the_plays_are() -> None:
    """What a world counts is what the pumps' lines have carried."""
    from tests.virtual.test_azt_heads import SETUP

    disturbed = {}
    for name in NAMES:
        world = VirtualWorld(SETUP, wire=name)
        world.pass_time(5_000)
        assert world.wire is not None
        disturbed[name] = world.wire.disturbed / world.wire.carried
        world.close()
    assert disturbed["perfect"] == 0
    assert disturbed["bytewise"] > 0.2  # a short answer of one byte arrives in one piece
    assert 0.02 < disturbed["lossy"] < 0.1
    assert 0.1 < disturbed["noisy"] < 0.3
