"""What a head can be, what it tells its listeners, and how makes of heads differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

from hal_sim.dispensers.hydraulics import VIRTUAL_ML_PER_MIN


class HeadState(IntEnum):
    """State of a fuelling point; the value is its DC1 code."""

    NOT_PROGRAMMED = 0
    RESET = 1
    AUTHORIZED = 2
    FILLING = 4
    COMPLETED = 5
    LIMIT_REACHED = 6
    SWITCHED_OFF = 7
    SUSPENDED = 8


class Change(Enum):
    """What a listener is told of."""

    STATE = "state"
    NOZZLE = "nozzle"
    ALARM = "alarm"
    POWER = "power"


Listener = Callable[[Change, int], None]
ALARM_EMERGENCY_STOP = 0x09
ALARM_POWER_FAILURE = 0x0A


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How this make of head behaves.

    ``pulse_ml`` is the meter's resolution: fill, amount and totaliser advance by it, so that the three books can agree to the
    millilitre. ``overrun_ml`` flows past a preset. ``slow_ml`` before a preset flow at the slow rate. ``reset_clears_fill`` False
    keeps the fill until the next authorization (AZT heads).
    """

    rate_ml_per_min: int = VIRTUAL_ML_PER_MIN
    pulse_ml: int = 10
    overrun_ml: int = 0
    slow_ml: int = 0
    slow_rate_ml_per_min: int = 5_000
    currency_decimals: int = 2
    require_preset: bool = False
    reset_clears_fill: bool = True
