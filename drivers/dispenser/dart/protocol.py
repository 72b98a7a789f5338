"""DART as one of the protocols that a line can speak (reference dispenser-protocols 1.1, 1.2, 1.6, 1.7)."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.dispenser.dart.ear import DartEar
from drivers.dispenser.dart.frames import FIRST_ADDRESS, LAST_ADDRESS
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import BAUDRATES, SHORTEST_WINDOW_MS, LineProfile, PositionProfile
from drivers.dispenser.protocol import PumpProtocol, Seat, SerialMode, Settings


def build(name: str, seats: Sequence[Seat], line: Settings, currency_decimals: int) -> DartLine:
    """The line's master. Raises ValueError for what cannot be."""
    points = [seat.fp for seat in seats]
    positions = [
        PositionProfile(
            seat.fp,
            seat.address,
            currency_decimals=currency_decimals,
            nozzles=seat.nozzles if points.count(seat.fp) > 1 else (),
            **seat.settings,
        )
        for seat in seats
    ]
    return DartLine(name, positions, LineProfile(**line))


DART = PumpProtocol(
    name="dart",
    title="DART",
    serial=SerialMode("O"),
    baudrates=BAUDRATES,
    addresses=range(FIRST_ADDRESS, LAST_ADDRESS + 1),
    address_words="80 to 111 (0x50 to 0x6F)",
    window_ms=120,
    shortest_window_ms=SHORTEST_WINDOW_MS,
    nozzles=15,
    price_decimals=3,
    price_digits=6,
    head=PositionProfile,
    line=LineProfile,
    build=build,
    ear=DartEar,
)
