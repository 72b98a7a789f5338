"""Pseudo-terminals as serial lines: the real pyserial in processes of its own, pacing, faults, and the program's wall clock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
import serial

from hal_sim.clock import monotonic_ns, utc_ms_of_local
from hal_sim.pty_port import Loop, PtyPort, WireLog
from hal_sim.wallclock import BuildFailed, WallClock, build
from hal_sim.wire import FaultRates, Faults, LineRate

PYTHON_3_13 = Path("/root/.pyenv/versions/3.13.0/bin/python3.13")
PYTHONS = [sys.executable, *([str(PYTHON_3_13)] if PYTHON_3_13.exists() and sys.version_info < (3, 13) else [])]


class Echo:
    """Answers each piece with itself after a while, and keeps when it came."""

    def __init__(self, delay_ms: int = 0) -> None:
        self.delay_ms = delay_ms
        self.heard = bytearray()
        self.at: list[int] = []
        self.speeds: list[int] = []
        self._output: list[tuple[int, bytes]] = []

    def on_line_speed(self, baud: int, now: int) -> None:
        self.speeds.append(baud)

    def on_bytes(self, data: bytes, now: int) -> None:
        self.heard += data
        self.at.append(now)
        self._output.append((now + self.delay_ms, data))

    def on_time(self, now: int) -> None:
        pass

    def next_wakeup(self) -> int | None:
        return None

    def take_output(self) -> list[tuple[int, bytes]]:
        output, self._output = self._output, []
        return output


class Served:
    """A port and the thread that serves it."""

    def __init__(self, port: PtyPort) -> None:
        self.port = port
        self._loop = Loop()
        self._loop.add(port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._loop.step(2)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._loop.close()


@pytest.fixture
def serve() -> Iterator[Callable[[PtyPort], Path]]:
    served: list[Served] = []

    def start(port: PtyPort) -> Path:
        served.append(Served(port))
        return port.link

    yield start
    for each in served:
        each.close()


CLIENT = """
import sys, time, serial
port = serial.Serial(sys.argv[1], 9600, parity=serial.PARITY_ODD, timeout=1)
port.write(b"ping"); assert port.read(4) == b"ping"
time.sleep(0.1)
port.timeout = 0.5                      # also a change of settings, and also refused on a plain pty
port.write(b"pong"); assert port.read(4) == b"pong"
"""


def run(code: str, *arguments: str, python: str = sys.executable, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | (env or {})
    return subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False, env=environment)


def test_8o1_opens_again_and_again_in_different_processes(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    echo = Echo()
    link = serve(PtyPort(echo, tmp_path / "line", rate=LineRate(9600, 11), parity=True))
    for _ in range(4):
        result = run(CLIENT, str(link))
        assert result.returncode == 0, result.stderr
    assert echo.heard == b"pingpong" * 4


def test_8o1_opens_again_and_again_in_one_process(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    link = serve(PtyPort(Echo(), tmp_path / "line", parity=True))
    for _ in range(5):
        with serial.Serial(str(link), 9600, parity=serial.PARITY_ODD, timeout=1) as port:
            port.write(b"x")
            assert port.read(1) == b"x"
        time.sleep(0.03)


def test_the_trap_is_real_without_the_reset(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    link = serve(PtyPort(Echo(), tmp_path / "line", parity=False))
    assert run(CLIENT, str(link)).returncode != 0
    assert "Invalid argument" in run(CLIENT, str(link)).stderr


def test_bytes_travel_no_faster_than_the_wire(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    echo, log = Echo(), []
    link = serve(PtyPort(echo, tmp_path / "line", rate=LineRate(9600, 11), parity=True, record=lambda *row: log.append(row)))
    with serial.Serial(str(link), 9600, parity=serial.PARITY_ODD, timeout=2) as port:
        started = monotonic_ns()
        port.write(bytes(20))
        arrivals = [(port.read(1), monotonic_ns())[1] for _ in range(20)]
    char_ns = 11 * 1_000_000_000 // 9600
    deadline = time.monotonic() + 5
    while sum(len(row[2]) for row in log) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)  # the last byte may be read here before the serving thread has noted it
    assert arrivals[0] - started >= 2 * char_ns  # one character there, one back
    assert arrivals[-1] - started >= 21 * char_ns
    sent = 0
    for at, direction, data in log:
        if direction == "out":  # byte by byte: the n-th cannot be complete before n characters back and one there
            sent += len(data)
            assert at - started >= (sent + 1) * char_ns
    assert sum(len(data) for _, direction, data in log if direction == "in") == 20
    assert sum(len(data) for _, direction, data in log if direction == "out") == 20


def test_an_unpaced_line_is_fast_and_tells_its_speed(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    echo = Echo()
    link = serve(PtyPort(echo, tmp_path / "line"))
    with serial.Serial(str(link), 921600, timeout=2) as port:
        started = monotonic_ns()
        port.write(bytes(2000))
        assert port.read(2000) == bytes(2000)
        assert monotonic_ns() - started < 500_000_000
        port.baudrate = 115200
        port.write(b"x")
        assert port.read(1) == b"x"
    assert echo.speeds[0] == 921600
    assert echo.speeds[-1] == 115200


def test_a_cut_line_carries_nothing_and_a_mended_one_does(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    device_port = PtyPort(Echo(), tmp_path / "line")
    link = serve(device_port)
    with serial.Serial(str(link), 9600, timeout=0.1) as port:
        device_port.connected = False
        port.write(b"a")
        assert port.read(1) == b""
        device_port.connected = True
        port.write(b"b")
        assert port.read(1) == b"b"


def test_faults_strike_the_pieces_they_are_meant_for(tmp_path: Path, serve: Callable[[PtyPort], Path]) -> None:
    echo = Echo()
    link = serve(PtyPort(echo, tmp_path / "line", to_master=Faults(FaultRates(drop=1_000_000), Random(1))))
    with serial.Serial(str(link), 9600, timeout=0.1) as port:
        port.write(b"hello")
        assert port.read(5) == b""
    assert echo.heard == b"hello"


def test_the_link_is_replaced_but_never_a_file(tmp_path: Path) -> None:
    link = tmp_path / "line"
    link.symlink_to("/dev/null")
    port = PtyPort(Echo(), link)
    assert os.readlink(link).startswith("/dev/pts/")
    port.close()
    port.close()
    assert not link.is_symlink()
    link.write_text("mine")
    with pytest.raises(FileExistsError):
        PtyPort(Echo(), link)
    assert link.read_text() == "mine"


def test_a_wire_log_is_readable(tmp_path: Path) -> None:
    log = WireLog(tmp_path / "wire")
    log(123, "in", b"\x50\x20\xfa")
    log.close()
    assert (tmp_path / "wire").read_text() == "123 in 5020fa\n"


# --- the wall clock of another process

CLOCKS = """
import datetime, sys, time
out = [time.time(), time.time_ns() / 1e9, datetime.datetime.now().timestamp()]
before = time.monotonic(); time.sleep(0.05); waited = time.monotonic() - before
import threading
before = time.monotonic(); threading.Event().wait(0.05); waited2 = time.monotonic() - before
print(*out, waited, waited2, flush=True)
for line in sys.stdin:
    print(time.time(), flush=True)
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_the_wall_clock_moves_and_waits_do_not(tmp_path: Path, python: str) -> None:
    library = build(tmp_path / "build")
    clock = WallClock(tmp_path / "wall", 86_400 * 1_000_000_000)
    process = subprocess.Popen(
        [python, "-c", CLOCKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ) | clock.environment(library),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        *walls, slept, waited = (float(word) for word in process.stdout.readline().split())
        for wall in walls:
            assert abs(wall - time.time() - 86_400) < 5
        assert 0.05 <= slept < 1
        assert 0.05 <= waited < 1
        clock.offset_ns = -3_600 * 1_000_000_000
        assert clock.offset_ns == -3_600 * 1_000_000_000
        process.stdin.write("\n")
        process.stdin.flush()
        assert abs(float(process.stdout.readline()) - time.time() + 3_600) < 5
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
        clock.close()


def test_without_its_variable_the_shim_does_nothing(tmp_path: Path) -> None:
    library = build(tmp_path / "build")
    result = run("import time; print(time.time())", env={"LD_PRELOAD": str(library), "FORECOURT_WALL_CLOCK": str(tmp_path / "none")})
    assert abs(float(result.stdout) - time.time()) < 5


def test_the_shim_is_built_once(tmp_path: Path) -> None:
    first = build(tmp_path)
    stamp = first.stat().st_mtime_ns
    assert build(tmp_path) == first
    assert first.stat().st_mtime_ns == stamp


def test_no_compiler_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match="gcc"):
        build(tmp_path)


def test_local_times_have_a_zone() -> None:
    assert utc_ms_of_local("2026-03-28T23:50:00", "Europe/Paris") == utc_ms_of_local("2026-03-28T22:50:00", "UTC")
    with pytest.raises(ValueError, match="offset"):
        utc_ms_of_local("2026-03-28T23:50:00+01:00", "Europe/Paris")
