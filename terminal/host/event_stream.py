"""Server-sent events without I/O: bytes in, comments and events out, in bounded memory whatever comes.

Source: WHATWG HTML, 9.2 "Server-sent events" (event stream format and its interpretation). Read for machines: only ``event``, ``data`` and
``id`` mean something here. A line or an event that is too long is left out and counted, and what follows is read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_LINE = 16_384
MAX_EVENT = 65_536
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One dispatched event. ``spoilt``: part of it was left out, because it was too long."""

    name: str
    data: bytes = field(repr=False)
    spoilt: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A comment: the other end lives."""


class EventParser:
    """Feed it what arrives, however it is cut; it gives what is complete. An event without its blank line is none."""

    def __init__(self, max_line: int = MAX_LINE, max_event: int = MAX_EVENT) -> None:
        self._max_line = max_line
        self._max_event = max_event
        self._line = bytearray()
        self._too_long = False
        self._after_cr = False
        self._first = True
        self._clear()

    def _clear(self) -> None:
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._spoilt = False

    def feed(self, piece: bytes) -> list[StreamEvent | Heartbeat]:
        """What is complete with this piece, in order."""
        found: list[StreamEvent | Heartbeat] = []
        start = 0
        while start < len(piece):
            if self._after_cr and piece[start] == 0x0A:
                start += 1  # the second half of CR LF; the line ended with its first
                self._after_cr = False
                continue
            self._after_cr = False
            end = _line_end(piece, start)
            self._keep(piece[start : len(piece) if end < 0 else end])
            if end < 0:
                break
            self._after_cr = piece[end] == 0x0D
            self._end_line(found)
            start = end + 1
        return found

    def _keep(self, part: bytes) -> None:
        if self._too_long or len(self._line) + len(part) > self._max_line:
            self._too_long = True
            self._line.clear()
        else:
            self._line += part

    def _end_line(self, found: list[StreamEvent | Heartbeat]) -> None:
        line, too_long = bytes(self._line), self._too_long
        self._line.clear()
        self._too_long = False
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if too_long:
            self._spoilt = True
        elif not line:
            self._dispatch(found)
        elif line.startswith(b":"):
            found.append(Heartbeat())
        else:
            self._take(line)

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value
        elif name == b"data":
            self._size += len(value) + 1
            if self._size > self._max_event:
                self._spoilt = True
                self._data.clear()
            else:
                self._data.append(value)

    def _dispatch(self, found: list[StreamEvent | Heartbeat]) -> None:
        if self._data or self._spoilt:
            data = b"" if self._spoilt else b"\n".join(self._data)
            found.append(StreamEvent(self._name.decode("utf-8", "replace") or "message", data, self._spoilt))
        self._clear()


def _line_end(piece: bytes, start: int) -> int:
    feed, back = piece.find(b"\n", start), piece.find(b"\r", start)
    if feed < 0 or back < 0:
        return max(feed, back)
    return min(feed, back)
