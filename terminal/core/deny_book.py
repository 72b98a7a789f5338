"""Who is denied by push, on top of the list: the newest word per subject wins, and a list that is as new as it supersedes it.

The book is small, in memory, rebuilt from the ledger at start. A word of the host names the first list version that will say the same
(``list_version``): a list of that version or a later one has it, so the word is dropped when such a list goes live. Versions of two
epochs do not compare: a host that rebuilt its data may have lost a block, so a deny stays until it is lifted, and a lift falls with the
epoch that it was about. Sources: reference/host-and-offline-authorization.md 8.6 step 3 and 9.3; firmware_notes/host-api.md, "Push".

Numbers are not stored, so a denied range is matched where a clear number is at hand: while a driver stands at the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from terminal.core.card_data import Balance, Baseline, Card, Customer, Limit, Share, Status
from terminal.core.card_table import CardRange
from terminal.core.deny_subject import DenyKind, DenySubject
from terminal.core.ports import Lists
from terminal.core.prompt_rules import Odometer, PromptRule
from terminal.core.reasons import Reason

__all__ = ["DenyBook", "DenyEntry", "DenyKind", "DenySubject", "OnDeny", "WatchedLists", "covers"]


class OnDeny(Enum):
    """What a deny does to a fuelling that runs; the value is the configuration's word."""

    STOP = "stop"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class DenyEntry:
    """One word of the host. ``effective_at``: the terminal's UTC milliseconds from which nothing was decided without it."""

    event: int
    subject: DenySubject
    lifted: bool
    epoch: str
    list_version: int
    effective_at: int


def covers(first: str, last: str, number: str) -> bool:
    """Does the number lie in that range: same length, by digits?"""
    return len(first) == len(number) and first <= number <= last


class DenyBook:
    """The newest word about each subject, as long as no list has it."""

    def __init__(self, entries: Iterable[DenyEntry] = ()) -> None:
        self.entries: dict[DenySubject, DenyEntry] = {entry.subject: entry for entry in entries}

    def find(self, kind: DenyKind, value: str, upto: str = "") -> DenyEntry | None:
        """The word about this subject."""
        return self.entries.get(DenySubject(kind, value, upto)) if self.entries else None

    def beats(self, entry: DenyEntry, epoch: str, version: int) -> bool:
        """Is this news, against what is known and against the live list of that epoch and version?"""
        if entry.epoch == epoch and entry.list_version <= version:
            return False
        known = self.entries.get(entry.subject)
        if known is None or known.epoch != entry.epoch:
            return True
        return (entry.list_version, entry.event) > (known.list_version, known.event)

    def take(self, entry: DenyEntry) -> None:
        """Keep the newest word about its subject."""
        self.entries[entry.subject] = entry

    def adopted(self, epoch: str, version: int) -> None:
        """A list went live: what it has is dropped, and so are lifts that were about another epoch's list."""
        self.entries = {
            subject: entry
            for subject, entry in self.entries.items()
            if not (entry.list_version <= version if entry.epoch == epoch else entry.lifted)
        }


class WatchedLists:
    """The live list with the book's words on it: ``core.ports.Lists`` and its ``DenyList`` for everything that decides.

    A lift is newer than the list, so it also overrides the row that says "blocked" of that card or customer.
    """

    def __init__(self, lists: Lists, book: DenyBook) -> None:
        self.lists = lists
        self.book = book
        self.deny = _WatchedDeny(lists, book)

    @property
    def epoch(self) -> str:
        """Of the live list."""
        return self.lists.epoch

    @property
    def version(self) -> int:
        """Of the live list."""
        return self.lists.version

    def card(self, token: str) -> Card | None:
        """See ``core.card_data.CardSource``."""
        found = self.lists.card(token)
        if found is not None and found.status is Status.BLOCKED and self._lifted(DenyKind.CARD, token):
            return replace(found, status=Status.ACTIVE)
        return found

    def customer(self, name: str) -> Customer | None:
        """See ``core.card_data.CardSource``."""
        found = self.lists.customer(name)
        if found is not None and found.status is Status.BLOCKED and self._lifted(DenyKind.CUSTOMER, name):
            return replace(found, status=Status.ACTIVE)
        return found

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """See ``core.card_data.CardSource``."""
        return self.lists.limits(account, customer)

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """See ``core.card_data.CardSource``."""
        return self.lists.balances(account, customer)

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """See ``core.card_data.CardSource``."""
        return self.lists.baselines(account, customer)

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        """See ``core.card_data.CardSource``."""
        return self.lists.shares(account, customer)

    def online_only(self, number: str) -> bool:
        """See ``core.card_data.CardSource``."""
        return self.lists.online_only(number)

    def ranges(self) -> tuple[CardRange, ...]:
        """See ``core.ports.Lists``."""
        return self.lists.ranges()

    def prompt_rules(self, account: str, customer: str | None) -> tuple[PromptRule, ...]:
        """See ``core.ports.Lists``."""
        return self.lists.prompt_rules(account, customer)

    def odometer(self, account: str) -> Odometer | None:
        """See ``core.ports.Lists``."""
        return self.lists.odometer(account)

    def denied_ranges(self, number: str) -> tuple[tuple[str, str], ...]:
        """See ``core.ports.Lists``."""
        return self.deny.ranges(number)

    def why_denied(self, token: str, customer: str | None, number: str = "") -> Reason | None:
        """The reason of the decision's first step for this medium, None when it is not denied."""
        if self.deny.card(token) or (number and self.deny.in_range(number)):
            return Reason.CARD_BLOCKED
        return Reason.CUSTOMER_BLOCKED if customer is not None and self.deny.customer(customer) else None

    def _lifted(self, kind: DenyKind, value: str) -> bool:
        entry = self.book.find(kind, value)
        return entry is not None and entry.lifted


class _WatchedDeny:
    """The book's denies and the list's, less what was lifted since."""

    def __init__(self, lists: Lists, book: DenyBook) -> None:
        self._lists = lists
        self._book = book

    def card(self, token: str) -> bool:
        entry = self._book.find(DenyKind.CARD, token)
        return self._lists.deny.card(token) if entry is None else not entry.lifted

    def customer(self, name: str) -> bool:
        entry = self._book.find(DenyKind.CUSTOMER, name)
        return self._lists.deny.customer(name) if entry is None else not entry.lifted

    def in_range(self, number: str) -> bool:
        return bool(self.ranges(number))

    def ranges(self, number: str) -> tuple[tuple[str, str], ...]:
        """The denied ranges that hold this number. One is lifted as the range that it was, not by parts."""
        words = self._book.entries
        listed = self._lists.denied_ranges(number)
        kept = tuple(pair for pair in listed if DenySubject(DenyKind.RANGE, *pair) not in words)
        return kept + tuple(
            (subject.value, subject.upto)
            for subject, entry in words.items()
            if subject.kind is DenyKind.RANGE and not entry.lifted and covers(subject.value, subject.upto, number)
        )
