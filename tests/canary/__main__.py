"""``python -m tests.canary``: sessions with canaries, then the search. Ends with 1 when one is found, or when the search could not find."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from tests.canary import core_file
from tests.canary.run import Report, run
from tests.reliability import Campaign, campaign


@click.command()
@click.option("--sessions", default=1000, show_default=True, help="Driver sessions.")
@click.option("--seed", default=1, show_default=True)
@click.option("--quoting", is_flag=True, help="Forced errors repeat what the function was given, as a library's error might.")
def main(sessions: int, seed: int, quoting: bool) -> None:
    """Play drivers with canary PINs, numbers and tracks; search everything that left the terminal."""
    with campaign("canary", "Secrets in what leaves the terminal") as found:
        _search(run(sessions, seed, quoting), found)
    if not found.wrong:
        print("No canary left the terminal.")
    sys.exit(found.code)


def _search(report: Report, verdict: Campaign) -> None:
    """Tell what came of it, and look whether a core file can hold a secret."""
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
    verdict.figures |= {"sessions": report.sessions, "canaries": report.canaries, "megabytes searched": round(report.bytes / 1e6, 1)}
    for found in report.found:
        verdict.amiss(f"{found.kind} in {found.place}")
    if core.dumped or core.found:
        verdict.amiss("a core file")
    if not (report.opened > 0 and report.opened == report.seen and not report.broken):
        print("FAILED: the positive control; sealed numbers are not where they should be")
        verdict.amiss("the positive control failed: the search could not have found anything")


if __name__ == "__main__":
    main()
