"""The pump protocols as the configuration knows them: the drivers' own registry, which needs no port and no thread."""

from __future__ import annotations

from drivers.dispenser.protocol import PumpProtocol, Seat
from drivers.dispenser.registry import PROTOCOLS

__all__ = ["PROTOCOLS", "PumpProtocol", "Seat"]
