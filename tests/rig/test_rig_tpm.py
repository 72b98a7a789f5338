"""The real program with a TPM: it says so, its PINs are right by that chip alone, and a ledger that is put back to yesterday's is found."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.rig.station import Station
from tests.rig.world import RigWorld
from tests.tpm.chip import Chip

BADGE = "04A1B2C3D4E5F6"
PIN = "4711"
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290),),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(BADGE, BADGE, "badge", "C1", pin=PIN),),
)


@pytest.fixture
def chip() -> Iterator[Chip]:
    folder = Path(tempfile.mkdtemp(prefix="tpm-"))
    made = Chip(folder)
    yield made
    made.off()
    shutil.rmtree(folder)


@pytest.fixture
def world(chip: Chip) -> Iterator[RigWorld]:
    class WithChip(Station):
        def __init__(self, setup: Setup, **more: Any) -> None:
            named = f'[keys]\ntpm = "{chip.device}"'
            toml: Callable[[str], str] = lambda text: text.replace("[keys]", named)  # noqa: E731
            super().__init__(setup, toml=toml, **more)

    class World(RigWorld):
        station_class: ClassVar[type[Station]] = WithChip

    made = World(SETUP)
    yield made
    made.close()


def pin_key(world: RigWorld) -> str:
    status = world._terminal.status()
    return "" if status is None else str(status["pin_key"])


def told(world: RigWorld) -> str | None:
    """What the host has heard of it last."""
    state = world.act("terminal_state")["state"]
    return None if state is None else str(state["pin_key"])


def test_a_ledger_that_was_put_back_checks_no_pin_until_the_host_confirms_it(world: RigWorld, tmp_path: Path) -> None:
    assert world.wait(lambda: pin_key(world) == "tpm", 30_000)
    assert world.wait(lambda: told(world) == "tpm", 45_000)
    _let_in(world)

    assert world.stop_program() == 0
    state = world._station.state_dir
    yesterday = [Path(shutil.copy2(path, tmp_path)) for path in state.glob("ledger.db*")]
    world.return_power()
    _let_in(world)
    assert world.stop_program() == 0
    for path in state.glob("ledger.db*"):
        path.unlink()
    for path in yesterday:
        shutil.copy2(path, state)

    world.return_power()
    assert world.wait(lambda: pin_key(world) == "rolled back", 30_000)
    assert world.wait(lambda: told(world) == "rolled back", 45_000)
    world.present_badge(BADGE)
    assert world.wait(lambda: _refused(world), 30_000), world.screens()[-3:]
    assert world.asked() != "PIN"

    world.act("confirm_ledger", why="our technician did it")
    assert world.wait(lambda: pin_key(world) == "tpm", 30_000)
    world.wait(lambda: world.asked() is None, 10_000)
    world.pass_time(4_000)
    _let_in(world)
    assert BADGE not in world.log()


def _refused(world: RigWorld) -> bool:
    return any("Terminal pas prêt" in screen for screen in world.screens()[-3:])


def _let_in(world: RigWorld) -> None:
    """The badge, a wrong PIN, the right one, and away again."""
    world.present_badge(BADGE)
    assert world.wait(lambda: world.asked() == "PIN", 30_000), world.screens()[-3:]
    world.enter_pin("0000")
    assert world.wait(lambda: "encore" in world.screens()[-1].lower() or "essai" in world.screens()[-1].lower(), 30_000), world.screens()[
        -3:
    ]
    world.enter_pin(PIN)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000), world.screens()[-3:]
    world.cancel()
    assert world.wait(lambda: world.asked() is None, 45_000)
    world.pass_time(3_000)


def test_a_program_whose_chip_is_gone_serves_and_checks_no_pin(world: RigWorld, chip: Chip) -> None:
    assert world.stop_program() == 0
    chip.off()
    world.return_power()
    assert world.wait(lambda: pin_key(world) == "unavailable", 30_000)
    world.present_badge(BADGE)
    assert world.wait(lambda: _refused(world), 30_000), world.screens()[-3:]
