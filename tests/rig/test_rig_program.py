"""What only real processes show: signals, the service manager's socket, locks, files and ports that are wrong, kills at any moment.

Every test ends with the program's log looked through: whatever happened, nothing in it is a traceback, and no number of a badge is in it.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from terminal.store.disk_room import BALLAST
from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.behaviour.told import books_differ
from tests.rig.clean_log import unexpected
from tests.rig.process import ROOT, wait_for
from tests.rig.station import Station
from tests.rig.world import RigWorld

BADGE = "04A1B2C3D4E5F6"
OTHER = "04B1B2C3D4E5F6"
WORDS = "TRUCK-0815"
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290), NozzleRow(2, "dart", 1, "GAZOLE", 17290)),
    customers=(CustomerRow("C1"),),
    cards=tuple(CardRow(number, number, "badge", "C1") for number in (BADGE, OTHER, WORDS)),
)
WATCHDOG_USEC = 900_000

Build = Callable[..., Station]


@pytest.fixture
def build() -> Iterator[Build]:
    """Stations that are closed whatever happens, and whose program's log is clean."""
    stations: list[Station] = []

    def make(*, start: bool = True, toml: Callable[[str], str] = lambda text: text, setup: Setup = SETUP) -> Station:
        station = Station(setup, start=start, toml=toml)
        stations.append(station)
        return station

    yield make
    logs = [station.terminal.logged() for station in stations]
    for station in stations:
        station.close()
    for log in logs:
        _is_clean(log)


@pytest.fixture
def world() -> Iterator[RigWorld]:
    """A rig with its people; the program's log is clean at the end."""
    made = RigWorld(SETUP)
    log = ""
    try:
        yield made
        log = made.log()
    finally:
        made.close()
    _is_clean(log)


def _is_clean(log: str) -> None:
    assert unexpected(log) == []
    for secret in (BADGE, OTHER, WORDS):
        assert secret not in log


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


# --- the service manager ------------------------------------------------------------------------------------------------------


def test_the_service_manager_hears_ready_the_watchdog_and_the_end(build: Build) -> None:
    station = build(start=False)
    path = station.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        station.power_on(NOTIFY_SOCKET=str(path), WATCHDOG_USEC=str(WATCHDOG_USEC))
        heard = _heard(manager)
        assert any(message.startswith("READY=1") and "STATUS=" in message for message in heard)
        times: list[float] = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            times += [time.monotonic()] * _heard(manager).count("WATCHDOG=1")
            time.sleep(0.02)
        gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
        assert len(times) >= 4
        assert max(gaps) < WATCHDOG_USEC / 1e6
        begun = time.monotonic()
        assert station.terminal.stop() == 0
        assert time.monotonic() - begun < 10
        assert "STOPPING=1" in _heard(manager)


def _heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_a_stop_during_a_fuelling_leaves_the_fuel_to_the_next_start(world: RigWorld) -> None:
    _release(world)
    world.flow(2, 5_000)
    assert world.stop_program() == 0
    world.flow(2, 7_500)
    world.hang_up(2)
    world.return_power()
    assert world.wait(lambda: not books_differ(world.books(), SETUP) and world.host_sales() == 1, 90_000)
    assert [sale.volume_ml for sale in world.ledger_sales()] == [12_500]


def _release(world: RigWorld, badge: str = BADGE, fp: int = 2) -> None:
    world.present_badge(badge)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000), world.screens()[-3:]
    world.choose(fp)
    world.lift(fp, 1)
    assert world.wait(lambda: world.release(fp) is not None, 45_000), world.screens()[-3:]


# --- files that are wrong -----------------------------------------------------------------------------------------------------


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a program that refuses to start."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in _lines(done.stderr) if line.startswith("Error: ")]
    return line


def test_a_second_program_on_the_same_ledger_is_refused_and_the_first_one_serves_on(build: Build) -> None:
    station = build()
    looks = station.forecourt.do("reader")["looks"]
    line = _refused(station.terminal.call("run"))
    assert "another program has the ledger open" in line
    status = station.terminal.status()
    assert status is not None
    assert status["state"] == "serving"
    assert wait_for(lambda: station.forecourt.do("reader")["looks"] > looks + 5, 5)
    assert all(point["available"] for point in status["fuelling_points"])
    assert status["faults"] == []


def test_a_ledger_that_is_none_is_named_and_kept(build: Build) -> None:
    station = build(start=False)
    ledger = station.state_dir / "ledger.db"
    garbage = random.Random(57).randbytes(20_000)
    ledger.write_bytes(garbage)
    line = _refused(station.terminal.call("run"))
    assert "ledger.db" in line
    assert "nothing of it can be saved" in line
    assert any(kept.read_bytes() == garbage for kept in station.state_dir.rglob("ledger.db*") if kept.is_file()), "never written to"


def test_an_unknown_name_in_the_configuration_is_named(build: Build) -> None:
    station = build(start=False, toml=lambda text: text.replace("probe_ms =", "probe_msec ="))
    for command in ("run", "check-config"):
        line = _refused(station.terminal.call(command))
        assert "probe_msec" in line
        assert "terminal.toml" in line


def test_a_missing_key_file_is_named(build: Build) -> None:
    station = build(start=False, toml=lambda text: re.sub(r'pin = ".*"', 'pin = "/nowhere/pin.key"', text))
    assert "/nowhere/pin.key" in _refused(station.terminal.call("run"))


def test_a_backup_that_cannot_be_made_is_told_and_kept_and_ends_with_a_good_one(build: Build, tmp_path: Path) -> None:
    """A file stands in the folder's place: served goes on, the status and the host hear why, a kill forgets nothing."""
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    station = build(toml=lambda text: text.replace("[storage]", f"[storage]\nbackup_dir = {json.dumps(str(taken / 'backup'))}"))

    def told() -> list[str]:
        status = station.terminal.status() or {"faults": []}
        return [fault["detail"] for fault in status["faults"] if fault["code"] == "BACKUP_FAILED"]

    def host_hears() -> bool:
        faults = (station.forecourt.do("host")["terminal_state"] or {}).get("faults", [])
        return any(fault["code"] == "BACKUP_FAILED" and "Not a directory" in fault["detail"] for fault in faults)

    assert wait_for(lambda: bool(told()) and host_hears(), 15), station.terminal.last_words()
    assert "Not a directory" in told()[0]
    assert station.ready()
    station.terminal.kill()
    taken.unlink()
    station.power_on()
    assert wait_for(lambda: (taken / "backup" / "ledger-backup.db").exists() and station.terminal.status() is not None and not told(), 15)
    told_of = [line for line in station.terminal.logged().splitlines() if "code=BACKUP_FAILED" in line]
    assert ["FaultRaised" in line for line in told_of] == [True, False], "raised in one life of the program, cleared in the next"


# --- a disk that fills ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk that can be filled needs root")
def test_whoever_comes_while_fuel_flows_does_not_cost_the_room_that_the_fill_needs(world: RigWorld) -> None:
    """Only a write that failed does."""
    ballast = world._station.state_dir / BALLAST
    _release(world)
    world.flow(2, 5_000)
    assert ballast.exists()
    world.disk_full(True)
    world.present_badge(OTHER)
    assert world.wait(lambda: "TERMINAL_NOT_READY" in world.refusals(), 30_000), world.screens()[-3:]
    assert ballast.exists() or wait_for(lambda: "event=BallastGiven" in world.log(), 5)
    world.flow(2, 7_500)
    world.hang_up(2)
    assert world.wait(lambda: [sale.volume_ml for sale in world.ledger_sales()] == [12_500], 60_000)


# --- ports ----------------------------------------------------------------------------------------------------------------------


def _ports(station: Station) -> dict[str, Path]:
    """Every port of the forecourt by the name of its fault."""
    ready = station.forecourt.ready
    keypad = Path(ready["env"]["UMOCKDEV_DIR"]) / ready["keypad"]["path"].lstrip("/")
    ports = {name: Path(path) for name, path in ready["ports"].items()}
    return {"badge-1": ports["pn532"], "keypad-1": keypad, "display-1": ports["display"], "dart": ports["dart1"]}


def _down(station: Station) -> set[str]:
    status = station.terminal.status() or {"faults": []}
    return {fault["subject"] for fault in status["faults"] if fault["code"] in ("DEVICE_DOWN", "PUMP_LINE_LOST")}


def test_ports_that_are_missing_at_the_start_cost_their_devices_and_come_back(build: Build) -> None:
    station = build(start=False)
    ports = _ports(station)
    for port in ports.values():
        port.rename(f"{port}.away")
    station.terminal.start()
    missing = {"badge-1", "keypad-1", "display-1", "fp 1", "fp 2"}
    assert wait_for(lambda: missing <= _down(station), 15), station.terminal.status()
    status = station.terminal.status()
    assert status is not None
    assert status["state"] == "serving"
    assert {point["state"] for point in status["fuelling_points"]} == {"inoperative"}
    assert not any(point["available"] for point in status["fuelling_points"])
    for port in ports.values():
        Path(f"{port}.away").rename(port)
    assert wait_for(lambda: not _down(station) and station.ready(), 25), station.terminal.status()
    assert wait_for(lambda: any("Bienvenue" in line for line in station.forecourt.do("display")["lines"]), 5)
    station.terminal.check()


def test_a_reader_that_falls_silent_is_told_and_found_again(world: RigWorld) -> None:
    world.act("reader", mute=True)
    assert world.wait(lambda: "DEVICE_DOWN" in world.faults(), 90_000)
    world.act("reader", mute=False, power_cycle=True)
    assert world.wait(lambda: "DEVICE_DOWN" not in world.faults(), 90_000)
    world.present_badge(BADGE)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000)


def test_a_reader_left_at_high_speed_by_a_kill_is_brought_back(world: RigWorld) -> None:
    assert world.act("reader")["baud"] == 921_600
    world.cut_power()
    assert world.act("reader")["baud"] == 921_600, "a kill gives nobody the time to set it back"
    world.return_power()
    world.present_badge(BADGE)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000)


@pytest.mark.parametrize("exchanges", [1, 2, 3])
def test_a_badge_torn_away_while_it_is_read_is_no_other_badge(world: RigWorld, exchanges: int) -> None:
    world.act("reader", tear_after=exchanges)
    world.act("present", number=WORDS, medium="badge", stays=True)
    assert world.wait(lambda: "MEDIUM_UNREADABLE" in world.refusals(), 30_000), world.screens()
    assert set(world.refusals()) == {"MEDIUM_UNREADABLE"}
    world.wait(lambda: False, 500)  # nobody is back with it sooner than that
    world.present_badge(WORDS)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000)


# --- kills ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_kill_at_any_moment_of_a_fuelling_loses_and_doubles_nothing(world: RigWorld, seed: int) -> None:
    """Three kills each, at moments that the seed chooses, some a few milliseconds behind a hang-up; then the books are compared."""
    chance = random.Random(seed)
    _release(world)
    wanted = 20_000
    world.act("squeeze", fp=2, volume_ml=wanted)
    for _ in range(3):
        world.wait(lambda: False, chance.randrange(50, 900))
        if chance.random() < 0.3 and world.act("pumps")["pumps"][1]["nozzle"]:
            world.hang_up(2)
            time.sleep(chance.random() / 10)
        world.cut_power()
        world.wait(lambda: False, chance.randrange(0, 600))
        world.return_power()
    world.wait(lambda: not world.act("pumps")["pumps"][1]["delivering"], 5_000)
    world.hang_up(2)
    assert world.wait(lambda: not books_differ(world.books(), SETUP), 90_000), books_differ(world.books(), SETUP)
    (sale,) = world.ledger_sales()
    assert world.books().pumps == {(2, 1): sale.volume_ml}
    assert not world.unattributed(2)
    assert world.host_sales() == 1
    assert world.wait(lambda: world.host_open_authorizations() == 0, 45_000)


# --- the other commands -----------------------------------------------------------------------------------------------------------


def test_status_says_what_runs_and_what_does_not(build: Build) -> None:
    station = build()
    done = station.terminal.call("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["state"], found["running"], found["clock"], found["host"]) == ("serving", True, "trusted", "reachable")
    words = station.terminal.call("status")
    assert words.returncode == 0
    assert "fuelling point 2: idle" in words.stdout
    station.terminal.stop()
    assert _refused(station.terminal.call("status")).count("is the terminal running?") == 1


def test_verify_finds_nothing_after_a_fuelling_and_a_kill(world: RigWorld) -> None:
    _release(world)
    world.flow(2, 12_500)
    world.hang_up(2)
    assert world.wait(lambda: world.host_sales() == 1, 90_000)
    world.cut_power()
    done = world.call("verify", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["findings"] == []
    assert [(book["fp"], book["sold_ml"]) for book in report["nozzles"] if book["sales"]] == [(2, 12_500)]


def test_verify_is_refused_while_the_terminal_runs(build: Build) -> None:
    assert "another program has the ledger open" in _refused(build().terminal.call("verify"))


def test_a_command_that_is_none_shows_examples() -> None:
    done = subprocess.run([sys.executable, "-m", "terminal", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0
    assert "python -m terminal run --config terminal.toml" in done.stdout


def test_two_rigs_at_once_do_not_meet() -> None:
    """The players of features run several worlds at the same time."""
    first, second = RigWorld(SETUP), RigWorld(replace(SETUP, terminal="OPT2"))
    try:
        first.present_badge(BADGE)
        assert first.wait(lambda: first.asked() == "FUELLING POINT", 30_000)
        assert second.asked() is None
    finally:
        first.close()
        second.close()
