"""The power fails anywhere in a day's work of the real store under SQLite's own file operations: see firmware_notes/storage.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.powercut.campaign import WEAKNESSES, Recorded, Weakness, begin, caught, control, examine, record
from tests.powercut.recorder import Records, read_journal
from tests.powercut.states import POLICIES, Disk, places

STATES = 5_000
ENCRYPTED_STATES = 1_000
CONTROL_STATES, CONTROL_FUELLINGS = 300, 8


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorded, Records]:
    journal = tmp_path_factory.mktemp("powercut") / "journal"
    return record(1, journal), read_journal(journal)


def test_the_day_has_everything_in_it(day: tuple[Recorded, Records]) -> None:
    recorded, records = day
    assert recorded.fuellings >= 10
    assert recorded.commits >= 200
    assert recorded.card_changes >= 3
    assert recorded.pin_keys >= 30
    wanted = {"SaleDelivered", "SaleEnded", "PinTried", "PinCleared", "Refused", "DenyAdded", "DenyLifted", "ListsAdopted", "ClosingSet"}
    wanted |= {"MessageAcknowledged", "BatchSent", "BatchSettled", "EventAcknowledged", "TerminalStarted"}
    assert wanted <= recorded.facts.keys()
    touched = {record[1] for record in records if record[0] == "write"}
    assert {"/ledger.db", "/ledger.db-wal", "/pin-keys.part"} <= touched
    assert any(path.startswith("/cards-") and path.endswith(".part") for path in touched)  # a list that was built
    assert any(path.startswith("/cards-") and path.endswith(".db-wal") for path in touched)  # a list that was changed
    assert any(path.startswith("/cards-") and path.endswith(".db") for path in touched)  # and folded


def test_no_power_cut_loses_doubles_or_tears_anything_acknowledged(day: tuple[Recorded, Records]) -> None:
    records = day[1]
    outcome = examine(records, places(records, range(STATES)), 1, thorough_every=100)
    assert [(one.seed, one.name, one.what) for one in outcome.broke] == []
    # And it was worth asking.
    tally = outcome.tally
    assert tally.states == STATES
    assert tally.ahead >= 100, "no commit under way was ever found whole"
    assert tally.behind >= 100, "no commit under way was ever lost"
    assert tally.recovered >= 1_000
    assert tally.thorough == STATES // 100
    assert set(tally.policies) == set(POLICIES)
    assert tally.lost_pieces >= STATES


def test_the_same_of_an_encrypted_ledger(tmp_path: Path) -> None:
    begin(encrypted=True)
    try:
        record(1, tmp_path / "journal", 20)
        records = read_journal(tmp_path / "journal")
        outcome = examine(records, places(records, range(ENCRYPTED_STATES)), 1, thorough_every=50)
        weak = control(WEAKNESSES[0], 1, CONTROL_STATES, CONTROL_FUELLINGS)
    finally:
        begin(encrypted=False)
    written = b"".join(record[3] for record in records if record[0] == "write" and record[1].startswith("/ledger.db"))
    assert len(written) > 500_000
    assert b"volume_ml" not in written
    assert [(one.seed, one.name, one.what) for one in outcome.broke] == []
    assert outcome.tally.recovered >= ENCRYPTED_STATES // 5
    assert min(outcome.tally.behind, outcome.tally.ahead) >= 20
    assert caught(WEAKNESSES[0], weak)


@pytest.mark.parametrize("weakness", WEAKNESSES, ids=lambda weakness: str(weakness.name))
def test_the_same_question_finds_a_store_that_was_made_weak(weakness: Weakness) -> None:
    outcome = control(weakness, 1, CONTROL_STATES, CONTROL_FUELLINGS)
    assert caught(weakness, outcome), outcome.tally.broken


def test_a_number_plays_one_state_again(day: tuple[Recorded, Records], tmp_path: Path) -> None:
    """The same day makes the same journal, and a number the same cut and the same disk; only SQLite's salts are drawn anew."""
    records = day[1]
    record(1, tmp_path / "journal")
    again = read_journal(tmp_path / "journal")
    assert [one[:2] for one in records if one[0] != "mark"] == [one[:2] for one in again if one[0] != "mark"]
    for seed in range(0, 300, 7):
        (place,) = places(records, [seed])
        assert places(again, [seed]) == [place]
        disks = []
        for journal in (records, records, again):
            disk = Disk(journal)
            disk.forward(place.cut)
            disks.append(disk.state(place))
        assert disks[0] == disks[1]
        assert {path: len(content) for path, content in disks[0].files.items()} == {
            path: len(content) for path, content in disks[2].files.items()
        }
