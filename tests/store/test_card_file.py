"""The card file: built beside the live one, whole or not at all; read by key; swapped by name."""

from __future__ import annotations

import sqlite3
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
from terminal.core.card_lists import ListMark
from terminal.store.card_file import CardFile, CardFileError
from terminal.store.card_import import ImportFailed, build
from terminal.store.list_rows import ListError, subject_of
from terminal.store.live_lists import LiveLists
from tests.store.list_kit import Row, card, customer, deny, job, limit, made, product

ACCOUNT, OTHER = "a1" * 16, "a2" * 16
PIN = {"scheme": "opin1", "epoch": 7, "verifier": "00" * 16, "tries": 3}
FULL_ROW = card(
    "b1" * 16, account=ACCOUNT, customer="carrier", valid_from="2026-01-01", valid_to="2026-12-31", pin=PIN, products=["DIESEL", "ADBLUE"],
    prompts=["odometer"], tank_ml=400_000, sites=["SITE-1"], pair="a9" * 16, language="de", hours="Mo-Fr 06:00-18:00",
)  # fmt: skip
BARE_ROW = card("b2" * 16, account=OTHER, status="blocked", offline="NEVER", medium="stripe")
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
    hours="Mo-Fr 06:00-18:00",
    medium="badge",
)
BARE = Card(
    "b2" * 16, OTHER, None, Status.BLOCKED, None, None, None, None, Offline.NEVER, (), None, None, None, None, "0123", None, "stripe"
)
CARRIER_ROW = customer("carrier", offline="ALWAYS", zone="Europe/Vienna")
CARRIER = Customer("carrier", Status.ACTIVE, Offline.ALWAYS, "Europe/Vienna")
OF_ACCOUNT, OF_CUSTOMER = Subject(SubjectKind.CARD, ACCOUNT), Subject(SubjectKind.CUSTOMER, "carrier")
LIMIT_ROWS = [limit(subject, period=period) for period in ("MONTH", "DAY") for subject in ({"customer": "carrier"}, {"card": ACCOUNT})]
LIMITS = tuple(
    Limit(subject, period, Measure.QUANTITY, 100, None) for subject in (OF_ACCOUNT, OF_CUSTOMER) for period in (Period.DAY, Period.MONTH)
)
STRANGE_ROW = limit({"card": OTHER}, 1, measure="VALUE")
STRANGE = Limit(Subject(SubjectKind.CARD, OTHER), Period.DAY, Measure.VALUE, 1, None)
BALANCE_ROW: Row = {
    "row": "balance", "subject": {"customer": "carrier"}, "kind": "prepaid", "measure": "VALUE", "amount": 5_000, "products": ["DIESEL"],
    "watermark": 42,
}  # fmt: skip
BALANCE = Balance(OF_CUSTOMER, BalanceKind.PREPAID, Measure.VALUE, 5_000, frozenset({"DIESEL"}), 42)
BASELINE_ROW: Row = {
    "row": "baseline", "subject": {"card": ACCOUNT}, "window": "2026-03", "measure": "COUNT", "products": None, "amount": 3,
    "watermark": None,
}  # fmt: skip
BASELINE = Baseline(OF_ACCOUNT, "2026-03", Measure.COUNT, None, 3, None)
PRODUCTS = [product("DIESEL"), product("ADBLUE")]
ROWS: list[Row] = [*PRODUCTS, *LIMIT_ROWS, BALANCE_ROW, BASELINE_ROW, STRANGE_ROW, BARE_ROW, FULL_ROW, CARRIER_ROW]


def test_what_was_built_is_what_is_read(tmp_path: Path) -> None:
    file = CardFile(made(tmp_path, ROWS, 7))
    assert (file.head.epoch, file.head.version, file.head.rows) == ("e1", 7, len(ROWS))
    assert file.content_hash() == file.head.content_hash
    assert (file.card(FULL.token), file.card(BARE.token), file.card("b3" * 16), file.card("no token")) == (FULL, BARE, None, None)
    assert (file.customer("carrier"), file.customer("nobody")) == (CARRIER, None)
    assert file.limits(ACCOUNT, "carrier") == LIMITS  # the account's before its customer's, each in the order of their keys
    assert file.limits(ACCOUNT, None) == LIMITS[:2]
    assert file.limits(OTHER, None) == (STRANGE,)
    assert (file.balances(ACCOUNT, "carrier"), file.balances(ACCOUNT, None)) == ((BALANCE,), ())
    assert (file.baselines(ACCOUNT, "carrier"), file.baselines(OTHER, "carrier")) == ((BASELINE,), ())
    file.close()


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_a_list_may_travel_packed_or_plain(tmp_path: Path, packed: bool) -> None:
    work = job(tmp_path, ROWS, packed=packed)
    build(work)
    file = CardFile(Path(work.target))
    assert (file.head.rows, file.card(FULL.token)) == (len(ROWS), FULL)
    file.close()


def test_an_empty_list_is_a_list(tmp_path: Path) -> None:
    file = CardFile(made(tmp_path, []))
    assert (file.head.rows, file.card(FULL.token), file.number_denied("1234")) == (0, None, False)
    file.close()


# --- denied -------------------------------------------------------------------------------------------------------------------


def test_denied_cards_customers_and_ranges(tmp_path: Path) -> None:
    path = made(tmp_path, [deny(card="b1" * 16), deny(customer="carrier"), deny(range=["7001000", "7001999"])])
    file = CardFile(path)
    assert (file.card_denied("b1" * 16), file.card_denied("carrier"), file.card_denied("B1" * 16)) == (True, False, False)
    assert (file.customer_denied("carrier"), file.customer_denied("b1" * 16)) == (True, False)
    numbers = ("7001000", "7001500", "7001999", "7002000", "7000999", "70015000", "700150")
    assert [number for number in numbers if file.number_denied(number)] == ["7001000", "7001500", "7001999"]
    assert file.ranges_of("7001500") == (("7001000", "7001999"),)
    file.close()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9_999), st.integers(0, 9_999), st.lists(st.integers(0, 99_999), min_size=5))
def test_a_range_is_one_of_numbers_and_of_one_length(one: int, other: int, numbers: list[int]) -> None:
    first, last = sorted((one, other))
    with TemporaryDirectory() as folder:
        file = CardFile(made(Path(folder), [deny(range=[f"{first:04d}", f"{last:04d}"])]))
        for number in (*numbers, first, last):
            assert file.number_denied(str(number).zfill(4)) is (number < 10_000 and first <= number <= last)
        file.close()


# --- whole or not at all --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["row"])
def test_a_row_that_comes_twice_is_refused_and_nothing_is_left(tmp_path: Path, row: Row) -> None:
    work = job(tmp_path, [*ROWS, row], 7)
    with pytest.raises(ListError, match="comes twice"):
        build(work)
    assert list(tmp_path.iterdir()) == [Path(work.source)]


def test_a_failed_build_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = made(tmp_path, [FULL_ROW, *PRODUCTS], 7)
    before = path.read_bytes()
    with pytest.raises(ListError, match="hash"):
        build(job(tmp_path, [BARE_ROW], 7, sha256="0" * 64))
    assert path.read_bytes() == before


def test_a_remnant_of_a_build_that_lost_power_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "cards-e1-7.part").write_bytes(b"half a file")
    assert list(tmp_path.iterdir()) == [tmp_path / "cards-e1-7.part"]
    path = made(tmp_path, [BARE_ROW], 7)
    assert list(tmp_path.iterdir()) == [path]


def test_the_log_of_a_lost_file_is_never_played_into_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "cards-e1-7.db-wal").write_bytes(b"somebody else's log" * 100)
    path = made(tmp_path, [BARE_ROW], 7)
    assert list(tmp_path.iterdir()) == [path]


def test_a_build_into_no_directory_is_a_failure_and_not_the_lists(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="cannot be written"):
        build(job(tmp_path, [BARE_ROW], target=str(tmp_path / "nowhere" / "cards-e1-7.db")))


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100], ids=["missing", "empty", "text"])
@pytest.mark.parametrize("own", [True, False])
def test_what_is_no_card_file_is_refused(tmp_path: Path, content: bytes | None, own: bool) -> None:
    path = tmp_path / "cards-e1-7.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CardFileError, match="not a readable card file"):
        CardFile(path, own=own)


def test_a_card_file_without_its_head_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, [BARE_ROW], 7)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM head")
    db.close()
    with pytest.raises(CardFileError, match="not a readable card file"):
        CardFile(path)


# --- names ----------------------------------------------------------------------------------------------------------------------

NAMES = ("O'Brien & Söhne; DROP TABLE card; --", '"', "%", "_", "Ж" * 200, "a\nb", "carrier ", "CARRIER", "")


def test_any_name_is_only_a_name(tmp_path: Path) -> None:
    """Each finds its own row and no other, whatever SQL, patterns or letter case would make of it."""
    customers = [customer(name) for name in NAMES]
    limits = [limit({"customer": name}, place, measure="VALUE") for place, name in enumerate(NAMES)]
    file = CardFile(made(tmp_path, [CARRIER_ROW, *customers, *limits, *(deny(customer=name) for name in NAMES[::2])]))
    for place, name in enumerate(NAMES):
        assert file.customer(name) == Customer(name, Status.ACTIVE, Offline.ALLOWED, None)
        assert [found.amount for found in file.limits("nobody", name)] == [place]
        assert file.customer_denied(name) is (place % 2 == 0)
    assert file.customer("carrier") == CARRIER
    assert not file.customer_denied("carrier")
    file.close()


@pytest.mark.parametrize("name", ["cards-a?b#c-1.db", "cards-50%25-1.db", "cards-ü o'k-1.db"])
@pytest.mark.parametrize("own", [True, False])
def test_a_file_name_is_no_url(tmp_path: Path, name: str, own: bool) -> None:
    folder = tmp_path / "state #1?mode=memory"
    folder.mkdir()
    made(folder, [BARE_ROW]).rename(folder / name)
    file = CardFile(folder / name, own=own)
    assert file.card(BARE.token) == BARE
    file.close()


# --- the live one -----------------------------------------------------------------------------------------------------------------


def test_before_the_first_list_nobody_is_known_or_denied(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    assert (lists.epoch, lists.version, lists.card(FULL.token), lists.customer("carrier")) == ("", 0, None, None)
    assert (lists.limits(ACCOUNT, None), lists.balances(ACCOUNT, None), lists.baselines(ACCOUNT, None)) == ((), (), ())
    assert (lists.deny.card("b1"), lists.deny.customer("carrier"), lists.deny.in_range("7001")) == (False, False, False)


def test_the_swap_is_whole_and_clears_up_behind_it(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    made(tmp_path, [FULL_ROW, *PRODUCTS, deny(card=BARE.token), deny(range=["70", "79"])], 1)
    lists.use("cards-e1-1.db")
    deny_list = lists.deny
    assert (lists.card(FULL.token), deny_list.card(BARE.token), deny_list.in_range("75")) == (FULL, True, True)
    made(tmp_path, [BARE_ROW, LIMIT_ROWS[1]], 2)
    (tmp_path / "ledger.db").write_bytes(b"not a card file")
    assert (lists.version, lists.card(FULL.token)) == (1, FULL)  # building alone changes nothing
    lists.use("cards-e1-2.db")
    assert (lists.epoch, lists.version, lists.card(FULL.token), lists.card(BARE.token)) == ("e1", 2, None, BARE)
    assert (lists.limits(ACCOUNT, None), deny_list.card(BARE.token), deny_list.in_range("75")) == ((LIMITS[1],), False, False)
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {"cards-e1-2.db-wal", "cards-e1-2.db-shm"} == {"cards-e1-2.db", "ledger.db"}
    lists.close()


def test_a_file_that_cannot_be_read_leaves_the_old_one_serving(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    made(tmp_path, [BARE_ROW], 1)
    lists.use("cards-e1-1.db")
    (tmp_path / "cards-e1-2.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(CardFileError):
        lists.use("cards-e1-2.db")
    assert (lists.version, lists.card(BARE.token)) == (1, BARE)
    assert (tmp_path / "cards-e1-1.db").exists()
    lists.close()


@pytest.mark.parametrize(
    "mark", [ListMark("e1", 2, 1, 5, "00"), ListMark("e2", 1, 1, 5, "00", ("e1",))], ids=["older version", "epoch that was left"]
)
def test_a_card_file_that_somebody_restored_is_refused(tmp_path: Path, mark: ListMark) -> None:
    lists = LiveLists(tmp_path)
    made(tmp_path, [BARE_ROW], 1)
    with pytest.raises(CardFileError, match="older than"):
        lists.use("cards-e1-1.db", mark)
    assert (lists.version, lists.card(BARE.token)) == (0, None)
    lists.use("cards-e1-1.db", ListMark("e1", 1, 1, 5, "00"))
    assert lists.version == 1
    lists.close()


def test_the_same_file_again_goes_on_serving(tmp_path: Path) -> None:
    lists = LiveLists(tmp_path)
    made(tmp_path, [BARE_ROW], 1)
    for _ in range(2):
        lists.use("cards-e1-1.db")
        assert lists.card(BARE.token) == BARE
    lists.close()


def test_who_only_looks_takes_no_lock_and_removes_nothing(tmp_path: Path) -> None:
    lists, looking = LiveLists(tmp_path), LiveLists(tmp_path, own=False)
    made(tmp_path, [BARE_ROW], 1)
    lists.use("cards-e1-1.db")
    made(tmp_path, [BARE_ROW], 2)
    looking.use("cards-e1-1.db")
    assert (looking.card(BARE.token), (tmp_path / "cards-e1-2.db").exists()) == (BARE, True)
    looking.close()
    lists.close()


def test_a_subject_is_a_card_or_a_customer() -> None:
    assert subject_of(ACCOUNT, None) == OF_ACCOUNT
    assert subject_of(None, "carrier") == OF_CUSTOMER
    for token, name in ((None, None), (ACCOUNT, "carrier"), ("7001234567890123", None), ("A1" * 16, None)):
        with pytest.raises(ListError):
            subject_of(token, name)
