"""A ``wire.Device`` behind a pseudo-terminal, and the one select loop that gives all of them real time.

Facts about Linux pseudo-terminals (measured, see ``firmware_notes/rig.md``, "Serial lines"):

- A pty keeps neither parity nor 7-bit characters: the kernel forces 8N1. glibc reports EINVAL when *nothing* of a request came true, so the
  second open at the same 9600 8O1 fails, and so does a later change of pyserial's ``timeout``. With ``parity=True`` the port therefore puts
  its slave back to a speed that nobody asks for shortly after each request: then every request changes something and succeeds.
- The slave is held open here, so the master never sees a hang-up when the program closes and opens the port again.
- Packet mode with EXTPROC tells the master of every such request, without polling.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import struct
import termios
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, TypeVar, runtime_checkable

from hal_sim.clock import NS_PER_MS, monotonic_ns
from hal_sim.wire import Device, Faults, LineRate

LATCH_NS = 8 * NS_PER_MS
"""How long after a request the slave's speed is put back: glibc reads the settings back to see what came true, so not at once."""

_EXTPROC = 0o200000
_PACKET_IOCTL = 0x40
_SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000)
}

Record = Callable[[int, str, bytes], None]
"""Called with (monotonic nanoseconds, "in" or "out" as seen from the device, bytes) at the moment the bytes are complete."""


@runtime_checkable
class SpeedAware(Protocol):
    """A device that wants to know at which speed the other side is set."""

    def on_line_speed(self, baud: int, now: int) -> None: ...


class WireLog:
    """Writes a record of the wire as text lines ``t_ns in|out hex``, for benchmarks and for reading after a failure."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="ascii", buffering=1)

    def __call__(self, t_ns: int, direction: str, data: bytes) -> None:
        self._file.write(f"{t_ns} {direction} {data.hex()}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PtyPort:
    """One device at the end of one serial line that another process opens under ``link``.

    ``rate`` paces both directions: a byte reaches the device no earlier than a wire of that speed could bring it, and leaves in the same
    rhythm; without it the line is infinitely fast. ``parity`` is for lines with parity or 7-bit characters, see above.
    ``to_device`` and ``to_master`` are seeded faults of each direction. Raises FileExistsError when ``link`` is there and no symbolic link.
    """

    def __init__(
        self,
        device: Device,
        link: Path,
        *,
        rate: LineRate | None = None,
        parity: bool = False,
        record: Record | None = None,
        to_device: Faults | None = None,
        to_master: Faults | None = None,
    ) -> None:
        self.device = device
        self.link = link
        self.connected = True
        self.stuck = False
        self.to_device, self.to_master = to_device, to_master
        self.bytes_in = 0
        self.bytes_out = 0
        self._record = record
        self._char_ns = 0 if rate is None else rate.bits_per_char * 1_000_000_000 // rate.baud
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._packets = parity
        self._latch_at: int | None = None
        if parity:
            settings = termios.tcgetattr(self._slave)
            settings[3] |= _EXTPROC
            settings[4] = settings[5] = termios.B50
            termios.tcsetattr(self._slave, termios.TCSANOW, settings)
            fcntl.ioctl(self._master, termios.TIOCPKT, struct.pack("i", 1))
        self._incoming: deque[tuple[int, int]] = deque()
        self._outgoing: deque[tuple[int, int]] = deque()
        self._in_free = self._out_free = 0
        if link.is_symlink():
            link.unlink()
        link.symlink_to(os.ttyname(self._slave))

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._master

    def close(self) -> None:
        """Hang up for good: readers see the end of the device. Safe to call twice."""
        if self._master >= 0:
            self.link.unlink(missing_ok=True)
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = -1

    def stick(self, stuck: bool) -> None:
        """The line takes nothing more, as an adapter with its flow control held: writes wait for as long as it lasts."""
        if stuck != self.stuck:
            termios.tcflow(self._slave, termios.TCOOFF if stuck else termios.TCOON)
            self.stuck = stuck

    @property
    def idle(self) -> bool:
        """Whether no byte is on the wire."""
        return not self._incoming and not self._outgoing

    # --- the loop's side

    def on_readable(self, now_ns: int) -> None:
        """Take what the other process has written."""
        try:
            data = os.read(self._master, 4096)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EIO):
                return
            raise
        if self._packets:
            control, data = data[:1], data[1:]
            if control and control[0] & _PACKET_IOCTL:
                self._latch_at = now_ns + LATCH_NS
        if not data or not self.connected:
            return
        if isinstance(self.device, SpeedAware):
            self.device.on_line_speed(self._line_speed(), now_ns // NS_PER_MS)
        for piece in [data] if self.to_device is None else self.to_device.apply(data):
            for byte in piece:
                self._in_free = max(self._in_free, now_ns) + self._char_ns
                self._incoming.append((self._in_free, byte))
        self.advance(now_ns)

    def next_wakeup_ns(self) -> int | None:
        """When something is due here, in monotonic nanoseconds, or None."""
        times = [queue[0][0] for queue in (self._incoming, self._outgoing) if queue]
        device = self.device.next_wakeup()
        if device is not None:
            times.append(device * NS_PER_MS)
        if self._latch_at is not None:
            times.append(self._latch_at)
        return min(times, default=None)

    def advance(self, now_ns: int) -> None:
        """Do what is due: deliver bytes that have arrived, let the device live, send what it has to say."""
        if self._latch_at is not None and self._latch_at <= now_ns:
            self._latch_at = None
            self._put_speed_back()
        while self._incoming and self._incoming[0][0] <= now_ns:
            at, data = self._due(self._incoming, now_ns)
            self.bytes_in += len(data)
            if self._record is not None:
                self._record(at, "in", data)
            self.device.on_bytes(data, at // NS_PER_MS)  # when it arrived, however late this loop comes round
            self._collect(at)
        self.device.on_time(now_ns // NS_PER_MS)
        self._collect()
        while self._outgoing and self._outgoing[0][0] <= now_ns:
            at, data = self._due(self._outgoing, now_ns)
            self._write(at, data)

    def _due(self, queue: deque[tuple[int, int]], now_ns: int) -> tuple[int, bytes]:
        data, at = bytearray(), 0
        while queue and queue[0][0] <= now_ns:
            at, byte = queue.popleft()
            data.append(byte)
        return at, bytes(data)

    def _collect(self, not_before: int = 0) -> None:
        # A device that answers "now" answers in whole milliseconds, which may lie before the byte that it answers.
        for start_ms, data in self.device.take_output():
            for piece in [data] if self.to_master is None else self.to_master.apply(data):
                start = max(start_ms * NS_PER_MS, not_before)
                for byte in piece:
                    self._out_free = max(self._out_free, start) + self._char_ns
                    self._outgoing.append((self._out_free, byte))

    def _write(self, at: int, data: bytes) -> None:
        if not self.connected:
            return
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads and the line has no memory: the bytes are gone, as on a wire
        self.bytes_out += len(data)
        if self._record is not None:
            # A line without a speed has no time of its own: its bytes are there when they are written, however late this loop is.
            self._record(at if self._char_ns else monotonic_ns(), "out", data)

    def _line_speed(self) -> int:
        return _SPEEDS.get(termios.tcgetattr(self._slave)[5], 0)

    def _put_speed_back(self) -> None:
        settings = termios.tcgetattr(self._slave)
        if settings[5] != termios.B50:
            settings[4] = settings[5] = termios.B50
            termios.tcsetattr(self._slave, termios.TCSANOW, settings)


class Timed(Protocol):
    """A part that does things at times of its own. Nanoseconds of the monotonic clock."""

    def next_wakeup_ns(self) -> int | None:
        """When it has something to do, None for never."""

    def advance(self, now_ns: int) -> None:
        """Do what is due."""


class Port(Protocol):
    """One line that a loop serves. Times are monotonic nanoseconds."""

    def fileno(self) -> int:
        """The descriptor to wait on."""

    def on_readable(self, now_ns: int) -> None:
        """Take what has come."""

    def next_wakeup_ns(self) -> int | None:
        """When something is due here, or None."""

    def advance(self, now_ns: int) -> None:
        """Do what is due."""

    def close(self) -> None:
        """Give the line up. Safe to call twice."""


AnyPort = TypeVar("AnyPort", bound=Port)


class Loop:
    """Waits for bytes and for time, for every port of the process; nothing else in the simulation sleeps."""

    def __init__(self) -> None:
        self.ports: list[Port] = []
        self._timed: list[Timed] = []
        self._watched: dict[int, Callable[[], None]] = {}

    def add(self, port: AnyPort) -> AnyPort:
        """Serve this port from now on."""
        self.ports.append(port)
        return port

    def add_timed(self, part: Timed) -> None:
        """Let this part do what is due from now on."""
        self._timed.append(part)

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call back whenever this descriptor is readable."""
        self._watched[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor."""
        self._watched.pop(descriptor, None)

    def step(self, max_wait_ms: int) -> None:
        """Wait until something happens, at most so long, and deal with it."""
        limit = monotonic_ns() + max_wait_ms * NS_PER_MS
        wakeups = [at for at in (part.next_wakeup_ns() for part in (*self.ports, *self._timed)) if at is not None]
        wait_ns = max(0, min([limit, *wakeups]) - monotonic_ns())
        by_descriptor = {port.fileno(): port for port in self.ports}
        readable, _, _ = select.select([*by_descriptor, *self._watched], [], [], wait_ns / 1_000_000_000)
        for descriptor in readable:
            port = by_descriptor.get(descriptor)
            if port is not None:
                port.on_readable(monotonic_ns())
        for part in (*self.ports, *self._timed):
            part.advance(monotonic_ns())
        for descriptor in readable:
            if descriptor in self._watched:
                self._watched[descriptor]()

    def run_for(self, duration_ms: int) -> None:
        """Serve the ports for so long."""
        end = monotonic_ns() + duration_ms * NS_PER_MS
        while (left := end - monotonic_ns()) > 0:
            self.step(-(-left // NS_PER_MS))

    def close(self) -> None:
        """Hang up every port."""
        for port in self.ports:
            port.close()
        self.ports = []
