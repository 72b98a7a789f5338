"""What devices can be told: imperatives, as frozen values. Units as in ``drivers.events``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuthorizeFuellingPoint:
    """Let this one nozzle deliver up to a preset. Never sent without one.

    Exactly one of ``preset_volume_ml`` and ``preset_amount_minor`` is set: a DART head takes one of CD3 and CD4.
    ``prices`` are the unit prices of logical nozzles 1...n, in that order.
    """

    fp: int
    nozzle: int
    preset_volume_ml: int | None
    preset_amount_minor: int | None
    prices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StopFuellingPoint:
    """Withdraw the release or end the fill. The pump's status says when it has."""

    fp: int


@dataclass(frozen=True, slots=True)
class ReadFill:
    """Ask for the pump's record of the finished fill; answered by ``FillReported``.

    ``nozzle``: whose fill, where the hoses of a point keep records of their own; None, where nobody waits for that of a certain one.
    """

    fp: int
    nozzle: int | None = None


@dataclass(frozen=True, slots=True)
class ReadTotal:
    """Ask for one nozzle's totaliser; answered by ``TotalReported``."""

    fp: int
    nozzle: int


@dataclass(frozen=True, slots=True)
class ConfirmFill:
    """Erase the pump's record (DART RESET, AZT command 8): only after the fill is committed."""

    fp: int


@dataclass(frozen=True, slots=True)
class SetPrices:
    """Give the head the unit prices of all its logical nozzles, in order; answered by ``PricesReported``, what it then shows."""

    fp: int
    prices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShowLines:
    """Put these lines on the side's display, replacing what was there. Longer text is cut, missing lines are blank."""

    side: int
    lines: tuple[str, ...]


PumpCommand = AuthorizeFuellingPoint | StopFuellingPoint | ReadFill | ReadTotal | ConfirmFill | SetPrices
DeviceCommand = PumpCommand | ShowLines
