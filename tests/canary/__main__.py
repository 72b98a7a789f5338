"""``python -m tests.canary``: sessions with canaries, then the search. Ends with 1 when one is found, or when the search could not find."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from tests.canary import core_file
from tests.canary.run import Report, run
from tests.reliability import record


@click.command()
@click.option("--sessions", default=1000, show_default=True, help="Driver sessions.")
@click.option("--seed", default=1, show_default=True)
@click.option("--quoting", is_flag=True, help="Forced errors repeat what the function was given, as a library's error might.")
def main(sessions: int, seed: int, quoting: bool) -> None:
    """Play drivers with canary PINs, numbers and tracks; search everything that left the terminal."""
    report = run(sessions, seed, quoting)
    print(f"{report.sessions} sessions, {report.sales} sales at the host, {sum(report.forced.values())} forced failures")
    print(f"{report.canaries} canaries in {report.forms} forms, {report.bytes / 1e6:.1f} MB searched:")
    for place, number in sorted(report.places.items()):
        print(f"  {place:<10} {number} different")
    print(f"sealed numbers: {report.opened} opened with the card key, {report.seen} seen when not sealed, {report.broken} broken")
    print("forced: " + ", ".join(f"{path} {times}" for path, times in sorted(report.forced.items())))
    print(f"PIN blocks for the host: {report.pin_blocks}; ends of the program: {report.deaths}")
    for found, stations in sorted(report.found.items(), key=str):
        print(f"FOUND: {found.kind} as {found.form} in {found.place} ({stations} stations)")
    core = core_file.terminal()
    with tempfile.TemporaryDirectory() as folder:
        naive = core_file.naive(Path(folder))
    print(f"abort in the middle of a PIN: {'a core file' if core.dumped else 'no core file'}, {core.searched} files searched; ", end="")
    kinds = ", ".join(sorted(one.kind for one in naive.found)) or "nothing"
    print(f"an unguarded process: {'a core file' if naive.dumped else 'no core file'}, with {kinds} in it")
    figures = {"sessions": report.sessions, "canaries": report.canaries, "megabytes searched": round(report.bytes / 1e6, 1)}
    wrong = "; ".join(f"{found.kind} in {found.place}" for found in report.found) + ("; a core file" if core.dumped or core.found else "")
    record("canary", "Secrets in what leaves the terminal", figures, wrong)
    if report.found or core.dumped or core.found or not _could_find(report):
        sys.exit(1)
    print("No canary left the terminal.")


def _could_find(report: Report) -> bool:
    good = report.opened > 0 and report.opened == report.seen and not report.broken
    if not good:
        print("FAILED: the positive control; sealed numbers are not where they should be")
    return good


if __name__ == "__main__":
    main()
