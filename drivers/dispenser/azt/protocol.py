"""AZT 2.0 as one of the protocols that a line can speak (reference dispenser-protocols 3.1 to 3.3, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.dispenser.azt.ear import AztEar
from drivers.dispenser.azt.frames import FIRST_ADDRESS, LAST_ADDRESS
from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.azt.profile import ANSWER_TIME_MS, BAUDRATES, LineProfile, PositionProfile
from drivers.dispenser.protocol import PumpProtocol, Seat, SerialMode, Settings


def build(name: str, seats: Sequence[Seat], line: Settings, currency_decimals: int) -> AztLine:
    """The line's master. Raises ValueError for what cannot be."""
    if any(len(seat.nozzles) != 1 for seat in seats):
        raise ValueError("an AZT address is one nozzle")
    positions = [
        PositionProfile(seat.fp, seat.address, seat.nozzles[0], currency_decimals=currency_decimals, **seat.settings) for seat in seats
    ]
    return AztLine(name, positions, LineProfile(**line))


AZT = PumpProtocol(
    name="azt",
    title="AZT",
    serial=SerialMode("E", bytesize=7, stopbits=2),
    baudrates=BAUDRATES,
    addresses=range(FIRST_ADDRESS, LAST_ADDRESS + 1),
    address_words="1 to 225",
    window_ms=ANSWER_TIME_MS,
    shortest_window_ms=ANSWER_TIME_MS,
    nozzles=1,
    price_decimals=2,
    price_digits=4,
    head=PositionProfile,
    line=LineProfile,
    build=build,
    ear=AztEar,
)
