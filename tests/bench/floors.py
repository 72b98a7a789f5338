"""The floors: the same work without us, measured on the same machine in the same minutes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRAME_HEAD = 24
"""What the write-ahead log puts in front of every page."""

_WAKE = """
import os, resource, select, sys, time
rate, seconds = float(sys.argv[1]), float(sys.argv[2])
poll = select.poll()
begin = time.monotonic()
turns = int(rate * seconds)
for turn in range(turns):
    poll.poll(max(0, (begin + (turn + 1) / rate - time.monotonic()) * 1000))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


class BareCommit:
    """A SQLite file with the ledger's settings and nothing else: one transaction that gives so many bytes to the log, synced."""

    def __init__(self, path: Path, page_size: int) -> None:
        self._page_size = page_size
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("locking_mode=EXCLUSIVE", f"page_size={page_size}", "journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE page (id INTEGER PRIMARY KEY, body BLOB)")
        self._turn = 0

    def once_ms(self, size: int) -> float:
        """One commit of ``size`` bytes of log; how long it took."""
        pages = max(1, round(size / (self._page_size + FRAME_HEAD)))
        body = bytes(self._page_size - 64)
        self._turn += 1
        began = time.monotonic_ns()
        self._db.execute("BEGIN IMMEDIATE")
        for page in range(pages):
            self._db.execute("INSERT OR REPLACE INTO page VALUES (?, ?)", (page, body[:-8] + self._turn.to_bytes(8, "big")))
        self._db.execute("COMMIT")
        return (time.monotonic_ns() - began) / 1e6

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def waking_percent(wakes_per_s: float, seconds: float = 5.0) -> float:
    """Processor time in percent of a bare interpreter that only waits and wakes so often."""
    rate = max(1.0, wakes_per_s)
    idle = _output([sys.executable, "-c", _WAKE, "1", "0"])
    busy = _output([sys.executable, "-c", _WAKE, str(rate), str(seconds)])
    return max(0.0, float(busy) - float(idle)) / seconds * 100


def interpreter_ms(code: str, times: int = 5) -> float:
    """The best of some starts of a bare interpreter with ``code``."""
    best = float("inf")
    for _ in range(times):
        began = time.monotonic_ns()
        _output([sys.executable, "-c", code])
        best = min(best, (time.monotonic_ns() - began) / 1e6)
    return best


def interpreter_kib(code: str) -> int:
    """Resident memory of a bare interpreter after ``code``."""
    tail = "\nprint(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    return int(_output([sys.executable, "-c", code + tail]))


def _output(command: list[str]) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, cwd=Path(__file__).resolve().parents[2]
    ).stdout.strip()


class Process:
    """What the kernel says of a running process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def resident_kib(self) -> int:
        """VmRSS."""
        return self._status("VmRSS")

    def _status(self, name: str, folder: Path | None = None) -> int:
        text = ((folder or self._folder) / "status").read_text(encoding="ascii", errors="replace")
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name)))

    def cpu_ns(self) -> int:
        """Time on a processor, all threads, from the scheduler's own account."""
        return sum(self.threads().values())

    def threads(self) -> dict[int, int]:
        """Thread to nanoseconds on a processor."""
        found = {}
        for task in (self._folder / "task").iterdir():
            with contextlib.suppress(OSError):
                found[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        return found

    def wakes(self) -> dict[int, int]:
        """Thread to how often it gave the processor up by itself."""
        found = {}
        for task in (self._folder / "task").iterdir():
            with contextlib.suppress(OSError):
                found[int(task.name)] = self._status("voluntary_ctxt_switches", task)
        return found


@dataclass(frozen=True, slots=True)
class Idle:
    """What a process used in a stretch of time: percent of one core, wakes, and both by thread, the busiest first."""

    seconds: float
    percent: float
    wakes_per_s: float
    threads: list[dict[str, float]]


class Used:
    """Counts what a process uses from now on."""

    def __init__(self, pid: int) -> None:
        self._process = Process(pid)
        self._began_ns = time.monotonic_ns()
        self._cpu, self._wakes = self._process.threads(), self._process.wakes()

    def since(self) -> Idle:
        """Until now, of the threads that were there all the time."""
        cpu, wakes = self._process.threads(), self._process.wakes()
        seconds = (time.monotonic_ns() - self._began_ns) / 1e9
        rows = [
            {
                "cpu_percent": round((cpu[task] - self._cpu[task]) / 1e7 / seconds, 3),
                "wakes_per_s": round((wakes[task] - self._wakes[task]) / seconds, 1),
            }
            for task in self._cpu
            if task in cpu and task in wakes and task in self._wakes
        ]
        rows.sort(key=lambda row: -row["cpu_percent"])
        return Idle(seconds, sum(row["cpu_percent"] for row in rows), sum(row["wakes_per_s"] for row in rows), rows)


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith(("model name", "Model"))), "unknown")
    return {"processor": model, "cores": info.count("processor\t:"), "python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version}


def load() -> list[float]:
    """The load average of one, five and fifteen minutes."""
    loads: list[float] = json.loads("[" + ",".join(Path("/proc/loadavg").read_text().split()[:3]) + "]")
    return loads
