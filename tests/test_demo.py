"""The demo: it plays, it says what it sees, it notices books that differ, and it leaves nothing running however it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import books
from tests.demo.books import Books, Line
from tests.demo.show import Show
from tests.demo.station import ROOT, Station, StationError
from tests.demo.story import HOST_EXTRA, SCENARIO, Story

FAST = {**SCENARIO, "ml_per_min": 900_000}


@pytest.mark.rig
def test_three_drivers_and_books_that_agree(tmp_path: Path) -> None:
    out = io.StringIO()
    show = Show(out, live=False)
    station = Station(tmp_path, FAST, host_extra=HOST_EXTRA)
    try:
        station.open_forecourt()
        station.open_terminal()
        station.wait_ready()
        pid = station.pid
        Story(station, show, 0.05).play()
        found = books.read(station)
        books.tell(found, show)
    finally:
        station.close()
    text = out.getvalue()
    assert found.agree
    assert [(line.pump_ml, line.ledger_ml, line.host_ml, line.host_sales) for line in found.lines] == [
        (18_240,) * 3 + (1,),
        (14_350,) * 3 + (1,),
    ]
    assert "The host was asked and has agreed" in text
    assert "Decided here" in text
    assert "│ Badge blocked        │" in text
    assert "The three books agree" in text
    assert "\x1b" not in text
    assert not Path(f"/proc/{pid}").exists()


def test_a_drop_that_is_missing_is_told() -> None:
    out = io.StringIO()
    found = Books((Line(1, "DIESEL", 18_240, 18_240, 18_230, 1, 1),), ())
    books.tell(found, Show(out, live=False))
    assert not found.agree
    assert "DIFFER" in out.getvalue()
    assert "DO NOT AGREE" in out.getvalue()


def test_a_sale_booked_twice_is_told() -> None:
    assert not Books((Line(1, "DIESEL", 18_240, 18_240, 18_240, 1, 2),), ()).agree


def test_a_finding_in_the_ledger_is_told() -> None:
    assert not Books((Line(1, "DIESEL", 0, 0, 0, 0, 0),), ("ledger, row 3: the hash chain breaks here",)).agree


def test_a_line_that_moves_ends_before_the_next_one() -> None:
    out = io.StringIO()
    show = Show(out, live=True)
    show.flow(1, 5_000, 865, 10_000)
    show.flow(1, 10_000, 1_729, 10_000)
    show.say("Anna hangs up")
    assert out.getvalue().count("\r") == 2
    assert out.getvalue().splitlines()[-1].endswith("Anna hangs up")


@pytest.mark.rig
def test_a_forecourt_that_cannot_start_is_said_in_words(tmp_path: Path) -> None:
    station = Station(tmp_path, {**SCENARIO, "zone": "Nowhere/Land"})
    with pytest.raises(StationError, match="did not start: Error: "):
        station.open_forecourt()
    station.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: the devices' sockets lie below it, and such a path has 108 characters at most (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="d-") as folder:
        yield Path(folder)


@pytest.fixture
def demo(place: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, until the terminal is up."""
    environment = {**os.environ, "TMPDIR": str(place)}
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert program.stdout is not None
    said = []
    for line in program.stdout:
        said.append(line)
        if "The terminal is up" in line:
            break
    else:
        raise AssertionError(f"the terminal does not come up: {''.join(said)}")
    yield program
    program.kill()
    program.wait()


def _living(folder: Path) -> list[int]:
    """Processes that were started with something of this folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command:
                found.append(int(process.name))
    return found


@pytest.mark.rig
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_ends_at_once_and_leaves_nothing(demo: subprocess.Popen[str], place: Path, number: signal.Signals) -> None:
    assert len(_living(place)) == 2
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=90)
    assert demo.returncode == 130
    assert "Traceback" not in rest
    assert "Stopped." in rest
    assert _living(place) == []
    assert list(place.iterdir()) == []


@pytest.mark.rig
def test_a_terminal_that_dies_is_said_in_words(demo: subprocess.Popen[str], place: Path) -> None:
    terminal = next(pid for pid in _living(place) if b"terminal\0run" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(terminal, signal.SIGKILL)
    rest, _ = demo.communicate(timeout=90)
    assert demo.returncode == 2
    assert "Traceback" not in rest
    assert "the terminal has ended by itself" in rest
    until = time.monotonic() + 30
    while _living(place) and time.monotonic() < until:
        time.sleep(0.05)
    assert _living(place) == []
