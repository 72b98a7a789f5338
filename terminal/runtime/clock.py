"""The only place that reads a clock. Instants are milliseconds of the boot-time clock: they count on through a restart of the program."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from terminal.core.units import Instant

BOOT_ID = "FORECOURT_BOOT_ID"


class Clock(Protocol):
    """Where instants come from."""

    def instant(self) -> Instant:
        """Now, in milliseconds; only differences mean something."""


class SystemClock:
    """The machine's boot-time clock."""

    def instant(self) -> Instant:
        """Now."""
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)

    def boot(self) -> str:
        """The identity of this boot of the machine: instants of different boots cannot be compared.

        The unit hands it over (%b): it hides the kernel's own file from us (ProcSubset=pid). Raises ``OSError`` and ``ValueError``.
        """
        told = os.environ.get(BOOT_ID)
        return str(uuid.UUID(told if told else Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()))


def own_work() -> Callable[[], int]:
    """A clock of the calling thread's processor time (nanoseconds), for another thread to read: it stands still while that one waits."""
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime_ns(clock)
