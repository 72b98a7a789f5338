"""The case of ``explain`` as it is written: every field, its words and its range; anything else is refused.

Quantities in millilitres, money in minor units, prices in 1/10000 of the major unit per litre, instants RFC 3339 with an offset.
Lists and nullable fields may be left out. Source: design/behaviour-language.md, section explain.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from terminal.core.account_book import UseState
from terminal.core.card_data import BalanceKind, HostDecision, Measure, Offline, Period, Status
from terminal.core.clock import ClockState
from terminal.core.facts import PinResult
from terminal.core.reasons import Reason

Amount = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Names = list[Name] | None
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
BalanceMeasure = Literal["QUANTITY", "VALUE"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pass


class PolicyRow(_Strict, frozen=True):
    """The policy of a case; what is left out has the terminal's default."""

    min_dispense_ml: Amount = 2000
    terminal_cap_ml: Amount = 990_000
    terminal_cap_minor: Amount | None = None
    only_terminal: bool = False
    emergency_accounts: list[Name] = []
    restricted_products: list[Name] = []
    max_open: Amount = 1
    exposure_card_ml: Amount | None = None
    exposure_card_minor: Amount | None = None
    exposure_card_count: Amount | None = None
    exposure_customer_ml: Amount | None = None
    exposure_customer_minor: Amount | None = None
    exposure_customer_count: Amount | None = None
    exposure_terminal_ml: Amount | None = None
    exposure_terminal_minor: Amount | None = None
    exposure_terminal_count: Amount | None = None


class HostRow(_Strict, frozen=True):
    """The host's answer of a case."""

    decision: HostDecision
    quantity_ml: Amount | None = None
    value_minor: Amount | None = None
    reason: Reason | None = None


class CustomerRow(_Strict, frozen=True):
    """A customer."""

    customer: Name
    status: Status = Status.ACTIVE
    offline: Offline = Offline.ALLOWED
    zone: Name | None = None


class CardRow(_Strict, frozen=True):
    """A card; without an account its number is the account."""

    number: Name
    account: Name | None = None
    customer: Name | None = None
    status: Status = Status.ACTIVE
    valid_from: date | None = None
    valid_to: date | None = None
    pin_required: bool = False
    products: Names = None
    offline: Offline = Offline.ALLOWED
    tank_ml: Amount | None = None
    sites: Names = None
    hours: str | None = None


class LimitRow(_Strict, frozen=True):
    """A limit. ``shared``: offline this terminal's share of the window binds too."""

    subject: str
    period: Period
    measure: Measure
    amount: Amount
    products: Names = None
    shared: bool = False


class ShareRow(_Strict, frozen=True):
    """This terminal's share of a shared limit in one window."""

    subject: str
    period: Literal["DAY", "MONTH"]
    window: str
    measure: Measure
    amount: Amount
    products: Names = None
    watermark: int | None = None
    grant: str = ""


class BalanceRow(_Strict, frozen=True):
    """A balance."""

    subject: str
    kind: BalanceKind
    measure: BalanceMeasure
    amount: Amount
    products: Names = None
    watermark: int | None = None


class BaselineRow(_Strict, frozen=True):
    """A baseline."""

    subject: str
    window: str
    measure: Measure
    amount: Amount
    products: Names = None
    watermark: int | None = None


class SaleRow(_Strict, frozen=True):
    """A sale; ``product`` null while nobody knows which it will be. ``unsent``: decided offline, and the host has not answered its record.

    A sale that is held or in doubt is unsent whatever is written.
    """

    sequence: int
    account: Name
    product: Name | None
    quantity_ml: Amount
    value_minor: Amount
    authorized_at: Instant
    state: UseState
    customer: Name | None = None
    unsent: bool = False


class NozzleRow(_Strict, frozen=True):
    """A nozzle."""

    nozzle: int
    product: Name
    price: Amount


class WishRow(_Strict, frozen=True):
    """A wish: one of the two."""

    quantity_ml: Amount | None = None
    value_minor: Amount | None = None


class RequestRow(_Strict, frozen=True):
    """The request."""

    card: Name
    nozzles: list[NozzleRow]
    pin: PinResult | None = None
    wish: WishRow | None = None


class CaseRow(_Strict, frozen=True):
    """A whole case, as written."""

    now: Instant
    zone: Name
    currency: Currency
    site: Name
    clock: ClockState
    host: Literal["unreachable"] | HostRow
    lists_checked: Instant | None
    request: RequestRow
    policy: PolicyRow = PolicyRow()
    customers: list[CustomerRow] = []
    cards: list[CardRow] = []
    limits: list[LimitRow] = []
    balances: list[BalanceRow] = []
    baselines: list[BaselineRow] = []
    sales: list[SaleRow] = []
    deny: list[str] = []
    shares: list[ShareRow] = []
    online_only: list[str] = []
    networks: list[Name] = []
