"""AZT points in the forecourt: lines of their own beside DART's, paced, seen and commanded like all the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hal_sim.pump_lines import build_pumps
from hal_sim.scenario import CannotStart, Part
from tests.hal_sim.forecourt_kit import SCENARIO, Master, Rig
from tests.hal_sim.test_dispenser_command import Azt, opened

POINTS: list[dict[str, Any]] = [
    {"fp": 1, "nozzle": 1, "product": "GAZOLE", "price": 17290},
    {"fp": 2, "nozzle": 1, "product": "GAZOLE", "price": 17290, "protocol": "azt", "total_ml": 5_000},
    {"fp": 3, "nozzle": 1, "product": "GAZOLE", "price": 17290, "protocol": "azt", "bus": 2, "address": 1},
    {"fp": 3, "nozzle": 2, "product": "SP95", "price": 18900, "protocol": "azt", "bus": 2, "address": 225},
]
AZT_SCENARIO = SCENARIO | {
    "fuelling_points": POINTS,
    "azt": {"price_decimals": 3, "type": "3B", "answer_delay_ms": 0},
    "keypad": None,
    "badge": None,
    "display": None,
    "host": None,
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("forecourt"), AZT_SCENARIO)
    yield made
    assert made.close() == (0, "")


@pytest.fixture
def one(rig: Rig) -> Iterator[Azt]:
    with opened(rig.ready["ports"]["azt1"], "azt") as port:
        yield Azt(port)


def test_every_protocol_and_bus_has_its_own_line(rig: Rig) -> None:
    assert set(rig.ready["ports"]) == {"dart1", "azt1", "azt2"}
    assert rig.ready["fuelling_points"] == [
        {"fp": 1, "port": "dart1", "address": 0x50, "nozzles": [1]},
        {"fp": 2, "port": "azt1", "address": 2, "nozzles": [1], "protocol": "azt", "addresses": {"1": 2}},
        {"fp": 3, "port": "azt2", "address": 1, "nozzles": [1, 2], "protocol": "azt", "addresses": {"1": 1, "2": 225}},
    ]
    with Master(rig.ready["ports"]["dart1"]) as dart:
        assert dart.poll(0x50) == bytes.fromhex("5070FA")
    with opened(rig.ready["ports"]["azt2"], "azt") as port:
        master = Azt(port)
        assert [master.ask("5", address=address)[-6:] for address in (1, 225)] == ["001729", "001890"]
        assert master.ask("1", address=2) == ""


def test_a_fuelling_and_what_is_seen_of_it(rig: Rig, one: Azt) -> None:
    assert one.ask("T", "01000", 2) == "06"
    assert rig.pump(2)["preset"] == {"volume_ml": 10_000, "amount_minor": None}
    assert one.ask("2", address=2) == "06"
    assert rig.pump(2)["state"] == "authorized"
    rig.do("lift", fp=2, nozzle=1)
    rig.do("squeeze", fp=2, volume_ml=20_000)
    assert rig.do("wait_flow", fp=2, volume_ml=10_000)["ok"]
    assert one.ask("1", address=2) == "40"
    seen = rig.pump(2)
    assert (seen["fill_ml"], seen["fill_minor"], seen["totals_ml"], seen["valve"]) == (10_000, 1_729, {"1": 15_000}, "closed")
    assert one.ask("5", address=2) == "001000" + "00001729" + "001729"
    rig.do("hang_up", fp=2)
    assert one.ask("8", address=2) == "06"
    assert rig.pump(2)["state"] == "reset"


def test_nothing_is_quiet_before_the_new_state_was_asked_for(rig: Rig, one: Azt) -> None:
    assert one.ask("1", address=2) == "0"
    assert rig.do("quiet")["quiet"]
    rig.do("lift", fp=2, nozzle=1)
    assert not rig.do("quiet")["quiet"]
    assert one.ask("1", address=2) == "1"
    assert rig.do("quiet")["quiet"]
    rig.do("hang_up", fp=2)
    assert one.ask("1", address=2) == "0"


def test_bytes_take_the_time_of_a_line_of_4800(rig: Rig, one: Azt) -> None:
    """Twenty status requests of 9 characters and answers of 7, 11 bits each: 733 ms."""
    started = time.monotonic()
    for _ in range(20):
        assert one.ask("1", address=2) == "0"
    assert 0.733 <= time.monotonic() - started < 30


def test_a_habit_a_dose_and_fuel_that_is_taken(rig: Rig, one: Azt) -> None:
    assert rig.do("habit", fp=2, name="forgets_record") == {"ok": True}
    assert rig.do("take", fp=2, nozzle=1, volume_ml=500) == {"ok": True}
    assert one.ask("1", address=2) == "41"
    rig.do("power", fp=2, on=False)
    assert one.ask("1", address=2) == ""
    rig.do("power", fp=2, on=True)
    assert [one.ask("1", address=2), one.ask("4", address=2)] == ["0", "000000"]
    assert rig.do("dose", fp=2, nozzle=1, volume_ml=12_500) == {"ok": True}
    assert [one.ask("1", address=2), one.ask("X", address=2), one.ask("3", address=2)] == ["8", "001250", "06"]
    assert "forgets_record" not in rig.do("habit", fp=1, name="forgets_record", on=True)["error"]
    assert rig.do("dose", fp=1, nozzle=1, volume_ml=1)["error"] == "dose: this dispenser has no keys"


def test_noise_and_a_cut_drop(rig: Rig, one: Azt) -> None:
    rig.do("noise", fp=2, on=True, ppm=1_000_000)
    assert one.ask("1", address=2) != "0"
    rig.do("noise", fp=2, on=False)
    time.sleep(0.2)
    one.port.reset_input_buffer()
    assert one.ask("1", address=2) == "0"
    rig.do("line", fp=2, connected=False)
    assert one.ask("1", address=2) == ""
    rig.do("line", fp=2, connected=True)
    assert one.ask("1", address=2) == "0"


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"azt": {"price_decimals": 2}}, "fuelling point 2: a price of 17290 is no four digits with azt.price_decimals 2"),
        ({"azt": {"require_preset": True}}, "azt.require_preset: unknown"),
        ({"azt": {"price_decimals": 3, "type": "99"}}, "fuelling point 2: an AZT type is 3A...41"),
        ({"azt": {"price_decimals": 3, "type": "ZZ"}}, "azt.type is a code such as 3A"),
        (
            {"fuelling_points": [*POINTS, {**POINTS[0], "nozzle": 2, "protocol": "azt"}]},
            "fuelling point 1: the protocol is one of dart, azt",
        ),
        ({"fuelling_points": [{**POINTS[0], "protocol": "tokheim"}]}, "fuelling point 1: the protocol is one of dart, azt"),
        ({"fuelling_points": [{**POINTS[1], "address": 226}]}, "fuelling_points[0].address: a whole number of 1 to 225"),
        ({"fuelling_points": [POINTS[1], {**POINTS[1], "nozzle": 2}]}, "fuelling_points[1].address: a whole number of 1 to 225"),
        ({"fuelling_points": [POINTS[1], {**POINTS[1], "fp": 9, "address": 2}]}, "two positions at 2 of line azt1"),
    ],
)
def test_mistakes_in_the_scenario_are_named(change: dict[str, Any], mistake: str) -> None:

    scenario = AZT_SCENARIO | change
    with pytest.raises(CannotStart) as caught:
        build_pumps(scenario, Part("scenario", scenario))
    assert mistake in str(caught.value)
