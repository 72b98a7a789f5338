"""What the host says unasked: urgent denies and hints of new lists, and who of those standing here they concern.

A deny acts in the step that hears it and is durable before the host is told so: its row, what it ends and the place to resume from are
one commit, the acknowledgement leaves after it and is repeated until the host has it. Only the clear number of a driver at the terminal
can fall into a denied range; an armed or running sale is known by its token. (features.md F17, F42, F68.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from drivers.events import PumpSurveyed
from terminal.core import events as ev
from terminal.core.deny_book import DenyBook, DenyEntry, OnDeny, WatchedLists
from terminal.core.effects import AckEvent, Continue, OpenPush
from terminal.core.host_events import EventUnusable
from terminal.core.internal_events import EndCause, MediumDenied, NothingDelivered, ReversalDue, SaleWithdrawn
from terminal.core.reasons import Reason
from terminal.core.records import DenyAdded, DenyLifted, EventAcknowledged, EventPassed
from terminal.core.refusals import after_deny
from terminal.core.sale import Sale, SaleState
from terminal.core.screens import Screen, code_text
from terminal.core.session import CustomerSession, SessionState
from terminal.core.units import Instant
from terminal.core.untouched import untouched

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.host_link import HostLink
    from terminal.core.ids import SaleId
    from terminal.core.site import Recovered
    from terminal.core.step import Desk

_ATTEMPT = (SessionState.IDENTIFYING, SessionState.PIN, SessionState.PROMPTS, SessionState.CHOOSING, SessionState.AUTHORIZING)
ACKS_UNDER_WAY = 20
"""Acknowledgements handed over at once. A host that hangs takes the whole deadline for each: whatever more waited in line would be old."""
_QUIET = (SessionState.IDLE, SessionState.ARMED, SessionState.REFUSED)
"""States in which a side may tell a driver at a pump something, as for a wrong nozzle."""


class PushDesk:
    """Hears the stream, keeps the deny book, stops whom it concerns, and acknowledges."""

    def __init__(
        self,
        desk: Desk,
        book: DenyBook,
        lists: WatchedLists,
        link: HostLink,
        sessions: Mapping[int, CustomerSession],
        on_deny: OnDeny,
        known: Recovered,
    ) -> None:
        self.desk = desk
        self.book = book
        self.lists = lists
        self.link = link
        self.sessions = sessions
        self.on_deny = on_deny
        self.last_event = known.last_event
        self.unacknowledged = dict(known.unacknowledged)
        self.refusals = dict(known.event_refusals)  # of events that cannot be obeyed, until they are acknowledged
        self.up = False
        self._under_way: list[int] = []  # events whose acknowledgement was handed over and of which nothing was heard yet
        self._hint: ev.ListHint | None = None
        self._told: set[SaleId] = set()  # sales that were stopped, and whose driver was told

    def routes(self) -> dict[type, Callable[[Any, Instant], None]]:
        """What of the outside is for this desk."""
        return {
            ev.DenyPushed: self.heard,
            ev.ListHint: lambda event, at: self.hinted(event),
            ev.PushUp: lambda event, at: self.came_up(),
            ev.PushDown: lambda event, at: self.went_down(),
            ev.PushUnreadable: lambda event, at: self.unreadable(),
            ev.AckAnswered: lambda event, at: self.acknowledged(event),
            ev.AckFailed: lambda event, at: self.acknowledgement_failed(event),
            ev.AckDue: lambda event, at: self.acknowledge(),
            ev.ListsInUse: lambda event, at: self.stop_denied(),
            EventUnusable: lambda event, at: self.passed(event.event, event.why, self.desk.utc(at), refused=True),
        }

    # --- the stream -----------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """At start: open the stream behind the last event that is durable here, and say what the host has not heard."""
        self.open()
        self.acknowledge()

    def open(self) -> None:
        """Now rather than later: the host is believed to be there."""
        self.desk.do(OpenPush(self.last_event))

    def came_up(self) -> None:
        """The host speaks: whether it also answers is asked at once, and what it has not heard is said."""
        self.up = True
        if self.link.down:
            self.desk.start(ev.ProbeDue(), 0)
        self.acknowledge()

    def went_down(self) -> None:
        """Nothing is lost by it. Is the host away? Asked at once: then no driver waits for it, and its return is noticed in seconds."""
        self.up = False
        if not self.link.down:
            self.desk.start(ev.ProbeDue(), 0)

    def hinted(self, hint: ev.ListHint) -> None:
        """Newer lists are asked for at once; remembered, because a check that runs now may be too early to see them."""
        if self._is_news(hint, self.lists.epoch, self.lists.version):
            self._hint = hint
            self.link.check_lists(self.lists.epoch, self.lists.version)

    def unreadable(self) -> None:
        """It may have been a deny: what the lists say of it counts."""
        self.link.check_lists(self.lists.epoch, self.lists.version)

    def checked(self, epoch: str, version: int) -> None:
        """A check has ended with these lists. A hint that they do not answer is followed once more, no oftener."""
        hint, self._hint = self._hint, None
        if hint is not None and self._is_news(hint, epoch, version):
            self.link.check_lists(epoch, version)

    @staticmethod
    def _is_news(hint: ev.ListHint, epoch: str, version: int) -> bool:
        return hint.epoch != epoch or hint.version > version

    # --- denies ---------------------------------------------------------------------------------------------------------------

    def heard(self, event: ev.DenyPushed, at: Instant) -> None:
        """Write it down, let it act, and have it acknowledged behind the commit."""
        now = self.desk.utc(at)
        entry = DenyEntry(event.event, event.subject, event.lifted, event.epoch, event.list_version, now)
        known = self.book.entries.get(event.subject)
        if self.book.beats(entry, self.lists.epoch, self.lists.version):
            self.book.take(entry)
            kind = DenyLifted if event.lifted else DenyAdded
            subject = event.subject
            self.desk.persist(
                kind(event.event, subject.kind.value, subject.value, subject.upto, event.epoch, event.list_version, entry.effective_at)
            )
            self.taken(event.event, now)
        elif known is not None and (known.event, known.epoch, known.lifted) == (event.event, event.epoch, event.lifted):
            self.passed(event.event, "known", known.effective_at)  # told twice: it counts since the first time
        else:
            self.passed(event.event, "the lists or a later event have said it", now)
        self.stop_denied()

    def passed(self, event: int, why: str, effective_at: int, *, refused: bool = False) -> None:
        """An event that changes nothing, because it is known or (``refused``) because it cannot be: written down and acknowledged."""
        self.desk.persist(EventPassed(event, why, effective_at, refused))
        self.taken(event, effective_at, why if refused else None)

    def taken(self, event: int, effective_at: int, refused: str | None = None) -> None:
        """An event whose row this step writes: the stream resumes behind it, and the host is told after the commit."""
        self.last_event = event
        self.owe(event, effective_at, refused)

    def owe(self, event: int, effective_at: int, refused: str | None = None) -> None:
        """The host is to be told, after the commit and until it has heard, since when an event counts."""
        self.unacknowledged[event] = effective_at
        self.refusals.pop(event, None)
        if refused is not None:
            self.refusals[event] = refused
        self._hand_over(event, effective_at)  # an event that is told again was not heard: so is its acknowledgement

    def adopted(self, epoch: str, version: int) -> None:
        """A list goes live with this step; whoever it denies is stopped in the next one, which can read it."""
        self.book.adopted(epoch, version)
        self.desk.do(Continue(ev.ListsInUse()))

    # --- acknowledgements -----------------------------------------------------------------------------------------------------

    def acknowledge(self) -> None:
        """Send what the host does not have and nobody is sending, the oldest first."""
        for event, effective_at in self.unacknowledged.items():
            if len(self._under_way) >= ACKS_UNDER_WAY:
                return
            if event not in self._under_way:
                self._hand_over(event, effective_at)

    def _hand_over(self, event: int, effective_at: int) -> None:
        if len(self._under_way) < ACKS_UNDER_WAY:
            self._under_way.append(event)
            self.desk.do(AckEvent(event, effective_at, self.refusals.get(event)))

    def _came_back(self, event: int) -> None:
        if event in self._under_way:
            self._under_way.remove(event)

    def acknowledged(self, event: ev.AckAnswered) -> None:
        """The host has it, or will never take it."""
        self._came_back(event.event)
        self.refusals.pop(event.event, None)
        if self.unacknowledged.pop(event.event, None) is not None:
            self.desk.persist(EventAcknowledged(event.event, event.taken))
        self.acknowledge()

    def acknowledgement_failed(self, event: ev.AckFailed) -> None:
        """Again, together with all the others that wait."""
        self._came_back(event.event)
        if event.event in self.unacknowledged:
            self.desk.start(ev.AckDue(), self.link.times.probe_ms)

    # --- whom it concerns -----------------------------------------------------------------------------------------------------

    def stop_denied(self) -> None:
        """Everybody who is denied now: drivers at the terminal, armed sales, and running ones by policy."""
        for sale in list(self.desk.sales.values()):
            self._judge(sale, again=False)
        for session in self.sessions.values():
            if session.state in _ATTEMPT and session.medium is not None:
                self._judge_attempt(session, session.medium.number)

    def point_heard(self, point: FuellingPoint, event: object) -> None:
        """A pump that was lost is heard again: was its sale denied while nobody could tell it to stop?"""
        sale = point.open_sale() if isinstance(event, PumpSurveyed) else None
        if sale is not None:
            self._judge(sale, again=True)

    def _judge(self, sale: Sale, *, again: bool) -> None:
        """``again``: whatever its pump was told before counts for nothing any more."""
        if sale.state not in (SaleState.AUTHORIZED, SaleState.DELIVERING):
            return
        waits = untouched(sale, self.sessions[sale.side].teller.points.get(sale.fp))
        if not waits and self.on_deny is OnDeny.FINISH:
            return
        reason = self.lists.why_denied(sale.card.token, sale.customer)
        told = sale.id in self._told
        if reason is None or (told and not again):
            return
        self.desk.tell(SaleWithdrawn(sale.fp, EndCause.DECLINED if waits else EndCause.STOP))
        if not told:
            self._told = (self._told & self.desk.sales.keys()) | {sale.id}
            self.tell_driver(sale, reason)

    def tell_driver(self, sale: Sale, reason: Reason) -> None:
        """Say why a sale was taken back, to whoever still stands there for it, or at the pump."""
        session = self.sessions[sale.side]
        if session.state is SessionState.ARMED and session.sale == sale.id:
            self.desk.tell(MediumDenied(sale.side, reason))
            return
        code = session.teller.refusals.note(sale.side, reason, sale.card, sale.fp, after_deny(sale, reason), sale.id)
        if session.state in _QUIET:
            language = session.teller.language_of(self.lists.card(sale.card.token)) or session.home_language
            words, shown = session.teller.reason_text(reason, language), code_text(code, language)
            session.show(Screen.REFUSED, language, reason=words, code=shown)
            self.desk.start(ev.NoticeOver(sale.side), session.times.notice_ms)

    def _judge_attempt(self, session: CustomerSession, number: str) -> None:
        customer = session.card.customer if session.card is not None else None
        reason = self.lists.why_denied(session.token, customer, number)
        for half in session.halves[1:]:
            reason = reason or self.lists.why_denied(half.token, half.card.customer if half.card is not None else None, half.medium.number)
        if reason is None:
            return
        if session.state is SessionState.AUTHORIZING and session.sale is not None:
            # Whatever the host answers comes too late: its hold is reversed, and the sale is reported as declined.
            self.desk.cancel(ev.HostOverdue(session.sale))
            self.desk.tell(ReversalDue(session.sale, "CANCELLED"))
            self.desk.tell(NothingDelivered(session.sale, EndCause.DECLINED))
        self.desk.tell(MediumDenied(session.side, reason))
