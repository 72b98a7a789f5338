"""The small ports of the kit: a vault whose secrets are hashes, lists that are dicts, a disk with or without room."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from terminal.core.card_data import Balance, Baseline, Card, Customer, DenyList, Limit, PinRule, Share
from terminal.core.card_table import CardRange
from terminal.core.ids import SaleId
from terminal.core.pin import PinBlock, PinEntry
from terminal.core.prompt_rules import Odometer, PromptRule


def token_of(number: str) -> str:
    """The keyed token of the kit's vault."""
    return hashlib.sha256(number.encode()).hexdigest()[:32]


class KitVault:
    """Keys that are none: everything can be predicted by a test. ``pin_keys``: PINs can be enciphered."""

    def __init__(self) -> None:
        self.pin_keys = True
        self.blocks = 0

    def token(self, number: str) -> str:
        return token_of(number)

    def seal(self, number: str, sale: SaleId) -> str:
        return f"sealed for {sale}"

    def seal_second(self, number: str, sale: SaleId) -> str:
        return f"sealed second for {sale}"

    def answer(self, subject: str, prompt: str, answer: str) -> str:
        return hashlib.sha256(f"{subject} {prompt} {answer}".encode()).hexdigest()[:32]

    def pin_block(self, number: str, pin: PinEntry) -> PinBlock | None:
        if not self.pin_keys:
            return None
        self.blocks += 1
        return PinBlock(hashlib.sha256(bytes(pin.view())).hexdigest()[:32], f"{self.blocks:024x}")

    def pin_matches(self, rule: PinRule, account: str, pin: PinEntry) -> bool:
        return hashlib.sha256(account.encode() + bytes(pin.view())).hexdigest() == rule.verifier


class KitDeny:
    """The deny list as three sets."""

    def __init__(self) -> None:
        self.cards: set[str] = set()
        self.customers: set[str] = set()
        self.numbers: set[str] = set()

    def card(self, token: str) -> bool:
        return token in self.cards

    def customer(self, name: str) -> bool:
        return name in self.customers

    def in_range(self, number: str) -> bool:
        return number in self.numbers


@dataclass
class KitLists:
    """The card file as dicts."""

    epoch: str = "E1"
    version: int = 7
    cards: dict[str, Card] = field(default_factory=dict)
    customers: dict[str, Customer] = field(default_factory=dict)
    limit_rows: list[Limit] = field(default_factory=list)
    share_rows: list[Share] = field(default_factory=list)
    grey: set[str] = field(default_factory=set)
    table: tuple[CardRange, ...] = ()
    rules: tuple[PromptRule, ...] = ()
    odometers: dict[str, Odometer] = field(default_factory=dict)
    denied: KitDeny = field(default_factory=KitDeny)

    def __post_init__(self) -> None:
        self.deny: DenyList = self.denied

    def denied_ranges(self, number: str) -> tuple[tuple[str, str], ...]:
        return ((number, number),) if number in self.denied.numbers else ()

    def card(self, token: str) -> Card | None:
        return self.cards.get(token)

    def customer(self, name: str) -> Customer | None:
        return self.customers.get(name)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        return tuple(limit for limit in self.limit_rows if limit.subject.id in (account, customer))

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        return ()

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        return ()

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        return tuple(share for share in self.share_rows if share.subject.id in (account, customer))

    def online_only(self, number: str) -> bool:
        return number in self.grey

    def ranges(self) -> tuple[CardRange, ...]:
        return self.table

    def prompt_rules(self, account: str, customer: str | None) -> tuple[PromptRule, ...]:
        return tuple(rule for rule in self.rules if rule.subject.id in (account, customer))

    def odometer(self, account: str) -> Odometer | None:
        return self.odometers.get(account)


@dataclass
class KitStorage:
    """Room on the disk, or none."""

    room: bool = True

    def ready(self) -> bool:
        return self.room
