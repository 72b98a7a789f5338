"""What the Givens of a scenario said: the ``Setup`` that a world starts from, and its form as plain JSON.

Source: the behaviour language, section "Given" with its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum


class SubjectKind(Enum):
    """Who a limit, a balance or a block belongs to."""

    CARD = "card"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Subject:
    """A card or a customer by its name in the tables.

    With limits, balances, counts and PIN tries the name of a card is its *account*; with blocks it is the *number* on the medium.
    """

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"

    def as_scenario(self) -> dict[str, str]:
        """``{"card": "…"}`` or ``{"customer": "…"}``."""
        return {self.kind.value: self.name}


@dataclass(frozen=True, slots=True)
class HostConduct:
    """How the host behaves. ``HostConduct()`` is a host without fault.

    ``delay_ms``: every answer comes that late. ``lose_answers``: every call is booked, no answer is given (the connection ends).
    ``always_500``: every call is answered with status 500 and nothing is booked.
    """

    reachable: bool = True
    delay_ms: int = 0
    lose_answers: bool = False
    always_500: bool = False


@dataclass(frozen=True, slots=True)
class NozzleRow:
    """One logical nozzle. ``price`` in 1/10000 of the major unit per litre."""

    fp: int
    protocol: str
    nozzle: int
    product: str
    price: int
    minimum_ml: int = 2000


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """One customer; ``zone`` None means the site's."""

    customer: str
    status: str = "active"
    offline: str = "ALLOWED"
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class CardRow:
    """One medium. ``products`` None means every product that is not restricted, ``sites`` None every site."""

    number: str
    account: str
    medium: str
    customer: str | None = None
    status: str = "active"
    pin: str | None = field(default=None, repr=False)
    products: tuple[str, ...] | None = None
    offline: str = "ALLOWED"
    prompts: tuple[str, ...] = ()
    tank_ml: int | None = None
    sites: tuple[str, ...] | None = None
    hours: str | None = None
    pair: str | None = None
    language: str | None = None
    cost_centre: str | None = None
    driver: str | None = None
    pin_check: str = "terminal"


@dataclass(frozen=True, slots=True)
class RangeRow:
    """One row of the card table, as the host's contract writes it; ``codes`` name products or prompts."""

    row: Mapping[str, object]

    @property
    def key(self) -> tuple[object, object]:
        """By what it is known."""
        return self.row["first"], self.row["last"]


@dataclass(frozen=True, slots=True)
class PromptRuleRow:
    """How the answers of a subject to one prompt are judged; the fields are those of the host's contract, with answers in clear."""

    subject: Subject
    prompt: str
    rule: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit. ``amount`` is millilitres, minor units or a count, by ``measure``; ``products`` None means all."""

    subject: Subject
    period: str
    measure: str
    amount: int
    products: tuple[str, ...] | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ShareRow:
    """What this terminal may take offline of a shared limit in the current window, in the limit's measure."""

    subject: Subject
    period: str
    measure: str
    amount: int
    products: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """What may still be taken of a prepaid balance or a credit ceiling, in millilitres or minor units."""

    subject: Subject
    kind: str
    measure: str
    amount: int
    products: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HostCountRow:
    """Use of the current window that the host knows from other places."""

    subject: Subject
    period: str
    measure: str
    amount: int
    products: tuple[str, ...] | None = None


_Row = HostConduct | NozzleRow | CustomerRow | CardRow | LimitRow | ShareRow | BalanceRow | HostCountRow


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that the Givens said. What a table does not name does not exist.

    The terminal starts with the lists and prices of these tables checked just then, its clock trusted and its PIN verifiers made, also
    when the host is unreachable. ``local_time`` is wall time in ``zone`` (``2026-03-28 23:50:00``, the first of two where the hour
    repeats); None leaves the choice to the world, which takes the middle of a day in the middle of a month.
    ``policy`` holds only the settings that the table named, under the names of ``python -m terminal explain`` (``min_dispense_ml`` …)
    and ``tables.POLICY``.
    """

    terminal: str = "OPT1"
    site: str = "S1"
    zone: str = "Europe/Paris"
    currency: str = "EUR"
    decimals: int = 2
    local_time: str | None = None
    policy: Mapping[str, object] = field(default_factory=dict)
    host: HostConduct = HostConduct()
    fuelling_points: tuple[NozzleRow, ...] = ()
    customers: tuple[CustomerRow, ...] = ()
    cards: tuple[CardRow, ...] = ()
    limits: tuple[LimitRow, ...] = ()
    balances: tuple[BalanceRow, ...] = ()
    host_counts: tuple[HostCountRow, ...] = ()
    shares: tuple[ShareRow, ...] = ()
    online_only: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()
    ranges: tuple[RangeRow, ...] = ()
    prompt_rules: tuple[PromptRuleRow, ...] = ()
    odometers: tuple[tuple[str, int], ...] = ()
    emergency_input: bool = False

    def account_of(self, name: str) -> str:
        """The account of a card number; a name that is no number stands for itself."""
        return next((card.account for card in self.cards if card.number == name), name)

    def tag_of(self, number: str) -> str:
        """What the badge with this number is (``hal_sim.badge.catalogue``): by its medium in the table, plain where it is in none."""
        return "desfire" if any(card.number == number and card.medium == "secure badge" for card in self.cards) else "auto"

    def numbers_of(self, name: str) -> tuple[str, ...]:
        """The number itself where the table has it, else every number of that account, else the name as it stands."""
        if any(card.number == name for card in self.cards):
            return (name,)
        return tuple(card.number for card in self.cards if card.account == name) or (name,)

    def as_scenario(self) -> dict[str, object]:
        """The same as plain JSON: the form in which the scenario is handed to another process."""
        return {
            "terminal": self.terminal,
            "site": self.site,
            "zone": self.zone,
            "currency": self.currency,
            "decimals": self.decimals,
            "local_time": self.local_time,
            "policy": {name: _plain(value) for name, value in self.policy.items()},
            "host": _row(self.host),
            "fuelling_points": [_row(row) for row in self.fuelling_points],
            "customers": [_row(row) for row in self.customers],
            "cards": [_row(row) for row in self.cards],
            "limits": [_row(row) for row in self.limits],
            "balances": [_row(row) for row in self.balances],
            "host_counts": [_row(row) for row in self.host_counts],
            "shares": [_row(row) for row in self.shares],
            "online_only": [list(pair) for pair in self.online_only],
            "networks": list(self.networks),
            "ranges": [dict(each.row) for each in self.ranges],
            "prompt_rules": [{"subject": each.subject.as_scenario(), "prompt": each.prompt, **each.rule} for each in self.prompt_rules],
            "odometers": [{"account": self.account_of(name), "reading": reading} for name, reading in self.odometers],
        }


def _row(row: _Row) -> dict[str, object]:
    return {each.name: _plain(getattr(row, each.name)) for each in fields(row)}


def _plain(value: object) -> object:
    if isinstance(value, Subject):
        return value.as_scenario()
    return list(value) if isinstance(value, tuple) else value
