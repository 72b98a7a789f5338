"""The player as a person uses it: its own process, the smallest world, files from any folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FAKE = "tests.behaviour.fake_world:FakeWorld"

HEAD = """
Feature: A station

  Background:
    Given a terminal at site "S1" in zone "Europe/Paris" selling in "EUR"
    And the fuelling points
      | fp | protocol | nozzle | product | price |
      | 2  | dart     | 1      | GAZOLE  | 1.729 |
    And the cards
      | number         | medium |
      | 04A1B2C3D4E5F6 | badge  |
""".lstrip()

GOOD = f"""{HEAD}
  Scenario: Again
    When the driver presents badge "04A1B2C3D4E5F6"
    Then the driver is asked for "FUELLING POINT"

  Scenario: Again
    When the driver presents badge "0000"
    Then the driver is refused with "CARD_UNKNOWN"

  Scenario Outline: Wishes
    When the driver presents badge "04A1B2C3D4E5F6"
    And the driver wishes <wish>
    And the driver chooses fuelling point 2
    And the driver lifts nozzle 1 at fuelling point 2
    Then fuelling point 2 is released for at most <wish>

    Examples:
      | wish      |
      | 20.00 L   |
      | 50.00 EUR |

  @anything-goes @virtual
  Rule: Even so
    Background:
      Given the host is unreachable

    Scenario: Offline
      When the driver presents badge "04A1B2C3D4E5F6"
      And the driver chooses fuelling point 2
      And the driver lifts nozzle 1 at fuelling point 2
      And 12.50 L flow at fuelling point 2
      And the driver hangs up at fuelling point 2
      Then the ledger holds 1 sale of 12.50 L of "GAZOLE" for 21.61 EUR by card "04A1B2C3D4E5F6"
      But the host has booked no sale

  @machine
  Scenario: In the machine only
    When the power is cut
"""


def _play(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.play", *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def _file(folder: Path, text: str, name: str = "F14_station.feature") -> str:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_all_pass(tmp_path: Path) -> None:
    _file(tmp_path, GOOD)
    results = tmp_path / "results.json"
    done = _play(str(tmp_path), "--world", FAKE, "--json", str(results))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    titles = [line.rsplit("  (", 1)[0] for line in lines]
    assert titles[0] == "--   F14 In the machine only"
    played = ["Again", "Again [2]", "Wishes (20.00 L)", "Wishes (50.00 EUR)", "Offline"]
    assert sorted(titles[1:-1]) == sorted(f"ok   F14 {title}" for title in played)
    assert lines[-1].startswith("5 passed, 0 failed")
    assert {scenario["outcome"] for scenario in json.loads(results.read_text())["scenarios"]} == {"passed"}


def test_one_fails_and_the_rest_is_played(tmp_path: Path) -> None:
    bad = """
  Scenario: Wrong
    When the driver presents badge "0000"
    Then the driver is refused with "CARD_BLOCKED"

  Scenario: Broken
    When the driver presents badge "BROKEN"
    Then the driver is asked for "PIN"
"""
    file = _file(tmp_path, GOOD + bad, "station.feature")
    results = tmp_path / "results.json"
    done = _play(file, "--world", FAKE, "--json", str(results))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    line = (GOOD + bad).splitlines().index('    Then the driver is refused with "CARD_BLOCKED"') + 1
    assert "FAIL station Wrong" in done.stdout
    assert f'{file}:{line}: Then the driver is refused with "CARD_BLOCKED"\n       the driver was refused with CARD_UNKNOWN' in done.stdout
    assert "the world broke: RuntimeError: the antenna fell off" in done.stdout
    assert "5 passed, 2 failed" in done.stdout
    failed = [scenario for scenario in json.loads(results.read_text())["scenarios"] if scenario["outcome"] == "failed"]
    assert {scenario["line"] for scenario in failed} == {line, line + 3}


def test_a_step_that_is_not_understood_stops_everything_before_it_begins(tmp_path: Path) -> None:
    _file(tmp_path, GOOD, "a.feature")
    _file(tmp_path, GOOD + '\n  Scenario: Odd\n    When the driver shows badge "04A1"\n    Then 5 litres flow\n', "b.feature")
    _file(tmp_path, GOOD + "\n  Scenario: Late\n    When 60 s pass\n    Given the host is unreachable\n", "c.feature")
    done = _play(str(tmp_path), "--world", FAKE)
    assert (done.returncode, done.stdout) == (2, "")
    line = len(GOOD.splitlines()) + 3
    assert f"b.feature:{line}: no such step: When the driver shows badge" in done.stderr
    assert 'the nearest is:  When the driver presents badge "…"' in done.stderr
    assert f"b.feature:{line + 1}: no such step: Then 5 litres flow" in done.stderr
    assert f"c.feature:{line + 1}: Given the host is unreachable\n    a Given describes the world before it starts" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("Feature: nothing\n", "holds no scenario"),
        ("Hello\nworld\n", ":1: is not Gherkin"),
        (f"{HEAD}\n  Scenario: Torn\n    Given the cards\n      | number | medium |\n      | 1 |\n", "is not Gherkin"),
        (f"{HEAD}\n  Scenario Outline: Bare\n    When <time> pass\n", "the outline has no examples"),
        (f"{HEAD}\n  Scenario: Empty hands\n    Given the limits\n    When 5 s pass\n", "needs a table"),
        (f"{HEAD}\n  Scenario: Too much\n    When 5 s pass\n      | a |\n      | b |\n", "takes no table"),
        (f"{HEAD}\n  Scenario: Odd\n    When 5,5 s pass\n", "is not a number"),
        (f"{HEAD}\n  Scenario: Odd\n    Given the limits\n      | subjekt |\n      | card 1 |\n", "did you mean subject?"),
    ],
)
def test_files_that_are_not_understood(text: str, said: str, tmp_path: Path) -> None:
    from tests.play.run import files_of, understand

    files, unknown = files_of([_file(tmp_path, text)])
    _, problems = understand(files)
    assert unknown == []
    assert [said in str(problem) for problem in problems] == [True]


def test_a_file_from_another_system_is_read(tmp_path: Path) -> None:
    from tests.play.run import files_of, understand

    file = tmp_path / "windows.feature"
    file.write_bytes(("\ufeff" + GOOD.replace("\n", "\r\n")).encode())
    scenes, problems = understand(files_of([str(file)])[0])
    assert (len(scenes), problems) == (5, [])


def test_names_that_lead_to_no_file(tmp_path: Path) -> None:
    (tmp_path / "latin.feature").write_bytes("Feature: Gewünscht".encode("latin-1"))
    done = _play(str(tmp_path / "none.feature"), str(tmp_path / "latin.feature"), "F00", "--world", FAKE)
    assert done.returncode == 2
    assert "none.feature: cannot be read: No such file or directory" in done.stderr
    assert "latin.feature: is not text in UTF-8" in done.stderr
    assert "F00: is no feature file" in done.stderr


def test_no_world_and_no_file() -> None:
    assert _play("F01", "--world", "moon").returncode == 2
    nothing = _play()
    assert nothing.returncode == 2
    assert "name a feature file" in nothing.stderr
    gone = _play("F01", "--world", "tests.behaviour.nowhere:World")
    assert (gone.returncode, "Traceback" in gone.stderr) == (1, False)


def test_help_and_table() -> None:
    shown = _play("--help")
    assert (shown.returncode, "python -m tests.play F14" in shown.stdout) == (0, True)
    table = _play("--table")
    assert table.returncode == 0
    assert "F14" in table.stdout
