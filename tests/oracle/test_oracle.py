"""The oracle itself: a small run of it, that it sees differences, makes cases small, and shares no code with the terminal."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.core import naive
from tests.core.cases import changed
from tests.core.naive import Row, answer
from tests.oracle import damage
from tests.oracle.__main__ import judge, main
from tests.oracle.ask import ROOT, Difference, differences, line, said
from tests.oracle.coverage import reached, required
from tests.oracle.dice import Dice
from tests.oracle.shrink import smallest


def test_two_thousand_cases_through_the_real_command() -> None:
    chunk = judge(500_000, 2000)
    assert [(one.number, one.said, one.right) for one in chunk.different] == []
    # A few names are rarer than one in 2,000; `make oracle` asks for every one of them.
    missing = [name for name in required() if not chunk.reached[name]]
    assert len(missing) <= 5, missing


def test_malformed_cases_are_refused_by_line_and_field() -> None:
    chunk = damage.judge(0, 8)  # a process each; `make oracle BAD=500` takes its time
    assert [(one.seed, one.kind, one.what) for one in chunk.wrong] == []
    assert set(chunk.kinds) == set(list(damage.KINDS)[:8])


def test_the_naive_rules_share_nothing_with_the_terminal() -> None:
    tree = ast.parse(Path(str(naive.__file__)).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name.split(".")[0] for name in imported} <= {
        "__future__",
        "datetime",
        "fractions",
        "functools",
        "math",
        "re",
        "typing",
        "zoneinfo",
    }


def wrong_about(part: str, key: str, value: object) -> list[Row]:
    return [row | {part: {**row[part], key: value}} if part else row | {key: value} for row in (Dice(seed).case() for seed in range(60))]


@pytest.mark.parametrize(
    ("part", "key", "value"), [("policy", "terminal_cap_ml", 1234), ("", "clock", "untrusted"), ("request", "wish", None)]
)
def test_a_comparison_with_another_case_s_answers_finds_differences(part: str, key: str, value: object) -> None:
    """What the command says to changed cases is not right for the ones before the change: the comparison can fail."""
    told = said(wrong_about(part, key, value))
    right = [line(answer(Dice(seed).case())) for seed in range(60)]
    assert sum(left != other for left, other in zip(told, right, strict=True)) > 3


def test_a_case_at_which_the_command_stops_is_a_difference() -> None:
    good, bad = changed(), changed(limit__amount=-1)
    found = differences([good, bad, good])
    assert [one.number for one in found] == [1]
    assert found[0].said.startswith("ended 2: ")


def test_a_failing_case_is_made_small() -> None:
    """As if the command were wrong about every case with a blocked card and a sale in doubt."""

    def ask(cases: list[Row]) -> list[Difference]:
        return [
            Difference(number, case, "wrong", "right")
            for number, case in enumerate(cases)
            if any(card["status"] == "blocked" for card in case["cards"]) and any(sale["state"] == "in_doubt" for sale in case["sales"])
        ]

    start = next(found[0] for seed in range(10_000) if (found := ask([Dice(seed).case()])))
    case = smallest(start, ask).case
    assert (len(case["cards"]), len(case["sales"]), case["limits"], case["balances"], case["deny"]) == (1, 1, [], [], [])
    assert case["policy"] == {}


def test_the_same_seed_gives_the_same_case() -> None:
    assert [Dice(seed).case() for seed in range(20)] == [Dice(seed).case() for seed in range(20)]


def test_every_case_counts_for_something() -> None:
    assert all(reached(case, answer(case)).keys() & set(required()) for case in (Dice(seed).case() for seed in range(200)))


def test_one_case_is_shown_with_both_answers(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(Dice(1).case()))
    done = CliRunner().invoke(main, ["--case", str(file)])
    assert (done.exit_code, "explain: the same" in done.output) == (0, True)
    file.write_text("{}")
    assert CliRunner().invoke(main, ["--case", str(file)]).exit_code == 2


@pytest.mark.parametrize("words", [["--cases", "0"], ["--jobs", "none"], ["--case", "/absent.json"], ["--what"]])
def test_wrong_use_ends_2(words: list[str]) -> None:
    assert CliRunner().invoke(main, words).exit_code == 2


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.oracle", "--cases", "20000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as running:
        time.sleep(3)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err.strip()) == (130, "", "stopped")
