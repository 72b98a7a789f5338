"""The terminal process on the simulated forecourt: how fast it answers, what it writes, what it needs.

The drivers of this run are served offline (the host is away), one after another, alternately at both pumps; at the end the host comes back
and the books must agree, or there are no figures. Instants: a command's is taken before it is written to the forecourt's process, a
display's or a line's is the emulator's own (``wire_log``), both of the machine's one monotonic clock.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from drivers.dispenser.dart.profile import LineProfile
from terminal.store.schema import PAGE_SIZE
from tests.bench import floors, wires, writes
from tests.bench.figures import Figure, percentile, spread
from tests.bench.virtual import facts_bytes
from tests.demo.station import Station, StationError

WARM_UP = 2
VOLUME_ML = 3_000
PIN = "1234"
SETTLE_S = 0.25
"""A person's pause: the display has drawn the digit, the keys are read."""
MEMORY_AFTER = 5
OFFLINE_SYNCS = ("PIN try", "hold and decision", "release", "fill")
PREPARE = "import requests, serial, nfc, evdev, sqlite_utils, transitions, click, msgspec, cryptography.hazmat.primitives.ciphers.aead"


def scenario(drivers: int) -> dict[str, Any]:
    """Two pumps that give 10 L/s, so many badges, and an unpaced display: its wire's time is reported apart."""
    return {
        "terminal": "OPT1",
        "site": "S1",
        "zone": "Europe/Paris",
        "currency": "EUR",
        "decimals": 2,
        "ml_per_min": 600_000,
        "fuelling_points": [{"fp": fp, "nozzle": 1, "product": "DIESEL", "price": 17_290} for fp in (1, 2)],
        "customers": [{"customer": "C1", "status": "active", "offline": "ALLOWED", "zone": None}],
        "cards": [_card(number) for number in range(drivers)],
        "display": {"paced": False},
        "wire_log": True,
    }


def _card(number: int) -> dict[str, Any]:
    return {"number": _badge(number), "medium": "badge", "customer": "C1", "status": "active", "pin": PIN, "offline": "ALLOWED"}


def _badge(number: int) -> str:
    return f"04A1B2C3D4{number:04X}"


@dataclass(slots=True)
class Found:
    """Raw values of a run."""

    chosen_ns: list[int] = field(default_factory=list)
    commit_bytes: list[int] = field(default_factory=list)
    commit_syncs: list[int] = field(default_factory=list)
    bare_ms: list[float] = field(default_factory=list)
    lifted: list[tuple[int, int]] = field(default_factory=list)
    ready_ms: float = 0.0
    serves_ms: float = 0.0
    resident_kib: int = 0
    resident_end_kib: int = 0
    written: writes.Counts = writes.Counts(0, 0, 0, 0)
    facts_bytes: float = 0.0
    idle_percent: float = 0.0
    idle_threads: list[dict[str, float]] = field(default_factory=list)
    idle_from_ns: int = 0
    idle_until_ns: int = 0
    wakes_per_s: float = 0.0


class Rig:
    """One run."""

    def __init__(self, folder: Path, library: Path, repetitions: int, tell: Callable[[str], None]) -> None:
        self.repetitions = repetitions
        self.tell = tell
        self.counters = folder / "writes"
        folder.mkdir(parents=True, exist_ok=True)
        self.notify = folder / "notify"
        self.station = Station(
            folder,
            scenario(repetitions + WARM_UP),
            extra="\n[times]\nnotice_ms = 300\n",
            host_extra="probe_ms = 3000\n",
            preload=str(library),
            environment={**writes.prepare(self.counters), "NOTIFY_SOCKET": str(self.notify)},
        )
        self.bare = floors.BareCommit(folder / "bare.db", PAGE_SIZE)
        self.found = Found()
        self._random = Random(1)

    def run(self, idle_s: float) -> Found:
        """Everything. Raises ``StationError`` when the station does not do what it must, the books included."""
        station = self.station
        try:
            station.open_forecourt()
            began = time.monotonic_ns()
            self.found.ready_ms = self._start()
            station.wait_ready()
            self.found.serves_ms = (time.monotonic_ns() - began) / 1e6
            station.do("host", reachable=False)
            self.tell(f"{self.repetitions} drivers, served offline")
            before = writes.read(self.counters)
            for number in range(self.repetitions + WARM_UP):
                self._driver(number, counted=number >= WARM_UP)
                if number + 1 == MEMORY_AFTER:
                    self.found.resident_kib = floors.Process(station.pid).resident_kib()
            station.do("host", restore=True)
            station.wait(lambda: station.status()["unsent"] == 0, 90_000, "the sales did not reach the host")
            self.found.written = writes.read(self.counters) - before
            if idle_s:
                self.tell(f"idle for {idle_s:g} s")
                self._idle(idle_s)
            self.found.resident_end_kib = floors.Process(station.pid).resident_kib()
            if not station.do("host_books")["agree"]:
                raise StationError("the books of the pumps and of the host do not agree: no figures")
            station.close_terminal()
            with closing(sqlite3.connect(station.folder / "state" / "ledger.db")) as db:
                self.found.facts_bytes = facts_bytes(db) / (self.repetitions + WARM_UP)
        finally:
            station.close()
            self.bare.close()
        return self.found

    def _start(self) -> float:
        with _notified(self.notify) as ready:
            began = time.monotonic_ns()
            self.station.open_terminal()
            return (ready() - began) / 1e6

    # --- one driver ---------------------------------------------------------------------------------------------------------

    def _driver(self, number: int, counted: bool) -> None:
        station, found, fp = self.station, self.found, 1 + number % 2
        station.wait_screen("Welcome")
        station.do("present", number=_badge(number), medium="badge")
        station.wait_screen("PIN")
        station.do("keys", keys=[*PIN, "enter"])
        station.wait_screen("Pump no.")
        station.do("keys", keys=[str(fp)])
        time.sleep(SETTLE_S)
        before = writes.read(self.counters)
        chosen = time.monotonic_ns()
        station.do("keys", keys=["enter"])
        station.wait_screen(f"Go to pump {fp}")
        time.sleep(SETTLE_S)
        written = writes.read(self.counters) - before
        if counted:
            found.chosen_ns.append(chosen)
            found.commit_bytes.append(written.bytes)
            found.commit_syncs.append(written.syncs)
            found.bare_ms.append(self.bare.once_ms(written.bytes))
        time.sleep(self._random.random() * 0.15)  # anywhere in a round
        lifted = time.monotonic_ns()
        station.do("lift", fp=fp, nozzle=1)
        if counted:
            found.lifted.append((lifted, fp))
        station.do("squeeze", fp=fp, volume_ml=VOLUME_ML)
        station.do("wait_flow", fp=fp, volume_ml=VOLUME_ML)
        station.do("hang_up", fp=fp)
        station.wait(lambda: _free(station, fp), 10_000, f"the sale of pump {fp} was not closed")

    def _idle(self, idle_s: float) -> None:
        found = self.found
        time.sleep(2)
        found.idle_from_ns = time.monotonic_ns()
        used = floors.Used(self.station.pid)
        time.sleep(idle_s)
        idle = used.since()
        found.idle_until_ns = time.monotonic_ns()
        found.idle_threads, found.idle_percent, found.wakes_per_s = idle.threads, idle.percent, idle.wakes_per_s


def figures(rig: Rig, found: Found) -> list[Figure]:
    """The raw values as figures beside their floors."""
    wire = rig.station.wires
    return [
        _go_to_pump(found, wires.records(wire / "display.wire")),
        _authorize(found, wires.frames(wires.records(wire / "dart1.wire"))),
        *_process(rig, found),
    ]


def _go_to_pump(found: Found, log: list[wires.Record]) -> Figure:
    drawn = list(wires.screens(log, "Go to pump"))
    first, full, sizes = [], [], []
    for chosen in found.chosen_ns:
        screen = next((each for each in drawn if each.full_ns > chosen), None)
        if screen is None:
            raise StationError("a driver's last key has no screen in the display's log")
        first.append((screen.first_ns - chosen) / 1e6)
        full.append((screen.full_ns - chosen) / 1e6)
        sizes.append(screen.size)
    size = int(percentile(sizes, 0.5))
    return Figure(
        "last key to 'go to pump'",
        "ms",
        percentile(first, 0.99),
        "p99; ENTER injected to the first byte at the display, hold durable, decided offline",
        percentile(found.bare_ms, 0.99),
        "p99; one synced commit of the same bytes on a bare SQLite file, after each driver",
        bar=20,
        detail={
            "first_byte_ms": spread(first),
            "whole_screen_ms": spread(full),
            "floor_ms": spread(found.bare_ms),
            "ratio_p50": round(percentile(first, 0.5) / percentile(found.bare_ms, 0.5), 2),
            "commit_bytes": spread(found.commit_bytes),
            "commit_syncs": spread(found.commit_syncs),
            "display_wire": {"bytes": size, "ms_at_19200": round(size * wires.DISPLAY_CHAR_MS, 1)},
        },
    )


def _authorize(found: Found, sent: list[wires.Sent]) -> Figure:
    line = LineProfile()
    took, exchanges = [], []
    for lifted, _ in found.lifted:
        place = wires.authorized_after(sent, lifted)
        exchange = None if place is None else wires.exchange_before(sent, place)
        if place is None or exchange is None:
            raise StationError("a lifted nozzle has no AUTHORIZE in the line's log")
        took.append((sent[place].at_ns - lifted) / 1e6)
        exchanges.append(exchange)
    rounds = wires.rounds_ms(sent, found.idle_from_ns, found.idle_until_ns)
    if not rounds:
        rounds = wires.rounds_ms(sent, 0, sent[-1].at_ns)
    exchange = wires.Exchange(
        percentile([each.answer_ms for each in exchanges], 0.5),
        int(percentile([each.data_chars for each in exchanges], 0.5)),
        int(percentile([each.command_chars for each in exchanges], 0.5)),
    )
    one_round, rest = percentile(rounds, 0.5), exchange.floor_ms(line.turn_round_ms, line.ack_turn_round_ms)
    worst = max(range(len(took)), key=took.__getitem__)
    place = wires.authorized_after(sent, found.lifted[worst][0])
    return Figure(
        "nozzle lifted to AUTHORIZE",
        "ms",
        percentile(took, 0.99),
        "p99; lifted at the emulator to the AUTHORIZE frame's last byte on the line",
        one_round + rest,
        "one idle poll round as measured, then poll, answer, DATA, ACK and command at 9600 8O1 with the configured turn-rounds",
        bar=1.5,
        bar_of_floor=True,
        detail={
            "ms": spread(took),
            "round_ms": spread(rounds),
            "exchange_ms": round(rest, 1),
            "characters": {"data": exchange.data_chars, "command": exchange.command_chars, "short": wires.SHORT_CHARS},
            "answer_ms": round(exchange.answer_ms, 1),
            "turn_round_ms": line.turn_round_ms,
            "ack_turn_round_ms": line.ack_turn_round_ms,
            "slowest": wires.between(sent, found.lifted[worst][0], place or 0),
        },
    )


def written_figure(name: str, value: float, facts: float, how: str, detail: Mapping[str, Any] | None = None) -> Figure:
    """Bytes a fuelling given to write on ledger and log."""
    what = "the journal's rows themselves, once"
    return Figure(name, "KiB/fuelling", value / 1024, f"bytes given to write; {how}", facts / 1024, what, bar=64, detail=detail or {})


def syncs_figure(name: str, value: float, needed: Sequence[str], how: str) -> Figure:
    """Syncs a fuelling; the floor counts what must be durable before something else may happen."""
    return Figure(name, "/fuelling", value, f"fsync and fdatasync; {how}", len(needed), f"one each: {', '.join(needed)}", bar=6)


def _process(rig: Rig, found: Found) -> list[Figure]:
    fuellings = rig.repetitions + WARM_UP
    written = found.written
    bare_kib = floors.interpreter_kib(PREPARE)
    offline = "served offline, checkpoints and uploads included"
    log_share, each = written.log_bytes / max(1, written.bytes), written.writes / fuellings
    detail = {"fuellings": fuellings, "log_share": round(log_share, 2), "writes": round(each, 1)}
    found_figures = [
        Figure(
            "resident memory",
            "MiB",
            found.resident_kib / 1024,
            f"VmRSS after {MEMORY_AFTER} fuellings",
            bare_kib / 1024,
            "a bare interpreter that has imported the same libraries",
            bar=64,
            detail={"at_the_end_mib": round(found.resident_end_kib / 1024, 1), "fuellings_until_then": fuellings},
        ),
        written_figure("written on the ledger", written.bytes / fuellings, found.facts_bytes, offline, detail),
        syncs_figure("syncs of the ledger", written.syncs / fuellings, OFFLINE_SYNCS, offline),
        Figure(
            "start to READY",
            "ms",
            found.ready_ms,
            "exec to systemd's READY=1",
            floors.interpreter_ms(PREPARE),
            "a bare interpreter that imports the same libraries, best of 5",
            detail={"serves_a_driver_ms": round(found.serves_ms), "bare_interpreter_ms": round(floors.interpreter_ms("pass"))},
        ),
        Figure(
            "import of the program",
            "ms",
            floors.interpreter_ms("import terminal.app"),
            "interpreter start and 'import terminal.app', best of 5",
            floors.interpreter_ms("pass"),
            "interpreter start, best of 5",
        ),
    ]
    if found.idle_threads:
        found_figures.append(
            Figure(
                "processor when idle",
                "%",
                found.idle_percent,
                f"of one core over {(found.idle_until_ns - found.idle_from_ns) / 1e9:.0f} s, two pumps polled, badge looked for",
                floors.waking_percent(found.wakes_per_s),
                "a bare interpreter that wakes as often and does nothing",
                bar=3,
                detail={"threads": found.idle_threads, "wakes_per_s": round(found.wakes_per_s, 1)},
            )
        )
    return found_figures


def _free(station: Station, fp: int) -> bool:
    return any(point["fp"] == fp and point["available"] for point in station.status()["fuelling_points"])


@contextmanager
def _notified(path: Path) -> Iterator[Callable[[], int]]:
    """A service manager's socket; the function waits for READY and gives its instant."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(30)

        def ready() -> int:
            try:
                while b"READY=1" not in sock.recv(4096):
                    pass
            except TimeoutError:
                raise StationError("the terminal did not say that it is ready") from None
            return time.monotonic_ns()

        try:
            yield ready
        finally:
            os.unlink(path)
