"""A keypad under /dev/input that is not there: umockdev's testbed, driven through ctypes.

Source: umockdev 0.17 (umockdev.h, ``man umockdev-run``); the traps are written down in ``firmware_notes/keypad.md``. The process that
opens the device must be started with ``environment()``; this one needs no preload: the testbed serves ioctls from a thread of its own.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from hal_sim.clock import true_utc_ns
from hal_sim.keypad.layout import ALL_CODES

PRELOAD = "libumockdev-preload.so.0"
_EV_SYN, _EV_KEY, _EV_MSC = 0, 1, 4
_EVENT = struct.Struct("llHHi")

# python-evdev asks with buffers of exactly these lengths, and umockdev compares them
_NAME_BYTES, _TYPES_BYTES, _CODES_BYTES = 256, 4, 96


class KeypadFailed(RuntimeError):
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
        raise KeypadFailed(f"the keypad needs umockdev (apt-get install umockdev): {error}") from error
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


class KeypadTestbed:
    """One keypad. ``path`` is where the program finds it, ``phys`` where it is plugged in. Raises KeypadFailed."""

    def __init__(
        self,
        directory: Path,
        *,
        number: int = 5,
        name: str = "KEYPAD ACME PIN16",
        phys: str = "usb-0000:00:1a.0-1/input0",
        uniq: str = "KEYPAD1",
    ) -> None:
        self.path = f"/dev/input/event{number}"
        self.phys = phys
        self._umockdev, self._gobject = _libraries()
        self._testbed: int | None = self._umockdev.umockdev_testbed_new()
        ioctls = directory / f"event{number}.ioctl"
        ioctls.write_text(_ioctls(name, phys, uniq), encoding="ascii")
        error = ctypes.POINTER(_GError)()
        done = self._umockdev.umockdev_testbed_add_from_string(self._testbed, _device(number, uniq).encode(), ctypes.byref(error))
        if done:
            done = self._umockdev.umockdev_testbed_load_ioctl(self._testbed, self.path.encode(), str(ioctls).encode(), ctypes.byref(error))
        if not done:
            reason = error.contents.message.decode(errors="replace") if error else "no reason given"
            raise KeypadFailed(f"umockdev refused the keypad: {reason}")
        self.root = self._umockdev.umockdev_testbed_get_root_dir(self._testbed).decode()
        self._device_fd = self._umockdev.umockdev_testbed_get_dev_fd(self._testbed, self.path.encode())
        if self._device_fd < 0:
            raise KeypadFailed("umockdev gave no way to press keys")
        os.set_blocking(self._device_fd, False)
        self._unsent = b""

    def environment(self) -> dict[str, str]:
        """What the program's environment needs; ``LD_PRELOAD`` is to be joined with others by a colon."""
        return {"LD_PRELOAD": PRELOAD, "UMOCKDEV_DIR": self.root}

    def press(self, codes: list[int]) -> None:
        """Press and release each key in turn.

        Keys pressed while nobody has the device open wait for the next one who has, some two hundred of them; then KeypadFailed is
        raised and nothing more is pressed.
        """
        self._flush()
        if self._unsent:
            raise KeypadFailed("nobody reads the keypad")
        for code in codes:
            for value in (1, 0):
                seconds, rest = divmod(true_utc_ns(), 1_000_000_000)
                stamp = (seconds, rest // 1000)
                self._unsent += _EVENT.pack(*stamp, _EV_KEY, code, value) + _EVENT.pack(*stamp, _EV_SYN, 0, 0)
        self._flush()

    def _flush(self) -> None:
        # Never block: the loop that serves the pumps runs in this thread. Never lose a part: a reader would see shifted events.
        while self._unsent:
            try:
                self._unsent = self._unsent[os.write(self._device_fd, self._unsent) :]
            except BlockingIOError:
                return

    def close(self) -> None:
        """Take the testbed away; its folder goes with it. Safe to call twice."""
        if self._testbed is not None:
            self._gobject.g_object_unref(self._testbed)
            self._testbed = None


def _device(number: int, uniq: str) -> str:
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


def _ioctls(name: str, phys: str, uniq: str) -> str:
    identity = struct.pack("<HHHH", 3, 0x1111, 0x2222, 0x0111).hex().upper()
    return f"""EVIOCGVERSION 0 01000100
EVIOCGEFFECTS 0 00000000
EVIOCGID 0 {identity}
EVIOCGNAME(0) {len(name) + 1} {_name(name)}
EVIOCGPHYS(0) {len(phys) + 1} {_name(phys)}
EVIOCGUNIQ(0) {len(uniq) + 1} {_name(uniq)}
EVIOCGBIT(0) 8 {_bits((_EV_SYN, _EV_KEY, _EV_MSC), _TYPES_BYTES)}
EVIOCGBIT({_EV_KEY}) {_CODES_BYTES} {_bits(ALL_CODES, _CODES_BYTES)}
EVIOCGBIT({_EV_MSC}) 8 {_bits((4,), _CODES_BYTES)}
"""
