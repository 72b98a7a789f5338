"""The site's emergency stop. It is hard-wired: this program has no part in the stopping, it sees that it happened and keeps it in mind.

Whoever tells of it first (a head's alarm, an input), it is one fault of the whole site. While the fault is on nothing is released, what
waits is taken back, what flows is told to stop besides and is completed from its pump's record. The fault is in the ledger, so a restart
changes nothing; only a person ends it. (features.md F34; decision 0011.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drivers.events import EMERGENCY_STOP, PumpAlarmed, PumpSurveyed, SiteInputChanged
from terminal.core.faults import FaultCode
from terminal.core.internal_events import EndCause, SaleWithdrawn
from terminal.core.sale import SaleState
from terminal.core.session import CustomerSession, SessionState
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.step import Desk

SUBJECT = "site"
_OPEN = (SaleState.AUTHORIZED, SaleState.DELIVERING)


class EmergencyDesk:
    """Observes the emergency stop and holds the site still until it is reset by hand."""

    def __init__(self, desk: Desk, sessions: Mapping[int, CustomerSession]) -> None:
        self.desk = desk
        self.sessions = sessions
        self.button_pressed = False  # as the site's own input says; heads do not tell when it is over

    @property
    def on(self) -> bool:
        """It was pressed and nobody has reset it."""
        return self.desk.faults.emergency

    @staticmethod
    def is_told_by(event: PumpAlarmed) -> bool:
        """Whether this alarm is about the site and not about the head."""
        return event.alarm == EMERGENCY_STOP

    def begin(self) -> None:
        """At start: what is remembered still holds, for the sales that were taken over too."""
        if self.on:
            self._halt()

    def alarmed(self, event: PumpAlarmed) -> None:
        """A head has seen it."""
        self._observed(f"told by fuelling point {event.fp}")

    def input_changed(self, event: SiteInputChanged, at: Instant) -> None:
        """The button itself. That it is out again resets nothing: somebody must have looked why it was pressed."""
        if event.name == EMERGENCY_STOP:
            self.button_pressed = event.active
            if event.active:
                self._observed("told by its input")

    def point_heard(self, point: FuellingPoint, event: object) -> None:
        """A pump that was lost is heard again: whatever it was told before counts for nothing any more."""
        if self.on and isinstance(event, PumpSurveyed):
            sale = point.open_sale()
            if sale is not None and sale.state in _OPEN:
                self.desk.tell(SaleWithdrawn(sale.fp, EndCause.STOP))

    def reset(self) -> str | None:
        """A person says that all is well again; why not, where it cannot be."""
        if not self.on:
            return "the emergency stop is not on"
        if self.button_pressed:
            return "the emergency stop button is still pressed"
        self.desk.clear_fault(FaultCode.EMERGENCY_STOP, SUBJECT)
        self._tell_drivers()
        return None

    def _observed(self, detail: str) -> None:
        if not self.on:
            self.desk.raise_fault(FaultCode.EMERGENCY_STOP, SUBJECT, detail)
            self._halt()
            self._tell_drivers()

    def _halt(self) -> None:
        for sale in list(self.desk.sales.values()):
            if sale.state in _OPEN:
                self.desk.tell(SaleWithdrawn(sale.fp, EndCause.STOP))

    def _tell_drivers(self) -> None:
        """A side that was out of service before says the new cause; the others do with the end of the step."""
        for session in self.sessions.values():
            if session.state is SessionState.OUT_OF_SERVICE:
                session.show_stopped()
