"""The swarm as part of ``make test``: forty seeds, every seed that ever found something, the same seed twice, three planted bugs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from hal_sim.dispensers.head import Head
from tests.simulation.journal_facts import Broken, Facts
from tests.simulation.makes import AZT_HABITS
from tests.simulation.planted import ROOT, Plant, load, search
from tests.simulation.power_cut import SECTOR, Disk, crashed
from tests.simulation.pump_books import PumpBooks
from tests.simulation.run import run
from tests.simulation.tally import Sums
from tests.simulation.trace import Failure, Trace, words
from tests.simulation.workload import draw

FUELLINGS = 10
SEEDS = 40
PROVEN = ("reset-before-commit", "reversal-forgotten-after-time-out", "pin-try-not-counted-first")


def found_seeds() -> list[int]:
    """The seeds of ``seeds.txt``: each has found a bug once."""
    lines = Path(__file__).with_name("seeds.txt").read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("first", range(1, SEEDS + 1, 10))
def test_ten_seeds(first: int) -> None:
    for seed in range(first, first + 10):
        result = run(seed, FUELLINGS)
        assert result.failure is None, f"seed {seed}: {result.failure}\n" + "\n".join(result.lines)


@pytest.mark.parametrize("seed", found_seeds())
def test_a_seed_that_found_something(seed: int) -> None:
    result = run(seed, FUELLINGS)
    assert result.failure is None, f"{result.failure}\n" + "\n".join(result.lines)


def test_the_seeds_do_fuel_and_are_cut() -> None:
    results = [run(seed, FUELLINGS) for seed in range(1, 11)]
    assert sum(result.attempts for result in results) >= 100
    assert sorted(result.fuellings for result in results)[2] >= FUELLINGS
    assert sum(result.cuts for result in results) >= 30


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_same_seed_gives_the_same_hash_in_another_process(hash_seed: str) -> None:
    here = run(1, FUELLINGS)
    program = f"from tests.simulation.run import run; print(run(1, {FUELLINGS}).digest)"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    there = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.digest == run(1, FUELLINGS).digest
    assert run(2, FUELLINGS).digest != here.digest


@pytest.mark.parametrize("plant", load(), ids=lambda plant: plant.name)
def test_a_plant_still_fits_its_file(plant: Plant) -> None:
    assert plant.occurrences() == 1
    assert plant.new != plant.old
    compile((ROOT / plant.file).read_text(encoding="utf-8").replace(plant.old, plant.new), plant.file, "exec")


@pytest.mark.parametrize("name", PROVEN)
def test_a_planted_bug_is_found(name: str) -> None:
    (plant,) = load(name)
    assert search(plant, 40) is not None


def test_stations_differ_in_lines_makes_and_media() -> None:
    lines: set[tuple[str, ...]] = set()
    kinds: set[str] = set()
    habits: set[str] = set()
    for seed in range(1, 121):
        plan = draw(seed, 3)
        rows = plan.scenario["fuelling_points"]
        lines.add(tuple(sorted(protocol for protocol, _ in {(row["protocol"], row["bus"]) for row in rows})))
        kinds |= {medium.kind for medium in plan.badges} | ({"pair"} if any(medium.pair is not None for medium in plan.badges) else set())
        habits |= {make.habit for make in plan.makes.values()} | {"liar" for make in plan.makes.values() if make.register_off_ml}
    assert {("dart",), ("azt",), ("azt", "dart"), ("azt", "dart", "dart"), ("azt", "azt", "dart")} <= lines
    assert kinds == {"badge", "secure badge", "stripe", "smart card", "pair"}
    assert habits == {"", "liar", *AZT_HABITS}


def test_sums_count_only_what_was_survived(tmp_path: Path) -> None:
    results = [run(seed, FUELLINGS) for seed in (2, 3)]
    broken = replace(results[0], seed=4, failure=Failure("books", "apart"), happened={"line: frame lost": 1_000_000})
    sums = Sums()
    for result in (*results, broken):
        sums.add(result)
    assert sum(times for kind, times, _ in sums.rows() if kind.startswith("power: ")) == sum(result.cuts for result in results) > 0
    assert sums.happened["line: frame lost"] < 1_000_000
    sums.write(tmp_path / "new" / "swarm.json", {"command": "told"})
    told = json.loads((tmp_path / "new" / "swarm.json").read_text(encoding="utf-8"))
    assert told["broken"] == [{"seed": 4, "name": "books", "what": "apart", "faults": broken.mix}]
    assert told["seeds"] == 3
    days = sorted(result.fuellings for result in (*results, broken))
    assert sorted(int(number) for number, seeds in told["fuellings_in_seeds"].items() for _ in range(seeds)) == days
    few = sum(number < FUELLINGS for number in days)
    assert sums.spread(FUELLINGS) == (
        f"a seed: min {days[0]}, median {days[1]}, mean {sum(days) / 3:.1f}; {few} seeds with fewer than {FUELLINGS}"
    )
    assert set(told["survived"]) == set(sums.happened)


def test_a_millilitre_that_nobody_explains_is_found() -> None:
    head = Head({1: "GAZOLE"}, {1: 17_290})
    books = PumpBooks({1: head}, 0, Facts, lambda: 0, lambda actor, subject, what: None)
    books.check(Facts())
    assert books.dispense(1, 1, 10)
    with pytest.raises(Broken, match="totaliser 10 ml"):
        books.check(Facts())
    explained = Facts(unattributed={(1, 1): 10})
    books.check(explained)
    assert books.unattributed == 10


def test_a_draw_more_in_one_component_leaves_the_others_alone() -> None:
    few, many = draw(7, 3), draw(7, 30)
    assert few.scenario == many.scenario
    assert few.visits == many.visits[: len(few.visits)]


@pytest.mark.parametrize("seed", range(40))
def test_a_torn_log_keeps_whole_sectors_and_leaves_the_file_alone(seed: int) -> None:
    rng = Random(seed)
    old = rng.randbytes(3 * SECTOR)
    before, after = Disk(b"file", old), Disk(b"file", old + rng.randbytes(5 * SECTOR + 100))
    torn, how = crashed(before, after, rng)
    assert torn.ledger == b"file"
    assert torn.log is not None
    assert after.log is not None
    assert torn.log[: len(old)] == old
    if "garbage" not in how:
        for at in range(len(old), len(torn.log), SECTOR):
            written = torn.log[at : at + SECTOR]
            assert written in (after.log[at : at + SECTOR], b"\0" * len(written))


def test_a_torn_checkpoint_leaves_the_whole_log() -> None:
    before, after = Disk(b"a" * 4 * SECTOR, b"log"), Disk(b"b" * 4 * SECTOR, b"longer log")
    torn = [crashed(before, after, Random(seed)) for seed in range(40)]
    assert {disk.log for disk, how in torn if how == "checkpoint torn"} == {b"longer log"}
    assert any(disk.ledger not in (before.ledger, after.ledger) for disk, _ in torn)


def test_the_trace_names_no_key_and_no_number() -> None:
    from drivers.events import Key, KeyPressed, MediumKind, MediumPresented

    assert words(KeyPressed(1, Key.DIGIT_7)) == "KeyPressed"
    assert words(MediumPresented(1, MediumKind.BADGE, "04AABBCCDDEEFF")) == "MediumPresented"
    trace = Trace()
    trace.add(12, "event", "fp 1", "PumpSurveyed")
    assert trace.lines == ["        12 event  fp 1         PumpSurveyed"]
