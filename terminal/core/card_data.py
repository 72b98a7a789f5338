"""What the lists say about cards and customers, what the host answers, and the two ports through which the core reads lists.

Frozen values only. Quantities in millilitres, money in minor units, prices in 1/10000 of the major unit per litre.
Source: design/behaviour-language.md (Given, explain) and reference/host-and-offline-authorization.md 8.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Protocol

from terminal.core.reasons import Measure, Period, Reason

__all__ = [
    "Balance",
    "BalanceKind",
    "Baseline",
    "Card",
    "CardSource",
    "Customer",
    "DenyList",
    "HostAnswer",
    "HostDecision",
    "Limit",
    "Measure",
    "Nozzle",
    "Offline",
    "Period",
    "PinRule",
    "Reason",
    "Share",
    "Status",
    "Subject",
    "SubjectKind",
    "Wish",
]


class SubjectKind(Enum):
    """Whose limit, balance or use: a card's account, or a customer, who is the sum of its cards."""

    __hash__ = object.__hash__  # as in ``reasons``

    CARD = "card"
    CUSTOMER = "customer"


class Status(Enum):
    """Whether the issuer lets a card or a customer fuel at all."""

    ACTIVE = "active"
    BLOCKED = "blocked"


class Offline(Enum):
    """May it be decided without the host?"""

    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


class BalanceKind(Enum):
    """Money (or fuel) paid before, or credit granted."""

    PREPAID = "prepaid"
    CEILING = "ceiling"


class HostDecision(Enum):
    """The host's word."""

    APPROVED = "approved"
    PARTIAL = "partial"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Subject:
    """``id`` is opaque here: the account's token in hex in the terminal, the clear account in ``explain``, or the customer's name."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True)
class PinRule:
    """How the PIN of an account is checked. The verifier stays out of every repr: a short PIN can be guessed from it."""

    scheme: str
    epoch: int
    verifier: str = field(repr=False)
    tries: int


@dataclass(frozen=True, slots=True)
class Card:
    """One medium's row. None means: no restriction (products, sites, dates, hours), unknown (tank), none (customer, pin, pair)."""

    token: str
    account: str
    customer: str | None
    status: Status
    valid_from: date | None
    valid_to: date | None
    pin: PinRule | None
    products: frozenset[str] | None
    offline: Offline
    prompts: tuple[str, ...]
    tank_ml: int | None
    sites: frozenset[str] | None
    pair: str | None
    language: str | None
    last4: str
    hours: str | None
    medium: str
    cost_centre: str | None = None
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's row. ``zone`` is the IANA name of its accounting zone, None for the site's."""

    customer: str
    status: Status
    offline: Offline
    zone: str | None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``amount`` (ml, minor units or fuellings by ``measure``) per ``period``. 0 allows nothing; ``products`` None is all.

    ``shared``: several terminals take from it, so offline each one has its share of a day or month and no more.
    """

    subject: Subject
    period: Period
    measure: Measure
    amount: int
    products: frozenset[str] | None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """What may still be taken, as of our own sale ``watermark``: later sales come off it (all of them when there is no watermark)."""

    subject: Subject
    kind: BalanceKind
    measure: Measure
    amount: int
    products: frozenset[str] | None
    watermark: int | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """Use of one window that the host knows already: other places' and our own up to ``watermark``. ``window``: ``2026-03[-29]``."""

    subject: Subject
    window: str
    measure: Measure
    products: frozenset[str] | None
    amount: int
    watermark: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """What this terminal may take offline of a shared limit in one window, as of our own sale ``watermark``. ``grant`` is its name."""

    grant: str
    subject: Subject
    period: Period
    window: str
    measure: Measure
    products: frozenset[str] | None
    amount: int
    watermark: int | None


@dataclass(frozen=True, slots=True)
class Nozzle:
    """A logical nozzle that could be chosen, with what it sells at which unit price."""

    nozzle: int
    product: str
    price: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the driver asked for, as a volume or as money."""

    quantity_ml: int | None
    value_minor: int | None


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """The host's answer to an authorization. None is: not bounded (quantity, value), all that were asked for (products)."""

    decision: HostDecision
    quantity_ml: int | None = None
    value_minor: int | None = None
    reason: Reason | None = None
    authorization: str | None = None
    products: frozenset[str] | None = None


class CardSource(Protocol):
    """The live lists. Answers are of one version: the caller does not change lists in the middle of a decision."""

    def card(self, token: str) -> Card | None:
        """The card of a medium's token, None when it is in no list."""

    def customer(self, name: str) -> Customer | None:
        """The customer of that name, None when it is in no list."""

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """All limits of an account and of its customer, in the order of the list."""

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """All balances of an account and of its customer, in the order of the list."""

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """All baselines of an account and of its customer."""

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        """All shares that this terminal has of the limits of an account and of its customer."""

    def online_only(self, number: str) -> bool:
        """Does the clear number fall into a range that is never decided offline?"""


class DenyList(Protocol):
    """Who is stopped at once, whatever the lists say."""

    def card(self, token: str) -> bool:
        """Is this medium denied?"""

    def customer(self, name: str) -> bool:
        """Is this customer denied?"""

    def in_range(self, number: str) -> bool:
        """Does the clear number fall into a denied range (same length, by digits)?"""
