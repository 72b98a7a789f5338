"""The manners of the forecourt process: wrong commands, wrong scenarios, the end of its input, signals, notes and help."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hal_sim.dispensers import dart_codec as codec
from tests.hal_sim.forecourt_kit import ROOT, SCENARIO, UID, Master, Rig, rig

__all__ = ["rig"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("nonsense", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", 'a JSON object with "do" is expected'),
        ('{"do":"fly"}', "unknown command; known are lift"),
        ('{"do":"lift","fp":9,"nozzle":1}', "no such fuelling point; there are 1, 2"),
        ('{"do":"lift","fp":1}', "lift: nozzle is missing"),
        ('{"do":"lift","fp":1,"nozzle":true}', "lift: nozzle is missing or not a whole number"),
        ('{"do":"lift","fp":1,"nozzle":7}', "nozzle 7 cannot be lifted"),
        ('{"do":"hang_up","fp":1}', "no nozzle is out"),
        ('{"do":"squeeze","fp":1,"volume_ml":0}', "squeeze: volume_ml is 1 to"),
        ('{"do":"keys","keys":["1","secret"]}', "the keys are 0, 1"),
        ('{"do":"present","number":""}', "a badge needs a number"),
        ('{"do":"present","number":"\\ud800"}', "surrogates"),
        ('{"do":"present","number":"A","medium":"stripe"}', "the medium is"),
        ('{"do":"quiet","please":1}', "quiet: unknown field please"),
        ('{"do":"wall_clock","offset_ns":9999999999999999999}', "offset_ns is"),
    ],
)
def test_a_wrong_command_is_refused_and_the_forecourt_goes_on(rig: Rig, line: str, error: str) -> None:
    answer = rig.raw(line)
    assert error in answer["error"]
    assert "secret" not in answer["error"]
    assert "pumps" in rig.do("pumps", id="\ud800")


def test_an_id_comes_back_with_its_answer(rig: Rig) -> None:
    assert rig.do("quiet", id=17) == {"id": 17, "quiet": True}
    assert rig.do("fly", id="x")["id"] == "x"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"zone": "Europe/Nowhere"}, "zone"),
        ({"local_time": "tomorrow"}, "scenario.local_time"),
        ({"decimals": "two"}, "scenario.decimals"),
        ({"fuelling_points": [{"fp": 1}]}, "fuelling_points[0].nozzle"),
        ({"fuelling_points": {}}, "scenario.fuelling_points"),
        ({"fuelling_points": [{"fp": 1, "nozzle": 1, "product": "A", "price": 1, "adress": 80}]}, "fuelling_points[0].adress: unknown"),
        (
            {"fuelling_points": [{"fp": n, "nozzle": 1, "product": "A", "price": 1, "address": 80} for n in (1, 2)]},
            "two positions at 0x50",
        ),
        ({"display": {"code_page": "utf-8"}}, "display.code_page"),
        ({"keypad": {"layout": "round"}}, "keypad.layout"),
        ({"cards": [{"number": UID}, {"number": UID}]}, "cards[1].number"),
    ],
)
def test_a_wrong_scenario_is_refused_in_one_line(tmp_path: Path, change: dict[str, Any], error: str) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(SCENARIO | change), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "hal_sim", "forecourt", "--scenario", str(file), "--dir", str(tmp_path / "run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert error in result.stderr
    assert "Traceback" not in result.stderr
    assert UID not in result.stderr


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", None])
def test_a_file_that_is_no_scenario(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "scenario.json"
    if content is not None:
        file.write_bytes(content)
    result = subprocess.run(
        [sys.executable, "-m", "hal_sim", "forecourt", "--scenario", str(file), "--dir", str(tmp_path / "run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {file}")


def test_sigterm_stops_it_cleanly_and_only_what_was_asked_for_is_built(tmp_path: Path) -> None:
    small = Rig(tmp_path, SCENARIO | {"badge": None, "display": None, "keypad": None, "host": None, "wire_log": True})
    assert set(small.ready["ports"]) == {"dart1"}
    assert small.ready["host"] is None
    assert small.do("keys", keys=["1"]) == {"error": "keys: there is no keypad"}
    assert small.do("display") == {"error": "there is no display"}
    assert small.do("host") == {"error": "there is no host in this scenario"}
    with Master(small.ready["ports"]["dart1"]) as master:
        assert master.poll(0x50) == bytes([0x50, 0x70, codec.SF])
    small.process.send_signal(signal.SIGTERM)
    assert small.close() == (0, "")
    assert not os.path.lexists(small.ready["ports"]["dart1"])
    log = (tmp_path / "run" / "dart1.wire").read_text()
    for direction, frame in (("in", "5020fa"), ("out", "5070fa")):
        assert "".join(line.split()[2] for line in log.splitlines() if line.split()[1] == direction).startswith(frame)


def test_the_last_line_is_obeyed_though_the_input_ends(tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(SCENARIO | {"host": None, "keypad": None}), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "hal_sim", "forecourt", "--scenario", str(file), "--dir", str(tmp_path / "run")],
        cwd=ROOT,
        input='{"do":"quiet"}\n{"do":"wait_quiet"}\n{"do":"pumps"}',
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(answer)[-1] for answer in answers[1:]] == ["quiet", "quiet", "pumps"]


def test_the_notes_list_every_command_and_their_scenario_starts(tmp_path: Path) -> None:
    notes = (ROOT / "firmware_notes" / "rig.md").read_text(encoding="utf-8")
    rows = [line for line in notes.split("## Commands")[1].split("## Clocks")[0].splitlines() if line.startswith("|")]
    examples = [json.loads(each) for row in rows for each in re.findall(r"`(\{.*?\})`", row)]
    scenario = json.loads(notes.split("```json")[1].split("```")[0])
    noted = Rig(tmp_path, scenario)
    known = noted.do("fly")["error"].removeprefix("unknown command; known are ").split(", ")
    assert sorted({each["do"] for each in examples}) == sorted(known)
    for example in examples:
        answer = noted.raw(json.dumps(example | ({"timeout_ms": 1} if example["do"].startswith("wait_") else {})))
        assert "unknown field" not in answer.get("error", "")
        assert "missing" not in answer.get("error", "")
    assert noted.close() == (0, "")


def test_help_shows_examples() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "hal_sim", "forecourt", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert result.returncode == 0
    assert '{"do":"lift","fp":2,"nozzle":1}' in result.stdout
