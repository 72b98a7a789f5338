"""Looks at a medium: the card table's reading of it, its token, its card's row; whether a second one belongs to the first; what is asked.

A driver may need two cards, his own and the vehicle's, in whichever order. Both are looked at alike; the second must be the first one's
pair and must itself be in order. The sale is the first card's, the limits and balances of both accounts bind, products must be allowed to
both. (features.md F07, F08; firmware_notes/host-api.md, What the rows mean.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from drivers.events import MediumKind, MediumPresented, Trust
from terminal.core.authorization import PinResult, Request
from terminal.core.card_data import Card, Nozzle, Offline, PinRule, Status
from terminal.core.card_table import PinAt, Reading, is_bank_name, read, token_of_name
from terminal.core.hours import read_hours, week_minute
from terminal.core.ports import Lists, Vault
from terminal.core.reasons import Reason
from terminal.core.step import Desk
from terminal.core.units import Instant
from terminal.core.windows import local_date

if TYPE_CHECKING:
    from terminal.core.session import CustomerSession

TOKEN_DIGITS = 32


@dataclass(frozen=True, slots=True)
class OfflineTrust:
    """How hard to copy a medium must be for this terminal to decide without the host.

    ``least``: what is easier to copy is never decided alone; ``without_pin``: what is easier needs a card whose PIN is checked here.
    """

    least: Trust = Trust.T0
    without_pin: Trust = Trust.T0

    def enough(self, trust: Trust, *, pin: bool) -> bool:
        """May a medium of this trust, with or without a PIN that is checked here, be decided alone?"""
        return trust.value >= self.least.value and (pin or trust.value >= self.without_pin.value)


@dataclass(frozen=True, slots=True)
class Half:
    """One card of an attempt: its medium with the card's own number, what the lists and the card table say of it."""

    medium: MediumPresented
    token: str
    card: Card | None
    reading: Reading

    @property
    def account(self) -> str:
        """Whose limits bind; an unknown card is its own account."""
        return self.token if self.card is None else self.card.account

    @property
    def rule(self) -> PinRule | None:
        """How a PIN is checked here; None when it is not."""
        return None if self.card is None or self.reading.pin is PinAt.NONE else self.card.pin

    @property
    def host_checks(self) -> bool:
        """The host checks the PIN where it can be reached."""
        return self.reading.pin is PinAt.ONLINE


class CardDesk:
    """``zone`` and ``places`` (site and networks) are the site's; ``bank_cards``: they may be used as identifiers here."""

    def __init__(
        self, desk: Desk, lists: Lists, vault: Vault, zone: str, places: tuple[str, ...], trust: OfflineTrust, *, bank_cards: bool
    ) -> None:
        self.desk = desk
        self.lists = lists
        self.vault = vault
        self.zone = zone
        self.places = places
        self.trust = trust
        self.bank_cards = bank_cards

    def today(self, at: Instant) -> date:
        """The site's date."""
        return local_date(self.desk.clock.utc(at), self.zone)

    def look(self, event: MediumPresented, at: Instant) -> Half | Reason:
        """What was held out, or why it is none of the cards that are served."""
        found = read(self.lists.ranges(), event, self.today(at), bank_cards=self.bank_cards)
        if isinstance(found, Reason):
            return found
        token = token_of_name(found.number) if self._is_bank_name(event) else self.vault.token(found.number)
        return Half(replace(event, number=found.number), token, self.lists.card(token), found)

    @staticmethod
    def _is_bank_name(event: MediumPresented) -> bool:
        return event.kind is MediumKind.SMART_CARD and is_bank_name(event.number)

    def second(self, first: Card | None, other: Half, at: Instant) -> Reason | None:
        """Why this medium cannot be the second one."""
        if first is None or other.card is None or not is_pair(first, other.card):
            return Reason.SECOND_CARD_WRONG
        reason = self.alone(other, at)
        return Reason.SECOND_CARD_WRONG if reason is Reason.CARD_BLOCKED else reason

    def alone(self, other: Half, at: Instant) -> Reason | None:
        """Why this card is not in order by itself, whatever anybody's limits say."""
        card = other.card
        if card is None:
            return Reason.CARD_UNKNOWN
        if not self._in_order(card, other, self.today(at)):
            return Reason.CARD_BLOCKED
        if card.sites is not None and card.sites.isdisjoint(self.places):
            return Reason.SITE_NOT_ALLOWED
        if card.hours and not read_hours(card.hours).hold(week_minute(self.desk.clock.utc(at), self.zone)):
            return Reason.TIME_NOT_ALLOWED
        return None

    def _in_order(self, card: Card, other: Half, today: date) -> bool:
        customer = None if card.customer is None else self.lists.customer(card.customer)
        deny = self.lists.deny
        return (
            card.status is Status.ACTIVE
            and (card.customer is None or (customer is not None and customer.status is Status.ACTIVE))
            and (card.valid_from is None or card.valid_from <= today)
            and (card.valid_to is None or today <= card.valid_to)
            and not deny.card(other.token)
            and not deny.in_range(other.medium.number)
            and not (card.customer is not None and deny.customer(card.customer))
        )

    # --- what is asked ----------------------------------------------------------------------------------------------------

    def request(self, session: CustomerSession, nozzles: tuple[Nozzle, ...], pin: PinResult | None = None) -> Request:
        """The driver's request at these nozzles, with all that his media say. ``pin`` None: as the first card's was entered."""
        halves = session.halves
        if not halves:
            return Request(session.token, "", pin, nozzles, session.wish)
        first, *more = halves
        bounds = [half.reading.products for half in halves] + [half.card.products for half in more if half.card is not None]
        named = [products for products in bounds if products is not None]
        return Request(
            token=first.token,
            number=first.medium.number,
            pin=PinResult.WAIVED if first.reading.pin is PinAt.NONE else pin or session.pins.get(first.account),
            nozzles=nozzles,
            wish=session.wish,
            products=frozenset.intersection(*named) if named else None,
            online_only=self._online_only(first) or any(self.never_alone(half) for half in more),
            second=more[0].account if more else None,
        )

    def _online_only(self, half: Half) -> bool:
        """The medium itself says that only the issuer decides, it is too easy to copy, or only the host can check its PIN."""
        weak = not self.trust.enough(half.medium.trust, pin=half.rule is not None)
        return half.reading.online_only or weak or (half.host_checks and half.rule is None)

    def never_alone(self, half: Half) -> bool:
        """What the decision looks at for the first card, for the second one and for a technician's."""
        never = half.card is not None and half.card.offline is Offline.NEVER
        return never or self._online_only(half) or self.lists.online_only(half.medium.number)


def is_pair(first: Card, other: Card) -> bool:
    """Do these belong together? A pair names the other's account, or a word that both share; one that names another card does not fit."""
    if first.token == other.token or not _names(first, other):
        return False
    return other.pair is None or _names(other, first)


def _names(card: Card, other: Card) -> bool:
    if card.pair is None:
        return False
    return card.pair == other.account or (len(card.pair) != TOKEN_DIGITS and card.pair == other.pair)
