"""BER-TLV as smart cards write it, read strictly. Pure.

Sources: ISO/IEC 7816-4 section 5.2 (BER-TLV data objects), ISO/IEC 8825-1; reference/security-and-reliability.md 3 (limits). Cards are
hostile until proven: every length is checked against what is there, nothing is guessed, and whatever does not fit raises ``TlvError``,
which names a reason and never a value. Zeros between data objects are padding (7816-4); an indefinite length is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

DEPTH_MAX = 6
SIZE_MAX = 64 * 1024
"""Most bytes read at once."""

_CONSTRUCTED = 0x20
_NUMBER_FOLLOWS = 0x1F
_TAG_BYTES_MAX = 3
_LENGTH_BYTES_MAX = 3


class TlvFault(Enum):
    """Why a text is refused."""

    SHORT = "ends in the middle of a data object"
    BAD_TAG = "a tag that is none"
    BAD_LENGTH = "a length that is none"
    TOO_DEEP = "nested too deep"
    TOO_LONG = "too long"
    MISSING = "a data object is missing"
    DUPLICATE = "a data object stands twice"


class TlvError(Exception):
    """Carries the fault and nothing of the text."""

    def __init__(self, fault: TlvFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object. ``tag`` is its bytes as a number (0x5F20); ``children`` is filled for constructed ones, ``value`` for all."""

    tag: int
    value: bytes = field(repr=False)
    children: tuple[Tlv, ...] = field(default=(), repr=False)


def parse(data: bytes) -> tuple[Tlv, ...]:
    """All data objects in ``data``, constructed ones opened. Raises ``TlvError``."""
    if len(data) > SIZE_MAX:
        raise TlvError(TlvFault.TOO_LONG)
    return _objects(bytes(data), 1)


def find(objects: Iterable[Tlv], *path: int) -> Tlv:
    """The one object under these tags, from the outside in. Raises ``TlvError`` when it is missing or stands twice."""
    if not path:
        raise TlvError(TlvFault.MISSING)
    found = find_all(objects, path[0])
    if not found:
        raise TlvError(TlvFault.MISSING)
    if len(found) > 1:
        raise TlvError(TlvFault.DUPLICATE)
    return find(found[0].children, *path[1:]) if path[1:] else found[0]


def find_all(objects: Iterable[Tlv], tag: int) -> tuple[Tlv, ...]:
    """Every object with this tag on this level, as a directory lists its entries."""
    return tuple(item for item in objects if item.tag == tag)


def encode(tag: int, value: bytes) -> bytes:
    """One data object with the shortest length. Raises ``TlvError``."""
    head = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big") if tag > 0 else b""
    if not head or _tag(head, 0)[1] != len(head):
        raise TlvError(TlvFault.BAD_TAG)
    size = len(value)
    if size > SIZE_MAX:
        raise TlvError(TlvFault.TOO_LONG)
    length = b"" if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return head + (bytes((0x80 | len(length),)) + length if length else bytes((size,))) + value


def _objects(data: bytes, depth: int) -> tuple[Tlv, ...]:
    if depth > DEPTH_MAX:
        raise TlvError(TlvFault.TOO_DEEP)
    found = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        constructed = bool(data[at] & _CONSTRUCTED)
        tag, at = _tag(data, at)
        size, at = _length(data, at)
        if at + size > len(data):
            raise TlvError(TlvFault.SHORT)
        value = data[at : at + size]
        found.append(Tlv(tag, value, _objects(value, depth + 1) if constructed else ()))
        at += size
    return tuple(found)


def _tag(data: bytes, at: int) -> tuple[int, int]:
    """The tag at ``at`` and the place after it."""
    end = at + 1
    if data[at] & _NUMBER_FOLLOWS == _NUMBER_FOLLOWS:
        while True:
            if end >= len(data):
                raise TlvError(TlvFault.SHORT)
            # A number does not begin with zeros, and no known tag is longer than three bytes.
            if end - at >= _TAG_BYTES_MAX or (end == at + 1 and data[end] & 0x7F == 0):
                raise TlvError(TlvFault.BAD_TAG)
            end += 1
            if not data[end - 1] & 0x80:
                break
    return int.from_bytes(data[at:end], "big"), end


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The length at ``at`` and the place after it. A longer form than needed is allowed (7816-4 allows 81 for any byte)."""
    if at >= len(data):
        raise TlvError(TlvFault.SHORT)
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= _LENGTH_BYTES_MAX:
        raise TlvError(TlvFault.BAD_LENGTH)
    if at + 1 + count > len(data):
        raise TlvError(TlvFault.SHORT)
    return int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count
