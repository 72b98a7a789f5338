"""A small world for the tests of the decision: lists and deny list in memory behind the core's own ports, and one run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from terminal.core.account_book import AccountBook, SaleUse, UseState
from terminal.core.authorization import (
    STEPS,
    ClockState,
    Decision,
    Facts,
    PinResult,
    Policy,
    Request,
    Step,
    decide,
    gather,
)
from terminal.core.card_data import (
    Balance,
    BalanceKind,
    Baseline,
    Card,
    Customer,
    HostAnswer,
    HostDecision,
    Limit,
    Measure,
    Nozzle,
    Offline,
    Period,
    PinRule,
    Share,
    Status,
    Subject,
    SubjectKind,
    Wish,
)
from terminal.core.exposure import Exposure
from terminal.core.reasons import Reason
from terminal.core.units import UtcMs
from terminal.core.windows import utc_ms

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
TOKEN, ACCOUNT, NUMBER = "t1", "a1", "7001231234567890123"
MINE, THEIRS = Subject(SubjectKind.CARD, ACCOUNT), Subject(SubjectKind.CUSTOMER, "C1")
PIN = PinRule("opin1", 1, "00", 3)
CARD = Card(TOKEN, ACCOUNT, "C1", Status.ACTIVE, None, None, None, None, Offline.ALLOWED, (), None, None, None, None, "0123", None, "badge")
CUSTOMER = Customer("C1", Status.ACTIVE, Offline.ALLOWED, None)
GAZOLE, SP95, FIOUL = Nozzle(1, "GAZOLE", 17290), Nozzle(2, "SP95", 18500), Nozzle(3, "FIOUL", 9900)
UNBOUNDED = HostAnswer(HostDecision.APPROVED)
CAP = Policy().terminal_cap_ml


@dataclass(frozen=True)
class Lists:
    """Lists in memory, behind the core's own port."""

    cards: tuple[Card, ...] = (CARD,)
    customers: tuple[Customer, ...] = (CUSTOMER,)
    limit_rows: tuple[Limit, ...] = ()
    balance_rows: tuple[Balance, ...] = ()
    baseline_rows: tuple[Baseline, ...] = ()
    share_rows: tuple[Share, ...] = ()
    grey: frozenset[str] = frozenset()

    def card(self, token: str) -> Card | None:
        return next((row for row in self.cards if row.token == token), None)

    def customer(self, name: str) -> Customer | None:
        return next((row for row in self.customers if row.customer == name), None)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        return tuple(row for row in self.limit_rows if row.subject.id in (account, customer))

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        return tuple(row for row in self.balance_rows if row.subject.id in (account, customer))

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        return tuple(row for row in self.baseline_rows if row.subject.id in (account, customer))

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        return tuple(row for row in self.share_rows if row.subject.id in (account, customer))

    def online_only(self, number: str) -> bool:
        return number in self.grey


@dataclass(frozen=True)
class Denied:
    cards: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()

    def card(self, token: str) -> bool:
        return token in self.cards

    def customer(self, name: str) -> bool:
        return name in self.customers

    def in_range(self, number: str) -> bool:
        return number in self.numbers


def sale(name: str = "s1", state: UseState = UseState.DELIVERED, ml: int = 30_000, minor: int = 5187, **changes: Any) -> SaleUse:
    use = SaleUse(name, 42, ACCOUNT, "C1", "GAZOLE", ml, minor, utc_ms(NOW - timedelta(hours=2)), state)
    return replace(use, **changes)


def limit(amount: int, period: Period = Period.DAY, measure: Measure = Measure.QUANTITY, subject: Subject = MINE, **changes: Any) -> Limit:
    return replace(Limit(subject, period, measure, amount, None), **changes)


def prepaid(amount: int, measure: Measure = Measure.VALUE, watermark: int | None = None, **changes: Any) -> Balance:
    return replace(Balance(THEIRS, BalanceKind.PREPAID, measure, amount, None, watermark), **changes)


def facts_of(
    *,
    card: Card | None = CARD,
    customer: Customer | None = CUSTOMER,
    limits: tuple[Limit, ...] = (),
    balances: tuple[Balance, ...] = (),
    baselines: tuple[Baseline, ...] = (),
    shares: tuple[Share, ...] = (),
    grey: frozenset[str] = frozenset(),
    sales: tuple[SaleUse, ...] = (),
    denied: Denied | None = None,
    host: HostAnswer | None = None,
    pin: PinResult | None = None,
    nozzles: tuple[Nozzle, ...] = (GAZOLE,),
    wish: Wish | None = None,
    policy: Policy | None = None,
    decimals: int = 2,
    clock: ClockState = ClockState.TRUSTED,
    age: timedelta | None = timedelta(hours=1),
    latest: UtcMs | None = None,
    zone: str = "Europe/Paris",
    now: datetime = NOW,
    networks: tuple[str, ...] = (),
    exposure: Exposure | None = None,
) -> Facts:
    """What a decision in this small world looks at."""
    lists = Lists((card,) if card else (), (customer,) if customer else (), limits, balances, baselines, shares, grey)
    return gather(
        Request(TOKEN, NUMBER, pin, nozzles, wish),
        host,
        lists,
        denied or Denied(),
        AccountBook(sales),
        site="S1",
        zone=zone,
        decimals=decimals,
        now_utc=utc_ms(now),
        clock_state=clock,
        lists_checked_utc=None if age is None else utc_ms(now - age),
        policy=policy or Policy(),
        latest_utc=latest,
        networks=networks,
        exposure=exposure,
    )


def run(
    *,
    card: Card | None = CARD,
    customer: Customer | None = CUSTOMER,
    limits: tuple[Limit, ...] = (),
    balances: tuple[Balance, ...] = (),
    baselines: tuple[Baseline, ...] = (),
    sales: tuple[SaleUse, ...] = (),
    denied: Denied | None = None,
    host: HostAnswer | None = None,
    pin: PinResult | None = None,
    nozzles: tuple[Nozzle, ...] = (GAZOLE,),
    wish: Wish | None = None,
    policy: Policy | None = None,
    decimals: int = 2,
    clock: ClockState = ClockState.TRUSTED,
    age: timedelta | None = timedelta(hours=1),
    latest: UtcMs | None = None,
    zone: str = "Europe/Paris",
    shares: tuple[Share, ...] = (),
    grey: frozenset[str] = frozenset(),
    now: datetime = NOW,
    networks: tuple[str, ...] = (),
    exposure: Exposure | None = None,
) -> Decision:
    rules = policy or Policy()
    facts = facts_of(
        card=card,
        customer=customer,
        limits=limits,
        balances=balances,
        baselines=baselines,
        shares=shares,
        grey=grey,
        sales=sales,
        denied=denied,
        host=host,
        pin=pin,
        nozzles=nozzles,
        wish=wish,
        policy=rules,
        decimals=decimals,
        clock=clock,
        age=age,
        latest=latest,
        zone=zone,
        now=now,
        networks=networks,
        exposure=exposure,
    )
    decision = decide(facts, rules)
    assert decision == decide(facts, rules)
    assert decision.approved is (decision.reason is None) is bool(decision.allowance)
    assert [result.step for result in decision.steps] == [step for step, _ in STEPS][: len(decision.steps)]
    assert [result.passed for result in decision.steps[:-1]] == [True] * (len(decision.steps) - 1)
    assert decision.steps[-1].reason is decision.reason
    return decision


def refused(step: Step, reason: Reason, **given: Any) -> None:
    decision = run(**given)
    assert (decision.steps[-1].step, decision.reason) == (step, reason)


def quantity(product: str = "GAZOLE", **given: Any) -> tuple[int, Reason]:
    found = run(policy=replace(given.pop("policy", Policy()), min_dispense_ml=1), **given).allowance_for(product)
    assert found is not None
    return found.quantity_ml, found.bound_by
