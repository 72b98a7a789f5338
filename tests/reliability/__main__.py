"""``python -m tests.reliability``: writes firmware_notes/reliability.md from the files that the campaigns left.

Exit 0; 1 if one of them found a fault.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from tests.reliability import FOLDER, ROOT

OUT = ROOT / "firmware_notes" / "reliability.md"
ORDER = (
    "powercut",
    "powercut-encrypted",
    "faulty-disk",
    "kills",
    "swarm",
    "planted",
    "wires",
    "starts",
    "soak",
    "fuzz",
    "canary",
    "oracle",
    "rig",
    "machine",
    "bench",
)
HEAD = """# What it survives, in figures

Written by `make reliability` (`python -m tests.reliability`) from what the last campaigns left in `build/reliability/`; every figure
stands below the command that found it, with the day, the load of the machine and the commit it ran on. `make nightly` runs all of
them, at length; `make test` a small part of each. A campaign that was not brought to its end says so, and has no figures. What each
campaign does and does not show: [simulation.md](simulation.md), [rig.md](rig.md), [threat-model.md](threat-model.md) and the docstring of
its package. Nothing here was measured on a Pi, a real card, a real pump or a real SD card.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", default=OUT, type=click.Path(dir_okay=False, path_type=Path), help="The page.")
def main(out: Path) -> None:
    """Write the page."""
    found = [json.loads(path.read_text(encoding="utf-8")) | {"name": path.stem} for path in sorted(FOLDER.glob("*.json"))]
    if not found:
        raise click.ClickException("no campaign has left a figure yet: make nightly, or one of its parts")
    found.sort(key=lambda one: (ORDER.index(one["name"]) if one["name"] in ORDER else len(ORDER), one["name"]))
    absent = [name for name in ORDER if name not in {one["name"] for one in found}]
    left_out = [f"Not run, so nothing is known: {', '.join(absent)}.\n"] if absent else []
    out.write_text("\n".join([HEAD, *left_out, *(_section(one) for one in found)]), encoding="utf-8")
    wrong = [one["name"] for one in found if one["wrong"]]
    click.echo(
        f"{len(found)} campaigns in {out}"
        + (f"; not run: {', '.join(absent)}" if absent else "")
        + (f"; with a fault: {', '.join(wrong)}" if wrong else "; none of these found a fault")
    )
    sys.exit(1 if wrong else 0)


def _section(one: dict[str, Any]) -> str:
    where = (
        f"{one['when']}, commit {one['commit']}, Python {one['python']}, SQLite {one['sqlite']}, {one['cores']} cores, load {one['load']}"
    )
    lines = [f"## {one['title']}", "", f"`{one['command']}` ({where}; {one['seconds']:g} s)", ""]
    lines += ["| what | figure |", "|---|---|"] if one["figures"] else ["No figures."]
    lines += [f"| {name} | {_text(value)} |" for name, value in one["figures"].items()]
    return "\n".join([*lines, "", f"**Fault found:** {one['wrong']}" if one["wrong"] else "No fault found.", ""])


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
