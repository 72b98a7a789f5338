"""The longest time that a fuelling may take, however slowly it still flows: a nozzle that was forgotten, or a meter that dies.

Counted from the release; over a restart from the authorization, which is the earliest that it can have been. The pump is told to stop and
its record ends the sale, as with every stop. (features.md F32; issue 5, "no-flow and longest-fuelling times".)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drivers.events import PumpSurveyed
from terminal.core.internal_events import EndCause, NozzleTaken, SaleWithdrawn
from terminal.core.point_deadlines import LongestOverdue
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.sale import Sale
    from terminal.core.step import Desk


class LongestFuelling:
    """One clock a fuelling point."""

    def __init__(self, desk: Desk, points: Mapping[int, FuellingPoint], longest_ms: int) -> None:
        self.desk = desk
        self.points = points
        self.longest_ms = longest_ms
        self._ends: dict[int, Instant] = {}

    def sale_heard(self, sale: Sale, event: object, at: Instant) -> None:
        """A release begins."""
        if isinstance(event, NozzleTaken):
            self._start(sale.fp, Instant(at + self.longest_ms), at)

    def point_heard(self, point: FuellingPoint, event: object, at: Instant) -> None:
        """A pump that was lost, or that ran while this program did not: it may have had its time."""
        sale = point.delivering() if isinstance(event, PumpSurveyed) else None
        if sale is not None:
            known = self._ends.get(point.number)
            gone_ms = self.desk.utc(at) - sale.authorized_at
            self._start(point.number, known if known is not None else Instant(at + max(0, self.longest_ms - gone_ms)), at)

    def overdue(self, event: LongestOverdue, at: Instant) -> None:
        """Its time is over."""
        point = self.points.get(event.fp)
        if point is not None and point.delivering() is not None:
            self.desk.tell(SaleWithdrawn(event.fp, EndCause.FLOW_TIMEOUT))

    def _start(self, fp: int, ends: Instant, at: Instant) -> None:
        self._ends[fp] = ends
        self.desk.start(LongestOverdue(fp), max(0, ends - at))
