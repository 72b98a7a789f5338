"""The steps of the behaviour language, on the smallest world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.behaviour import binding, check, record, tables, told
from tests.behaviour.fake_world import FakeWorld
from tests.behaviour.spelled import SPELLED
from tests.behaviour.stage import KNOWN, Kind, NotSo, Stage, released_for
from tests.behaviour.values import Unclear
from tests.behaviour.world import Amount, Books, CardRow, HostConduct, LimitRow, Release, SaleSeen, Setup, Subject, SubjectKind, World
from tests.behaviour.worlds import NoSuchWorld, load_world
from tests.play import table as features_table

BADGE = "04A1B2C3D4E5F6"


@pytest.mark.parametrize("line", SPELLED)
def test_each_spelling_is_one_step_of_its_kind_only(line: str) -> None:
    word, _, text = line.partition(" ")
    assert [len(check.matching(kind, text)) for kind in Kind] == [int(kind.value == word.lower()) for kind in Kind]


def test_no_step_is_left_that_the_document_does_not_have() -> None:
    used = {id(check.matching(Kind(word.lower()), text)[0]) for word, _, text in (line.partition(" ") for line in SPELLED)}
    assert {id(step) for step in KNOWN} == used


@pytest.mark.parametrize(
    ("text", "kind", "nearest"),
    [
        ("the driver present badge 04A1", Kind.WHEN, 'When the driver presents badge "…"'),
        ("the host becomes unreachable", Kind.GIVEN, "When the host becomes reachable|unreachable"),
        ("the ledger hold 1 sale", Kind.THEN, "Then the ledger holds"),
        ("12.50 L flows in fuelling point 2", Kind.WHEN, "When … flow at fuelling point …"),
        ("fuelling point 2 is release for at most 5.00 L", Kind.THEN, "Then fuelling point … is released for at most …"),
    ],
)
def test_the_nearest_step(text: str, kind: Kind, nearest: str) -> None:
    assert check.matching(kind, text) == []
    assert check.nearest(kind, text).startswith(nearest)


# --- the stage and the steps ------------------------------------------------------------------------------------------


def _stage() -> tuple[Stage, FakeWorld]:
    cards = (CardRow(BADGE, "A1", "badge", pin="4711"), CardRow("B2", "A1", "badge"))
    points = tables.fuelling_points([["fp", "protocol", "nozzle", "product", "price"], ["2", "dart", "1", "GAZOLE", "1.729"]])
    world = FakeWorld(Setup(cards=cards, fuelling_points=points))
    stage = Stage(lambda setup: world)
    stage.setup = world.setup
    return stage, world


def _play(stage: Stage, *lines: str) -> None:
    for line in lines:
        word, _, text = line.partition(" ")
        (step,) = check.matching(Kind(word.lower()), text)
        found = step.pattern.fullmatch(text)
        assert found is not None
        step.function(stage=stage, **found.groupdict())


def test_a_whole_fuelling() -> None:
    stage, world = _stage()
    _play(
        stage,
        f'When the driver presents badge "{BADGE}"',
        'When the driver enters PIN "4711"',
        'Then the driver is asked for "FUELLING POINT"',
        "When the driver chooses fuelling point 2",
        'Then the display shows "Go to pump 2"',
        "When the driver lifts nozzle 1 at fuelling point 2",
        "Then fuelling point 2 is released for at most 990.00 L",
        "When 12.50 L flow at fuelling point 2",
        "When the driver hangs up at fuelling point 2",
        f'Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "{BADGE}"',
        'Then the ledger holds 1 sale by card "A1"',
        'Then the ledger holds 0 sales by card "B2"',
        "Then the host has booked 1 sale",
        "Then the three books agree",
    )
    stage.close()
    assert world.closed


def test_each_refusal_answers_one_then() -> None:
    stage, world = _stage()
    _play(
        stage,
        f'When the driver presents badge "{BADGE}"',
        'When the driver enters PIN "0000"',
        'Then the driver is refused with "PIN_WRONG"',
    )
    before = world.now_ms
    with pytest.raises(NotSo, match="was not refused"):
        _play(stage, 'Then the driver is refused with "PIN_WRONG"')
    assert world.now_ms == before + 20_000


def test_what_another_driver_was_told_is_no_answer() -> None:
    stage, _ = _stage()
    _play(stage, 'When the driver presents badge "0000"', f'When the driver presents badge "{BADGE}"')
    with pytest.raises(NotSo, match="asked for PIN"):
        _play(stage, 'Then the driver is refused with "CARD_UNKNOWN"')
    with pytest.raises(NotSo, match="the display showed"):
        _play(stage, 'Then the display shows "CARD_UNKNOWN"')


def test_not_released_looks_for_ten_seconds() -> None:
    stage, world = _stage()
    _play(stage, "When the driver lifts nozzle 1 at fuelling point 2", "Then fuelling point 2 is not released")
    assert world.now_ms == 10_000
    _play(stage, 'When the driver presents badge "B2"', "When the driver chooses fuelling point 2")
    _play(stage, "When the driver lifts nozzle 1 at fuelling point 2")
    with pytest.raises(NotSo, match=r"is released at nozzle 1 for at most 990\.00 L"):
        _play(stage, "Then fuelling point 2 is not released")


def test_what_is_so_instead_is_told() -> None:
    stage, world = _stage()
    world.set_host(HostConduct(reachable=False))
    _play(stage, 'When the driver presents badge "B2"', "When the driver chooses fuelling point 2")
    _play(stage, "When the driver lifts nozzle 1 at fuelling point 2", "When 12.50 L flow at fuelling point 2")
    _play(stage, "When the driver hangs up at fuelling point 2")
    for line, said in (
        ("Then the ledger holds no sale", '12.50 L of "GAZOLE" for 21.61 EUR by card …A1'),
        ("Then the host has booked 1 sale", "has booked 0"),
        ("Then the three books agree", "pump 12.50 L, ledger 12.50 L, host 0.00 L"),
        ('Then the fault "PUMP_LINE_LOST" is raised', "no faults"),
        ("Then a delivery of 5.00 L is unattributed at fuelling point 2", "nothing"),
    ):
        with pytest.raises(NotSo) as wrong:
            _play(stage, line)
        assert said in str(wrong.value)


@pytest.mark.parametrize(
    "line",
    [
        'Then the driver is refused with "LIMIT_DAY_QUANTITTY"',
        'Then the driver is refused with "LIMIT_FUELLING_COUNT"',
        'Then the driver is asked for "NAME"',
        "When the driver chooses fuelling point two",
        "When the driver lifts nozzle 1 at fuelling point 7",
        "When the driver lifts nozzle 3 at fuelling point 2",
        'When the driver enters PIN "12A4"',
        'When the driver answers "shoe size" with "44"',
        'When the host changes the price of "MILK" to 1.799',
        'Then the fault "pump line" is raised',
        'Then 5.00 L remain of the DAY QUANTITY limit of card "A1"',
        "Then fuelling point 2 is released for at most 80.00 USD",
    ],
)
def test_words_that_mean_nothing_are_unclear(line: str) -> None:
    stage, _ = _stage()
    with pytest.raises(Unclear):
        _play(stage, line)


def test_a_given_after_the_start_is_unclear() -> None:
    stage, _ = _stage()
    _play(stage, "When 60 s pass")
    with pytest.raises(Unclear, match="before the first When"):
        _play(stage, "Given the host is unreachable")


def test_what_the_givens_say_of_the_host_adds_up_and_the_last_word_counts() -> None:
    stage, _ = _stage()
    _play(stage, "Given the host is unreachable", "Given the host answers after 12 s")
    assert stage.setup.host == HostConduct(delay_ms=12_000)
    _play(stage, "Given the host answers only after booking, losing the answer", "Given the host is unreachable")
    assert stage.setup.host == HostConduct(reachable=False, delay_ms=12_000, lose_answers=True)


def test_limits_belong_to_the_account_whatever_the_table_calls_it() -> None:
    seen: list[Setup] = []

    def make(setup: Setup) -> World:
        seen.append(setup)
        return FakeWorld(setup)

    stage = Stage(make)
    limit = LimitRow(Subject(SubjectKind.CARD, BADGE), "DAY", "QUANTITY", 100_000)
    stage.describe(cards=(CardRow(BADGE, "A1", "badge"),), limits=(limit,))
    _play(stage, f'Then 100.00 L remain of the DAY QUANTITY limit of card "{BADGE}"')
    assert seen[0].limits == (replace(limit, subject=Subject(SubjectKind.CARD, "A1")),)


@pytest.mark.parametrize(
    ("preset", "bound", "right"),
    [
        (Amount(volume_ml=62_000), Amount(volume_ml=62_000), True),
        (Amount(volume_ml=62_010), Amount(volume_ml=62_000), False),
        (Amount(amount_minor=8_000), Amount(amount_minor=8_000), True),
        # 80.00 EUR at 1.729 buy 46.269 L; a head counts in 0.01 L
        (Amount(volume_ml=46_260), Amount(amount_minor=8_000), True),
        (Amount(volume_ml=46_269), Amount(amount_minor=8_000), True),
        (Amount(volume_ml=46_270), Amount(amount_minor=8_000), False),
        (Amount(volume_ml=46_250), Amount(amount_minor=8_000), False),
        (Amount(amount_minor=3_458), Amount(volume_ml=20_000), True),
        (Amount(amount_minor=3_460), Amount(volume_ml=20_000), False),
        (Amount(amount_minor=3_450), Amount(volume_ml=20_000), False),
    ],
)
def test_released_for(preset: Amount, bound: Amount, right: bool) -> None:
    assert released_for(Release(1, preset, 17_290), bound, 2) is right
    assert released_for(None, bound, 2) is False


def test_books_that_differ_name_the_sale_and_the_nozzle() -> None:
    agreed = Books({(2, 1): 5000}, {(2, 1): 5000}, {(2, 1): 5000}, 865, 865, ("OPT1-1-1",), ("OPT1-1-1",))
    assert told.books_differ(agreed, Setup()) == ""
    twice = replace(agreed, host={(2, 1): 10_000}, host_minor=1730, host_sales=("OPT1-1-1", "OPT1-1-1"))
    said = told.books_differ(twice, Setup())
    assert "host 10.00 L" in said
    assert "host 17.30 EUR" in said
    assert "OPT1-1-1 stands 1 times in the ledger and 2 times at the host" in said


def test_a_failure_shows_no_full_card_number() -> None:
    sale = SaleSeen(5000, 865, "GAZOLE", "7001234567890123456", "7001234567890123456")
    assert "7001234567890123456" not in told.sales_text([sale], Setup()) + repr(replace(sale, account="A1"))


# --- worlds, results, table -------------------------------------------------------------------------------------------


def test_worlds_that_are_not_there() -> None:
    for name in ("moon", "tests.behaviour.nowhere:World", "tests.behaviour.fake_world:Nothing"):
        with pytest.raises(NoSuchWorld):
            load_world(name)
    assert load_world("tests.behaviour.fake_world:FakeWorld") is FakeWorld


def test_results_are_kept_by_title_and_forgotten_with_their_scenario(tmp_path: Path) -> None:
    scene = binding.read(sorted(binding.FEATURES.glob("F01_*.feature"))[0])[0]
    kept = tmp_path / "build" / "features.json"
    gone = {"virtual": {scene.file.name: {"no such scenario": {"outcome": "failed", "seconds": 1, "later": False}}}}
    record.write_json(kept, gone)
    passed = record.Outcome(scene, scene.title({}), "virtual", passed=True, seconds=0.01)
    record.keep([passed], kept)
    assert set(record.load(kept)["virtual"][scene.file.name]) == {scene.title({})}
    line = features_table.Line("F01", "badge")
    assert features_table.state(line, "virtual", record.load(kept)) == "passed"
    assert features_table.state(line, "rig", record.load(kept)) == "unplayed"
    record.keep([replace(passed, passed=False)], kept)
    assert features_table.state(line, "virtual", record.load(kept)) == "failed"
    record.keep([replace(passed, world="tests.behaviour.fake_world:FakeWorld")], kept)
    assert set(record.load(kept)) == {"virtual"}


def test_rows_that_belong_elsewhere() -> None:
    assert features_table.state(features_table.Line("F55", "service (m)"), "rig", {}) == "elsewhere"
    assert features_table.state(features_table.Line("F99", "thought (v)"), "rig", {}) == "elsewhere"
    assert features_table.state(features_table.Line("F99", "thought (v)"), "virtual", {}) == "unplayed"


def test_the_table_has_every_feature_file_and_all_rows_once() -> None:
    ids = [line.id for line in features_table.lines() if line.id]
    assert ids == [f"F{number:02d}" for number in range(1, 70)]
    assert {binding.feature_id(file) for file in binding.FEATURES.glob("*.feature")} <= set(ids)
    assert "done in every world it belongs to: 0 of 69" in features_table.table({})
