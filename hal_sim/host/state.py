"""The state of the simulated host, with what tests may do to it (block, publish …) and read from it (sales, holds …).

Source: firmware_notes/host-api.md, sections "Controls" and "Inspection". The calls of a terminal are in ``book``.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hal_sim.host.crypto import Sealer, token_of
from hal_sim.host.identification import PinChecks
from hal_sim.host.list_shelf import ListShelf
from hal_sim.host.lists import DenyList, Publisher
from hal_sim.host.pki import Authority
from hal_sim.host.push import Acknowledged, Cursor, PushLog, Word
from hal_sim.host.records import Entry, Journal
from hal_sim.host.shares import ShareBook
from hal_sim.host.usage import Shares, Usage
from hal_sim.host.windows import Calendar
from hal_sim.host.world import Card, Subject, World


@dataclass(frozen=True, slots=True)
class OpenAuthorization:
    """An approval whose record or reversal has not come yet. The two bounds are those of the answer."""

    authorization: str
    sale: str
    terminal: str
    account: str
    customer: str | None
    instant_ms: int
    quantity_ml: int | None
    value_minor: int | None
    shares: Shares = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a booked sale counts now: amounts, the card whose limits it counts on (by token, None: unknown), prompts."""

    quantity_ml: int
    value_minor: int
    card: str | None
    prompts: Mapping[str, str] = field(default_factory=dict)
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction as it was pushed. ``event`` is its id in the stream."""

    event: int
    data: dict[str, Any] = field(repr=False)
    said_at_ms: int


class HostState:
    """Master data, journal, holds and lists. Times are UTC milliseconds, taken from ``now_utc_ms`` only.

    Attributes for tests: the three keys; ``list_epoch`` and ``list_version`` of the newest list; ``busy`` (answers "retry" to
    records and reversals while True); ``calls`` per kind; ``refused`` (status, code, message) of the last thousand; ``conflicts``,
    the keys of records that came for a sale booked already; ``terminal_state`` as last put and ``terminal_state_at_ms``; ``acks`` by
    event, the first one of each; ``applied`` by list epoch and version; ``batches``, every sums that came with their answers;
    ``listeners`` are called whenever there is something new to push.
    """

    def __init__(
        self,
        scenario: dict[str, Any],
        now_utc_ms: Callable[[], int],
        *,
        token_key: bytes | None = None,
        pin_key: bytes | None = None,
        card_key: bytes | None = None,
        list_key: bytes | None = None,
        list_epoch: str = "e1",
    ) -> None:
        """Reads the scenario and publishes list version 1. Keys have 32 bytes and are random when not given. Raises ``ScenarioError``."""
        self.token_key = token_key or secrets.token_bytes(32)
        self.pin_key = pin_key or secrets.token_bytes(32)
        self.card_key = card_key or secrets.token_bytes(32)
        self.list_epoch = list_epoch
        self.list_version = 0
        self.busy = False
        self.calls: Counter[str] = Counter()
        self.refused: deque[tuple[int, str, str]] = deque(maxlen=1000)
        self.conflicts: list[str] = []
        self.ledger_heads: dict[str, dict[str, Any]] = {}
        self.terminal_state: dict[str, Any] | None = None
        self.terminal_state_at_ms: int | None = None
        self.begun = False  # that state has changed which of the terminal's epochs lists tell of
        self.acks: dict[int, Acknowledged] = {}
        self.applied: dict[tuple[str, int], Acknowledged] = {}
        self.batches: list[dict[str, Any]] = []
        self.listeners: list[Callable[[], None]] = []
        self.authority: Authority | None = None  # the server's, which signs terminals' requests
        self._push = PushLog()
        self._now = now_utc_ms
        self._calendar = Calendar()
        self._world = World(scenario, self.token_of, lambda zone: self._calendar.keys(now_utc_ms(), zone))
        self._share_book = ShareBook()
        self._usage = Usage(self._world, self._calendar, self._share_book)
        self._journal = Journal()
        self._deny = DenyList()
        self._publisher = Publisher(self._world, self._journal, self._deny, self._calendar, self._share_book, self.pin_key, self.token_key)
        self._pin_checks = PinChecks(self.pin_key, self._world.pin_tries)
        self._sealer = Sealer(self.card_key)
        self._pin_epochs: dict[str, int] = {}
        self._open: dict[str, OpenAuthorization] = {}
        self._authorized: set[str] = set()
        self._reversed: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.shelf = ListShelf(self._world.terminal, list_key or secrets.token_bytes(32))
        self._standings: dict[str, Standing] = {}
        self._corrections: dict[str, Correction] = {}
        self._next_authorization = 1
        self._editions: dict[tuple[str, int], int] = {}
        for (key, terminal), amount in self._world.shares.items():
            if terminal != self._world.terminal:
                self._share_book.fix(key, terminal, amount)
        self.publish()

    @property
    def terminal(self) -> str:
        """The terminal's name."""
        return self._world.terminal

    def token_of(self, number: str) -> str:
        """The token of a card or account number."""
        return token_of(self.token_key, number)

    def pin_initial_key(self) -> tuple[bytes, bytes]:
        """The key that the terminal is loaded with for PIN blocks, and the key's id."""
        return self._pin_checks.initial(self.terminal)

    # --- controls -----------------------------------------------------------------------------------------------------

    def odometer(self, card: str, reading: int) -> None:
        """The account's odometer reads this from now on, as after an exchange; in lists with the next publish. Raises ``ValueError``."""
        found = self._world.cards.get(self.token_of(card))
        if found is None or type(reading) is not int or not 0 <= reading <= 10**10:
            raise ValueError("a known card and a reading are expected")
        self._world.identification.odometers[found.account_token] = reading, self._now()

    def publish(self, *, confirm_shrink: bool = False) -> int:
        """Publishes the lists as of now and returns the new version. The last five stay readable, and the changes between them."""
        self.list_version += 1
        now_ms = self._now()
        edition = self._editions[self.list_epoch, self.list_version] = len(self._editions) + 1
        rows = self._publisher.rows(self._world.terminal, now_ms, self._pin_epochs)
        rows += self._publisher.shares(self._world.terminal, now_ms, edition)
        self.shelf.put(self.list_epoch, self.list_version, rows, now_ms, confirm_shrink=confirm_shrink)
        self._tell_listeners()
        return self.list_version

    def _tell_listeners(self) -> None:
        for listener in self.listeners:
            listener()

    def _say(self, subject: tuple[str, ...], *, lifted: bool) -> None:
        # The next list will have it: until a terminal reads that one, this word goes before its list.
        kind, *values = subject
        named = {"range": values} if kind == "range" else {kind: values[0]}
        data = {"deny": named, "lifted": lifted, "epoch": self.list_epoch, "list_version": self.list_version + 1}
        self._push.say("deny", subject, data, self._now())
        self._tell_listeners()

    def restart_lists(self, epoch: str) -> None:
        """Starts a new list epoch at version 1, as a host does that restored its database."""
        if epoch == self.list_epoch:
            raise ValueError("the epoch must be a new one")
        self.list_epoch, self.list_version = epoch, 0
        self.publish()

    def _cards(self, number: str) -> list[Card]:
        found = self._world.cards.get(self.token_of(number))
        if found is not None:
            return [found]
        return [card for card in self._world.cards.values() if card.account == number]

    def block(self, *, card: str | None = None, customer: str | None = None, numbers: tuple[str, str] | None = None) -> None:
        """Blocks a card (by number, or all of an account), a customer, or a range of numbers: online and pushed at once, in lists at
        ``publish``.

        A card that is in no table is denied all the same. Raises ``ValueError`` unless exactly one is given.
        """
        self._exactly_one(card, customer, numbers)
        if card is not None:
            cards = self._cards(card)
            tokens = [each.token for each in cards] or [self.token_of(card)]
            self._deny.tokens.update(tokens)
            for each in cards:
                each.active = False
            for token in tokens:
                self._say(("card", token), lifted=False)
        if customer is not None:
            self._deny.customers.add(customer)
            if customer in self._world.customers:
                self._world.customers[customer].active = False
            self._say(("customer", customer), lifted=False)
        if numbers is not None:
            if len(numbers[0]) != len(numbers[1]):
                raise ValueError("both ends of a range have the same length")
            self._deny.ranges.add(numbers)
            self._say(("range", *numbers), lifted=False)

    def unblock(self, *, card: str | None = None, customer: str | None = None, numbers: tuple[str, str] | None = None) -> None:
        """Lifts a block, also one of the scenario: online and pushed at once, in lists at ``publish``.

        Raises ``ValueError`` unless exactly one is given.
        """
        self._exactly_one(card, customer, numbers)
        if card is not None:
            cards = self._cards(card)
            tokens = dict.fromkeys([self.token_of(card)] * (not cards) + [each.token for each in cards])
            self._deny.tokens.discard(self.token_of(card))
            for each in cards:
                each.active = True
            for token in tokens:
                self._deny.tokens.discard(token)
                self._say(("card", token), lifted=True)
        if customer is not None:
            self._deny.customers.discard(customer)
            if customer in self._world.customers:
                self._world.customers[customer].active = True
            self._say(("customer", customer), lifted=True)
        if numbers is not None:
            self._deny.ranges.discard(numbers)
            self._say(("range", *numbers), lifted=True)

    @staticmethod
    def _exactly_one(*given: object) -> None:
        if sum(each is not None for each in given) != 1:
            raise ValueError("exactly one of card, customer and numbers is to be given")

    def unlock_pin(self, card: str) -> None:
        """Gives the card's account a new PIN epoch, with fresh tries, in the next published list. Raises ``ValueError`` if unknown."""
        cards = self._cards(card)
        if not cards:
            raise ValueError("the card is not known here")
        account = cards[0].account_token
        self._pin_checks.unlock(account)
        self._pin_epochs[account] = self._pin_epochs.get(account, 1) + 1

    def news(self, cursor: Cursor) -> tuple[bytes, Cursor]:
        """What a stream that stands there has not been told yet, and where it stands then."""
        return self._push.news(cursor, self.list_epoch, self.list_version)

    # --- inspection ---------------------------------------------------------------------------------------------------

    def prices(self) -> dict[tuple[int, int], tuple[str, int]]:
        """(product, price) per (fuelling point, nozzle)."""
        return {(each.fp, each.nozzle): (each.product, each.price) for each in self._world.nozzles}

    def pushed(self) -> list[Word]:
        """The newest word about each subject, and every correction that is not acknowledged yet, in order."""
        return self._push.words()

    def records(self) -> list[dict[str, Any]]:
        """All booked records in order, each with ``received_at_ms``, ``account`` (token), ``customer`` and ``flags``."""
        return [entry.as_dict() for entry in self._journal.entries]

    def sales(self) -> list[dict[str, Any]]:
        """The booked records with a volume above 0."""
        return [entry.as_dict() for entry in self._journal.entries if entry.record["quantity_ml"] > 0]

    def find(self, sale: str) -> Entry | None:
        """The booked record of a sale, without copying."""
        return self._journal.find(sale)

    def open_authorizations(self) -> list[OpenAuthorization]:
        """Approvals without record or reversal."""
        return list(self._open.values())

    def reversals(self) -> list[dict[str, Any]]:
        """All reversals, in order."""
        return [dict(each) for each in self._reversed.values()]

    def totals(self) -> dict[tuple[int, int | None, str | None], tuple[int, int, int]]:
        """(millilitres, minor units, sales) booked per (fuelling point, nozzle, product)."""
        return self._journal.totals()

    def missing_sequences(self) -> list[tuple[int, int]]:
        """(epoch, sequence) of the terminal's sales that the host has heard of, or that lie below one, without a record."""
        return self._journal.missing(self._world.terminal)

    def watermark(self) -> int:
        """The terminal's highest sequence up to which every record is booked."""
        return self._journal.watermark(self._world.terminal)

    def remaining(
        self, subject: dict[str, str], period: str, measure: str, products: list[str] | None = None, at_utc_ms: int | None = None
    ) -> int:
        """What is left of a limit after use and holds, in the window of the given instant or of now. ``subject`` as in the scenario.

        Raises ``KeyError`` when there is no such limit.
        """
        ((kind, name),) = subject.items()
        wanted = Subject("card", self.token_of(name)) if kind == "card" else Subject("customer", name)
        for meter in self._world.meters_of.get(wanted, ()):
            group = None if products is None else frozenset(products)
            if (meter.period, meter.measure, meter.products) == (period, measure, group) and meter.limit is not None:
                zone = self._world.zone_of_subject.get(wanted, self._world.zone)
                keys = self._calendar.keys(self._now() if at_utc_ms is None else at_utc_ms, zone)
                window = {"FUELLING": "", "DAY": keys[0], "MONTH": keys[1]}[period]
                return max(0, meter.limit - meter.used.get(window, 0) - meter.held.get(window, 0))
        raise KeyError(f"no {period} {measure} limit of this {kind}")
