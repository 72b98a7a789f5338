"""The card table, rules of prompts and odometers in a card list: what is taken, what is refused, and what a card file tells of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.core.card_data import Subject, SubjectKind
from terminal.core.card_table import CardRange, RangeKind, Routing, Slice, TrackField
from terminal.core.prompt_rules import Odometer, PromptRule, WrongAnswers
from terminal.core.units import UtcMs
from terminal.store import identification
from terminal.store.card_file import CardFile, CardFileError
from terminal.store.list_rows import ListError, RowReader
from terminal.store.live_lists import LiveLists
from tests.store.list_kit import Row, canonical, customer, delta, made, product, removal

pytestmark = pytest.mark.usefixtures("ledger_kind")

ACCOUNT = "b1" * 16
RANGE: Row = {"row": "range", "first": "700", "last": "709", "kind": "fleet", "routing": "host", "lengths": [16, 19], "luhn": False}
SLICE = {"field": "discretionary", "start": 0, "length": 2}
FULL = RANGE | {
    "first": "7001", "last": "7002", "media": ["stripe"], "number": {"field": "number", "start": 6, "length": None}, "pin": "online",
    "restriction": {"slice": SLICE, "codes": {"00": ["DIESEL"], "01": None}}, "prompts": {"slice": SLICE, "codes": {"*": ["ODOMETER"]}},
    "expiry": False, "service_code": False,
}  # fmt: skip
RULE: Row = {"row": "prompt", "subject": {"card": ACCOUNT}, "prompt": "ODOMETER", "min_step": 0, "max_step": 900, "wrong": "mark"}
READ: Row = {"row": "odometer", "account": ACCOUNT, "reading": 123_456, "at": "2026-03-28T22:50:00.000Z"}
LIST = [product(), customer("C1"), RANGE, FULL, RULE, RULE | {"subject": {"customer": "C1"}, "prompt": "DRIVER"}, READ]


def live(folder: Path, rows: list[Row]) -> LiveLists:
    lists = LiveLists(folder)
    lists.use(made(folder, rows).name)
    return lists


def test_a_card_file_tells_the_table_rules_and_odometers(tmp_path: Path) -> None:
    lists = live(tmp_path, LIST)
    plain, full = sorted(lists.ranges(), key=lambda one: one.rank)
    assert plain == CardRange("700", "709", RangeKind.FLEET, Routing.HOST, (16, 19), luhn=False)
    assert full.number == Slice(TrackField.NUMBER, 6, None)
    assert full.restriction is not None
    assert full.restriction.codes == {"00": ("DIESEL",), "01": None}
    mine = Subject(SubjectKind.CARD, ACCOUNT)
    (rule,) = lists.prompt_rules(ACCOUNT, None)
    assert rule == PromptRule(mine, "ODOMETER", 1, 10, None, 0, 900, None, WrongAnswers.MARK)
    assert [one.prompt for one in lists.prompt_rules(ACCOUNT, "C1")] == ["ODOMETER", "DRIVER"]
    assert lists.odometer(ACCOUNT) == Odometer(123_456, UtcMs(1_774_738_200_000))
    assert lists.odometer("c1" * 16) is None


@pytest.mark.parametrize(
    "row",
    [
        RANGE | {"first": "71", "last": "709"},
        RANGE | {"first": "709", "last": "700"},
        RANGE | {"first": "70A"},
        RANGE | {"first": ""},
        RANGE | {"lengths": []},
        RANGE | {"kind": "debit"},
        RANGE | {"routing": "maybe"},
        RANGE | {"pin": "sometimes"},
        RANGE | {"media": ["wire"]},
        RANGE | {"colour": "red"},
        RANGE | {"number": {"field": "name", "start": 0}},
        RANGE | {"number": {"field": "number", "start": -1}},
        RANGE | {"kind": "bank", "pin": "online"},
        RANGE | {"restriction": {"slice": SLICE, "codes": {"0": ["DIESEL"]}}},
        RANGE | {"prompts": {"slice": SLICE, "codes": {"00": None}}},
        RULE | {"prompt": "Kilometerstand!"},
        RULE | {"min_digits": 5, "max_digits": 4},
        RULE | {"answers": ["75"]},
        RULE | {"wrong": "shrug"},
        RULE | {"subject": {}},
        READ | {"reading": -1},
        READ | {"account": "B1" * 16},
        READ | {"at": "2026-03-28T22:50:00"},
    ],
)
def test_a_row_that_cannot_be_understood_is_refused(row: Row) -> None:
    with pytest.raises(ListError):
        RowReader().read(canonical(row))


@pytest.mark.parametrize("row", [RANGE, FULL, RULE, READ])
def test_rows_are_removed_by_their_key(row: Row) -> None:
    table, key = RowReader().read(canonical(row)) or ("", ())
    assert RowReader(delta=True).read(canonical(removal(row))) == (f"-{table}", key)


def test_a_table_that_nobody_could_follow_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="as particular as each other"):
        made(tmp_path, [RANGE, RANGE | {"first": "705", "last": "714"}])
    with pytest.raises(ListError, match="twice"):
        made(tmp_path, [RANGE, RANGE | {"luhn": True}])
    with pytest.raises(ListError, match="product"):
        made(tmp_path, [FULL])


def test_a_delta_changes_the_table_and_may_not_make_it_ambiguous(tmp_path: Path) -> None:
    file = CardFile(made(tmp_path, LIST), own=True)
    wrong = [*LIST, RANGE | {"first": "705", "last": "714"}]
    with pytest.raises(CardFileError, match="as particular as each other"):
        file.apply([delta(1, LIST, wrong)])
    assert len(file.ranges) == 2
    better = [row for row in LIST if row != FULL] + [RANGE | {"first": "8", "last": "9"}, READ | {"reading": 5}]
    better.remove(READ)
    file.apply([delta(1, LIST, better)])
    assert sorted(one.first for one in file.ranges) == ["700", "8"]
    assert file.odometer(ACCOUNT) == Odometer(5, UtcMs(1_774_738_200_000))
    assert file.content_hash() == file.head.content_hash
    file.close()


def test_a_card_file_of_an_earlier_program_serves_and_takes_deltas(tmp_path: Path) -> None:
    plain = [product(), customer("C1")]
    path = made(tmp_path, plain)
    old = CardFile(path, own=True)
    for table in identification.KEYS:
        old.connection.execute(f"DROP TABLE {table}")
    old.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    old.close()
    looking = CardFile(path)
    assert (looking.ranges, looking.prompt_rules(ACCOUNT, "C1"), looking.odometer(ACCOUNT)) == ((), (), None)
    looking.close()
    owning = CardFile(path, own=True)
    owning.apply([delta(1, plain, [*plain, RANGE])])
    assert len(owning.ranges) == 1
    owning.close()
