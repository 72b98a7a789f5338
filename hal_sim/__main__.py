"""``python -m hal_sim``: the simulated forecourt, or the fleet-card host alone, as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import deque
from pathlib import Path

import click

from hal_sim.control import LONGEST_LINE, Control
from hal_sim.forecourt import Forecourt
from hal_sim.host.console import host
from hal_sim.scenario import CannotStart, read_scenario

WAIT_MS = 200
WAITING_MS = 5
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


@main.command(epilog=EXAMPLES, help="Start a whole forecourt and obey commands on standard input, one JSON object per line.")
@click.option("--scenario", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON file: pumps, cards, limits, host.")
@click.option("--dir", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for ports, keys, logs.")
def forecourt(scenario: Path, directory: Path) -> None:
    """Run until the input ends."""
    try:
        court = Forecourt(read_scenario(scenario), directory)
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
    try:
        _Session(court).run()
    except BrokenPipeError:
        # Whoever read the answers is gone; nothing is left to say to anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        court.close()


class _Session:
    """Standard input and output of the process, and the signals that end it."""

    def __init__(self, court: Forecourt) -> None:
        self._court = court
        self._control = Control(court)
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._running = True
        self._input_ended = False

    def run(self) -> None:
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)  # a signal ends the wait at once
        loop = self._court.loop
        loop.watch(wake, lambda: None)
        loop.watch(sys.stdin.fileno(), self._read)
        self._say(self._court.describe())
        while self._running:
            loop.step(WAITING_MS if self._control.waiting else WAIT_MS)
            self._work()
            if self._input_ended and not self._lines and self._control.waiting is None:
                return

    def _stop(self, number: int, frame: object) -> None:
        self._running = False

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            self._court.loop.unwatch(sys.stdin.fileno())
            self._input_ended = True
            data = b"\n"  # a last line may lack its end
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(line for line in whole if line.strip())
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
            self._say({"error": "the line is too long"})

    def _work(self) -> None:
        if self._control.waiting is not None:
            answer = self._control.later()
            if answer is not None:
                self._say(answer)
        while self._lines and self._control.waiting is None and self._running:
            answer = self._control.obey(self._lines.popleft())
            if answer is not None:
                self._say(answer)

    @staticmethod
    def _say(answer: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(prog_name="python -m hal_sim")
