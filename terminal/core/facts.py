"""Everything a decision looks at, gathered once: the request, the host's answer, the lists' rows and the use of every limit.

``gather`` is the only place where a decision reads lists and the account book; what it returns is a frozen value, so the decision can
be repeated, compared and explained. Quantities in millilitres, money in minor units, prices in 1/10000 of the major unit per litre.
Source: design/behaviour-language.md, explain, rules 2 and 3; design/architecture.md, rule 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum

from terminal.core.account_book import AccountBook, Sums
from terminal.core.card_data import (
    Balance,
    Baseline,
    Card,
    CardSource,
    Customer,
    DenyList,
    HostAnswer,
    HostDecision,
    Limit,
    Measure,
    Nozzle,
    Period,
    Share,
    Subject,
    Wish,
)
from terminal.core.clock import ClockState
from terminal.core.exposure import Exposure, Unanswered
from terminal.core.hours import week_minute
from terminal.core.units import UtcMs
from terminal.core.windows import Window, day_window, local_date, month_window


class PinResult(Enum):
    """How the PIN check ended; None in a request stands for no PIN entered. WAIVED: the card table asks for none.

    SENT: the host is to check it, and nobody else did.
    """

    RIGHT = "right"
    WAIVED = "waived"
    SENT = "sent"
    WRONG = "wrong"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so much of unanswered sales, in each measure; None does not bind."""

    ml: int | None = None
    minor: int | None = None
    count: int | None = None

    def of(self, measure: Measure) -> int | None:
        """The cap in this measure."""
        if measure is Measure.QUANTITY:
            return self.ml
        return self.minor if measure is Measure.VALUE else self.count


@dataclass(frozen=True, slots=True)
class ExposureCaps:
    """What may be let go offline before the host has answered: per account, per customer, and for the whole terminal."""

    card: Cap = Cap()
    customer: Cap = Cap()
    terminal: Cap = Cap()

    def beside(self, sums: Unanswered) -> tuple[tuple[Cap, Sums], ...]:
        """Each cap with the sums that it binds; a card without a customer has no customer's cap."""
        every = (self.card, sums.card), (self.customer, sums.customer), (self.terminal, sums.terminal)
        return tuple((cap, mine) for cap, mine in every if mine is not None)


@dataclass(frozen=True, slots=True)
class Policy:
    """The terminal's own rules. ``emergency_accounts`` are opaque ids like ``Card.account``; ``max_open`` counts held sales.

    ``exposure`` None: no caps.
    """

    min_dispense_ml: int = 2000
    terminal_cap_ml: int = 990_000
    terminal_cap_minor: int | None = None
    only_terminal: bool = False
    emergency_accounts: frozenset[str] = frozenset()
    restricted_products: frozenset[str] = frozenset()
    max_open: int = 1
    exposure: ExposureCaps | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for what. ``number`` is the clear number, needed for denied ranges only and kept out of every repr.

    ``products`` and ``online_only`` are what the medium itself says (core/card_table.py); ``second`` is the other card's account where two
    are needed, whose limits and balances bind too.
    """

    token: str
    number: str = field(repr=False)
    pin: PinResult | None
    nozzles: tuple[Nozzle, ...]
    wish: Wish | None
    products: frozenset[str] | None = None
    online_only: bool = False
    second: str | None = None


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit with its use: ``before`` and ``since`` the last list check, and held. A limit per fuelling has no window and no use.

    ``share_left``: what is left of this terminal's share of a shared limit, which binds offline; None where no share is asked for.
    """

    limit: Limit
    window: Window | None
    before: int
    since: int
    held: int
    share_left: int | None = None


@dataclass(frozen=True, slots=True)
class BalanceUse:
    """A balance with what was taken and what is held of it since its watermark."""

    balance: Balance
    delivered: int
    held: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole input of a decision. ``today`` may be a day behind ``latest_day`` when the clock is not sure.

    ``week_minute`` is the minute of the week at the site, set where the card has hours; ``unanswered`` is the exposure, set where the
    policy caps it and the host does not decide; ``online_only``: the number lies in a range that is never decided offline.
    ``host_unaware``: sales that we decided alone are open or unsent, so that an approval does not know better than our limits.
    """

    request: Request
    host: HostAnswer | None
    card: Card | None
    customer: Customer | None
    card_denied: bool
    customer_denied: bool
    open_holds: int
    limits: tuple[LimitUse, ...]
    balances: tuple[BalanceUse, ...]
    site: str
    decimals: int
    clock_state: ClockState
    today: date
    latest_day: date
    list_age_ms: int | None
    networks: tuple[str, ...] = ()
    online_only: bool = False
    week_minute: int | None = None
    unanswered: Unanswered | None = None
    host_unaware: bool = False

    @property
    def host_approves(self) -> bool:
        """The host answered, and not with a decline."""
        return self.host is not None and self.host.decision is not HostDecision.DECLINED


def gather(
    request: Request,
    host: HostAnswer | None,
    cards: CardSource,
    deny: DenyList,
    book: AccountBook,
    *,
    site: str,
    zone: str,
    decimals: int,
    now_utc: UtcMs,
    clock_state: ClockState,
    lists_checked_utc: UtcMs | None,
    policy: Policy,
    latest_utc: UtcMs | None = None,
    networks: tuple[str, ...] = (),
    exposure: Exposure | None = None,
    host_unaware: bool = False,
) -> Facts:
    """Read what a decision needs, and nothing else.

    ``host`` None: not asked or not reachable, decide offline. ``zone`` is the site's IANA zone; the customer's goes before it.
    ``now_utc`` is the shortest plausible estimate of the time (what renews), ``latest_utc`` the longest (what expires; None: the
    same). ``lists_checked_utc`` None: never. Without a card the account is the medium's own token. ``networks`` are the site's;
    ``exposure`` holds the sales that the host has not answered; ``host_unaware``: some of them it cannot know, and they are of this
    account or customer.
    Raises ``windows.UnknownZone`` for a zone that the machine does not know.
    """
    latest = now_utc if latest_utc is None else max(now_utc, latest_utc)
    card = cards.card(request.token)
    customer_name = None if card is None else card.customer
    customer = None if customer_name is None else cards.customer(customer_name)
    local = customer.zone if customer is not None and customer.zone is not None else zone
    account = request.token if card is None else card.account
    asked_lists = card is not None and (host is None or host.decision is HostDecision.DECLINED or host_unaware)
    limits = _limit_uses(account, customer_name, cards, book, local, now_utc, lists_checked_utc, shared=host is None) if asked_lists else ()
    balances = _balance_uses(account, customer_name, cards, book) if asked_lists else ()
    open_holds = len(book.open_holds(account))
    second = request.second
    if second is not None and second != account:
        open_holds = max(open_holds, len(book.open_holds(second)))
        if asked_lists:
            limits += _limit_uses(second, None, cards, book, local, now_utc, lists_checked_utc, shared=host is None)
            balances += _balance_uses(second, None, cards, book)
    today = local_date(now_utc, local)
    return Facts(
        request=request,
        host=host,
        card=card,
        customer=customer,
        card_denied=deny.card(request.token) or deny.in_range(request.number),
        customer_denied=customer_name is not None and deny.customer(customer_name),
        open_holds=open_holds,
        limits=limits,
        balances=balances,
        site=site,
        decimals=decimals,
        clock_state=clock_state,
        today=today,
        latest_day=today if latest == now_utc else local_date(latest, local),
        list_age_ms=None if lists_checked_utc is None else latest - lists_checked_utc,
        networks=networks,
        online_only=host is None and cards.online_only(request.number),
        week_minute=week_minute(now_utc, zone) if card is not None and card.hours else None,
        unanswered=exposure.of(account, customer_name) if exposure is not None and policy.exposure is not None and host is None else None,
        host_unaware=host_unaware,
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision's whole input, as it is written down: the same facts give the same decision again. ``facts.request.number`` is empty."""

    facts: Facts
    policy: Policy


_BaselineKey = tuple[Subject, str, Measure, frozenset[str] | None]


def _limit_uses(
    account: str,
    customer: str | None,
    cards: CardSource,
    book: AccountBook,
    zone: str,
    now: UtcMs,
    lists_checked: UtcMs | None,
    *,
    shared: bool,
) -> tuple[LimitUse, ...]:
    limits = cards.limits(account, customer)
    if not limits:
        return ()
    baselines: dict[_BaselineKey, Baseline] = {
        (row.subject, row.window, row.measure, row.products): row for row in cards.baselines(account, customer)
    }
    shares: dict[_BaselineKey, Share] | None = None
    if shared and any(limit.shared for limit in limits):
        shares = {(row.subject, row.window, row.measure, row.products): row for row in cards.shares(account, customer)}
    day, month = day_window(now, zone), month_window(now, zone)
    found = []
    for limit in limits:
        window = day if limit.period is Period.DAY else month if limit.period is Period.MONTH else None
        use = _limit_use(limit, window, baselines, book, lists_checked)
        if limit.shared and window is not None and shares is not None:
            use = replace(use, share_left=_share_left(limit, window, shares, book, use.held))
        found.append(use)
    return tuple(found)


def _share_left(limit: Limit, window: Window, shares: dict[_BaselineKey, Share], book: AccountBook, held: int) -> int:
    """What this terminal may still take of its share of the window; without a share it is nothing."""
    share = shares.get((limit.subject, window.key, limit.measure, limit.products))
    if share is None:
        return 0
    taken = book.use(
        limit.subject, window=(window.start, window.end), products=limit.products, watermark=share.watermark, lists_checked=None
    )
    return max(0, share.amount - taken.since.of(limit.measure) - held)


def _limit_use(
    limit: Limit, window: Window | None, baselines: dict[_BaselineKey, Baseline], book: AccountBook, lists_checked: UtcMs | None
) -> LimitUse:
    if window is None:
        return LimitUse(limit, None, 0, 0, 0)
    baseline = baselines.get((limit.subject, window.key, limit.measure, limit.products))
    use = book.use(
        limit.subject,
        window=(window.start, window.end),
        products=limit.products,
        watermark=None if baseline is None else baseline.watermark,
        lists_checked=lists_checked,
    )
    known = 0 if baseline is None else baseline.amount
    measure = limit.measure
    return LimitUse(limit, window, known + use.before.of(measure), use.since.of(measure), use.held.of(measure))


def _balance_uses(account: str, customer: str | None, cards: CardSource, book: AccountBook) -> tuple[BalanceUse, ...]:
    found = []
    for balance in cards.balances(account, customer):
        use = book.use(balance.subject, window=None, products=balance.products, watermark=balance.watermark, lists_checked=None)
        found.append(BalanceUse(balance, use.since.of(balance.measure), use.held.of(balance.measure)))
    return tuple(found)
