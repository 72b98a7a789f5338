"""AZT 2.0 frames, as the dispenser's side of the line sees them.

Written from the project's protocol fact sheet 3.2 and ``firmware_notes/azt.md`` without a look at the controller's codec: the two meet
only in ``firmware_notes/azt.frames.toml``. All characters are 7 bits wide; nothing is escaped, because data never holds a control code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

DEL: Final = 0x7F
ETX: Final = 0x03
STX: Final = 0x02
ACK: Final = 0x06
NAK: Final = 0x15
CAN: Final = 0x18
FIRST_ADDRESS: Final = 1
LAST_ADDRESS: Final = 225
LONGEST_FRAME: Final = 100
"""Bytes after which an unfinished frame is given up (fact sheet 3.3)."""
QUIET_MS: Final = 50
"""A partial frame is dropped after this silence: the gap between bytes that a master of the field allows (fact sheet 3.3, TOP)."""

_STARTS: Final = (0x02, *range(0x07, 0x15))
"""Start bytes in the order of their blocks of fifteen addresses."""
_END: Final = bytes((ETX, ETX))
_LOWEST, _HIGHEST = 0x21, 0x2F
_DATA_LOW, _DATA_HIGH = 0x30, 0x5E


@dataclass(frozen=True, slots=True)
class Request:
    """One good request. ``address`` is 1...225, or None where it is for all; ``command`` the code, ``data`` without complements."""

    address: int | None
    command: int
    data: bytes = b""


def _checksum(normal: bytes | bytearray) -> int:
    """Over the uncomplemented bytes behind the start byte (fact sheet 3.2)."""
    value = ETX
    for byte in normal:
        value ^= byte
    return value | 0x40


def _paired(normal: bytes) -> bytes:
    out = bytearray()
    for byte in normal:
        out += bytes((byte, byte ^ 0x7F))
    return bytes(out)


def request(address: int | None, command: int, data: bytes = b"") -> bytes:
    """A master's request on the wire, with one lead-in. Raises ``ValueError`` on an address outside 1...225."""
    if address is None:
        start, normal = STX, bytes((command,)) + data
    else:
        if not FIRST_ADDRESS <= address <= LAST_ADDRESS:
            raise ValueError(f"an AZT address is 1...225, not {address}")
        block, place = divmod(address - 1, 15)
        start, normal = _STARTS[block], bytes((_LOWEST + place, command)) + data
    return bytes((DEL, start)) + _paired(normal) + bytes((ETX, ETX, _checksum(normal)))


@lru_cache(maxsize=1024)
def answer(data: bytes) -> bytes:
    """A long answer on the wire. Kept: an idle head answers the same all day."""
    return bytes((DEL, STX)) + _paired(data) + bytes((ETX, ETX, _checksum(data)))


def short_answer(code: int) -> bytes:
    """ACK, NAK or CAN on the wire."""
    return bytes((DEL, code))


def digits(value: int, count: int) -> bytes:
    """Decimal digits as ASCII; a value too large keeps its low digits, as a meter rolls over."""
    return f"{value % 10**count:0{count}d}".encode("ascii")


def number(data: bytes) -> int:
    """The number in ASCII digits. Raises ``ValueError`` on anything else and on no digits at all."""
    if not data.isdigit():
        raise ValueError("not decimal digits")
    return int(data)


def _seven_bits(byte: int) -> int:
    """The character of a byte: bit 7, where a master sends it, can only be the parity bit. Damaged ones come out as 0, which is nothing."""
    if byte < 0x80:
        return byte
    return byte & 0x7F if byte.bit_count() % 2 == 0 else 0


class RequestReader:
    """Cuts a stream of bytes into requests; ``rejected`` counts what began like one and was none.

    A start byte is one anywhere, because no other part of a request can hold its value: a new request right behind a torn one is not
    lost. Lead-ins are ignored wherever they stand, but the check byte may have their value.
    """

    def __init__(self) -> None:
        self.rejected = 0
        self._buffer = bytearray()
        self._last_byte_ms = 0

    @property
    def idle(self) -> bool:
        """No partial request is waiting for its rest."""
        return not self._buffer

    def feed(self, data: bytes, now: int) -> list[Request]:
        """The requests that ``data`` completes, in order. A partial one older than ``QUIET_MS`` is dropped first."""
        buffer = self._buffer
        if buffer and now - self._last_byte_ms > QUIET_MS:
            self._drop()
        self._last_byte_ms = now
        whole = None if buffer else _whole(data)
        return self._cut(data) if whole is None else [whole]

    def _cut(self, data: bytes) -> list[Request]:
        buffer = self._buffer
        found: list[Request] = []
        for each in data:
            byte = _seven_bits(each)
            if byte in _STARTS:
                if buffer:
                    self._drop()
                buffer.append(byte)
            elif buffer and buffer[-2:] == _END:
                buffer.append(byte)
                whole = _parsed(buffer)
                if whole is None:
                    self._drop()
                else:
                    found.append(whole)
                    buffer.clear()
            elif buffer and byte != DEL:
                buffer.append(byte)
                if len(buffer) > LONGEST_FRAME:
                    self._drop()
        return found

    def _drop(self) -> None:
        self._buffer.clear()
        self.rejected += 1


@lru_cache(maxsize=1024)
def _whole(data: bytes) -> Request | None:
    """The request, where these bytes are one good request and nothing else: a master asks the same all day."""
    reader = RequestReader()
    found = reader._cut(data)
    return found[0] if len(found) == 1 and reader.idle and not reader.rejected else None


def _parsed(wire: bytes | bytearray) -> Request | None:
    """The request from its start byte to its check byte, or None where complements, codes or the check byte are not right."""
    body = wire[1:-3]
    normal = bytes(body[::2])
    if len(body) % 2 or not normal or _paired(normal) != bytes(body) or _checksum(normal) != wire[-1]:
        return None
    address: int | None = None
    if _LOWEST <= normal[0] <= _HIGHEST:
        address = _STARTS.index(wire[0]) * 15 + normal[0] - _LOWEST + 1
        normal = normal[1:]
    if not normal or any(not _DATA_LOW <= byte <= _DATA_HIGH for byte in normal):
        return None
    return Request(address, normal[0], normal[1:])
