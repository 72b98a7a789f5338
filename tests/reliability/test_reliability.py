"""One verdict: what a campaign's command ends with, what its file says, and what the page says of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tests import reliability
from tests.canary import __main__ as canary
from tests.canary import core_file
from tests.canary.run import Report as CanaryReport
from tests.endurance import __main__ as endurance
from tests.endurance.kills import Report as KillsReport
from tests.oracle import __main__ as oracle
from tests.reliability import __main__ as page
from tests.reliability import nightly
from tests.rig.process import TerminalEnded
from tests.simulation import __main__ as simulation

OLD = {"cases": 100_000, "different": 0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In it stand an older night's good figures of everything."""
    monkeypatch.setattr(reliability, "FOLDER", tmp_path)
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    monkeypatch.setattr(nightly, "FOLDER", tmp_path)
    for name in page.ORDER:
        reliability.record(name, name, OLD)
    return tmp_path


def kept(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return found


def told(folder: Path) -> tuple[int, str]:
    """The page's exit code and text."""
    done = CliRunner().invoke(page.main, ["--out", str(folder / "page.md")])
    return done.exit_code, done.output + (folder / "page.md").read_text()


def code_of(command: Any, *arguments: str) -> int:
    return CliRunner().invoke(command, list(arguments)).exit_code


# --- the campaign itself ------------------------------------------------------------------------------------------------------


def test_a_campaign_that_ends_well_has_its_figures(folder: Path) -> None:
    with reliability.campaign("kills", "Kills") as found:
        assert kept(folder, "kills")["wrong"] == reliability.NOT_ENDED
        assert kept(folder, "kills")["figures"] == {}
        found.figures["kills"] = 7
    assert (found.code, kept(folder, "kills")["wrong"], kept(folder, "kills")["figures"]) == (0, "", {"kills": 7})
    assert told(folder)[0] == 0


def test_a_campaign_that_finds_a_fault_says_it_everywhere(folder: Path) -> None:
    with reliability.campaign("kills", "Kills") as found:
        found.amiss("seed 3: a sale was lost")
        found.amiss("")
    code, text = told(folder)
    assert (found.code, code) == (1, 1)
    assert kept(folder, "kills")["wrong"] == "seed 3: a sale was lost"
    assert "**Fault found:** seed 3: a sale was lost" in text
    assert "with a fault: kills" in text


@pytest.mark.parametrize("end", [ValueError("words"), KeyboardInterrupt(), SystemExit(0)])
def test_a_campaign_that_breaks_off_has_no_old_figures(folder: Path, end: BaseException) -> None:
    with pytest.raises(type(end)), reliability.campaign("kills", "Kills"):
        raise end
    assert kept(folder, "kills")["wrong"] == f"did not end: {type(end).__name__}"
    code, text = told(folder)
    assert code == 1
    assert "**Fault found:** did not end" in text


def test_a_campaign_that_is_killed_has_no_old_figures(folder: Path) -> None:
    code = "import os, pathlib, sys\nfrom tests import reliability\nreliability.FOLDER = pathlib.Path(sys.argv[1])\n"
    code += f"with reliability.campaign('soak', 'Soak'):\n    os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=reliability.ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert kept(folder, "soak")["wrong"] == reliability.NOT_ENDED
    assert told(folder)[0] == 1


def test_a_part_of_a_campaign_touches_no_figures(folder: Path) -> None:
    with reliability.campaign("planted", "Planted", kept=False) as found:
        found.amiss("not found")
    assert found.code == 1
    assert kept(folder, "planted")["figures"] == OLD


def test_what_was_never_run_is_said(folder: Path) -> None:
    (folder / "soak.json").unlink()
    assert "Not run, so nothing is known: soak." in told(folder)[1]


# --- the campaigns' commands --------------------------------------------------------------------------------------------------


def test_the_oracle_with_a_difference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    different = [SimpleNamespace(number=17)]
    monkeypatch.setattr(oracle, "_results", lambda tasks: iter([oracle.Chunk(10, Counter(), different)]))  # type: ignore[arg-type]
    monkeypatch.setattr(oracle, "_tell", lambda found: None)
    assert code_of(oracle.main, "--cases", "1", "--jobs", "1") == 1
    assert kept(folder, "oracle")["wrong"] == "seed 17: explain and the rules differ"


def test_the_oracle_with_rules_that_never_came_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "_results", lambda tasks: iter([oracle.Chunk(10, Counter(), [])]))
    assert code_of(oracle.main, "--cases", "1", "--jobs", "1") == 1
    assert kept(folder, "oracle")["wrong"].startswith("never came up: ")


@pytest.mark.parametrize(("opened", "seen", "code"), [(5, 5, 0), (0, 0, 1), (5, 4, 1)])
def test_the_canary_whose_control_failed(folder: Path, monkeypatch: pytest.MonkeyPatch, opened: int, seen: int, code: int) -> None:
    report = CanaryReport()
    report.opened, report.seen = opened, seen
    monkeypatch.setattr(canary, "run", lambda *given: report)
    clean = SimpleNamespace(dumped=False, found=(), searched=0)
    monkeypatch.setattr(core_file, "terminal", lambda: clean)
    monkeypatch.setattr(core_file, "naive", lambda folder: clean)
    assert code_of(canary.main) == code
    assert bool(kept(folder, "canary")["wrong"]) is bool(code)


def test_kills_of_which_one_station_lost_a_sale_and_one_died(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "campaigns", lambda *given: iter([KillsReport(1, 25), KillsReport(2, 25, wrong="a sale twice")]))
    assert code_of(endurance.main, "kills") == 1
    assert (kept(folder, "kills")["wrong"], kept(folder, "kills")["figures"]["kills"]) == ("seed 2: a sale twice", 50)

    def dies(*given: object) -> Any:
        raise TerminalEnded("the program ended")

    monkeypatch.setattr(endurance, "campaigns", dies)
    assert code_of(endurance.main, "kills") != 0
    assert kept(folder, "kills")["wrong"] == "did not end: TerminalEnded"


def test_a_swarm_that_is_stopped_by_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*given: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "_results", stopped)
    assert code_of(simulation.main, "swarm", "--seeds", "3", "--out", str(folder.parent / "sums.txt")) == 130
    assert kept(folder, "swarm")["wrong"] == "did not end: stopped by hand"


# --- the night ----------------------------------------------------------------------------------------------------------------


def test_a_command_that_cannot_even_begin_leaves_no_old_figures(folder: Path) -> None:
    assert nightly.run_one("kills", [sys.executable, "-c", "raise SystemExit(2)"]) == 2
    assert kept(folder, "kills")["wrong"] == reliability.NOT_ENDED
    assert nightly.run_one("kills", [sys.executable, "-c", "pass"]) == 1, "and one that says nothing has shown nothing"
    assert nightly.run_one("disk", [sys.executable, "-c", "raise SystemExit(2)"]) == 2
    assert kept(folder, "faulty-disk")["wrong"] == reliability.NOT_ENDED


def test_a_command_that_ends_badly_behind_a_good_file_is_believed(folder: Path) -> None:
    write = "import sys, pathlib, os\nfrom tests import reliability\nreliability.FOLDER = pathlib.Path(sys.argv[1])\n"
    write += "reliability.record('kills', 'Kills', {'kills': 1})\nsys.exit(int(sys.argv[2]))"
    assert nightly.run_one("kills", [sys.executable, "-c", write, str(folder), "0"]) == 0
    assert nightly.run_one("kills", [sys.executable, "-c", write, str(folder), "3"]) == 3
    assert kept(folder, "kills")["wrong"] == "ended with 3"


PYTEST = '<testsuites><testsuite tests="%d" failures="%d" errors="0" skipped="%d"/></testsuites>'


@pytest.mark.parametrize(
    ("name", "written", "ended", "wrong"),
    [
        ("rig", '{"passed": 300, "failed": 0}', 0, ""),
        ("rig", '{"passed": 299, "failed": 1}', 1, "1 failed, 299 passed; ended with 1"),
        ("rig", None, 2, "no result in out: FileNotFoundError; ended with 2"),
        ("bench", '{"figures": [{"name": "press", "met": false}], "failed": {}}', 0, ""),
        ("bench", '{"figures": [], "failed": {"lines": "x"}}', 1, "no figures of lines; ended with 1"),
        ("machine", PYTEST % (30, 0, 0), 0, ""),
        ("machine", PYTEST % (30, 0, 1), 0, "0 failed, 1 of 30 not run"),
        ("machine", PYTEST % (0, 0, 0), 0, "0 failed, 0 of 0 not run"),
        ("wires", PYTEST % (60, 0, 2), 0, "0 failed, 2 of 60 not run"),
        ("machine", PYTEST % (30, 0, 30), 0, "0 failed, 30 of 30 not run"),
        ("machine", "<half", 1, "no result in out: ParseError; ended with 1"),
    ],
)
def test_those_that_write_elsewhere_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, written: str | None, ended: int, wrong: str
) -> None:
    out = folder / "out"
    out.write_text("an older night's")
    title, _, read = nightly.READ[name]
    monkeypatch.setitem(nightly.READ, name, (title, out, read))
    for place in ("RIG_FILE", "BENCH_FILE", "MACHINE_FILE", "WIRES_FILE"):
        monkeypatch.setattr(nightly, place, out)
    make = "" if written is None else f"import pathlib; pathlib.Path({str(out)!r}).write_text({written!r})\n"
    code = nightly.run_one(name, [sys.executable, "-c", f"{make}raise SystemExit({ended})"])
    assert (kept(folder, name)["wrong"], bool(code)) == (wrong, bool(wrong))


def test_what_a_test_of_the_machine_tells_of_itself_is_on_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As this pytest writes it."""
    test = tmp_path / "test_cuts.py"
    test.write_text("def test_cuts(record_property):\n    record_property('disks', 1200)\n    record_property('caught', '7 of 9')\n")
    out = tmp_path / "out.xml"
    monkeypatch.setattr(nightly, "MACHINE_FILE", out)
    monkeypatch.setitem(nightly.READ, "machine", ("The machine", out, nightly.of_machine))
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", f"--junitxml={out}", str(test)]
    assert nightly.run_one("machine", command) == 0
    assert kept(folder, "machine")["figures"] == {
        "tests": 1,
        "of these failed": 0,
        "of these not run": 0,
        "disks": 1200,
        "caught": "7 of 9",
    }
    assert "| disks | 1,200 |\n| caught | 7 of 9 |" in told(folder)[1]


def test_every_campaign_of_the_night_has_its_place_on_the_page() -> None:
    assert {nightly.FILES.get(name, name) for name in (*nightly.CAMPAIGNS, "machine")} == set(page.ORDER)
