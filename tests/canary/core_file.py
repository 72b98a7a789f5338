"""The real program, with a PIN half typed, is made to abort where core files are allowed: none is written, and nothing else has the PIN.

That the same abort would leave a file, and that the search would find the PIN in it, is shown by a process that is not ours.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.canary.search import Canary, Found, Search
from tests.rig.process import ROOT
from tests.rig.world import RigWorld

BADGE = "04C4D1E9A7B3F6"
PIN = "4829506177"
TYPED = PIN[:8]
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290),),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(BADGE, BADGE, "badge", "C1", pin=PIN),),
)
_NAIVE = "import os, sys; kept = bytearray(sys.argv[1].encode()) * 3; os.abort()"


@dataclass(frozen=True, slots=True)
class Aborted:
    """``dumped``: the kernel says that a core file was written; ``found``: secrets in what lies about afterwards."""

    dumped: bool
    found: frozenset[Found]
    searched: int


def naive(folder: Path) -> Aborted:
    """A process that holds the PIN and forbids nothing."""

    def allow() -> None:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    child = subprocess.Popen([sys.executable, "-c", _NAIVE, PIN], cwd=folder, preexec_fn=allow)  # noqa: PLW1509
    return _judged(child, [folder])


def terminal() -> Aborted:
    """The terminal in the rig, in the middle of a PIN."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))  # what the program is started with
    world = RigWorld(SETUP)
    try:
        world.present_badge(BADGE)
        if not world.wait(lambda: world.asked() == "PIN", 5_000):
            raise AssertionError(f"nobody is asked for a PIN: {world.screens()[-3:]}")
        for digit in TYPED:
            world.press_key(digit)
        program = world._terminal.process
        if program is None:
            raise AssertionError("the terminal does not run")
        # The limit is lifted from outside, as an administrator would; what the process says of itself must do.
        resource.prlimit(program.pid, resource.RLIMIT_CORE, (before[1], before[1]))
        program.send_signal(signal.SIGABRT)
        station = world._station
        judged = _judged(program, [station.state_dir, station.folder / "run", ROOT], [station.terminal.log])
        world._terminal.process = None
        return judged
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        world.close()


def _judged(child: subprocess.Popen[bytes], folders: list[Path], logs: list[Path] | None = None) -> Aborted:
    begun = time.time()
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.wait()
    files = [file for folder in folders for file in folder.iterdir() if file.is_file() and (folder != ROOT or _is_core(file, begun))]
    search = Search([Canary("pin", PIN), Canary("pin", TYPED), Canary("number", BADGE)])
    found: set[Found] = set()
    for file in (*files, *(logs or [])):
        found |= search.find(file.name, file.read_bytes(), text=False)
        if _is_core(file, begun):
            file.unlink()
    return Aborted(ended is not None and ended.si_code == os.CLD_DUMPED, frozenset(found), len(files))


def _is_core(file: Path, begun: float) -> bool:
    return file.name.split(".")[0] == "core" and file.suffix != ".py" and file.stat().st_mtime >= begun - 60
