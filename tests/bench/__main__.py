"""``python -m tests.bench``: every figure beside its floor; a table on the screen, everything in build/bench.json."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from terminal.store.schema import PAGE_SIZE
from tests.bench import floors, rig, writes
from tests.bench.figures import Figure, percentile, table
from tests.demo.station import StationError

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("rig", "virtual", "pages")
PAGE_SIZES = (512, 1024, 2048, 4096)
BARE_COMMITS = 200
ONLINE_SYNCS = ("PIN try", "reservation before the host is asked", "hold and decision", "release", "fill")
PAGES_SHARE = 3
"""The comparison of page sizes takes so many times fewer fuellings each."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; may be given again. All by default.")
@click.option("--repetitions", default=40, show_default=True, type=click.IntRange(1, 1000), help="Drivers in the rig.")
@click.option("--idle", "idle_s", default=30.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds of idling in the rig.")
@click.option("--fuellings", default=300, show_default=True, type=click.IntRange(1, 100_000), help="In the virtual world.")
@click.option("--out", default=ROOT / "build" / "bench.json", type=click.Path(dir_okay=False, path_type=Path), help="Where the JSON goes.")
def main(parts: tuple[str, ...], repetitions: int, idle_s: float, fuellings: int, out: Path) -> None:
    """Measure the terminal: in the rig, in the virtual world, and with ledgers of other page sizes.

    Takes about four minutes. The load of the machine stands beside the figures: others' work makes them worse, never better.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=out.parent))  # beside the result: a real disk, not a temporary file system
    try:
        result = _measure(parts or PARTS, repetitions, idle_s, fuellings, folder)
    except (StationError, writes.CannotCount, subprocess.SubprocessError) as error:
        raise click.ClickException(f"no figures: {error}") from error
    except KeyboardInterrupt:
        click.echo("Stopped.")
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(f"load before {result['load_before']}, after {result['load_after']}; everything is in {out}")


def _measure(parts: tuple[str, ...], repetitions: int, idle_s: float, fuellings: int, folder: Path) -> dict[str, Any]:
    before = floors.load()
    library = writes.build(folder.parent / "bench")
    figures: list[Figure] = []
    result: dict[str, Any] = {"machine": floors.machine(), "load_before": before}
    if "rig" in parts:
        run = rig.Rig(folder / "rig", library, repetitions, click.echo)
        figures += rig.figures(run, run.run(idle_s))
    if "virtual" in parts:
        click.echo(f"{fuellings} fuellings in the virtual world")
        figures += _virtual(_play(folder / "virtual", library, fuellings, PAGE_SIZE), folder)
    for line in table(figures) if figures else ():
        click.echo(line)
    if "pages" in parts:
        result["page_sizes"] = _pages(folder, library, max(1, fuellings // PAGES_SHARE))
    return result | {"load_after": floors.load(), "figures": [figure.as_json() for figure in figures]}


def _play(folder: Path, library: Path, fuellings: int, page_size: int) -> dict[str, Any]:
    """One run of ``tests.bench.virtual`` with its writes counted."""
    folder.mkdir(parents=True)
    environment = {**os.environ, **writes.prepare(folder / "writes"), "LD_PRELOAD": str(library)}
    command = [
        sys.executable,
        "-m",
        "tests.bench.virtual",
        "--folder",
        str(folder),
        "--fuellings",
        str(fuellings),
        "--page-size",
        str(page_size),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=1_800)
    if done.returncode:
        raise StationError(f"the virtual world ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _virtual(found: Mapping[str, Any], folder: Path) -> list[Figure]:
    count = found["fuellings"]
    how = f"{count} fuellings of 30 L at 40 L/min, volume once a second, each booked at the host; ledger on disk"
    detail = {"per_second_of_wall": round(count / found["wall_s"], 1), "ms_of_core_each": round(found["cpu_s"] / count * 1000, 2)}
    syncs = found["syncs"] / count
    bare = floors.BareCommit(folder / "bare.db", PAGE_SIZE)
    commit_ms = percentile([bare.once_ms(round(found["bytes"] / found["syncs"])) for _ in range(BARE_COMMITS)], 0.5)
    bare.close()
    same = "the same run, served online, checkpoints and uploads included"
    return [
        Figure(
            "virtual fuellings",
            "/s and core",
            count / found["cpu_s"],
            how,
            1000 / (commit_ms * syncs),
            "only the synced commits of them, of the same bytes, on a bare SQLite file (more is better)",
            bar=100,
            at_least=True,
            detail=detail,
        ),
        rig.written_figure("written, served online", found["bytes"] / count, found["facts_bytes_per_fuelling"], same),
        rig.syncs_figure("syncs, served online", syncs, ONLINE_SYNCS, same),
    ]


def _pages(folder: Path, library: Path, fuellings: int) -> list[dict[str, Any]]:
    click.echo(f"\nledgers of other page sizes, {fuellings} fuellings each, log checkpointed at equal bytes:")
    rows = []
    for size in PAGE_SIZES:
        found = _play(folder / f"pages-{size}", library, fuellings, size)
        row = {
            "page_size": found["page_size"],
            "kib_per_fuelling": round(found["bytes"] / fuellings / 1024, 1),
            "syncs_per_fuelling": round(found["syncs"] / fuellings, 2),
            "ledger_bytes_per_fuelling": round(found["ledger_bytes"] / fuellings),
            "wall_ms_per_fuelling": round(found["wall_s"] / fuellings * 1000, 1),
        }
        rows.append(row)
        click.echo("  " + "  ".join(f"{name} {value}" for name, value in row.items()))
    return rows


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
