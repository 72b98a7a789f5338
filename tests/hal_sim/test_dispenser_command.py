"""``python -m hal_sim dispenser``: one dispenser on any port, with a master by hand at the other end."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from hal_sim.dispensers import azt_codec, dart_codec
from tests.hal_sim.forecourt_kit import ROOT


class Program:
    """The command, its lines, and what it says."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hal_sim", "dispenser", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._rest = b""

    def line(self, timeout: float = 10) -> str:
        out = self.process.stdout
        assert out is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            readable, _, _ = select.select([out], [], [], max(0.0, until - time.monotonic()))
            assert readable, "nothing said in time"
            data = os.read(out.fileno(), 4096)
            assert data, "the program has ended"
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.line()

    def end(self, number: int | None = None) -> tuple[int, str]:
        if number is not None:
            self.process.send_signal(number)
        elif self.process.stdin is not None:
            self.process.stdin.close()
            self.process.stdin = None
        _, errors = self.process.communicate(timeout=90)
        return self.process.returncode, errors.decode()


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        if program.process.poll() is None:
            program.end(signal.SIGTERM)


class Azt:
    """A master of one AZT pump on any port."""

    def __init__(self, port: serial.Serial) -> None:
        self.port = port

    def ask(self, command: str, data: str = "", address: int = 1) -> str:
        self.port.write(azt_codec.request(address, ord(command), data.encode()))
        wire = self.port.read(2)
        if len(wire) == 2 and wire[1] == azt_codec.STX:
            while wire[-3:-1] != b"\x03\x03":
                byte = self.port.read(1)
                assert byte, wire.hex()
                wire += byte
            assert wire == azt_codec.answer(wire[2:-3:2])
            return str(wire[2:-3:2].decode())
        return str(wire[1:].hex())


def opened(path: str | Path, protocol: str) -> serial.Serial:
    if protocol == "azt":
        return serial.Serial(str(path), 4800, bytesize=7, parity="E", stopbits=2, timeout=0.5)
    return serial.Serial(str(path), 9600, parity="O", timeout=0.5)


def test_an_azt_dispenser_in_plain_words(tmp_path: Path, programs: list[Program]) -> None:
    path, log = tmp_path / "pump", tmp_path / "wire.log"
    arguments = ("--protocol", "azt", "--port", str(path), "--pty", "--litres-per-min", "2000", "--log", str(log), "--price", "45.00")
    programs.append(program := Program(*arguments))
    assert "4800 7E2, address nozzle 1 1" in program.line()
    with opened(path, "azt") as port:
        master = Azt(port)
        assert [master.ask("1"), master.ask("T", "00500"), master.ask("2")] == ["0", "06", "06"]
        assert program.ask("squeeze 1") == "refused: squeezing needs a nozzle in hand and a volume above 0"
        assert program.ask("lift") == "ok"
        assert program.ask("squeeze 3.25") == "ok"
        time.sleep(0.3)
        assert program.ask("hang-up") == "ok"
        assert [master.ask("1"), master.ask("5"), master.ask("8"), master.ask("1")] == ["40", "000325" + "014625" + "4500", "06", "0"]
        program.tell("show")
        assert [program.line() for _ in range(4)] == [
            "state reset, valve closed, nozzle out none, preset none",
            "fill 3.250 l, 14625 in minor units, no flow",
            "nozzle 1 GAZOLE: price 45.0000, total 3.250 l",
            "refused 0",
        ]
        assert program.ask("dose 20") == "ok"
        assert master.ask("X") == "002000"
        assert program.ask("habit acks-and-does-nothing") == "ok"
        assert [master.ask("2"), master.ask("1")] == ["06", "8"]
        assert program.ask("power off") == "ok"
        assert master.ask("1") == ""
        assert program.ask("power on") == "ok"
        assert program.ask("unplug") == "ok"
        assert master.ask("1") == ""
    program.tell("quit")
    assert program.end() == (0, "")
    assert not path.exists()
    rows = [line.split() for line in log.read_text().splitlines()]
    assert "".join(row[2] for row in rows if row[1] == "in").startswith(azt_codec.request(1, 0x31).hex())
    assert any(row[1] == "out" for row in rows)


def test_a_dart_dispenser_in_json(tmp_path: Path, programs: list[Program]) -> None:
    path = tmp_path / "pump"
    arguments = ("--protocol", "dart", "--port", str(path), "--pty", "--address", "0x52", "--nozzles", "GAZOLE,SP95", "--json")
    programs.append(program := Program(*arguments))
    ready = json.loads(program.line())
    assert ready["fuelling_point"] == {"fp": 1, "port": "dart1", "address": 0x52, "nozzles": [1, 2]}
    assert (ready["mode"], ready["speed"]) == ("8O1", 9600)
    with opened(path, "dart") as port:
        port.write(dart_codec.encode(0x52, dart_codec.POLL))
        assert port.read(3) == bytes.fromhex("5270FA")
        assert json.loads(program.ask('{"do":"lift","nozzle":2,"id":7}')) == {"id": 7, "ok": True}
        port.write(dart_codec.encode(0x52, dart_codec.POLL))
        assert port.read(40)[2:8] == bytes.fromhex("030400172912")
    (pump,) = json.loads(program.ask("show"))["pumps"]
    assert (pump["nozzle"], pump["prices"]) == (2, {"1": 17290, "2": 17290})
    assert json.loads(program.ask("dose 5")) == {"error": "dose: nozzle is missing or not a whole number"}
    assert json.loads(program.ask("dose 1 5")) == {"error": "dose: this dispenser has no keys"}
    assert program.end() == (0, "")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("fly", 'refused: not understood; "help" lists what is'),
        ("lift one", "refused: a number is expected, not 'one'"),
        ("lift 2", "refused: nozzle 2 cannot be lifted: nozzle out is None"),
        ("squeeze much", "refused: litres such as 12.5 are expected, not 'much'"),
        ("power", 'refused: not understood; "help" lists what is'),
        ("hang-up", "refused: no nozzle is out"),
        ("take 9 1", "refused: there is no nozzle 9; there are 1"),
        ("habit", "refused: habit: name is one of acks_and_does_nothing, never_leaves_5, keeps_prices, reckons_wrong"),
        ("price cheap", "refused: a price such as 1.729 is expected, not 'cheap'"),
        ("price 9 1.5", "refused: there is no nozzle 9; there are 1"),
        ("{", '{"error": "not JSON"}'),
        ('{"do":1}', '{"error": "a JSON object with \\"do\\" is expected, such as {\\"do\\":\\"lift\\",\\"nozzle\\":1}"}'),
        ('{"do":"lift","fp":2}', '{"error": "no such fuelling point; there are 1"}'),
        ('{"do":"lift","nozzle":1,"hand":"left"}', '{"error": "lift: unknown field hand"}'),
    ],
)
def test_what_is_not_understood_is_refused(line: str, answer: str, spare: Program) -> None:
    assert spare.ask(line) == answer
    assert spare.ask("lift") == "ok"
    assert spare.ask("hang-up") == "ok"


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    program = Program("--protocol", "dart", "--port", str(tmp_path_factory.mktemp("spare") / "pump"), "--pty")
    program.line()
    yield program
    assert program.end() == (0, "")


class Cable:
    """A pseudo-terminal of ours in place of an adapter: ``near`` is what the program opens."""

    def __init__(self) -> None:
        self._far, slave = pty.openpty()
        tty.setraw(slave)
        self.near = os.ttyname(slave)
        self._slave = slave

    def exchange(self, data: bytes, count: int, *, echo: bool = False) -> bytes:
        os.write(self._far, data)
        got = b""
        while len(got) < count:
            readable, _, _ = select.select([self._far], [], [], 3)
            assert readable, got.hex()
            piece = os.read(self._far, 100)
            if echo:
                os.write(self._far, piece)
            got += piece
        return got

    def pull(self) -> None:
        os.close(self._slave)
        os.close(self._far)


def test_a_port_that_is_there_and_goes(programs: list[Program]) -> None:
    cable = Cable()
    programs.append(program := Program("--protocol", "azt", "--port", cable.near, "--address", "16"))
    assert "address nozzle 1 16" in program.line()
    status = azt_codec.answer(b"0")
    assert cable.exchange(azt_codec.request(16, 0x31), len(status)) == status
    other = Program("--protocol", "azt", "--port", cable.near)
    assert other.end() == (1, f"Error: {cable.near}: in use by another program\n")
    cable.pull()
    assert program.process.wait(10) == 1
    assert program.end()[1] == f"Error: {cable.near}: the port has gone\n"


def test_an_adapter_that_echoes(programs: list[Program]) -> None:
    cable = Cable()
    programs.append(program := Program("--protocol", "dart", "--port", cable.near, "--echo"))
    program.line()
    poll, eot = dart_codec.encode(0x50, dart_codec.POLL), dart_codec.encode(0x50, dart_codec.EOT)
    assert program.ask("lift") == "ok"
    data = cable.exchange(poll, 11, echo=True)
    assert data[:8] == bytes.fromhex("5030030400172911")
    ack = dart_codec.encode(0x50, dart_codec.ACK)
    assert cable.exchange(ack + poll, len(eot), echo=True) == eot
    program.tell("show")
    assert [program.line() for _ in range(4)][-1] == "refused 0, repeated 0"
    assert program.end() == (0, "")
    cable.pull()


def test_it_stays_until_a_signal_where_that_is_asked_for(tmp_path: Path, programs: list[Program]) -> None:
    path = tmp_path / "pump"
    programs.append(program := Program("--protocol", "azt", "--port", str(path), "--pty", "--stay"))
    program.line()
    assert program.process.stdin is not None
    program.process.stdin.close()
    program.process.stdin = None
    with opened(path, "azt") as port:
        assert Azt(port).ask("1") == "0"
    assert program.end(signal.SIGINT) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--protocol", "azt", "--port", "/dev/there-is-none"), 1, "No such file"),
        (("--protocol", "azt", "--port", "/dev/null"), 1, "not a serial port"),
        (("--protocol", "azt", "--port", "/dev/null", "--pty"), 1, "is there already"),
        (("--protocol", "azt", "--port", "x", "--pty", "--address", "226"), 1, "1 to 225"),
        (("--protocol", "azt", "--port", "x", "--pty", "--price", "45.001", "--price-decimals", "2"), 1, "no four digits"),
        (("--protocol", "dart", "--port", "x", "--pty", "--address", "5"), 1, "80 to 111"),
        (("--protocol", "dart", "--port", "x", "--address", "0x50", "--address", "0x51"), 2, "one for the dispenser"),
        (("--protocol", "dart", "--port", "x", "--address", "P"), 2, "0x51"),
        (("--protocol", "dart", "--port", "x", "--price", "1,7"), 2, "1.729"),
        (("--protocol", "dart", "--port", "x", "--price", "1", "--price", "2"), 2, "no more prices"),
        (("--protocol", "dart", "--port", "x", "--pty", "--echo"), 2, "--echo"),
        (("--protocol", "tokheim", "--port", "x"), 2, "tokheim"),
        (("--protocol", "dart"), 2, "--port"),
    ],
)
def test_what_cannot_start(arguments: tuple[str, ...], code: int, text: str) -> None:
    ended, errors = Program(*arguments).end()
    assert ended == code
    assert text in errors
    assert "Traceback" not in errors


def test_the_notes_name_every_command_and_option(spare: Program) -> None:
    notes = (ROOT / "firmware_notes" / "dispenser-command.md").read_text(encoding="utf-8")
    spare.tell("help")
    lines: list[str] = []
    while not (lines and lines[-1].startswith("help | quit")):
        lines.append(spare.line())
    spare.line()
    for line in lines:
        for each in line.split("  ")[0].split(" | "):
            assert f"`{each.strip()}`" in notes, each
    shown: Any = subprocess.run(
        [sys.executable, "-m", "hal_sim", "dispenser", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for option in {word for word in shown.split() if word.startswith("--") and word.isascii()} - {"--help"}:
        assert option.rstrip(",") in notes, option
