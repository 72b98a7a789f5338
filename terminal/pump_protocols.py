"""What the configuration knows of each pump protocol: bounds, and what stands where nothing is written.

The drivers' own words a second time, because the configuration may not import them; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PumpProtocol:
    """One protocol. The first of ``baudrates`` is the usual one.

    ``shortest_window_ms``: an answer may take so long, so a line may not wait less. ``nozzles``: most that one address has.
    """

    title: str
    baudrates: tuple[int, ...]
    addresses: range
    address_words: str
    window_ms: int
    shortest_window_ms: int
    nozzles: int
    price_decimals: int
    price_digits: int


PROTOCOLS = {
    "dart": PumpProtocol("DART", (9600, 19200), range(0x50, 0x70), "80 to 111 (0x50 to 0x6F)", 120, 10, 15, 3, 6),
    "azt": PumpProtocol("AZT", (4800, 9600), range(1, 226), "1 to 225", 400, 400, 1, 2, 4),
}
