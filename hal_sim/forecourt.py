"""The whole forecourt in one process: pumps, badge reader, display, keypad and host, each behind what the terminal really opens.

``firmware_notes/rig.md`` says how the scenario is written and what is printed; ``hal_sim/control.py`` obeys commands.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from hal_sim.badge.catalogue import Badges
from hal_sim.badge.pn532 import Pn532
from hal_sim.card_parts import CardParts
from hal_sim.clock import HostClock, monotonic_ms, true_utc_ns, utc_ms_of_local
from hal_sim.display.pictures import WatchedLk204
from hal_sim.host import HostBook, HostServer, ScenarioError
from hal_sim.keypad.layout import ALL_CODES, Layout
from hal_sim.keypad.testbed import InputDevice, InputFailed, InputIdentity, InputTestbed
from hal_sim.pty_port import Loop, PtyPort, WireLog
from hal_sim.pump_lines import Point, build_pumps
from hal_sim.scenario import CannotStart, Part
from hal_sim.wallclock import BuildFailed, WallClock, build
from hal_sim.wire import FaultRates, Faults, LineRate

DISPLAY_RATE = LineRate(19200, 10)
KEYPAD = InputIdentity("keypad", 5, "KEYPAD ACME PIN16", "usb-0000:00:1a.0-1/input0", "KEYPAD1", ALL_CODES)
KEY_STOP = 128
BUTTON = InputIdentity("emergency stop", 7, "gpio-keys", "gpio-keys/input0", "BUTTON1", (KEY_STOP,))
BUILD_DIR = Path(__file__).resolve().parents[1] / "build" / "wallclock"


class Forecourt:
    """Builds every part that the scenario asks for. ``points`` by number; ``loop`` is to be stepped by the caller; ``close`` ends all."""

    def __init__(self, scenario: dict[str, Any], directory: Path) -> None:
        """Raises CannotStart; nothing is left behind then."""
        self.directory = directory.resolve()
        self.loop = Loop()
        self.points: dict[int, Point] = {}
        self.bus_ports: dict[str, PtyPort] = {}
        self.reader: Pn532 | None = None
        self.reader_port: PtyPort | None = None
        self.badges = Badges(0)
        self.display: WatchedLk204 | None = None
        self.inputs: InputTestbed | None = None
        self.keypad: InputDevice | None = None
        self.keypad_layout = Layout.MAIN
        self.button: InputDevice | None = None
        self.cards = CardParts()
        self.server: HostServer | None = None
        self.wall: WallClock | None = None
        self._logs: list[WireLog] = []
        self._links: dict[str, str] = {}
        self._random = Random(0)
        try:
            self._build(scenario)
        except CannotStart:
            self.close()
            raise
        except (OSError, InputFailed, BuildFailed, ScenarioError) as error:
            self.close()
            raise CannotStart(str(error)) from error

    # --- building

    def _build(self, scenario: dict[str, Any]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        whole = Part("scenario", scenario)
        self._random = Random(whole.whole("seed", 0, 0, 2**63))
        self.badges = Badges(whole.whole("seed", 0, 0, 2**63))
        self._log_wires = whole.flag("wire_log", False)
        self._open_clocks(scenario, whole)
        self._open_pumps(scenario, whole)
        self._open_reader(scenario.get("badge", {}))
        self._open_display(scenario.get("display", {}))
        self._open_keypad(scenario.get("keypad", {}))
        if whole.flag("emergency_input", False):
            self.button = self.input_testbed().add(BUTTON)
        self.cards.open_stripe(scenario.get("stripe"), self.input_testbed)
        self.cards.open_reader(scenario.get("card_reader"), self.directory, self.loop, self._wire_log)
        for device in (self.keypad, None if self.cards.stripe is None else self.cards.stripe.device):
            if device is not None:
                self.loop.add_timed(device)
        if scenario.get("host", {}) is not None:
            Part("host", scenario.get("host", {})).only("port")
            port = Part("host", scenario.get("host", {})).whole("port", 0, 0, 65535)
            self.server = HostServer(HostBook(scenario, self.host_clock.now_utc_ms), self.directory / "host", port=port)
            self.server.start()

    def _open_clocks(self, scenario: dict[str, Any], whole: Part) -> None:
        now_ns = true_utc_ns()
        self._wall_base_ns = 0
        start_ms = now_ns // 1_000_000
        if "local_time" in scenario:
            zone = whole.text("zone", None)
            try:
                start_ms = utc_ms_of_local(whole.text("local_time", None), zone)
            except ZoneInfoNotFoundError as error:
                raise CannotStart(f"scenario.zone: {zone} is no time zone") from error
            except ValueError as error:
                raise CannotStart(f"scenario.local_time: a time such as 2026-03-28T23:50:00 is expected ({error})") from error
            self._wall_base_ns = start_ms * 1_000_000 - now_ns
        self.host_clock = HostClock(start_ms)
        self._wall_library = build(BUILD_DIR)
        self.wall = WallClock(self.directory / "wall-clock", self._wall_base_ns)

    def _wire_log(self, name: str) -> WireLog | None:
        if not self._log_wires:
            return None
        self._logs.append(WireLog(self.directory / f"{name}.wire"))
        return self._logs[-1]

    def _port(self, name: str, device: Any, **options: Any) -> PtyPort:
        port = self.loop.add(PtyPort(device, self.directory / name, record=self._wire_log(name), **options))
        self._links[name] = str(port.link)
        return port

    def _open_pumps(self, scenario: dict[str, Any], whole: Part) -> None:
        pumps = build_pumps(scenario, whole)
        self.points = pumps.points
        for line in pumps.lines:
            self.bus_ports[line.name] = self._port(line.name, line.bus, rate=line.rate, parity=True)

    def _open_reader(self, section: object) -> None:
        if section is None:
            return
        part = Part("badge", section)
        part.only("latency_ms", "strict_speed")
        self.reader = Pn532(latency_ms=part.whole("latency_ms", 3, 0, 1000), strict_speed=part.flag("strict_speed", True))
        self.reader_port = self._port("pn532", self.reader)

    def _open_display(self, section: object) -> None:
        if section is None:
            return
        part = Part("display", section)
        part.only("code_page", "paced")
        try:
            self.display = WatchedLk204(part.text("code_page", "iso-8859-1"))
        except (LookupError, ValueError) as error:
            raise CannotStart(f"display.code_page: {error}") from error
        self._port("display", self.display, rate=DISPLAY_RATE if part.flag("paced", True) else None)

    def _open_keypad(self, section: object) -> None:
        if section is None:
            return
        part = Part("keypad", section)
        part.only("layout")
        try:
            self.keypad_layout = Layout(part.text("layout", Layout.MAIN.value))
        except ValueError as error:
            raise CannotStart(f"keypad.layout: one of {', '.join(each.value for each in Layout)} is expected") from error
        self.keypad = self.input_testbed().add(KEYPAD)

    def input_testbed(self) -> InputTestbed:
        """The one place where input devices are plugged in. Raises InputFailed."""
        if self.inputs is None:
            self.inputs = InputTestbed(self.directory)
        return self.inputs

    # --- what the terminal needs to know

    def describe(self) -> dict[str, Any]:
        """Paths, environment and keys: the one line that is printed at the start."""
        preloads: list[str] = []
        environment: dict[str, str] = {}
        parts = [self.inputs.environment()] if self.inputs is not None else []
        if self.wall is not None:
            parts.append(self.wall.environment(self._wall_library))
        for part in parts:
            preloads.append(part["LD_PRELOAD"])
            environment |= part
        environment["LD_PRELOAD"] = ":".join(preloads)
        environment |= self.cards.environment()
        return {
            "ready": True,
            "pid": os.getpid(),
            "dir": str(self.directory),
            "ports": self._links,
            "fuelling_points": [point.describe() for point in self.points.values()],
            "badges": self.badges.write_keys(self.directory / "badges"),
            "keypad": None if self.keypad is None else {"path": self.keypad.path, "phys": self.keypad.phys},
            "emergency_stop": None if self.button is None else {"path": self.button.path, "phys": self.button.phys, "code": KEY_STOP},
            **self.cards.describe(),
            "env": environment,
            "host": None if self.server is None else _host_paths(self.server),
        }

    # --- running

    def set_wall_offset(self, offset_ns: int) -> None:
        """Put the terminal's wall clock so far ahead of the scenario's time (behind when negative)."""
        if self.wall is not None:
            self.wall.offset_ns = self._wall_base_ns + offset_ns

    def pass_time(self, by_ms: int) -> None:
        """Put the host's and the terminal's wall clocks forward together; monotonic time runs on undisturbed."""
        self.host_clock.advance(by_ms)
        self._wall_base_ns += by_ms * 1_000_000
        if self.wall is not None:
            self.wall.offset_ns += by_ms * 1_000_000

    def set_noise(self, fp: int, on: bool, ppm: int) -> None:
        """Spoil so many transmissions per million, in both directions of the line that this point hangs on: a flipped bit, stray bytes."""
        port = self.bus_ports[self.points[fp].port]
        rates = FaultRates(flip=ppm, noise=ppm)
        port.to_device = Faults(rates, Random(self._random.getrandbits(64))) if on else None
        port.to_master = Faults(rates, Random(self._random.getrandbits(64))) if on else None

    def quiet(self) -> bool:
        """Nothing moves: no fuel flows, no pump has something unsaid, no badge is in the field."""
        now = monotonic_ms()
        for point in self.points.values():
            point.head.advance(now)
            if point.head.delivering or point.position.has_something:
                return False
        return self.reader is None or not self.reader.tags

    def close(self) -> None:
        """Stop everything. Safe to call twice and on a half-built forecourt."""
        if self.server is not None:
            self.server.stop()
            self.server = None
        self.cards.close()
        self.loop.close()
        if self.inputs is not None:
            self.inputs.close()
            self.inputs = None
        for log in self._logs:
            log.close()
        self._logs = []
        if self.wall is not None:
            self.wall.close()
            self.wall = None


def _host_paths(server: HostServer) -> dict[str, str]:
    return {
        "url": server.url,
        "ca": server.ca_path,
        "client_cert": server.client_cert_path,
        "client_key": server.client_key_path,
        "token_key": server.token_key_path,
        "pin_key": server.pin_key_path,
        "card_key": server.card_key_path,
        "list_key": server.list_key_path,
    }
