"""``python -m terminal commission`` against emulated dispensers behind real ports: what it finds, what it refuses, and how it goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from terminal.__main__ import main
from tests.behaviour.walker import Walker
from tests.behaviour.world import Amount, Release
from tests.hal_sim.test_dispenser_command import Program
from tests.rig.commissioning import converse
from tests.rig.process import ROOT

CONFIG = """
[terminal]
id = "OPT1"
site = "S1"
zone = "Europe/Paris"
currency = "EUR"
state_dir = "{folder}"
runtime_dir = "{folder}/run"
[host]
url = "https://fleet.example:8443"
authority = "{folder}/ca"
certificate = "{folder}/crt"
key = "{folder}/key"
[keys]
token = "{folder}/token"
pin = "{folder}/pin"
card = "{folder}/card"
list_current = "{folder}/list"
[[line]]
name = "pumps"
port = "{port}"
protocol = "{protocol}"
[[fuelling_point]]
number = 1
line = "pumps"
address = {address}
{decimals}
nozzles = [{nozzles}]
[[side]]
badge_reader = {{ port = "/dev/forecourt/badge-reader-1" }}
"""


class OnePump:
    """A dispenser of its own process as a technician sees and handles it."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def ask(self, **command: object) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.program.ask(json.dumps(command)))
        return answer

    def _seen(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.ask(do="show")["pumps"][0]
        return seen

    def wait(self, until: object, at_most_ms: int) -> bool:
        end = time.monotonic() + at_most_ms / 1000
        while not until():  # type: ignore[operator]
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def lift(self, fp: int, nozzle: int) -> None:
        self.ask(do="lift", nozzle=nozzle)

    def flow(self, fp: int, volume_ml: int) -> None:
        self.ask(do="squeeze", volume_ml=volume_ml)
        self.wait(lambda: not self._seen()["delivering"], 20_000)
        self.ask(do="release")

    def hang_up(self, fp: int) -> None:
        self.ask(do="hang_up")

    def release(self, fp: int) -> Release | None:
        seen = self._seen()
        return Release(1, Amount(None, None), 0) if seen["valve"] == "open" else None

    def emergency_stop(self, pressed: bool) -> None:
        self.ask(do="stop" if pressed else "show")

    def head_price(self, fp: int, nozzle: int) -> int | None:
        return int(self._seen()["prices"][str(nozzle)])

    def display(self, fp: int) -> tuple[int, int]:
        seen = self._seen()
        return int(seen["fill_ml"]), int(seen["fill_minor"])


@pytest.fixture
def pump(tmp_path: Path) -> Iterator[OnePump]:
    program = Program("--protocol", "dart", "--port", str(tmp_path / "pump"), "--pty", "--litres-per-min", "3000",
                      "--nozzles", "GAZOLE,SP95", "--price", "1.729", "--price", "1.859")  # fmt: skip
    program.line()
    yield OnePump(program)
    assert program.end() == (0, "")


def config(folder: Path, *, decimals: str = "", protocol: str = "dart", prices: tuple[str, ...] = ("1.729", "1.859")) -> Path:
    nozzles = ", ".join(
        f'{{ nozzle = {number}, product = "{product}", price = "{price}" }}'
        for number, (product, price) in enumerate(zip(("GAZOLE", "SP95"), prices, strict=False), 1)
    )
    path = folder / "terminal.toml"
    address = 0x50 if protocol == "dart" else 1
    text = CONFIG.format(folder=folder, port=folder / "pump", protocol=protocol, address=address, decimals=decimals, nozzles=nozzles)
    path.write_text(text)
    return path


def command(folder: Path, *more: str) -> list[str]:
    report = str(folder / "report.json")
    return [sys.executable, "-m", "terminal", "commission", "--config", str(folder / "terminal.toml"), "--report", report, "--json", *more]


def steps(report: dict[str, object]) -> dict[str, tuple[str, str]]:
    return {step["name"]: (step["outcome"], step["why"]) for point in report["points"] for step in point["steps"]}  # type: ignore[attr-defined]


def quick(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["commission", *arguments], prog_name="python -m terminal")


def test_a_walk_its_report_and_what_nobody_may_touch(tmp_path: Path, pump: OnePump) -> None:
    config(tmp_path)
    report = converse(command(tmp_path), Walker(pump, {}), tmp_path / "report.json")
    assert (report["result"], report["code"]) == ("OK", 0), steps(report)
    assert {outcome for outcome, _ in steps(report).values()} == {"ok"}
    assert len(steps(report)) == 2 + 2 * 5 + 1
    assert report["points"][0]["delivered_ml"] == 10_000
    text = (tmp_path / "report.txt").read_text()
    assert text.splitlines()[-2:] == ["Result: OK", f"SHA-256 of the content: {report['sha256']}"]
    assert "will show them as unattributed" in text
    checked = quick("--check", "--report", str(tmp_path / "report.json"))
    assert (checked.exit_code, checked.output.strip()) == (0, text.strip())
    edited = (tmp_path / "report.json").read_text().replace('"technician": "Meier"', '"technician": "Huber"')
    (tmp_path / "report.json").write_text(edited)
    checked = quick("--check", "--report", str(tmp_path / "report.json"))
    assert (checked.exit_code, "was changed" in checked.output) == (2, True)


def test_wrong_decimals_are_found_where_they_are(tmp_path: Path, pump: OnePump) -> None:
    config(tmp_path, decimals="volume_decimals = 1\namount_decimals = 1")
    report = converse(command(tmp_path), Walker(pump, {}), tmp_path / "report.json")
    found = steps(report)
    assert (report["result"], report["code"]) == ("FAILED", 1)
    assert found["fp 1 nozzle 1 price"] == ("ok", "")
    assert "volume_decimals" in found["fp 1 nozzle 1 volume"][1]
    assert "amount_decimals" in found["fp 1 nozzle 1 amount"][1]


def test_what_is_skipped_is_not_ok_and_the_next_walk_does_no_more_than_that(tmp_path: Path, pump: OnePump) -> None:
    config(tmp_path)
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"technician": "Meier", "date": "today"}))
    walker = Walker(pump, {})
    first = converse(command(tmp_path, "--answers", str(answers)), walker, tmp_path / "report.json")
    assert (first["result"], first["code"]) == ("INCOMPLETE", 1)
    assert steps(first)["fp 1 nozzle 1 price"][0] == "skipped"
    assert steps(first)["fp 1 answers"][0] == "ok"
    second = converse(command(tmp_path), Walker(pump, {}), tmp_path / "report.json")
    assert (second["result"], second["code"]) == ("OK", 0), steps(second)
    third = converse(command(tmp_path), walked := Walker(pump, {}), tmp_path / "report.json")
    assert (third["code"], walked.asked) == (0, ["technician", "date"]), "there is nothing left to do"
    config(tmp_path, prices=("1.729", "1.999"))
    fourth = converse(command(tmp_path), Walker(pump, {"fp 1 nozzle 1 price": "skip"}), tmp_path / "report.json")
    assert fourth["code"] == 1, "what is configured otherwise now is walked again, all of it"
    assert steps(fourth)["fp 1 nozzle 1 price"][0] == "skipped"


def test_ctrl_c_in_a_delivery_stops_the_pump_and_the_next_walk_takes_its_record(tmp_path: Path, pump: OnePump) -> None:
    config(tmp_path)
    process = subprocess.Popen(
        command(tmp_path), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said, out = process.stdin, process.stdout
    assert said is not None
    assert out is not None
    walker = Walker(pump, {})
    for line in out:
        fields = json.loads(line)
        if fields.get("do") == "deliver":
            assert pump.wait(lambda: pump.release(1) is not None, 10_000)
            pump.ask(do="squeeze", volume_ml=1_000)
            process.send_signal(signal.SIGINT)
            break
        if "do" in fields:
            walker.do(fields)
        else:
            said.write(walker.answer(fields["ask"]) + "\n")
            said.flush()
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "goes on behind it" in errors
    assert "Traceback" not in errors
    assert pump.wait(lambda: pump.release(1) is None, 5_000), "nothing can flow behind it"
    pump.hang_up(1)
    kept = json.loads((tmp_path / "report.json").read_text())
    assert kept["pending"] == {"fp": 1, "nozzle": 1}
    report = converse(command(tmp_path), Walker(pump, {}), tmp_path / "report.json")
    assert (report["result"], report["pending"]) == ("OK", None), steps(report)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--config", "/there/is/none"], "No such file"),
        (["--check", "--report", "/there/is/none.json"], "No such file"),
        (["--fp", "7"], "there is no fuelling point 7"),
        (["--answers", "/there/is/none"], "No such file"),
        (["--answers", "{folder}/wrong.json"], "nobody asks for 'colour'"),
        (["--answers", "{folder}/terminal.toml"], "JSON object"),
        (["--report", "{folder}/wrong.json"], "is no report"),
        ([], "cannot open"),
    ],
)
def test_what_a_person_must_mend(tmp_path: Path, arguments: list[str], text: str) -> None:
    config(tmp_path)
    (tmp_path / "wrong.json").write_text('{"colour": "blue"}')
    given = [each.format(folder=tmp_path) for each in arguments]
    if "--config" not in given and "--check" not in given:
        given += ["--config", str(tmp_path / "terminal.toml")]
    if "--report" not in given:
        given += ["--report", str(tmp_path / "report.json")]
    done = quick(*given)
    assert done.exit_code == 2, done.output
    assert text in done.output
    assert not (tmp_path / "report.json").exists()
