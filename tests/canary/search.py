"""What a secret may look like when it leaks, and a search for all of it at once.

A form is a byte string that nothing but the secret explains: clear, reversed, grouped as printed, UTF-16, hex, base64 at each of its three
alignments, packed and unpacked BCD, raw bytes of a hex number, and digests without a key (a PIN behind SHA-256 is a PIN). The last four
digits of a card number may be told, so a number is sought whole, without its last and without its first four. What is not sought: forms of
less than six bytes, such as a PIN packed from the middle of a byte.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

PREFIX = 6
"""Bytes of a form by which it is found first; a shorter form would be found by chance."""
TOLD = 4
_NOT_A_DIGIT = re.compile(rb"[^0-9]+")


@dataclass(frozen=True, slots=True)
class Canary:
    """One secret. ``kind``: pin, number, track, name or key; ``text`` as its owner would spell it."""

    kind: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """A secret that left: what kind, in which form, where. Never the secret itself."""

    kind: str
    form: str
    place: str


def _base64(raw: bytes) -> Iterator[bytes]:
    """Those characters of each alignment that depend on ``raw`` alone, in both alphabets."""
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw).rstrip(b"=")
        inner = text[(0, 2, 3)[lead] : len(text) if (lead + len(raw)) % 3 == 0 else len(text) - 1]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def _spelled(text: str) -> Iterator[tuple[str, bytes]]:
    raw = text.encode()
    yield from (("clear", text.encode()), ("clear", text.lower().encode()), ("reversed", text[::-1].encode()))
    yield from (("utf-16", text.encode("utf-16-le")), ("utf-16", text.encode("utf-16-be")))
    yield from (("hex", raw.hex().encode()), ("hex", raw.hex().upper().encode()))
    yield from (("base64", one) for one in _base64(raw))
    yield from (("grouped", mark.join(text[at : at + 4] for at in range(0, len(text), 4)).encode()) for mark in (" ", "-"))
    if re.fullmatch("[0-9]+", text):
        yield from _packed(text)
        yield "unpacked BCD", bytes(int(digit) for digit in text)
        yield "array", ", ".join(text).encode()
        yield "array", ",".join(text).encode()
    elif re.fullmatch("[0-9A-Fa-f]+", text) and len(text) % 2 == 0:
        yield from (("bytes", bytes.fromhex(text)), ("bytes reversed", bytes.fromhex(text)[::-1]))
        yield "hex of bytes reversed", bytes.fromhex(text)[::-1].hex().encode()
        yield from (("base64 of bytes", one) for one in _base64(bytes.fromhex(text)))


def _packed(digits: str) -> Iterator[tuple[str, bytes]]:
    """Two digits a byte, wherever the first digit falls, also with the nibbles swapped as ISO 7816 files and GSM numbers have it."""
    for start in (0, 1):
        inner = digits[start : start + (len(digits) - start) // 2 * 2]
        packed = bytes.fromhex(inner)
        yield "BCD", packed
        swapped = bytes(byte >> 4 | (byte & 15) << 4 for byte in packed)
        yield "BCD swapped", swapped
        yield "BCD swapped, hex", swapped.hex().encode()
        yield from (("base64 of BCD", one) for one in _base64(packed))


def _digests(text: str) -> Iterator[tuple[str, bytes]]:
    for name in ("md5", "sha1", "sha256"):
        digest = hashlib.new(name, text.encode(), usedforsecurity=False).digest()
        yield name, digest
        yield from ((name, one) for one in (digest.hex().encode(), digest.hex().upper().encode()))
        yield from ((name, one) for one in _base64(digest))


def forms(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """Every form of it, by name."""
    parts = (canary.text, canary.text[:-TOLD], canary.text[TOLD:]) if canary.kind == "number" else (canary.text,)
    for part in parts:
        yield from _spelled(part)
    yield from _digests(canary.text)


class Search:
    """All forms of all canaries at once: their first bytes are looked up at every place of the text."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._forms: dict[bytes, list[tuple[bytes, str, str]]] = {}
        self._digits: dict[bytes, list[tuple[bytes, str, str]]] = {}
        self.count = 0
        for canary in canaries:
            for name, form in forms(canary):
                if len(form) >= PREFIX:
                    self.count += 1
                    self._forms.setdefault(form[:PREFIX], []).append((form, canary.kind, name))
                if name in ("clear", "reversed") and form.isdigit() and len(form) >= 12:
                    self._digits.setdefault(form[:PREFIX], []).append((form, canary.kind, f"{name}, digits alone"))

    def find(self, place: str, data: bytes, text: bool = True) -> set[Found]:
        """What is in here. ``text``: also with all that is no digit left out, so that a PIN written digit by digit is one."""
        found = self._in(place, data, self._forms)
        return found | self._in(place, _NOT_A_DIGIT.sub(b"", data), self._digits) if text else found

    @staticmethod
    def _in(place: str, data: bytes, table: dict[bytes, list[tuple[bytes, str, str]]]) -> set[Found]:
        hits = {at for at in range(len(data) - PREFIX + 1) if data[at : at + PREFIX] in table}
        return {Found(kind, name, place) for at in hits for form, kind, name in table[data[at : at + PREFIX]] if data.startswith(form, at)}


class Outlet:
    """Everything that left, by place; the same bytes once."""

    def __init__(self) -> None:
        self.texts: dict[str, dict[bytes, None]] = {}
        self.files: dict[str, dict[bytes, None]] = {}

    def add(self, place: str, text: str | bytes) -> None:
        """Something that people or programs read."""
        self.texts.setdefault(place, {})[text.encode("utf-8", "replace") if isinstance(text, str) else text] = None

    def add_file(self, place: str, content: bytes) -> None:
        """Bytes of a file. The same page need be searched only once: what is known is left out, with the page before and behind kept."""
        self.files.setdefault(place, {})[content] = None

    def size(self) -> int:
        """Bytes."""
        return sum(len(one) for kept in (self.texts, self.files) for many in kept.values() for one in many)

    def search(self, search: Search) -> set[Found]:
        """Every secret in it."""
        found: set[Found] = set()
        for place, many in self.texts.items():
            found |= search.find(place, b"\n".join(many))
        for place, many in self.files.items():
            found |= search.find(place, _pages(many), text=False)
        return found


_PAGE = 4096


def _pages(contents: Iterable[bytes]) -> bytes:
    """The files one behind another, without pages that stood in an earlier one behind the same page."""
    known: set[bytes] = set()
    kept: list[bytes] = []
    for content in contents:
        before = b""
        for at in range(0, len(content), _PAGE):
            page = content[at : at + _PAGE]
            key = hashlib.sha256(before + page).digest()
            if key not in known:
                known.add(key)
                kept.append(page if kept and kept[-1] is before else before + page)
            before = page
    return b"".join(kept)
