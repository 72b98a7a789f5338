"""Hears what the host closes and opens, writes it down, and takes back what waits behind a closed door. (features.md F63.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from terminal.core.closings import Closing, Closings
from terminal.core.host_events import ClosingPushed, ClosingScope
from terminal.core.internal_events import AttemptRefused, EndCause, SaleWithdrawn
from terminal.core.push_desk import PushDesk
from terminal.core.reasons import Reason
from terminal.core.records import ClosingSet
from terminal.core.sale import Sale
from terminal.core.session import CustomerSession, SessionState
from terminal.core.step import Desk
from terminal.core.teller import Teller
from terminal.core.units import Instant
from terminal.core.untouched import untouched

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint

_ATTEMPT = (SessionState.IDENTIFYING, SessionState.PIN, SessionState.PROMPTS, SessionState.CHOOSING, SessionState.AUTHORIZING)


class ClosingDesk:
    """Hears closings, keeps them, and takes back what waits behind a closed door."""

    def __init__(
        self,
        desk: Desk,
        closings: Closings,
        push: PushDesk,
        teller: Teller,
        sessions: Mapping[int, CustomerSession],
        points: Mapping[int, FuellingPoint],
        tell_driver: Callable[[Sale, Reason], None],
    ) -> None:
        self.desk = desk
        self.closings = closings
        self.push = push
        self.teller = teller
        self.sessions = sessions
        self.points = points
        self.tell_driver = tell_driver

    def heard(self, event: ClosingPushed, at: Instant) -> None:
        """The host's newest word about a thing, in the order of the stream."""
        now = self.desk.utc(at)
        key = (event.scope, event.name)
        known = self.closings.closed.get(key)
        if event.scope is ClosingScope.FUELLING_POINT and not any(str(number) == event.name for number in self.points):
            self.push.passed(event.event, f"there is no fuelling point {event.name!r} here", now, refused=True)
            return
        if not event.closed and known is None:
            self.push.passed(event.event, "it is open", now)
            return
        if known is not None and event.closed and known.event == event.event:
            self.push.passed(event.event, "it is closed since this event", known.since)
            return
        self.desk.persist(ClosingSet(event.event, event.scope.value, event.name, event.closed, event.why, now))
        if event.closed:
            self.closings.closed[key] = Closing(event.scope, event.name, event.why, event.event, now)
        else:
            del self.closings.closed[key]
        self.push.taken(event.event, now)
        self._act()

    def _act(self) -> None:
        for sale in list(self.desk.sales.values()):
            reason = self.closings.concerns(sale) if untouched(sale, self.points.get(sale.fp)) else None
            if reason is not None:
                self.desk.tell(SaleWithdrawn(sale.fp, EndCause.CANCELLED))
                self.tell_driver(sale, reason)
        for session in self.sessions.values():
            if self.closings.site and session.state in _ATTEMPT:
                self._send_away(session)
            elif session.state is SessionState.IDLE:
                session.show_home()

    def _send_away(self, session: CustomerSession) -> None:
        """Whoever is being served when the site closes; a host that is being asked gets its hold back."""
        if session.state is SessionState.AUTHORIZING and session.sale is not None:
            self.teller.abandon(session.sale)
        self.desk.tell(AttemptRefused(session.side, Reason.TERMINAL_NOT_READY))
