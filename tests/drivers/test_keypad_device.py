"""The keypad's thread on the real evdev library.

Twice: its own decoder of ``input_event`` structures on a pipe (reference/model-codebases.md 4.6), and, where umockdev is installed, a real
``InputDevice`` on a device file written by hand (reference/hardware-simulation.md D1), in a child process. A real unplug and a real refusal
of the grab need a kernel: here the end of the pipe stands for the first, and only our answer to the second is shown.
"""

from __future__ import annotations

import errno
import os
import queue
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import evdev
import pytest
from evdev import ecodes

from drivers.events import DeviceDown, DeviceEvent, DeviceUp, Key, KeyPressed
from drivers.keypad.device import Keypad

ROOT = Path(__file__).resolve().parents[2]


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("llHHi", 0, 0, kind, code, value)


SYN = event(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)


def stroke(code: int, repeats: int = 0) -> bytes:
    scan = event(ecodes.EV_MSC, ecodes.MSC_SCAN, 0x70000 + code)
    held = (event(ecodes.EV_KEY, code, 2) + SYN) * repeats
    return scan + event(ecodes.EV_KEY, code, 1) + SYN + held + scan + event(ecodes.EV_KEY, code, 0) + SYN


class PipedKeypad(Keypad):
    """A keypad whose input device is the library's own, on a pipe. A pipe cannot be grabbed: ``refusal`` says what the grab answers."""

    def __init__(self, inbox: queue.SimpleQueue[DeviceEvent]) -> None:
        super().__init__("keypad-1", 1, inbox.put, now_ms, path="/dev/input/event0")
        self._first_pause_ms = self._pause_ms = 1
        self.refusal: int | None = None
        self.pipes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def open_device(self) -> evdev.InputDevice[str]:
        reader, writer = os.pipe2(os.O_NONBLOCK)
        keypad = self

        class OnPipe(evdev.InputDevice[str]):
            def __init__(self) -> None:
                self.path, self.fd = "/dev/input/event0", reader

            def grab(self) -> None:
                if keypad.refusal is not None:
                    raise OSError(keypad.refusal, os.strerror(keypad.refusal))

        if self.refusal is None:
            self.pipes.put(writer)
        else:
            os.close(writer)
        return OnPipe()


@pytest.fixture
def inbox() -> queue.SimpleQueue[DeviceEvent]:
    return queue.SimpleQueue()


@pytest.fixture
def keypad(inbox: queue.SimpleQueue[DeviceEvent]) -> Iterator[PipedKeypad]:
    made = PipedKeypad(inbox)
    yield made
    assert made.stop()
    assert made.stop()


def keys(inbox: queue.SimpleQueue[DeviceEvent], count: int) -> list[Key]:
    got: list[Key] = []
    for _ in range(count):
        pressed = inbox.get(timeout=60)
        assert isinstance(pressed, KeyPressed), pressed
        assert pressed.side == 1
        got.append(pressed.key)
    return got


def test_keys_reach_the_terminal_once_each(keypad: PipedKeypad, inbox: queue.SimpleQueue[DeviceEvent]) -> None:
    keypad.start()
    writer = keypad.pipes.get(timeout=60)
    assert inbox.get(timeout=60) == DeviceUp("keypad-1")
    os.write(writer, stroke(ecodes.KEY_1) + stroke(ecodes.KEY_KP2, repeats=30) + stroke(ecodes.KEY_F1) + stroke(ecodes.KEY_BACKSPACE))
    os.write(writer, stroke(ecodes.KEY_KPENTER) + stroke(ecodes.KEY_ESC))
    assert keys(inbox, 5) == [Key.DIGIT_1, Key.DIGIT_2, Key.CLEAR, Key.ENTER, Key.CANCEL]
    assert inbox.empty()
    os.close(writer)


def test_lost_events_do_not_stop_the_keypad(keypad: PipedKeypad, inbox: queue.SimpleQueue[DeviceEvent]) -> None:
    keypad.start()
    writer = keypad.pipes.get(timeout=60)
    torn = event(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0) + event(ecodes.EV_KEY, ecodes.KEY_9, 1) + SYN
    os.write(writer, stroke(ecodes.KEY_1) + torn + stroke(ecodes.KEY_3))
    assert inbox.get(timeout=60) == DeviceUp("keypad-1")
    assert keys(inbox, 2) == [Key.DIGIT_1, Key.DIGIT_3]
    os.close(writer)


def test_unplugged_and_plugged_in_again(keypad: PipedKeypad, inbox: queue.SimpleQueue[DeviceEvent]) -> None:
    keypad.start()
    for digit in (ecodes.KEY_4, ecodes.KEY_5):
        writer = keypad.pipes.get(timeout=60)
        assert inbox.get(timeout=60) == DeviceUp("keypad-1")
        # A shift that was held when the plug was drawn must not weigh on the next connection.
        os.write(writer, stroke(digit) + event(ecodes.EV_KEY, ecodes.KEY_LEFTSHIFT, 1) + SYN)
        assert keys(inbox, 1) == [Key(str(digit - 1))]
        os.close(writer)
        assert inbox.get(timeout=60) == DeviceDown("keypad-1", "KeypadFault: keypad unplugged")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EBUSY, "KeypadFault: another program holds the keypad"),
        (errno.EINVAL, "KeypadFault: exclusive use of the keypad refused: Invalid argument"),
    ],
)
def test_no_key_without_the_exclusive_grab(keypad: PipedKeypad, inbox: queue.SimpleQueue[DeviceEvent], number: int, reason: str) -> None:
    keypad.refusal = number
    keypad.start()
    assert inbox.get(timeout=60) == DeviceDown("keypad-1", reason)
    keypad.refusal = None
    assert inbox.get(timeout=60) == DeviceUp("keypad-1")


def test_a_missing_keypad_is_said_once(inbox: queue.SimpleQueue[DeviceEvent], tmp_path: Path) -> None:
    by_path = Keypad("keypad-1", 1, inbox.put, now_ms, path=os.fspath(tmp_path / "event7"))
    by_phys = Keypad("keypad-2", 2, inbox.put, now_ms, phys="usb-0000:00:1a.0-9/input0")
    for keypad, reason in (
        (by_path, f"cannot open {tmp_path}/event7: No such file or directory"),
        (by_phys, "no keypad at usb-0000:00:1a.0-9"),
    ):
        keypad.start()
        down = inbox.get(timeout=60)
        assert isinstance(down, DeviceDown)
        assert reason in down.reason
        assert keypad.stop()
    assert inbox.empty()


def test_a_file_that_is_no_input_device(inbox: queue.SimpleQueue[DeviceEvent]) -> None:
    keypad = Keypad("keypad-1", 1, inbox.put, now_ms, path="/dev/null")
    keypad.start()
    down = inbox.get(timeout=60)
    assert isinstance(down, DeviceDown)
    assert down.reason.startswith("KeypadFault: ")
    assert "/dev/null" in down.reason
    assert keypad.stop()


@pytest.mark.parametrize(("path", "phys"), [(None, None), ("/dev/input/event0", "usb-1/input0"), ("", "")])
def test_found_by_exactly_one_thing(path: str | None, phys: str | None) -> None:
    with pytest.raises(ValueError, match="either by its path or by its physical path"):
        Keypad("keypad-1", 1, lambda event: None, now_ms, path=path, phys=phys)


def test_stopping_before_starting_and_twice_leaks_nothing() -> None:
    before = len(os.listdir("/proc/self/fd"))
    keypad = Keypad("keypad-1", 1, lambda event: None, now_ms, path="/dev/input/event0")
    assert keypad.stop()
    assert keypad.stop()
    keypad.wake()
    assert len(os.listdir("/proc/self/fd")) == before


# --- a real InputDevice through umockdev ------------------------------------------------------------------------------


def bits(codes: list[int], size: int) -> str:
    field = bytearray(size)
    for code in codes:
        field[code >> 3] |= 1 << (code & 7)
    return field.hex().upper()


def described(number: int, name: str, phys: str, codes: list[int]) -> tuple[str, str]:
    """A device and its answers to ioctls. The lengths are those that the library asks for, else umockdev says ENOENT."""

    def text(value: str) -> str:
        return f"{len(value) + 1} {value.encode().ljust(256, bytes(1)).hex().upper()}"

    device = f"""P: /devices/pci0000:00/usb1/1-{number}/1-{number}:1.0/input/input{number}/event{number}
N: input/event{number}
E: DEVNAME=/dev/input/event{number}
E: ID_INPUT=1
E: ID_INPUT_KEYBOARD=1
E: MAJOR=13
E: MINOR={64 + number}
E: SUBSYSTEM=input
A: dev=13:{64 + number}

"""
    answers = f"""EVIOCGVERSION 0 01000100
EVIOCGEFFECTS 0 00000000
EVIOCGID 0 {struct.pack("<HHHH", 3, 0x1111, 0x2222, 0x111).hex().upper()}
EVIOCGNAME(0) {text(name)}
EVIOCGPHYS(0) {text(phys)}
EVIOCGUNIQ(0) {text("")}
EVIOCGBIT(0) 8 {bits([0, 1, 4], 4)}
EVIOCGBIT(1) 96 {bits(codes, 96)}
EVIOCGBIT(4) 8 {bits([4], 96)}
"""
    return device, answers


def typed(codes: list[int]) -> str:
    lines, at = [], 0.5
    for code in codes:
        for value in (1, 2, 0):
            lines += [f"E: {at:.6f} 0001 {code:04x} {value:04d}", f"E: {at:.6f} 0000 0000 0000"]
            at += 0.005
    return "\n".join(lines) + "\n"


CHILD = """
import queue, sys, time
from drivers.keypad.device import Keypad
inbox = queue.SimpleQueue()
keypad = Keypad("keypad-1", 1, inbox.put, lambda: time.monotonic_ns() // 1_000_000, **{sys.argv[1]: sys.argv[2]})
keypad.start()
for _ in range(int(sys.argv[3])):
    event = inbox.get(timeout=60)
    print(type(event).__name__, getattr(event, "key", None) and event.key.value or getattr(event, "reason", ""))
print("stopped", keypad.stop(), inbox.empty())
"""


@pytest.mark.skipif(shutil.which("umockdev-run") is None, reason="umockdev is not installed")
@pytest.mark.parametrize(
    ("how", "where", "expected"),
    [
        ("path", "/dev/input/event5", ["DeviceUp ", "KeyPressed 4", "KeyPressed 2", "KeyPressed enter"]),
        ("phys", "usb-0000:00:1a.0-1/input1", ["DeviceUp ", "KeyPressed 4", "KeyPressed 2", "KeyPressed enter"]),
        ("phys", "usb-0000:00:1a.0-1", ["DeviceUp ", "KeyPressed 4", "KeyPressed 2", "KeyPressed enter"]),
        ("phys", "usb-0000:00:1a.0-10", ["DeviceDown KeypadFault: no keypad at usb-0000:00:1a.0-10"]),
        ("phys", "usb-0000:00:1a.0-1/input0", ["DeviceDown KeypadFault: no keypad at usb-0000:00:1a.0-1/input0, 1 input without its keys"]),
        ("path", "/dev/input/event4", ["DeviceDown KeypadFault: /dev/input/event4 has no keypad's keys"]),
    ],
)
def test_a_real_input_device(tmp_path: Path, how: str, where: str, expected: list[str]) -> None:
    pad_keys = [*range(2, 12), ecodes.KEY_ENTER, ecodes.KEY_BACKSPACE, ecodes.KEY_ESC]
    devices = {
        4: described(4, "PAD media keys", "usb-0000:00:1a.0-1/input0", [ecodes.KEY_MUTE, ecodes.KEY_POWER]),
        5: described(5, "PAD", "usb-0000:00:1a.0-1/input1", pad_keys),
        6: described(6, "STRIPE READER", "usb-0000:00:1a.0-2/input0", list(range(1, 100))),
    }
    (tmp_path / "in.umockdev").write_text("".join(device for device, _ in devices.values()))
    command = ["umockdev-run", "-d", os.fspath(tmp_path / "in.umockdev")]
    for number, (_, answers) in devices.items():
        (tmp_path / f"{number}.ioctl").write_text(answers)
        command += ["-i", f"/dev/input/event{number}={tmp_path}/{number}.ioctl"]
    (tmp_path / "5.events").write_text(typed([ecodes.KEY_4, ecodes.KEY_2, ecodes.KEY_ENTER]))
    command += ["-e", f"/dev/input/event5={tmp_path}/5.events"]
    command += ["--", sys.executable, "-c", CHILD, how, where, str(len(expected))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [*expected, "stopped True True"], done.stderr
