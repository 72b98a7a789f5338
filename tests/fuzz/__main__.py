"""``python -m tests.fuzz``: does anything that comes in break anything? Exit 0: nothing found, 1: a finding, 2: wrong use or stopped."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.fuzz.guided import run_guided
from tests.fuzz.hunt import FOLDER, Finding, Tally, hunt, kept, outcome, watched
from tests.fuzz.surface import ROOT
from tests.fuzz.surfaces import SURFACES
from tests.reliability import Campaign, campaign


@click.command(
    epilog="""\b
Examples:
  python -m tests.fuzz
  python -m tests.fuzz --surface dart-line --inputs 1000000 --seed 7
  python -m tests.fuzz --play build/fuzz/dart-line-0123456789ab.bin""",
)
@click.option("--surface", "names", multiple=True, type=click.Choice(sorted(SURFACES)), help="Only this one; may be given more than once.")
@click.option("--inputs", type=click.IntRange(1), default=100_000, show_default=True, help="How many for each.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed makes the same inputs.")
@click.option("--engine", type=click.Choice(["dice", "atheris"]), default="dice", help="atheris: guided by coverage.")
@click.option("--play", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Instead: one kept input once more.")
def main(names: tuple[str, ...], inputs: int, seed: int, engine: str, play: Path | None) -> None:
    """Seeded inputs, golden ones changed and junk, through the product's own readers and line masters, in this process."""
    try:
        if play is not None:
            sys.exit(_again(play))
        wanted = names or tuple(SURFACES)
        if engine == "atheris":
            sys.exit(_guided(wanted, inputs, seed))
        with campaign("fuzz", "Inputs of others' making", kept=wanted == tuple(SURFACES)) as found:
            _all(wanted, inputs, seed, found)
        sys.exit(found.code)
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)
        sys.exit(2)


def _all(names: tuple[str, ...], inputs: int, seed: int, found: Campaign) -> None:
    width = max(map(len, names))
    click.echo(f"{'surface':{width}} {'inputs':>8} {'refused':>8} {'accepted':>8} {'slowest ms':>10} {'s':>7}")
    findings: list[Finding] = []
    slowest = 0.0
    for name in names:
        tally = hunt(SURFACES[name], inputs, seed, _progress(name))
        click.echo(_row(tally, width))
        slowest = max(slowest, tally.slowest_ms)
        if tally.finding is not None:
            findings.append(kept(tally.finding))
            _tell(findings[-1])
            found.amiss(f"{findings[-1].outcome.kind}: {findings[-1].outcome.why}")
    found.figures |= {
        "surfaces": len(names),
        "inputs each": inputs,
        "slowest input": f"{slowest:.0f} ms",
        "uncaught or hanging": len(findings),
    }
    if not findings:
        click.echo(f"Nothing broke (seed {seed}).")


def _guided(names: tuple[str, ...], inputs: int, seed: int) -> int:
    """Each surface in a process of its own, because the guide ends its process."""
    if importlib.util.find_spec("atheris") is None:
        click.echo("Atheris is not installed; it is none of the locked packages. Once: .venv/bin/python -m pip install atheris", err=True)
        return 2
    width, broken = max(map(len, names)), 0
    for name in names:
        began = time.monotonic()
        done = run_guided(name, inputs, seed)
        covered = f"{done.covered} edges" if done.covered else "no figure"
        click.echo(f"{name:{width}} {inputs:8} {covered:>12} {time.monotonic() - began:7.1f} s")
        if done.why:
            broken = 1
            click.echo(f"  BROKEN  {done.why}")
    if not broken:
        click.echo(f"Nothing broke (seed {seed}, guided by coverage).")
    return broken


def _row(tally: Tally, width: int) -> str:
    counts = f"{tally.inputs:8} {tally.refused:8} {tally.accepted:8}"
    return f"{tally.surface:{width}} {counts} {tally.slowest_ms:10.1f} {tally.seconds:7.1f}"


def _progress(name: str) -> Callable[[int], None]:
    """The number of inputs so far on a terminal's last line; nothing elsewhere."""

    def show(done: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{name}: {done}\r", nl=False, err=True)

    return show


def _tell(finding: Finding) -> None:
    click.echo(f"  BROKEN  {finding.outcome.kind}: {finding.outcome.why}")
    if finding.file is not None:
        file = finding.file.relative_to(ROOT) if finding.file.is_relative_to(ROOT) else finding.file
        click.echo(f"  {len(finding.data)} bytes are in {file}; again: python -m tests.fuzz --play {file}")


def _again(file: Path) -> int:
    """The file's name says which surface it is for."""
    name = file.stem.rpartition("-")[0]
    if name not in SURFACES:
        click.echo(f"{file}: its name must begin with a surface's, as those in {FOLDER.relative_to(ROOT)} do", err=True)
        return 2
    with watched() as arm:
        found = outcome(SURFACES[name], file.read_bytes(), arm)
    click.echo(f"{name}: {found.kind}{f': {found.why}' if found.why else ''} ({found.seconds * 1000:.1f} ms)")
    return 1 if found.bad else 0


if __name__ == "__main__":
    main()
