"""systemd's notify protocol over its plain datagram socket (sd_notify(3)): ready, status, watchdog, stopping.

The watchdog is fed by the core's loop, so a core or a store that hangs (they are one thread) feeds it no more; and only while everybody
else whose work drivers depend on has been heard of in time (reference security-and-reliability 5.3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence

from terminal.core.units import Instant

LOG = logging.getLogger("terminal")
EXTEND_USEC = 90_000_000
"""What a start has for itself, behind the ledger's examination too: ``TimeoutStartSec`` of the unit."""


def _nobody(now: Instant) -> Sequence[str]:
    return ()


class Notifier:
    """Talks to the service manager when there is one; silent otherwise."""

    def __init__(self, address: str | None, watchdog_usec: int | None) -> None:
        """``address`` is $NOTIFY_SOCKET, ``watchdog_usec`` $WATCHDOG_USEC."""
        self._address = ("\0" + address[1:] if address.startswith("@") else address) if address else None
        self.interval_ms = max(100, watchdog_usec // 3000) if watchdog_usec else None
        self._fed: Instant | None = None
        self._missed: tuple[str, ...] = ()
        self._ready = False
        self.silent: Callable[[Instant], Sequence[str]] = _nobody
        """Names those who have not been heard of in time. While it names anybody the watchdog is not fed."""

    @classmethod
    def from_environment(cls) -> Notifier:
        """As systemd starts us. A watchdog meant for another process is not ours."""
        pid = os.environ.get("WATCHDOG_PID")
        usec = os.environ.get("WATCHDOG_USEC") if pid is None or pid == str(os.getpid()) else None
        return cls(os.environ.get("NOTIFY_SOCKET"), int(usec) if usec and usec.isascii() and usec.isdigit() else None)

    def ready(self, status: str) -> None:
        """Drivers can be served, or are told why not."""
        self._ready = True
        self._tell(f"READY=1\nSTATUS={status}")

    def working(self) -> None:
        """Neither ready nor hung, but at work on the ledger: the deadline of the start, or the watchdog's, begins anew.

        Not the watchdog's before the first ``ready``: it would begin with that, and nobody feeds it until then.
        """
        self._tell(f"EXTEND_TIMEOUT_USEC={EXTEND_USEC}\nSTATUS=the ledger is being examined" + ("\nWATCHDOG=1" if self._ready else ""))

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """We were asked to stop and do."""
        self._tell("STOPPING=1")

    def feed(self, now: Instant) -> None:
        """Called by the core's loop after each step and when idle; tells the watchdog when a third of its time is over.

        Not while anybody is silent.
        Whoever is, is named once, in the log and to the service manager: it is the last word before the manager ends us.
        """
        if self.interval_ms is None or (self._fed is not None and now - self._fed < self.interval_ms):
            return
        missed = tuple(self.silent(now))
        if missed != self._missed:
            self._missed = missed
            said = f"nothing is heard of {', '.join(missed)}" if missed else "everybody is heard of again"
            LOG.log(logging.ERROR if missed else logging.INFO, "event=%s who=%r", "Silent" if missed else "Heard", ", ".join(missed))
            self.status(said)
        if not missed:
            self._fed = now
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.connect(self._address)
                # Never waits: a service manager that does not read must not hold up a driver.
                sock.send(text.encode(), socket.MSG_DONTWAIT)
        except OSError:
            # The service manager is away (a test's socket, a re-exec): its watchdog is the remedy, not ours.
            self._fed = None
