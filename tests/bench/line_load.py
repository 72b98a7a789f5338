"""Answers that a line master misses while the machine works on other things: an upload that lasts, and card lists imported over and over.

The pumps are a process of their own: a host beside them would keep its interpreter busy, and a late emulator is no late master.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from terminal.core.effects import BATCH_ITEMS
from tests.behaviour.setup import Setup
from tests.bench import floors, pump_wires
from tests.bench.figures import Figure, spread
from tests.bench.lines import READY_S, TIMING, setup, station_of, wire_log
from tests.bench.lists import Shelf, import_once
from tests.demo.station import StationError
from tests.endurance.starts import fill
from tests.rig import settings
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import wait_for
from tests.rig.station import Station

MIXED = (8, 4)
"""DART and AZT positions of the run with an import and an upload."""
UNSENT, UNSENT_A_MINUTE = 20_000, 4_000
SLOWER = 1.1
"""The host takes so long for each call that the upload lasts all the time and a bit longer."""
TICK_MS = 10


@contextmanager
def _pumps(folder: Path, whole: Setup) -> Iterator[Mapping[str, str]]:
    """The same pumps in a process that does nothing else: a host beside them keeps its interpreter busy. The ports, by name."""
    nothing_else = dict.fromkeys(("badge", "keypad", "display", "stripe", "card_reader", "host"))
    folder.mkdir(parents=True)
    pumps = ForecourtClient(settings.forecourt_scenario(whole, wire_log=True, **nothing_else), folder)
    try:
        yield {name: port for name, port in pumps.ready["ports"].items() if name.startswith(("dart", "azt"))}
    finally:
        pumps.close()


def missed(folder: Path, minutes: float, cards: int, tell: Callable[[str], None]) -> list[Figure]:
    """Both lines are polled while the terminal uploads a long queue and a list of so many cards is imported over and over on that disk."""
    unsent = min(UNSENT, 300 + round(UNSENT_A_MINUTE * minutes))
    tell(f"{minutes:g} minutes of polling with {unsent:,} sales to upload and a list of {cards:,} cards imported over and over")
    state = folder / "state"
    state.mkdir(parents=True)
    rows = fill(state, 1_000, unsent * 3)
    importer, ticker = _Importer(folder, cards), _Ticker()
    with _pumps(folder / "pumps", setup(*MIXED)) as ports, station_of(setup(*MIXED), state=state, ports=ports) as station:
        station.forecourt.do("host", delay_ms=round(SLOWER * minutes * 60_000 / max(1, unsent // BATCH_ITEMS)))
        if not wait_for(lambda: _survey_over(station), READY_S):
            raise StationError(f"the positions were not asked: {station.terminal.last_words()}")
        importer.start()
        ticker.start()
        began, waiting = time.monotonic_ns(), _unsent(station)
        try:
            time.sleep(minutes * 60)
        finally:
            ticker.stop()
            importer.stop()
        ended, left = time.monotonic_ns(), _unsent(station)
        station.terminal.check()
        logs = {protocol: wire_log(folder / "pumps", protocol, began, ended) for protocol in ("dart", "azt")}
    if importer.imports == 0 or left >= waiting:
        raise StationError(f"{importer.imports} imports, {waiting - left} messages uploaded: that is no load")
    detail: dict[str, object] = {
        "minutes": minutes,
        "imports": importer.imports,
        "uploaded": waiting - left,
        "unsent": left,
        "ledger_rows": rows,
    }
    return [
        _missed_figure(protocol, pump_wires.missed_answers(log, protocol, TIMING[protocol].answer_window_ms), detail, ticker.late_ms)
        for protocol, log in logs.items()
    ]


def _missed_figure(protocol: str, found: pump_wires.Missed, detail: dict[str, object], late_ms: Sequence[float]) -> Figure:
    window_ms = TIMING[protocol].answer_window_ms
    return Figure(
        f"answer windows missed, {protocol.upper()}",
        "",
        found.missed,
        f"of {found.asked:,} questions of the master, by the line's log, with an upload and imports running",
        float(sum(late > window_ms for late in late_ms)),
        f"so often a bare process that wakes every {TICK_MS} ms was late by more than the window",
        bar=0,
        detail={
            **detail,
            "asked": found.asked,
            "pumps_themselves_late": found.late_pumps,
            "slowest_answer_ms": round(found.slowest_ms, 1),
            "window_ms": window_ms,
            "around": found.around,
            "bare_late_ms": spread(late_ms),
            "load": floors.load(),
        },
    )


class _Ticker(threading.Thread):
    """Does nothing but wake every few milliseconds: how late the machine lets it be."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.late_ms: list[float] = []

    def run(self) -> None:
        last = time.monotonic_ns()
        while not self._over.wait(TICK_MS / 1000):
            now = time.monotonic_ns()
            self.late_ms.append((now - last) / 1e6 - TICK_MS)
            last = now

    def stop(self) -> None:
        """No further tick."""
        self._over.set()
        self.join()


class _Importer(threading.Thread):
    """The terminal's import program with a whole list, again and again."""

    def __init__(self, folder: Path, cards: int) -> None:
        super().__init__(daemon=True)
        self._job = Shelf(folder / "imported").job(cards)
        self._over = threading.Event()
        self.imports = 0

    def run(self) -> None:
        while not self._over.is_set():
            job = msgspec.structs.replace(self._job, version=self.imports + 2)
            import_once(job)
            Path(job.target).unlink()
            self.imports += 1

    def stop(self) -> None:
        """No further import; waits for the one that runs."""
        self._over.set()
        self.join()


def _unsent(station: Station) -> int:
    return int((station.terminal.status() or {"unsent": 0})["unsent"])


def _survey_over(station: Station) -> bool:
    """Every position has been asked for what it knows, whatever the ledger makes of it."""
    status = station.terminal.status()
    station.terminal.check()
    known = status is not None and all(point["state"] != "unknown" for point in status["fuelling_points"])
    return known and _unsent(station) > 0
