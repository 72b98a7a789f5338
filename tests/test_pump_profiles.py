"""Pump profiles: those that come with the program, own ones, what a point and a line take of them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.dart.line import DartLine
from terminal.config import Config, ConfigError, load
from terminal.pump_profiles import AuthorizeWhen, profile_named, shipped
from terminal.pump_protocols import PROTOCOLS
from terminal.pump_tables import addresses_of, line_settings, profiles_on, seats_of
from terminal.pump_tool import Head, _master

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = (ROOT / "systemd" / "terminal.example.toml").read_text(encoding="utf-8")
NOTES = (ROOT / "firmware_notes" / "pump-profiles.md").read_text(encoding="utf-8")
POINT = "address = 0x50 "
OWN = '\n[[pump_profile]]\nname = "mine"\nprotocol = "dart"\n'


def config(folder: Path, *changes: tuple[str, str], behind: str = "") -> Config:
    """The example with changes."""
    text = EXAMPLE
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    path = folder / "terminal.toml"
    path.write_text(text + behind, encoding="utf-8")
    return load(path)


def built(told: Config, line: int = 0) -> Any:
    """The first line's master, as the terminal makes it."""
    table = told.line[line]
    protocol, points = PROTOCOLS[table.protocol], [point for point in told.fuelling_point if point.line == table.name]
    settings = line_settings(table, protocol, profiles_on(points, protocol, told.pump_profile))
    return protocol.build(table.name, seats_of(points, protocol, told.pump_profile), settings, told.decimals)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_profile_can_be_used_and_is_documented(name: str) -> None:
    profile = shipped()[name]
    assert PROTOCOLS[profile.protocol].check(profile.head, profile.line) == []
    assert profile.about
    assert f"`{name}`" in NOTES
    _master(Head(profile.protocol, "/dev/null", profile=name))


def test_a_point_has_what_its_profile_says_and_says_itself_what_it_will(tmp_path: Path) -> None:
    told = config(tmp_path, (POINT, 'profile = "wayne-coarse"\nvolume_decimals = 3\naddress = 0x50 #'))
    first, second = told.site("1").points
    assert (first.minimum_ml, first.resolution_ml, first.before_lift) == (5_000, 1_000, False)
    assert (second.minimum_ml, second.resolution_ml) == (2_000, 10)
    one, two = built(told)._positions
    assert (one.profile.volume_decimals, one.profile.total_decimals) == (3, 0)
    assert (two.profile.volume_decimals, two.profile.total_decimals) == (2, 2)


def test_a_line_is_as_patient_as_its_most_patient_pump_unless_it_says_otherwise(tmp_path: Path) -> None:
    cautious = (POINT, 'profile = "wayne-cautious"\naddress = 0x50 #')
    told = config(tmp_path, cautious)
    assert told.line[0].answer_window_ms == 200
    master = built(told)
    assert isinstance(master, DartLine)
    assert master.profile.answer_window_ms == 200
    assert [position.profile.combined_start for position in master._positions] == [False, True]
    said = config(tmp_path, cautious, ("# answer_window_ms = 120", "answer_window_ms = 150"))
    assert built(said).profile.answer_window_ms == 150


def test_an_own_profile(tmp_path: Path) -> None:
    behind = f'{OWN}resolution_ml = 100\nauthorize = "before lift"\nprice_digits = 4\n[pump_profile.head]\nprice_decimals = 3\n'
    told = config(tmp_path, (POINT, 'profile = "mine"\naddress = 0x50 #'), behind=behind)
    point = told.site("1").points[0]
    assert (point.resolution_ml, point.before_lift, point.price_digits) == (100, True, 4)
    assert told.fuelling_point[0].authorize is AuthorizeWhen.BEFORE_LIFT


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        (f"{OWN}nonsense = 1\n", "nonsense"),
        (f"{OWN}[pump_profile.head]\ndose_readback = true\n", "head.dose_readback: DART heads have no such setting"),
        (f"{OWN}[pump_profile.line]\ntries = 3\n", "line.tries: DART lines have no such setting"),
        (f"{OWN}[pump_profile.head]\nfp = 3\n", "head.fp: DART heads have no such setting"),
        (f"{OWN}[pump_profile.head]\nvolume_decimals = 99\n", "volume_decimals must be 0 to 8"),
        (f"{OWN}resolution_ml = 0\n", "resolution_ml"),
        (f"{OWN}resolution_ml = 5000\nminimum_ml = 100\n", "minimum_ml 100 is below resolution_ml 5000"),
        (OWN.replace("mine", "wayne"), "given twice"),
        (OWN.replace('"dart"', '"morse"'), "known are dart, azt"),
        (f"{OWN}[pump_profile.line]\nanswer_window_ms = 1\n", "answer_window_ms must be"),
    ],
)
def test_what_a_profile_cannot_be(tmp_path: Path, behind: str, words: str) -> None:
    with pytest.raises(ConfigError, match="terminal.toml") as caught:
        config(tmp_path, behind=behind)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"), [("none-such", "is no pump profile; known are wayne"), ("topaz", "is for azt lines, not for dart")]
)
def test_a_point_names_a_profile_that_is_there_and_is_its_protocols(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, (POINT, f'profile = "{name}"\naddress = 0x50 #'))
    assert words in str(caught.value)
    with pytest.raises(ValueError, match=words):
        profile_named(name, "dart")


def test_the_hoses_of_an_azt_point_have_addresses_of_their_own(tmp_path: Path) -> None:
    azt = [('# protocol = "dart" ', 'protocol = "azt" #'), (POINT, "address = 1 #"), ("address = 0x51", "address = 9"), ("1.729", "1.72")]
    with pytest.raises(ConfigError, match="one hose"):
        config(tmp_path, *azt, ("1.899", "1.89"))
    told = config(tmp_path, *azt, ('price = "1.899" }', 'price = "1.89", address = 2 }'))
    assert addresses_of(told.fuelling_point[0]) == {1: (1,), 2: (2,)}
    master = built(told)
    assert isinstance(master, AztLine)
    assert sorted(master._by_address) == [1, 2, 9]
    with pytest.raises(ConfigError, match="given twice"):
        config(tmp_path, *azt, ('price = "1.899" }', 'price = "1.89", address = 9 }'))
    twins = config(tmp_path, ('price = "1.899" }', 'price = "1.899", address = 0x60 }'))
    assert [position.profile.nozzles for position in built(twins)._positions] == [(1,), (2,), ()]
