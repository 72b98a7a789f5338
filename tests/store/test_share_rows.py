"""Shares, ranges that are online only, hours and labels: rows that a list may have, and what a card file tells of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terminal.core.card_data import Limit, Measure, Period, Share, Subject, SubjectKind
from terminal.store.card_file import CardFile
from terminal.store.list_rows import ListError, RowReader
from terminal.store.live_lists import LiveLists
from tests.store.list_kit import Row, canonical, card, customer, deny, limit, made, product, removal

pytestmark = pytest.mark.usefixtures("ledger_kind")

TOKEN = "b1" * 16
C1 = {"customer": "C1"}
SHARE: Row = {
    "row": "share", "grant": "G7", "subject": C1, "period": "MONTH", "window": "2026-11", "measure": "QUANTITY", "products": None,
    "amount": 50_000, "watermark": 41,
}  # fmt: skip
GREY: Row = {"row": "online_only", "range": ["7001000000000000000", "7001999999999999999"]}
LIST = [
    customer("C1"),
    product("DIESEL"),
    card(TOKEN, customer="C1", hours="Mo-Fr 06:00-20:00", cost_centre="Fleet 7", driver="Ada"),
    limit(C1, 500_000, "MONTH") | {"shared": True},
    limit(C1, 100_000, "DAY"),
    SHARE,
    SHARE | {"window": "2026-12", "amount": 60_000, "watermark": None},
    SHARE | {"period": "DAY", "window": "2026-11-22", "measure": "COUNT", "amount": 3, "products": ["DIESEL"]},
    GREY,
    deny(range=GREY["range"]),
]


@pytest.fixture
def lists(tmp_path: Path) -> LiveLists:
    live = LiveLists(tmp_path)
    live.use(made(tmp_path, LIST).name)
    return live


def test_a_card_file_tells_shares_and_what_is_shared(lists: LiveLists) -> None:
    theirs = Subject(SubjectKind.CUSTOMER, "C1")
    daily, monthly = lists.limits(TOKEN, "C1")
    assert daily == Limit(theirs, Period.DAY, Measure.QUANTITY, 100_000, None)
    assert monthly == Limit(theirs, Period.MONTH, Measure.QUANTITY, 500_000, None, shared=True)
    assert set(lists.shares(TOKEN, "C1")) == {
        Share("G7", theirs, Period.MONTH, "2026-11", Measure.QUANTITY, None, 50_000, 41),
        Share("G7", theirs, Period.MONTH, "2026-12", Measure.QUANTITY, None, 60_000, None),
        Share("G7", theirs, Period.DAY, "2026-11-22", Measure.COUNT, frozenset({"DIESEL"}), 3, 41),
    }
    assert lists.shares(TOKEN, None) == lists.shares(TOKEN, "C2") == ()
    assert lists.baselines(TOKEN, "C1") == ()


def test_a_range_that_is_online_only_is_no_denied_range_and_the_other_way_round(tmp_path: Path) -> None:
    only = CardFile(made(tmp_path, [GREY]))
    assert only.online_only("7001500000000000000")
    assert not only.online_only("700150000000000000"), "of another length"
    assert not only.online_only("7002000000000000000")
    assert not only.number_denied("7001500000000000000")
    only.close()
    denied = CardFile(made(tmp_path, [deny(range=GREY["range"])], version=2))
    assert not denied.online_only("7001500000000000000")
    denied.close()


def test_a_card_has_hours_cost_centre_and_driver(lists: LiveLists) -> None:
    found = lists.card(TOKEN)
    assert found is not None
    assert (found.hours, found.cost_centre, found.driver) == ("Mo-Fr 06:00-20:00", "Fleet 7", "Ada")


def test_before_the_first_list_there_is_no_share_and_no_range(tmp_path: Path) -> None:
    live = LiveLists(tmp_path)
    assert live.shares(TOKEN, "C1") == ()
    assert not live.online_only("7001500000000000000")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (SHARE | {"period": "FUELLING"}, "period"),
        (SHARE | {"window": "2026-11-22"}, "a share's window"),
        (SHARE | {"period": "DAY"}, "a share's window"),
        (SHARE | {"window": "November"}, "a window is written"),
        (SHARE | {"amount": -1}, "amount"),
        (SHARE | {"grant": "G" * 65}, "grant"),
        (SHARE | {"until": "2026-12"}, "unknown"),
        ({name: value for name, value in SHARE.items() if name != "grant"}, "grant"),
        (SHARE | {"subject": {}}, "a subject names"),
        (GREY | {"range": ["70", "7"]}, "a range has"),
        (GREY | {"range": ["79", "71"]}, "a range has"),
        (GREY | {"range": ["70"]}, "range"),
        ({"row": "online_only"}, "range"),
        (limit(C1) | {"shared": "yes"}, "shared"),
        (card(TOKEN, hours="always"), "hours are written"),
        (card(TOKEN, hours="Mo-Xx 06:00-20:00"), "days are"),
        (card(TOKEN, cost_centre="C" * 65), "cost_centre"),
        (card(TOKEN, driver=7), "driver"),
    ],
)
def test_what_cannot_be_is_refused_with_the_line(row: Row, why: str) -> None:
    with pytest.raises(ListError, match=f"line 1: .*{why}"):
        RowReader().read(canonical(row))
    with pytest.raises(ListError, match=f"line 1: .*{why}"):
        RowReader().take([canonical(row)], _tables())


def _tables() -> dict[str, list[Any]]:
    return {name: [] for name in ("card", "customer", "bound", "deny", "product")}


def test_a_delta_takes_shares_and_ranges_away_by_their_keys() -> None:
    reader = RowReader(delta=True)
    for row in (SHARE, GREY):
        table, key = reader.read(canonical(row)) or ("", ())
        assert reader.read(canonical(removal(row))) == (f"-{table}", key)
