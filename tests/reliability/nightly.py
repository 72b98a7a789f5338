"""``python -m tests.reliability.nightly``: every campaign at its full length, one after the other, and then the page of figures.

A campaign that fails does not keep the next ones from running. Exit 0: all well, 1: at least one failed, 2: wrong use. The file of each
says that it did not end before its command is called: one that cannot even begin leaves no figures of an older night.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import click

from tests.reliability import FOLDER, NOT_ENDED, ROOT, Campaign, campaign, record

CAMPAIGNS: dict[str, tuple[str, ...]] = {
    "oracle": ("tests.oracle", "--cases", "100000", "--jobs", "{jobs}"),
    "canary": ("tests.canary", "--sessions", "1000"),
    "powercut": ("tests.powercut", "run", "--states", "50000", "--jobs", "{jobs}"),
    "powercut-encrypted": ("tests.powercut", "run", "--states", "20000", "--jobs", "{jobs}", "--encrypted"),
    "disk": ("tests.powercut", "disk", "--jobs", "{jobs}"),
    "wires": ("pytest", "tests/wires/test_wires.py", "tests/wires/rest.py", "-n", "{jobs}", "--junitxml=build/wires.xml"),
    "starts": ("tests.endurance", "starts"),
    "planted": ("tests.simulation", "planted"),
    "swarm": ("tests.simulation", "swarm", "--seeds", "20000", "--first", "1", "--jobs", "{jobs}"),
    "kills": ("tests.endurance", "kills", "--kills", "1000", "--jobs", "{jobs}"),
    "soak": ("tests.endurance", "soak", "--minutes", "30"),
    "rig": ("tests.play", "tests/features", "--world", "rig", "--jobs", "5", "--table", "--json", "build/rig.json"),
    "fuzz": ("tests.fuzz", "--inputs", "100000"),
    "bench": ("tests.bench",),
}
"""Shorter ones first, so that a night that is cut short has shown the most."""
MACHINE = ("make", "machine")
FILES = {"disk": "faulty-disk"}
"""What a campaign's file is called, where it is called otherwise."""
RIG_FILE, BENCH_FILE, MACHINE_FILE, WIRES_FILE = (ROOT / "build" / name for name in ("rig.json", "bench.json", "machine.xml", "wires.xml"))


def of_rig(found: Campaign) -> None:
    """What the features' player wrote."""
    told = json.loads(RIG_FILE.read_text(encoding="utf-8"))
    found.figures |= {"scenarios played": told["passed"] + told["failed"], "of these failed": told["failed"]}
    if told["failed"] or not told["passed"]:
        found.amiss(f"{told['failed']} failed, {told['passed']} passed")


def of_bench(found: Campaign) -> None:
    """What the benchmarks wrote. A bar that is missed under load is a figure, not a fault."""
    told = json.loads(BENCH_FILE.read_text(encoding="utf-8"))
    missed = [figure["name"] for figure in told["figures"] if figure.get("met") is False]
    found.figures |= {"figures, in build/bench.json": len(told["figures"]), "bars missed": ", ".join(missed) or "none"}
    found.amiss(f"no figures of {', '.join(told['failed'])}" if told["failed"] else "")


def of_machine(found: Campaign) -> None:
    """What pytest wrote, and what its tests told of themselves (``record_property``)."""
    _of_pytest(found, MACHINE_FILE)


def of_wires(found: Campaign) -> None:
    """What pytest wrote."""
    _of_pytest(found, WIRES_FILE)


def _of_pytest(found: Campaign, file: Path) -> None:
    root = ElementTree.parse(file).getroot()  # noqa: S314 - written by our own pytest
    suites = list(root.iter("testsuite"))
    ran, failed, skipped = (sum(int(suite.get(key, "0")) for suite in suites) for key in ("tests", "failures", "skipped"))
    failed += sum(int(suite.get("errors", "0")) for suite in suites)
    found.figures |= {"tests": ran, "of these failed": failed, "of these not run": skipped}
    for each in root.iter("property"):
        value = each.get("value", "")
        found.figures[each.get("name", "")] = int(value) if value.isdecimal() else value
    if failed or skipped or not ran:  # a night has the machine for everything: what it leaves out it has not shown
        found.amiss(f"{failed} failed, {skipped} of {ran} not run")


READ = {
    "rig": ("The features on the real program", RIG_FILE, of_rig),
    "bench": ("Figures beside their floors", BENCH_FILE, of_bench),
    "machine": ("The service in a virtual machine", MACHINE_FILE, of_machine),
    "wires": ("The features of the pumps over each of four wires", WIRES_FILE, of_wires),
}
"""Of those that keep no figures here themselves: title, the file that they write, and how it is read."""


def run_one(name: str, command: Sequence[str]) -> int:
    """Run a campaign's command; what it ended with, 1 if its file tells of a fault all the same. Its file says the same afterwards."""
    stem = FILES.get(name, name)
    if name in READ:
        return _read(name, command)
    record(stem, stem, {}, NOT_ENDED, command=command)
    code = _call(command)
    kept = json.loads((FOLDER / f"{stem}.json").read_text(encoding="utf-8"))
    if code and not kept["wrong"]:
        record(stem, kept["title"], kept["figures"], f"ended with {code}", command=command)
    return code or int(bool(kept["wrong"]))


def _read(name: str, command: Sequence[str]) -> int:
    title, file, read = READ[name]
    with campaign(name, title, command=command) as found:
        file.unlink(missing_ok=True)
        code = _call(command)
        try:
            read(found)
        except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
            found.amiss(f"no result in {file.name}: {type(error).__name__}")
        found.amiss(f"ended with {code}" if code else "")
    return code or found.code


def _call(command: Sequence[str]) -> int:
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} --junitxml={MACHINE_FILE}" if tuple(command) == MACHINE else None
    environment = os.environ | ({} if options is None else {"PYTEST_ADDOPTS": options.strip()})
    return subprocess.run([*command], cwd=ROOT, env=environment, check=False).returncode


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
            code = run_one(name, command)
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
