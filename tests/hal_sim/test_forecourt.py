"""The forecourt as a process of its own: real libraries on its ports, commands on its input, and its manners when they are wrong."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import evdev
import nfc
import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import pytest
import serial

from hal_sim.clock import utc_ms_of_local
from hal_sim.dispensers import dart_codec as codec
from hal_sim.keypad.layout import CODES, Layout

ROOT = Path(__file__).resolve().parents[2]
UID = "04A1B2C3D4E580"
SCENARIO: dict[str, Any] = {
    "terminal": "OPT1",
    "site": "S1",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "decimals": 2,
    "local_time": "2026-03-28T23:50:00",
    "ml_per_min": 600_000,
    "fuelling_points": [
        {"fp": 1, "nozzle": 1, "product": "GAZOLE", "price": 17290, "total_ml": 5_000},
        {"fp": 2, "nozzle": 1, "product": "GAZOLE", "price": 17290},
        {"fp": 2, "nozzle": 2, "product": "SP95", "price": 18900},
    ],
    "customers": [{"customer": "C1"}],
    "cards": [{"number": UID, "customer": "C1", "pin": "1234"}],
}


class Rig:
    """The process and its two pipes."""

    def __init__(self, folder: Path, scenario: dict[str, Any], python: str = sys.executable) -> None:
        file = folder / "scenario.json"
        file.write_text(json.dumps(scenario), encoding="utf-8")
        self.process = subprocess.Popen(
            [python, "-m", "hal_sim", "forecourt", "--scenario", str(file), "--dir", str(folder / "run")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ready = self.answer(20)

    def answer(self, timeout: float = 10) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        readable, _, _ = select.select([out], [], [], timeout)
        assert readable, "no answer in time"
        line = out.readline()
        assert line, self.process.stderr.read() if self.process.stderr is not None else ""
        answer: dict[str, Any] = json.loads(line)
        return answer

    def raw(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def do(self, command: str, **fields: Any) -> dict[str, Any]:
        return self.raw(json.dumps({"do": command} | fields))

    def pump(self, fp: int) -> dict[str, Any]:
        (found,) = [each for each in self.do("pumps")["pumps"] if each["fp"] == fp]
        return dict(found)

    def close(self) -> tuple[int, str]:
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(10)
        errors = self.process.stderr.read() if self.process.stderr is not None else ""
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code, errors


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("forecourt"), SCENARIO)
    yield made
    assert made.close() == (0, "")


class Master:
    """The other end of the DART line, just enough of it to see the pump from there."""

    def __init__(self, path: str) -> None:
        self._port = serial.Serial(path, 9600, parity=serial.PARITY_ODD, timeout=0.2)
        self._number = 0

    def __enter__(self) -> Master:
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def exchange(self, frame: bytes) -> bytes:
        self._port.reset_input_buffer()
        self._port.write(frame)
        answer = bytearray()
        while byte := self._port.read(1):
            answer += byte
            if byte[0] == codec.SF and not (len(answer) > 1 and answer[-2] == 0x10):
                break
        return bytes(answer)

    def poll(self, address: int) -> bytes:
        answer = self.exchange(codec.encode(address, codec.POLL))
        if len(answer) > 3:
            self._port.write(codec.encode(address, codec.ACK))
            time.sleep(0.02)
        return answer

    def tell(self, address: int, *transactions: bytes) -> bytes:
        self._number = self._number % 15 + 1
        return self.exchange(codec.encode(address, codec.DATA | self._number, b"".join(transactions)))


def test_ready_line_says_everything_the_terminal_needs(rig: Rig) -> None:
    ready = rig.ready
    assert ready["ready"] is True
    for name in ("dart1", "pn532", "display"):
        assert Path(ready["ports"][name]).is_char_device()
    assert [(each["fp"], each["address"]) for each in ready["fuelling_points"]] == [(1, 0x50), (2, 0x51)]
    assert ready["keypad"] == {"path": "/dev/input/event5", "phys": "usb-0000:00:1a.0-1/input0"}
    assert set(ready["env"]) == {"LD_PRELOAD", "UMOCKDEV_DIR", "FORECOURT_WALL_CLOCK"}
    for name in ("ca", "client_cert", "client_key", "token_key", "pin_key", "card_key", "list_key"):
        assert Path(ready["host"][name]).is_file()


def test_a_fill_over_the_real_serial_line(rig: Rig) -> None:
    with Master(rig.ready["ports"]["dart1"]) as master:
        assert rig.do("lift", fp=2, nozzle=2) == {"ok": True}
        assert len(master.poll(0x51)) > 3
        authorize = codec.transaction(0x01, b"\x06")
        preset = codec.transaction(0x03, codec.to_bcd(1500, 4))  # 15.00 l
        assert master.tell(0x51, codec.transaction(0x02, b"\x02"), preset, authorize)[1] & 0xF0 == codec.ACK
        assert rig.pump(2) | {"fill_ml": 0, "fill_minor": 0} == {
            "fp": 2,
            "state": "authorized",
            "valve": "open",
            "nozzle": 2,
            "delivering": False,
            "fill_ml": 0,
            "fill_minor": 0,
            "totals_ml": {"1": 0, "2": 0},
            "preset": {"volume_ml": 15_000, "amount_minor": None},
            "allowed": [2],
            "prices": {"1": 17290, "2": 18900},
            "connected": True,
            "powered": True,
        }
        rig.do("squeeze", fp=2, volume_ml=50_000)
        assert rig.do("wait_flow", fp=2, volume_ml=100)["ok"] is True
        assert rig.do("quiet") == {"quiet": False}
        assert rig.do("wait_flow", fp=2, volume_ml=15_000)["pump"]["fill_ml"] == 15_000
        assert rig.pump(2)["state"] == "limit reached"
        rig.do("hang_up", fp=2)
        assert rig.pump(2)["totals_ml"] == {"1": 0, "2": 15_000}
        books = rig.do("host_books")
        assert books["agree"] is False  # the terminal under test has reported nothing yet
        assert [row["pump_ml"] for row in books["books"]] == [0, 0, 15_000]
        rig.do("line", fp=2, connected=False)
        assert master.poll(0x51) == b""
        rig.do("line", fp=2, connected=True)
        assert master.poll(0x51) != b""


def test_noise_makes_bad_frames_and_ends(rig: Rig) -> None:
    with Master(rig.ready["ports"]["dart1"]) as master:
        rig.do("noise", fp=1, on=True, ppm=1_000_000)
        answers = [master.exchange(bytes([0x50, codec.POLL, codec.SF])) for _ in range(4)]
        assert sum(answer != bytes([0x50, 0x70, codec.SF]) for answer in answers) >= 3  # two flips may undo each other
        rig.do("noise", fp=1, on=False)
        for _ in range(5):
            answer = master.poll(0x50)
        assert answer == bytes([0x50, 0x70, codec.SF])


def test_a_badge_through_nfcpy(rig: Rig) -> None:
    path = rig.ready["ports"]["pn532"]
    device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
    device._path = path
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    try:
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
        assert rig.do("present", number=UID, stays=True) == {"ok": True, "held": 1}
        target = frontend.sense(nfc.clf.RemoteTarget("106A"))
        assert target.sdd_res == bytes.fromhex(UID)
        assert rig.do("remove") == {"ok": True, "removed": 1}
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
        for kind in ("auto", "type 4"):
            rig.do("present", number="FLEET 0007", tag=kind, stays=True)
            tag = nfc.tag.activate(frontend, frontend.sense(nfc.clf.RemoteTarget("106A")))
            assert tag.ndef.records[0].text == "FLEET 0007"
            rig.do("remove")
        rig.do("present", number=UID, hold_ms=60)
        assert rig.do("wait_quiet", timeout_ms=3000)["ok"] is True
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
    finally:
        frontend.close()


def test_the_display_shows_what_is_written(rig: Rig) -> None:
    with serial.Serial(rig.ready["ports"]["display"], 19200) as port:
        port.write(b"\xfe\x44\xfe\x58\xfe\x47\x01\x02" + "Présentez la carte".encode("iso-8859-1"))
        seen = rig.do("wait_display", contains="Présentez la carte")
    assert seen["lines"][1] == "Présentez la carte  "
    assert seen["faults"] == []
    assert rig.do("wait_display", contains="never shown", timeout_ms=30)["error"] == "that text on the display did not happen in time"


EVDEV_READER = """
import evdev, sys, time
found = [evdev.InputDevice(path) for path in evdev.list_devices()]
device = [each for each in found if each.phys == sys.argv[1]][0]
device.grab()
print(device.name, flush=True)
names = []
for event in device.read_loop():
    if event.type == evdev.ecodes.EV_KEY and event.value == 1:
        names.append(evdev.ecodes.KEY[event.code])
    if len(names) == int(sys.argv[2]):
        break
print(names, time.time(), flush=True)
"""


def test_keys_through_evdev_in_a_process_with_the_rig_s_environment(rig: Rig) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-c", EVDEV_READER, rig.ready["keypad"]["phys"], "4"],
        env=dict(os.environ) | rig.ready["env"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "KEYPAD ACME PIN16\n"
    assert rig.do("keys", keys=["7", "clear", "cancel", "enter"]) == {"ok": True, "pressed": 4}
    names, wall = reader.stdout.readline().rsplit(" ", 1)
    assert reader.wait(10) == 0
    reader.stdout.close()
    assert names == "['KEY_7', 'KEY_BACKSPACE', 'KEY_ESC', 'KEY_ENTER']"
    started = utc_ms_of_local("2026-03-28T23:50:00", "Europe/Paris") / 1000
    assert 0 <= float(wall) - started < 600  # the wall clock of the scenario, with umockdev beside it


@pytest.mark.parametrize(("layout", "prefix"), [(Layout.MAIN, "KEY_"), (Layout.NUMBER_BLOCK, "KEY_KP")])
def test_key_codes_are_those_of_the_kernel(layout: Layout, prefix: str) -> None:
    wanted = {key: prefix + key.upper() for key in (*"0123456789", "enter")} | {"clear": "KEY_BACKSPACE", "cancel": "KEY_ESC"}
    assert {key: evdev.ecodes.ecodes[name] for key, name in wanted.items()} == CODES[layout]


def test_keys_that_nobody_reads_do_not_stop_the_pumps(rig: Rig) -> None:
    answers = [rig.do("keys", keys=["1"] * 100) for _ in range(6)]
    assert answers[-1] == {"error": "keys: nobody reads the keypad"}
    assert rig.do("quiet") == {"quiet": True}


def host_time(ready: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    host = ready["host"]
    context = ssl.create_default_context(cafile=host["ca"])
    context.load_cert_chain(host["client_cert"], host["client_key"])
    address = urlsplit(host["url"])
    connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=context, timeout=5)
    try:
        connection.request("GET", "/v1/time")
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_host_answers_fails_and_comes_back(rig: Rig) -> None:
    status, answer = host_time(rig.ready)
    assert status == 200
    assert answer["time"].startswith("2026-03-28T22:5")
    assert rig.do("host", status_500=True)["ok"] is True
    assert host_time(rig.ready)[0] == 500
    assert rig.do("host", status_500=False, reachable=False)["reachable"] is False
    with pytest.raises(OSError):  # noqa: PT011 - refused or cut, as the system words it
        host_time(rig.ready)
    assert rig.do("host", restore=True)["reachable"] is True
    assert host_time(rig.ready)[0] == 200
    version = rig.do("host")["list_version"]
    assert rig.do("block", card=UID)["list_version"] == version + 1
    assert rig.do("unblock", card=UID, publish=False)["list_version"] == version + 1
    assert rig.do("block", card=UID, customer="C1") == {"error": "exactly one of card, customer and numbers is to be given"}
    assert rig.do("host")["sales"] == []


def test_both_clocks_move_together_or_apart(rig: Rig) -> None:
    offset_file = Path(rig.ready["env"]["FORECOURT_WALL_CLOCK"])

    def offset() -> int:
        return int.from_bytes(offset_file.read_bytes(), sys.byteorder, signed=True)

    before = offset()
    rig.do("wall_clock", offset_ns=-7_000_000_000)
    assert offset() == before - 7_000_000_000
    rig.do("pass_time", ms=600_000)
    assert offset() == before + 593_000_000_000
    assert host_time(rig.ready)[1]["time"].startswith("2026-03-28T23:0")
    rig.do("wall_clock", offset_ns=0)
    assert offset() == before + 600_000_000_000


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
        timeout=20,
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
        timeout=20,
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
        timeout=20,
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
        [sys.executable, "-m", "hal_sim", "forecourt", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode == 0
    assert '{"do":"lift","fp":2,"nozzle":1}' in result.stdout
