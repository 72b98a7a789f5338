"""A short hunt over every surface, and proof that a hunt finds what it is for: crashes, hangs, memory and releases."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from drivers.commands import AuthorizeFuellingPoint
from drivers.dispenser.dart.codec import encode
from drivers.dispenser.dart.frames import Data, Transaction
from tests.drivers import azt_bench, dart_bench
from tests.fuzz import __main__ as command
from tests.fuzz.hunt import TooSlow, hunt, kept, outcome, watched, weighed
from tests.fuzz.lines import azt_releases, dart_releases
from tests.fuzz.surface import Broken, Surface, demand, junk, mutated
from tests.fuzz.surfaces import SURFACES

INPUTS = 5_000


@pytest.mark.parametrize("name", sorted(SURFACES))
def test_nothing_that_comes_in_breaks_anything(name: str) -> None:
    """And both ends are reached: some inputs are taken."""
    surface = SURFACES[name]
    tally = hunt(surface, INPUTS, seed=1)
    if tally.finding is not None:
        found = kept(tally.finding)
        pytest.fail(f"{found.outcome.kind}: {found.outcome.why}\nagain: python -m tests.fuzz --play {found.file}")
    assert tally.accepted > 0
    assert tally.accepted + tally.refused == tally.inputs == INPUTS


# --- the hunt itself ------------------------------------------------------------------------------------------------------------


def planted(data: bytes) -> bool:
    """Refuses, breaks, hangs, eats and lies, each for a byte."""
    if b"?" in data:
        raise ValueError("refused")
    if b"K" in data:
        raise KeyError("planted")
    while b"H" in data:
        pass
    if b"M" in data:
        return len(bytearray(32 << 20)) > 0
    demand(b"L" not in data, "a lie")
    return True


def surface_of(letter: bytes) -> Surface:
    """Inputs that hold this letter now and then."""
    return Surface(
        "planted",
        "",
        lambda dice: bytes(dice.randrange(32, 48) for _ in range(40)) + letter * dice.choice((0, 1, 1, 3)),
        planted,
        (ValueError,),
    )


@pytest.mark.parametrize(("letter", "kind"), [(b"K", "KeyError at tests/fuzz/test_fuzz.py:"), (b"L", "Broken: a lie")])
def test_a_fault_is_found_made_small_and_kept(tmp_path: Path, letter: bytes, kind: str) -> None:
    """One byte is left of some forty, and the file holds it."""
    finding = hunt(surface_of(letter), 200, seed=1).finding
    assert finding is not None
    assert finding.outcome.kind.startswith(kind)
    assert finding.data == letter
    file = kept(finding, tmp_path).file
    assert file is not None
    assert (file.name.startswith("planted-"), file.read_bytes()) == (True, letter)


def test_a_declared_refusal_is_none() -> None:
    """Counted and gone on from."""
    tally = hunt(surface_of(b"?"), 200, seed=1)
    assert tally.finding is None
    assert tally.refused > 50
    assert tally.accepted > 20


def test_an_input_without_end_is_stopped() -> None:
    """In the middle of a loop, and what is late without one is told afterwards."""
    with watched(0.05) as arm:
        assert outcome(surface_of(b""), b"xHx", arm, 0.05).kind == "too slow"
    with watched(0.05) as arm:
        late = Surface("late", "", junk, lambda data: time.perf_counter() < 0 or bool(sum(range(10_000_000))))
        assert outcome(late, b"", arm, 0.05).kind == "too slow"
    assert not issubclass(TooSlow, Exception)


def test_memory_beyond_bounds_is_found() -> None:
    """As measured in the sampled inputs."""
    with watched() as arm:
        assert weighed(surface_of(b""), b"M", arm).kind == "too much memory"
        assert weighed(surface_of(b""), b"x", arm).kind == "accepted"


def test_the_same_seed_makes_the_same_inputs() -> None:
    """Counts and all."""
    one, other = (hunt(SURFACES["chip-tlv"], 300, seed=9) for _ in range(2))
    assert (one.accepted, one.refused) == (other.accepted, other.refused)


# --- releases -------------------------------------------------------------------------------------------------------------------


def test_a_release_is_seen_on_the_dart_line() -> None:
    """The bench's master does authorize when it is told to, in one frame with the rest and alone."""
    bench, _ = dart_bench.lifted()
    assert not any(dart_releases(wire) for _, wire in bench.sent)
    bench.submit(dart_bench.START)
    bench.run(2_000)
    assert any(dart_releases(wire) for _, wire in bench.sent)
    assert dart_releases(encode(Data(0x50, 1, (Transaction(3, b"\xfa\x10"), Transaction(1, b"\x06")))))
    with pytest.raises(Broken, match="out of shape"):
        dart_releases(b"\x50\x31\x01\x09\x06\x00\x00\x03\xfa")


def test_a_release_is_seen_on_the_azt_line() -> None:
    """The same; V is one too, whoever sent it."""
    bench, _ = azt_bench.lifted()
    assert not any(azt_releases(wire) for _, wire in bench.sent)
    bench.submit(AuthorizeFuellingPoint(1, 1, 20_000, None, (450_000,)))
    bench.run(2_000)
    assert any(azt_releases(wire) for _, wire in bench.sent)


def test_a_conversation_with_a_release_in_it_would_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that counts a poll as one is found at once."""
    monkeypatch.setattr("tests.fuzz.lines.dart_releases", lambda wire: True)
    finding = hunt(SURFACES["dart-line"], 5, seed=1).finding
    assert finding is not None
    assert finding.outcome.kind == "Broken: a release that nobody asked for"


# --- the command ------------------------------------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_ends_0() -> None:
    """One surface, few inputs."""
    ended = CliRunner().invoke(command.main, ["--surface", "chip-tlv", "--inputs", "50"])
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, "Nothing broke (seed 1).")
    assert ended.output.splitlines()[1].split()[:2] == ["chip-tlv", "50"]


def test_a_finding_ends_1_and_is_played_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the file that the table names."""
    monkeypatch.setitem(SURFACES, "chip-tlv", surface_of(b"K"))
    monkeypatch.setattr(command, "kept", lambda finding: kept(finding, tmp_path))
    ended = CliRunner().invoke(command.main, ["--surface", "chip-tlv", "--inputs", "50"])
    assert ended.exit_code == 1
    assert "KeyError: 'planted'" in ended.output
    (file,) = tmp_path.iterdir()
    named = file.rename(tmp_path / "chip-tlv-0.bin")
    again = CliRunner().invoke(command.main, ["--play", str(named)])
    assert (again.exit_code, again.output.startswith("chip-tlv: KeyError at")) == (1, True)


def test_wrong_use_ends_2(tmp_path: Path) -> None:
    """An unknown surface, an unknown file's name."""
    stranger = tmp_path / "stranger-0.bin"
    stranger.write_bytes(b"")
    for words in (["--surface", "moon"], ["--play", str(stranger)], ["--inputs", "0"]):
        assert CliRunner().invoke(command.main, words).exit_code == 2


def test_a_changed_input_is_another_most_of_the_time() -> None:
    """Else nothing is hunted."""
    dice = Random(1)
    assert sum(mutated(dice, b"a good input") != b"a good input" for _ in range(100)) > 80
