"""What the master's side of every address shares, whatever its protocol: commands one after another, a stop before all, loss told once.

A subclass talks with the head (``_begin``, ``_drop_procedure``, ``_next``). Reference dispenser-protocols 1.6, 1.8 and rule 2 of section 8.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from itertools import takewhile

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, PumpCommand, ReadFill, ReadTotal, StopFuellingPoint
from drivers.dispenser.line_timing import LineTiming
from drivers.events import CommandFailed, PumpEvent, PumpLineLost

Post = Callable[[PumpEvent], None]
"""Where a position tells what happens at it."""
MAX_COMMANDS = 16
"""Commands that may wait at one position; more are refused."""
READINGS = (ReadFill, ReadTotal)


class LinePosition(ABC):
    """The protocol-independent half of a position. All times are ``now`` in milliseconds."""

    def __init__(self, fp: int, timing: LineTiming, post: Post) -> None:
        self.fp = fp
        self.dead = False
        """Silent for so long that the line asks it more rarely."""
        self.gap: int | None = None
        """The line's note: time from the last idle poll of this position to the next request on the line."""
        self.queued = False
        """The line's note: this position waits for a turn of its own."""
        self.surveyed = False
        """The head's whole picture is known and told."""
        self._timing = timing
        self._post = post
        self._answering = False
        self._misses = 0
        self._told_lost = False
        self._in_doubt = False
        """A release was sent and never settled."""
        self._queue: deque[PumpCommand] = deque()
        self._command: PumpCommand | None = None

    # --- what the protocol's position does --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def timer_at(self) -> int | None:
        """The next instant at which time alone changes something, None for never."""

    @abstractmethod
    def wants(self, now: int) -> bool:
        """There is more to send now than a poll."""

    @property
    def survey_over(self) -> bool:
        """The survey has nothing more to ask, also where its result cannot be told yet."""
        return self.surveyed

    @abstractmethod
    def on_silence(self, now: int) -> None:
        """A request was not answered."""

    @abstractmethod
    def _begin(self) -> None:
        """Nothing is known of the head any more."""

    @abstractmethod
    def _drop_procedure(self) -> None:
        """Give up what is under way, ``_command`` with it."""

    def _step_aside(self) -> None:  # noqa: B027 - most have nothing of their own under way
        """A stop came while something of the position's own is under way, which no command asked for."""

    @abstractmethod
    def _next(self, now: int) -> None:
        """Begin what is to be done next when nothing is under way."""

    def remember(self, settled: Mapping[tuple[int, int], int], now: int) -> None:  # noqa: B027 - most heads count nothing
        """What the head had counted when its last record was read."""

    # --- loss -------------------------------------------------------------------------------------------------------------

    def lose(self, why: str, now: int) -> None:
        """Nothing is known any more: say so once, fail what was asked, and begin anew at the next answer."""
        asked = [*([self._command] if self._command is not None else []), *self._queue]
        self._queue.clear()
        self._drop_procedure()
        self._begin()
        if not self._told_lost:
            self._told_lost = True
            self._post(PumpLineLost(self.fp, why))
        for command in asked:
            self._fail(command, f"the position was lost: {why}")

    def reconnected(self) -> None:
        """The port was opened again: ask as if nothing had been missed."""
        self.dead = False
        self._misses = 0

    def _alive(self) -> None:
        self._misses = 0
        self.dead = False
        self._answering = True

    # --- commands ---------------------------------------------------------------------------------------------------------

    def submit(self, command: PumpCommand, now: int) -> None:
        """Take a command. A stop goes before everything and withdraws releases that wait; what cannot be done is answered CommandFailed."""
        if not self.surveyed and not (isinstance(command, StopFuellingPoint) and self._answering):
            self._fail(command, "the position is not connected")
        elif isinstance(command, StopFuellingPoint):
            self._stop_first(command)
        elif self._will_be_read(command):
            pass  # one answer says it to both
        elif len(self._queue) >= MAX_COMMANDS:
            self._fail(command, f"{MAX_COMMANDS} commands are waiting already")
        else:
            self._queue.append(command)
        self._next(now)

    def _will_be_read(self, command: PumpCommand) -> bool:
        """The same reading waits already, with nothing behind it that changes the head. A line that was lost and came back many times
        before anybody listened has the core ask for everything as many times, all at once.
        """
        if not isinstance(command, READINGS):
            return False
        return command in takewhile(lambda waiting: isinstance(waiting, READINGS), reversed(self._queue))

    def _stop_first(self, command: StopFuellingPoint) -> None:
        running = self._command
        withdrawn = [waiting for waiting in self._queue if isinstance(waiting, AuthorizeFuellingPoint)]
        self._queue = deque(waiting for waiting in self._queue if not isinstance(waiting, AuthorizeFuellingPoint | StopFuellingPoint))
        if isinstance(running, AuthorizeFuellingPoint):
            self._drop_procedure()
            self._in_doubt = True
            withdrawn.insert(0, running)
        elif running is None:
            self._step_aside()
        elif not isinstance(running, ConfirmFill | StopFuellingPoint):
            self._drop_procedure()
            self._queue.appendleft(running)  # asking again does no harm, nor does a price that is set already
        self._queue.appendleft(command)
        for waiting in withdrawn:
            self._fail(waiting, "withdrawn by a stop")

    def _fail(self, command: PumpCommand, why: str) -> None:
        self._post(CommandFailed(self.fp, type(command).__name__, why))
