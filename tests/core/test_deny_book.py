"""The newest word per subject wins, a list that is as new supersedes it, and what is denied is the naive reading of all that was said."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from terminal.core.card_data import Status
from terminal.core.deny_book import DenyBook, DenyEntry, DenyKind, DenySubject, WatchedLists
from terminal.core.reasons import Reason
from tests.machines.site_kit import Bench, KitLists, token_of

CARD = DenySubject(DenyKind.CARD, "a" * 32)
CUSTOMER = DenySubject(DenyKind.CUSTOMER, "C1")
SUBJECTS = (CARD, CUSTOMER, DenySubject(DenyKind.CARD, "b" * 32))


def word(event: int, subject: DenySubject = CARD, *, lifted: bool = False, epoch: str = "E1", version: int = 8) -> DenyEntry:
    return DenyEntry(event, subject, lifted, epoch, version, 1_000 + event)


@dataclass(frozen=True)
class Said:
    """The host blocks or unblocks a subject, or publishes (subject None)."""

    subject: DenySubject | None
    lifted: bool


SAID = st.lists(st.builds(Said, st.sampled_from([None, *SUBJECTS]), st.booleans()), max_size=30)


class Host:
    """Says words as the contract wants them, and knows the truth."""

    def __init__(self) -> None:
        self.version = 1
        self.blocked: set[DenySubject] = set()
        self.listed: dict[int, frozenset[DenySubject]] = {1: frozenset()}
        self.words: list[DenyEntry] = []

    def hear(self, said: Said) -> DenyEntry | None:
        if said.subject is None:
            self.version += 1
            self.listed[self.version] = frozenset(self.blocked)
            return None
        (self.blocked.discard if said.lifted else self.blocked.add)(said.subject)
        self.words.append(word(len(self.words) + 1, said.subject, lifted=said.lifted, version=self.version + 1))
        return self.words[-1]


def denied(book: DenyBook, listed: frozenset[DenySubject]) -> set[DenySubject]:
    lists = KitLists()
    lists.denied.cards = {one.value for one in listed if one.kind is DenyKind.CARD}
    lists.denied.customers = {one.value for one in listed if one.kind is DenyKind.CUSTOMER}
    watched = WatchedLists(lists, book)
    ask = {DenyKind.CARD: watched.deny.card, DenyKind.CUSTOMER: watched.deny.customer}
    return {one for one in SUBJECTS if ask[one.kind](one.value)}


@given(SAID, st.lists(st.booleans(), min_size=30, max_size=30))
def test_whenever_lists_are_taken_the_terminal_knows_the_truth(said: list[Said], takes: list[bool]) -> None:
    """Words come at once, lists when they come: what is denied is what the host means, at every moment."""
    host, book, version = Host(), DenyBook(), 1
    for one, take in zip(said, takes, strict=False):
        entry = host.hear(one)
        if entry is not None:
            assert book.beats(entry, "E1", version)
            book.take(entry)
        if take and host.version > version:
            version = host.version
            book.adopted("E1", version)
        assert denied(book, host.listed[version]) == host.blocked
    assert all(entry.list_version > version for entry in book.entries.values())


@given(SAID, st.permutations(range(30)), st.integers(1, 30))
def test_words_that_come_again_or_in_another_order_change_nothing(said: list[Said], order: list[int], taken: int) -> None:
    host = Host()
    for one in said:
        host.hear(one)
    version = min(taken, host.version)
    book = DenyBook()
    for place in order:
        for entry in host.words[place : place + 1] * 2:
            if book.beats(entry, "E1", version):
                book.take(entry)
    assert denied(book, host.listed[version]) == host.blocked


def test_a_deny_stays_when_the_host_rebuilds_its_data_and_a_lift_falls() -> None:
    book = DenyBook([word(1, CARD), word(2, CUSTOMER, lifted=True)])
    book.adopted("E2", 50)
    assert list(book.entries) == [CARD]
    assert book.beats(word(1, CARD, lifted=True, epoch="E2", version=51), "E2", 50), "the new epoch counts its events from 1"
    assert not book.beats(word(9, CARD, lifted=True, epoch="E2", version=50), "E2", 50)


def test_a_lift_also_overrides_the_blocked_row_of_an_older_list() -> None:
    bench = Bench()
    bench.add_card("A", status=Status.BLOCKED)
    book = DenyBook()
    lists = WatchedLists(bench.lists, book)
    card = lists.card(token_of("A"))
    assert card is not None
    assert card.status is Status.BLOCKED
    book.take(word(1, DenySubject(DenyKind.CARD, token_of("A")), lifted=True))
    card = lists.card(token_of("A"))
    assert card is not None
    assert card.status is Status.ACTIVE
    book.adopted("E1", 8)
    card = lists.card(token_of("A"))
    assert card is not None
    assert card.status is Status.BLOCKED, "that list knows better"


def test_a_range_holds_numbers_of_its_length_and_is_lifted_as_it_was_said() -> None:
    book = DenyBook([word(1, DenySubject(DenyKind.RANGE, "7001000", "7001999"))])
    lists = WatchedLists(KitLists(), book)
    assert lists.why_denied("t", None, "7001500") is Reason.CARD_BLOCKED
    assert all(lists.deny.in_range(number) for number in ("7001000", "7001999"))
    assert not any(lists.deny.in_range(number) for number in ("7002000", "70015000", "700150", ""))
    kit = KitLists()
    kit.denied.numbers = {"7001500"}
    listed = WatchedLists(kit, DenyBook([word(1, DenySubject(DenyKind.RANGE, "7001500", "7001500"), lifted=True)]))
    assert not listed.deny.in_range("7001500")
    other = WatchedLists(kit, DenyBook([word(1, DenySubject(DenyKind.RANGE, "7001000", "7001999"), lifted=True)]))
    assert other.deny.in_range("7001500"), "the list's own range was never lifted"


def test_no_number_and_no_token_stands_in_a_repr() -> None:
    assert "7001" not in repr(word(1, DenySubject(DenyKind.RANGE, "7001000", "7001999")))
    assert "a" * 32 not in repr(word(1))
