"""Devices under /dev/input that are not there, a keypad and a stripe reader: umockdev's testbed, driven through ctypes.

Source: umockdev 0.17 (umockdev.h, ``man umockdev-run``); the traps are written down in ``firmware_notes/keypad.md``. The process that
opens the devices must be started with ``environment()``; this one needs no preload: the testbed serves ioctls from a thread of its own.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hal_sim.clock import monotonic_ns, true_utc_ns

PRELOAD = "libumockdev-preload.so.0"
UNREAD_NS = 1_000_000_000
RETRY_NS = 2_000_000
_EV_SYN, _EV_KEY, _EV_MSC = 0, 1, 4
_EVENT = struct.Struct("llHHi")
_INT = struct.Struct("i")
_TIOCGPTN = 0x80045430
_PIECE = 74 * _EVENT.size
"""A pty hands on 1,792 bytes at a time and keeps 4,095 for its reader. Of more than that a part of an event is there to be read for a
moment, and python-evdev, which takes whole ones only, loses it."""

# python-evdev asks with buffers of exactly these lengths, and umockdev compares them
_NAME_BYTES, _TYPES_BYTES, _CODES_BYTES = 256, 4, 96


class InputFailed(RuntimeError):
    """umockdev is not installed or refused; the text says what and what to do."""


class _GError(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


def _bits(codes: tuple[int, ...], size: int) -> str:
    field = bytearray(size)
    for code in codes:
        field[code >> 3] |= 1 << (code & 7)
    return field.hex().upper()


def _name(text: str) -> str:
    return text.encode("ascii").ljust(_NAME_BYTES, b"\0").hex().upper()


def _libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    try:
        umockdev, gobject = ctypes.CDLL("libumockdev.so.0"), ctypes.CDLL("libgobject-2.0.so.0")
    except OSError as error:
        raise InputFailed(f"keypad and stripe reader need umockdev (apt-get install umockdev): {error}") from error
    error_argument = ctypes.POINTER(ctypes.POINTER(_GError))
    umockdev.umockdev_testbed_new.restype = ctypes.c_void_p
    umockdev.umockdev_testbed_add_from_string.argtypes = [ctypes.c_void_p, ctypes.c_char_p, error_argument]
    umockdev.umockdev_testbed_load_ioctl.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, error_argument]
    umockdev.umockdev_testbed_get_dev_fd.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    umockdev.umockdev_testbed_get_root_dir.argtypes = [ctypes.c_void_p]
    umockdev.umockdev_testbed_get_root_dir.restype = ctypes.c_char_p
    gobject.g_object_unref.argtypes = [ctypes.c_void_p]
    gobject.g_object_unref.restype = None
    return umockdev, gobject


@dataclass(frozen=True, slots=True)
class InputIdentity:
    """What a device says of itself: event ``number``, ``phys`` where it is plugged in, the ``codes`` that it can send; ``word`` is ours."""

    word: str
    number: int
    name: str
    phys: str
    uniq: str
    codes: tuple[int, ...]

    @property
    def path(self) -> str:
        """Where the program finds it."""
        return f"/dev/input/event{self.number}"


class InputTestbed:
    """All input devices of one program, since it has but one testbed. Raises InputFailed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._umockdev, self._gobject = _libraries()
        self._testbed: int | None = self._umockdev.umockdev_testbed_new()
        self.root = self._umockdev.umockdev_testbed_get_root_dir(self._testbed).decode()

    def add(self, identity: InputIdentity) -> InputDevice:
        """Plug a device in. Raises InputFailed."""
        ioctls = self._directory / f"event{identity.number}.ioctl"
        ioctls.write_text(_ioctls(identity), encoding="ascii")
        error = ctypes.POINTER(_GError)()
        path = identity.path.encode()
        done = self._umockdev.umockdev_testbed_add_from_string(self._testbed, _device(identity).encode(), ctypes.byref(error))
        if done:
            done = self._umockdev.umockdev_testbed_load_ioctl(self._testbed, path, str(ioctls).encode(), ctypes.byref(error))
        if not done:
            reason = error.contents.message.decode(errors="replace") if error else "no reason given"
            raise InputFailed(f"umockdev refused the {identity.word}: {reason}")
        descriptor = self._umockdev.umockdev_testbed_get_dev_fd(self._testbed, path)
        if descriptor < 0:
            raise InputFailed("umockdev gave no way to press keys")
        return InputDevice(identity, descriptor)

    def environment(self) -> dict[str, str]:
        """What the program's environment needs; ``LD_PRELOAD`` is to be joined with others by a colon."""
        return {"LD_PRELOAD": PRELOAD, "UMOCKDEV_DIR": self.root}

    def close(self) -> None:
        """Take the testbed away; its folder goes with it. Safe to call twice."""
        if self._testbed is not None:
            self._gobject.g_object_unref(self._testbed)
            self._testbed = None


class InputDevice:
    """One plugged device. ``press`` and ``play`` type at once; the rest follows as it is read (``next_wakeup_ns``, ``advance``)."""

    def __init__(self, identity: InputIdentity, descriptor: int) -> None:
        self.path = identity.path
        self.phys = identity.phys
        self._word = identity.word
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        (number,) = _INT.unpack(fcntl.ioctl(descriptor, _TIOCGPTN, bytes(_INT.size)))
        self._slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._slave_poll = select.poll()
        self._slave_poll.register(self._slave, select.POLLIN)
        self._unsent = b""
        self._later = b""
        self._until_ns = 0

    def press(self, codes: list[int]) -> None:
        """Press and release each key in turn.

        Keys pressed while nobody has the device open wait for the next one who has, some two hundred of them; then InputFailed is
        raised and nothing more is pressed.
        """
        self._flush()
        if self._unsent:
            raise InputFailed(f"nobody reads the {self._word}")
        for code in codes:
            for value in (1, 0):
                self._unsent += _packed([(_EV_KEY, code, value)])
        self._flush()

    def hold(self, code: int, down: bool) -> None:
        """Press a key and keep it down, or let it go. Raises InputFailed."""
        self._flush()
        if self._unsent:
            raise InputFailed(f"nobody reads the {self._word}")
        self._unsent += _packed([(_EV_KEY, code, int(down))])
        self._flush()

    def play(self, packets: Iterable[Iterable[tuple[int, int, int]]], gap_ns: int) -> None:
        """Send packets of events (type, code, value), each followed by SYN_REPORT, behind those under way: a typing that took so many
        nanoseconds a packet and has just ended, with the time stamps that the kernel gives.

        A real reader types on whatever this machine does; at a pace of its own, this process would have to be awake for each packet. So as
        much goes at once as the pty holds whole, the rest as soon as that is read. What nobody has read for a second is thrown away, as a
        device does whose buffer nobody empties.
        """
        now = monotonic_ns()
        if now >= self._until_ns:
            self._later = b""
        typed = list(packets)
        for place, packet in enumerate(typed):
            self._later += _packed(packet, (len(typed) - 1 - place) * gap_ns)
        self._until_ns = now + UNREAD_NS
        self.advance(now)

    def next_wakeup_ns(self) -> int | None:
        """When ``advance`` has something to do."""
        now = monotonic_ns()
        return now + RETRY_NS if (self._unsent or self._later) and now < self._until_ns else None

    def advance(self, now_ns: int) -> None:
        """Send what there is room for."""
        self._flush()
        if self._later and not self._unsent and not self._unread():
            self._unsent, self._later = self._later[:_PIECE], self._later[_PIECE:]
            self._until_ns = now_ns + UNREAD_NS
            self._flush()

    def _unread(self) -> bool:
        """Something lies in the pty. Asked by poll, for that waits for what was written just now and is still on its way there."""
        return bool(self._slave_poll.poll(0))

    def _flush(self) -> None:
        # Never block: the loop that serves the pumps runs in this thread. Never lose a part: a reader would see shifted events.
        while self._unsent:
            try:
                self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
            except BlockingIOError:
                return


def _packed(packet: Iterable[tuple[int, int, int]], ago_ns: int = 0) -> bytes:
    seconds, rest = divmod(true_utc_ns() - ago_ns, 1_000_000_000)
    stamp = (seconds, rest // 1000)
    return b"".join(_EVENT.pack(*stamp, *event) for event in (*packet, (_EV_SYN, 0, 0)))


def _device(identity: InputIdentity) -> str:
    number, uniq = identity.number, identity.uniq
    return f"""P: /devices/pci0000:00/usb1/1-{number}/1-{number}:1.0/input/input{number}/event{number}
N: input/event{number}
S: input/by-id/usb-{uniq}-event-kbd
E: DEVNAME=/dev/input/event{number}
E: ID_INPUT=1
E: ID_INPUT_KEY=1
E: ID_INPUT_KEYBOARD=1
E: MAJOR=13
E: MINOR={64 + number}
E: SUBSYSTEM=input
A: dev=13:{64 + number}

"""


def _ioctls(identity: InputIdentity) -> str:
    name, phys, uniq = identity.name, identity.phys, identity.uniq
    numbers = struct.pack("<HHHH", 3, 0x1111, 0x2222, 0x0111).hex().upper()
    return f"""EVIOCGVERSION 0 01000100
EVIOCGEFFECTS 0 00000000
EVIOCGID 0 {numbers}
EVIOCGNAME(0) {len(name) + 1} {_name(name)}
EVIOCGPHYS(0) {len(phys) + 1} {_name(phys)}
EVIOCGUNIQ(0) {len(uniq) + 1} {_name(uniq)}
EVIOCGBIT(0) 8 {_bits((_EV_SYN, _EV_KEY, _EV_MSC), _TYPES_BYTES)}
EVIOCGBIT({_EV_KEY}) {_CODES_BYTES} {_bits(identity.codes, _CODES_BYTES)}
EVIOCGBIT({_EV_MSC}) 8 {_bits((4,), _CODES_BYTES)}
"""
