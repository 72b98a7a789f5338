"""Who must be heard of before the service manager's watchdog is fed: the store, and every device's thread (the core is who asks).

Source: reference security-and-reliability 5.3 (the watchdog is fed only when core, store, pump line and readers are all fresh).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from terminal.core.units import Instant
from terminal.runtime.engine import Engine

STORE_EVERY_MS = 60_000
"""A terminal that nobody comes to writes so often all the same: two pages, so that a dead disk is known before the next driver comes."""
STORE_LATE_MS = 10_000


class DeviceLife(Protocol):
    """A device's thread, as seen from here."""

    name: str

    def hung(self, now: int) -> bool:
        """It has not been heard of in time."""


class StorePulse:
    """The ledger's commits are its heartbeat; when there are none for a while, a write that is taken back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._row = engine.ledger.head[0]
        self._beat: Instant | None = None

    def beat(self, now: Instant) -> None:
        """Called between steps. Raises ``StorageFailed``.

        Rests while a sale is under way: its own commits are the pulse, and a disk without room may still have some for that sale.
        """
        row = self._engine.ledger.head[0]
        if self._beat is None or row != self._row or self._engine.site.desk.sales:
            self._row, self._beat = row, now
        elif now - self._beat >= STORE_EVERY_MS:
            self._engine.ledger.probe()
            self._beat = now

    def late(self, now: Instant) -> bool:
        """Neither a commit nor a probe has ended in time."""
        return self._beat is not None and now - self._beat > STORE_EVERY_MS + STORE_LATE_MS


def silent_ones(devices: Iterable[DeviceLife], store: StorePulse | None, now: Instant) -> tuple[str, ...]:
    """The names of all that have not been heard of in time. ``store`` is None while the terminal waits for its disk and says so."""
    late = ("store",) if store is not None and store.late(now) else ()
    return late + tuple(device.name for device in devices if device.hung(now))
