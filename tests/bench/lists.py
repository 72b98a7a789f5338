"""Card lists as fleets have them, and what they cost: a whole list to live beside a bare executemany, a delta, and what an import costs the
drivers (``busy.py``). Every floor is measured in the same run with the same rows.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from terminal.core.card_data import Nozzle
from terminal.core.card_lists import ListDelta, ListOffer
from terminal.core.events import ChangesReady, ListsReady
from terminal.core.units import UtcMs
from terminal.store.card_file import TABLES
from terminal.store.card_import import Job
from terminal.store.list_rows import hash_text, read_delta, row_hash
from terminal.store.live_lists import LiveLists
from tests.bench.figures import Figure, percentile, spread

if TYPE_CHECKING:
    from tests.bench.till import Till

NOW = UtcMs(1_774_700_000_000)
CUSTOMERS = 1_000
DELTA_ROWS = 1_000
DELTAS = 20
IMPORTS = 3
SAMPLED = 4_000
"""Cards of which a process that decides is told."""
NOZZLES = (Nozzle(1, "GAZOLE", 17_290), Nozzle(2, "SP95", 18_150))
ROOT = Path(__file__).resolve().parents[2]


def canonical(row: dict[str, Any]) -> bytes:
    """As a row travels."""
    return msgspec.json.encode(row, order="sorted")


def card_row(token: int, place: int, last4: str = "C5E6") -> dict[str, Any]:
    """A card as fleets have them: an account, a customer, a PIN, nothing odd."""
    text = f"{token:032x}"
    pin = {"scheme": "opin1", "epoch": 1, "verifier": f"{token ^ (1 << 100):032x}", "tries": 3}
    return {
        "row": "card", "token": text, "account": text, "customer": f"C{place % CUSTOMERS}", "medium": "badge", "status": "active",
        "valid_from": None, "valid_to": "2029-12-31", "pin": pin, "products": None, "offline": "ALLOWED", "prompts": [], "tank_ml": None,
        "sites": None, "hours": None, "pair": None, "language": None, "last4": last4,
    }  # fmt: skip


def limit_row(subject: dict[str, str], period: str, amount: int) -> dict[str, Any]:
    """A limit in litres on everything."""
    return {"row": "limit", "subject": subject, "period": period, "measure": "QUANTITY", "amount": amount, "products": None}


def tokens(cards: int) -> list[int]:
    """The same for the same number, in order."""
    drawn = random.Random(cards)
    return sorted((drawn.getrandbits(96) << 24) + place for place in range(cards))


def rows(cards: int) -> Iterator[dict[str, Any]]:
    """A list: products, customers with a month limit each, cards, a day limit on every tenth card."""
    yield from ({"row": "product", "product": nozzle.product, "restricted": False} for nozzle in NOZZLES)
    for place in range(CUSTOMERS):
        yield {"row": "customer", "customer": f"C{place}", "status": "active", "offline": "ALLOWED", "zone": None}
        yield limit_row({"customer": f"C{place}"}, "MONTH", 5_000_000)
    for place, token in enumerate(tokens(cards)):
        yield card_row(token, place)
        if place % 10 == 0:
            yield limit_row({"card": f"{token:032x}"}, "DAY", 400_000)


def snapshot(folder: Path, cards: int, version: int = 1) -> Job:
    """The packed list in a file, and the job that builds it."""
    source = folder / f"{cards}.gz"
    digest, total, count, size = hashlib.sha256(), 0, 0, 0
    with gzip.open(source, "wb", compresslevel=6) as out:
        for row in rows(cards):
            line = canonical(row)
            total += row_hash(line)
            digest.update(line + b"\n")
            size += len(line) + 1
            count += 1
            out.write(line + b"\n")
        end = canonical({"row": "end", "rows": count, "sha256": digest.hexdigest()}) + b"\n"
        out.write(end)
    target = folder / f"cards-e1-{version}.db"
    return Job(str(source), str(target), "e1", version, count, size + len(end), digest.hexdigest(), hash_text(total), NOW)


# --- import -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    """One import in a process of its own."""

    seconds: float
    cpu_s: float
    peak_mib: float


def import_once(job: Job) -> Imported:
    """Start the import as the terminal does and take its time and its highest memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "terminal.store.card_import"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(msgspec.json.encode(job))
    child.stdin.close()
    peak = 0
    while child.poll() is None:
        peak = max(peak, _peak_kib(child.pid))
        time.sleep(0.005)
    took = time.perf_counter() - start
    with child.stdout:
        answer = child.stdout.read()
    if child.returncode or msgspec.json.decode(answer) != {"refused": None}:
        raise RuntimeError(f"the import failed: {child.returncode} {answer!r}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Imported(took, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, peak / 1024)


def _peak_kib(pid: int) -> int:
    """The highest resident size so far; not ``ru_maxrss``, which also counts what forked it."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) if found and "python" in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") else 0


def bare_seconds(folder: Path, built: Path) -> tuple[float, float]:
    """Nothing but executemany of the very rows of that card file into the same tables, committed and synced. Wall and processor."""
    target = folder / "bare.db"
    source = sqlite3.connect(f"{built.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    names = ("product", "customer", "card", "bound")
    tables = {name: source.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    source.close()
    os.sync()
    start, cpu = time.perf_counter(), time.process_time()
    connection = sqlite3.connect(target, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -8192"):
        connection.execute(f"PRAGMA {setting}").fetchone()
    connection.executescript(TABLES)
    connection.execute("BEGIN")
    for name, values in tables.items():
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
    connection.execute("COMMIT")
    connection.close()
    handle = os.open(target, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    target.unlink()
    return took, cpu


def bare_seconds_niced(folder: Path, built: Path) -> tuple[float, float]:
    """The same in a process of its own that gives way as the import's does: both meet the neighbours on the same terms."""
    command = [sys.executable, "-m", "tests.bench.lists", str(folder), str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=1_800)
    took, cpu = map(float, done.stdout.split())
    return took, cpu


class Shelf:
    """Lists of some sizes, each made and imported once a run. ``imports``: what that import took."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: dict[int, Job] = {}
        self.imports: dict[int, Imported] = {}

    def job(self, cards: int) -> Job:
        """The job that has built the card file of so many cards; the file is there."""
        if cards not in self._jobs:
            folder = self._folder / str(cards)
            folder.mkdir(parents=True)
            job = snapshot(folder, cards)
            self.imports[cards] = import_once(job)
            self._jobs[cards] = job
        return self._jobs[cards]

    def live(self, cards: int) -> LiveLists:
        """The card file of so many cards, opened as the terminal does."""
        target = Path(self.job(cards).target)
        lists = LiveLists(target.parent)
        lists.use(target.name)
        return lists


# --- live -------------------------------------------------------------------------------------------------------------------------


def to_live_ms(till: Till, job: Job, version: int) -> tuple[Imported, float]:
    """A whole list from its packed bytes to live: built in its own process, then adopted by the core's commit and opened (ms)."""
    target = Path(job.target).with_name(f"cards-e1-{version}.db")
    imported = import_once(msgspec.structs.replace(job, target=str(target), version=version))
    start = time.perf_counter()
    till.event(ListsReady(target.name, "e1", version, job.rows, till.utc(), till.utc(), till.utc() + 3_600_000, job.content_hash))
    took = (time.perf_counter() - start) * 1000
    if till.lists.version != version:
        raise RuntimeError(f"the list was not taken: {till.site.desk.faults.active}")
    return imported, took


def delta_ms(till: Till, cards: int) -> list[float]:
    """From the bytes of a delta to live: read, hash, judge, apply and sync, and the core's own commit. Random cards get another ending."""
    file = till.lists.file
    assert file is not None
    head = file.head
    drawn, known = random.Random(3), tokens(cards)
    places, total, version, took = list(range(cards)), int(head.content_hash, 16), head.version, []
    last4 = dict.fromkeys(places, "C5E6")
    for number in range(DELTAS):
        lines = []
        for place in drawn.sample(places, min(DELTA_ROWS, cards)):
            total -= row_hash(canonical(card_row(known[place], place, last4[place])))
            last4[place] = f"{number:04d}"
            lines.append(canonical(card_row(known[place], place, last4[place])))
            total += row_hash(lines[-1])
        digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
        lines.append(canonical({"row": "end", "rows": len(lines), "sha256": digest}))
        offer = ListOffer("e1", version + 1, head.rows, hash_text(total), till.utc(), till.utc() + 3_600_000, False)
        start = time.perf_counter()
        ops, products = read_delta(lines, digest)
        till.event(ChangesReady((ListDelta(version, offer, digest, ops, products),), till.utc()))
        took.append((time.perf_counter() - start) * 1000)
        version += 1
        if till.lists.version != version:
            raise RuntimeError(f"the delta was not taken: {till.site.desk.faults.active}")
    return took


# --- all --------------------------------------------------------------------------------------------------------------------------


def figures(folder: Path, shelf: Shelf, cards: int, calm_s: float) -> list[Figure]:
    """Of the largest list. ``calm_s``: how long to decide without an import, for comparison."""
    from tests.bench.till import Till  # noqa: PLC0415 - it stands on this file

    job = shelf.job(cards)
    known = [f"{token:032x}" for token in tokens(cards)]
    bare = [bare_seconds_niced(folder, Path(job.target))]
    lists = shelf.live(cards)
    till = Till(folder, lists, known, "lists.db")
    lived = []
    for version in range(2, 2 + IMPORTS):
        lived.append(to_live_ms(till, job, version))
        bare.append(bare_seconds_niced(folder, till.lists.directory / f"cards-e1-{version}.db"))
    deltas = delta_ms(till, cards)
    till.close()
    lists.close()
    busy = _busy(folder, job, known, calm_s)
    return [*_import_figures(job, shelf.imports[cards], lived, bare), *_busy_figures(busy), *_delta_figures(deltas, cards)]


def _import_figures(job: Job, first: Imported, lived: list[tuple[Imported, float]], bare: list[tuple[float, float]]) -> list[Figure]:
    took = [one.seconds + rest / 1000 for one, rest in lived]
    peaks = [first.peak_mib, *(one.peak_mib for one, _ in lived)]
    return [
        Figure(
            f"list of {job.rows:,} rows to live", "s", percentile(took, 0.5),
            f"median of {len(took)}; packed bytes on disk to the file that the core has adopted and opened; in its own process",
            percentile([wall for wall, _ in bare], 0.5), "executemany of the same rows, synced, as nice; in turns",
            3, bar_of_floor=True,
            detail={"to_live_s": took, "executemany_s": [wall for wall, _ in bare], "adopting_ms": [rest for _, rest in lived],
                    "cpu_s": [one.cpu_s for one, _ in lived], "executemany_cpu_s": [cpu for _, cpu in bare],
                    "packed_mib": Path(job.source).stat().st_size >> 20},
        ),
        Figure("memory of the import process", "MiB", max(peaks), "its highest resident size", bar=64),
    ]  # fmt: skip


def _busy(folder: Path, job: Job, known: list[str], calm_s: float) -> dict[str, Any]:
    """What ``busy.py`` says, a process of its own that has nothing of ours in its memory."""
    live = next(Path(job.target).parent.glob("cards-e1-*.db"))
    told = folder / "tokens.json"
    told.write_text(json.dumps(random.Random(7).choices(known, k=SAMPLED)), encoding="ascii")
    request = folder / "again.json"
    request.write_bytes(msgspec.json.encode(msgspec.structs.replace(job, target=str(live.with_name("cards-e1-99.db")), version=99)))
    command = [sys.executable, "-m", "tests.bench.busy", "--live", str(live), "--tokens", str(told), "--job", str(request)]
    command += ["--idle", str(calm_s)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1_800)
    if done.returncode:
        raise RuntimeError(f"tests.bench.busy ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _busy_figures(busy: dict[str, Any]) -> list[Figure]:
    while_importing, idle = busy["busy_us"], busy["idle_us"]
    return [
        Figure(
            "decision while a list is imported, p99", "us", percentile(while_importing, 0.99),
            f"{len(while_importing)} decisions one by one, the import in its own process", percentile(idle, 0.99),
            "the same without an import", 2, bar_of_floor=True, detail={"busy_us": spread(while_importing), "idle_us": spread(idle)},
        ),
        Figure(
            "growth of the terminal's process by an import", "MiB", max(0.0, busy["grown_mib"]),
            "its highest resident size from the start of the import until the new list is live, less the size before", bar=8,
            detail={"before_mib": busy["before_mib"]},
        ),
    ]  # fmt: skip


def _delta_figures(took: list[float], cards: int) -> list[Figure]:
    rows = f"delta of {min(DELTA_ROWS, cards):,} rows to live"
    how = "its bytes read, hashed, judged, applied and synced, and the core's commit of it"
    return [
        Figure(f"{rows}, {name}", "ms", percentile(took, share), how, bar=100, detail={"delta_ms": spread(took)})
        for name, share in (("p50", 0.5), (f"worst of {DELTAS}", 1.0))
    ]


if __name__ == "__main__":
    os.nice(19)
    print(*bare_seconds(Path(sys.argv[1]), Path(sys.argv[2])))
