"""``python -m terminal pump`` against the emulated dispensers behind real ports, and its ear on lines that others speak."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
import tomllib
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from terminal.__main__ import main
from terminal.pump_tool import AztEar, DartEar, Heard
from tests.hal_sim.test_dispenser_command import Program, opened

ROOT = Path(__file__).parents[1]


def put_back(port: Path) -> None:
    """Wait until the emulator has put back the speed of its line, for it can be opened again only then (hal_sim/pty_port.py)."""
    if not port.is_symlink():
        return
    line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    end = time.monotonic() + 5
    while termios.tcgetattr(line)[4] != termios.B50 and time.monotonic() < end:
        time.sleep(0.005)
    os.close(line)


def pump(*arguments: str) -> tuple[int, str, str]:
    if "--port" in arguments:
        put_back(Path(arguments[arguments.index("--port") + 1]))
    done = CliRunner().invoke(main, ["pump", *arguments], prog_name="python -m terminal")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module", params=["dart", "azt"])
def head(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, list[str]]]:
    """A dispenser at its second address that runs fast, and the arguments that reach it."""
    path, address = tmp_path_factory.mktemp("line") / "pump", "0x51" if request.param == "dart" else "17"
    common = ["--protocol", request.param, "--port", str(path), "--address", address]
    program = Program(*common, "--pty", "--litres-per-min", "2000", "--price", "1.50")
    program.line()
    yield program, common
    assert program.end() == (0, "")


def test_what_a_head_says_of_itself(head: tuple[Program, list[str]]) -> None:
    program, common = head
    address = int(common[-1], 0)
    assert pump(*common, "status") == (0, "reset, all nozzles hang, or the protocol does not say\n", "")
    assert program.ask("lift") == "ok"
    assert json.loads(pump(*common, "status", "--json")[1]) == {"address": address, "status": "reset", "nozzle": 1}
    assert program.ask("hang-up") == "ok"
    assert pump(*common, "stop") == (0, "reset\n", "")


def test_totals_and_the_last_fill(head: tuple[Program, list[str]]) -> None:
    program, common = head
    program.ask("take 12.34")
    code, words, _ = pump(*common, "totals")
    assert code == 0
    assert words == "nozzle 1: 12.340 l\n"
    assert json.loads(pump(*common, "totals", "--json")[1])["totals_ml"] == {"1": 12_340}
    code, text, _ = pump(*common, "fill", "--json")
    told = 12_340 if "azt" in common else 0  # a DART head knows nothing of fuel that was not released
    assert code == 0
    assert (json.loads(text)["volume_ml"], json.loads(text)["amount_minor"]) == (told, told * 15 // 100)
    assert "in minor units" in pump(*common, "fill")[1]


def test_watching(head: tuple[Program, list[str]]) -> None:
    program, common = head
    put_back(Path(common[3]))
    watcher = subprocess.Popen(
        [sys.executable, "-m", "terminal", "pump", *common, "watch", "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    out = watcher.stdout
    assert out is not None
    with out:
        assert json.loads(out.readline())["event"] == "PumpSurveyed"
        program.ask("power off")
        assert '"event": "PumpLineLost"' in (line := out.readline()) or '"event": "PumpLineLost"' in (line + out.readline())
        program.ask("power on")
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(10) == 0


def test_a_head_that_does_not_answer(head: tuple[Program, list[str]]) -> None:
    program, common = head
    assert program.ask("unplug") == "ok"
    code, out, errors = pump(*common, "totals")
    assert (code, out) == (1, "")
    assert errors == f"Error: {common[3]}: no answer from address {int(common[-1], 0)}\n"
    assert program.ask("plug") == "ok"


def test_a_port_that_another_program_has(head: tuple[Program, list[str]]) -> None:
    _, common = head
    with opened(common[3], common[1]) as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        code, out, errors = pump(*common, "status")
    assert (code, out) == (2, "")
    assert "cannot open" in errors


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--protocol", "dart", "--port", "/dev/there-is-none", "status"), "cannot open"),
        (("--protocol", "dart", "--port", "/dev/null", "--address", "5", "status"), "address must be 80 to 111"),
        (("--protocol", "azt", "--port", "/dev/null", "--address", "0x100", "status"), "address must be 1 to 225"),
        (("--protocol", "azt", "--port", "/dev/null", "--nozzles", "2", "status"), "one nozzle"),
        (("--protocol", "azt", "--port", "/dev/null", "--speed", "300", "status"), "baudrate"),
        (("--protocol", "azt", "--port", "/dev/null", "--address", "A", "status"), "0x51"),
        (("--protocol", "x", "--port", "/dev/null", "status"), "'x'"),
        (("--port", "/dev/null", "status"), "--protocol"),
        (("--protocol", "azt", "--port", "/dev/null", "listen", "--write", "/dev/null"), "is there already"),
        (("--protocol", "azt", "--port", "/dev/null", "listen", "--write", "/there/is/none"), "No such file"),
    ],
)
def test_what_a_person_must_mend(arguments: tuple[str, ...], text: str) -> None:
    code, out, errors = pump(*arguments)
    assert (code, out) == (2, "")
    assert text in errors


def test_nothing_here_can_let_fuel_flow() -> None:
    source = (ROOT / "terminal" / "pump_tool.py").read_text()
    assert "AuthorizeFuellingPoint" not in source
    assert "ConfirmFill" not in source
    assert "SetPrices" not in source


# listening


def golden(protocol: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "firmware_notes" / f"{protocol}.frames.toml").read_text())["frame"]
    return [frame for frame in found if frame["valid"]]


@pytest.mark.parametrize("protocol", ["dart", "azt"])
def test_every_golden_frame_is_heard_as_it_is(protocol: str) -> None:
    for frame in golden(protocol):
        ear = AztEar() if protocol == "azt" else DartEar()
        heard = ear.hear(bytes.fromhex(frame["wire"]), 7)
        assert [(each.t_ms, each.wire) for each in heard] == [(7, frame["wire"])], frame["name"]
        assert ear.silence(8) == []


def test_what_is_said_of_an_azt_line() -> None:
    ear = AztEar()
    status, answer = "7F 02 21 5E 31 4E 03 03 53", "7F 02 34 4B 30 4F 03 03 47"
    assert ear.hear(bytes.fromhex(answer), 0) == [Heard(0, answer, "from ?: 40", False)]
    assert ear.hear(bytes.fromhex(status + answer), 1) == [
        Heard(1, status, "to 1: status", True),
        Heard(1, answer, "from 1, status: 40", True),
    ]
    dose = ear.hear(bytes.fromhex("7F 02 21 5E 54 2B 30 4F 30 4F 35 4A 30 4F 30 4F 03 03 43" + "7F 06"), 2)
    assert [each.says for each in dose] == ["to 1: dose volume 00500", "from 1, dose volume: ACK"]
    start = ear.hear(bytes.fromhex("7F 02 21 5E 56 29 03 03 74"), 3)
    assert [each.says for each in start] == ["to 1: command 56"]
    assert ear.hear(b"\x41\x42\x02", 4) == []
    assert [each.says for each in ear.silence(5)] == ["noise, 3 bytes"]


def test_what_is_said_of_a_dart_line() -> None:
    ear = DartEar()
    heard = ear.hear(bytes.fromhex("5020FA 5070FA 51306501012283 03FA 51C0FA"), 0)
    assert [(each.says, each.idle) for each in heard] == [
        ("50: poll", True),
        ("50: eot 0", True),
        ("51: data 0: 65(01)", False),
        ("51: ack 0", False),
    ]
    assert ear.hear(bytes.fromhex("5130"), 1) == []
    assert [each.says for each in ear.silence(2)] == ["noise, 2 bytes"]


@pytest.mark.parametrize("protocol", ["dart", "azt"])
def test_listening_hears_all_and_sends_nothing(protocol: str, tmp_path: Path) -> None:
    far, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(far, False)
    frames, into = golden(protocol)[:12], tmp_path / "line.jsonl"

    def speak() -> None:
        time.sleep(0.6)
        for frame in frames:
            os.write(far, bytes.fromhex(frame["wire"]))
            time.sleep(0.02)

    speaker = threading.Thread(target=speak)
    speaker.start()
    code, out, errors = pump(
        "--protocol", protocol, "--port", os.ttyname(slave), "listen", "--seconds", "2", "--write", str(into), "--json", "--all"
    )
    speaker.join()
    assert (code, errors) == (0, "")
    with pytest.raises(BlockingIOError):
        os.read(far, 100)
    rows = [json.loads(line) for line in into.read_text().splitlines()]
    assert [row["wire"] for row in rows if "wire" in row] == [frame["wire"] for frame in frames]
    assert "".join(row["raw"].replace(" ", "") for row in rows if "raw" in row) == "".join(f["wire"].replace(" ", "") for f in frames)
    assert [json.loads(line) for line in out.splitlines()] == [row for row in rows if "wire" in row]
    os.close(slave)
    os.close(far)
