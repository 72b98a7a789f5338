"""What differs between DART sites and heads (reference dispenser-protocols 1.1, 1.6, 1.7, 8 rule 6). All times are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.dispenser.dart.frames import FIRST_ADDRESS, LAST_ADDRESS
from drivers.dispenser.line_timing import LineTiming, between

BAUDRATES = (9600, 19200)
SHORTEST_WINDOW_MS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LineProfile(LineTiming):
    """One DART line's timing and patience. Raises ValueError for values that cannot work.

    The defaults are those of the field (1.6), but ``frame_gap_ms`` is longer than the 15 ms of the source, because USB adapters hand
    bytes over in bundles 16 ms apart.
    """

    baudrate: int = 9600
    bits_per_byte: int = 11  # start, 8 data, odd parity, stop
    answer_window_ms: int = 120
    frame_gap_ms: int = 30
    babble_limit_ms: int = 500
    ack_turn_round_ms: int = 5
    echo: bool = False  # the adapter hears its own transmissions
    data_retries: int = 3
    survey_rounds: int = 3
    effect_query_ms: int = 700  # no status by itself so long: ask for it

    def __post_init__(self) -> None:
        self.check(BAUDRATES, SHORTEST_WINDOW_MS)
        between(
            self,
            ack_turn_round_ms=(0, 1_000),
            data_retries=(0, 10),
            survey_rounds=(1, 10),
            effect_query_ms=(50, self.effect_limit_ms),
        )


@dataclass(frozen=True, slots=True)
class PositionProfile:
    """One fuelling position: where it sits and how its head counts. Raises ValueError for values that cannot be.

    The decimals are settings of the head and not on the wire (1.7). ``currency_decimals`` is the site's: amounts leave the driver in
    its minor units.

    * ``combined_start``: nozzle, preset and AUTHORIZE in one DATA frame, as the field does (1.8); otherwise AUTHORIZE follows in its own.
    * ``prices_with_authorize``: the prices go into the start frame too. Without it a head that shows another price for the lifted nozzle
      than the one commanded is not authorized.
    * ``prices_twice``: SetPrices is sent twice (quirk of 1.8).
    * ``volume_digits``, ``amount_digits``: of the head's display; a larger preset is sent as the largest that it shows.
    * ``nozzles``: which of the point's nozzles the head's own 1...n are, where the point has several addresses (twin, satellite).
    """

    fp: int
    address: int
    volume_decimals: int = 2
    amount_decimals: int = 2
    price_decimals: int = 3
    total_decimals: int = 2
    currency_decimals: int = 2
    combined_start: bool = True
    prices_with_authorize: bool = False
    prices_twice: bool = False
    nozzles: tuple[int, ...] = ()
    volume_digits: int = 8
    amount_digits: int = 8

    @property
    def own(self) -> Mapping[int, int]:
        """The point's logical nozzles here, and the head's own numbers for them."""
        return {nozzle: number for number, nozzle in enumerate(self.nozzles, start=1)}

    def __post_init__(self) -> None:
        if self.fp < 1:
            raise ValueError(f"fp must be 1 or more, not {self.fp}")
        between(
            self,
            address=(FIRST_ADDRESS, LAST_ADDRESS),
            volume_decimals=(0, 8),
            amount_decimals=(0, 8),
            price_decimals=(0, 4),
            total_decimals=(0, 8),
            currency_decimals=(0, 4),
            volume_digits=(3, 8),
            amount_digits=(3, 8),
        )
