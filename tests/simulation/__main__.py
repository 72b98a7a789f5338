"""``python -m tests.simulation``: run seeds, replay one, plant known bugs. Exit 0: all well, 1: something broke, 2: wrong use."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import click

from tests import reliability
from tests.simulation.planted import PlantError, Plants, load, search
from tests.simulation.run import run
from tests.simulation.tally import Sums
from tests.simulation.trace import Result

FUELLINGS = 10
OUT = Path("build/swarm.json")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Seeded days at a station, with faults and power cuts; every step is checked. See firmware_notes/simulation.md."""


@main.command(
    epilog="""Examples:

  python -m tests.simulation swarm --seeds 200 --first 1

  python -m tests.simulation swarm --seeds 20 --first 700 --jobs 2"""
)
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True, help="How many seeds.")
@click.option("--first", type=click.IntRange(0), default=1, show_default=True, help="The first of them.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="How many at a time.")
@click.option("--fuellings", type=click.IntRange(1, 1000), default=FUELLINGS, show_default=True, help="Sales to be delivered a seed.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where the sums go, as JSON.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first seed that breaks.")
def swarm(seeds: int, first: int, jobs: int, fuellings: int, out: Path, keep_going: bool) -> None:
    """Run seeds until one breaks."""
    with reliability.campaign("swarm", "Days at the station from one number") as found:
        stopped = _swarm(found, seeds, first, jobs, fuellings, out, keep_going)
    sys.exit(130 if stopped else found.code)


def _swarm(found: reliability.Campaign, seeds: int, first: int, jobs: int, fuellings: int, out: Path, keep_going: bool) -> bool:
    """The seeds, and what became of them. True when somebody stopped it."""
    began = time.monotonic()
    sums = Sums()
    stopped = False
    try:
        for result in _results(range(first, first + seeds), jobs, fuellings):
            sums.add(result)
            if result.failure is not None:
                _clear()
                _tell(result, fuellings)
                if not keep_going:
                    break
            _progress(sums, seeds, began)
    except KeyboardInterrupt:
        stopped = True
    _clear()
    seconds = time.monotonic() - began
    command = f"python -m tests.simulation swarm --seeds {seeds} --first {first} --jobs {jobs} --fuellings {fuellings}"
    sums.write(out, {"command": command, "first": first, "jobs": jobs, "seconds": round(seconds, 1), "stopped": stopped})
    click.echo("\n".join(sums.table()))
    click.echo(_summary(sums, seconds, stopped, fuellings))
    found.figures |= _figures(sums, seconds)
    for one in sums.broken:
        found.amiss(f"seed {one['seed']}: {one['name']}")
    if stopped:
        found.amiss(f"{reliability.NOT_ENDED}: stopped by hand")
    return stopped


def _figures(sums: Sums, seconds: float) -> dict[str, object]:
    figures: dict[str, object] = {
        "seeds": sums.seeds,
        "fuellings": sums.fuellings,
        "fuellings a second": round(sums.fuellings / seconds, 1),
        "power cuts": sums.cuts,
        "virtual hours": round(sums.virtual_ms / 3_600_000),
    }
    figures |= {f"survived: {kind}": f"{times:,} in {seeds:,} seeds" for kind, times, seeds in sums.rows()}
    return figures


def _summary(sums: Sums, seconds: float, stopped: bool, asked: int) -> str:
    end = "Nothing broke."
    if sums.broken:
        end = f"{len(sums.broken)} broke: {', '.join(str(one['seed']) for one in sums.broken)}"
    return (
        f"{sums.seeds} seeds in {seconds:.1f} s ({sums.seeds / seconds:.2f}/s): {sums.attempts} nozzles lifted to fuel, "
        f"{sums.sales} reservations, {sums.fuellings} fuellings ({sums.fuellings / seconds:.1f}/s; {sums.spread(asked)}), "
        f"{sums.cuts} power cuts, {sums.virtual_ms / 3_600_000:.1f} virtual hours, "
        f"{sums.known} sales that carry fuel which left before their release. {'Stopped by hand. ' * stopped}{end}"
    )


@main.command(epilog="Example:\n\n  python -m tests.simulation replay --seed 17 --trace")
@click.option("--seed", type=click.IntRange(0), required=True, help="Which.")
@click.option("--trace/--no-trace", default=True, show_default=True, help="Print every line of the trace.")
@click.option("--fuellings", type=click.IntRange(1, 1000), default=FUELLINGS, show_default=True, help="As in the swarm that found it.")
def replay(seed: int, trace: bool, fuellings: int) -> None:
    """Run one seed again: the same seed gives the same trace and the same hash."""
    result = run(seed, fuellings, keep_trace=True)
    if trace:
        click.echo("\n".join(result.lines))
    click.echo(f"seed {seed}: {len(result.lines)} lines, hash {result.digest}")
    if result.failure is not None:
        click.echo(f"broke: {result.failure.name}: {result.failure.what}")
        sys.exit(1)


@main.command(epilog="Examples:\n\n  python -m tests.simulation planted\n\n  python -m tests.simulation planted --only forgotten-hold")
@click.option("--only", default=None, help="One of the bugs by its name.")
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True, help="How many seeds before a bug counts as missed.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="How many bugs at a time.")
def planted(only: str | None, seeds: int, jobs: int) -> None:
    """Plant known bugs into a copy of the product, one at a time, and show that the swarm finds each."""
    try:
        plants = load(only)
    except PlantError as error:
        raise click.UsageError(str(error)) from error
    with reliability.campaign("planted", "Bugs planted on purpose", kept=len(plants) > 1) as found:
        _plant_all(plants, seeds, jobs, found)
    sys.exit(found.code)


def _plant_all(plants: Plants, seeds: int, jobs: int, verdict: reliability.Campaign) -> None:
    click.echo(f"{'planted bug':<34} {'seed':>5} {'after':>6}  found by")
    missed = broken = 0
    with ThreadPoolExecutor(jobs) as pool:
        searches = [(plant, pool.submit(search, plant, seeds)) for plant in plants]
        for plant, under_way in searches:
            try:
                found = under_way.result()
            except PlantError as error:
                broken += 1
                click.echo(f"{plant.name:<34} {'-':>5} {'-':>6}  {error}")
                continue
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            if found is None:
                missed += 1
                click.echo(f"{plant.name:<34} {'-':>5} {seeds:>6}  NOT FOUND")
            else:
                click.echo(f"{plant.name:<34} {found.seed:>5} {found.after:>6}  {found.by}: {found.what[:110]}")
    click.echo(f"{len(plants)} planted, {len(plants) - missed - broken} found, {missed} not found, {broken} could not be looked for")
    verdict.figures |= {"planted": len(plants), "found": len(plants) - missed - broken, "seeds each, at most": seeds}
    if missed or broken:
        verdict.amiss(f"{missed} not found, {broken} could not be looked for")


def _results(seeds: range, jobs: int, fuellings: int) -> Iterator[Result]:
    if jobs == 1:
        _unhurried()
        yield from (_one(seed, fuellings) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, initializer=_unhurried, initargs=(True,)) as pool:
        try:
            yield from pool.map(partial(_one, fuellings=fuellings), seeds)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _unhurried(worker: bool = False) -> None:
    """Garbage is looked for seldom: a seventh of the time went into it. Workers leave Ctrl-C to the one who hands out seeds."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    if worker:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _one(seed: int, fuellings: int) -> Result:
    result = run(seed, fuellings)
    if seed % 16 == 0:
        gc.collect()
    return result


def _progress(sums: Sums, seeds: int, began: float) -> None:
    done, seconds = sums.seeds, time.monotonic() - began
    left = f"{seconds / done * (seeds - done):.0f} s to go"
    told = f"{done} of {seeds} seeds, {sums.fuellings} fuellings, {sums.cuts} power cuts, {len(sums.broken)} broke, {seconds:.0f} s, {left}"
    if sys.stdout.isatty():
        click.echo(f"\r\033[K{told}", nl=False)
    elif done % max(20, seeds // 50) == 0 or done == seeds:
        click.echo(told)


def _clear() -> None:
    if sys.stdout.isatty():
        click.echo("\r\033[K", nl=False)


def _tell(result: Result, fuellings: int) -> None:
    assert result.failure is not None
    more = "" if fuellings == FUELLINGS else f" --fuellings {fuellings}"
    click.echo("\n".join(result.lines[-50:]))
    click.echo(f"seed {result.seed} broke: {result.failure.name}: {result.failure.what}")
    click.echo(f"faults of this seed: {result.mix}")
    click.echo(f"again: .venv/bin/python -m tests.simulation replay --seed {result.seed}{more}")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped", err=True)
        sys.exit(130)
    except BrokenProcessPool:
        click.echo("a worker process was killed; run again with fewer --jobs", err=True)
        sys.exit(2)
