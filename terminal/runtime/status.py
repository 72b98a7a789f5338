"""The terminal's state for people and programs: one JSON file in the runtime directory, replaced whole when something changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from terminal.core.site import Site
from terminal.core.units import Instant

EVERY_MS = 250
HEARTBEAT_MS = 5_000


def snapshot(site: Site, at: Instant, version: str) -> dict[str, Any]:
    """What is known now; no card, no token."""
    clock = site.desk.clock
    return {
        "state": "serving" if site.in_service else "out of service",
        "version": version,
        "pid": os.getpid(),
        "time_utc_ms": clock.utc(at),
        "clock": clock.state(at).value,
        "host": "reachable" if site.link.reachable else "away",
        "pin_key": site.rollback.state.value,
        "push": "open" if site.push.up else "closed",
        "unsent": site.uploads.waiting,
        "lists": {"epoch": site.lists.epoch, "version": site.lists.version},
        "sides": [{"side": one.side, "state": one.state.value} for one in site.sessions.values()],
        "fuelling_points": [
            {
                "fp": point.number,
                "state": point.state.value,
                "sale": point.sale,
                "nozzle_out": point.nozzle_out,
                "available": point.available,
                "volume_ml": point.flowed_ml,
                "amount_minor": point.flowed_minor,
            }
            for point in site.points.values()
        ],
        "faults": [
            {"code": code.value, "subject": subject, "detail": detail} for (code, subject), detail in site.desk.faults.active.items()
        ],
    }


class StatusFile:
    """Writes snapshots, at most a few a second, only when they differ or are old."""

    def __init__(self, directory: Path, version: str) -> None:
        self.path = directory / "status.json"
        self._version = version
        self._written: Instant | None = None
        self._last: dict[str, Any] = {}

    def update(self, site: Site, at: Instant) -> None:
        """Write if it is time and anything changed."""
        if self._written is not None and at - self._written < EVERY_MS:
            return
        now = snapshot(site, at, self._version)
        same = {**now, "time_utc_ms": 0} == {**self._last, "time_utc_ms": 0}
        if self._written is not None and same and at - self._written < HEARTBEAT_MS:
            return
        self._written, self._last = at, now
        self.write(now)

    def write(self, content: dict[str, Any]) -> None:
        """Replace the file. A runtime directory that cannot be written costs the status, not the service."""
        partial = self.path.with_suffix(".part")
        try:
            partial.write_bytes(msgspec.json.encode(content))
            partial.replace(self.path)
        except OSError:
            self._last = {}
