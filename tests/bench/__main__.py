"""``python -m tests.bench``: every figure beside its floor; a table on the screen, everything in build/bench.json."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from terminal.store.schema import PAGE_SIZE
from tests.bench import decisions, floors, lists, rig, uploads, writes
from tests.bench.figures import Figure, percentile, table
from tests.demo.station import StationError

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("rig", "virtual", "decisions", "lists", "uploads", "pages")
PAGE_SIZES = (512, 1024, 2048, 4096)
BARE_COMMITS = 200
ONLINE_SYNCS = ("PIN try", "reservation before the host is asked", "hold and decision", "release", "fill")
PAGES_SHARE = 3
"""The comparison of page sizes takes so many times fewer fuellings each."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything. ``unsent``: below the 50,000 messages at which the terminal closes, closings of batches counted."""

    repetitions: int = 40
    idle_s: float = 30.0
    fuellings: int = 300
    cards: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    drivers: int = 200
    unsent: int = 49_000
    blocks: int = 100
    sales: int = 10_000
    calm_s: float = 10.0  # decisions without an import, for comparison


QUICK = Sizes(4, 5.0, 40, (1_000, 20_000), 40, 2_000, 20, 1_000, 2.0)
"""A sanity run: its figures are of smaller things, and their names say so."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; may be given again. All by default.")
@click.option("--quick", is_flag=True, help="A sanity run of less than two minutes: everything smaller, no comparison of page sizes.")
@click.option("--repetitions", type=click.IntRange(1, 1000), help=f"Drivers in the rig. [default: {Sizes().repetitions}]")
@click.option("--idle", "idle_s", type=click.FloatRange(0, 3600), help=f"Seconds of idling in the rig. [default: {Sizes().idle_s:g}]")
@click.option("--fuellings", type=click.IntRange(1, 100_000), help=f"In the virtual world. [default: {Sizes().fuellings}]")
@click.option("--cards", type=click.IntRange(1_000, 10_000_000), help=f"The largest list. [default: {max(Sizes().cards)}]")
@click.option("--unsent", type=click.IntRange(1, 49_000), help=f"Sales that wait for the host. [default: {Sizes().unsent}]")
@click.option("--sales", type=click.IntRange(1, 49_000), help=f"Sales to upload. [default: {Sizes().sales}]")
@click.option("--out", default=ROOT / "build" / "bench.json", type=click.Path(dir_okay=False, path_type=Path), help="Where the JSON goes.")
def main(parts: tuple[str, ...], quick: bool, out: Path, **given: Any) -> None:
    """Measure the terminal: in the rig, in the virtual world, its decisions, lists and uploads, and ledgers of other page sizes.

    Takes about ten minutes. The load of the machine stands beside the figures: others' work makes them worse, never better.
    """
    sizes = QUICK if quick else Sizes()
    wanted = {name: value for name, value in given.items() if value is not None}
    if "cards" in wanted:
        most = wanted["cards"]
        wanted["cards"] = (*(size for size in sizes.cards if size < most), most)
    sizes = replace(sizes, **wanted)
    parts = parts or (PARTS[:-1] if quick else PARTS)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=out.parent))  # beside the result: a real disk, not a temporary file system
    try:
        result = _measure(parts, sizes, folder)
    except (StationError, writes.CannotCount, subprocess.SubprocessError) as error:
        raise click.ClickException(f"no figures: {error}") from error
    except KeyboardInterrupt:
        click.echo("Stopped.")
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(f"load before {result['load_before']}, after {result['load_after']}; everything is in {out}")


def _measure(parts: tuple[str, ...], sizes: Sizes, folder: Path) -> dict[str, Any]:
    before = floors.load()
    library = writes.build(folder.parent / "bench")
    figures: list[Figure] = []
    result: dict[str, Any] = {"machine": floors.machine(), "load_before": before}
    loads: dict[str, list[float]] = {}
    shelf = lists.Shelf(folder / "lists")
    for part in PARTS:
        if part not in parts:
            continue
        if part == "rig":
            run = rig.Rig(folder / "rig", library, sizes.repetitions, click.echo)
            figures += rig.figures(run, run.run(sizes.idle_s))
        elif part == "virtual":
            click.echo(f"{sizes.fuellings} fuellings in the virtual world")
            figures += _virtual(_play(folder / "virtual", library, sizes.fuellings, PAGE_SIZE), folder)
        elif part == "decisions":
            click.echo(f"decisions, lists of {', '.join(f'{size:,}' for size in sizes.cards)} cards, {sizes.unsent:,} unsent sales")
            figures += decisions.figures(_made(folder / part), shelf, sizes.cards, sizes.drivers, sizes.unsent, sizes.blocks)
        elif part == "lists":
            click.echo(f"a list of {max(sizes.cards):,} cards to live")
            figures += lists.figures(_made(folder / part), shelf, max(sizes.cards), sizes.calm_s)
        elif part == "uploads":
            click.echo(f"{sizes.sales:,} sales to the host")
            figures += uploads.figures(_made(folder / part), sizes.sales)
        elif part == "pages":
            result["page_sizes"] = _pages(folder, library, max(1, sizes.fuellings // PAGES_SHARE))
        loads[part] = floors.load()
    for line in table(figures) if figures else ():
        click.echo(line)
    return result | {"load_after": floors.load(), "load_after_part": loads, "figures": [figure.as_json() for figure in figures]}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
