"""The serial port, the device thread and the line thread on ptys beneath the real pyserial (reference hardware-simulation D2)."""

from __future__ import annotations

import errno
import logging
import os
import queue
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator

import pytest

from drivers.commands import ReadTotal
from drivers.device_thread import DeviceThread
from drivers.dispenser.dart.codec import Decoder
from drivers.dispenser.dart.frames import Noise
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import PositionProfile
from drivers.dispenser.line_thread import LineThread
from drivers.events import (
    CommandFailed,
    DeviceDown,
    DeviceEvent,
    DeviceUp,
    NozzleLifted,
    PumpLineLost,
    PumpStatus,
    PumpSurveyed,
    TotalReported,
)
from drivers.serial_port import PortLost, SerialPort
from tests.drivers.dart_bench import Head

LIMIT_S = 60.0


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Pty:
    """A pty whose slave side has a path that can be taken away and given back, as a USB adapter's can."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.master = -1
        self.plug()

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        os.symlink(os.ttyname(slave), self.link)
        os.close(slave)

    def unplug(self) -> None:
        os.unlink(self.link)
        os.close(self.master)
        self.master = -1

    def speed(self) -> int:
        return int(termios.tcgetattr(self.master)[4])


@pytest.fixture
def pty(tmp_path: object) -> Iterator[Pty]:
    made = Pty(f"{tmp_path}/port")
    yield made
    if made.master >= 0:
        made.unplug()


@pytest.fixture
def port(pty: Pty) -> Iterator[SerialPort]:
    made = SerialPort(pty.link, 9600, "O")
    made.open()
    yield made
    made.close()


# --- the port ---


def test_bytes_go_both_ways(pty: Pty, port: SerialPort) -> None:
    assert pty.speed() == termios.B9600
    assert port.read() == b""
    os.write(pty.master, b"\x50\x70\xfa\x00\x11\x13")
    port.wait(5_000)
    assert port.read() == b"\x50\x70\xfa\x00\x11\x13"
    assert port.read() == b""
    port.write(b"\x50\x20\xfa\x0a\x0d")
    assert os.read(pty.master, 100) == b"\x50\x20\xfa\x0a\x0d"


def test_the_port_is_ours_alone(pty: Pty, port: SerialPort) -> None:
    with pytest.raises(PortLost, match="cannot open") as lost:
        SerialPort(pty.link, 19200).open()
    assert lost.value.port == pty.link


def test_a_port_that_is_not_there(tmp_path: object) -> None:
    with pytest.raises(PortLost, match="cannot open"):
        SerialPort(f"{tmp_path}/none", 9600).open()
    with pytest.raises(PortLost, match="not open"):
        SerialPort(f"{tmp_path}/none", 9600).read()
    with pytest.raises(PortLost, match="cannot open"):
        SerialPort("/dev/null", 9600).open()


def test_parity_that_the_driver_refuses_is_a_lost_port_not_a_crash(pty: Pty, port: SerialPort) -> None:
    """The trap of D2: termios.error, neither OSError nor SerialException, at the second open with parity."""
    port.close()
    with pytest.raises(PortLost, match="Invalid argument") as lost:
        port.open()
    assert isinstance(lost.value.__cause__, termios.error)
    with pytest.raises(PortLost, match="not open"):
        port.read()


def test_unplugging_is_a_lost_port_in_every_call(pty: Pty, port: SerialPort) -> None:
    pty.unplug()
    port.wait(5_000)  # returns at once: the death of the port is something to look at
    with pytest.raises(PortLost, match="read"):
        port.read()
    with pytest.raises(PortLost, match="write"):
        port.write(b"\x50\x20\xfa")
    port.close()
    port.close()


def fill(port: SerialPort) -> None:
    for _ in range(200):
        port.write(bytes(4096))


def test_a_peer_that_takes_nothing_does_not_block_for_ever(port: SerialPort) -> None:
    with pytest.raises(PortLost, match="write"):
        fill(port)


def test_wake_ends_a_wait_without_end(port: SerialPort) -> None:
    woken = threading.Event()

    def waiter() -> None:
        port.wait(None)
        woken.set()

    thread = threading.Thread(target=waiter, daemon=True)
    thread.start()
    port.wake()
    assert woken.wait(LIMIT_S)
    thread.join()


def test_wakes_are_not_piled_up_and_not_needed_when_closed(port: SerialPort) -> None:
    for _ in range(100_000):
        port.wake()
    for _ in range(100):
        port.wait(0)
    before = now_ms()
    port.wait(60)
    assert now_ms() - before >= 50
    port.close()
    port.wake()


@pytest.mark.parametrize(
    ("baudrate", "parity", "bytesize", "stopbits"), [(0, "N", 8, 1), (9600, "X", 8, 1), (9600, "N", 9, 1), (9600, "N", 8, 3)]
)
def test_settings_that_no_port_has(baudrate: int, parity: str, bytesize: int, stopbits: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        SerialPort("/dev/null", baudrate, parity, bytesize, stopbits)


# --- the device thread ---


class Script(DeviceThread):
    """A device that does at each opening what the test says next."""

    def __init__(self, post: Callable[[DeviceEvent], None], *steps: Callable[[Script], None]) -> None:
        super().__init__("script", post, now_ms, first_pause_ms=10, longest_pause_ms=40)
        self.steps = list(steps)
        self.opened: list[int] = []
        self.woken = threading.Event()

    def serve(self) -> None:
        self.opened.append(now_ms())
        if self.steps:
            self.steps.pop(0)(self)
        else:
            self.is_up()
            self.woken.wait()

    def wake(self) -> None:
        self.woken.set()


def fail(why: str) -> Callable[[Script], None]:
    def step(_: Script) -> None:
        raise OSError(errno.ENODEV, why)

    return step


def up_and_fail(script: Script) -> None:
    script.is_up()
    script.is_up()
    raise ValueError("a bug of ours, too")  # its text may repeat what a driver was given: only its name and place are told


def test_a_device_comes_back_and_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    posts: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
    script = Script(posts.put, fail("gone"), fail("gone"), fail("gone"), up_and_fail, fail("gone"))
    with caplog.at_level(logging.INFO, logger="drivers.script"):
        script.start()
        events = [posts.get(timeout=LIMIT_S) for _ in range(4)]
        assert script.stop()
    assert events == [
        DeviceDown("script", "OSError: [Errno 19] gone"),
        DeviceUp("script"),
        DeviceDown("script", f"ValueError at test_serial_port.py:{up_and_fail.__code__.co_firstlineno + 3}"),
        DeviceUp("script"),
    ]
    assert posts.empty()
    # Every different failure with its traceback, the same one not again and again.
    assert [record.exc_info is not None for record in caplog.records] == [True, True, True]
    gaps = [later - earlier for earlier, later in zip(script.opened, script.opened[1:], strict=False)]
    assert gaps[0] >= 10
    assert gaps[1] >= 20
    assert gaps[2] >= 40


def test_stop_does_not_wait_for_the_back_off() -> None:
    posts: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
    script = Script(posts.put, fail("gone"))
    script._first_pause_ms = script._pause_ms = 60_000
    script.start()
    posts.get(timeout=LIMIT_S)
    before = now_ms()
    assert script.stop()
    assert now_ms() - before < 5_000
    assert script.stop()
    with pytest.raises(RuntimeError, match="started before"):
        script.start()


def test_stop_says_when_a_device_does_not_end() -> None:
    posts: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
    released = threading.Event()
    script = Script(posts.put, lambda _: assert_true(released.wait(LIMIT_S)))
    script.start()
    while not script.opened:
        time.sleep(0.001)
    assert not script.stop(20)
    released.set()
    assert script.stop()


def assert_true(value: bool) -> None:
    assert value


# --- the line thread ---


class Dispenser:
    """The scripted head on a pty's master side."""

    def __init__(self, pty: Pty) -> None:
        self.head = Head(0x50)
        self.descriptor = pty.master
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        decoder = Decoder()
        while True:
            try:
                data = os.read(self.descriptor, 1000)
                for frame in decoder.receive(data):
                    if not isinstance(frame, Noise) and (reply := self.head.answer(frame)):
                        os.write(self.descriptor, reply)
            except OSError:
                return  # nobody has the other side open any more


def expect(posts: queue.SimpleQueue[DeviceEvent], wanted: DeviceEvent) -> list[DeviceEvent]:
    """Everything up to and including the wanted event."""
    seen = []
    until = time.monotonic() + LIMIT_S
    while True:
        seen.append(posts.get(timeout=max(0.01, until - time.monotonic())))
        if seen[-1] == wanted:
            return seen


def test_a_line_on_a_port(pty: Pty) -> None:
    posts: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
    tapped: list[tuple[str, bytes]] = []
    master = DartLine("line-1", [PositionProfile(fp=1, address=0x50)])
    line = LineThread(
        "line-1", master, SerialPort(pty.link, 9600), posts.put, now_ms, lambda way, data: tapped.append((way, data)), first_pause_ms=20
    )
    line.submit(ReadTotal(1, 1))
    assert posts.get(timeout=LIMIT_S) == CommandFailed(1, "ReadTotal", "the line's port is closed")

    # The port's raw mode is set at its open; a head that speaks before would hear its own echo.
    line.start()
    while not tapped:
        time.sleep(0.001)
    dispenser = Dispenser(pty)
    expect(posts, PumpSurveyed(1, PumpStatus.RESET, None))
    dispenser.head.say_nozzle(2)
    expect(posts, NozzleLifted(1, 2, 17_290))
    line.submit(ReadTotal(1, 2))
    expect(posts, TotalReported(1, 2, 1_000_000))
    assert {"rx", "tx"} == {way for way, _ in tapped}
    assert tapped[0] == ("tx", b"\x50\x20\xfa")

    pty.unplug()
    lost = posts.get(timeout=LIMIT_S)
    assert isinstance(lost, PumpLineLost)
    assert lost.fp == 1
    dispenser.thread.join(LIMIT_S)
    assert not dispenser.thread.is_alive()
    with pytest.raises(queue.Empty):
        posts.get(timeout=0.3)  # the port is tried and tried; its loss is old news

    pty.plug()
    sent = len(tapped)
    while len(tapped) == sent:
        time.sleep(0.001)
    Dispenser(pty)
    expect(posts, PumpSurveyed(1, PumpStatus.RESET, None))
    assert line.stop()


def test_a_command_that_waits_when_the_port_is_lost_is_answered(pty: Pty) -> None:
    posts: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()

    def tap(way: str, data: bytes) -> None:
        if pty.master >= 0:
            line.submit(ReadTotal(1, 1))
            pty.unplug()

    master = DartLine("line-1", [PositionProfile(fp=1, address=0x50)])
    line = LineThread("line-1", master, SerialPort(pty.link, 9600), posts.put, now_ms, tap, first_pause_ms=20)
    line.start()
    lost, failed = posts.get(timeout=LIMIT_S), posts.get(timeout=LIMIT_S)
    assert line.stop()
    assert isinstance(lost, PumpLineLost)
    assert isinstance(failed, CommandFailed)
    assert failed.why.startswith("the line's port was lost")
