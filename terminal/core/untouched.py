"""Which sales may still be taken back: nobody has touched the pump for them, be it released already or not. (features.md F17, F63.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from terminal.core.point_config import PointState
from terminal.core.sale import Sale, SaleState

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint

_HANGING = (PointState.IDLE, PointState.AUTHORIZED)
"""Told to release, and the release seen; a nozzle that came out leads on to other states."""


def untouched(sale: Sale, point: FuellingPoint | None) -> bool:
    """Decided, and nothing released; or released with the nozzle in and nothing flowed, as a head is that is released before the lift."""
    if sale.state is not SaleState.DELIVERING:
        return sale.state is SaleState.AUTHORIZED
    if point is None or point.sale != sale.id or point.state not in _HANGING or point.finished or point.reading:
        return False
    return point.nozzle_out is None and point.flowed_ml == 0
