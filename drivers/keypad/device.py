"""A USB keypad as keys of one terminal side. The only file that imports evdev.

Sources: Linux input subsystem (EVIOCGRAB, ENODEV after an unplug); the reference on hardware, section D1 (what evdev raises, what must
not be called); reference/security-and-reliability.md 0.9: a keypad is a keyboard, so it is taken for this program alone and is bound to
its place.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable

import evdev

from drivers.device_thread import DeviceThread
from drivers.events import DeviceEvent, KeyPressed
from drivers.keypad.decode import KEYS, KeyDecoder

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class KeypadFault(Exception):
    """The keypad is not there, is no keypad, or belongs to another program. The text says which."""


class Keypad(DeviceThread):
    """One keypad at one terminal side, found by ``path`` (event node or link) or by ``phys`` (the physical USB path, as in
    ``usb-0000:01:00.0-1.2/input0``; without ``/inputN`` the first of the device's inputs that has our keys).

    Posts ``KeyPressed`` when a key goes down and never for a repeat. Without the exclusive grab no key is taken at all: ``DeviceDown``
    says who is in the way. Raises ``ValueError`` unless exactly one of ``path`` and ``phys`` is given.
    """

    def __init__(
        self,
        name: str,
        side: int,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        path: str | None = None,
        phys: str | None = None,
    ) -> None:
        super().__init__(name, post, clock)
        if bool(path) == bool(phys):
            raise ValueError("a keypad is found either by its path or by its physical path")
        self.side = side
        self._path = path or ""
        self._phys = phys or ""
        self._decoder = KeyDecoder()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Read keys until stopped. Raises ``KeypadFault`` or ``OSError`` when the keypad is lost."""
        device = self.open_device()
        try:
            self._grab(device)
            self._decoder.forget()
            self.is_up()
            poll = select.poll()
            poll.register(device.fd, select.POLLIN)
            poll.register(self._wake_read, select.POLLIN)
            while not self.stopping:
                for descriptor, flags in poll.poll():
                    if descriptor == device.fd:
                        self._read(device, bool(flags & _GONE))
        finally:
            # Closing the descriptor releases the grab.
            device.close()

    def wake(self) -> None:
        """End the wait for a key. From any thread."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"\0")

    def stop(self, limit_ms: int = 5_000) -> bool:
        """Ask the thread to end and wait for it. False when it did not end within the limit. May be called twice."""
        ended = super().stop(limit_ms)
        if ended and self._wake_write >= 0:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1
        return ended

    def open_device(self) -> evdev.InputDevice[str]:
        """The keypad's input device, open. Raises ``KeypadFault``."""
        if self._path:
            return self._open_path()
        seen = 0
        for path in sorted(evdev.list_devices()):
            try:
                device = evdev.InputDevice(path)
            except (OSError, SystemError):
                continue  # Not ours to judge: it went away meanwhile, or is of a kind that the library cannot open.
            if device.phys == self._phys or device.phys.startswith(self._phys + "/"):
                if _has_keys(device):
                    return device
                seen += 1
            device.close()
        raise KeypadFault(f"no keypad at {self._phys}" + (f", {seen} input without its keys" if seen else ""))

    def _open_path(self) -> evdev.InputDevice[str]:
        try:
            device = evdev.InputDevice(self._path)
        except OSError as error:
            raise KeypadFault(f"cannot open {self._path}: {error.strerror}") from error
        except SystemError as error:
            # The library's way to say that the device does not know one of the questions asked at open.
            raise KeypadFault(f"{self._path} is no input device that can be read") from error
        if not _has_keys(device):
            device.close()
            raise KeypadFault(f"{self._path} has no keypad's keys")
        return device

    def _grab(self, device: evdev.InputDevice[str]) -> None:
        try:
            device.grab()
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise KeypadFault("another program holds the keypad") from error
            raise KeypadFault(f"exclusive use of the keypad refused: {error.strerror}") from error

    def _read(self, device: evdev.InputDevice[str], gone: bool) -> None:
        """Take what is there. A key counts even when the keypad went away right after it."""
        try:
            for event in device.read():
                key = self._decoder.feed(event.type, event.code, event.value)
                if key is not None:
                    self.post(KeyPressed(self.side, key))
        except BlockingIOError:
            pass  # Another wake-up than for input.
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise KeypadFault("keypad unplugged") from error
            raise
        if gone:
            raise KeypadFault("keypad unplugged")


def _has_keys(device: evdev.InputDevice[str]) -> bool:
    """True when it has at least one of our keys: a keypad's second input (media keys, pointer) has none."""
    # Not through active_keys(), which raises SystemError where a device does not know the question.
    return not KEYS.keys().isdisjoint(device.capabilities().get(evdev.ecodes.EV_KEY, ()))
