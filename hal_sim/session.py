"""Standard input and output of a program that has a loop to serve: a line in, a line out, until the input ends or a signal comes."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from hal_sim.pty_port import Loop

LONGEST_LINE = 1_000_000
WAIT_MS = 200
WAITING_MS = 5
Answer = dict[str, Any]


class Obeys(Protocol):
    """What the lines are for. ``waiting`` is not None while an answer is still to come; no further line is taken before it."""

    @property
    def waiting(self) -> object:
        """The command that is not answered yet."""

    def obey(self, line: bytes) -> Answer | None:
        """The answer to a line, or None where it comes later or none is needed."""

    def later(self) -> Answer | None:
        """The late answer, once it is there."""


def as_json(answer: Answer) -> str:
    """One JSON object a line."""
    return json.dumps(answer)


class Session:
    """Serves ``loop`` and obeys lines.

    The program ends with its input, unless ``outlives_input``, with SIGTERM or Ctrl-C, and when it is not ``healthy`` any more.
    """

    def __init__(
        self,
        loop: Loop,
        control: Obeys,
        *,
        write: Callable[[Answer], str] = as_json,
        outlives_input: bool = False,
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = loop
        self._control = control
        self._write = write
        self._outlives_input = outlives_input
        self._healthy = healthy
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._running = True
        self._input_ended = False

    def run(self, ready: Answer) -> None:
        """Say that all is ready, then serve."""
        try:
            self._run(ready)
        except BrokenPipeError:
            # Whoever read the answers is gone; nothing is left to say to anybody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def stop(self) -> None:
        """End after the current line."""
        self._running = False

    def _run(self, ready: Answer) -> None:
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)  # a signal ends the wait at once
        self._loop.watch(wake, lambda: None)
        self._loop.watch(sys.stdin.fileno(), self._read)
        self._say(ready)
        while self._running and self._healthy():
            self._loop.step(WAITING_MS if self._control.waiting else WAIT_MS)
            self._work()
            if self._input_ended and not self._lines and self._control.waiting is None and not self._outlives_input:
                return

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            self._loop.unwatch(sys.stdin.fileno())
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

    def _say(self, answer: Answer) -> None:
        sys.stdout.write(self._write(answer) + "\n")
        sys.stdout.flush()
