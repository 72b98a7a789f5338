"""The teller: turns a driver's choice into a reservation, a question to the host, a decision and an armed point.

It owns no state of its own but the next sale's number and the PIN tries; lists, book, points and link are shown to it. The order is the
one thing that matters here: hold first, question second; approval and hold in one commit; nothing is armed that is not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from terminal.core import restored
from terminal.core.attempt import SaleExtra, medium_ref
from terminal.core.authorization import Decision, Facts, Judged, Policy, Request, decide, gather
from terminal.core.backlog import host_unaware
from terminal.core.card_data import Card, HostAnswer, HostDecision, Nozzle, Wish
from terminal.core.card_desk import CardDesk, Half
from terminal.core.closings import Closings
from terminal.core.effects import AskHost
from terminal.core.events import HostOverdue
from terminal.core.facts import PinResult
from terminal.core.fuelling_point import FuellingPoint
from terminal.core.genuine import Genuineness
from terminal.core.host_link import HostLink
from terminal.core.ids import Minting, SaleId
from terminal.core.internal_events import (
    AttemptRefused,
    EndCause,
    HostAsked,
    NothingDelivered,
    PointArmed,
    ReversalDue,
    SaleArmed,
    SaleGranted,
    SaleWithdrawn,
)
from terminal.core.meter_tests import MeterDesk
from terminal.core.pin_desk import PinDesk, PinTries
from terminal.core.ports import Lists, Storage, Vault
from terminal.core.prompts import PromptDesk
from terminal.core.reasons import Reason
from terminal.core.records import Allowed, MediumRef, NozzleRef
from terminal.core.refusals import Refusals, explaining, judged
from terminal.core.sale import Sale
from terminal.core.screens import money_text, reason_text, volume_text
from terminal.core.site_rules import SiteRules as SiteRules
from terminal.core.step import Desk
from terminal.core.texts import LANGUAGES
from terminal.core.units import Instant, UtcMs
from terminal.core.untouched import untouched

if TYPE_CHECKING:
    from terminal.core.session import CustomerSession

CERTAIN_BY_LISTS = (Reason.CARD_BLOCKED, Reason.CUSTOMER_BLOCKED, Reason.CARD_EXPIRED, Reason.CARD_NOT_YET_VALID)
UNBOUNDED = HostAnswer(HostDecision.APPROVED)
"""What the host could say at best: with it, a decision tells what is certain before the host was asked."""
DRIVER_PROMPT = "DRIVER"


class Teller:
    """Serves all sides of the terminal."""

    def __init__(
        self,
        desk: Desk,
        rules: SiteRules,
        lists: Lists,
        vault: Vault,
        storage: Storage,
        link: HostLink,
        points: Mapping[int, FuellingPoint],
        minting: Minting,
        pin_tries: dict[str, PinTries],
        refusals: int = 0,
    ) -> None:
        self.desk = desk
        self.rules = rules
        self.lists = lists
        self.vault = vault
        self.storage = storage
        self.link = link
        self.points = points
        self.minting = minting
        self.pins = PinDesk(desk, link, pin_tries)
        places = (rules.site, *rules.networks)
        self.cards = CardDesk(desk, lists, vault, rules.zone, places, rules.trust, bank_cards=rules.bank_cards)
        self.prompt_desk = PromptDesk(desk, lists, vault, {})
        self.refusals = Refusals(desk, rules.terminal, refusals)
        self.closings = Closings()
        self.meters = MeterDesk(desk, self, points)
        self.genuine = Genuineness(desk, {})
        self.lists_checked: UtcMs | None = None
        self._least_ml = min((p.config.minimum_ml for p in points.values()), default=0)

    # --- small answers for the session ------------------------------------------------------------------------------------

    @property
    def decimals(self) -> int:
        """Decimals of the site's currency."""
        return self.rules.decimals

    @property
    def currency(self) -> str:
        """ISO code of the site's currency."""
        return self.rules.currency

    def language_of(self, card: Card | None) -> str | None:
        """The card's language where we have it."""
        return card.language if card is not None and card.language in LANGUAGES else None

    def reason_text(self, reason: Reason, language: str) -> str:
        """A reason in a driver's words."""
        return reason_text(reason, language)

    def wish_text(self, wish: Wish | None) -> str:
        """The wish as the choice screen shows it."""
        if wish is None:
            return ""
        if wish.value_minor is not None:
            return money_text(wish.value_minor, self.decimals, self.currency)
        return volume_text(wish.quantity_ml or 0)

    def promise(self, sale_id: SaleId | None) -> tuple[str, str]:
        """Amount and products that the armed sale may take, in a driver's words."""
        sale = self.desk.sales.get(sale_id) if sale_id is not None else None
        usable = (
            [] if sale is None else [allowed for allowed in sale.allowed if allowed.quantity_ml >= self.points[sale.fp].config.minimum_ml]
        )
        if not usable:
            return "", ""
        largest = max(usable, key=lambda allowed: allowed.quantity_ml)
        amount = money_text(largest.value_minor, self.decimals, self.currency) if largest.by_value else volume_text(largest.quantity_ml)
        return amount, ", ".join(allowed.product for allowed in usable)

    def stop_code(self) -> str:
        """The fault that stops service, for the display."""
        code = self.desk.faults.stopping()
        return "" if code is None else code.value

    def calling_point(self) -> str:
        """The number of the one free point whose nozzle is already up, as digits; empty when there is none or more than one."""
        calling = [
            number for number, point in self.points.items() if point.available and point.nozzle_out is not None and self.nozzles(point)
        ]
        return str(calling[0]) if len(calling) == 1 else ""

    def nozzles(self, point: FuellingPoint) -> tuple[Nozzle, ...]:
        """The nozzles of a point that may be offered: none when it is closed, not those of a product that is."""
        return self.closings.open_nozzles(point.number, point.config.nozzles)

    def note_refusal(
        self, session: CustomerSession, reason: Reason, fp: int | None, found: Judged | None = None, sale: SaleId | None = None
    ) -> str:
        """Write down that a driver was told no; the code for his display."""
        return self.refusals.note(session.side, reason, self._medium(session, None), fp, found, sale)

    # --- decisions ----------------------------------------------------------------------------------------------------------

    def first_look(self, session: CustomerSession, at: Instant) -> AttemptRefused | None:
        """What is certain right after identification: nothing at this terminal could be released to this card."""
        if session.technician:
            return self.meters.first_look(session, at)
        if not self.storage.ready() or self.closings.site:
            return AttemptRefused(session.side, Reason.TERMINAL_NOT_READY)
        if session.medium is not None and not self.genuine.believed(session.medium, session.token, session.card):
            return AttemptRefused(session.side, Reason.MEDIUM_NOT_GENUINE)
        if not any(self.nozzles(point) for point in self.points.values()):
            return AttemptRefused(session.side, Reason.FUELLING_POINT_NOT_AVAILABLE)
        return self._certain(session, at)

    def _certain(self, session: CustomerSession, at: Instant) -> AttemptRefused | None:
        locked = any(self.pins.locked(half) for half in session.halves)
        request = self._anywhere(session, PinResult.LOCKED if locked else PinResult.RIGHT)
        online = self._asks_host(session)
        decision, facts = self._decide(request, UNBOUNDED if online else None, at, self._floor)
        if online and decision.reason is None and self._lists_are_fresh(at):
            # The host could only repeat what its lists said a moment ago; what they do not know is still its to decide.
            by_lists, listed = self._decide(request, None, at, self._floor)
            if by_lists.reason in CERTAIN_BY_LISTS:
                decision, facts = by_lists, listed
        return None if decision.reason is None else AttemptRefused(session.side, decision.reason, judged(facts, self._floor))

    def second_look(self, session: CustomerSession, half: Half, at: Instant) -> AttemptRefused | None:
        """Is this the pair's other half, and what is certain of both together? Then it is the session's second card."""
        if not self.storage.ready():
            return AttemptRefused(session.side, Reason.TERMINAL_NOT_READY)
        reason = self.cards.second(session.card, half, at)
        if reason is None and not self.genuine.believed(half.medium, half.token, half.card):
            reason = Reason.MEDIUM_NOT_GENUINE
        if reason is None and self.pins.locked(half):
            reason = Reason.PIN_LOCKED
        if reason is not None:
            return AttemptRefused(session.side, reason)
        session.second, session.halves = half.token, (*session.halves, half)
        return self._certain(session, at)

    def _asks_host(self, session: CustomerSession) -> bool:
        """It can be reached, and the card table does not keep it out."""
        return self.link.reachable and not any(half.reading.local for half in session.halves)

    def why(self, session: CustomerSession, reason: Reason, at: Instant, pin: PinResult = PinResult.RIGHT) -> Judged | None:
        """What a decision would look at now, when it would end with this reason: for a refusal that was certain before any was made."""
        if session.medium is None:
            return None
        _, facts = self._decide(self._anywhere(session, pin), None, at, self._floor)
        return explaining(judged(facts, self._floor), reason)

    def _anywhere(self, session: CustomerSession, pin: PinResult) -> Request:
        """The driver's request at any nozzle of the terminal."""
        nozzles = tuple(nozzle for point in self.points.values() for nozzle in self.nozzles(point))
        return self.cards.request(session, nozzles, pin)

    def _lists_are_fresh(self, at: Instant) -> bool:
        checked = self.lists_checked
        return checked is not None and self.desk.clock.utc(at) - checked <= 2 * self.link.times.lists_ms

    def choose(self, session: CustomerSession, number: int, at: Instant) -> None:
        """The driver chose a fuelling point: reserve, then ask the host or decide alone."""
        if session.technician:
            self.meters.choose(session, number, at)
            return
        point = self.points.get(number)
        if point is None or not point.available or not self.nozzles(point):
            self.desk.tell(AttemptRefused(session.side, Reason.FUELLING_POINT_NOT_AVAILABLE))
            return
        if not self.storage.ready():
            self.desk.tell(AttemptRefused(session.side, Reason.TERMINAL_NOT_READY))
            return
        request = self.cards.request(session, self.nozzles(point))
        online = self._asks_host(session)
        policy = self._policy(point)
        decision, facts = self._decide(request, UNBOUNDED if online else None, at, policy)
        if decision.reason is not None:
            self.desk.tell(AttemptRefused(session.side, decision.reason, judged(facts, policy)))
            return
        sale = self._reserve(session, point, decision, online, at)
        if online:
            self.desk.do(AskHost(sale.id))
            self.desk.start(HostOverdue(sale.id), self.link.times.authorize_ms)
            self.desk.tell(HostAsked(session.side))
        else:
            self._grant(sale, decision, None, judged(facts, policy))

    def decided(self, sale: Sale, host: HostAnswer | None, request: Request, at: Instant) -> None:
        """The host has answered, or will not: decide for good and arm, or say why not. ``host`` None: decide offline."""
        self.desk.cancel(HostOverdue(sale.id))
        point = self.points[sale.fp]
        self.desk.book.drop(sale.id)
        self.desk.exposure.drop(sale.id)
        policy = self._policy(point)
        unaware = sale.host_unaware or host_unaware(self.desk, sale.account, sale.customer)
        # By the time of its hold, in whose day and month it counts for good: midnight may have passed while the host was asked.
        decision, facts = self._decide(request, host, at, policy, unaware=unaware, now_utc=UtcMs(sale.authorized_at))
        self.desk.book.hold(sale.held())
        if host is not None and host.decision is not HostDecision.DECLINED:
            # The host holds something now: whatever we make of it, the end is its authorization's completion.
            sale.decided_by, sale.authorization = "host", host.authorization
        sale.expose()
        if decision.reason is not None:
            self._decline(sale, decision.reason, EndCause.DECLINED, judged(facts, policy))
        elif not point.available or not self.nozzles(point):
            self._decline(sale, Reason.FUELLING_POINT_NOT_AVAILABLE, EndCause.CANCELLED)
        else:
            self._grant(sale, decision, host, judged(facts, policy))

    def abandon(self, sale_id: SaleId | None) -> None:
        """The driver left while the host was asked: an approval that comes must not hold anything."""
        if sale_id is not None:
            self.desk.cancel(HostOverdue(sale_id))
            self.desk.tell(ReversalDue(sale_id, "CANCELLED"))
            self.desk.tell(NothingDelivered(sale_id, EndCause.CANCELLED))

    def withdraw(self, sale_id: SaleId) -> None:
        """The driver cancelled at the terminal before lifting the nozzle."""
        sale = self.desk.sales.get(sale_id)
        if sale is not None and untouched(sale, self.points.get(sale.fp)):
            self.desk.tell(SaleWithdrawn(sale.fp, EndCause.CANCELLED))

    # --- inside ---------------------------------------------------------------------------------------------------------------

    def _decide(
        self,
        request: Request,
        host: HostAnswer | None,
        at: Instant,
        policy: Policy,
        *,
        unaware: bool = False,
        now_utc: UtcMs | None = None,
    ) -> tuple[Decision, Facts]:
        rules = self.rules
        facts = gather(
            request,
            host,
            self.lists,
            self.lists.deny,
            self.desk.book,
            site=rules.site,
            zone=rules.zone,
            decimals=rules.decimals,
            now_utc=self.desk.clock.utc(at) if now_utc is None else now_utc,
            clock_state=self.desk.clock.state(at),
            lists_checked_utc=self.lists_checked,
            policy=policy,
            networks=rules.networks,
            exposure=self.desk.exposure,
            host_unaware=unaware,
        )
        return decide(facts, policy), facts

    @property
    def _floor(self) -> Policy:
        return restored.careful(replace(self.rules.policy, min_dispense_ml=self._least_ml), self.desk)

    def _policy(self, point: FuellingPoint) -> Policy:
        return restored.careful(replace(self.rules.policy, min_dispense_ml=point.config.minimum_ml), self.desk)

    def _reserve(self, session: CustomerSession, point: FuellingPoint, decision: Decision, online: bool, at: Instant) -> Sale:
        sale_id = self.minting.id()
        card = session.card
        sale = Sale(
            id=sale_id,
            epoch=self.minting.epoch,
            sequence=self.minting.next_sequence,
            side=session.side,
            fp=point.number,
            card=self._medium(session, sale_id) or MediumRef("", "", "", ""),
            account=card.account if card is not None else session.token,
            customer=card.customer if card is not None else None,
            pin_verified=bool(session.pins) and all(found is PinResult.RIGHT for found in session.pins.values()),
            prompts=tuple(sorted(session.prompts.items())),
            nozzles=tuple(_ref(nozzle) for nozzle in self.nozzles(point)),
            wish_ml=session.wish.quantity_ml if session.wish else None,
            wish_minor=session.wish.value_minor if session.wish else None,
            asked_host=online,
            authorized_at=self.desk.utc(at),
            list_version=self.lists.version,
            hold_ml=max(allowance.quantity_ml for allowance in decision.allowance),
            hold_minor=max(allowance.value_minor for allowance in decision.allowance),
            hold_products=tuple(allowance.product for allowance in decision.allowance),
            extra=self._extra(session, sale_id),
            pin_block=session.pin_block if online else None,
        )
        sale.cost_centre, sale.driver = self._whose(session)
        sale.host_unaware = online and host_unaware(self.desk, sale.account, sale.customer)
        self.minting = self.minting.after()
        session.sale = sale_id
        sale.reserve(self.desk)
        self.prompt_desk.reserved(session, at)
        return sale

    def _extra(self, session: CustomerSession, sale: SaleId) -> SaleExtra:
        second = session.halves[1] if len(session.halves) > 1 else None
        ref = None if second is None else medium_ref(second.medium, second.token, self.vault.seal_second(second.medium.number, sale))
        return SaleExtra(ref, None if second is None else second.account, tuple(session.marks), session.most_ml)

    def _whose(self, session: CustomerSession) -> tuple[str | None, str | None]:
        """Cost centre and driver of a sale: what the driver's own card or answer says of him goes before what the vehicle's card says."""
        card = session.card
        second = session.halves[1].card if len(session.halves) > 1 else None
        centres = [each.cost_centre for each in (card, second) if each is not None]
        drivers = [each.driver if each is not None else None for each in (second, card)]
        drivers.insert(1, session.prompts.get(DRIVER_PROMPT))
        return next(filter(None, centres), None), next(filter(None, drivers), None)

    def _grant(self, sale: Sale, decision: Decision, host: HostAnswer | None, found: Judged) -> None:
        allowed = tuple(
            Allowed(
                product=allowance.product,
                quantity_ml=allowance.quantity_ml,
                value_minor=allowance.value_minor if allowance.money_minor is None else allowance.money_minor,
                by_value=allowance.money_minor is not None,
                bound_by=allowance.bound_by.value,
            )
            for allowance in decision.allowance
        )
        by = "offline" if host is None else "host"
        self.desk.tell(SaleGranted(sale.id, by, None if host is None else host.authorization, allowed, found))
        self.desk.tell(SaleArmed(sale.fp, sale.id))
        self.desk.tell(PointArmed(sale.side, sale.fp))

    def _decline(self, sale: Sale, reason: Reason, end: EndCause, found: Judged | None = None) -> None:
        self.desk.tell(NothingDelivered(sale.id, end))
        self.desk.tell(AttemptRefused(sale.side, reason, found, sale.id))

    def _medium(self, session: CustomerSession, sale: SaleId | None) -> MediumRef | None:
        medium = session.medium
        if medium is None:
            return None
        return medium_ref(medium, session.token, self.vault.seal(medium.number, sale) if sale is not None else None)


def _ref(nozzle: Nozzle) -> NozzleRef:
    return NozzleRef(nozzle.nozzle, nozzle.product, nozzle.price)
