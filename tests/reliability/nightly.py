"""``python -m tests.reliability.nightly``: every campaign at its full length, one after the other, and then the page of figures.

A campaign that fails does not keep the next ones from running. Exit 0: all well, 1: at least one failed, 2: wrong use.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time

import click

from tests.reliability import ROOT

CAMPAIGNS: dict[str, tuple[str, ...]] = {
    "oracle": ("tests.oracle", "--cases", "100000", "--jobs", "{jobs}"),
    "canary": ("tests.canary", "--sessions", "1000"),
    "powercut": ("tests.powercut", "run", "--states", "50000", "--jobs", "{jobs}"),
    "disk": ("tests.powercut", "disk", "--jobs", "{jobs}"),
    "starts": ("tests.endurance", "starts"),
    "planted": ("tests.simulation", "planted"),
    "swarm": ("tests.simulation", "swarm", "--seeds", "20000", "--first", "1", "--jobs", "{jobs}"),
    "kills": ("tests.endurance", "kills", "--kills", "1000", "--jobs", "{jobs}"),
    "soak": ("tests.endurance", "soak", "--minutes", "30"),
    "rig": ("tests.play", "tests/features", "--world", "rig", "--jobs", "5", "--table"),
    "fuzz": ("tests.fuzz", "--inputs", "100000"),
    "bench": ("tests.bench",),
}
"""Shorter ones first, so that a night that is cut short has shown the most."""
MACHINE = ("make", "machine")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples:\n\n  python -m tests.reliability.nightly\n\n  python -m tests.reliability.nightly --only kills --only soak",
)
@click.option("--only", type=click.Choice([*CAMPAIGNS, "machine"]), multiple=True, help="Only this campaign; may be given again.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes of those that can use several.")
def main(only: tuple[str, ...], jobs: int) -> None:
    """Run the campaigns, then write firmware_notes/reliability.md."""
    failed = []
    for name in only or (*CAMPAIGNS, "machine"):
        command = list(MACHINE) if name == "machine" else [sys.executable, "-m", *(part.format(jobs=jobs) for part in CAMPAIGNS[name])]
        click.echo(f"--- {name}: {shlex.join(command[1:] if name != 'machine' else command)}")
        began = time.monotonic()
        try:
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
        except KeyboardInterrupt:
            click.echo("Stopped.")
            sys.exit(130)
        click.echo(f"--- {name}: {'done' if code == 0 else f'FAILED with {code}'} in {(time.monotonic() - began) / 60:.1f} minutes")
        if code:
            failed.append(name)
    page = subprocess.run([sys.executable, "-m", "tests.reliability"], cwd=ROOT, check=False).returncode
    click.echo(f"failed: {', '.join(failed)}" if failed else "Every campaign ended well.")
    sys.exit(1 if failed or page else 0)


if __name__ == "__main__":
    main()
