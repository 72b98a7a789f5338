"""What differs between AZT sites and heads (reference dispenser-protocols 3.1, 3.3, 3.5, 8 rule 6; azt.md). All times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.dispenser.azt.frames import FIRST_ADDRESS, LAST_ADDRESS

BAUDRATES = (4800, 9600)
ANSWER_TIME_MS = 400
"""A head may take so long, and answers carry no address: asking another one earlier could take one head's answer for the other's."""
MAX_VOLUME_ML = 990_000
"""The largest dose that the protocol allows."""


def _between(owner: object, **limits: tuple[int, int]) -> None:
    for name, (low, high) in limits.items():
        value = getattr(owner, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, not {value}")


@dataclass(frozen=True, slots=True)
class LineProfile:
    """One line's timing and patience. Raises ValueError for values that cannot work.

    ``frame_gap_ms`` is the longest silence inside a frame (50 ms in TOP); ``babble_limit_ms`` bounds how long a line that never falls
    silent can hold the master back.
    """

    baudrate: int = 4800
    bits_per_byte: int = 11  # start, 7 data, even parity, 2 stop
    turn_round_ms: int = 35  # quiet before a request
    answer_window_ms: int = ANSWER_TIME_MS
    frame_gap_ms: int = 50
    babble_limit_ms: int = 1_000
    tries: int = 3
    misses_until_lost: int = 5
    lost_poll_rounds: int = 4  # a lost position is asked every so many rounds
    effect_limit_ms: int = 3_000  # from a command to the status that proves its effect
    live_interval_ms: int = 1_000
    noise_report_ms: int = 1_000

    def __post_init__(self) -> None:
        if self.baudrate not in BAUDRATES:
            raise ValueError(f"baudrate must be one of {', '.join(map(str, BAUDRATES))}, not {self.baudrate}")
        _between(
            self,
            bits_per_byte=(9, 12),
            turn_round_ms=(0, 1_000),
            answer_window_ms=(ANSWER_TIME_MS, 5_000),
            frame_gap_ms=(3, 1_000),
            babble_limit_ms=(self.frame_gap_ms, 10_000),
            tries=(1, 10),
            misses_until_lost=(1, 100),
            lost_poll_rounds=(1, 100),
            effect_limit_ms=(200, 60_000),
            live_interval_ms=(200, 60_000),
            noise_report_ms=(0, 3_600_000),
        )

    def transmit_ms(self, size: int) -> int:
        """How long so many bytes take on the wire, rounded up."""
        return -(-size * self.bits_per_byte * 1000 // self.baudrate)


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

    def __post_init__(self) -> None:
        if self.fp < 1:
            raise ValueError(f"fp must be 1 or more, not {self.fp}")
        _between(
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
