"""The card file: built beside the live one, whole or not at all; read by key; swapped by name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.card_data import (
    Balance,
    BalanceKind,
    Baseline,
    Card,
    Customer,
    Limit,
    Measure,
    Offline,
    Period,
    PinRule,
    Status,
    Subject,
    SubjectKind,
)
from terminal.store.card_file import CardFile, CardFileError, DenyRow, ListRow, LiveLists, build, subject_of

ACCOUNT, OTHER = "a1" * 16, "a2" * 16
FULL = Card(
    token="b1" * 16,
    account=ACCOUNT,
    customer="carrier",
    status=Status.ACTIVE,
    valid_from=date(2026, 1, 1),
    valid_to=date(2026, 12, 31),
    pin=PinRule("opin1", 7, "00" * 16, 3),
    products=frozenset({"DIESEL", "ADBLUE"}),
    offline=Offline.ALLOWED,
    prompts=("odometer",),
    tank_ml=400_000,
    sites=frozenset({"SITE-1"}),
    pair="a9" * 16,
    language="de",
    last4="0123",
    hours="mo-fr 06:00-18:00",
    medium="badge",
)


BARE = replace(
    FULL,
    token="b2" * 16,
    account=OTHER,
    customer=None,
    status=Status.BLOCKED,
    valid_from=None,
    valid_to=None,
    pin=None,
    products=None,
    offline=Offline.NEVER,
    prompts=(),
    tank_ml=None,
    sites=None,
    pair=None,
    language=None,
    hours=None,
    medium="card",
)
CARRIER = Customer("carrier", Status.ACTIVE, Offline.ALWAYS, "Europe/Vienna")
OF_ACCOUNT, OF_CUSTOMER = Subject(SubjectKind.CARD, ACCOUNT), Subject(SubjectKind.CUSTOMER, "carrier")
LIMITS = tuple(
    Limit(subject, period, Measure.QUANTITY, 100, None) for period in (Period.MONTH, Period.DAY) for subject in (OF_CUSTOMER, OF_ACCOUNT)
)
STRANGE = Limit(Subject(SubjectKind.CARD, "carrier"), Period.DAY, Measure.VALUE, 1, None)
BALANCE = Balance(OF_CUSTOMER, BalanceKind.PREPAID, Measure.VALUE, 5_000, frozenset({"DIESEL"}), 42)
BASELINE = Baseline(OF_ACCOUNT, "2026-03", Measure.COUNT, None, 3, None)
ROWS: tuple[ListRow, ...] = (*LIMITS, BALANCE, BASELINE, STRANGE, BARE, FULL, CARRIER)


def test_what_was_built_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cards-e1-7.db"
    assert build(path, "e1", 7, "ab" * 32, ROWS) == len(ROWS)
    file = CardFile(path)
    assert (file.epoch, file.version, file.rows, file.sha256) == ("e1", 7, len(ROWS), "ab" * 32)
    assert (file.card(FULL.token), file.card(BARE.token), file.card("b3" * 16)) == (FULL, BARE, None)
    assert (file.customer("carrier"), file.customer("nobody")) == (CARRIER, None)
    assert file.limits(ACCOUNT, "carrier") == LIMITS  # in the list's order, whoever's they are
    assert file.limits(ACCOUNT, None) == tuple(limit for limit in LIMITS if limit.subject == OF_ACCOUNT)
    assert file.limits("carrier", None) == (STRANGE,)  # an account that is called like a customer is not it
    assert (file.balances(ACCOUNT, "carrier"), file.balances(ACCOUNT, None)) == ((BALANCE,), ())
    assert (file.baselines(ACCOUNT, "carrier"), file.baselines(OTHER, "carrier")) == ((BASELINE,), ())
    file.close()


def test_an_empty_list_is_a_list(tmp_path: Path) -> None:
    path = tmp_path / "cards-e1-1.db"
    assert build(path, "e1", 1, "", ()) == 0
    file = CardFile(path)
    assert (file.rows, file.card(FULL.token), file.number_denied("1234")) == (0, None, False)
    file.close()


# --- denied -------------------------------------------------------------------------------------------------------------------


def test_denied_cards_customers_and_ranges(tmp_path: Path) -> None:
    path = tmp_path / "cards-e1-1.db"
    deny = [DenyRow("card", "b1"), DenyRow("customer", "carrier"), DenyRow("range", "7001000", "7001999"), DenyRow("card", "b1")]
    build(path, "e1", 1, "", deny)
    file = CardFile(path)
    assert (file.card_denied("b1"), file.card_denied("carrier"), file.card_denied("B1")) == (True, False, False)
    assert (file.customer_denied("carrier"), file.customer_denied("b1")) == (True, False)
    denied = [
        number for number in ("7001000", "7001500", "7001999", "7002000", "7000999", "70015000", "700150") if file.number_denied(number)
    ]
    assert denied == ["7001000", "7001500", "7001999"]
    file.close()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9_999), st.integers(0, 9_999), st.lists(st.integers(0, 99_999), min_size=5))
def test_a_range_is_one_of_numbers_and_of_one_length(first: int, last: int, numbers: list[int]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cards-e1-1.db"
        build(path, "e1", 1, "", [DenyRow("range", f"{first:04d}", f"{last:04d}")])
        file = CardFile(path)
        for number in (*numbers, first, last):
            assert file.number_denied(str(number).zfill(4)) is (number < 10_000 and first <= number <= last)
        file.close()


# --- whole or not at all --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [FULL, CARRIER], ids=["card", "customer"])
def test_a_row_that_comes_twice_is_refused_and_nothing_is_left(tmp_path: Path, row: ListRow) -> None:
    path = tmp_path / "cards-e1-7.db"
    with pytest.raises(CardFileError, match="UNIQUE"):
        build(path, "e1", 7, "", (*ROWS, row))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "cards-e1-7.db"
    build(path, "e1", 7, "", (FULL,))
    before = path.read_bytes()

    def breaks_off() -> Iterator[ListRow]:
        yield BARE
        raise CardFileError("row 2 is unreadable")

    with pytest.raises(CardFileError, match="row 2"):
        build(path, "e1", 7, "", breaks_off())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_remnant_of_a_build_that_lost_power_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "cards-e1-7.db"
    path.with_suffix(".part").write_bytes(b"half a file")
    assert build(path, "e1", 7, "", (FULL,)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_build_into_no_directory_is_refused_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(CardFileError, match="cannot be written"):
        build(tmp_path / "nowhere" / "cards-e1-7.db", "e1", 7, "", (FULL,))


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100], ids=["missing", "empty", "text"])
def test_what_is_no_card_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cards-e1-7.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CardFileError, match="not a readable card file"):
        CardFile(path)


def test_a_card_file_without_its_head_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cards-e1-7.db"
    build(path, "e1", 7, "", (FULL,))
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM head")
    db.close()
    with pytest.raises(CardFileError, match="not a readable card file"):
        CardFile(path)


# --- names ----------------------------------------------------------------------------------------------------------------------

NAMES = ("O'Brien & Söhne; DROP TABLE card; --", '"', "%", "_", "Ж" * 200, "a\nb", "carrier ", "CARRIER", "")


def test_any_name_is_only_a_name(tmp_path: Path) -> None:
    """Each finds its own row and no other, whatever SQL, patterns or letter case would make of it."""
    path = tmp_path / "cards-e1-7.db"
    customers = [Customer(name, Status.ACTIVE, Offline.ALWAYS, None) for name in NAMES]
    limits = [Limit(Subject(SubjectKind.CUSTOMER, name), Period.DAY, Measure.VALUE, place, None) for place, name in enumerate(NAMES)]
    build(path, "e1", 7, "", [CARRIER, *customers, *limits, *(DenyRow("customer", name) for name in NAMES[::2])])
    file = CardFile(path)
    for place, name in enumerate(NAMES):
        assert file.customer(name) == customers[place]
        assert file.limits("nobody", name) == (limits[place],)
        assert file.customer_denied(name) is (place % 2 == 0)
    assert file.customer("carrier") == CARRIER
    assert not file.customer_denied("carrier")
    file.close()


@pytest.mark.parametrize("name", ["cards-a?b#c-1.db", "cards-50%25-1.db", "cards-ü o'k-1.db"])
def test_a_file_name_is_no_url(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "state #1?mode=memory"
    folder.mkdir()
    build(folder / name, "e1", 1, "", (FULL,))
    file = CardFile(folder / name)
    assert file.card(FULL.token) == FULL
    file.close()


# --- the live one -----------------------------------------------------------------------------------------------------------------


def test_before_the_first_list_nobody_is_known_or_denied(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    assert (lists.epoch, lists.version, lists.card(FULL.token), lists.customer("carrier")) == ("", 0, None, None)
    assert (lists.limits(ACCOUNT, None), lists.balances(ACCOUNT, None), lists.baselines(ACCOUNT, None)) == ((), (), ())
    assert (lists.deny.card("b1"), lists.deny.customer("carrier"), lists.deny.in_range("7001")) == (False, False, False)


def test_the_swap_is_whole_and_clears_up_behind_it(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    build(tmp_path / "cards-e1-1.db", "e1", 1, "", (FULL, DenyRow("card", BARE.token), DenyRow("range", "70", "79")))
    lists.use("cards-e1-1.db")
    deny = lists.deny
    assert (lists.card(FULL.token), deny.card(BARE.token), deny.in_range("75")) == (FULL, True, True)
    build(tmp_path / "cards-e1-2.db", "e1", 2, "", (BARE, LIMITS[1]))
    (tmp_path / "ledger.db").write_bytes(b"not a card file")
    assert (lists.version, lists.card(FULL.token)) == (1, FULL)  # building alone changes nothing
    lists.use("cards-e1-2.db")
    assert (lists.epoch, lists.version, lists.card(FULL.token), lists.card(BARE.token)) == ("e1", 2, None, BARE)
    assert (lists.limits(ACCOUNT, None), deny.card(BARE.token), deny.in_range("75")) == ((LIMITS[1],), False, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cards-e1-2.db", "ledger.db"]


def test_a_file_that_cannot_be_read_leaves_the_old_one_serving(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    build(tmp_path / "cards-e1-1.db", "e1", 1, "", (FULL,))
    lists.use("cards-e1-1.db")
    (tmp_path / "cards-e1-2.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(CardFileError):
        lists.use("cards-e1-2.db")
    assert (lists.version, lists.card(FULL.token)) == (1, FULL)
    assert (tmp_path / "cards-e1-1.db").exists()


def test_the_same_file_again_goes_on_serving(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    build(tmp_path / "cards-e1-1.db", "e1", 1, "", (FULL,))
    for _ in range(2):
        lists.use("cards-e1-1.db")
        assert lists.card(FULL.token) == FULL


def test_a_subject_is_a_card_or_a_customer() -> None:
    assert subject_of(ACCOUNT, None) == OF_ACCOUNT
    assert subject_of(None, "carrier") == OF_CUSTOMER
    for card, customer in ((None, None), (ACCOUNT, "carrier")):
        with pytest.raises(CardFileError):
            subject_of(card, customer)
