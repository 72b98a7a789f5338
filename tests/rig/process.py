"""The real program as a process: ``python -m terminal run`` in the environment that the forecourt gives, on a configuration file."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAST_LINES = 12
KILLED_S = 90.0
"""Patience with the end of a killed process: its memory may have to be fetched back before it can go."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class TerminalEnded(AssertionError):
    """The program ended although nobody asked it to; the text holds its last log lines."""


def _die_with_parent() -> None:
    """A play that is killed leaves no terminal behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class TerminalProcess:
    """Starts and ends the program any number of times on the same files. Its log lines gather in ``log``."""

    def __init__(self, config: Path, runtime_dir: Path, environment: Mapping[str, str], log: Path) -> None:
        self.config = config
        self.runtime_dir = runtime_dir
        self.log = log
        self._environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def powered(self) -> bool:
        """It was started and not ended by us."""
        return self.process is not None

    def start(self, **more: str) -> None:
        """Start it; ``more`` is added to its environment."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("run"),
                cwd=ROOT,
                env=self._environment | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - nothing here runs threads
            )

    def command(self, name: str, *more: str) -> list[str]:
        """A command of the program's command line on this configuration."""
        return [sys.executable, "-m", "terminal", name, "--config", str(self.config), *more]

    def call(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run another command beside the running program and wait for its end."""
        return subprocess.run(
            self.command(name, *more), cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )

    def kill(self) -> None:
        """The power goes: SIGKILL, and what lies in the runtime directory (memory, on a real machine) is gone. Nothing without power."""
        if self.process is not None:
            self.check()
            self._end(signal.SIGKILL, KILLED_S)

    def stop(self, timeout_s: float = 60) -> int:
        """An orderly end: SIGTERM. Gives the exit code. Raises TimeoutExpired."""
        return self._end(signal.SIGTERM, timeout_s)

    def _end(self, how: signal.Signals, timeout_s: float) -> int:
        process = self.process
        if process is None:
            return 0
        process.send_signal(how)
        code = process.wait(timeout_s)
        self.process = None
        shutil.rmtree(self.runtime_dir, ignore_errors=True)
        return code

    def close(self) -> None:
        """End it whatever it does. Safe to call twice."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(KILLED_S)
            self.process = None

    def check(self) -> None:
        """Raises TerminalEnded when it ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise TerminalEnded(f"the terminal ended by itself with {self.process.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        """The last log lines."""
        return "\n".join(self.logged().splitlines()[-LAST_LINES:])

    def logged(self) -> str:
        """Everything that it wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def status(self) -> dict[str, Any] | None:
        """What it says of itself now; None before its first word on this start."""
        try:
            found: dict[str, Any] = json.loads((self.runtime_dir / "status.json").read_bytes())
        except FileNotFoundError:
            return None
        return found if self.process is not None and found.get("pid") == self.process.pid else None

    def await_end(self, timeout_s: float) -> int:
        """Wait until it ends by itself and give its exit code. Raises TimeoutExpired."""
        process = self.process
        if process is None:
            return 0
        code = process.wait(timeout_s)
        self.process = None
        return code


def wait_for(holds: Any, timeout_s: float, every_s: float = 0.03) -> bool:
    """Poll until it holds; whether it did."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= end:
            return False
        time.sleep(every_s)
    return True
