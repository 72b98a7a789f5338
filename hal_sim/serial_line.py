"""A ``wire.Device`` behind a serial port that is there already: an adapter at a real line, or the near end of somebody's pseudo-terminal.

The line paces itself here; ``pty_port`` makes lines of its own. A pseudo-terminal keeps neither parity nor 7-bit characters (see there).
"""

from __future__ import annotations

import errno
import fcntl
import os
import termios
from collections import deque

from hal_sim.clock import NS_PER_MS
from hal_sim.pty_port import Record
from hal_sim.wire import Device

SPEEDS = {baud: getattr(termios, f"B{baud}") for baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}


class NoPort(Exception):
    """The port cannot be used; the text says which and why."""


class SerialLine:
    """One device on a serial port of the machine, for ``pty_port.Loop``. ``lost`` once the port has gone.

    ``mode`` is characters, parity and stop bits such as "8O1"; ``echo``: the adapter gives back what it sends. Raises NoPort.
    """

    def __init__(self, device: Device, path: str, baud: int, mode: str, *, echo: bool = False, record: Record | None = None) -> None:
        self.device = device
        self.path = path
        self.lost = False
        self._echo = echo
        self._record = record
        self._own: deque[int] = deque()
        self._outgoing: deque[tuple[int, bytes]] = deque()
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise NoPort(f"{path}: {error.strerror}") from error
        try:
            self._set_up(baud, mode)
        except (OSError, termios.error) as error:
            self.close()
            raise NoPort(f"{path}: {error.args[-1]}") from error

    def _set_up(self, baud: int, mode: str) -> None:
        if not os.isatty(self._descriptor):
            raise OSError(errno.ENOTTY, "not a serial port")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(error.errno, "in use by another program") from error
        bits, parity, stops = mode[0], mode[1], mode[2]
        control = termios.CREAD | termios.CLOCAL | (termios.CS7 if bits == "7" else termios.CS8)
        control |= {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}[parity]
        control |= termios.CSTOPB if stops == "2" else 0
        checking = 0 if parity == "N" else termios.INPCK | termios.IGNPAR
        speed = SPEEDS[baud]
        wanted = termios.tcgetattr(self._descriptor)
        wanted[:6] = [checking, 0, control, 0, speed, speed]
        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, wanted)
        except termios.error:
            # A pseudo-terminal that has all this already, but the parity that it can never have, says EINVAL.
            now = termios.tcgetattr(self._descriptor)
            if now[1] != 0 or now[3] != 0 or now[4] != speed:
                raise
        termios.tcflush(self._descriptor, termios.TCIOFLUSH)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._descriptor

    def close(self) -> None:
        """Give the port back. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def on_readable(self, now_ns: int) -> None:
        """Take what has come."""
        try:
            data = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lost = True
            return
        if self._echo:
            data = self._without_own(data)
        if not data:
            return
        if self._record is not None:
            self._record(now_ns, "in", data)
        self.device.on_bytes(data, now_ns // NS_PER_MS)
        self.advance(now_ns)

    def _without_own(self, data: bytes) -> bytes:
        """What is left of these bytes when the echo of the last answer is taken off; at the first difference it is over."""
        at = 0
        while at < len(data) and self._own:
            if data[at] != self._own.popleft():
                self._own.clear()
                break
            at += 1
        return data[at:]

    def next_wakeup_ns(self) -> int | None:
        """When an answer or the device is due, or None."""
        device = self.device.next_wakeup()
        times = [] if device is None else [device * NS_PER_MS]
        if self._outgoing:
            times.append(self._outgoing[0][0])
        return min(times, default=None)

    def advance(self, now_ns: int) -> None:
        """Let the device live and send what is due."""
        self.device.on_time(now_ns // NS_PER_MS)
        self._outgoing.extend((start_ms * NS_PER_MS, data) for start_ms, data in self.device.take_output())
        while self._outgoing and self._outgoing[0][0] <= now_ns:
            _, data = self._outgoing.popleft()
            try:
                os.write(self._descriptor, data)
            except BlockingIOError:
                continue  # nobody takes it and the line has no memory
            except OSError:
                self.lost = True
                return
            if self._echo:
                self._own.extend(data)
            if self._record is not None:
                self._record(now_ns, "out", data)
