"""One pump line's thread: any protocol's line master over one serial port (reference model-codebases 5.4).

The master decides; this thread only carries bytes, commands and events, and comes back after the port was lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping

from drivers.commands import PumpCommand
from drivers.device_thread import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, LONGEST_WAIT_MS, DeviceThread
from drivers.dispenser.line_master import LineMaster
from drivers.events import CommandFailed, DeviceEvent
from drivers.serial_port import SerialPort

__all__ = ["GATHER_MS", "MAX_WAITING", "LineMaster", "LineThread", "Tap"]

Tap = Callable[[str, bytes], None]
"""Called with "rx" or "tx" and the bytes, from the line's thread."""

MAX_WAITING = 256
GATHER_MS = 3
"""Wait so long from the first byte on for those behind it: two more characters at 9600 baud, so that a short answer is read whole."""


class LineThread(DeviceThread):
    """Serves one line master on one port. Only ``submit``, ``start`` and ``stop`` may be called from other threads."""

    def __init__(
        self,
        name: str,
        master: LineMaster,
        port: SerialPort,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        tap: Tap | None = None,
        first_pause_ms: int = FIRST_PAUSE_MS,
        longest_pause_ms: int = LONGEST_PAUSE_MS,
    ) -> None:
        super().__init__(name, post, clock, first_pause_ms, longest_pause_ms)
        self._master = master
        self._port = port
        self._tap = tap
        self._lock = threading.Lock()
        self._commands: deque[PumpCommand] = deque()
        self._open = False
        self._readable = True
        self._settled: Mapping[tuple[int, int], int] | None = None
        self._first: Collection[int] | None = None

    def submit(self, command: PumpCommand) -> None:
        """Give the line a command, from any thread. Answered CommandFailed at once while the port is closed or too many wait."""
        with self._lock:
            why = (
                "the line's port is closed" if not self._open else "too many commands wait" if len(self._commands) >= MAX_WAITING else None
            )
            if why is None:
                self._commands.append(command)
        if why is None:
            self._port.wake()
        else:
            self.post(CommandFailed(command.fp, type(command).__name__, why))

    def survey_first(self, running: Collection[int]) -> None:
        """Where the ledger has a sale that has not ended (``LineMaster.survey_first``), from any thread; best before the start."""
        with self._lock:
            self._first = running

    def remember(self, settled: Mapping[tuple[int, int], int]) -> None:
        """What the ledger knows of the heads' counts (``LineMaster.remember``), from any thread; taken before any command that follows."""
        with self._lock:
            self._settled = settled
        self._port.wake()

    def wake(self) -> None:
        """End the wait for the port."""
        self._port.wake()

    def serve(self) -> None:
        """Open the port and carry bytes until stopping. Raises PortLost."""
        self._port.open()
        with self._lock:
            self._open = True
        self._readable = True
        try:
            while not self.stopping:
                self._turn()
        finally:
            with self._lock:
                self._open = False
            self._port.close()

    def lost(self, why: str) -> list[DeviceEvent]:
        """The port is gone: the master tells of each position, and what waited is answered."""
        self._master.port_lost(why, self.clock())
        with self._lock:
            waiting = list(self._commands)
            self._commands.clear()
        events = self._master.take_events()
        events.extend(CommandFailed(command.fp, type(command).__name__, f"the line's port was lost: {why}") for command in waiting)
        return events

    def _turn(self) -> None:
        """Everything that is due, then wait for bytes, a command or the master's next instant."""
        now = self.clock()
        data = b""
        if self._readable:
            # Without this every byte of an answer would wake us for itself: an idle line would cost a third more of the processor.
            self._port.linger(GATHER_MS)
            now = self.clock()
            data = self._port.read()
        if data:
            self.is_healthy()
            if self._tap is not None:
                self._tap("rx", data)
            self._master.receive(data, now)
        with self._lock:
            settled, self._settled = self._settled, None
            first, self._first = self._first, None
        if first is not None:
            self._master.survey_first(first)
        if settled is not None:
            self._master.remember(settled, now)
        while self._commands and (command := self._next_command()) is not None:
            self._master.submit(command, now)
        wire = self._master.next_transmission(now)
        if wire is not None:
            if self._tap is not None:
                self._tap("tx", wire)
            self._port.write(wire)
        for event in self._master.take_events():
            self.post(event)
        wakeup = self._master.next_wakeup()
        patience = LONGEST_WAIT_MS if wakeup is None else min(LONGEST_WAIT_MS, max(0, wakeup - self.clock()))
        self.alive(patience)
        self._readable = self._port.wait(patience)

    def _next_command(self) -> PumpCommand | None:
        with self._lock:
            return self._commands.popleft() if self._commands else None
