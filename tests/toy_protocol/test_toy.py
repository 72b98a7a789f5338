"""A third protocol, added by one line: a fuelling through the real terminal over it, and one that the terminal slept through."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dispenser import registry
from drivers.events import Key, KeyPressed, MediumKind, MediumPresented, MediumRemoved
from hal_sim.dispensers.head import HeadOptions
from terminal.config import ConfigError, load
from terminal.pump_tool import Head as HandHead
from tests.bench.virtual import SCENARIO
from tests.toy_protocol.driver import TOY
from tests.toy_protocol.pump import emulate
from tests.toy_protocol.wire import MAX_FRAME, Decoder, Words, encode, numbers
from tests.virtual import pumps
from tests.virtual.forecourt import SIDE, Forecourt

ROOT = Path(__file__).resolve().parents[2]
POINTS = [{**row, "protocol": "toy"} for row in SCENARIO["fuelling_points"]] + [
    {"fp": 2, "nozzle": 2, "product": "SP95", "price": 18_990, "minimum_ml": 2_000, "protocol": "toy"}
]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    registry.register(TOY)  # the one line
    pumps.ADDED["toy"] = emulate
    yield
    del registry.PROTOCOLS["toy"], pumps.ADDED["toy"]


class Customer:
    """A driver at a station whose pumps speak the toy."""

    def __init__(self, folder: Path) -> None:
        self.station = Forecourt({**SCENARIO, "fuelling_points": POINTS}, folder, head_options=HeadOptions(rate_ml_per_min=40_000))
        self.station.begin()
        self.heap, self.terminal = self.station.heap, self.station.terminal

    def wait(self, duration_ms: int) -> None:
        self.heap.run_until(self.heap.now + duration_ms)

    def until(self, condition: object) -> None:
        assert callable(condition)
        assert self.heap.run_until(self.heap.now + 120_000, condition), self.terminal.screens[-3:]

    def choose(self, fp: int) -> None:
        self.terminal.post(MediumPresented(SIDE, MediumKind.BADGE, SCENARIO["cards"][0]["number"]))
        self.wait(300)
        self.terminal.post(MediumRemoved(SIDE, MediumKind.BADGE))
        for key in ("1", "2", "3", "4", "enter", str(fp), "enter"):
            self.terminal.post(KeyPressed(SIDE, Key(key)))
            self.wait(100)

    def free(self) -> bool:
        engine = self.terminal.engine
        return engine is not None and not engine.site.uploads.waiting and all(point.available for point in engine.site.points.values())

    def agree(self) -> list[int]:
        """What each sale of the host has, and that it is what the pumps counted."""
        sold = [int(sale["quantity_ml"]) for sale in self.station.book.sales()]
        assert sum(sold) == sum(head.total_ml(nozzle, self.heap.now) for head in self.station.heads.values() for nozzle in head.nozzles)
        return sold


def test_a_fuelling_from_the_badge_to_the_host(tmp_path: Path) -> None:
    driver = Customer(tmp_path)
    head = driver.station.heads[2]
    driver.choose(2)
    head.lift(1, driver.heap.now)
    driver.until(lambda: head.valve_open)
    assert head.preset != (None, None), "always with a preset"
    head.squeeze(30_000, driver.heap.now)
    driver.until(lambda: not head.delivering)
    head.hang_up(driver.heap.now)
    driver.until(driver.free)
    assert driver.agree() == [30_000]
    driver.terminal.power_off()


def test_a_restart_while_fuel_flows_completes_the_sale_once(tmp_path: Path) -> None:
    driver = Customer(tmp_path)
    head = driver.station.heads[1]
    driver.choose(1)
    head.lift(1, driver.heap.now)
    driver.until(lambda: head.valve_open)
    head.squeeze(20_000, driver.heap.now)
    driver.wait(5_000)
    driver.terminal.power_off()
    driver.wait(40_000)
    assert not head.delivering
    head.hang_up(driver.heap.now)
    driver.terminal.power_on()
    driver.until(driver.free)
    assert driver.agree() == [20_000]
    driver.station.position(1).connected = False
    driver.wait(5_000)
    engine = driver.terminal.engine
    assert engine is not None
    assert not engine.site.points[1].available
    driver.station.position(1).connected = True
    driver.until(driver.free)
    driver.terminal.power_off()


def test_the_configuration_and_the_hand_tool_know_it(tmp_path: Path) -> None:
    text = (ROOT / "systemd" / "terminal.example.toml").read_text(encoding="utf-8")
    text = (
        text.replace('# protocol = "dart" ', 'protocol = "toy" #')
        .replace("address = 0x50", "address = 1")
        .replace("address = 0x51", "address = 2")
    )
    path = tmp_path / "terminal.toml"
    path.write_text(text, encoding="utf-8")
    config = load(path)
    assert (config.line[0].protocol, config.line[0].baudrate, config.line[0].answer_window_ms) == ("toy", 9600, 100)
    own = '\n[[pump_profile]]\nname = "mine"\nprotocol = "toy"\n[pump_profile.head]\nvolume_decimals = 2\n'
    path.write_text(text + own, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"head\.volume_decimals: Toy heads have no such setting"):
        load(path)
    assert HandHead("toy", "/dev/null").at() == 1


def test_nothing_outside_its_folder_knows_of_it() -> None:
    found = subprocess.run(
        ["grep", "-rliE", "toy_protocol|protocol.*toy|toy.*protocol", "--include=*.py", "--include=*.toml", "--include=*.cfg", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    kept = {name for name in found if not name.startswith(("./.venv", "./build", "./tests/toy_protocol/"))}
    assert kept == {"./drivers/dispenser/registry.py"}, "only the registry's docstring points here"
    source = (ROOT / "drivers" / "dispenser" / "registry.py").read_text(encoding="utf-8")
    assert source.count("toy") == 1
    with pytest.raises(ValueError, match="called dart"):
        registry.register(type(TOY)(**{name: getattr(TOY, name) for name in TOY.__slots__} | {"name": "dart"}))


said = st.lists(st.integers(0, 10**8).map(str), max_size=5).map(lambda rest: ("S", *rest))
frames = st.builds(Words, st.integers(1, 99), said)


@given(st.lists(frames, max_size=4), st.binary(max_size=20), st.integers(1, 30))
def test_frames_in_any_pieces_behind_anything(values: list[Words], junk: bytes, size: int) -> None:
    wire = junk + b"\n" + b"".join(encode(value.address, *value.said) for value in values)
    decoder = Decoder()
    found = [item for start in range(0, len(wire), size) for item in decoder.receive(wire[start : start + size])]
    assert found[-len(values) :] == values or not values
    assert decoder.pending <= MAX_FRAME
    assert numbers(("S", "x"), "S", 1) is None
