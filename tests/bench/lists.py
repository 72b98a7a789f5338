"""Card lists: a decision beside a bare SELECT, an import beside a bare executemany, a delta, and what an import costs the drivers.

``python -m tests.bench.lists [--cards N]`` prints the table; ``run`` gives the figures. Every floor is measured in the same run on the same
file or with the same rows.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from terminal.core.account_book import AccountBook
from terminal.core.authorization import decide, gather
from terminal.core.card_data import Nozzle
from terminal.core.card_lists import ListDelta, ListOffer
from terminal.core.clock import ClockState
from terminal.core.events import ChangesApplied
from terminal.core.facts import PinResult, Policy, Request
from terminal.core.units import UtcMs
from terminal.store.card_file import TABLES, LiveLists
from terminal.store.card_import import ImportProcess, Job
from terminal.store.list_rows import hash_text, read_delta, row_hash
from tests.bench.figures import Figure, percentile, spread, table

NOW = UtcMs(1_774_700_000_000)
CUSTOMERS = 1_000
DECISIONS = 4_000
DELTA_ROWS = 1_000
DELTAS = 20
IDLE_S = 5
NOZZLES = (Nozzle(1, "GAZOLE", 17_290), Nozzle(2, "SP95", 18_150))
POLICY = Policy()
SIZES = (1_000, 100_000, 1_000_000)


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


# --- decisions --------------------------------------------------------------------------------------------------------------------


class Asked:
    """Decides offline for random cards of a list."""

    def __init__(self, lists: LiveLists, cards: int) -> None:
        known = tokens(cards)
        self._lists = lists
        self._tokens = [f"{token:032x}" for token in random.Random(7).choices(known, k=DECISIONS)]
        self._book = AccountBook([])
        self._next = 0

    def decide(self, token: str) -> bool:
        """One whole decision: gather what it needs, decide."""
        request = Request(token, "7001234567890", PinResult.RIGHT, NOZZLES, None)
        facts = gather(
            request, None, self._lists, self._lists.deny, self._book, site="S1", zone="Europe/Paris", decimals=2, now_utc=NOW,
            clock_state=ClockState.TRUSTED, lists_checked_utc=NOW, policy=POLICY,
        )  # fmt: skip
        return decide(facts, POLICY).approved

    def times_us(self, rounds: int = 1) -> list[float]:
        """How long each took."""
        return _times(lambda token: self.decide(token), self._tokens * rounds)

    def some_us(self, count: int) -> list[float]:
        """How long each of some took, always others."""
        self._next = (self._next + count) % len(self._tokens)
        return _times(self.decide, self._tokens[self._next : self._next + count])

    def floor_us(self) -> list[float]:
        """A bare SELECT by primary key of the same cards, on the same file and over the same connection."""
        file = self._lists.file
        if file is None:
            raise RuntimeError("no list is live")
        execute = file.connection.execute
        keys = [bytes.fromhex(token) for token in self._tokens]
        return _times(lambda key: execute("SELECT body FROM card WHERE token = ?", (key,)).fetchone(), keys)


def _times(do: Callable[[Any], object], values: list[Any]) -> list[float]:
    clock, found = time.perf_counter_ns, []
    for value in values:
        start = clock()
        do(value)
        found.append((clock() - start) / 1000)
    return found


def decision_figures(lists: LiveLists, cards: int) -> list[Figure]:
    """p50 and p99 beside the bare SELECT."""
    asked = Asked(lists, cards)
    asked.times_us()
    asked.floor_us()
    took, floor = [], []
    for _ in range(4):  # in turns, so that both meet the same neighbours
        took += asked.times_us()
        floor += asked.floor_us()
    how = "gather and decide, offline, random cards with a customer's and (every tenth) a card's limit"
    return [
        Figure(
            f"decision with {cards:,} cards, p{share * 100:.0f}", "us", percentile(took, share), how, percentile(floor, share),
            "a bare SELECT by primary key on the same file", 12 if share == 0.5 else None, bar_of_floor=True,
            detail={"decision_us": spread(took), "select_us": spread(floor)},
        )
        for share in (0.5, 0.99)
    ]  # fmt: skip


# --- import -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    """One import in a process of its own."""

    seconds: float
    peak_mib: float


def import_once(job: Job) -> Imported:
    """Start the import as the terminal does and take its time and its highest memory."""
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
    answer = child.stdout.read()
    if child.returncode or msgspec.json.decode(answer) != {"refused": None}:
        raise RuntimeError(f"the import failed: {child.returncode} {answer!r}")
    return Imported(took, peak / 1024)


def _peak_kib(pid: int) -> int:
    """The highest resident size so far; not ``ru_maxrss``, which also counts what forked it."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) if found and "python" in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") else 0


def bare_seconds(folder: Path, built: Path) -> float:
    """Nothing but executemany of the very rows of that card file into the same tables, committed and synced."""
    target = folder / "bare.db"
    source = sqlite3.connect(f"{built.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    names = ("product", "customer", "card", "bound")
    tables = {name: source.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    source.close()
    os.sync()
    start = time.perf_counter()
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
    took = time.perf_counter() - start
    target.unlink()
    return took


def while_it_runs(asked: Asked, work: Callable[[], object]) -> tuple[list[float], float]:
    """Decisions while ``work`` runs in a thread, in small groups as drivers come, and by how many MiB this process has grown."""
    before = _resident_mib()
    done = threading.Event()

    def run_it() -> None:
        work()
        done.set()

    thread = threading.Thread(target=run_it)
    thread.start()
    found: list[float] = []
    while not done.wait(0.02):
        found += asked.some_us(200)
    thread.join()
    return found, _resident_mib() - before


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


# --- deltas -----------------------------------------------------------------------------------------------------------------------


def delta_ms(lists: LiveLists, cards: int) -> list[float]:
    """From the bytes of a delta to live: read, hash, apply, commit and sync. Random cards get another ending."""
    head = lists.file.head if lists.file is not None else None
    assert head is not None
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
        offer = ListOffer("e1", version + 1, head.rows, hash_text(total), NOW, NOW + 1, False)
        start = time.perf_counter()
        ops, products = read_delta(lines, digest)
        came = lists.changed((ListDelta(version, offer, digest, ops, products),))
        took.append((time.perf_counter() - start) * 1000)
        if not isinstance(came, ChangesApplied):
            raise RuntimeError(came.why)
        version += 1
    return took


# --- all --------------------------------------------------------------------------------------------------------------------------


def run(folder: Path, sizes: tuple[int, ...] = SIZES) -> list[Figure]:
    """All figures; the largest list is the one whose import is measured."""
    figures: list[Figure] = []
    for cards in sizes:
        job = snapshot(folder, cards)
        built = Path(job.target)
        imported = [import_once(job) for _ in range(2)]
        lists = LiveLists(folder)
        lists.use(built.name)
        figures += decision_figures(lists, cards)
        if cards == max(sizes):
            lists.close()
            figures += _import_figures(folder, job, built, imported)
            lists.use(built.name)
            figures += _busy_figures(lists, job, cards)
            figures.append(_delta_figure(lists, cards))
        lists.close()
        for file in folder.glob("*"):
            file.unlink()
    return figures


def _import_figures(folder: Path, job: Job, built: Path, imported: list[Imported]) -> list[Figure]:
    bare = [bare_seconds(folder, built) for _ in range(2)]
    took = [*imported, import_once(job)]
    return [
        Figure(
            f"import of {job.rows:,} rows from gzip to a synced card file", "s", min(one.seconds for one in took), "in its own process",
            min(bare), "executemany of the same rows, committed and synced", 3, bar_of_floor=True,
            detail={"import_s": [one.seconds for one in took], "executemany_s": bare, "packed_mib": Path(job.source).stat().st_size >> 20},
        ),
        Figure("memory of the import process", "MiB", max(one.peak_mib for one in took), "its highest resident size", bar=64),
    ]  # fmt: skip


def _busy_figures(lists: LiveLists, job: Job, cards: int) -> list[Figure]:
    asked = Asked(lists, cards)
    idle, _ = while_it_runs(asked, lambda: time.sleep(IDLE_S))
    again = msgspec.structs.replace(job, target=job.target.replace("-1.db", "-2.db"))
    busy, grown = while_it_runs(asked, lambda: ImportProcess()(again))
    return [
        Figure(
            "decision while a list is imported, p99", "us", percentile(busy, 0.99), "the import in its own process", percentile(idle, 0.99),
            "the same without an import", 2, bar_of_floor=True, detail={"busy_us": spread(busy), "idle_us": spread(idle)},
        ),
        Figure("growth of the terminal's process by an import", "MiB", max(0.0, grown), "resident size before and after", bar=8),
    ]  # fmt: skip


def _delta_figure(lists: LiveLists, cards: int) -> Figure:
    took = delta_ms(lists, cards)
    return Figure(
        f"delta of {DELTA_ROWS:,} rows to live, median of {DELTAS}",
        "ms", percentile(took, 0.5), "read, hashed, applied, committed and synced", bar=100, detail={"delta_ms": spread(took)},
    )  # fmt: skip


@click.command()
@click.option("--cards", type=int, default=SIZES[-1], show_default=True, help="The largest list.")
def main(cards: int) -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="bench-lists-"))
    try:
        figures = run(folder, tuple(size for size in SIZES if size < cards) + (cards,))
    finally:
        shutil.rmtree(folder)
    click.echo("\n".join(table(figures)))


if __name__ == "__main__":
    main()
