"""The pump protocols that this program speaks: one line each. A new one is a folder beside this file and a line below.

``firmware_notes/adding-a-protocol.md`` tells how; ``tests/toy_protocol`` is one that was added so.
"""

from __future__ import annotations

from drivers.dispenser.azt.protocol import AZT
from drivers.dispenser.dart.protocol import DART
from drivers.dispenser.protocol import PumpProtocol

PROTOCOLS: dict[str, PumpProtocol] = {}
"""By the name that ``[[line]]`` gives."""


def register(protocol: PumpProtocol) -> None:
    """Make it known. Raises ValueError when another one has its name."""
    if PROTOCOLS.setdefault(protocol.name, protocol) is not protocol:
        raise ValueError(f"two pump protocols are called {protocol.name}")


register(DART)
register(AZT)
