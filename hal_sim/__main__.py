"""``python -m hal_sim``: the simulated forecourt, or one dispenser or the fleet-card host alone, as a program of its own."""

from __future__ import annotations

from pathlib import Path

import click

from hal_sim.control import Control
from hal_sim.dispenser_console import dispenser
from hal_sim.forecourt import Forecourt
from hal_sim.host.console import host
from hal_sim.priority import as_hardware
from hal_sim.scenario import CannotStart, read_scenario
from hal_sim.session import Session

EXAMPLES = """
\b
Examples, with a scenario as in firmware_notes/rig.md:
  python -m hal_sim forecourt --scenario forecourt.json --dir /tmp/forecourt
\b
It prints one line of JSON (ports, environment, host) and then obeys lines such as
  {"do":"present","number":"04A1B2C3D4E580","medium":"badge"}
  {"do":"keys","keys":["1","2","3","4","enter"]}
  {"do":"lift","fp":2,"nozzle":1}
  {"do":"squeeze","fp":2,"volume_ml":12500}
  {"do":"wait_quiet","timeout_ms":30000}
  {"do":"hang_up","fp":2}
  {"do":"display"}
  {"do":"host","reachable":false}
  {"do":"host"}
  {"do":"host_books"}
\b
The end of its input, SIGTERM or Ctrl-C stops it.
"""


@click.group(help="The other end of every wire: pumps, badge reader, display, keypad and host, without the hardware.")
def main() -> None:
    """The command line."""


main.add_command(host)
main.add_command(dispenser)


@main.command(epilog=EXAMPLES, help="Start a whole forecourt and obey commands on standard input, one JSON object per line.")
@click.option("--scenario", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON file: pumps, cards, limits, host.")
@click.option("--dir", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for ports, keys, logs.")
def forecourt(scenario: Path, directory: Path) -> None:
    """Run until the input ends."""
    as_hardware()
    try:
        court = Forecourt(read_scenario(scenario), directory)
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
    try:
        Session(court.loop, Control(court)).run(court.describe())
    finally:
        court.close()


if __name__ == "__main__":
    main(prog_name="python -m hal_sim")
