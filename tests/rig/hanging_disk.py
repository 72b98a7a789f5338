"""A rig whose ledger lies on a disk that can hang (``tests/powercut/journal_fs.py``), under a watchdog like the service manager's.

What waits for such a disk cannot be killed, as with a real one: SIGABRT and SIGKILL come true when it answers.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tests.powercut.recorder import Recorder, recording
from tests.rig.process import TerminalProcess
from tests.rig.station import Station
from tests.rig.world import RigWorld

WATCHDOG_S = 2.5
"""The shipped unit waits 15 s (systemd/forecourt-terminal.service)."""
ABORT_S = 0.5
"""From SIGABRT to SIGKILL; 5 s there."""
POLL_S = 0.02


class ServiceManager:
    """The part of systemd that a hanging program meets: hears it, and ends it when it falls silent. Starting it anew is the test's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._fed = time.monotonic()
        self.aborted_at: float | None = None
        self.killed_at: float | None = None

    def forget(self) -> None:
        """Another program is about to be started."""
        self.look()
        self._fed = time.monotonic()
        self.aborted_at = self.killed_at = None

    def look(self) -> None:
        """Hear what was said."""
        with contextlib.suppress(BlockingIOError):
            while True:
                if "WATCHDOG=1" in self._socket.recv(4096).decode():
                    self._fed = time.monotonic()

    def watch(self, program: TerminalProcess, until: Callable[[], bool], timeout_s: float) -> bool:
        """Keep watch until something is so, or the program has ended; whether it came to be so."""
        end = time.monotonic() + timeout_s
        while not until():
            now = time.monotonic()
            self.look()
            process = program.process
            if now > end or process is None or process.poll() is not None:
                return until()
            if self.aborted_at is None and now - self._fed > WATCHDOG_S:
                process.send_signal(signal.SIGABRT)
                self.aborted_at = now
            elif self.aborted_at is not None and self.killed_at is None and now - self.aborted_at > ABORT_S:
                process.send_signal(signal.SIGKILL)
                self.killed_at = now
            time.sleep(POLL_S)
        return True

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


class HangingStation(Station):
    """``disk`` is the ledger's; ``state_dir`` is read behind it, so that who looks does not hang with the program."""

    def _make_disk(self) -> None:
        place = self.folder / "fuse"
        place.mkdir()
        self._stack = contextlib.ExitStack()
        self.disk: Recorder = self._stack.enter_context(recording(place))
        self.manager = ServiceManager(self.folder / "notify")
        self._why_not = "it is a disk that hangs"
        self.state_dir = self.disk.folder

    def _configure(self, toml: Callable[[str], str]) -> TerminalProcess:
        process = super()._configure(toml)
        self.state_dir = self.folder / "fuse" / "disk"
        return process

    def power_on(self, **environment: str) -> None:
        """See ``Station.power_on``; under the watchdog."""
        self.manager.forget()
        super().power_on(NOTIFY_SOCKET=str(self.manager.path), WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)), **environment)
        self.manager.forget()

    def _remove(self) -> None:
        if hasattr(self, "_stack"):
            self._stack.close()
            self.manager.close()
            shutil.rmtree(self.folder / "fuse", ignore_errors=True)
        super()._remove()


class HangingWorld(RigWorld):
    """The people of it."""

    station_class: ClassVar[type[Station]] = HangingStation

    @property
    def station(self) -> HangingStation:
        """The station."""
        found = self._station
        assert isinstance(found, HangingStation)
        return found

    @property
    def program(self) -> TerminalProcess:
        """The terminal's process."""
        return self._terminal
