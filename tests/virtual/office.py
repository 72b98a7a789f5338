"""Persons in charge in virtual time: their orders at the site go in as the socket would bring them, those of the host over its stream."""

from __future__ import annotations

from terminal.core.orders import Order, OrderAsked, OrderKind
from tests.behaviour.world import GivenOrder
from tests.virtual.forecourt import Forecourt

MANAGER, OPERATOR = "manager", "operator"
HEARD_MS = 1_000


class Office:
    """Gives orders."""

    def __init__(self, station: Forecourt) -> None:
        self._station = station
        self._tickets = 0

    def order(self, order: GivenOrder) -> str | None:
        """See ``World.order``."""
        subjects = self._subjects(order.fault) if order.fault is not None else [None]
        answers = [self._give(order, subject) for subject in subjects]
        return next((answer for answer in answers if answer is not None), None)

    def _subjects(self, fault: str) -> list[str | None]:
        engine = self._station.terminal.engine
        on = [] if engine is None else [about for code, about in engine.site.desk.faults.active if code.value == fault]
        return [*on] or ["nothing"]

    def _give(self, order: GivenOrder, subject: str | None) -> str | None:
        if order.by_host:
            self._station.book.order(
                order.kind, OPERATOR, "said by the scenario", fuelling_point=order.fuelling_point, code=order.fault, subject=subject
            )
            self._station.heap.run_until(self._station.heap.now + HEARD_MS)
            return None
        engine = self._station.terminal.engine
        if engine is None:
            return "the terminal has no power"
        self._tickets += 1
        said = Order(OrderKind(order.kind), MANAGER, "said by the scenario", order.fuelling_point, order.fault, subject)
        self._station.terminal.post(OrderAsked(self._tickets, said))
        engine = self._station.terminal.engine
        answer = "no answer" if engine is None else engine.site.orders.take_answers()[self._tickets]
        self._station.heap.run_until(self._station.heap.now + HEARD_MS)
        return answer
