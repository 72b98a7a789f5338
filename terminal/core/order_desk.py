"""Obeys the orders of persons in charge, whoever brings them, and says why where it cannot. (terminal/core/orders.py.)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drivers.events import PumpSurveyed
from terminal.core.emergency import EmergencyDesk
from terminal.core.faults import ACKNOWLEDGED, FaultCode
from terminal.core.internal_events import EndCause, SaleWithdrawn
from terminal.core.orders import Order, OrderAsked, OrderKind, OrderMemory, OrderPushed, OrderTaken
from terminal.core.push_desk import PushDesk
from terminal.core.sale import SaleState
from terminal.core.step import Desk
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.ids import SaleId

_Words = tuple[int, str, str, str, int | None, str | None, str | None]
"""Who is meant by "the same order": a host that lost its data may give an id to another one."""


class OrderDesk:
    """Hears orders, writes down those that it obeys, and keeps the answers for whoever asked at the site."""

    def __init__(
        self,
        desk: Desk,
        push: PushDesk,
        emergency: EmergencyDesk,
        points: Mapping[int, FuellingPoint],
        known: OrderMemory,
        *,
        host_resets: bool,
    ) -> None:
        """``known``: from the ledger; ``host_resets``: the host's operator may reset the emergency stop, too."""
        self.desk = desk
        self.push = push
        self.emergency = emergency
        self.points = points
        self.host_resets = host_resets
        self._answers: dict[int, str | None] = {}
        self._stopped: set[SaleId] = set(known.stopped)
        # The host's orders: since when each counts, and why it was refused.
        self._heard: dict[_Words, tuple[int, str | None]] = {_words(one): (one.effective_at, None) for one in known.taken if one.event}

    def pushed(self, event: OrderPushed, at: Instant) -> None:
        """An order of the host: obeyed or refused, once, and acknowledged behind the commit."""
        now = self.desk.utc(at)
        row = self._row(event.order, event.event, now)
        before = self._heard.get(_words(row))
        if before is not None:  # told twice, and by now it would be done to somebody else's fuelling
            since, why = before
            self.push.passed(event.event, why or "known", since, refused=why is not None)
            return
        if not self.desk.clock.proven:  # across a power-off nobody knows how old it is
            refused: str | None = "the terminal has not heard the time since it was switched on"
        elif now > event.valid_until:
            refused = "it came too late"
        elif event.order.kind is OrderKind.RESET_EMERGENCY_STOP and not self.host_resets:
            refused = "the emergency stop is reset at the site"
        else:
            refused = self._obey(event.order)
        self._heard[_words(row)] = now, refused
        if refused is None:
            self.desk.persist(row)
            self.push.taken(event.event, now)
        else:
            self.push.passed(event.event, refused, now, refused=True)

    def asked(self, event: OrderAsked, at: Instant) -> None:
        """An order given at the site."""
        refused = self._obey(event.order)
        if refused is None:
            self.desk.persist(self._row(event.order, 0, self.desk.utc(at)))
        self._answers[event.ticket] = refused

    def take_answers(self) -> dict[int, str | None]:
        """Ticket → why it was refused, None where it was obeyed; each once, and only to be told behind the step's commit."""
        answers, self._answers = self._answers, {}
        return answers

    def point_heard(self, point: FuellingPoint, event: object) -> None:
        """A pump that was lost is heard again: whatever it was told before counts for nothing, the order still holds."""
        sale = point.delivering() if isinstance(event, PumpSurveyed) else None
        if sale is not None and sale.id in self._stopped:
            self.desk.tell(SaleWithdrawn(sale.fp, EndCause.STOP))

    @staticmethod
    def _row(order: Order, event: int, now: int) -> OrderTaken:
        return OrderTaken(event, order.kind.value, order.by, order.why, order.fuelling_point, order.code, order.subject, now)

    def _obey(self, order: Order) -> str | None:
        if order.kind is OrderKind.STOP_POINT:
            return self._stop(order.fuelling_point)
        if order.kind is OrderKind.ACKNOWLEDGE_FAULT:
            return self._acknowledge(order.code or "", order.subject or "")
        return self.emergency.reset()

    def _stop(self, number: int | None) -> str | None:
        """What waits there is taken back, what flows is told to stop; the same sale is never released again."""
        point = None if number is None else self.points.get(number)
        if point is None:
            return f"there is no fuelling point {number} here"
        sale = point.open_sale()
        if sale is None or sale.state not in (SaleState.AUTHORIZED, SaleState.DELIVERING):
            return f"nothing waits or flows at fuelling point {number}"
        self._stopped = (self._stopped & self.desk.sales.keys()) | {sale.id}
        self.desk.tell(SaleWithdrawn(sale.fp, EndCause.STOP))
        return None

    def _acknowledge(self, name: str, subject: str) -> str | None:
        """A fault that tells of something past ends when somebody has seen it; one of something present ends with it."""
        code = next((one for one in FaultCode if one.value == name), None)
        if code is None:
            return f"there is no fault {name!r}"
        on = sorted(about for active, about in self.desk.faults.active if active is code)
        if subject not in on:
            return f"{name} is not on for {subject!r}; it is on for: {', '.join(on) or 'nothing'}"
        if code not in ACKNOWLEDGED:
            return f"{name} ends when its cause does"
        self.desk.clear_fault(code, subject)
        return None


def _words(row: OrderTaken) -> _Words:
    return row.event, row.order, row.by, row.why, row.fuelling_point, row.code, row.subject
