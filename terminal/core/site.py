"""The site: takes one stamped event, lets the machines answer, and returns what is to be done. The whole of deciding goes through here.

Machines never call each other: what one must tell another is an internal event, drained before the step ends, with a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.events import DeviceDown, DeviceUp, KeyPressed, LineNoise, MediumPresented, MediumRemoved, MediumUnreadable, PumpStatusChanged
from terminal.core import events as ev
from terminal.core import fuelling_point_table, sale, session_table
from terminal.core import internal_events as inner
from terminal.core.account_book import AccountBook, SaleUse
from terminal.core.card_lists import NO_LIST, ListMark
from terminal.core.clock import TerminalClock
from terminal.core.deny_book import DenyBook, DenyEntry, WatchedLists
from terminal.core.effects import Effect, Enqueue, Persist
from terminal.core.facts import Request
from terminal.core.faults import FaultBook, FaultCode
from terminal.core.fuelling_point import FuellingPoint
from terminal.core.host_link import HostLink, HostTimes
from terminal.core.ids import Minting, SaleId
from terminal.core.list_desk import ListDesk
from terminal.core.point_config import PointConfig, PointTimes
from terminal.core.ports import Lists, Storage, Vault
from terminal.core.push_desk import PushDesk
from terminal.core.records import ListsChecked, Refused, TerminalStarted
from terminal.core.sale import Sale, SaleState
from terminal.core.screens import Screen
from terminal.core.session import CustomerSession, SessionState, SessionTimes
from terminal.core.step import Desk
from terminal.core.teller import PinTries, SiteRules, Teller
from terminal.core.units import Instant, UtcMs
from terminal.core.uploads import Uploads

INNER_BOUND = 100
"""Internal events of one step; more is a loop and therefore a bug."""
ENDED_KEPT = 100
LISTS_CHECKED_EVERY_MS = 1_800_000


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """What the core needs of the configuration."""

    rules: SiteRules
    points: tuple[PointConfig, ...]
    sides: tuple[int, ...]
    language: str
    point_times: PointTimes = PointTimes()
    session_times: SessionTimes = SessionTimes()
    host_times: HostTimes = HostTimes()
    version: str = ""


@dataclass(slots=True)
class Recovered:
    """What the ledger remembers: everything that the core keeps in memory, as of the last commit."""

    minting: Minting
    uses: list[SaleUse] = field(default_factory=list)
    open_sales: list[Sale] = field(default_factory=list)
    pin_tries: dict[str, PinTries] = field(default_factory=dict)
    totals: dict[tuple[int, int], int] = field(default_factory=dict)
    faults: dict[tuple[FaultCode, str], str] = field(default_factory=dict)
    waiting: int = 0
    denies: list[DenyEntry] = field(default_factory=list)
    last_event: int = 0
    unacknowledged: dict[int, int] = field(default_factory=dict)
    lists_checked: UtcMs | None = None
    list_mark: ListMark = NO_LIST
    clock_floor: UtcMs | None = None
    clock_newest: UtcMs | None = None
    clock_floor_instant: Instant | None = None
    clock_contact: Instant | None = None
    same_boot: bool = False


class Site:
    """Owns the machines, the book, the clock and the queues. One thread, no I/O, no clock of its own."""

    def __init__(self, config: SiteConfig, recovered: Recovered, *, boot: str, lists: Lists, vault: Vault, storage: Storage) -> None:
        self.config = config
        self.recovered = recovered
        self.boot_id = boot
        denies = DenyBook(recovered.denies)
        self.lists = WatchedLists(lists, denies)
        faults = FaultBook()
        faults.active.update(recovered.faults)
        self.desk = Desk(AccountBook(recovered.uses), TerminalClock(), faults)
        for one in recovered.open_sales:
            one.join(self.desk)
        decimals = config.rules.decimals
        self.points = {
            point.number: FuellingPoint(
                point, config.point_times, self.desk, {n: ml for (fp, n), ml in recovered.totals.items() if fp == point.number}, decimals
            )
            for point in config.points
        }
        self.link = HostLink(self.desk, config.host_times, boot)
        self.list_desk = ListDesk(self.desk, self.link, self.lists, recovered.list_mark)
        self.uploads = Uploads(self.desk, config.host_times, recovered.waiting)
        self.teller = Teller(
            self.desk, config.rules, self.lists, vault, storage, self.link, self.points, recovered.minting, dict(recovered.pin_tries)
        )
        self.teller.lists_checked = recovered.lists_checked
        self._checked_stored = recovered.lists_checked or UtcMs(0)
        self.sessions = {
            side: CustomerSession(side, self.desk, self.teller, config.session_times, config.language) for side in config.sides
        }
        self.push = PushDesk(self.desk, denies, self.lists, self.link, self.sessions, config.rules.on_deny, recovered)
        self.in_service = True
        self._overdue: set[SaleId] = set()  # asked of the host, given up, and not heard of since
        self._counted = 0
        self._routes = self._build_routes()

    # --- the two entrances ------------------------------------------------------------------------------------------------------

    def boot(self, at: Instant) -> list[Effect]:
        """Begin service: close what cannot go on, adopt what may still run at a pump, ask the host."""
        known = self.recovered
        self.desk.clock.restore(
            known.clock_floor,
            known.clock_floor_instant if known.same_boot and known.clock_floor_instant is not None else at,
            elapsed_known=known.same_boot,
            contact=known.clock_contact,
            newest=known.clock_newest,
        )
        self.desk.persist(TerminalStarted(self.boot_id, self.config.version))
        for one in list(known.open_sales):
            self._resume(one, at)
        self._drain(at)
        self.link.begin(self.lists.epoch, self.lists.version)
        self.uploads.begin()
        self.push.begin()
        for session in self.sessions.values():
            session.show(Screen.WELCOME, session.home_language)
        return self._finish(at)

    def handle(self, event: object, at: Instant) -> list[Effect]:
        """One step. ``at`` is the instant at which the event entered the inbox."""
        self._route(event, at)
        self._drain(at)
        return self._finish(at)

    # --- start ------------------------------------------------------------------------------------------------------------------

    def _resume(self, one: Sale, at: Instant) -> None:
        point = self.points.get(one.fp)
        if one.state is SaleState.RESERVED:
            if one.asked_host and not one.reversal:
                self.desk.tell(inner.ReversalDue(one.id, "POWER"))
            self.desk.tell(inner.NothingDelivered(one.id, inner.EndCause.POWER))
        elif one.state is SaleState.AUTHORIZED:
            left = one.authorized_at + self.config.point_times.lift_ms - self.desk.utc(at)
            if self.recovered.same_boot and point is not None and left > 0:
                point.sale = one.id
                self.desk.start(ev.LiftOverdue(point.number), left)
            else:
                self.desk.tell(inner.NothingDelivered(one.id, inner.EndCause.POWER))
        elif one.state is SaleState.DELIVERING and point is not None:
            point.sale = one.id
            point.end = inner.EndCause.NOZZLE

    # --- routing ----------------------------------------------------------------------------------------------------------------

    def _build_routes(self) -> Mapping[type, Callable[[Any, Instant], None]]:
        routes: dict[type, Callable[[Any, Instant], None]] = {
            PumpStatusChanged: self._status_changed,
            DeviceUp: self._device_up,
            DeviceDown: self._device_down,
            LineNoise: self._noise,
            ev.HostAnswered: self._host_answered,
            ev.HostFailed: self._host_failed,
            ev.HostOverdue: self._host_overdue,
            ev.UploadAnswered: self._upload_answered,
            ev.UploadFailed: self._upload_failed,
            ev.UploadDue: lambda event, at: self.uploads.kick(),
            ev.AcknowledgementsDue: lambda event, at: self.uploads.write_acknowledgements(),
            ev.ProbeDue: lambda event, at: self.link.probe(),
            ev.ProbeAnswered: self._probe_answered,
            ev.ProbeFailed: lambda event, at: self.link.probe_failed(event.trouble, event.why),
            ev.ListCheckDue: lambda event, at: self.link.check_lists(self.lists.epoch, self.lists.version),
            ev.ListsCurrent: self._lists_current,
            ev.ListsReady: self._lists_ready,
            ev.ListsRefused: self._lists_refused,
            ev.ChangesReady: self._changes_ready,
            ev.ChangesApplied: self._changes_applied,
            **self.push.routes(),
            inner.NozzleRefused: self._nozzle_refused,
        }
        for kind in fuelling_point_table.EVENTS:
            routes[kind] = self._to_point
        for kind in sale.GRID.events:
            routes[kind] = self._to_sale
        for kind in (*session_table.EVENTS, MediumPresented, MediumRemoved, MediumUnreadable, KeyPressed):
            routes[kind] = self._to_session
        return routes

    def _route(self, event: object, at: Instant) -> None:
        self._routes[type(event)](event, at)

    def _drain(self, at: Instant) -> None:
        waiting = self.desk.inner
        for _ in range(INNER_BOUND):
            if not waiting:
                return
            self._route(waiting.popleft(), at)
        raise AssertionError(f"more than {INNER_BOUND} internal events in one step")

    def _to_point(self, event: Any, at: Instant) -> None:
        point = self.points.get(event.fp)
        if point is not None:
            fuelling_point_table.GRID.fire(point, event, at)
            self.push.point_heard(point, event)

    def _to_sale(self, event: Any, at: Instant) -> None:
        one = self.desk.sales.get(event.sale)
        if one is not None:
            sale.GRID.fire(one, event, at)

    def _to_session(self, event: Any, at: Instant) -> None:
        session = self.sessions.get(event.side)
        if session is not None:
            session_table.GRID.fire(session, event, at)

    # --- devices ----------------------------------------------------------------------------------------------------------------

    def _status_changed(self, event: PumpStatusChanged, at: Instant) -> None:
        self._to_point(ev.status_event(event.fp, event.status), at)

    def _device_up(self, event: DeviceUp, at: Instant) -> None:
        self.desk.clear_fault(FaultCode.DEVICE_DOWN, event.device)

    def _device_down(self, event: DeviceDown, at: Instant) -> None:
        self.desk.raise_fault(FaultCode.DEVICE_DOWN, event.device, event.reason)

    def _noise(self, event: LineNoise, at: Instant) -> None:
        """Counted by the driver; alone it means nothing to anybody here."""

    def _nozzle_refused(self, event: inner.NozzleRefused, at: Instant) -> None:
        """A wrong nozzle is out: tell the driver at the pump's side for a while what to take, unless it serves somebody else."""
        one = self.desk.sales.get(event.sale)
        if one is None:
            return
        self.desk.persist(Refused(one.side, event.reason.value, one.card, event.fp))
        session = self.sessions[one.side]
        if session.state in (SessionState.IDLE, SessionState.ARMED, SessionState.REFUSED):
            products = ", ".join(allowed.product for allowed in one.allowed if allowed.quantity_ml > 0)
            session.show(Screen.WRONG_NOZZLE, session.home_language, fp=event.fp, products=products)
            self.desk.start(ev.NoticeOver(one.side), session.times.notice_ms)

    # --- the host ---------------------------------------------------------------------------------------------------------------

    def _host_answered(self, event: ev.HostAnswered, at: Instant) -> None:
        if event.sale in self._overdue:
            self._overdue.discard(event.sale)  # too late to be of use: no proof that the next driver would be answered in time
            return
        self._host_spoke(event.host_time, at)
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
        nozzles = self.points[one.fp].config.nozzles
        return one, Request(session.token, session.medium.number, session.pin_result, nozzles, session.wish)

    def _host_spoke(self, host_time: UtcMs | None, at: Instant) -> None:
        if self.link.answered(host_time, at):
            self.uploads.host_is_back()
            self.push.open()

    def _upload_answered(self, event: ev.UploadAnswered, at: Instant) -> None:
        self._host_spoke(event.host_time, at)
        self.uploads.answered(event)

    def _upload_failed(self, event: ev.UploadFailed, at: Instant) -> None:
        self.link.failed(event.trouble, event.why)
        self.uploads.failed(event)

    def _probe_answered(self, event: ev.ProbeAnswered, at: Instant) -> None:
        self._host_spoke(event.host_time, at)

    def _lists_current(self, event: ev.ListsCurrent, at: Instant) -> None:
        self._host_spoke(event.host_time, at)
        self.link.lists_seen()
        self._checked(at)
        self.push.checked(self.lists.epoch, self.lists.version)

    def _lists_ready(self, event: ev.ListsReady, at: Instant) -> None:
        self._host_spoke(event.host_time, at)
        self.link.lists_seen()
        if self.list_desk.ready(event, at):
            self._adopted(event.epoch, event.version, at)

    def _changes_ready(self, event: ev.ChangesReady, at: Instant) -> None:
        self._host_spoke(event.host_time, at)
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

    # --- the end of a step ------------------------------------------------------------------------------------------------------

    def _finish(self, at: Instant) -> list[Effect]:
        self._count_messages()
        self._check_service(at)
        self._count_messages()  # a stop of service may end a sale
        self._counted = 0
        if any(isinstance(effect, Persist | Enqueue) for effect in self.desk.effects):
            self.uploads.write_acknowledgements()  # this step has a commit of its own to go with
        return self.desk.take()

    def _count_messages(self) -> None:
        queued = sum(isinstance(effect, Enqueue) for effect in self.desk.effects) - self._counted
        if queued:
            self._counted += queued
            self.uploads.queued(queued)
            self._prune()

    def _check_service(self, at: Instant) -> None:
        stopped = self.desk.faults.any_stopped()
        if stopped is self.in_service:
            self.in_service = not stopped
            for side in self.sessions:
                self._to_session(inner.ServiceStopped(side) if stopped else inner.ServiceResumed(side), at)
            self._drain(at)

    def _prune(self) -> None:
        """Ended sales wait in the ledger for their acknowledgement; only a few stay in memory."""
        ended = [one.id for one in self.desk.sales.values() if one.state not in sale.OPEN_STATES]
        for sale_id in ended[: max(0, len(ended) - ENDED_KEPT)]:
            del self.desk.sales[sale_id]


__all__ = ["Recovered", "Site", "SiteConfig"]
