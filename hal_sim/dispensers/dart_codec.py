"""Wayne DART frames, as the dispenser's side of the line sees them.

Written from ``firmware_notes/dart.md`` (framing, escaping, CRC) without a look at the controller's codec: the two meet only in
``firmware_notes/dart.frames.toml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ETX: Final = 0x03
DLE: Final = 0x10
SF: Final = 0xFA
FIRST_ADDRESS: Final = 0x50
LAST_ADDRESS: Final = 0x6F
POLL: Final = 0x20
DATA: Final = 0x30
NAK: Final = 0x50
EOT: Final = 0x70
ACK: Final = 0xC0
LONGEST_FRAME: Final = 600
"""Bytes after which an unfinished frame is given up: two full transactions, every byte escaped."""
QUIET_MS: Final = 15
"""A partial frame is dropped after this silence (dart.md, Timing)."""


def _table() -> tuple[int, ...]:
    rows: list[int] = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        rows.append(crc)
    return tuple(rows)


_CRC_TABLE: Final = _table()


def crc16(data: bytes | bytearray) -> int:
    """CRC-16/ARC: polynomial 0x8005 reflected, start 0, no final XOR (dart.md, CRC; check value 0xBB3D)."""
    crc = 0
    table = _CRC_TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


@dataclass(frozen=True, slots=True)
class Frame:
    """One good frame. ``data`` is unescaped and without CRC; empty for the three-byte frames."""

    address: int
    control: int
    data: bytes = b""

    @property
    def kind(self) -> int:
        """The control byte without its number: POLL, DATA, NAK, EOT, ACK or another."""
        return self.control & 0xF0

    @property
    def number(self) -> int:
        """The TX number in the low nibble."""
        return self.control & 0x0F


@lru_cache(maxsize=2048)
def encode(address: int, control: int, data: bytes = b"") -> bytes:
    """The frame as it goes on the wire: escaped, with CRC, where it is a DATA frame; three bytes otherwise."""
    if control & 0xF0 != DATA:
        return bytes((address, control, SF))
    body = bytes((address, control)) + data
    tail = data + crc16(body).to_bytes(2, "little")
    return body[:2] + tail.replace(b"\xfa", b"\x10\xfa") + b"\x03\xfa"


def split_transactions(data: bytes) -> list[tuple[int, bytes]]:
    """The (TRANS, DATA) pairs of one frame. Raises ``ValueError`` where a length runs over the end."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise ValueError("a transaction runs over the end of its frame")
        end = at + 2 + data[at + 1]
        found.append((data[at], data[at + 2 : end]))
        at = end
    return found


def transaction(trans: int, data: bytes) -> bytes:
    """One application transaction: TRANS, LNG, DATA."""
    return bytes((trans, len(data))) + data


def to_bcd(value: int, count: int) -> bytes:
    """Packed BCD, most significant byte first; a value too large keeps its low digits, as a meter rolls over."""
    return bytes.fromhex(f"{value % 10 ** (2 * count):0{2 * count}d}")


def from_bcd(data: bytes) -> int:
    """The number in packed BCD. Raises ``ValueError`` on a nibble above 9 and on no bytes at all."""
    digits = data.hex()
    if not digits.isdecimal():
        raise ValueError("not packed BCD")
    return int(digits)


class FrameReader:
    """Cuts a stream of bytes into frames; ``rejected`` counts what looked like a frame and was none.

    ``accept_unescaped`` also understands masters that never escape a 0xFA inside DATA (dart.md, Escaping): a 0xFA without ETX before
    it is then taken as data. A head that follows the line protocol to the letter has it off.
    """

    def __init__(self, accept_unescaped: bool = True) -> None:
        self.accept_unescaped = accept_unescaped
        self.rejected = 0
        self._buffer = bytearray()
        self._last_byte_ms = 0

    @property
    def idle(self) -> bool:
        """No partial frame is waiting for its rest."""
        return not self._buffer

    def feed(self, data: bytes, now: int) -> list[Frame]:
        """The frames that ``data`` completes, in order. A partial frame older than ``QUIET_MS`` is dropped first."""
        buffer = self._buffer
        if buffer and now - self._last_byte_ms > QUIET_MS:
            buffer.clear()
            self.rejected += 1
        self._last_byte_ms = now
        whole = None if buffer else _whole(data, self.accept_unescaped)
        return self._cut(data) if whole is None else [whole]

    def _cut(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        for byte in data:
            self._push(byte, frames)
        return frames

    def _push(self, byte: int, frames: list[Frame]) -> None:
        buffer = self._buffer
        if not buffer and not FIRST_ADDRESS <= byte <= LAST_ADDRESS:
            return
        buffer.append(byte)
        size = len(buffer)
        if size == 1:
            return
        if size == 2:
            if not _is_control(byte):
                self._shift(frames)
        elif buffer[1] & 0xF0 == DATA:
            if byte == SF and buffer[-2] != DLE:
                self._end_of_data(frames)
            elif size > LONGEST_FRAME:
                buffer.clear()
                self.rejected += 1
        elif byte == SF:
            frames.append(Frame(buffer[0], buffer[1]))
            buffer.clear()
        else:
            self.rejected += 1
            self._shift(frames)

    def _shift(self, frames: list[Frame]) -> None:
        """The first byte was none: turn-round noise can look like an address, and the real one may stand right behind it."""
        rest = bytes(self._buffer[1:])
        self._buffer.clear()
        for byte in rest:
            self._push(byte, frames)

    def _end_of_data(self, frames: list[Frame]) -> None:
        buffer = self._buffer
        frame = _checked(buffer)
        if frame is not None:
            frames.append(frame)
            buffer.clear()
        elif FIRST_ADDRESS <= buffer[-3] <= LAST_ADDRESS and _is_short_control(buffer[-2]) and len(buffer) > 4:
            # A whole short frame stands behind a torn one: answer it rather than lose two.
            frames.append(Frame(buffer[-3], buffer[-2]))
            buffer.clear()
            self.rejected += 1
        elif not self.accept_unescaped or buffer[-2] == ETX:
            buffer.clear()
            self.rejected += 1


@lru_cache(maxsize=2048)
def _whole(data: bytes, accept_unescaped: bool) -> Frame | None:
    """The frame, where these bytes are one good frame and nothing else: a master says the same few things all day."""
    reader = FrameReader(accept_unescaped)
    found = reader._cut(data)
    return found[0] if len(found) == 1 and reader.idle and not reader.rejected else None


def _is_control(byte: int) -> bool:
    return byte & 0xF0 == DATA or _is_short_control(byte)


def _is_short_control(byte: int) -> bool:
    return byte in (POLL, 0x40) or byte & 0xF0 in (NAK, EOT, ACK, 0xE0)


def _checked(wire: bytearray) -> Frame | None:
    """The DATA frame in these bytes, or None when ETX or CRC is not right."""
    if len(wire) < 6 or wire[-2] != ETX:
        return None
    body = bytes(wire[2:-2]).replace(b"\x10\xfa", b"\xfa")
    if len(body) < 2:
        return None
    data = body[:-2]
    if crc16(wire[:2] + data) != body[-2] | body[-1] << 8:
        return None
    return Frame(wire[0], wire[1], data)
