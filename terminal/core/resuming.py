"""What comes of the sales that were open when the program, or the power, comes back; and how long that waits for the host.

A ledger may be an older copy of itself: then a sale that is open in it ended long ago, and others have fuelled at its point since. Only the
host knows, by the chain's head (core/ledger_head.py). So what the pump says at such a point is kept back until the host has said what it
knows, and not for long: an offline terminal must record its fuel too. Who is told to stop meanwhile is told at once.
(firmware_notes/storage.md, "The head at the host".)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from terminal.core import internal_events as inner
from terminal.core.events import LiftOverdue
from terminal.core.faults import FaultCode
from terminal.core.host_events import HeadOverdue
from terminal.core.restored import SUBJECT
from terminal.core.sale import Sale, SaleState
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.site import Site


class Resuming:
    """The open sales of a start, until they go on."""

    def __init__(self, site: Site, again: Callable[[object, Instant], None]) -> None:
        """``again`` hands an event that was kept back to whom it is for."""
        self.site = site
        self.desk = site.desk
        self._again = again
        self._waiting: list[Sale] = []
        self._points: frozenset[int] = frozenset()
        self._kept: list[object] = []

    def begin(self, at: Instant) -> None:
        """At start. Where rows are known to be lost nothing more can come out, and their open sales are in doubt."""
        found = [one for one in self.site.recovered.open_sales if one.state is not SaleState.IN_DOUBT]
        wait_ms = self.site.config.host_times.head_ms
        if not wait_ms or (FaultCode.STORAGE_DAMAGED, SUBJECT) in self.desk.faults.active:
            for one in found:
                self._resume(one, at)
        elif found:
            self._waiting, self._points = found, frozenset(one.fp for one in found)
            self.desk.start(HeadOverdue(), wait_ms)

    @property
    def waits(self) -> bool:
        """For the host's word, which is better asked for at once."""
        return bool(self._waiting)

    def keeps_back(self, event: Any, at: Instant) -> bool:
        """Is this event for a point whose sale waits? It comes again."""
        if not self._waiting or event.fp not in self._points:
            return False
        if isinstance(event, inner.SaleWithdrawn):
            self.go_on(at)
            return False
        self._kept.append(event)
        return True

    def overdue(self, event: HeadOverdue, at: Instant) -> None:
        """The host has said nothing."""
        self.go_on(at)

    def go_on(self, at: Instant) -> None:
        """The host has said what it knows of the ledger, or is not waited for any longer."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        kept, self._kept = self._kept, []
        self.desk.cancel(HeadOverdue())
        for one in waiting:
            self._resume(one, at)
        for event in kept:
            self._again(event, at)

    def _resume(self, one: Sale, at: Instant) -> None:
        site, point = self.site, self.site.points.get(one.fp)
        if one.state is SaleState.RESERVED:
            if one.asked_host and not one.reversal:
                self.desk.tell(inner.ReversalDue(one.id, "POWER"))
            self.desk.tell(inner.NothingDelivered(one.id, inner.EndCause.POWER))
        elif one.state is SaleState.AUTHORIZED:
            left = one.authorized_at + site.config.point_times.lift_ms - self.desk.utc(at)
            if site.recovered.same_boot and point is not None and left > 0:
                point.sale = one.id
                self.desk.start(LiftOverdue(point.number), left)
            else:
                self.desk.tell(inner.NothingDelivered(one.id, inner.EndCause.POWER))
        elif one.state is SaleState.DELIVERING and point is not None:
            point.sale = one.id
            point.end = inner.EndCause.NOZZLE
