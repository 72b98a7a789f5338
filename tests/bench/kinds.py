"""A plain and an encrypted ledger side by side: commits in turns, a process that opens one, and fuellings (``tests.bench.virtual``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from terminal.core.records import TotalRead
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from tests.bench.figures import percentile
from tests.ledger_kinds import KEY, kept

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("plain", "encrypted")
COMMITS = 400
BODY = bytes(600)
"""As long as a sale's message."""
STARTS = 5
_OPEN = """
import sys, time
from pathlib import Path
from terminal.store.ledger import Ledger
from terminal.store.ledger_key import LedgerKey
from terminal.store.sqlite_kind import keep_ledgers
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
began, before = time.perf_counter(), resident()
keep_ledgers(LedgerKey(bytes.fromhex(sys.argv[2])) if sys.argv[2] else None)
ledger = Ledger(Path(sys.argv[1]))
print(time.perf_counter() - began, resident() - before)
ledger.close()
"""


def commits(folder: Path) -> dict[str, float]:
    """Milliseconds of the median commit, each kind in turns: one fact and one message."""
    ledgers: dict[str, Ledger] = {}
    for kind in KINDS:
        with kept(encrypted=kind == "encrypted"):
            ledgers[kind] = Ledger(folder / f"commits-{kind}.db")
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(COMMITS):
        for kind, ledger in ledgers.items():
            began = time.perf_counter_ns()
            ledger.commit(Stamp(number, "trusted"), [TotalRead(1, 1, number)], [QueuedMessage(f"OPT1-1-{number}/advice", BODY)])
            taken[kind].append((time.perf_counter_ns() - began) / 1e6)
    for ledger in ledgers.values():
        ledger.close()
    return {kind: percentile(times, 0.5) for kind, times in taken.items()}


def opening(folder: Path) -> dict[str, tuple[float, float]]:
    """Milliseconds and MiB of a process's first opening, the package's import included; medians."""
    found: dict[str, tuple[float, float]] = {}
    for kind in KINDS:
        key = KEY.content().hex() if kind == "encrypted" else ""
        command = [sys.executable, "-c", _OPEN, str(folder / f"commits-{kind}.db"), key]
        told = []
        for _ in range(STARTS):
            done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
            told.append([float(word) for word in done.stdout.split()])
        found[kind] = percentile([one[0] * 1e3 for one in told], 0.5), percentile([one[1] / 1024 for one in told], 0.5)
    return found


def rows(folder: Path, played: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a kind; ``played``: what ``tests.bench.virtual`` said of each."""
    folder.mkdir(parents=True, exist_ok=True)
    commit, opened = commits(folder), opening(folder)
    return [
        {
            "kind": kind,
            "commit_ms": round(commit[kind], 3),
            "opening_ms": round(opened[kind][0], 1),
            "opening_mib": round(opened[kind][1], 1),
            "kib_per_fuelling": round(played[kind]["bytes"] / played[kind]["fuellings"] / 1024, 1),
            "syncs_per_fuelling": round(played[kind]["syncs"] / played[kind]["fuellings"], 2),
            "ledger_bytes_per_fuelling": round(played[kind]["ledger_bytes"] / played[kind]["fuellings"]),
            "core_ms_per_fuelling": round(played[kind]["cpu_s"] / played[kind]["fuellings"] * 1000, 2),
        }
        for kind in KINDS
    ]


def as_text(row: dict[str, Any]) -> str:
    """For people."""
    return "  " + "  ".join(f"{name} {json.dumps(value) if not isinstance(value, str) else value}" for name, value in row.items())
