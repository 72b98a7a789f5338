"""A model of a station for property tests: several pumps fuelling at once, every decision by the real ``gather`` and ``decide``.

The truth is a list of what was held and delivered; ``Station`` keeps an ``AccountBook`` beside it as the terminal does, and never looks at
the truth to decide. Source: reference/host-and-offline-authorization.md 10.2 and 10.12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from terminal.core.account_book import AccountBook, SaleUse, UseState
from terminal.core.authorization import ClockState, Decision, Policy, Request, decide, gather
from terminal.core.card_data import (
    Balance,
    Baseline,
    Card,
    Customer,
    HostAnswer,
    Limit,
    Measure,
    Nozzle,
    Offline,
    Period,
    Share,
    Status,
    Subject,
    SubjectKind,
)
from terminal.core.units import UtcMs, cost_of
from terminal.core.windows import Window, day_window, month_window

HOUR_MS = 3_600_000
ZONE = "Europe/Paris"
DECIMALS = 2
PRICES = {"GAZOLE": 17290, "SP95": 18495, "GNR": 0}
OWNERS: dict[str, str | None] = {"a": "C", "b": "C", "c": "C", "d": None}
POLICY = Policy(min_dispense_ml=1, max_open=3)


@dataclass
class RowLists:
    """A list as the host published it, behind the core's own port."""

    limits_: tuple[Limit, ...] = ()
    baselines_: tuple[Baseline, ...] = ()
    shares_: tuple[Share, ...] = ()
    owners: Mapping[str, str | None] = field(default_factory=lambda: OWNERS)

    def card(self, token: str) -> Card | None:
        return Card(
            token,
            token,
            self.owners[token],
            Status.ACTIVE,
            None,
            None,
            None,
            None,
            Offline.ALLOWED,
            (),
            None,
            None,
            None,
            None,
            "",
            None,
            "badge",
        )

    def customer(self, name: str) -> Customer | None:
        return Customer(name, Status.ACTIVE, Offline.ALLOWED, None)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        return tuple(row for row in self.limits_ if _concerns(row.subject, account, customer))

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        return ()

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        return tuple(row for row in self.baselines_ if _concerns(row.subject, account, customer))

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        return tuple(row for row in self.shares_ if _concerns(row.subject, account, customer))

    def online_only(self, number: str) -> bool:
        return False


class NoDeny:
    """Nobody is denied."""

    def card(self, token: str) -> bool:
        return False

    def customer(self, name: str) -> bool:
        return False

    def in_range(self, number: str) -> bool:
        return False


def _concerns(subject: Subject, account: str, customer: str | None) -> bool:
    return subject.id == (account if subject.kind is SubjectKind.CARD else customer)


def window_of(period: Period, at: int) -> Window:
    return day_window(UtcMs(at), ZONE) if period is Period.DAY else month_window(UtcMs(at), ZONE)


def counts(limit: Limit, use: SaleUse) -> int:
    """What a sale takes of a limit, whatever its window; what nobody knows the product of takes from every limit of one of its products."""
    if limit.subject.id != (use.account if limit.subject.kind is SubjectKind.CARD else use.customer):
        return 0
    concerned = use.products if use.product is None else frozenset([use.product])
    if limit.products is not None and not concerned & limit.products:
        return 0
    if limit.measure is Measure.COUNT:
        return int(use.state is not UseState.DELIVERED or use.quantity_ml > 0)
    return use.quantity_ml if limit.measure is Measure.QUANTITY else use.value_minor


def taken(limit: Limit, key: str, uses: list[SaleUse]) -> int:
    """Everything that counts in the window of this key, added up one by one."""
    return sum(counts(limit, use) for use in uses if window_of(limit.period, use.authorized_at).key == key)


@dataclass
class Station:
    """One terminal. ``truth`` is every sale as it stands, holds included; ``book`` is the terminal's idea of it."""

    name: str
    lists: RowLists
    book: AccountBook = field(default_factory=AccountBook)
    truth: dict[str, SaleUse] = field(default_factory=dict)
    checked: int = 0
    sequence: int = 0
    uploaded: set[int] = field(default_factory=set)

    def decide(self, account: str, products: tuple[str, ...], now: int, host: HostAnswer | None = None) -> Decision:
        nozzles = tuple(Nozzle(number, product, PRICES[product]) for number, product in enumerate(products, 1))
        facts = gather(
            Request(account, "", None, nozzles, None),
            host,
            self.lists,
            NoDeny(),
            self.book,
            site="S1",
            zone=ZONE,
            decimals=DECIMALS,
            now_utc=UtcMs(now),
            clock_state=ClockState.TRUSTED,
            lists_checked_utc=UtcMs(self.checked),
            policy=POLICY,
        )
        return decide(facts, POLICY)

    def authorize(self, account: str, products: tuple[str, ...], now: int, host: HostAnswer | None = None) -> SaleUse | None:
        """A hold of the largest of what may be taken, as the terminal makes it when the driver has chosen; None when he is refused."""
        decision = self.decide(account, products, now, host)
        if not decision.approved:
            return None
        self.sequence += 1
        use = SaleUse(
            sale=f"{self.name}-{self.sequence}",
            sequence=self.sequence,
            account=account,
            customer=self.lists.owners[account],
            product=None,
            quantity_ml=max(one.quantity_ml for one in decision.allowance),
            value_minor=max(one.value_minor for one in decision.allowance),
            authorized_at=UtcMs(now),
            state=UseState.HELD,
            products=frozenset(one.product for one in decision.allowance),
        )
        self.truth[use.sale] = use
        self.book.hold(use)
        self.allowed = decision.allowance
        return use

    def narrow(self, sale: str, product: str, most_ml: int) -> None:
        """The nozzle is lifted: the hold is that product's now."""
        use = replace(self.truth[sale], product=product, quantity_ml=most_ml, value_minor=cost_of(most_ml, PRICES[product], DECIMALS))
        self.truth[sale] = use
        self.book.replace(use)

    def doubt(self, sale: str) -> None:
        """The pump cannot say."""
        self.truth[sale] = replace(self.truth[sale], state=UseState.IN_DOUBT)
        self.book.doubt(sale)

    def settle(self, sale: str, quantity_ml: int) -> None:
        """So much flowed, not more than was held."""
        held = self.truth[sale]
        assert held.product is not None
        assert quantity_ml <= held.quantity_ml
        value = cost_of(quantity_ml, PRICES[held.product], DECIMALS)
        self.truth[sale] = replace(held, quantity_ml=quantity_ml, value_minor=value, state=UseState.DELIVERED)
        self.book.settle(sale, product=held.product, quantity_ml=quantity_ml, value_minor=value)

    def drop(self, sale: str) -> None:
        """Nothing flowed: the end is recorded all the same, so that the numbering has no gap."""
        self.truth[sale] = replace(self.truth[sale], quantity_ml=0, value_minor=0, state=UseState.DELIVERED)
        self.book.drop(sale)

    def skip(self, account: str, now: int) -> None:
        """A reservation that came to nothing: its number is used up, and its empty record is sent like any other."""
        self.sequence += 1
        sale = f"{self.name}-{self.sequence}"
        owner = self.lists.owners[account]
        self.truth[sale] = SaleUse(sale, self.sequence, account, owner, None, 0, 0, UtcMs(now), UseState.DELIVERED)

    def restart(self) -> None:
        """The power is cut: the book is made again from what was written."""
        self.book = AccountBook(self.truth.values())

    def open(self, *states: UseState) -> list[str]:
        return [use.sale for use in self.truth.values() if use.state in (states or (UseState.HELD, UseState.IN_DOUBT))]

    def unsent(self) -> list[SaleUse]:
        return [use for use in self.truth.values() if use.state is UseState.DELIVERED and use.sequence not in self.uploaded]


def baselines(
    limits: tuple[Limit, ...], now: int, uses: list[SaleUse], watermark: int, foreign: Callable[[Limit, str], int]
) -> tuple[Baseline, ...]:
    """The counts that a host publishes: what is elsewhere, and of these own uses those up to the watermark."""
    own = [use for use in uses if use.sequence <= watermark]
    found = []
    for limit in {
        (row.subject, row.period, row.measure, row.products): row for row in limits if row.period is not Period.FUELLING
    }.values():
        key = window_of(limit.period, now).key
        found.append(Baseline(limit.subject, key, limit.measure, limit.products, taken(limit, key, own) + foreign(limit, key), watermark))
    return tuple(found)
