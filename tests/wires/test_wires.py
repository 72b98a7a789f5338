"""Every feature of the pumps over wires: perfect, byte by byte, 5 % loss, noise and flipped bits; each scenario over two of the four.

A world over a wire fails when its wire disturbed nothing (``tests/virtual/wires.py``), so a play that passes here was disturbed. Written
out: ``python -m tests.play F40 --wire lossy``. ``make wires`` plays each over all of its wires (``plan.py``, ``rest.py``).
"""

from __future__ import annotations

import pytest

from tests.behaviour.binding import bind, feature_id
from tests.behaviour.worlds import WIRES as NAMES
from tests.virtual.line import VirtualLine
from tests.virtual.wires import WIRES, WireKind
from tests.virtual.world import VirtualWorld
from tests.wires.plan import ROWS, SCENES, all_of_them, parts, played

pytest_plugins = ["tests.behaviour.steps", "tests.behaviour.plugin"]

for scenes, worlds in parts(rest=False):
    bind(scenes, worlds, globals())


def test_every_row_of_the_pumps_is_played() -> None:
    """A row without a feature would pass by not being there."""
    assert {feature_id(scene.file) for scene in SCENES} == set(ROWS)


def test_here_and_in_the_rest_each_is_played_once_over_each_of_its_wires() -> None:
    here, rest = played(parts(rest=False)), played(parts(rest=True))
    assert sorted(here + rest) == sorted(all_of_them())
    assert {scene for scene, _ in here} == {scene for scene, _ in all_of_them()}
    for name in NAMES:
        assert sum(world == f"virtual/{name}" for _, world in here) >= len(here) // 5


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
