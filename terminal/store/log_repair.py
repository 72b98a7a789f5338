"""The ledger's log (SQLite's WAL) before anybody opens it: which of it is whole, and which single bits were flipped.

SQLite takes a log up to the first frame whose checksum is wrong and drops the rest without a word. Behind a power cut that is right: the
rest was never acknowledged. Behind a flipped bit it would drop steps that were. The two are told apart here: a commit is synced before the
next one is written, so two commits behind a wrong frame mean damage. And a single flipped bit is mended where it can be told which,
because the checksum is linear; a word's highest bits weigh the same in many places, and there the frame is taken with its wrong bit, so
that nothing behind it is dropped: the journal's own hashes find that bit (start_check.py). (https://sqlite.org/fileformat2.html, 4.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER, FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)
_VERSION = 3_007_000
_MASK = 0xFFFFFFFF
_Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LogReport:
    """``mended``: a log that SQLite takes to its end, when there were flipped bits. ``broken``: why steps are lost behind it.

    ``torn``: what is wrong is a bit of the last commit only. A sector that a power cut left out, and that had a single bit in it, looks
    the same, so it is no sign of damage; ``mended`` has that commit as it was written.
    """

    frames: int = 0
    flipped: int = 0
    mended: bytes | None = None
    broken: str | None = None
    torn: bool = False


@dataclass(slots=True)
class _Header:
    size: int
    salts: bytes
    words: str
    sums: _Sums


def examine_log(content: bytes) -> LogReport:
    """Look at a whole log file. An empty one, or one that a power cut tore, is no damage."""
    if len(content) < HEADER:
        return LogReport()
    log = bytearray(content)
    flipped, torn = 0, False
    header = _header(log)
    if header is None:
        if len(content) < HEADER + FRAME or not any(content):
            return LogReport()
        header = _mend_header(log)
        if header is None:
            return LogReport(broken="the log's header is damaged")  # it is synced before any frame: no power cut leaves that
        flipped = 1
    frames, at, sums = 0, HEADER, header.sums
    step = FRAME + header.size
    while at + step <= len(log):
        found = _frame(log, at, header, sums)
        if found is None:
            found = _mend_frame(log, at, header, sums)
            if found is None:
                break
            flipped += 1
            torn = flipped == 1 and _frame(log, at, header, sums) is not None and _commits(log, at, header) <= 1
        frames, at, sums = frames + 1, at + step, found
    lost = _commits(log, at, header)
    broken = f"frame {frames + 1} of the log is damaged, {lost} commits lie behind it" if lost > 1 else None
    if flipped:
        _sum_up(log, frames, header)
    return LogReport(frames, flipped, bytes(log) if flipped else None, broken, torn)


def summed_up(content: bytes, frames: int) -> bytes:
    """A log whose header is whole, with the sums of so many frames made those of what they hold."""
    log = bytearray(content)
    header = _header(log)
    if header is not None:
        _sum_up(log, frames, header)
    return bytes(log)


def _sum(words: str, data: bytes | bytearray, start: _Sums) -> _Sums:
    first, second = start
    values = struct.unpack(f"{words}{len(data) // 4}I", data)
    for at in range(0, len(values), 2):
        first = (first + values[at] + second) & _MASK
        second = (second + values[at + 1] + first) & _MASK
    return first, second


def _header(log: bytes | bytearray) -> _Header | None:
    magic, version, size = struct.unpack_from(">3I", log)
    if magic not in _MAGIC or version != _VERSION or size < 512 or size & (size - 1) or size > 65_536:
        return None
    words = ">" if magic & 1 else "<"
    sums = _sum(words, log[:24], (0, 0))
    if sums != struct.unpack_from(">2I", log, 24):
        return None
    return _Header(size, bytes(log[16:24]), words, sums)


def _mend_header(log: bytearray) -> _Header | None:
    """Some bits of the salts explain the same as one of the sum's; the first frame knows which it was."""
    explained: tuple[int, _Header] | None = None
    for bit in range(HEADER * 8):
        log[bit // 8] ^= 1 << bit % 8
        header = _header(log)
        if header is not None:
            if explained is None or _whole(log, HEADER, header, header.sums):
                explained = bit, header
        log[bit // 8] ^= 1 << bit % 8
    if explained is None:
        return None
    log[explained[0] // 8] ^= 1 << explained[0] % 8
    return explained[1]


def _whole(log: bytearray, at: int, header: _Header, before: _Sums) -> bool:
    return at + FRAME + header.size <= len(log) and _frame(log, at, header, before) is not None


def _covered(log: bytearray, at: int, header: _Header) -> bytearray:
    return log[at : at + 8] + log[at + FRAME : at + FRAME + header.size]


def _frame(log: bytearray, at: int, header: _Header, before: _Sums) -> _Sums | None:
    """The sums behind a frame that is whole."""
    if log[at + 8 : at + 16] != header.salts:
        return None
    sums = _sum(header.words, _covered(log, at, header), before)
    return sums if sums == struct.unpack_from(">2I", log, at + 16) else None


def _mend_frame(log: bytearray, at: int, header: _Header, before: _Sums) -> _Sums | None:
    """Mend the one bit that explains what is wrong with this frame; None when no single bit does."""
    covered = _covered(log, at, header)
    sums = _sum(header.words, covered, before)
    stored = struct.unpack_from(">2I", log, at + 16)
    salts = int.from_bytes(log[at + 8 : at + 16], "big") ^ int.from_bytes(header.salts, "big")
    if sums == stored:
        if salts.bit_count() != 1:
            return None
        log[at + 8 : at + 16] = header.salts
        return sums
    if salts:
        return None
    if (sums[0] ^ stored[0]).bit_count() + (sums[1] ^ stored[1]).bit_count() == 1:
        if not _whole(log, at + FRAME + header.size, header, (stored[0], stored[1])):
            struct.pack_into(">2I", log, at + 16, *sums)  # a bit of a frame's last word would explain it too: the next frame knows
            return sums
    places = _flipped(header.words, covered, ((sums[0] - stored[0]) & _MASK, (sums[1] - stored[1]) & _MASK))
    if not any(log[at : at + 4]):
        places = [place for place in places if place[0] < 4]  # there is no page 0
    if not places:
        return None
    if len(places) == 1:
        byte, bit = places[0]
        log[at + byte if byte < 8 else at + FRAME + byte - 8] ^= 1 << bit
    return stored[0], stored[1]


def _flipped(words: str, data: bytearray, apart: _Sums) -> list[tuple[int, int]]:
    """Bytes and bits whose flip moves the sums by so much: each word goes into both sums times a factor that only its place gives."""
    values = struct.unpack(f"{words}{len(data) // 4}I", data)
    found = []
    factors = (1, 1), (0, 1)  # of the last pair's two words
    for at in range(len(values) - 2, -1, -2):
        for odd, (first, second) in enumerate(factors):
            value = values[at + odd]
            for bit in range(32):
                moved = value - (value ^ 1 << bit)
                if (moved * first & _MASK, moved * second & _MASK) == apart:
                    byte = bit // 8 if words == "<" else 3 - bit // 8
                    found.append(((at + odd) * 4 + byte, bit % 8))
        factors = tuple(((first + second) & _MASK, (first + 2 * second) & _MASK) for first, second in factors)  # type: ignore[assignment]
    return found


def _sum_up(log: bytearray, frames: int, header: _Header) -> None:
    """Make the sums of so many frames those of what they hold."""
    sums, step = header.sums, FRAME + header.size
    for at in range(HEADER, HEADER + frames * step, step):
        sums = _sum(header.words, _covered(log, at, header), sums)
        struct.pack_into(">2I", log, at + 16, *sums)


def _commits(log: bytearray, at: int, header: _Header) -> int:
    """Commits of this log from here on, by their frames' salts alone."""
    step, found = FRAME + header.size, 0
    while at + step <= len(log):
        if log[at + 8 : at + 16] == header.salts and any(log[at + 4 : at + 8]):
            found += 1
        at += step
    return found
