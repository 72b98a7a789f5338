"""The rig, with what only these campaigns do to the program: death without a word, and a look at what it uses."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.process import TerminalEnded
from tests.rig.world import RigWorld

READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a process uses now."""

    resident_kib: int
    descriptors: int
    threads: int


class EnduranceWorld(RigWorld):
    """A rig whose program may die at any instant, also while it starts."""

    @property
    def powered(self) -> bool:
        """The program was started and its death not yet seen."""
        return self._terminal.powered

    @property
    def pid(self) -> int:
        """The running program's. Raises TerminalEnded without one."""
        if self._terminal.process is None:
            raise TerminalEnded("no program runs")
        return self._terminal.process.pid

    def start_program(self, begun: Callable[[int], None]) -> None:
        """Start it, say its number at once, return when it is ready. Raises TerminalEnded when it dies before."""
        self.start_only()
        begun(self.pid)
        self.await_ready()

    def start_only(self) -> None:
        """Start it and do not wait."""
        self._terminal.start()

    def await_ready(self) -> None:
        """Until it is ready for a driver. Raises TerminalEnded when it dies before."""
        end = time.monotonic() + READY_S
        while not self._station.ready():
            self._terminal.check()
            if time.monotonic() > end:
                raise AssertionError(f"not ready after {READY_S:.0f} s: {self._terminal.status()}; {self._terminal.last_words()}")
            time.sleep(0.01)

    @property
    def typed(self) -> bool:
        """Something stands in the question's entry already."""
        seen = self._person.seen()
        return seen is not None and seen.typed

    def check(self) -> None:
        """Raises TerminalEnded when the program is dead."""
        self._terminal.check()

    def is_dead(self) -> None:
        """Take note of its death. Raises AssertionError when it was no kill that ended it."""
        process = self._terminal.process
        if process is None:
            return
        code = process.wait(5)
        assert code == -signal.SIGKILL, f"it ended by itself with {code}: {self._terminal.last_words()}"
        self._terminal.process = None
        shutil.rmtree(self._terminal.runtime_dir, ignore_errors=True)

    def status(self) -> Mapping[str, Any] | None:
        """What it says of itself."""
        return self._terminal.status()

    def ledger(self) -> AbstractContextManager[sqlite3.Connection]:
        """A copy of its ledger, open."""
        return self._ledger.reading()

    def verify(self) -> subprocess.CompletedProcess[str]:
        """End the program and let its own ``verify`` read the ledger."""
        self.stop_program()
        return self.call("verify", "--json")

    def used(self) -> Used:
        """What the program uses now."""
        own = Path(f"/proc/{self.pid}")
        fields = dict(line.split(":", 1) for line in (own / "status").read_text().splitlines())
        return Used(int(fields["VmRSS"].split()[0]), len(list((own / "fd").iterdir())), int(fields["Threads"]))
