"""How long a start takes with a full ledger and a big card list, and how soon a pump is safe after the program's death.

The list and the ledger are made as the benchmarks make them (``tests.bench.till``): every row is in the journal, in the tables and in the
outbox as if it had been played. The floor of a start is the same program on an empty folder.
"""

from __future__ import annotations

import configparser
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from terminal.core.events import ListsReady
from terminal.store.live_lists import LiveLists
from terminal.store.recovery import cards_file
from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.bench.lists import Shelf, import_once, tokens
from tests.bench.till import Till, unsent
from tests.endurance.drivers import BADGES, SETUP
from tests.endurance.world import EnduranceWorld
from tests.rig.process import TerminalEnded, wait_for
from tests.rig.station import Station

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "forecourt-terminal.service"
READY_S = 180.0
TRIES = 4
ROWS_A_SALE = 3
POINTS = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290),),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(BADGES[0], BADGES[0], "badge", "C1"),),
)
UNSENT_S = 600


@dataclass
class Report:
    """Times in milliseconds."""

    cards: int
    rows: int
    ready_ms: list[float] = field(default_factory=list)
    empty_ms: list[float] = field(default_factory=list)
    safe_ms: list[float] = field(default_factory=list)
    full_safe_ms: list[float] = field(default_factory=list)
    """The same with the full ledger, which is examined meanwhile, but the rig's own card list: a driver's badge is in no other."""
    restart_ms: float = 0.0
    peak_mib: int = 0
    """The most memory that one of the starts with the full ledger had in use."""


def fill(state: Path, cards: int, rows: int, epoch: str = "e1") -> int:
    """A ledger with at least so many rows and a live list of so many cards in this folder. Gives the rows it has."""
    shelf = Shelf(state.parent / "shelf")
    job = shelf.job(cards)
    target = state / f"cards-{epoch}-1.db"
    import_once(msgspec.structs.replace(job, target=str(target), version=1))
    known = [f"{token:032x}" for token in tokens(cards)]
    lists = LiveLists(state)
    lists.use(target.name)
    till = unsent(state, "ledger.db", lists, known, rows // ROWS_A_SALE + 1)
    _adopt(till, target.name, epoch, job.rows, job.content_hash)
    count = int(till.ledger.connection.execute("SELECT count(*) FROM journal").fetchone()[0])
    till.close()
    if lists.file is not None:
        lists.file.close()
    return count


def _adopt(till: Till, name: str, epoch: str, rows: int, content_hash: str) -> None:
    till.event(ListsReady(name, epoch, 1, rows, till.utc(), till.utc(), till.utc() + 3_600_000, content_hash))
    if cards_file(till.ledger) != name:
        raise RuntimeError(f"the list was not taken: {till.site.desk.faults.active}")


def measure(folder: Path, cards: int, rows: int, starts: int, tell: Callable[[str], None] = lambda _: None) -> Report:
    """So many starts on a full folder and on an empty one, in turns; then as many deaths. Raises StationError and what a rig raises."""
    report = Report(cards, rows)
    full = folder / "full"
    full.mkdir(parents=True)
    tell(f"making a list of {cards:,} cards and a ledger of {rows:,} rows")
    report.rows = fill(full, cards, rows)
    for name, took in (("full", report.ready_ms), ("empty", report.empty_ms)):
        station = Station(POINTS, start=False, toml=partial(_state, folder=folder / name))
        try:
            (folder / name).mkdir(exist_ok=True)
            for _ in range(starts):
                took.append(_start_ms(station, report))
                tell(f"{name}: ready after {took[-1]:.0f} ms")
        finally:
            station.close()
    report.restart_ms = restart_ms()
    report.safe_ms = safe_pumps(EnduranceWorld(SETUP), starts, report.restart_ms, tell)
    shutil.rmtree(full)
    full.mkdir()
    fill(full, 1_000, rows, epoch="e0")  # the host has a newer one
    world = _FullWorld(full)
    _await_sent(world, tell)
    report.full_safe_ms = safe_pumps(world, starts, report.restart_ms, tell)
    return report


class _FullStation(Station):
    """Its ledger is there before the program's first start, on a disk that has room for it."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self._full = folder
        super().__init__(setup)

    def _make_disk(self) -> None:
        shutil.copytree(self._full, self.state_dir)
        self._why_not = "the full ledger lies on the machine's own disk"


class _FullWorld(EnduranceWorld):
    def __init__(self, folder: Path) -> None:
        self._full = folder
        super().__init__(SETUP)

    def _make_station(self) -> Station:
        return _FullStation(self.setup, self._full)


def _await_sent(world: EnduranceWorld, tell: Callable[[str], None]) -> None:
    """Until the host has booked everything that the ledger came with: a start is to be timed, not its uploads."""
    before = -1

    def sent() -> bool:
        nonlocal before
        waiting = int((world.status() or {}).get("unsent", before))
        if waiting // 5_000 != before // 5_000:
            tell(f"{waiting:,} messages wait for the host")
        before = waiting
        return waiting == 0

    if not wait_for(sent, UNSENT_S, 0.5):
        world.close()
        raise TerminalEnded(f"{before} messages still wait for the host")


def _state(text: str, folder: Path) -> str:
    lines = [f'state_dir = "{folder}"' if line.startswith("state_dir") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def _start_ms(station: Station, report: Report) -> float:
    path = station.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path.unlink(missing_ok=True)
        manager.bind(str(path))
        manager.settimeout(READY_S)
        began = time.monotonic()
        station.terminal.start(NOTIFY_SOCKET=str(path))
        while not manager.recv(4096).decode().startswith("READY=1"):
            station.terminal.check()
        took = (time.monotonic() - began) * 1000
    process = station.terminal.process
    if process is not None:
        report.peak_mib = max(report.peak_mib, peak_mib(process.pid))
    station.terminal.stop(20)
    return took


def peak_mib(pid: int) -> int:
    """The most memory that this process had in use so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10


def restart_ms() -> float:
    """What the service manager waits before it starts the program anew: ``RestartSec`` of the unit."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    text = unit["Service"]["RestartSec"]
    return float(text.removesuffix("ms")) if text.endswith("ms") else float(text.removesuffix("s")) * 1000


def safe_pumps(world: EnduranceWorld, deaths: int, restart: float, tell: Callable[[str], None] = lambda _: None) -> list[float]:
    """Kill the program with a pump released; the time until the new one has asked that pump and taken its release over, or withdrawn it.

    The service manager's wait is in it. Closes the world.
    """
    took: list[float] = []
    try:
        for place in range(deaths):
            fp = random.Random(place).choice((1, 2, 3, 4))
            if not wait_for(lambda fp=fp: _free(world, fp), READY_S, 0.02):
                raise TerminalEnded(f"fuelling point {fp} does not come to rest: {world.status()}")
            _release(world, BADGES[place % len(BADGES)], fp)
            began = time.monotonic()
            os.kill(world.pid, signal.SIGKILL)
            time.sleep(restart / 1000)
            world.is_dead()
            world.start_only()
            if not wait_for(lambda fp=fp: _known(world, fp), READY_S, 0.005):
                raise TerminalEnded(f"fuelling point {fp} is still not known: {world.status()}")
            took.append((time.monotonic() - began) * 1000)
            tell(f"fuelling point {fp} known {took[-1]:.0f} ms after the death")
            world.hang_up(fp)
            world.await_ready()
    finally:
        world.close()
    return took


def _release(world: EnduranceWorld, badge: str, fp: int) -> None:
    for _ in range(TRIES):  # a badge that was taken away before a busy machine had read it is presented again
        world.present_badge(badge)
        if world.wait(lambda: world.asked() == "FUELLING POINT", 8_000):
            break
    else:
        raise TerminalEnded(f"no fuelling point was asked for: {world.screens()[-3:]}")
    world.choose(fp)
    world.lift(fp, 1)
    if not world.wait(lambda: world.release(fp) is not None, 60_000):
        raise TerminalEnded(f"no release: {world.screens()[-3:]}")


def _free(world: EnduranceWorld, fp: int) -> bool:
    """Ready for the next driver: the one before has hung up and his sale has ended."""
    status = world.status() or {}
    return any(point["fp"] == fp and point["available"] and not point["sale"] for point in status.get("fuelling_points", ()))


def _known(world: EnduranceWorld, fp: int) -> bool:
    status = world.status() or {}
    for point in status.get("fuelling_points", ()):
        if point["fp"] == fp:
            return point["state"] not in ("inoperative", "unknown") and bool(point["sale"] or point["available"])
    return False
