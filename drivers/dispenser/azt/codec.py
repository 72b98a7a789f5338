"""AZT frames to bytes and back, without a port (reference dispenser-protocols 3.2; azt.md, Frames).

Facts that are easily got wrong: the complement is XOR 7F, because there are seven bits; the check byte covers the normal bytes and one ETX,
neither the start byte nor the complements, and may itself be 7F; a lead-in 7F is no part of a frame and may be lost when the line turns
round, which leaves a short answer one bare byte.
"""

from __future__ import annotations

from functools import lru_cache

from drivers.dispenser.azt.frames import (
    ADDRESS_BASE,
    ADDRESSES_PER_START,
    DEL,
    ETX,
    FIRST_ADDRESS,
    FIRST_MORE_START,
    HIGHEST_DATA,
    LAST_ADDRESS,
    LAST_START,
    LOWEST_COMMAND,
    LOWEST_DATA,
    STX,
    Answer,
    Frame,
    Noise,
    Request,
    Short,
    Word,
)

MAX_FRAME = 100
"""Longest frame without its lead-in: the protocol's limit of an answer. Without a bound a lost ETX would eat the line."""

_WORDS = {word.value: Short(word) for word in Word}


def check(normal: bytes) -> int:
    """The check byte over the normal bytes behind the start byte."""
    value = ETX
    for byte in normal:
        value ^= byte
    return value | 0x40


@lru_cache(maxsize=4096)
def encode(frame: Frame) -> bytes:
    """The frame as on the wire, with one lead-in. Raises ValueError for an address or bytes that the line cannot carry."""
    match frame:
        case Short(word):
            return bytes((DEL, word.value))
        case Request(address, command, data):
            if not FIRST_ADDRESS <= address <= LAST_ADDRESS:
                raise ValueError(f"address {address} is not one of {FIRST_ADDRESS} to {LAST_ADDRESS}")
            if not LOWEST_COMMAND <= command <= HIGHEST_DATA:
                raise ValueError(f"command {command:#04x} cannot be sent")
            group, place = divmod(address - 1, ADDRESSES_PER_START)
            start = STX if group == 0 else FIRST_MORE_START + group - 1
            return _wire(start, bytes((ADDRESS_BASE + 1 + place, command)), data)
        case Answer(data):
            if not data:
                raise ValueError("an answer has data")
            return _wire(STX, b"", data)


def _wire(start: int, head: bytes, data: bytes) -> bytes:
    if any(not LOWEST_DATA <= byte <= HIGHEST_DATA for byte in data):
        raise ValueError(f"data {data!r} cannot be sent")
    normal = head + data
    body = bytes(each for byte in normal for each in (byte, byte ^ DEL))
    wire = bytes((DEL, start)) + body + bytes((ETX, ETX, check(normal)))
    if len(wire) - 1 > MAX_FRAME:
        raise ValueError(f"a frame of {len(wire) - 1} bytes is longer than {MAX_FRAME}")
    return wire


class Decoder:
    """Bytes in, frames out; any bytes, in any pieces, and the frames do not depend on the pieces.

    What is no frame is skipped byte by byte until something is and reported as ``Noise`` before the next frame, or by ``flush``.
    Lead-ins are never noise. Never raises; holds at most ``MAX_FRAME`` bytes between calls.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipped = 0

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and not ended."""
        return len(self._buffer)

    def flush(self) -> Short | Noise | None:
        """The line fell silent. One bare byte of a short answer is that answer without its lead-in; anything else is given up as noise."""
        rest = bytes(self._buffer)
        count = self._skipped + len(rest.strip(bytes((DEL,))))
        alone = self._skipped == 0 and len(rest) == 1
        self._buffer.clear()
        self._skipped = 0
        if alone and rest[0] in _WORDS:
            return _WORDS[rest[0]]
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
            if frame is not None:
                if self._skipped:
                    found.append(Noise(self._skipped))
                    self._skipped = 0
                found.append(frame)
            elif buffer[at] != DEL:
                self._skipped += size
            at += size
        del buffer[:at]
        return found


def _at(buffer: bytearray, start: int) -> tuple[int, Frame | None]:
    """What begins here: (size, frame), (1, None) for a byte to skip, (0, None) when more bytes are needed to tell."""
    first = buffer[start]
    last = start + 1 >= len(buffer)
    if first == DEL:
        if last:
            return 0, None
        word = _WORDS.get(buffer[start + 1])
        return (1, None) if word is None else (2, word)
    if first in _WORDS and last:
        return 0, None  # a short answer without its lead-in, or a stray byte: silence or the next byte tells
    if first != STX and not FIRST_MORE_START <= first <= LAST_START:
        return 1, None
    return _long_at(buffer, start)


def _long_at(buffer: bytearray, start: int) -> tuple[int, Frame | None]:
    """As ``_at`` for what begins with a start byte. A damaged frame costs one byte only: a whole one may begin inside it."""
    normal = bytearray()
    at = start + 1
    while at < len(buffer) and buffer[at] != ETX:
        byte = buffer[at]
        lowest = ADDRESS_BASE + 1 if not normal else LOWEST_DATA
        if not lowest <= byte <= HIGHEST_DATA or at - start > MAX_FRAME - 4:
            return 1, None
        if at + 1 >= len(buffer):
            return 0, None
        if buffer[at + 1] != byte ^ DEL:
            return 1, None
        normal.append(byte)
        at += 2
    if at >= len(buffer):
        return 0, None
    if not normal:
        return 1, None
    if at + 1 >= len(buffer):
        return 0, None
    if buffer[at + 1] != ETX:
        return 1, None
    if at + 2 >= len(buffer):
        return 0, None
    frame = _frame(buffer[start], bytes(normal)) if buffer[at + 2] == check(bytes(normal)) else None
    return (1, None) if frame is None else (at + 3 - start, frame)


def _frame(start: int, normal: bytes) -> Frame | None:
    """The frame that these normal bytes make, None when there is none of that form."""
    place = normal[0] - ADDRESS_BASE
    if place > ADDRESSES_PER_START:
        return Answer(normal) if start == STX else None
    if len(normal) < 2 or normal[1] < LOWEST_COMMAND:
        return None
    group = 0 if start == STX else start - FIRST_MORE_START + 1
    return Request(group * ADDRESSES_PER_START + place, normal[1], normal[2:])
