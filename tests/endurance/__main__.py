"""``python -m tests.endurance``: kills, a soak, starts. Exit 0: all well, 1: something was lost or a bar was missed, 2: wrong use."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import click

from tests.bench.figures import percentile
from tests.endurance import kills as killing
from tests.endurance import soak as soaking
from tests.endurance import starts as starting
from tests.reliability import ROOT, Campaign, campaign

A_CAMPAIGN = 25
"""Kills on one station: its books are compared behind them, and the next station begins empty."""
READY_MS = 3_000
SAFE_MS = 2_000
PEAK_MIB = 160
"""The rest of MemoryMax is for an import or a backup."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The real program in the rig, under fire. Figures go to build/reliability/."""


@main.command(epilog="Example:\n\n  python -m tests.endurance kills --kills 1000 --jobs 2")
@click.option("--kills", type=click.IntRange(1), default=1000, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first campaign's; the next ones count on.")
@click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="Stations at a time.")
def kills(kills: int, seed: int, jobs: int) -> None:
    """SIGKILL at random moments under load; then the three books, the numbers and the chain."""
    done: list[killing.Report] = []
    with campaign("kills", "The program killed at random moments") as found:
        for report in campaigns(kills, seed, jobs):
            done.append(report)
            if report.wrong:
                found.amiss(f"seed {report.seed}: {report.wrong}")
            words = report.wrong or "the books agree"
            click.echo(f"seed {report.seed}: {report.kills} kills, {report.fuellings} fuellings in {report.seconds:.0f} s: {words}")
        found.figures |= _of_kills(done)
    sys.exit(found.code)


def _of_kills(done: list[killing.Report]) -> dict[str, object]:
    return {
        "kills": sum(report.kills for report in done),
        "of these before the program was ready": sum(report.kills_before_ready for report in done),
        "stations, each with its books compared": len(done),
        "fuellings": sum(report.fuellings for report in done),
        "numbers given, all ended, without a hole": sum(report.reserved for report in done),
        "litres sold, the same in all three books": round(sum(report.sold_ml for report in done) / 1000),
        "sales lost or doubled": "see below" if any(report.wrong for report in done) else "none",
    }


def campaigns(kills: int, seed: int, jobs: int) -> Iterator[killing.Report]:
    """So many kills, in campaigns side by side; each report as it comes."""
    pieces = [min(A_CAMPAIGN, kills - first) for first in range(0, kills, A_CAMPAIGN)]
    with ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            waiting = [pool.submit(killing.campaign, seed + place, piece) for place, piece in enumerate(pieces)]
            for one in as_completed(waiting):
                yield one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@main.command(epilog="Example:\n\n  python -m tests.endurance soak --minutes 30")
@click.option("--minutes", type=click.FloatRange(0.1), default=30.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def soak(minutes: float, seed: int) -> None:
    """Full load for so long: memory, descriptors, threads, and the books at the end."""

    def tell(report: soaking.Report) -> None:
        at, used = report.looks[-1]
        if len(report.looks) % 12 == 1:
            click.echo(f"{at / 60:5.1f} min: {report.fuellings} fuellings, {used.resident_kib} KiB, {used.descriptors} descriptors")

    with campaign("soak", "A long time at full load") as found:
        report = soaking.soak(seed, minutes, tell)
        found.amiss(report.judge())
        found.figures |= _of_soak(report)
    for name, value in found.figures.items():
        click.echo(f"{name}: {value}")
    click.echo(found.wrong or "Nothing grew.")
    sys.exit(found.code)


def _of_soak(report: soaking.Report) -> dict[str, object]:
    last = report.looks[-1][1]
    return {
        "minutes": report.minutes,
        "fuellings": report.fuellings,
        "growth of resident memory behind the warm-up (bar 5,120 KiB)": f"{report.growth_kib} KiB",
        "resident memory at the end": f"{last.resident_kib} KiB",
        "descriptors, least and most": _span([used.descriptors for used in report.steady]),
        "threads, least and most": _span([used.threads for used in report.steady]),
    }


def _span(values: list[int]) -> str:
    return f"{min(values)} to {max(values)}"


@main.command(epilog="Example:\n\n  python -m tests.endurance starts --cards 1000000 --rows 50000")
@click.option("--cards", type=click.IntRange(1_000), default=1_000_000, show_default=True, help="Rows of the live card list.")
@click.option("--rows", type=click.IntRange(100), default=50_000, show_default=True, help="Rows of the ledger.")
@click.option("--starts", type=click.IntRange(2), default=20, show_default=True, help="How many, and as many deaths.")
def starts(cards: int, rows: int, starts: int) -> None:
    """From exec to READY with a full ledger, and from a death to a pump that is known again."""
    parent = ROOT / "build"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="starts-", dir=parent))
    with campaign("starts", "Starts and deaths") as found:
        try:
            report = starting.measure(folder, cards, rows, starts, click.echo)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _of_starts(report, found)
    for name, value in found.figures.items():
        click.echo(f"{name}: {value}")
    sys.exit(found.code)


def _of_starts(report: starting.Report, found: Campaign) -> None:
    ready, empty, safe = (percentile(some, 0.95) for some in (report.ready_ms, report.empty_ms, report.safe_ms))
    full = percentile(report.full_safe_ms, 0.95)
    for name, took, bar in (("ready p95", ready, READY_MS), ("safe p95", safe, SAFE_MS), ("safe p95, full ledger", full, SAFE_MS)):
        if took > bar:
            found.amiss(f"{name}: {took:.0f} ms, bar {bar}")
    if report.peak_mib > PEAK_MIB:
        found.amiss(f"peak memory: {report.peak_mib} MiB, bar {PEAK_MIB}")
    found.figures |= {
        "cards in the live list": report.cards,
        "rows in the ledger": report.rows,
        "starts": len(report.ready_ms),
        "exec to READY, p95 (bar 3,000 ms)": f"{ready:.0f} ms",
        "the same on an empty folder, p95 (floor)": f"{empty:.0f} ms",
        "death to a released pump taken over or withdrawn, small ledger, p95 (bar 2,000 ms)": f"{safe:.0f} ms",
        "the same with the full ledger, p95 (bar 2,000 ms)": f"{full:.0f} ms",
        "of these the service manager waits (RestartSec)": f"{report.restart_ms:.0f} ms",
        f"most memory of a start (bar {PEAK_MIB} MiB, MemoryMax is 256)": f"{report.peak_mib} MiB",
    }


if __name__ == "__main__":
    main()
