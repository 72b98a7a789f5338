"""What the host's answers and silences mean: for the drivers who wait, the outbox, the clock and the lists.

``Site`` routes here everything that the host's threads post, but for the stream's events, which are ``push_desk``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from terminal.core import events as ev
from terminal.core import internal_events as inner
from terminal.core import sale
from terminal.core.batch_desk import BatchDesk
from terminal.core.batch_events import BatchWasRead, CloseAnswered, ItemsAnswered
from terminal.core.deny_book import WatchedLists
from terminal.core.facts import Request
from terminal.core.faults import FaultCode
from terminal.core.fuelling_point import FuellingPoint
from terminal.core.host_link import HostLink
from terminal.core.ids import SaleId
from terminal.core.list_desk import ListDesk
from terminal.core.list_events import ListsFailed
from terminal.core.push_desk import PushDesk
from terminal.core.records import ListsChecked
from terminal.core.sale import Sale, SaleState
from terminal.core.session import CustomerSession
from terminal.core.step import Desk
from terminal.core.teller import Teller
from terminal.core.units import Instant, UtcMs
from terminal.core.uploads import Uploads

LISTS_CHECKED_EVERY_MS = 1_800_000


class HostAnswers:
    """Shown everything that an answer may concern; owns only which questions were given up."""

    def __init__(
        self,
        desk: Desk,
        link: HostLink,
        lists: WatchedLists,
        list_desk: ListDesk,
        uploads: Uploads,
        batches: BatchDesk,
        teller: Teller,
        push: PushDesk,
        sessions: Mapping[int, CustomerSession],
        points: Mapping[int, FuellingPoint],
    ) -> None:
        self.desk = desk
        self.link = link
        self.lists = lists
        self.list_desk = list_desk
        self.uploads = uploads
        self.batches = batches
        self.teller = teller
        self.push = push
        self.sessions = sessions
        self.points = points
        self._checked_stored = teller.lists_checked or UtcMs(0)
        self.on_return: Callable[[], None] = lambda: None
        self._overdue: set[SaleId] = set()  # asked of the host, given up, and not heard of since

    def routes(self) -> dict[type, Callable[[Any, Instant], None]]:
        """What of the outside is for these."""
        return {
            ev.HostAnswered: self._host_answered,
            ev.HostFailed: self._host_failed,
            ev.HostOverdue: self._host_overdue,
            ev.UploadAnswered: self._upload_answered,
            ev.UploadFailed: self._upload_failed,
            ItemsAnswered: self._items_answered,
            CloseAnswered: self._close_answered,
            BatchWasRead: lambda event, at: self.batches.was_read(event),
            ev.BatchDue: self.batches.due,
            ev.UploadDue: lambda event, at: self.uploads.kick(),
            ev.AcknowledgementsDue: lambda event, at: self.uploads.write_acknowledgements(),
            ev.ProbeDue: lambda event, at: self.link.probe(),
            ev.ProbeAnswered: self._probe_answered,
            ev.ProbeFailed: lambda event, at: self.link.probe_failed(event.trouble, event.why),
            ev.ListCheckDue: lambda event, at: self.link.check_lists(self.lists.epoch, self.lists.version),
            ev.ListsCurrent: self._lists_current,
            ev.ListsReady: self._lists_ready,
            ev.ListsRefused: self._lists_refused,
            ListsFailed: lambda event, at: self.list_desk.failed(event),
            ev.ChangesReady: self._changes_ready,
            ev.ChangesApplied: self._changes_applied,
        }

    def _host_answered(self, event: ev.HostAnswered, at: Instant) -> None:
        if event.sale in self._overdue:
            self._overdue.discard(event.sale)  # too late to be of use: no proof that the next driver would be answered in time
            return
        self.host_spoke(event.host_time, at)
        found = self._waiting(event.sale)
        if found is not None:
            self.teller.decided(found[0], event.answer, found[1], at)

    def _host_failed(self, event: ev.HostFailed, at: Instant) -> None:
        self._overdue.discard(event.sale)
        found = self._waiting(event.sale)
        if found is None:
            return  # our own deadline was first and has counted it, or the driver has left
        self.link.failed(event.trouble, event.why)
        if event.trouble is ev.HostTrouble.NO_LINE:
            self.teller.decided(found[0], None, found[1], at)
        else:
            self._give_up_on_host(event.sale, at)

    def _host_overdue(self, event: ev.HostOverdue, at: Instant) -> None:
        self._overdue.add(event.sale)
        self.link.failed(ev.HostTrouble.TIMED_OUT, "no answer to an authorization in time")
        self._give_up_on_host(event.sale, at)

    def _give_up_on_host(self, sale_id: SaleId, at: Instant) -> None:
        """The question may have arrived: it is reversed before the offline decision is used, and a late answer is never used."""
        found = self._waiting(sale_id)
        if found is not None:
            sale.GRID.fire(found[0], inner.ReversalDue(sale_id, "TIMED_OUT"), at)
            self.teller.decided(found[0], None, found[1], at)

    def _waiting(self, sale_id: SaleId) -> tuple[Sale, Request] | None:
        """The sale and its driver's request, when both still wait for the host."""
        one = self.desk.sales.get(sale_id)
        if one is None or one.state is not SaleState.RESERVED or one.reversal:
            return None
        session = self.sessions[one.side]
        if session.sale != sale_id or session.medium is None:
            return None
        point = self.points[one.fp]
        nozzles = self.teller.nozzles(point) or point.config.nozzles  # with none left, it is declined whatever is decided
        return one, self.teller.cards.request(session, nozzles)

    def host_spoke(self, host_time: UtcMs | None, at: Instant) -> None:
        """Whatever it answered: it is there, and this is its time."""
        if self.link.answered(host_time, at):
            self.on_return()
            self.uploads.host_is_back()
            self.push.open()

    def _upload_answered(self, event: ev.UploadAnswered, at: Instant) -> None:
        self.host_spoke(event.host_time, at)
        self.uploads.answered(event)

    def _items_answered(self, event: ItemsAnswered, at: Instant) -> None:
        self.host_spoke(event.host_time, at)
        self.uploads.items_answered(event)

    def _close_answered(self, event: CloseAnswered, at: Instant) -> None:
        self.host_spoke(event.host_time, at)
        self.batches.answered(event)

    def _upload_failed(self, event: ev.UploadFailed, at: Instant) -> None:
        self.link.failed(event.trouble, event.why)
        self.uploads.failed(event)

    def _probe_answered(self, event: ev.ProbeAnswered, at: Instant) -> None:
        self.host_spoke(event.host_time, at)

    def _lists_current(self, event: ev.ListsCurrent, at: Instant) -> None:
        self.host_spoke(event.host_time, at)
        self.link.lists_seen()
        self.list_desk.heard()
        self._checked(at)
        self.push.checked(self.lists.epoch, self.lists.version)

    def _lists_ready(self, event: ev.ListsReady, at: Instant) -> None:
        self.host_spoke(event.host_time, at)
        self.link.lists_seen()
        if self.list_desk.ready(event, at):
            self._adopted(event.epoch, event.version, at)

    def _changes_ready(self, event: ev.ChangesReady, at: Instant) -> None:
        self.host_spoke(event.host_time, at)
        self.link.lists_seen()
        self.list_desk.changes(event, at)

    def _changes_applied(self, event: ev.ChangesApplied, at: Instant) -> None:
        self.list_desk.applied(event)
        self._adopted(event.offer.epoch, event.offer.version, at)

    def _adopted(self, epoch: str, version: int, at: Instant) -> None:
        self._checked_stored = UtcMs(0)
        self._checked(at)
        self.push.adopted(epoch, version)
        self.push.checked(epoch, version)

    def _lists_refused(self, event: ev.ListsRefused, at: Instant) -> None:
        self.link.lists_seen()
        self.list_desk.refused(event)

    def _checked(self, at: Instant) -> None:
        """Lists are fresh as of now. Stored now and then only: an older value on disk merely makes them look older after a restart."""
        self.desk.clear_fault(FaultCode.LIST_REFUSED, "cards")
        now = self.desk.clock.utc(at)
        self.teller.lists_checked = now
        if now - self._checked_stored >= LISTS_CHECKED_EVERY_MS:
            self._checked_stored = now
            self.desk.persist(ListsChecked(now))
