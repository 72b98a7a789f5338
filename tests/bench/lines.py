"""Pump lines of the real terminal in the rig, on ptys at wire speed: idle rounds, the idle terminal, a lift while all fuel, answers missed.

Every figure is read from the emulators' own wire logs (``pump_wires.py``). One station for each size; the whole terminal runs, with badge
reader, keypad, stripe reader, display and host.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from drivers.dispenser.azt.profile import LineProfile as AztProfile
from drivers.dispenser.dart.profile import LineProfile as DartProfile
from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.bench import floors, pump_wires, wires
from tests.bench.figures import Figure, percentile, spread
from tests.demo.station import StationError
from tests.rig.process import wait_for
from tests.rig.station import Station

SIZES = (1, 8, 16, 32)
TIMING = {"dart": DartProfile(), "azt": AztProfile()}
"""What a line has that nobody configured otherwise."""
IDLE_POSITIONS = 16
BUSY_POSITIONS = 16
SLOW_ML_PER_MIN = 4_000
"""So that everybody fuels for as long as it takes: 60 L in a quarter of an hour."""
READY_S = 180.0
"""A line of 32 positions is asked for everything at the start."""
SETTLE_S = 2.0
SHOWN_MS = 18_000
LONGEST_EXCHANGE_MS = 120
ROUNDS = 8
"""At least so many idle rounds of the longest line."""
CARD = "04A1B2C3D4{:04X}"
BAR_ROUND, BAR_BEYOND_MS, BAR_IDLE = 1.15, 50, 3


def setup(dart: int, azt: int = 0) -> Setup:
    """So many positions of each protocol, a nozzle each, and a badge for each of them."""
    points = [NozzleRow(1 + place, "dart" if place < dart else "azt", 1, "GAZOLE", 17_200) for place in range(dart + azt)]
    cards = tuple(CardRow(CARD.format(place), CARD.format(place), "badge", "C1") for place in range(dart + azt + 4))
    return Setup(fuelling_points=tuple(points), customers=(CustomerRow("C1"),), cards=cards)


def _settled(text: str, state: Path | None = None, ports: Mapping[str, str] | None = None) -> str:
    """In English, notices gone soon; the ledger where ``state`` is, the lines at other ``ports``."""
    for name, port in (ports or {}).items():
        text = re.sub(rf'port = "[^"]*/{name}"', f'port = "{port}"', text)
    text = text.replace("[terminal]\n", '[terminal]\nlanguage = "en"\n').replace("[times]\n", "[times]\nnotice_ms = 200\n")
    lines = [f'state_dir = "{state}"' if state is not None and line.startswith("state_dir") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


@contextmanager
def station_of(
    whole: Setup, *, state: Path | None = None, ports: Mapping[str, str] | None = None, ml_per_min: int = 600_000
) -> Iterator[Station]:
    station = Station(whole, start=False, toml=partial(_settled, state=state, ports=ports), wire_log=True, ml_per_min=ml_per_min)
    try:
        station.terminal.start()
        yield station
    finally:
        station.close()


def _await_ready(station: Station) -> None:
    def ready() -> bool:
        station.terminal.check()
        return station.ready()

    if not wait_for(ready, READY_S):
        raise StationError(f"not ready after {READY_S:g} s: {station.terminal.last_words()}")


def _await_idle(station: Station, protocol: str, positions: int) -> None:
    """Until every position has told what it knows: then it is only asked whether there is anything new."""

    def idle() -> bool:
        now = time.monotonic_ns()
        return pump_wires.is_idle(
            wire_log(station.folder, protocol, now - 3 * positions * LONGEST_EXCHANGE_MS * wires.NS_PER_MS, now), positions
        )

    if not wait_for(idle, READY_S, 0.5):
        raise StationError(f"the {protocol} line did not become idle: {station.terminal.last_words()}")


def wire_log(folder: Path, protocol: str, from_ns: int, until_ns: int) -> list[wires.Record]:
    path = folder / "sim" / f"{protocol}1.wire"
    return [record for record in wires.records(path) if from_ns <= record.at_ns <= until_ns]


# --- idle -------------------------------------------------------------------------------------------------------------------------


def rounds(protocol: str, positions: int, idle_s: float, tell: Callable[[str], None]) -> list[Figure]:
    """One idle round of so many positions; with ``IDLE_POSITIONS`` on a DART line the idle terminal's processor time too."""
    tell(f"{positions} idle {protocol.upper()} positions")
    whole = setup(positions) if protocol == "dart" else setup(0, positions)
    with station_of(whole) as station:
        _await_ready(station)
        _await_idle(station, protocol, positions)
        time.sleep(SETTLE_S)
        used = floors.Used(_pid(station))
        began = time.monotonic_ns()
        watched = positions == IDLE_POSITIONS and protocol == "dart"
        time.sleep(max(idle_s if watched else 0.0, ROUNDS * positions * (0.06 if protocol == "dart" else 0.1), 2.0))
        log = wire_log(station.folder, protocol, began, time.monotonic_ns())
        idle = used.since()
    timing = TIMING[protocol]
    found = pump_wires.idle_rounds(log, positions, timing.baudrate, timing.turn_round_ms)
    figure = Figure(
        f"round of {positions} idle {protocol.upper()} position{'s' if positions > 1 else ''}",
        "ms",
        percentile(found.lengths_ms, 0.5),
        f"p50; from one question to a position to the next one to it, {timing.baudrate} baud on a paced pty",
        found.floor_ms,
        "characters of both sides at the line's speed, the emulators' time to answer, the configured turn-rounds",
        bar=BAR_ROUND,
        bar_of_floor=True,
        detail={
            "ms": spread(found.lengths_ms),
            "characters": found.characters,
            "answer_ms": round(found.answer_ms, 2),
            "turn_round_ms": timing.turn_round_ms,
            "load": floors.load(),
        },
    )
    return [figure, idle_figure(idle)] if watched else [figure]


def idle_figure(idle: floors.Idle) -> Figure:
    """Processor time of all threads beside a program that only wakes as often."""
    return Figure(
        f"processor when idle, {IDLE_POSITIONS} positions",
        "%",
        idle.percent,
        f"of one core over {idle.seconds:.0f} s, {IDLE_POSITIONS} DART positions polled, every reader listening",
        floors.waking_percent(idle.wakes_per_s),
        "a bare interpreter that wakes as often and does nothing",
        bar=BAR_IDLE,
        detail={"threads": idle.threads, "wakes_per_s": round(idle.wakes_per_s, 1), "load": floors.load()},
    )


def _pid(station: Station) -> int:
    process = station.terminal.process
    if process is None:
        raise StationError("the terminal was not started")
    return process.pid


# --- a lift while all others fuel ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Lifts:
    """Raw values: when the nozzle was lifted, when AUTHORIZE was on the wire, and an idle round of that line."""

    took_ms: list[float] = field(default_factory=list)
    round_ms: float = 0.0
    busy_round_ms: list[float] = field(default_factory=list)
    slowest: list[str] = field(default_factory=list)


def lifts(positions: int, repetitions: int, tell: Callable[[str], None]) -> Figure:
    """All but the last position fuel; at the last one drivers lift, one after another, anywhere in a round."""
    tell(f"{repetitions} lifts while {positions - 1} others fuel")
    random, found = Random(5), Lifts()
    with station_of(setup(positions), ml_per_min=SLOW_ML_PER_MIN) as station:
        _await_ready(station)
        _await_idle(station, "dart", positions)
        idle_from = time.monotonic_ns()
        time.sleep(max(2.0, 3 * positions * 0.06))
        idle_until = time.monotonic_ns()
        for fp in range(1, positions):
            _to_pump(station, CARD.format(fp - 1), fp)
            station.forecourt.do("lift", fp=fp, nozzle=1)
            station.forecourt.do("squeeze", fp=fp, volume_ml=500_000)
        for fp in range(1, positions):
            station.forecourt.do("wait_flow", fp=fp, volume_ml=10)
        lifted = [_lift(station, positions, number, random) for number in range(repetitions)]
        still = [point["fp"] for point in station.forecourt.do("pumps")["pumps"] if point["valve"] == "open"]
        if len(still) < positions - 1:
            raise StationError(f"only {len(still)} of {positions - 1} others still fuel")
        log = wire_log(station.folder, "dart", 0, time.monotonic_ns())
    timing = TIMING["dart"]
    idle = [record for record in log if idle_from <= record.at_ns <= idle_until]
    found.round_ms = percentile(pump_wires.idle_rounds(idle, positions, timing.baudrate, timing.turn_round_ms).lengths_ms, 0.5)
    sent = wires.frames(log)
    for at_ns in lifted:
        place = wires.authorized_after(sent, at_ns)
        if place is None:
            raise StationError("a lifted nozzle has no AUTHORIZE in the line's log")
        took = (sent[place].at_ns - at_ns) / 1e6
        if took >= max(found.took_ms, default=0.0):
            found.slowest = wires.between(sent, at_ns, place)
        found.took_ms.append(took)
    return _lift_figure(found, positions)


def _lift_figure(found: Lifts, positions: int) -> Figure:
    return Figure(
        f"nozzle lifted to AUTHORIZE, {positions - 1} others fuelling",
        "ms",
        percentile(found.took_ms, 0.99),
        "p99; lifted at the emulator to the AUTHORIZE frame's last byte on the line",
        found.round_ms,
        "one idle round of the same line in the same run",
        bar=round(found.round_ms + BAR_BEYOND_MS, 1),
        detail={"ms": spread(found.took_ms), "round_ms": round(found.round_ms, 1), "slowest": found.slowest, "load": floors.load()},
    )


def _to_pump(station: Station, card: str, fp: int) -> None:
    """A driver's way to "go to pump"."""
    station.forecourt.do("wait_display", contains="Welcome", timeout_ms=SHOWN_MS)
    station.forecourt.do("present", number=card)
    station.forecourt.do("wait_display", contains="Pump no.", timeout_ms=SHOWN_MS)
    station.forecourt.do("remove")
    station.forecourt.do("keys", keys=[*str(fp), "enter"])
    station.forecourt.do("wait_display", contains=f"Go to pump {fp}", timeout_ms=SHOWN_MS)


def _lift(station: Station, fp: int, number: int, random: Random) -> int:
    """One driver at the free position: he lifts, is released, and hangs up without fuel. The instant of the lift."""
    _to_pump(station, CARD.format(fp + number % 3), fp)
    time.sleep(random.random() * 1.5)
    lifted = time.monotonic_ns()
    station.forecourt.do("lift", fp=fp, nozzle=1)
    if not wait_for(lambda: _pump(station, fp)["valve"] == "open", 15.0):
        raise StationError(f"pump {fp} was not released")
    time.sleep(0.3)
    station.forecourt.do("hang_up", fp=fp)
    if not wait_for(lambda: _available(station, fp), 20.0):
        raise StationError(f"pump {fp} did not become free: {station.terminal.status()}")
    return lifted


def _pump(station: Station, fp: int) -> dict[str, object]:
    pumps: list[dict[str, object]] = station.forecourt.do("pumps")["pumps"]
    return next(pump for pump in pumps if pump["fp"] == fp)


def _available(station: Station, fp: int) -> bool:
    status = station.terminal.status() or {"fuelling_points": []}
    return any(point["fp"] == fp and point["available"] for point in status["fuelling_points"])


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; 0 lifts leave that out."""

    positions: tuple[int, ...] = SIZES
    idle_s: float = 30.0
    fuelling: int = BUSY_POSITIONS
    lifts: int = 40


def measure(sizes: Sizes, tell: Callable[[str], None]) -> list[Figure]:
    """Every figure of lines that nobody disturbs."""
    found: list[Figure] = []
    for protocol in TIMING:
        for positions in sizes.positions:
            found += rounds(protocol, positions, sizes.idle_s, tell)
    if sizes.lifts:
        found.append(lifts(sizes.fuelling, sizes.lifts, tell))
    return found
