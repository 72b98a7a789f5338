"""DART frames to bytes and back, without a port (reference dispenser-protocols 1.3, 1.4, 1.7).

Three facts that are easily got wrong: only SF is escaped (a DLE before it), a lone DLE is ordinary data; the CRC is CRC-16/ARC over the
unescaped bytes, low byte first; ETX is not escaped, so only an SF without a DLE before it ends a frame.
"""

from __future__ import annotations

from functools import lru_cache

from drivers.dispenser.dart.frames import (
    ACK,
    ACK_POLL,
    DATA,
    DLE,
    EOT,
    ETX,
    FIRST_ADDRESS,
    LAST_ADDRESS,
    NAK,
    POLL,
    RESTART,
    SF,
    Ack,
    AckPoll,
    Data,
    Eot,
    Frame,
    Nak,
    Noise,
    Poll,
    Restart,
    Transaction,
)

MAX_FRAME = 512
"""Longest frame on the wire that is waited for. The longest in the captures has 39 bytes; without a bound a lost SF would eat the line."""

_SF = bytes((SF,))
_ESCAPED_SF = bytes((DLE, SF))
_NUMBERED: dict[int, type[Nak] | type[Eot] | type[Ack] | type[AckPoll]] = {NAK: Nak, EOT: Eot, ACK: Ack, ACK_POLL: AckPoll}
_CONTROL_OF = {kind: control for control, kind in _NUMBERED.items()}


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes | bytearray) -> int:
    """CRC-16/ARC: polynomial 0x8005 reflected, start 0, no final inversion. ``crc16(b"123456789") == 0xBB3D``."""
    crc = 0
    table = _CRC
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def to_bcd(value: int, size: int) -> bytes:
    """Packed BCD, most significant byte first. Raises ValueError when the value is negative or does not fit."""
    digits = f"{value:0{2 * size}d}"
    if value < 0 or len(digits) > 2 * size:
        raise ValueError(f"{value} does not fit into {2 * size} digits")
    return bytes.fromhex(digits)


def from_bcd(data: bytes) -> int | None:
    """The number in packed BCD, None when a half byte is no digit or there is nothing."""
    digits = data.hex()
    return int(digits) if digits.isdecimal() else None


def encode(frame: Frame) -> bytes:
    """The frame as on the wire. Raises ValueError for an address, number or transaction that the line cannot carry."""
    if not FIRST_ADDRESS <= frame.address <= LAST_ADDRESS:
        raise ValueError(f"address {frame.address:#04x} is not one of the 32")
    match frame:
        case Poll(address):
            return bytes((address, POLL, SF))
        case Restart(address):
            return bytes((address, RESTART, SF))
        case Data(address, number, transactions, rest):
            return _encode_data(address, _checked(number), transactions, rest)
        case _:
            return bytes((frame.address, _CONTROL_OF[type(frame)] | _checked(frame.number), SF))


def _checked(number: int) -> int:
    if not 0 <= number <= 0xF:
        raise ValueError(f"TX number {number} is not one of 0...15")
    return number


@lru_cache(maxsize=2048)
def _encode_data(address: int, number: int, transactions: tuple[Transaction, ...], rest: bytes) -> bytes:
    """Kept: a master repeats the same few requests under fifteen numbers all day."""
    body = bytearray((address, DATA | number))
    for transaction in transactions:
        if not 0 <= transaction.code <= 0xFF or len(transaction.data) > 0xFF:
            raise ValueError(f"transaction {transaction.code} with {len(transaction.data)} bytes cannot be sent")
        body.append(transaction.code)
        body.append(len(transaction.data))
        body += transaction.data
    body += rest
    body += crc16(body).to_bytes(2, "little")
    wire = bytes(body[:2]) + bytes(body[2:]).replace(_SF, _ESCAPED_SF) + bytes((ETX, SF))
    if len(wire) > MAX_FRAME:
        raise ValueError(f"a frame of {len(wire)} bytes is longer than {MAX_FRAME}")
    return wire


def _split(payload: bytes) -> tuple[tuple[Transaction, ...], bytes]:
    """Cut a payload into its complete transactions and what is left over."""
    transactions = []
    at = 0
    while at + 2 <= len(payload):
        end = at + 2 + payload[at + 1]
        if end > len(payload):
            break
        transactions.append(Transaction(payload[at], payload[at + 2 : end]))
        at = end
    return tuple(transactions), payload[at:]


def _decode_data(raw: bytes) -> Data | None:
    """A DATA frame from its wire bytes including ETX and SF, None when it is damaged."""
    if len(raw) < 6 or raw[-2] != ETX:
        return None
    body = raw[:-2].replace(_ESCAPED_SF, _SF)
    # The address and the control byte can be neither DLE nor SF, so the replacement cannot touch them.
    if len(body) < 4 or crc16(body) != 0:
        return None  # a CRC run over its own low-byte-first value leaves zero
    transactions, rest = _split(body[2:-2])
    return Data(body[0], body[1] & 0xF, transactions, rest)


class Decoder:
    """Bytes in, frames out; any bytes, in any pieces, and the frames do not depend on the pieces.

    What is no frame is skipped byte by byte until something is (the stray lead bytes of 1.1) and reported as ``Noise`` before the next
    frame, or by ``flush``. Never raises; holds at most ``MAX_FRAME`` bytes between calls.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipped = 0

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and not ended."""
        return len(self._buffer)

    def flush(self) -> Noise | None:
        """Give up the begun frame, as after silence; what was skipped since the last frame, None when nothing was."""
        count = self._skipped + len(self._buffer)
        self._buffer.clear()
        self._skipped = 0
        return Noise(count) if count else None

    def receive(self, data: bytes) -> list[Frame | Noise]:
        """Take bytes as they come; what they completed, in order."""
        buffer = self._buffer
        buffer += data
        found: list[Frame | Noise] = []
        at = 0
        while at < len(buffer):
            size, frame = _at(buffer, at)
            if size == 0:
                break
            if frame is None:
                self._skipped += size
            else:
                if self._skipped:
                    found.append(Noise(self._skipped))
                    self._skipped = 0
                found.append(frame)
            at += size
        del buffer[:at]
        return found


def _at(buffer: bytearray, start: int) -> tuple[int, Frame | None]:
    """What begins here: (size, frame), (size, None) for bytes to skip, (0, None) when more bytes are needed to tell."""
    address = buffer[start]
    if not FIRST_ADDRESS <= address <= LAST_ADDRESS:
        return 1, None
    if start + 1 >= len(buffer):
        return 0, None
    control = buffer[start + 1]
    if control & 0xF0 == DATA:
        return _data_at(buffer, start)
    if control not in (POLL, RESTART) and control & 0xF0 not in _NUMBERED:
        return 1, None
    if start + 2 >= len(buffer):
        return 0, None
    if buffer[start + 2] != SF:
        return 1, None
    if control == POLL:
        return 3, Poll(address)
    if control == RESTART:
        return 3, Restart(address)
    return 3, _NUMBERED[control & 0xF0](address, control & 0xF)


def _data_at(buffer: bytearray, start: int) -> tuple[int, Frame | None]:
    """As ``_at`` for a DATA frame. A damaged one costs one byte only: a whole one may begin inside it."""
    end = start + 2
    while True:
        end = buffer.find(SF, end, start + MAX_FRAME)
        if end < 0:
            return (1 if len(buffer) - start >= MAX_FRAME else 0), None
        if buffer[end - 1] != DLE:
            frame = _decode_data(bytes(buffer[start : end + 1]))
            return (end + 1 - start, frame) if frame is not None else (1, None)
        end += 1
