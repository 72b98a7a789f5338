"""Stripe and chip card reader as parts of a forecourt: scenario, refusals, and that no number comes back."""

from __future__ import annotations

import ctypes.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal_sim.card_parts import CardParts
from hal_sim.magstripe import wedge
from hal_sim.pty_port import Loop
from hal_sim.scenario import CannotStart
from hal_sim.smartcard.pcscd import DRIVER
from tests.hal_sim.forecourt_kit import SCENARIO, Rig

NUMBER = "7001231234567890123"
BARE: dict[str, Any] = {"badge": None, "display": None, "host": None}
needs_all = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("pcscd") is None or not DRIVER.exists() or ctypes.util.find_library("umockdev") is None,
    reason="umockdev, pcscd, vsmartcard-vpcd and root are needed",
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(
        tmp_path_factory.mktemp("cards"), SCENARIO | BARE | {"stripe": {"layout": "fr", "lrc": True}, "card_reader": {"proof": False}}
    )
    yield made
    assert made.close() == (0, "")


@needs_all
def test_what_the_terminal_is_told(rig: Rig) -> None:
    assert rig.ready["stripe_reader"] == {"path": "/dev/input/event6", "phys": "usb-0000:00:1a.0-2/input0", "layout": "fr", "lrc": True}
    assert rig.ready["card_reader"] == {"name": "Virtual PCD 00 00", "key": None, "version": 1, "authority": None}
    assert Path(rig.ready["env"]["PCSCLITE_CSOCK_NAME"]).is_socket()


@needs_all
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"do": "swipe"}, "number is missing"),
        ({"do": "swipe", "number": "12a4"}, "a stripe's number has 1 to 19 digits"),
        ({"do": "swipe", "number": "7" * 20}, "a stripe's number has 1 to 19 digits"),
        ({"do": "swipe", "number": NUMBER, "tracks": ["3"]}, "the tracks are 1 and 2"),
        ({"do": "swipe", "number": NUMBER, "fault": "magic"}, "fault is one of none, half"),
        ({"do": "swipe", "number": NUMBER, "second": "x"}, "a stripe's number"),
        ({"do": "insert", "number": NUMBER, "make": "gold"}, "the makes are fleet"),
        ({"do": "insert", "number": NUMBER, "protocol": "T=2"}, "T=0 or T=1"),
        ({"do": "insert", "number": NUMBER, "version": 32}, "version is 1 to 31"),
        ({"do": "insert", "number": ""}, "1 to 32 characters"),
        ({"do": "insert", "number": NUMBER, "expiry": "soon"}, "expiry"),
        ({"do": "insert", "number": NUMBER, "colour": "red"}, "unknown field colour"),
        ({"do": "pcscd"}, "running is missing"),
    ],
)
def test_what_cannot_be_obeyed_changes_nothing(rig: Rig, command: dict[str, Any], said: str) -> None:
    answer = rig.do(command["do"], **{name: value for name, value in command.items() if name != "do"})
    assert said in answer["error"]
    assert NUMBER not in answer["error"]
    assert rig.do("card_reader") == {"running": True, "card": False, "heard": []}


@needs_all
def test_a_slot_holds_one_card_also_without_its_service(rig: Rig) -> None:
    assert rig.do("insert", number=NUMBER) == {"ok": True}
    assert "a card is in already" in rig.do("insert", number=NUMBER)["error"]
    assert rig.do("pcscd", running=False)["running"] is False
    assert rig.do("card_reader")["card"]
    assert rig.do("pcscd", running=False)["running"] is False
    assert rig.do("pcscd", running=True)["running"] is True
    assert rig.do("take_out") == {"ok": True, "taken": True}
    assert rig.do("take_out") == {"ok": True, "taken": False}


@needs_all
def test_a_swipe_that_nobody_reads_blocks_nothing(rig: Rig) -> None:
    for _ in range(6):
        assert rig.do("swipe", number=NUMBER)["ok"]
    assert rig.do("quiet") == {"quiet": True}


def test_what_the_scenario_does_not_name_is_not_there(tmp_path: Path) -> None:
    bare = Rig(tmp_path, SCENARIO | BARE | {"keypad": None})
    assert (bare.ready["stripe_reader"], bare.ready["card_reader"]) == (None, None)
    assert "PCSCLITE_CSOCK_NAME" not in bare.ready["env"]
    assert bare.do("swipe", number=NUMBER) == {"error": "swipe: there is no stripe reader"}
    for command in ("insert", "take_out", "card_reader", "pcscd"):
        assert bare.do(command) == {"error": f"{command}: there is no card reader"}
    assert bare.close() == (0, "")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"layout": "de"}, "stripe.layout: one of us, fr"),
        ({"lrc": 1}, "stripe.lrc: true or false"),
        ({"speed": 1}, "stripe.speed: unknown"),
    ],
)
def test_a_mistake_in_the_scenario_is_named(section: object, said: str) -> None:
    with pytest.raises(CannotStart, match=said):
        CardParts().open_stripe(section, lambda: pytest.fail("nothing is plugged in before the section is right"))


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with pytest.raises(CannotStart, match="choose a shorter folder|apt-get"):
        CardParts().open_reader({}, deep, Loop())


@pytest.mark.parametrize(
    ("track", "character"),
    [(";1234567890123456=991212345678901?", None), ("%B1234567890123445^PADILLA/L.^99011200000000000000?", None), (";?", "4")],
)
def test_the_check_character_makes_every_column_even(track: str, character: str | None) -> None:
    """ISO/IEC 7811-2, by its own definition: over all characters and the LRC itself no bit is left."""
    made = wedge.check_character(track)
    base, total = (0x20 if track[0] == "%" else 0x30), 0
    for each in track + made:
        total ^= ord(each) - base
    assert total == 0
    assert character in (None, made)
