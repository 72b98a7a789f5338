"""What a fuelling point can be, what the configuration says of it, and how it is told to release."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from drivers.commands import AuthorizeFuellingPoint
from terminal.core.card_data import Nozzle
from terminal.core.records import Allowed

if TYPE_CHECKING:
    from terminal.core.sale import Sale

STOPS_BEFORE_FAULT = 3
"""Stops that a head may leave unanswered before somebody is told; it goes on being told to stop."""


class PointState(Enum):
    """IFSF's fuelling point states (reference model-codebases 8)."""

    INOPERATIVE = "inoperative"
    CLOSED = "closed"
    IDLE = "idle"
    CALLING = "calling"
    AUTHORIZED = "authorized"
    STARTED = "started"
    SUSPENDED_STARTED = "suspended started"
    FUELLING = "fuelling"
    SUSPENDED_FUELLING = "suspended fuelling"


SAYS_RELEASED = (PointState.AUTHORIZED, PointState.STARTED)
"""The head's last word is that fuel may flow at any moment: no totaliser read now says the last of its sale."""


@dataclass(frozen=True, slots=True)
class PointConfig:
    """What the configuration says of a fuelling point. ``minimum_ml``: the smallest preset worth releasing.

    The nozzles' prices are those in force. ``price_decimals`` and ``price_digits``: what its head can show of one.
    ``resolution_ml``: so far totaliser and fill may be apart, the totaliser's smallest step. ``before_lift``: it is released before the
    nozzle is lifted, where the sale may use only one.
    """

    number: int
    nozzles: tuple[Nozzle, ...]
    minimum_ml: int = 2000
    price_decimals: int = 4
    price_digits: int = 8
    resolution_ml: int = 10
    before_lift: bool = False

    @property
    def prices(self) -> tuple[int, ...]:
        """Unit prices of logical nozzles 1...n, in that order, as a head takes them."""
        return tuple(nozzle.price for nozzle in self.nozzles)

    def price(self, number: int) -> int | None:
        """The unit price of a logical nozzle; None when there is none of that number."""
        return next((nozzle.price for nozzle in self.nozzles if nozzle.nozzle == number), None)

    def to_release(self, nozzle_out: int | None, sale: Sale | None) -> int | None:
        """The nozzle to release now: the one that is out, else the only one that the sale may use, where that is done before the lift."""
        if nozzle_out is not None or sale is None or not self.before_lift:
            return nozzle_out
        usable = [ref.nozzle for ref in sale.nozzles if sale.may_use(ref.nozzle) is not None]
        return usable[0] if len(usable) == 1 else None

    def release(self, nozzle: int, allowed: Allowed) -> AuthorizeFuellingPoint:
        """The command that releases one nozzle for what is allowed, by the tighter of volume and money."""
        return AuthorizeFuellingPoint(
            self.number,
            nozzle,
            preset_volume_ml=None if allowed.by_value else allowed.quantity_ml,
            preset_amount_minor=allowed.value_minor if allowed.by_value else None,
            prices=self.prices,
        )


@dataclass(frozen=True, slots=True)
class PointTimes:
    """How long a point waits: for the lift, for flow, for a pump's record, for the last drops behind a reached preset; and how long a
    fuelling may take from its release on."""

    lift_ms: int = 60_000
    flow_ms: int = 90_000
    record_ms: int = 3_000
    settle_ms: int = 2_000
    longest_ms: int = 3_600_000
