"""One serial port, non-blocking, with one kind of failure. The only importer of pyserial.

pyserial lets four unrelated exceptions out (reference on hardware, D2; model-codebases 4.1 and 4.2): all become ``PortLost``.
The read timeout is 0 from the open on and never changed: every assignment re-applies the port's settings, which some drivers refuse.
"""

from __future__ import annotations

import os
import select
import termios
import threading

import serial

_ESCAPES = (serial.SerialException, OSError, termios.error, TypeError)
_READ_LIMIT = 4096
_WRITE_LIMIT_S = 1.0
_PARITIES = ("N", "E", "O")


class PortLost(Exception):
    """The port cannot be opened, or went away. Open it again later."""

    def __init__(self, port: str, why: str) -> None:
        super().__init__(f"{port}: {why}")
        self.port = port
        self.why = why


class SerialPort:
    """A serial port that never blocks in read and that another thread can wake.

    One thread owns it; only ``wake`` may be called from others. ``open`` may follow ``close``.
    """

    def __init__(self, path: str, baudrate: int, parity: str = "N", bytesize: int = 8, stopbits: int = 1) -> None:
        """Describe the port; nothing is opened. Raises ValueError for settings that no UART has."""
        if baudrate <= 0:
            raise ValueError(f"baudrate must be positive, not {baudrate}")
        if parity not in _PARITIES:
            raise ValueError(f"parity must be one of {', '.join(_PARITIES)}, not {parity!r}")
        if bytesize not in (5, 6, 7, 8):
            raise ValueError(f"bytesize must be 5 to 8, not {bytesize}")
        if stopbits not in (1, 2):
            raise ValueError(f"stopbits must be 1 or 2, not {stopbits}")
        self.path = path
        self._settings = {"baudrate": baudrate, "parity": parity, "bytesize": bytesize, "stopbits": stopbits}
        self._serial: serial.Serial | None = None
        self._poll = select.poll()
        self._nothing = select.poll()
        self._descriptor = -1
        self._lock = threading.Lock()  # between wake() and the pipe's closing: a freed descriptor number may belong to another file
        self._wake_read = -1
        self._wake_write = -1

    def open(self) -> None:
        """Open for this process alone. Raises PortLost."""
        self.close()
        try:
            self._serial = serial.Serial(self.path, timeout=0, write_timeout=_WRITE_LIMIT_S, exclusive=True, **self._settings)
            self._descriptor = self._serial.fileno()
            with self._lock:
                self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except (*_ESCAPES, ValueError) as error:
            self.close()
            raise PortLost(self.path, f"cannot open: {error}") from error
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)

    def read(self) -> bytes:
        """All that is there, b"" when nothing is. Raises PortLost."""
        port = self._opened()
        try:
            # pyserial's own calls look with select before or after every transfer, half of what an idle line costs; they are asked only
            # when there is nothing to read or not everything could be written: they tell silence and a busy port from a dead one.
            return os.read(self._descriptor, _READ_LIMIT) or bytes(port.read(_READ_LIMIT))
        except BlockingIOError:
            return b""
        except _ESCAPES as error:
            raise PortLost(self.path, f"read: {error}") from error

    def write(self, data: bytes) -> None:
        """Hand over all bytes. Raises PortLost, also when the port takes nothing for a second."""
        port = self._opened()
        try:
            written = self._written(data)
            if written < len(data):
                written += port.write(data[written:])
        except _ESCAPES as error:
            raise PortLost(self.path, f"write: {error}") from error
        if written != len(data):
            raise PortLost(self.path, f"write: {written} of {len(data)} bytes taken")

    def _written(self, data: bytes) -> int:
        """How much of it went out at once."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0

    def linger(self, duration_ms: int) -> None:
        """Let so much time go by, for more bytes to come; nothing ends it earlier."""
        self._nothing.poll(duration_ms)

    def wait(self, timeout_ms: int | None) -> bool:
        """Return when bytes are there, the port died, ``wake`` was called or the time is over (None: no limit). Raises PortLost.

        True when ``read`` has something to say: bytes, or that the port died.
        """
        self._opened()
        readable = False
        try:
            for descriptor, _ in self._poll.poll(timeout_ms):
                if descriptor == self._wake_read:
                    os.read(descriptor, _READ_LIMIT)
                else:
                    readable = True
        except _ESCAPES as error:
            raise PortLost(self.path, f"wait: {error}") from error
        return readable

    def wake(self) -> None:
        """End a running or the next ``wait``. From any thread; does nothing while the port is closed."""
        with self._lock:
            if self._wake_write >= 0:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    return  # the pipe is full of earlier wakes: one is enough

    def close(self) -> None:
        """Close; a second close does nothing. Never raises for a port that is already gone."""
        port, self._serial = self._serial, None
        with self._lock:
            ends = [end for end in (self._wake_read, self._wake_write) if end >= 0]
            self._wake_read = self._wake_write = -1
            for end in ends:
                os.close(end)
        if port is not None:
            try:
                port.close()
            except _ESCAPES:
                return  # the device is gone: there is nothing left to close

    def _opened(self) -> serial.Serial:
        if self._serial is None:
            raise PortLost(self.path, "not open")
        return self._serial
