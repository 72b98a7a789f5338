"""The site: takes one stamped event, lets the machines answer, and returns what is to be done. The whole of deciding goes through here.

Machines never call each other: what one must tell another is an internal event, drained before the step ends, with a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.events import (
    DeviceDown,
    DeviceUp,
    KeyPressed,
    LineNoise,
    MediumPresented,
    MediumRemoved,
    MediumUnreadable,
    PumpAlarmed,
    PumpStatusChanged,
    SiteInputChanged,
)
from terminal.core import events as ev
from terminal.core import fuelling_point_table, pump_status_events, sale, session_table
from terminal.core import internal_events as inner
from terminal.core.account_book import AccountBook, SaleUse
from terminal.core.batch_desk import BatchDesk, BatchMemory
from terminal.core.card_lists import NO_LIST, ListMark
from terminal.core.clock import TerminalClock
from terminal.core.closing_desk import ClosingDesk
from terminal.core.closings import Closing, Closings
from terminal.core.corrections import CorrectionDesk, NoPast, PastSales
from terminal.core.deny_book import DenyBook, DenyEntry, WatchedLists
from terminal.core.effects import BATCH_ITEMS, Effect
from terminal.core.emergency import EmergencyDesk
from terminal.core.exposure import Exposure
from terminal.core.faults import FaultBook, FaultCode
from terminal.core.fuelling_point import FuellingPoint
from terminal.core.genuine import Genuineness
from terminal.core.host_answers import HostAnswers
from terminal.core.host_events import ClosingPushed, CorrectionPushed, HeadOverdue, LedgerConfirmed
from terminal.core.host_link import HostLink, HostTimes
from terminal.core.ids import Minting
from terminal.core.list_desk import ListDesk
from terminal.core.longest import LongestFuelling
from terminal.core.order_desk import OrderDesk
from terminal.core.orders import OrderAsked, OrderMemory, OrderPushed
from terminal.core.pin_desk import PinDesk, PinTries
from terminal.core.point_config import PointConfig, PointTimes
from terminal.core.ports import Lists, Storage, Vault
from terminal.core.price_desk import PriceDesk
from terminal.core.prices import PRICE_JUMP_PERCENT, PriceMemory
from terminal.core.prompt_rules import Odometer
from terminal.core.prompts import PromptDesk
from terminal.core.push_desk import PushDesk
from terminal.core.records import SaleDelivered, TerminalStarted
from terminal.core.refusals import at_nozzle
from terminal.core.resuming import Resuming
from terminal.core.rollback import CountedUp, CounterFound, RollbackGuard
from terminal.core.sale import Sale
from terminal.core.screens import Screen, code_text
from terminal.core.session import CustomerSession, SessionState, SessionTimes
from terminal.core.state_report import StateDesk
from terminal.core.step import Desk
from terminal.core.teller import SiteRules, Teller
from terminal.core.texts import LANGUAGES
from terminal.core.units import Instant, UtcMs
from terminal.core.uploads import Uploads

INNER_BOUND = 100 + BATCH_ITEMS
"""Internal events of one step, in which the host may answer a whole batch; more is a loop and therefore a bug."""
ENDED_KEPT = 100


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
    languages: tuple[str, ...] = LANGUAGES
    price_jump_percent: int = PRICE_JUMP_PERCENT


@dataclass(slots=True)
class Recovered:
    """What the ledger remembers: everything that the core keeps in memory, as of the last commit."""

    minting: Minting
    uses: list[SaleUse] = field(default_factory=list)
    unanswered: list[SaleUse] = field(default_factory=list)
    refusals: int = 0
    open_sales: list[Sale] = field(default_factory=list)
    pin_tries: dict[str, PinTries] = field(default_factory=dict)
    pin_wrong: list[int] = field(default_factory=list)
    rollback_mark: int | None = None
    counter: CounterFound | None = None
    odometers: dict[str, Odometer] = field(default_factory=dict)
    badge_counters: dict[str, int] = field(default_factory=dict)
    totals: dict[tuple[int, int], int] = field(default_factory=dict)
    settled: dict[tuple[int, int], int] = field(default_factory=dict)
    faults: dict[tuple[FaultCode, str], str] = field(default_factory=dict)
    waiting: int = 0
    denies: list[DenyEntry] = field(default_factory=list)
    last_event: int = 0
    unacknowledged: dict[int, int] = field(default_factory=dict)
    event_refusals: dict[int, str] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)
    past: PastSales = field(default_factory=NoPast)
    fault_since: dict[tuple[str, str], int] = field(default_factory=dict)
    quarantined: int = 0
    oldest: int | None = None
    lists_checked: UtcMs | None = None
    list_mark: ListMark = NO_LIST
    clock_floor: UtcMs | None = None
    clock_newest: UtcMs | None = None
    clock_floor_instant: Instant | None = None
    clock_contact: Instant | None = None
    same_boot: bool = False
    batches: BatchMemory = field(default_factory=BatchMemory)
    prices: PriceMemory = field(default_factory=PriceMemory)
    orders: OrderMemory = field(default_factory=OrderMemory)


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
        self.desk = Desk(AccountBook(recovered.uses), TerminalClock(), faults, Exposure(recovered.unanswered))
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
        rules = config.rules
        self.batches = BatchDesk(
            self.desk, self.uploads, rules.terminal, recovered.minting.epoch, rules.zone, rules.batch_sales, recovered.batches
        )
        self.teller = Teller(
            self.desk,
            config.rules,
            self.lists,
            vault,
            storage,
            self.link,
            self.points,
            recovered.minting,
            dict(recovered.pin_tries),
            recovered.refusals,
        )
        self.teller.lists_checked = recovered.lists_checked
        self.teller.genuine = Genuineness(self.desk, dict(recovered.badge_counters))
        self.teller.pins = PinDesk(self.desk, self.link, dict(recovered.pin_tries), recovered.pin_wrong)
        self.rollback = self.teller.pins.guard = RollbackGuard(self.desk, recovered.rollback_mark, recovered.counter)
        self.teller.prompt_desk = PromptDesk(self.desk, self.lists, vault, dict(recovered.odometers))
        self.teller.meters.past = recovered.past
        self.closings = self.teller.closings = Closings(recovered.closings)
        self.sessions = {
            side: CustomerSession(side, self.desk, self.teller, config.session_times, config.language, config.languages)
            for side in config.sides
        }
        self.push = PushDesk(self.desk, denies, self.lists, self.link, self.sessions, config.rules.on_deny, recovered)
        self.answers = HostAnswers(
            self.desk, self.link, self.lists, self.list_desk, self.uploads, self.batches, self.teller, self.push, self.sessions, self.points
        )
        self.corrections = CorrectionDesk(self.desk, self.push, recovered.past)
        self.closing_desk = ClosingDesk(self.desk, self.closings, self.push, self.teller, self.sessions, self.points, self.push.tell_driver)
        self.longest = LongestFuelling(self.desk, self.points, config.point_times.longest_ms)
        self.emergency = EmergencyDesk(self.desk, self.sessions)
        resets = config.rules.host_resets_emergency_stop
        self.orders = OrderDesk(self.desk, self.push, self.emergency, self.points, recovered.orders, host_resets=resets)
        self.prices = PriceDesk(self, recovered.prices)
        self.state = StateDesk(self, self.answers.host_spoke)
        self.answers.on_return = self.state.host_is_back
        self.resuming = Resuming(self, self._again)
        self.in_service = True
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
        self.rollback.begin()
        self.prices.begin(at)
        self.resuming.begin(at)
        self._drain(at)
        self.emergency.begin()
        self._drain(at)
        self.link.begin(self.lists.epoch, self.lists.version)
        self.uploads.begin()
        self.batches.begin(at)
        self.push.begin()
        self.state.begin(at)
        for session in self.sessions.values():
            session.show_home()
        return self._finish(at)

    def handle(self, event: object, at: Instant) -> list[Effect]:
        """One step. ``at`` is the instant at which the event entered the inbox."""
        self._route(event, at)
        self._drain(at)
        return self._finish(at)

    # --- routing ----------------------------------------------------------------------------------------------------------------

    def _build_routes(self) -> Mapping[type, Callable[[Any, Instant], None]]:
        routes: dict[type, Callable[[Any, Instant], None]] = {
            PumpStatusChanged: self._status_changed,
            DeviceUp: self._device_up,
            DeviceDown: self._device_down,
            LineNoise: self._noise,
            **self.answers.routes(),
            **self.push.routes(),
            **self.state.routes(),
            **self.prices.routes(),
            CorrectionPushed: self.corrections.heard,
            ClosingPushed: self.closing_desk.heard,
            LedgerConfirmed: lambda event, at: self.rollback.confirmed(event, self.push, at),
            CountedUp: self.rollback.counted,
            OrderPushed: self.orders.pushed,
            OrderAsked: self.orders.asked,
            SiteInputChanged: self.emergency.input_changed,
            ev.ListsInUse: self._lists_in_use,
            HeadOverdue: self.resuming.overdue,
            inner.NozzleRefused: self._nozzle_refused,
            inner.RecordSetAside: self.batches.set_aside,
        }
        for kind in fuelling_point_table.EVENTS:
            routes[kind] = self._to_point
        for kind in sale.GRID.events:
            routes[kind] = self._to_sale
        routes[PumpAlarmed] = self._alarmed
        routes[ev.LongestOverdue] = self.longest.overdue
        for kind in (*session_table.EVENTS, MediumPresented, MediumRemoved, MediumUnreadable, KeyPressed):
            routes[kind] = self._to_session
        return routes

    def _route(self, event: object, at: Instant) -> None:
        self._routes[type(event)](event, at)

    def _again(self, event: object, at: Instant) -> None:
        """An event that was kept back."""
        self._drain(at)
        self._route(event, at)

    def _drain(self, at: Instant) -> None:
        waiting = self.desk.inner
        for _ in range(INNER_BOUND):
            if not waiting:
                return
            self._route(waiting.popleft(), at)
        raise AssertionError(f"more than {INNER_BOUND} internal events in one step")

    def _to_point(self, event: Any, at: Instant) -> None:
        point = self.points.get(event.fp)
        if point is not None and not self.resuming.keeps_back(event, at):
            fuelling_point_table.GRID.fire(point, event, at)
            self.push.point_heard(point, event)
            self.emergency.point_heard(point, event)
            self.orders.point_heard(point, event)
            self.longest.point_heard(point, event, at)

    def _to_sale(self, event: Any, at: Instant) -> None:
        one = self.desk.sales.get(event.sale)
        if one is not None:
            sale.GRID.fire(one, event, at)
            self.longest.sale_heard(one, event, at)

    def _to_session(self, event: Any, at: Instant) -> None:
        session = self.sessions.get(event.side)
        if session is not None:
            session_table.GRID.fire(session, event, at)

    def _lists_in_use(self, event: ev.ListsInUse, at: Instant) -> None:
        self.push.stop_denied()
        self.state.in_use(at)

    # --- devices ----------------------------------------------------------------------------------------------------------------

    def _status_changed(self, event: PumpStatusChanged, at: Instant) -> None:
        self._to_point(pump_status_events.status_event(event.fp, event.status), at)

    def _alarmed(self, event: PumpAlarmed, at: Instant) -> None:
        if self.emergency.is_told_by(event):
            self.emergency.alarmed(event)
        else:
            self._to_point(event, at)

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
        why = at_nozzle(one, event.nozzle, event.reason)
        code = self.teller.refusals.note(one.side, event.reason, one.card, event.fp, why, one.id)
        session = self.sessions[one.side]
        if session.state in (SessionState.IDLE, SessionState.ARMED, SessionState.REFUSED):
            products = ", ".join(allowed.product for allowed in one.allowed if allowed.quantity_ml > 0)
            shown = code_text(code, session.home_language)
            session.show(Screen.WRONG_NOZZLE, session.home_language, fp=event.fp, products=products, code=shown)
            self.desk.start(ev.NoticeOver(one.side), session.times.notice_ms)

    # --- the end of a step ------------------------------------------------------------------------------------------------------

    def _finish(self, at: Instant) -> list[Effect]:
        self._count_messages()
        self._check_service(at)
        self._count_messages()  # a stop of service may end a sale
        self.batches.look(at)
        self._count_messages()  # a batch may be full
        self._counted = 0
        self._count_taken()
        self.prices.look(at)
        self.state.step_ended(tuple(self.desk.facts), len(self.desk.messages), at)
        if self.desk.facts or self.desk.messages:
            self.uploads.write_acknowledgements()  # this step has a commit of its own to go with
        return self.desk.take()

    def _count_taken(self) -> None:
        for fact in self.desk.facts:
            if isinstance(fact, SaleDelivered) and fact.sale in self.desk.sales:
                self.teller.prompt_desk.delivered(self.desk.sales[fact.sale], fact.volume_ml)

    def _count_messages(self) -> None:
        queued = self.desk.messages[self._counted :]
        if queued:
            self._counted += len(queued)
            self.batches.queued(queued)
            self.uploads.queued(len(queued))
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
