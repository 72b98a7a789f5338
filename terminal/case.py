"""From a written case of ``explain`` to the terminal's own values, and the ports that let its own decision run over them.

Here stand the checks that no single field can say: subjects, windows, zones, ranges, rows that come twice. Complaints name the field and
the rule, never a value: it may be a card number. Source: design/behaviour-language.md, section explain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from terminal.case_rows import BalanceRow, BaselineRow, CardRow, CaseRow, LimitRow, Names, PolicyRow, SaleRow, ShareRow
from terminal.core.account_book import AccountBook, SaleUse, UseState
from terminal.core.card_data import (
    Balance,
    Baseline,
    Card,
    Customer,
    HostAnswer,
    Limit,
    Measure,
    Nozzle,
    Period,
    PinRule,
    Share,
    Subject,
    SubjectKind,
    Wish,
)
from terminal.core.currencies import decimals_of
from terminal.core.exposure import Exposure
from terminal.core.facts import Cap, ExposureCaps, Policy, Request
from terminal.core.hours import BadHours, read_hours
from terminal.core.units import UtcMs
from terminal.core.windows import LAST_YEAR, BadWindowKey, UnknownZone, utc_ms, window_of_key, zone_of


class FieldError(ValueError):
    """A field of a case cannot be read: its path and the rule."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}" if where else why)
        self.field = where
        self.why = why


_RANGE = re.compile(r"range ([0-9]+)-([0-9]+)", re.ASCII)


def _subject(text: str, where: str) -> Subject:
    word, _, name = text.partition(" ")
    if word not in ("card", "customer") or not name or name != name.strip():
        raise FieldError(where, "expected `card ACCOUNT` or `customer NAME`")
    return Subject(SubjectKind(word), name)


def _set(names: Names) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _instant(at: datetime, where: str) -> UtcMs:
    if not 1970 < at.year < LAST_YEAR:
        raise FieldError(where, f"the year must lie between 1971 and {LAST_YEAR - 1}")
    return utc_ms(at)


def _zone(name: str, where: str) -> str:
    try:
        zone_of(name)
    except UnknownZone as error:
        raise FieldError(where, "no such time zone") from error
    return name


_Key = TypeVar("_Key")


def _new(key: _Key, seen: set[_Key], where: str, what: str) -> None:
    if key in seen:
        raise FieldError(where, f"a second row for the same {what}")
    seen.add(key)


class CaseDenyList:
    """The case's deny list, as the core's ``DenyList``."""

    def __init__(self, entries: list[str]) -> None:
        self._cards: set[str] = set()
        self._customers: set[str] = set()
        self._ranges: list[tuple[str, str]] = []
        for number, entry in enumerate(entries):
            self._add(entry, f"deny[{number}]")

    def _add(self, entry: str, where: str) -> None:
        if _RANGE.fullmatch(entry):
            self._ranges.append(_range(entry, where))
            return
        word, _, name = entry.partition(" ")
        if word not in ("card", "customer") or not name or name != name.strip():
            raise FieldError(where, "expected `card NUMBER`, `customer NAME` or `range FROM-TO`")
        (self._cards if word == "card" else self._customers).add(name)

    def card(self, token: str) -> bool:
        """Is this number denied?"""
        return token in self._cards

    def customer(self, name: str) -> bool:
        """Is this customer denied?"""
        return name in self._customers

    def in_range(self, number: str) -> bool:
        """Is the number in a denied range?"""
        return _in_ranges(number, self._ranges)


def _range(entry: str, where: str) -> tuple[str, str]:
    matched = _RANGE.fullmatch(entry)
    if matched is None:
        raise FieldError(where, "expected `range FROM-TO`")
    first, last = matched[1], matched[2]
    if len(first) != len(last) or first > last:
        raise FieldError(where, "a range goes upwards between numbers of the same length")
    return first, last


def _in_ranges(number: str, ranges: list[tuple[str, str]]) -> bool:
    if not (number.isascii() and number.isdigit()):
        return False
    return any(len(number) == len(first) and first <= number <= last for first, last in ranges)


class CaseLists:
    """The case's rows, as the core's ``CardSource``. Tokens and accounts are the clear numbers here."""

    def __init__(self, row: CaseRow) -> None:
        self._cards: dict[str, Card] = {}
        self._customers: dict[str, Customer] = {}
        for number, customer in enumerate(row.customers):
            _new(customer.customer, set(self._customers), f"customers[{number}].customer", "customer")
            zone = None if customer.zone is None else _zone(customer.zone, f"customers[{number}].zone")
            self._customers[customer.customer] = Customer(customer.customer, customer.status, customer.offline, zone)
        for number, card in enumerate(row.cards):
            _new(card.number, set(self._cards), f"cards[{number}].number", "number")
            self._cards[card.number] = _card(card, f"cards[{number}]")
        self._limits = [_limit(written, f"limits[{number}]") for number, written in enumerate(row.limits)]
        self._balances = [_balance(balance, f"balances[{number}]") for number, balance in enumerate(row.balances)]
        self._baselines = [_baseline(baseline, f"baselines[{number}]") for number, baseline in enumerate(row.baselines)]
        self.products_as_written: dict[Limit, Names] = {}
        for limit, written in zip(self._limits, row.limits, strict=True):
            self.products_as_written.setdefault(limit, written.products)
        self._shares = [_share(share, f"shares[{number}]") for number, share in enumerate(row.shares)]
        self._online = [_range(entry, f"online_only[{number}]") for number, entry in enumerate(row.online_only)]
        _no_twins(self._baselines, "baselines")
        _no_twins(self._shares, "shares")

    def card(self, token: str) -> Card | None:
        """The card of this number."""
        return self._cards.get(token)

    def customer(self, name: str) -> Customer | None:
        """The customer of this name."""
        return self._customers.get(name)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """In the order of the case."""
        return tuple(row for row in self._limits if _concerns(row.subject, account, customer))

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """In the order of the case."""
        return tuple(row for row in self._balances if _concerns(row.subject, account, customer))

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """In the order of the case."""
        return tuple(row for row in self._baselines if _concerns(row.subject, account, customer))

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        """In the order of the case."""
        return tuple(row for row in self._shares if _concerns(row.subject, account, customer))

    def online_only(self, number: str) -> bool:
        """Is the number in a range that is never decided offline?"""
        return _in_ranges(number, self._online)


def _concerns(subject: Subject, account: str, customer: str | None) -> bool:
    return subject.id == (account if subject.kind is SubjectKind.CARD else customer)


def _no_twins(rows: Sequence[Baseline | Share], name: str) -> None:
    seen: set[tuple[object, ...]] = set()
    for number, known in enumerate(rows):
        key = (known.subject, known.window, known.measure, known.products)
        _new(key, seen, f"{name}[{number}]", "subject, window, measure and products")


def _card(row: CardRow, where: str) -> Card:
    try:
        read_hours(row.hours or "")
    except BadHours as error:
        raise FieldError(f"{where}.hours", str(error)) from error
    return Card(
        token=row.number,
        account=row.number if row.account is None else row.account,
        customer=row.customer,
        status=row.status,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        pin=PinRule("result", 0, "", 0) if row.pin_required else None,
        products=_set(row.products),
        offline=row.offline,
        prompts=(),
        tank_ml=row.tank_ml,
        sites=_set(row.sites),
        pair=None,
        language=None,
        last4=row.number[-4:],
        hours=row.hours,
        medium="",
    )


def _limit(row: LimitRow, where: str) -> Limit:
    if row.period is Period.FUELLING and row.measure is Measure.COUNT:
        raise FieldError(f"{where}.measure", "COUNT does not go with FUELLING")
    return Limit(_subject(row.subject, f"{where}.subject"), row.period, row.measure, row.amount, _set(row.products), row.shared)


def _balance(row: BalanceRow, where: str) -> Balance:
    subject = _subject(row.subject, f"{where}.subject")
    return Balance(subject, row.kind, Measure(row.measure), row.amount, _set(row.products), row.watermark)


def _baseline(row: BaselineRow, where: str) -> Baseline:
    subject = _subject(row.subject, f"{where}.subject")
    try:
        window_of_key(row.window, "UTC")
    except BadWindowKey as error:
        raise FieldError(f"{where}.window", str(error)) from error
    return Baseline(subject, row.window, row.measure, _set(row.products), row.amount, row.watermark)


def _share(row: ShareRow, where: str) -> Share:
    subject, period = _subject(row.subject, f"{where}.subject"), Period(row.period)
    try:
        window_of_key(row.window, "UTC")
    except BadWindowKey as error:
        raise FieldError(f"{where}.window", str(error)) from error
    if (len(row.window) == len("2026-03-29")) is not (period is Period.DAY):
        raise FieldError(f"{where}.window", "a date for a DAY, and a month for a MONTH")
    return Share(row.grant, subject, period, row.window, row.measure, _set(row.products), row.amount, row.watermark)


def _caps(row: PolicyRow) -> ExposureCaps | None:
    card = Cap(row.exposure_card_ml, row.exposure_card_minor, row.exposure_card_count)
    customer = Cap(row.exposure_customer_ml, row.exposure_customer_minor, row.exposure_customer_count)
    terminal = Cap(row.exposure_terminal_ml, row.exposure_terminal_minor, row.exposure_terminal_count)
    caps = ExposureCaps(card, customer, terminal)
    return None if caps == ExposureCaps() else caps


@dataclass(frozen=True, slots=True)
class Case:
    """A case in the core's own values."""

    row: CaseRow
    lists: CaseLists
    deny: CaseDenyList
    book: AccountBook
    exposure: Exposure
    policy: Policy
    request: Request
    host: HostAnswer | None
    now_utc: UtcMs
    lists_checked_utc: UtcMs | None
    decimals: int


def case_of(row: CaseRow) -> Case:
    """Turn the written case into values. Raises FieldError."""
    _zone(row.zone, "zone")
    wish = row.request.wish
    if wish is not None and (wish.quantity_ml is None) is (wish.value_minor is None):
        raise FieldError("request.wish", "a wish is either quantity_ml or value_minor")
    host = row.host
    policy = row.policy
    lists, uses = CaseLists(row), [_use(sale, number) for number, sale in enumerate(row.sales)]
    return Case(
        row=row,
        lists=lists,
        deny=CaseDenyList(row.deny),
        book=AccountBook(uses),
        exposure=Exposure(use for use, sale in zip(uses, row.sales, strict=True) if sale.unsent or sale.state is not UseState.DELIVERED),
        policy=Policy(
            min_dispense_ml=policy.min_dispense_ml,
            terminal_cap_ml=policy.terminal_cap_ml,
            terminal_cap_minor=policy.terminal_cap_minor,
            only_terminal=policy.only_terminal,
            emergency_accounts=frozenset(policy.emergency_accounts),
            restricted_products=frozenset(policy.restricted_products),
            max_open=policy.max_open,
            exposure=_caps(policy),
        ),
        request=Request(
            token=row.request.card,
            number=row.request.card,
            pin=row.request.pin,
            nozzles=tuple(Nozzle(nozzle.nozzle, nozzle.product, nozzle.price) for nozzle in row.request.nozzles),
            wish=None if wish is None else Wish(wish.quantity_ml, wish.value_minor),
        ),
        host=None if isinstance(host, str) else HostAnswer(host.decision, host.quantity_ml, host.value_minor, host.reason),
        now_utc=_instant(row.now, "now"),
        lists_checked_utc=None if row.lists_checked is None else _instant(row.lists_checked, "lists_checked"),
        decimals=decimals_of(row.currency),
    )


def _use(row: SaleRow, number: int) -> SaleUse:
    return SaleUse(
        sale=str(number),
        sequence=row.sequence,
        account=row.account,
        customer=row.customer,
        product=row.product,
        quantity_ml=row.quantity_ml,
        value_minor=row.value_minor,
        authorized_at=_instant(row.authorized_at, f"sales[{number}].authorized_at"),
        state=row.state,
    )
