"""``python -m tests.demo``: three drivers on a simulated forecourt, served by the real terminal program. Exit 0 when the books agree."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import click

from tests.demo import books
from tests.demo.show import Show
from tests.demo.station import Station, StationError
from tests.demo.story import HOST_EXTRA, SCENARIO, Story

PAUSES_S = {"brisk": 0.3, "human": 1.5}
EXAMPLES = """
\b
Examples:
  python -m tests.demo
  python -m tests.demo --pace human
  python -m tests.demo --keep
"""


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pace", type=click.Choice(sorted(PAUSES_S)), default="brisk", show_default=True, help="How long people think.")
@click.option("--keep", is_flag=True, help="Leave the folder with configuration, ledger and logs, and say where it is.")
def main(pace: str, keep: bool) -> None:
    """Three drivers come to a forecourt: one served online, one with the host away, one refused; then the three books are compared.

    The pumps, the badge reader, the keypad, the display and the host are simulated; the terminal program is the real one. Takes less than a
    minute. Ends 0 when the books agree, 1 when they do not, 2 when something did not work.
    """
    show = Show(sys.stdout, sys.stdout.isatty())
    folder = Path(tempfile.mkdtemp(prefix="forecourt-demo-"))
    station = Station(folder, SCENARIO, host_extra=HOST_EXTRA)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        agree = _run(station, show, PAUSES_S[pace])
    except StationError as error:
        keep = True
        show.plain(f"The demonstration cannot go on: {error}", False)
        sys.exit(2)
    except KeyboardInterrupt:
        show.plain("Stopped.")
        sys.exit(130)
    finally:
        station.close()
        if keep:
            show.plain(f"Everything of this run is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if agree else 1)


def _run(station: Station, show: Show, pause_s: float) -> bool:
    began = time.monotonic()
    show.plain("A small forecourt: two diesel pumps, one outdoor terminal, and the host of a fleet-card company.")
    show.plain("Pumps, badges, keys, display and host are simulated, in a process of their own; the terminal is the real program.")
    show.title("The forecourt opens")
    station.open_forecourt()
    show.say("Pumps, badge reader, keypad, display and host are there")
    station.open_terminal()
    station.wait_ready()
    show.say("The terminal is up: it has the host's lists and has asked every pump for its state")
    show.display(station.screen())
    Story(station, show, pause_s).play()
    show.title("The evening: the three books")
    found = books.read(station)
    books.tell(found, show)
    show.plain(f"({time.monotonic() - began:.0f} s)")
    return found.agree


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(prog_name="python -m tests.demo")
