"""The simulated forecourt as a process: started with a scenario, obeyed over its two pipes (``firmware_notes/rig.md``)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
ANSWER_S = 20.0
END_S = 120.0
"""Even a killed process needs so long where its memory must be fetched back first."""


class ForecourtFailed(RuntimeError):
    """The forecourt did not start, went away, or refused a command that must work."""


class ForecourtClient:
    """One forecourt. ``ready`` is its first line: ports, environment, host."""

    def __init__(self, scenario: Mapping[str, Any], folder: Path) -> None:
        """Start it. Raises ForecourtFailed."""
        file = folder / "forecourt.json"
        file.write_text(json.dumps(scenario), encoding="utf-8")
        self._log = folder / "forecourt.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hal_sim", "forecourt", "--scenario", str(file), "--dir", str(folder / "sim")],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"},
            )
        try:
            self.ready = self._answer(START_S)
        except BaseException:
            self.close()
            raise

    def ask(self, command: str, **fields: object) -> dict[str, Any]:
        """Obey this and give the answer, which may be ``{"error": …}``. Raises ForecourtFailed when nobody answers."""
        pipe = self.process.stdin
        if pipe is None:
            raise ForecourtFailed("the forecourt has no input")
        try:
            pipe.write(json.dumps({"do": command, **fields}) + "\n")
            pipe.flush()
        except OSError as error:
            raise ForecourtFailed(f"the forecourt is gone: {self._last_words()}") from error
        return self._answer(ANSWER_S)

    def do(self, command: str, **fields: object) -> dict[str, Any]:
        """The same for a command that must work. Raises ForecourtFailed with its refusal."""
        answer = self.ask(command, **fields)
        if "error" in answer:
            raise ForecourtFailed(f"the forecourt refuses {command}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End it. Safe to call twice."""
        pipe = self.process.stdin
        if pipe is not None and not pipe.closed:
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # it ended first
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(END_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        out = self.process.stdout
        readable = [] if out is None else select.select([out], [], [], timeout_s)[0]
        if not readable:
            self.process.send_signal(signal.SIGABRT)  # it says in its log where each of its threads stands
            self._ended()
            raise ForecourtFailed(f"the forecourt does not answer within {timeout_s:.0f} s: {self._last_words()}")
        line = readable[0].readline()
        if not line:
            raise ForecourtFailed(f"the forecourt ended with {self._ended()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> int | None:
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            return None

    def _last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-6000:].strip() or "it said nothing"
