"""``python -m tests.bench``: every figure beside its floor; a table on the screen, everything in build/bench.json."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from terminal.store.schema import PAGE_SIZE
from tests.bench import decisions, floors, kinds, line_load, lines, lists, media, rig, uploads, writes
from tests.bench.figures import Figure, percentile, table
from tests.demo.station import StationError

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("rig", "media", "lines", "virtual", "decisions", "lists", "uploads", "kinds", "pages")
FAILURES = (StationError, writes.CannotCount, subprocess.SubprocessError, OSError, AssertionError, RuntimeError, LookupError, ValueError)
"""What a part may end with when something does not do what it must: said, and the other parts go on."""
PAGE_SIZES = (512, 1024, 2048, 4096)
BARE_COMMITS = 200
ONLINE_SYNCS = ("PIN try", "reservation before the host is asked", "hold and decision", "release", "fill")
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (("plain", ()), ("encrypted", ("--encrypted",)))
PAGES_SHARE = 3
"""The comparison of page sizes takes so many times fewer fuellings each."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything. ``unsent``: below the 50,000 messages at which the terminal closes, closings of batches counted."""

    repetitions: int = 40
    idle_s: float = 30.0
    presentations: int = 40
    presses: int = 300
    positions: tuple[int, ...] = lines.SIZES
    fuelling: int = lines.BUSY_POSITIONS
    lifts: int = 40
    minutes: float = 2.0
    fuellings: int = 300
    cards: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    drivers: int = 200
    unsent: int = 49_000
    blocks: int = 100
    sales: int = 10_000
    calm_s: float = 10.0  # decisions without an import, for comparison


QUICK = Sizes(4, 5.0, 4, 20, (1, 2), 3, 2, 0.1, 40, (1_000, 20_000), 40, 2_000, 20, 1_000, 2.0)
"""A sanity run: its figures are of smaller things, and their names say so."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; may be given again. All by default.")
@click.option("--quick", is_flag=True, help="A sanity run of some minutes: everything smaller, no comparison of page sizes.")
@click.option("--repetitions", type=click.IntRange(1, 1000), help=f"Drivers in the rig. [default: {Sizes().repetitions}]")
@click.option("--idle", "idle_s", type=click.FloatRange(0, 3600), help=f"Seconds of idling in the rig. [default: {Sizes().idle_s:g}]")
@click.option("--presentations", type=click.IntRange(1, 1000), help=f"Of each medium. [default: {Sizes().presentations}]")
@click.option("--presses", type=click.IntRange(1, 10_000), help=f"Keys, one by one. [default: {Sizes().presses}]")
@click.option("--positions", type=click.IntRange(1, 32), multiple=True, help="Idle positions of a line; may be given again.")
@click.option("--lifts", type=click.IntRange(0, 1000), help=f"Nozzles lifted while all others fuel. [default: {Sizes().lifts}]")
@click.option("--minutes", type=click.FloatRange(0, 600), help=f"Polling beside an upload and imports. [default: {Sizes().minutes:g}]")
@click.option("--fuellings", type=click.IntRange(1, 100_000), help=f"In the virtual world. [default: {Sizes().fuellings}]")
@click.option("--cards", type=click.IntRange(1_000, 10_000_000), help=f"The largest list. [default: {max(Sizes().cards)}]")
@click.option("--unsent", type=click.IntRange(1, 49_000), help=f"Sales that wait for the host. [default: {Sizes().unsent}]")
@click.option("--sales", type=click.IntRange(1, 49_000), help=f"Sales to upload. [default: {Sizes().sales}]")
@click.option("--out", default=ROOT / "build" / "bench.json", type=click.Path(dir_okay=False, path_type=Path), help="Where the JSON goes.")
def main(parts: tuple[str, ...], quick: bool, out: Path, **given: Any) -> None:
    """Measure the terminal: in the rig, its media, in the virtual world, its decisions, lists and uploads, and ledgers of other page sizes.

    Takes about a quarter of an hour; ends with 1 when a part failed, with the others' figures all the same. The load of the machine stands
    beside the figures: others' work makes them worse, never better.
    """
    sizes = QUICK if quick else Sizes()
    wanted = {name: value for name, value in given.items() if value not in (None, ())}
    if "cards" in wanted:
        most = wanted["cards"]
        wanted["cards"] = (*(size for size in sizes.cards if size < most), most)
    sizes = replace(sizes, **wanted)
    wanted_parts = parts or (PARTS[:-1] if quick else PARTS)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=out.parent))  # beside the result: a real disk, not a temporary file system
    run = Run(sizes, folder, out)
    try:
        run.library = writes.build(folder.parent / "bench")
        for part in (name for name in PARTS if name in wanted_parts):
            run.part(part)
    except writes.CannotCount as error:
        raise click.ClickException(f"no figures: {error}") from error
    except KeyboardInterrupt:
        click.echo("Stopped.")
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    click.echo(run.summary())
    sys.exit(1 if run.failed else 0)


class Run:
    """The parts one after another; what is known so far stands in ``out`` behind each of them."""

    def __init__(self, sizes: Sizes, folder: Path, out: Path) -> None:
        self.sizes = sizes
        self.folder = folder
        self.out = out
        self.library = Path()
        self.failed: dict[str, str] = {}
        self._figures: list[Figure] = []
        self._seconds: dict[str, float] = {}
        self._loads: dict[str, list[float]] = {}
        self._rest: dict[str, Any] = {"machine": floors.machine(), "load_before": floors.load()}
        self._shelf = lists.Shelf(folder / "lists")
        self._parts: dict[str, Callable[[], list[Figure]]] = {
            "rig": self._rig,
            "media": self._media,
            "lines": self._lines,
            "virtual": self._virtual,
            "decisions": self._decisions,
            "lists": self._lists,
            "uploads": self._uploads,
            "kinds": self._kinds,
            "pages": self._pages,
        }

    def part(self, name: str) -> None:
        """Measure this part, show its figures, write everything down. A part that fails is said and kept in ``failed``."""
        began = time.monotonic()
        try:
            found = self._parts[name]()
        except FAILURES as error:
            self.failed[name] = f"{type(error).__name__}: {error}"
            click.echo(f"no figures of {name}: {self.failed[name]}")
            found = []
        self._figures += found
        self._seconds[name] = round(time.monotonic() - began, 1)
        self._loads[name] = floors.load()
        for line in table(found) if found else ():
            click.echo(line)
        self._write()

    def _write(self) -> None:
        result = self._rest | {
            "load_after": floors.load(),
            "load_after_part": self._loads,
            "seconds": self._seconds,
            "failed": self.failed,
            "figures": [figure.as_json() for figure in self._figures],
        }
        self.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    def summary(self) -> str:
        """How long it took, what failed, what missed its bar, the load."""
        missed = [figure.name for figure in self._figures if figure.met is False]
        words = [f"{sum(self._seconds.values()):.0f} s, load before {self._rest['load_before']}, after {floors.load()}"]
        words += [f"failed: {', '.join(self.failed)}"] if self.failed else []
        words += [f"missed: {'; '.join(missed)}"] if missed else ["every bar is met"] if self._figures else []
        return "\n".join([*words, f"everything is in {self.out}"])

    # --- the parts

    def _rig(self) -> list[Figure]:
        run = rig.Rig(self.folder / "rig", self.library, self.sizes.repetitions, click.echo)
        return rig.figures(run, run.run(self.sizes.idle_s))

    def _media(self) -> list[Figure]:
        return media.measure(self.sizes.presentations, self.sizes.presses, click.echo)

    def _lines(self) -> list[Figure]:
        sizes = self.sizes
        found = lines.measure(lines.Sizes(sizes.positions, sizes.idle_s, sizes.fuelling, sizes.lifts), click.echo)
        if sizes.minutes:
            cards = max(1_000, max(sizes.cards) // 5)
            found += line_load.missed(_made(self.folder / "lines"), sizes.minutes, cards, click.echo)
        return found

    def _virtual(self) -> list[Figure]:
        click.echo(f"{self.sizes.fuellings} fuellings in the virtual world")
        return _virtual(_play(self.folder / "virtual", self.library, self.sizes.fuellings, PAGE_SIZE), self.folder)

    def _decisions(self) -> list[Figure]:
        sizes = self.sizes
        click.echo(f"decisions, lists of {', '.join(f'{size:,}' for size in sizes.cards)} cards, {sizes.unsent:,} unsent sales")
        return decisions.figures(_made(self.folder / "decisions"), self._shelf, sizes.cards, sizes.drivers, sizes.unsent, sizes.blocks)

    def _lists(self) -> list[Figure]:
        click.echo(f"a list of {max(self.sizes.cards):,} cards to live")
        return lists.figures(_made(self.folder / "lists"), self._shelf, max(self.sizes.cards), self.sizes.calm_s)

    def _uploads(self) -> list[Figure]:
        click.echo(f"{self.sizes.sales:,} sales to the host")
        return uploads.figures(_made(self.folder / "uploads"), self.sizes.sales)

    def _kinds(self) -> list[Figure]:
        count = max(1, self.sizes.fuellings // PAGES_SHARE)
        click.echo(f"\na plain and an encrypted ledger, {count} fuellings each, {kinds.COMMITS} commits each in turns:")
        folder = self.folder / "kinds"
        played = {kind: _play(folder / kind, self.library, count, PAGE_SIZE, *options) for kind, options in _KINDS}
        self._rest["kinds"] = kinds.rows(folder, played)
        for row in self._rest["kinds"]:
            click.echo(kinds.as_text(row))
        return []

    def _pages(self) -> list[Figure]:
        self._rest["page_sizes"] = _pages(self.folder, self.library, max(1, self.sizes.fuellings // PAGES_SHARE))
        return []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _play(folder: Path, library: Path, fuellings: int, page_size: int, *options: str) -> dict[str, Any]:
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
        *options,
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
