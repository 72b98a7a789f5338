"""What differs between AZT sites and heads (reference dispenser-protocols 3.1, 3.3, 3.5, 8 rule 6; azt.md). All times are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.dispenser.azt.frames import FIRST_ADDRESS, LAST_ADDRESS
from drivers.dispenser.line_timing import LineTiming, between

BAUDRATES = (4800, 9600)
ANSWER_TIME_MS = 400
"""A head may take so long, and answers carry no address: asking another one earlier could take one head's answer for the other's."""
MAX_VOLUME_ML = 990_000
"""The largest dose that the protocol allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineProfile(LineTiming):
    """One AZT line's timing and patience. Raises ValueError for values that cannot work.

    ``frame_gap_ms`` is that of TOP (3.3). A lost head costs the whole 400 ms, so it is asked more rarely than on a DART line.
    """

    baudrate: int = 4800
    bits_per_byte: int = 11  # start, 7 data, even parity, 2 stop
    answer_window_ms: int = ANSWER_TIME_MS
    frame_gap_ms: int = 50
    babble_limit_ms: int = 1_000
    lost_poll_turns: int = 36
    tries: int = 3

    def __post_init__(self) -> None:
        self.check(BAUDRATES, ANSWER_TIME_MS)
        between(self, tries=(1, 10))


@dataclass(frozen=True, slots=True)
class PositionProfile:
    """One hose: where it sits and how its head counts. Raises ValueError for values that cannot be.

    The decimals are settings of the head and not on the wire. ``currency_decimals`` is the site's: amounts leave the driver in its minor
    units.

    * ``nozzle``: the one logical nozzle of the fuelling point; an AZT address is one hose.
    * ``minimum_ml``: the smallest quantity that the head may measure; a smaller dose is refused.
    * ``slow_down_ml``: so much before the dose the flow is reduced (command R); None leaves what the head has.
    * ``dose_readback``: the dose is read again (command X) before the release; heads of protocol version 1 cannot tell it.
    * ``prices_with_authorize``: a price other than the head's is set before the release; otherwise such a release is refused.
    """

    fp: int
    address: int
    nozzle: int = 1
    volume_decimals: int = 2
    amount_decimals: int = 2
    price_decimals: int = 2
    total_decimals: int = 2
    currency_decimals: int = 2
    minimum_ml: int = 10
    slow_down_ml: int | None = None
    dose_readback: bool = True
    prices_with_authorize: bool = False

    @property
    def own(self) -> Mapping[int, int]:
        """The one nozzle, by its number at the point."""
        return {self.nozzle: self.nozzle}

    def __post_init__(self) -> None:
        if self.fp < 1:
            raise ValueError(f"fp must be 1 or more, not {self.fp}")
        between(
            self,
            address=(FIRST_ADDRESS, LAST_ADDRESS),
            nozzle=(1, 15),
            volume_decimals=(0, 3),
            amount_decimals=(0, 4),
            price_decimals=(0, 4),
            total_decimals=(0, 3),
            currency_decimals=(0, 4),
            minimum_ml=(0, MAX_VOLUME_ML),
        )
        if self.slow_down_ml is not None and not 0 <= self.slow_down_ml <= 9_990:
            raise ValueError(f"slow_down_ml must be 0 to 9990, not {self.slow_down_ml}")
