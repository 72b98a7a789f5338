"""``python -m tests.bench.busy``: a process that serves drivers from a live card file while the next one is built, as the terminal does.

Nothing of the bench is in its memory, so that what it grows by is what the import costs it. Drivers come one by one, not in crowds: each
decision finds the processor's caches as others have left them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from terminal.store.card_import import ImportProcess, Job
from terminal.store.live_lists import LiveLists
from tests.bench.asked import Asked

BETWEEN_S = 0.002


def resident_mib() -> float:
    """VmRSS of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def while_it_runs(asked: Asked, known: Sequence[str], work: Callable[[], object]) -> tuple[list[float], float]:
    """How long single decisions took while ``work`` ran in a thread, and this process's highest resident size meanwhile."""
    done = threading.Event()

    def run_it() -> None:
        try:
            work()
        finally:
            done.set()

    thread = threading.Thread(target=run_it)
    thread.start()
    found: list[float] = []
    highest = 0.0
    while not done.wait(BETWEEN_S):
        token = known[len(found) % len(known)]
        start = time.perf_counter_ns()
        asked.decide(token)
        found.append((time.perf_counter_ns() - start) / 1000)
        if len(found) % 50 == 0:
            highest = max(highest, resident_mib())
    thread.join()
    return found, highest


@click.command()
@click.option("--live", required=True, type=click.Path(path_type=Path), help="The card file that serves.")
@click.option("--tokens", "told", required=True, type=click.Path(path_type=Path), help="JSON list of tokens of its cards.")
@click.option("--job", required=True, type=click.Path(path_type=Path), help="The import, as the import process is told.")
@click.option("--idle", "idle_s", default=10.0, help="Seconds of the comparison without an import.")
def main(live: Path, told: Path, job: Path, idle_s: float) -> None:
    """Measure, and print one JSON object."""
    known: list[str] = json.loads(told.read_text(encoding="ascii"))
    again = msgspec.json.decode(job.read_bytes(), type=Job)
    lists = LiveLists(live.parent)
    lists.use(live.name)
    asked = Asked(lists, known)
    asked.times_us()  # warm
    idle, _ = while_it_runs(asked, known, lambda: time.sleep(idle_s))
    before = resident_mib()
    busy, highest = while_it_runs(asked, known, lambda: ImportProcess()(again))
    lists.use(Path(again.target).name)
    asked.times_us()
    highest = max(highest, resident_mib())
    if lists.version != again.version:
        raise click.ClickException("the list was not taken")
    lists.close()
    print(json.dumps({"idle_us": idle, "busy_us": busy, "before_mib": before, "grown_mib": highest - before}))


if __name__ == "__main__":
    main()
