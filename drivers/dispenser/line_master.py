"""What every line master can do, whatever its protocol; the thread, the hand tool and the tests know it by this alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from drivers.commands import PumpCommand
from drivers.events import DeviceEvent


class LineMaster(Protocol):
    """The sans-IO side of a pump line. Times are milliseconds."""

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that arrived at ``now``."""

    def next_transmission(self, now: int) -> bytes | None:
        """What to send now."""

    def next_wakeup(self) -> int | None:
        """When to ask again if no bytes come."""

    def submit(self, command: PumpCommand, now: int) -> None:
        """Take a command."""

    def remember(self, settled: Mapping[tuple[int, int], int], now: int) -> None:
        """What heads had counted when their last record was read (``TransactionSettled``), by fuelling point and nozzle; once."""

    def survey_first(self, fps: Collection[int]) -> None:
        """At these points somebody may be fuelling: their pictures are wanted before those of the others."""

    def take_events(self) -> list[DeviceEvent]:
        """What happened since the last call."""

    def port_lost(self, why: str, now: int) -> None:
        """The port is gone; survey everything when it is back."""
