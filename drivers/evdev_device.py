"""A Linux input device as one thread: found, taken for this program alone, read event by event. The only file that imports evdev.

Sources: Linux input subsystem (EVIOCGRAB, ENODEV after an unplug); the reference on hardware, section D1 (what evdev raises, what must
not be called); reference/security-and-reliability.md 0.9: a keypad is a keyboard, and so is a stripe reader, so each is taken for this
program alone and is bound to its place.
"""

from __future__ import annotations

import errno
import os
import select
from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import ClassVar

import evdev

from drivers.device_thread import LONGEST_WAIT_MS, DeviceThread
from drivers.events import DeviceEvent

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class InputFault(Exception):
    """The device is not there, is another one, or belongs to another program. The text says which."""


class InputThread(DeviceThread):
    """One input device at one terminal side, found by ``path`` (event node or link) or by ``phys`` (the physical USB path, as in
    ``usb-0000:01:00.0-1.2/input0``; without ``/inputN`` the first of the device's inputs that has its keys).

    Without the exclusive grab nothing is taken at all: ``DeviceDown`` says who is in the way. Raises ``ValueError`` unless exactly one of
    ``path`` and ``phys`` is given.
    """

    what: ClassVar[str]
    """What people call it."""
    fault: ClassVar[type[InputFault]] = InputFault
    asks_held: ClassVar[bool] = False
    """Whether ``forget`` wants to know which keys are down."""

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
            raise ValueError(f"a {self.what} is found either by its path or by its physical path")
        self.side = side
        self._path = path or ""
        self._phys = phys or ""
        self.held: Collection[int] | None = None  # the keys that were down at the opening, where the device can tell
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    # --- for a subclass ---

    @abstractmethod
    def is_it(self, codes: Collection[int]) -> bool:
        """Whether a device that can send these key codes may be ours."""

    @abstractmethod
    def take(self, kind: int, code: int, value: int) -> None:
        """One input event's type, code and value."""

    @abstractmethod
    def forget(self) -> None:
        """The device was opened anew: nothing is held, nothing is under way."""

    def next_wakeup(self) -> int | None:
        """When ``tick`` is to be called although nothing came, in milliseconds of the clock; None for never."""
        return None

    def tick(self) -> None:  # noqa: B027 - a device whose keys stand for themselves needs none
        """The time of ``next_wakeup`` has come."""

    # --- the thread ---

    def serve(self) -> None:
        """Read events until stopped. Raises ``fault`` or ``OSError`` when the device is lost."""
        device = self.open_device()
        try:
            self._grab(device)
            self.held = _held(device) if self.asks_held else None
            self.forget()
            self.is_up()
            poll = select.poll()
            poll.register(device.fd, select.POLLIN)
            poll.register(self._wake_read, select.POLLIN)
            while not self.stopping:
                patience = self._patience()
                self.alive(patience)
                for descriptor, flags in poll.poll(patience):
                    if descriptor == device.fd:
                        self._read(device, bool(flags & _GONE))
                self._tick_if_due()
        finally:
            # Closing the descriptor releases the grab.
            device.close()

    def _patience(self) -> int:
        wakeup = self.next_wakeup()
        return LONGEST_WAIT_MS if wakeup is None else min(LONGEST_WAIT_MS, max(0, wakeup - self.clock()))

    def _tick_if_due(self) -> None:
        wakeup = self.next_wakeup()
        if wakeup is not None and self.clock() >= wakeup:
            self.tick()

    def wake(self) -> None:
        """End the wait for an event. From any thread."""
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

    # --- the device ---

    def open_device(self) -> evdev.InputDevice[str]:
        """The input device, open. Raises ``fault``."""
        if self._path:
            return self._open_path()
        seen = 0
        for path in sorted(evdev.list_devices()):
            try:
                device = evdev.InputDevice(path)
            except (OSError, SystemError):
                continue  # Not ours to judge: it went away meanwhile, or is of a kind that the library cannot open.
            if device.phys == self._phys or device.phys.startswith(self._phys + "/"):
                if self.is_it(_codes(device)):
                    return device
                seen += 1
            device.close()
        raise self.fault(f"no {self.what} at {self._phys}" + (f", {seen} input without its keys" if seen else ""))

    def _open_path(self) -> evdev.InputDevice[str]:
        try:
            device = evdev.InputDevice(self._path)
        except OSError as error:
            raise self.fault(f"cannot open {self._path}: {error.strerror}") from error
        except SystemError as error:
            # The library's way to say that the device does not know one of the questions asked at open.
            raise self.fault(f"{self._path} is no input device that can be read") from error
        if not self.is_it(_codes(device)):
            device.close()
            raise self.fault(f"{self._path} has no {self.what}'s keys")
        return device

    def _grab(self, device: evdev.InputDevice[str]) -> None:
        try:
            device.grab()
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise self.fault(f"another program holds the {self.what}") from error
            raise self.fault(f"exclusive use of the {self.what} refused: {error.strerror}") from error

    def _read(self, device: evdev.InputDevice[str], gone: bool) -> None:
        """Take what is there. An event counts even when the device went away right after it."""
        try:
            for event in device.read():
                self.take(event.type, event.code, event.value)
        except BlockingIOError:
            pass  # Another wake-up than for input.
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise self.fault(f"{self.what} unplugged") from error
            raise
        if gone:
            raise self.fault(f"{self.what} unplugged")


def _codes(device: evdev.InputDevice[str]) -> Collection[int]:
    """The keys that it says it has."""
    # Not through active_keys(), which raises SystemError where a device does not know the question.
    codes: Collection[int] = device.capabilities().get(evdev.ecodes.EV_KEY, ())
    return codes


def _held(device: evdev.InputDevice[str]) -> Collection[int] | None:
    """The keys that are down now; None from a device that does not know the question."""
    try:
        held: Collection[int] = device.active_keys()
    except (OSError, SystemError):
        return None
    return held
