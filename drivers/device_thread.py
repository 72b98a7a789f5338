"""The life of one blocking device: a thread that opens it, serves it, and comes back after every failure.

The rule of one thread per device and of exactly one ``except Exception``, at its top, is from reference model-codebases 5.4.
"""

from __future__ import annotations

import logging
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from drivers.events import DeviceDown, DeviceEvent, DeviceUp

FIRST_PAUSE_MS = 250
LONGEST_PAUSE_MS = 10_000
LONGEST_WAIT_MS = 5_000
"""A thread that waits for something that may never come wakes so often, only to be heard of."""
HANG_MS = 10_000
"""A thread that is so much later than it said hangs. No call of a library that ends by itself takes as long."""
_NUMBERS = re.compile(r"[0-9A-Fa-f]{9,}")
"""What may be a card's number, should an error repeat what it was given: its text goes to journal and host."""


class DeviceThread(ABC):
    """A daemon thread around one device. A subclass writes ``serve`` and, when ``serve`` can block for long, ``wake``.

    ``post`` takes events and never blocks; ``clock`` gives milliseconds that only grow.
    """

    def __init__(
        self,
        name: str,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        first_pause_ms: int = FIRST_PAUSE_MS,
        longest_pause_ms: int = LONGEST_PAUSE_MS,
    ) -> None:
        self.name = name
        self.log = logging.getLogger(f"drivers.{name}")
        self.post = post
        self.clock = clock
        self._first_pause_ms = first_pause_ms
        self._longest_pause_ms = longest_pause_ms
        self._pause_ms = first_pause_ms
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._told_up: bool | None = None
        self._last_failure = ""
        self._heard_by: int | None = None

    # --- for a subclass ---

    @abstractmethod
    def serve(self) -> None:
        """Open the device, call ``is_up`` once it answers, serve until ``stopping``, close it again in a ``finally``.

        Whatever is raised counts as the device's loss. A return without ``stopping`` only means: open again.
        """

    def wake(self) -> None:  # noqa: B027 - a subclass whose serve() never blocks for long needs none
        """End a blocking wait inside ``serve``. Called by ``stop`` from another thread."""

    def lost(self, why: str) -> list[DeviceEvent]:
        """What to post after a failure. Called after each one; by default DeviceDown, once until the device is up again."""
        first = self._told_up is not False
        self._told_up = False
        return [DeviceDown(self.name, why)] if first else []

    def is_up(self) -> None:
        """The device answers: post DeviceUp if that is news, and start the next back-off from the beginning."""
        self.is_healthy()
        if self._told_up is not True:
            self._told_up = True
            self.post(DeviceUp(self.name))

    def is_healthy(self) -> None:
        """The device answers: start the next back-off from the beginning. Posts nothing."""
        self._pause_ms = self._first_pause_ms
        self._last_failure = ""

    def alive(self, within_ms: int = 0) -> None:
        """The thread works, and is heard of again within so long; called before each wait. What ``hung`` judges by."""
        self._heard_by = self.clock() + within_ms

    @property
    def stopping(self) -> bool:
        """True once ``stop`` was called: ``serve`` must close and return."""
        return self._stop.is_set()

    def pause(self, duration_ms: int) -> bool:
        """Wait so long, or until ``stop``. True when stopping."""
        self.alive(duration_ms)
        return self._stop.wait(duration_ms / 1000)

    # --- for the owner ---

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when it was started before."""
        if self._thread is not None:
            raise RuntimeError(f"{self.name} was started before")
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def hung(self, now: int) -> bool:
        """It was started, not asked to stop, and is dead, or late by more than ``HANG_MS``. From any thread."""
        if self._thread is None or self.stopping:
            return False
        return not self._thread.is_alive() or (self._heard_by is not None and now - self._heard_by > HANG_MS)

    def stop(self, limit_ms: int = 5_000) -> bool:
        """Ask the thread to end and wait for it. False when it did not end within the limit. May be called twice."""
        self._stop.set()
        self.wake()
        if self._thread is None:
            return True
        self._thread.join(limit_ms / 1000)
        return not self._thread.is_alive()

    # --- the thread ---

    def _run(self) -> None:
        _name_thread(self.name)
        while not self.stopping:
            try:
                self.alive()
                self.serve()
                why = ""
            except Exception as error:  # noqa: BLE001 - top of the device thread: whatever fails is the device's loss
                why = fault_text(error)
                if why != self._last_failure:  # the very same again: a missing device must not fill the log
                    self.log.exception("%s failed", self.name)
                self._last_failure = why
            if why and not self.stopping:
                for event in self.lost(why):
                    self.post(event)
            if not self.stopping:
                self.pause(self._pause_ms)
                self._pause_ms = min(self._pause_ms * 2, self._longest_pause_ms)


def fault_text(error: Exception) -> str:
    """What may be told of a failure: the words of our own faults and of the operating system, with all that may be a number masked.

    Of every other error only its name and place: a library's words may repeat what it was given, and that may be a track.
    """
    name = type(error).__name__
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] == __package__:
        return _NUMBERS.sub("****", f"{name}: {error}")
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" at {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    return f"{name}{place}"


def _name_thread(name: str) -> None:
    """Let ``ps -T`` and ``top -H`` show whose thread it is: the kernel keeps 15 bytes."""
    try:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name, encoding="utf-8")
    except OSError:
        pass  # no /proc here: only people would have looked
