r"""The toy's frames: ``AA:text#SS\n``, an address of two digits, words, and the sum of what stands before # in two hex digits.

Master: ``S`` state, ``R nozzle volume_ml amount_minor`` release, ``H`` stop, ``F`` fill, ``T nozzle`` total, ``C`` confirm, ``P price …``
prices, ``Q`` prices shown. Head: ``S state nozzle price volume_ml amount_minor``, ``F volume_ml amount_minor``, ``T nozzle volume_ml``,
``Q price …``, ``K`` taken, ``N`` not now. Numbers are whole: millilitres, minor units, 1/10000 of the major unit a litre.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_FRAME = 120


@dataclass(frozen=True, slots=True)
class Words:
    """One frame: who is asked or answers, and what is said."""

    address: int
    said: tuple[str, ...]


def encode(address: int, *said: object) -> bytes:
    """The frame as on the wire."""
    body = f"{address:02d}:{' '.join(map(str, said))}".encode("ascii")
    return body + f"#{sum(body) & 0xFF:02X}\n".encode("ascii")


class Decoder:
    """Bytes in, frames out, in whatever pieces. What is no frame is counted in ``skipped``."""

    def __init__(self) -> None:
        self._buffer = b""
        self.skipped = 0

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and not ended."""
        return len(self._buffer)

    def flush(self) -> int:
        """Give up what has begun; how many bytes were skipped since the last call."""
        count, self.skipped = self.skipped + len(self._buffer), 0
        self._buffer = b""
        return count

    def receive(self, data: bytes) -> list[Words]:
        """Take bytes; what they completed."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > MAX_FRAME:
            self.skipped += len(self._buffer)
            self._buffer = b""
        found = []
        for line in lines:
            words = _words(line)
            if words is None:
                self.skipped += len(line) + 1
            else:
                found.append(words)
        return found


def _words(line: bytes) -> Words | None:
    body, mark, check = line.rpartition(b"#")
    if not mark or check != f"{sum(body) & 0xFF:02X}".encode("ascii") or not line.isascii():
        return None
    address, colon, said = body.decode("ascii").partition(":")
    return Words(int(address), tuple(said.split(" "))) if colon and len(address) == 2 and address.isdigit() else None


def numbers(said: tuple[str, ...], kind: str, count: int) -> tuple[int, ...] | None:
    """The numbers behind a word of this kind; None when they are not so many, or no numbers. ``count`` 0: any number of them."""
    if said[:1] != (kind,) or not all(each.isdigit() for each in said[1:]) or (count and len(said) != count + 1):
        return None
    return tuple(int(each) for each in said[1:])
