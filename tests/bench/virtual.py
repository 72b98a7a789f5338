"""Fuellings in the virtual world, as fast as one core can: the real core, store, codecs and line master, the emulators, a ledger on disk.

``python -m tests.bench.virtual --folder F --fuellings N`` is a process of its own, so that what it writes can be counted
(``writes.py``) and nothing else is. One fuelling: badge, PIN, pump, 30 L at 40 L/min with its volume once a second, hang up, booked at
the host.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import click

from drivers.events import Key, KeyPressed, MediumKind, MediumPresented, MediumRemoved
from hal_sim.dispensers.head import HeadOptions
from terminal.store import ledger
from terminal.store.schema import PAGE_SIZE
from tests.bench import writes
from tests.ledger_kinds import kept
from tests.virtual.forecourt import SIDE, Forecourt

VOLUME_ML = 30_000
RATE_ML_PER_MIN = 40_000
LIMIT_MS = 180_000
BETWEEN_MS = 10_000
WARM_UP = 20
PIN = "1234"

SCENARIO: dict[str, Any] = {
    "terminal": "OPT1",
    "site": "S1",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "decimals": 2,
    "fuelling_points": [
        {"fp": fp, "nozzle": 1, "product": "DIESEL", "price": 17_290, "minimum_ml": 2_000, "protocol": "dart"} for fp in (1, 2)
    ],
    "customers": [{"customer": "C1", "status": "active", "offline": "ALLOWED", "zone": None}],
    "cards": [
        {"number": f"04A1B2C3D4E5{card:02X}", "medium": "badge", "customer": "C1", "status": "active", "pin": PIN} for card in range(16)
    ],
    "limits": [],
    "balances": [],
    "host_counts": [],
}


class Run:
    """One station and its drivers."""

    def __init__(self, folder: Path, autocheckpoint_pages: int = ledger.AUTOCHECKPOINT_PAGES) -> None:
        self.station = Forecourt(SCENARIO, folder, head_options=HeadOptions(rate_ml_per_min=RATE_ML_PER_MIN))
        self.heap = self.station.heap
        self.terminal = self.station.terminal
        self.terminal.ledger_made = lambda path: ledger.Ledger(path, autocheckpoint_pages=autocheckpoint_pages)
        self.station.begin()
        self.done = 0

    def fuelling(self) -> None:
        """One driver, from the badge to the sale at the host. Raises AssertionError when anything does not happen."""
        fp, card = 1 + self.done % 2, SCENARIO["cards"][self.done % len(SCENARIO["cards"])]
        self.terminal.post(MediumPresented(SIDE, MediumKind.BADGE, card["number"]))
        self._wait(300)
        self.terminal.post(MediumRemoved(SIDE, MediumKind.BADGE))
        for key in (*PIN, "enter", str(fp), "enter"):
            self.terminal.post(KeyPressed(SIDE, Key(key)))
            self._wait(100)
        head = self.station.heads[fp]
        head.lift(1, self.heap.now)
        self._until(lambda: head.valve_open, "the pump was not released")
        head.squeeze(VOLUME_ML, self.heap.now)
        self._until(lambda: not head.delivering, "the fuelling did not end")
        head.hang_up(self.heap.now)
        self.done += 1
        self._until(self._settled, "the host does not have the sale")
        self._wait(BETWEEN_MS)

    def _settled(self) -> bool:
        """Every point is free, nothing waits for the host."""
        engine = self.terminal.engine
        return engine is not None and not engine.site.uploads.waiting and all(point.available for point in engine.site.points.values())

    def _wait(self, duration_ms: int) -> None:
        self.heap.run_until(self.heap.now + duration_ms)

    def _until(self, condition: Any, what: str) -> None:
        if not self.heap.run_until(self.heap.now + LIMIT_MS, condition):
            raise AssertionError(f"fuelling {self.done + 1}: {what} ({self.terminal.screens[-1:]})")

    def agree(self) -> bool:
        """Every millilitre of every pump is booked at the host."""
        pumped = sum(head.total_ml(1, self.heap.now) for head in self.station.heads.values())
        booked = sum(sale["quantity_ml"] for sale in self.station.book.sales())
        return bool(pumped == booked == self.done * VOLUME_ML)


def facts_bytes(db: sqlite3.Connection) -> int:
    """The journal's rows themselves: what has to be written once, whatever the file's format."""
    found: int = db.execute("SELECT sum(16 + length(clock) + length(kind) + length(body) + length(hash)) FROM journal").fetchone()[0]
    return found


def measure(folder: Path, fuellings: int, autocheckpoint_pages: int) -> dict[str, Any]:
    """Time so many fuellings after a warm-up. Seconds of wall and of processor, what was written on the ledger's files, sizes."""
    run = Run(folder, autocheckpoint_pages)
    for _ in range(min(WARM_UP, fuellings)):
        run.fuelling()
    counted = writes.counts()
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(fuellings):
        run.fuelling()
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    written = writes.counts() - counted
    if not run.agree():
        raise AssertionError("the books do not agree")
    engine = run.terminal.engine
    if engine is None:
        raise AssertionError("the terminal has no power")
    db = engine.ledger.connection
    pages, size = db.execute("PRAGMA page_count").fetchone()[0], int(db.execute("PRAGMA page_size").fetchone()[0])
    facts = facts_bytes(db) / run.done
    run.terminal.power_off()
    return {
        "fuellings": fuellings,
        "wall_s": wall / 1e9,
        "cpu_s": cpu / 1e9,
        "bytes": written.bytes,
        "syncs": written.syncs,
        "ledger_bytes": pages * size,
        "page_size": size,
        "facts_bytes_per_fuelling": facts,
    }


@click.command()
@click.option("--folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where the ledger is made.")
@click.option("--fuellings", default=300, show_default=True, help="How many, after a warm-up.")
@click.option(
    "--page-size",
    default=PAGE_SIZE,
    show_default=True,
    help="Of the ledger, for comparison; the log is checkpointed at equal bytes.",
)
@click.option("--encrypted", is_flag=True, help="The ledger is encrypted.")
def main(folder: Path, fuellings: int, page_size: int, encrypted: bool) -> None:
    """Measure, and print one JSON object."""
    # The one constant of the product, for this process alone: every size is opened, written and checked by the product's own code.
    vars(ledger)["PAGE_SIZE"] = page_size
    folder.mkdir(parents=True, exist_ok=True)
    with kept(encrypted=encrypted):
        print(json.dumps(measure(folder, fuellings, ledger.AUTOCHECKPOINT_PAGES * PAGE_SIZE // page_size)))


if __name__ == "__main__":
    main()
