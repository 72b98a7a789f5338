"""Fuel flow as a function of time, and what a meter charges for it.

A flow knows when it started, how much will flow and how fast; every reading follows from the clock alone. Polls never advance it, so
a master that asks often and one that never asks see the same fill.
"""

from __future__ import annotations

from dataclasses import dataclass

MS_PER_MIN = 60_000
VIRTUAL_ML_PER_MIN = 40_000
"""A forecourt pump's usual 40 l/min, the rate of the virtual world."""
RIG_ML_PER_MIN = 600_000
"""600 l/min, so that the rig, which runs on real time, does not wait for fuel."""


def amount_of(volume_ml: int, price: int, currency_decimals: int = 2) -> int:
    """What a head charges: minor units, rounded half up. ``price`` is in 1/10000 of the major unit per litre."""
    scale: int = 10 ** (7 - currency_decimals)
    return (2 * volume_ml * price + scale) // (2 * scale)


def volume_within(amount_minor: int, price: int, currency_decimals: int = 2) -> int:
    """The largest volume in ml for which ``amount_of`` does not exceed the amount. Raises ``ZeroDivisionError`` at price 0."""
    scale: int = 10 ** (7 - currency_decimals)
    return (scale * (2 * amount_minor + 1) - 1) // (2 * price)


def _duration_ms(volume_ml: int, rate_ml_per_min: int) -> int:
    return -(-volume_ml * MS_PER_MIN // rate_ml_per_min)


@dataclass(frozen=True, slots=True)
class Flow:
    """One uninterrupted run of fuel: ``volume_ml`` from ``start_ms`` on, the last ``slow_ml`` of it at the slow rate.

    A pump slows down just before a preset in order to stop exactly on it; ``slow_ml`` 0 leaves that out.
    Raises ``ValueError`` on a negative volume or a rate that is not positive.
    """

    start_ms: int
    volume_ml: int
    rate_ml_per_min: int = VIRTUAL_ML_PER_MIN
    slow_ml: int = 0
    slow_rate_ml_per_min: int = 5_000

    def __post_init__(self) -> None:
        if self.volume_ml < 0 or self.slow_ml < 0:
            raise ValueError("a flow cannot be negative")
        if self.rate_ml_per_min <= 0 or self.slow_rate_ml_per_min <= 0:
            raise ValueError("a flow rate must be positive")

    @property
    def _fast_ml(self) -> int:
        return max(0, self.volume_ml - self.slow_ml)

    @property
    def end_ms(self) -> int:
        """The instant at which all of it has flowed."""
        return self.instant_of(self.volume_ml)

    def instant_of(self, volume_ml: int) -> int:
        """The first instant at which at least ``volume_ml`` has flowed; beyond the flow's own volume that is its end."""
        wanted = min(volume_ml, self.volume_ml)
        fast = min(wanted, self._fast_ml)
        at = self.start_ms + _duration_ms(fast, self.rate_ml_per_min)
        if wanted > fast:
            at += _duration_ms(wanted - fast, self.slow_rate_ml_per_min)
        return at

    def volume_at(self, now: int) -> int:
        """Millilitres that have flowed by ``now``, rounded down."""
        elapsed = now - self.start_ms
        if elapsed <= 0:
            return 0
        fast = self._fast_ml
        fast_ms = _duration_ms(fast, self.rate_ml_per_min)
        if elapsed < fast_ms:
            return elapsed * self.rate_ml_per_min // MS_PER_MIN
        return min(self.volume_ml, fast + (elapsed - fast_ms) * self.slow_rate_ml_per_min // MS_PER_MIN)
