"""The host's master data, read from a scenario: fuelling points, customers, cards, limits and balances.

Source: firmware_notes/host-api.md, section "The scenario". A wrong scenario raises ``ScenarioError`` naming the place, never the value:
the value may be a card number or a PIN.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfoNotFoundError

from hal_sim.host.identification import Identification, Wrong
from hal_sim.host.rules import MEASURES, PERIODS
from hal_sim.host.windows import zone_of

MEDIA = ("badge", "secure badge", "stripe", "smart card")
OFFLINE = ("ALWAYS", "ALLOWED", "ALLOWED_OFFLINE", "NEVER")
DEFAULT_PIN_TRIES = 3
DEFAULT_MINIMUM_ML = 2000


class ScenarioError(ValueError):
    """The scenario cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a limit is about: an account (by its token) or a customer (by its name)."""

    kind: Literal["card", "customer"]
    key: str

    def as_json(self) -> dict[str, str]:
        """As in the list rows."""
        return {self.kind: self.key}


MeterKey = tuple[Subject, str, str, frozenset[str] | None]


@dataclass(slots=True)
class Nozzle:
    """One logical nozzle of a fuelling point and what it sells. ``price`` in 1/10000 per litre."""

    fp: int
    nozzle: int
    product: str
    price: int
    minimum_ml: int


@dataclass(slots=True)
class Customer:
    """Who pays."""

    customer: str
    active: bool
    offline: str
    zone: str | None


@dataclass(slots=True)
class Card:
    """One medium. Number, account and PIN stay out of every repr."""

    number: str = field(repr=False)
    account: str = field(repr=False)
    pin: str | None = field(repr=False)
    token: str
    account_token: str
    medium: str
    customer: str | None
    active: bool
    products: frozenset[str] | None
    offline: str
    prompts: tuple[str, ...]
    tank_ml: int | None
    sites: frozenset[str] | None
    hours: Any
    pair: str | None
    language: str | None
    valid_from: str | None
    valid_to: str | None
    cost_centre: str | None
    driver: str | None
    pin_check: str = "terminal"

    @property
    def last4(self) -> str:
        """What may be shown of the number."""
        return self.number[-4:]


@dataclass(slots=True)
class Meter:
    """The running use of one subject in one measure and product group, with the limit on it where there is one.

    ``used`` and ``held`` are sums per window key, so that a decision never walks over records.
    """

    subject: Subject
    period: str
    measure: str
    products: frozenset[str] | None
    limit: int | None = None
    shared: bool = False
    used: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> MeterKey:
        """What it is known by."""
        return self.subject, self.period, self.measure, self.products


@dataclass(slots=True)
class Balance:
    """Money or fuel that may still be taken: ``amount`` at the start, less what was booked and what is held."""

    subject: Subject
    kind: str
    measure: str
    products: frozenset[str] | None
    amount: int
    used: int = 0
    held: int = 0


def _require(value: object, where: str, check: Callable[[Any], bool]) -> Any:
    if not check(value):
        raise ScenarioError(f"{where}: missing or of a wrong kind")
    return value


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _maybe(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_text(each) for each in value)


def _short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 64


def _range(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(_text(each) for each in value) and len(value[0]) == len(value[1])


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _date(value: object) -> bool:
    try:
        dt.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _zone(value: object) -> bool:
    try:
        zone_of(value if isinstance(value, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _group(row: dict[str, Any], where: str) -> frozenset[str] | None:
    products = _require(row.get("products"), f"{where}.products", _maybe(_texts))
    return None if products is None else frozenset(products)


class World:
    """The master data with the indexes that a decision needs."""

    def __init__(self, scenario: dict[str, Any], token_of: Callable[[str], str], month_keys: Callable[[str], tuple[str, str]]) -> None:
        """``token_of`` tokenises a number; ``month_keys`` gives the (day, month) keys of now in a zone. Raises ``ScenarioError``."""
        self._token_of = token_of
        self.terminal: str = _require(scenario.get("terminal"), "terminal", _text)
        self.networks = frozenset(_require(scenario.get("networks", []), "networks", _texts))
        self.site: str = _require(scenario.get("site"), "site", _text)
        self.zone: str = _require(scenario.get("zone"), "zone", _zone)
        self.currency: str = _require(scenario.get("currency"), "currency", _text)
        self.decimals: int = _require(scenario.get("decimals"), "decimals", lambda value: value in (0, 2, 3) and type(value) is int)
        self.restricted = frozenset(_require(scenario.get("restricted_products", []), "restricted_products", _texts))
        self.pin_tries: int = _require(scenario.get("pin_tries", DEFAULT_PIN_TRIES), "pin_tries", _count)
        self.nozzles = [self._nozzle(row, where) for where, row in self._rows(scenario, "fuelling_points")]
        self.minimum_ml = {(each.fp, each.nozzle): each.minimum_ml for each in self.nozzles}
        self.customers = {each.customer: each for each in (self._customer(r, w) for w, r in self._rows(scenario, "customers"))}
        self.cards: dict[str, Card] = {}
        for where, row in self._rows(scenario, "cards"):
            card = self._card(row, where)
            if card.token in self.cards:
                raise ScenarioError(f"{where}.number: the number is there twice")
            self.cards[card.token] = card
        self.accounts = frozenset(card.account_token for card in self.cards.values())
        self._link_pairs()
        self.zone_of_subject = {Subject("customer", name): self.zone_of_customer(name) for name in self.customers}
        for card in self.cards.values():
            self.zone_of_subject[Subject("card", card.account_token)] = self.zone_of_customer(card.customer)
        self.meters: list[Meter] = []
        self.meters_of: dict[Subject, list[Meter]] = {}
        self.balances: list[Balance] = []
        self.balances_of: dict[Subject, list[Balance]] = {}
        for where, row in self._rows(scenario, "limits"):
            self._limit(row, where)
        for where, row in self._rows(scenario, "host_counts"):
            self._host_count(row, where, month_keys)
        for where, row in self._rows(scenario, "balances"):
            self._balance(row, where)
        self.shares: dict[tuple[MeterKey, str], int] = {}
        for where, row in self._rows(scenario, "shares"):
            self._share(row, where)
        given = _require(scenario.get("online_only", []), "online_only", lambda value: isinstance(value, list | tuple))
        ranges = [_require(each, f"online_only[{index}]", _range) for index, each in enumerate(given)]
        self.online_only = frozenset((low, high) for low, high in ranges)
        try:
            self.identification = Identification(scenario, token_of)
        except (Wrong, AttributeError, KeyError, TypeError) as error:
            raise ScenarioError(str(error) if isinstance(error, Wrong) else "ranges, prompt_rules or odometers: not understood") from None

    @staticmethod
    def _rows(scenario: dict[str, Any], name: str) -> Iterable[tuple[str, dict[str, Any]]]:
        rows = _require(scenario.get(name, []), name, lambda value: isinstance(value, list | tuple))
        for index, row in enumerate(rows):
            where = f"{name}[{index}]"
            yield where, _require(row, where, lambda value: isinstance(value, dict))

    @staticmethod
    def _nozzle(row: dict[str, Any], where: str) -> Nozzle:
        return Nozzle(
            fp=_require(row.get("fp"), f"{where}.fp", _count),
            nozzle=_require(row.get("nozzle"), f"{where}.nozzle", _count),
            product=_require(row.get("product"), f"{where}.product", _text),
            price=_require(row.get("price"), f"{where}.price", _count),
            minimum_ml=_require(row.get("minimum_ml", DEFAULT_MINIMUM_ML), f"{where}.minimum_ml", _count),
        )

    @staticmethod
    def _customer(row: dict[str, Any], where: str) -> Customer:
        return Customer(
            customer=_require(row.get("customer"), f"{where}.customer", _text),
            active=_require(row.get("status", "active"), f"{where}.status", _one_of("active", "blocked")) == "active",
            offline=_require(row.get("offline", "ALLOWED"), f"{where}.offline", _one_of(*OFFLINE)),
            zone=_require(row.get("zone"), f"{where}.zone", _maybe(_zone)),
        )

    def _card(self, row: dict[str, Any], where: str) -> Card:
        number: str = _require(row.get("number"), f"{where}.number", _text)
        account: str = _require(row.get("account"), f"{where}.account", _maybe(_text)) or number
        sites = _require(row.get("sites"), f"{where}.sites", _maybe(_texts))
        pin = _require(row.get("pin"), f"{where}.pin", _maybe(lambda value: _text(value) and value.isascii() and value.isdigit()))
        return Card(
            number=number,
            account=account,
            pin=pin,
            token=self._token_of(number),
            account_token=self._token_of(account),
            medium=_require(row.get("medium", "badge"), f"{where}.medium", _one_of(*MEDIA)),
            customer=_require(row.get("customer"), f"{where}.customer", _maybe(_text)),
            active=_require(row.get("status", "active"), f"{where}.status", _one_of("active", "blocked")) == "active",
            products=_group(row, where),
            offline=_require(row.get("offline", "ALLOWED"), f"{where}.offline", _one_of(*OFFLINE)),
            prompts=tuple(_require(row.get("prompts") or [], f"{where}.prompts", _texts)),
            tank_ml=_require(row.get("tank_ml"), f"{where}.tank_ml", _maybe(_count)),
            sites=None if sites is None else frozenset(sites),
            hours=row.get("hours"),
            pair=_require(row.get("pair"), f"{where}.pair", _maybe(_text)),
            language=_require(row.get("language"), f"{where}.language", _maybe(_text)),
            valid_from=_require(row.get("valid_from"), f"{where}.valid_from", _maybe(_date)),
            valid_to=_require(row.get("valid_to"), f"{where}.valid_to", _maybe(_date)),
            cost_centre=_require(row.get("cost_centre"), f"{where}.cost_centre", _maybe(_short)),
            driver=_require(row.get("driver"), f"{where}.driver", _maybe(_short)),
            pin_check=_require(row.get("pin_check") or "terminal", f"{where}.pin_check", _one_of("terminal", "host", "both")),
        )

    def _link_pairs(self) -> None:
        # A pair that is a number or an account is a card number and must not travel in clear; any other word is a group's name.
        known = {card.number: card.account_token for card in self.cards.values()}
        known.update({card.account: card.account_token for card in self.cards.values()})
        for card in self.cards.values():
            if card.pair is not None:
                card.pair = known.get(card.pair, card.pair)

    def zone_of_customer(self, customer: str | None) -> str:
        """The customer's accounting zone, else the site's."""
        found = self.customers.get(customer) if customer is not None else None
        return found.zone if found is not None and found.zone is not None else self.zone

    def _subject(self, row: dict[str, Any], where: str) -> Subject:
        subject = _require(row.get("subject"), f"{where}.subject", lambda value: isinstance(value, dict) and len(value) == 1)
        for kind, key in subject.items():
            _require(key, f"{where}.subject", _text)
            if kind == "card":
                return Subject("card", self._token_of(key))
            if kind == "customer":
                return Subject("customer", key)
        raise ScenarioError(f"{where}.subject: neither card nor customer")

    def _meter(self, subject: Subject, period: str, measure: str, products: frozenset[str] | None) -> Meter:
        for meter in self.meters_of.get(subject, []):
            if (meter.period, meter.measure, meter.products) == (period, measure, products):
                return meter
        meter = Meter(subject, period, measure, products)
        self.meters.append(meter)
        self.meters_of.setdefault(subject, []).append(meter)
        return meter

    def _limit(self, row: dict[str, Any], where: str) -> None:
        period = _require(row.get("period"), f"{where}.period", _one_of(*PERIODS))
        measure = _require(row.get("measure"), f"{where}.measure", _one_of(*MEASURES))
        if period == "FUELLING" and measure == "COUNT":
            raise ScenarioError(f"{where}.measure: a fuelling has no count")
        amount = _require(row.get("amount"), f"{where}.amount", _count)
        meter = self._meter(self._subject(row, where), period, measure, _group(row, where))
        meter.limit = amount if meter.limit is None else min(meter.limit, amount)
        if _require(row.get("shared", False), f"{where}.shared", lambda value: isinstance(value, bool)):
            if period == "FUELLING":
                raise ScenarioError(f"{where}.shared: a fuelling is nobody else's")
            meter.shared = True

    def shared_meter(self, subject: Subject, period: str, measure: str, products: frozenset[str] | None) -> Meter | None:
        """The shared limit of this kind, if there is one."""
        found = self.meters_of.get(subject, [])
        return next((each for each in found if each.shared and each.key == (subject, period, measure, products)), None)

    def _share(self, row: dict[str, Any], where: str) -> None:
        period = _require(row.get("period"), f"{where}.period", _one_of("DAY", "MONTH"))
        measure = _require(row.get("measure"), f"{where}.measure", _one_of(*MEASURES))
        amount = _require(row.get("amount"), f"{where}.amount", _count)
        terminal = _require(row.get("terminal", self.terminal), f"{where}.terminal", _text)
        meter = self.shared_meter(self._subject(row, where), period, measure, _group(row, where))
        if meter is None or meter.limit is None:
            raise ScenarioError(f"{where}: there is no shared limit of that kind")
        if (meter.key, terminal) in self.shares:
            raise ScenarioError(f"{where}: the share is there twice")
        self.shares[meter.key, terminal] = amount
        if sum(each for (key, _), each in self.shares.items() if key == meter.key) > meter.limit:
            raise ScenarioError(f"{where}.amount: with the other shares more than the limit")

    def _host_count(self, row: dict[str, Any], where: str, month_keys: Callable[[str], tuple[str, str]]) -> None:
        period = _require(row.get("period"), f"{where}.period", _one_of("DAY", "MONTH"))
        measure = _require(row.get("measure"), f"{where}.measure", _one_of(*MEASURES))
        amount = _require(row.get("amount"), f"{where}.amount", _count)
        subject = self._subject(row, where)
        meter = self._meter(subject, period, measure, _group(row, where))
        day, month = month_keys(self.zone_of_subject.get(subject, self.zone))
        window = day if period == "DAY" else month
        meter.used[window] = meter.used.get(window, 0) + amount

    def _balance(self, row: dict[str, Any], where: str) -> None:
        subject = self._subject(row, where)
        balance = Balance(
            subject=subject,
            kind=_require(row.get("kind"), f"{where}.kind", _one_of("prepaid", "ceiling")),
            measure=_require(row.get("measure"), f"{where}.measure", _one_of("QUANTITY", "VALUE")),
            products=_group(row, where),
            amount=_require(row.get("amount"), f"{where}.amount", _count),
        )
        self.balances.append(balance)
        self.balances_of.setdefault(subject, []).append(balance)
