"""The attack page is true: every test that it names exists, every attack has one or says that it has none, and none is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzz.surface import ROOT
from tests.simulation.planted import load

PAGE = (ROOT / "firmware_notes" / "threat-model.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))
SCENARIOS = sorted({(feature, title.strip()) for feature, title in re.findall(r"\b(F\d\d): ([^;|`\n]+)", PAGE)})
WANTED = (
    *("cloned identifier", "replayed signed link", "man in the middle of EV2", "relay", "second keyboard", "fake chip card"),
    *("copied certificate", "EMV card", "hostile bytes", "guessing over power cuts", "guessing over many cards"),
    *("timing of the comparison", "PIN in memory", "stolen database", "stolen card file", "ledger put back", "journal tampering"),
    *("forged list", "replayed or older list"),
    *("host impersonation", "clock set back", "cut the line to get offline rules", "log leakage", "an error that quotes", "core file"),
)


@pytest.mark.parametrize(("path", "name"), TESTS, ids=["::".join(each) for each in TESTS])
def test_every_named_test_exists(path: str, name: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not name or re.search(rf"^ *(?:async )?def {name}\(", text, re.MULTILINE), f"{path} has no {name}"


@pytest.mark.parametrize(("feature", "title"), SCENARIOS, ids=[f"{feature}: {title[:40]}" for feature, title in SCENARIOS])
def test_every_named_scenario_exists(feature: str, title: str) -> None:
    files = list((ROOT / "tests" / "features").glob(f"{feature}_*.feature"))
    assert len(files) == 1
    told = re.findall(r"^ *Scenario(?: Outline)?: (.+?)\s*$", files[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert any(title.startswith(one) for one in told), f"{feature} has no scenario of this name: {title}"


def rows() -> list[list[str]]:
    """The rows of the attack tables: attack, how, what stands against it, test, what is left."""
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
    return [row for row in found if len(row) == 5 and row[0] not in ("attack", "---")]


def test_every_attack_has_a_test_or_says_that_it_has_none() -> None:
    assert len(rows()) > 40
    for attack, _, against, test, left in rows():
        assert against, attack
        assert re.search(r"`tests/|\bF\d\d\b|`make |plant `|[Nn]o test", test), attack
        assert left, attack


@pytest.mark.parametrize("attack", WANTED)
def test_no_attack_of_the_issue_is_missing(attack: str) -> None:
    assert any(row[0].startswith(attack) for row in rows()), attack


def test_every_plant_and_every_command_that_is_named_exists() -> None:
    known = {plant.name for plant in load()}
    assert set(re.findall(r"the plant `([\w-]+)`", PAGE)) <= known
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for name in re.findall(r"`make (\w+)", PAGE)} <= targets


def test_every_file_of_the_product_that_is_named_exists() -> None:
    for path in set(re.findall(r"`((?:terminal|drivers|systemd)/[\w/]+\.\w+)`", PAGE)):
        assert Path(ROOT / path).exists(), path
