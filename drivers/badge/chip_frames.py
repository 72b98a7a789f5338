"""Whole PN532 frames from a serial port's descriptor, through one buffer.

nfcpy 1.0.4 (``nfc/clf/transport.py``) reads a frame in two pieces through pyserial and sets the port's time limit before each: some sixteen
system calls a frame, and a wake for the ACK and for each piece. Frames: NXP UM0701-02 6.2.1 (``firmware_notes/pn532.md``).
"""

from __future__ import annotations

import errno
import os
import select

_HEAD = 6
_ACK = b"\x00\x00\xff\x00\xff\x00"
_READ_LIMIT = 1024


class ChipFrames:
    """Frames over one non-blocking descriptor. Raises ``OSError`` for a lost port, ETIMEDOUT for silence, EIO for half a frame.

    ``gather_ms``: how long to sleep after a frame was sent, so that its ACK and its response are read with one wake. Zero when the
    answer is wanted as soon as it is there.
    """

    gather_ms = 0

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._nothing = select.poll()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def send(self, frame: bytes | bytearray) -> None:
        """Hand over a frame, then wait ``gather_ms``. What came before is forgotten: it answers something else."""
        self._buffer.clear()
        if os.write(self._descriptor, frame) != len(frame):
            raise OSError(errno.EIO, "the port does not take a whole frame")
        if self.gather_ms:
            self._nothing.poll(self.gather_ms)

    def ready(self, timeout_ms: int) -> bool:
        """Whether bytes are there, or come within so long."""
        return bool(self._buffer) or bool(self._poll.poll(timeout_ms))

    def take(self, timeout_ms: int) -> bytearray:
        """The next frame. Each wait for bytes of it ends after ``timeout_ms``."""
        buffer = self._buffer
        self._gather(_HEAD, timeout_ms)
        size = _HEAD
        if not buffer.startswith(_ACK):
            size = _HEAD + buffer[3] + 1
            if buffer[3] == 0xFF:
                self._gather(_HEAD + 3, timeout_ms)
                size = _HEAD + 3 + (buffer[5] << 8 | buffer[6]) + 1
            self._gather(size, timeout_ms)
        frame = buffer[:size]
        del buffer[:size]
        return frame

    def _gather(self, size: int, timeout_ms: int) -> None:
        """Have at least so many bytes."""
        while len(self._buffer) < size:
            data = self._read()
            if not data:
                if not self._poll.poll(timeout_ms):
                    raise OSError(errno.EIO if self._buffer else errno.ETIMEDOUT, "the chip is silent")
                data = self._read()
                if not data:
                    raise OSError(errno.EIO, "the port is gone")
            self._buffer += data

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _READ_LIMIT)
        except BlockingIOError:
            return b""
