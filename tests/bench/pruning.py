"""How long the core is kept by pruning: the commit that puts the anchor in place, and each piece of the deletion behind it.

``python -m tests.bench.pruning [ROWS]`` makes a ledger in a temporary folder (``--folder``: under that one, on a card for its times),
prunes it and prints milliseconds. A badge counter for each of 5,000 badges makes the snapshot that of a large site.
(firmware_notes/storage.md, Retention.)
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from terminal.core.badge_counter import BadgeCounter
from terminal.store.anchor import start_of
from terminal.store.pruning import PAUSE_MS, SLICE_ROWS
from tests.store.years import DAY_MS, Years, proposed, pruner_of

BADGES = 5_000
BATCH = 100


def measure(folder: Path, rows: int) -> dict[str, object]:
    """Make, propose, take and delete. Times in milliseconds."""
    station = Years(folder / "ledger.db", pace_ms=1)
    ledger = station.ledger
    for number in range(BADGES):
        station.desk.persist(BadgeCounter(f"{number:032x}", number))
    station.commit()
    draw = 0
    while ledger.head[0] < rows:
        for _ in range(BATCH):
            draw += 1
            station.sell(draw)
            station.drain()
        station.pace_ms = DAY_MS
        station.close_batch()
        station.pace_ms = 1
    for _ in range(150):  # and some time passes, in which hardly anything happens
        station.pace_ms = 4 * DAY_MS
        station.tell(6)
    begun = time.perf_counter()
    proposal = proposed(ledger, folder / "backup")
    proposing = time.perf_counter() - begun
    assert proposal is not None
    pruner = pruner_of(ledger, folder / "backup")
    taken: list[float] = []
    now = 0
    while pruner.wants:
        now += PAUSE_MS
        begun = time.perf_counter()
        pruner.work(now, station.stamp, known_to_host=1 << 60)
        taken.append((time.perf_counter() - begun) * 1000)
    db = ledger.connection
    report: dict[str, object] = {
        "rows": proposal.record.rows,
        "rows_a_piece": SLICE_ROWS,
        "snapshot_bytes": len(proposal.content),
        "kept_rows": len(start_of(db).kept),
        "backup_and_proposal_s": round(proposing, 1),
        "taking_ms": round(taken[0], 1),
        "piece_median_ms": round(statistics.median(taken[1:]), 2),
        "piece_most_ms": round(max(taken[1:]), 1),
        "pieces": len(taken) - 1,
        "free_pages": db.execute("PRAGMA freelist_count").fetchone()[0],
        "pages": db.execute("PRAGMA page_count").fetchone()[0],
    }
    ledger.close()
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long pruning keeps the core.")
    parser.add_argument("rows", nargs="?", type=int, default=20_000)
    parser.add_argument("--folder", default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        print(json.dumps(measure(Path(folder), asked.rows), indent=1))


if __name__ == "__main__":
    main()
