"""What is fuzzed: a way to make inputs, a way to hand one to the product's own code, and the errors that may come out of it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


class Broken(Exception):
    """The code took an input that it must not take, or made something of it that must not be. The text says what."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One place where bytes of others come in.

    ``make`` draws an input; ``feed`` gives it to the product: True when it was taken, False when it was left aside without an error.
    ``refusals`` are the errors that the code says it raises; every other one is a finding.
    ``unit``: bytes that belong together, taken out together when an input is made small.
    """

    name: str
    what: str
    make: Callable[[Random], bytes]
    feed: Callable[[bytes], bool]
    refusals: tuple[type[Exception], ...] = ()
    unit: int = 1


class Script:
    """An input read as a script: a byte at a time, zero behind its end, so that a shortened one still means something."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        """Nothing is left."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """The next one."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def take(self, count: int) -> bytes:
        """So many, or what is left."""
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(max(0, len(self._data) - self._at))


def demand(right: bool, why: str) -> None:
    """Raises ``Broken`` with ``why``."""
    if not right:
        raise Broken(why)


def golden(name: str) -> dict[str, Any]:
    """A file of golden frames or vectors."""
    return tomllib.loads((ROOT / "firmware_notes" / name).read_text(encoding="utf-8"))


def pieces(data: bytes, size: int) -> list[bytes]:
    """``data`` in pieces of so many bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


# --- making inputs --------------------------------------------------------------------------------------------------------------


def junk(dice: Random, most: int = 64) -> bytes:
    """Bytes without sense."""
    return dice.randbytes(dice.randrange(most + 1))


_BYTES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01\x00", b"\xff\xff", b"\x00" * 9, b"\xff" * 40, b"A" * 300)


def mutated(dice: Random, good: bytes, tokens: tuple[bytes, ...] = _BYTES) -> bytes:
    """A good input with a few places changed: bits, bytes, words of the trade, pieces taken out, doubled or cut off."""
    data = bytearray(good)
    for _ in range(dice.choice((1, 1, 1, 2, 4, 12))):
        _CHANGES[dice.randrange(len(_CHANGES))](dice, data, tokens)
    return bytes(data)


def _place(dice: Random, data: bytearray) -> int:
    return dice.randrange(len(data) + 1)


def _bit(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _byte(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _insert(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    at = _place(dice, data)
    data[at:at] = dice.choice(tokens)


def _overwrite(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    at = _place(dice, data)
    token = dice.choice(tokens)
    data[at : at + dice.choice((1, len(token)))] = token


def _remove(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    at = _place(dice, data)
    del data[at : at + dice.choice((1, 1, 2, 8, 40))]


def _double(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    at, size = _place(dice, data), dice.choice((1, 2, 8, 40))
    data[at:at] = data[at : at + size] * dice.choice((1, 1, 2, 9))


def _cut(dice: Random, data: bytearray, tokens: tuple[bytes, ...]) -> None:
    del data[_place(dice, data) :]


_CHANGES = (_bit, _byte, _bit, _byte, _insert, _overwrite, _remove, _double, _cut)
