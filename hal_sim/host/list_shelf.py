"""Published card lists as a host keeps them: signed heads, whole lists, the changes between versions, and lists that are wrong on purpose.

Source: firmware_notes/host-api.md, section "The card list". Rows are canonical JSON (sorted names, no blanks), one a line; the content
hash is the sum of their SHA-256 modulo 2^256, so that it can follow a change without reading the list again.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hal_sim.host.messages import Refusal, instant_text

KEPT_VERSIONS = 5
DOMAIN = b"fleet/list/v1\0"
HOLDS_MS = 72 * 3_600_000
"""How long a head holds from the moment it is given out; the host signs it anew each time it is asked."""
BOMB_BYTES = 64 << 20
IDENTITY: dict[str, tuple[str, ...]] = {
    "customer": ("customer",),
    "card": ("token",),
    "limit": ("subject", "period", "measure", "products"),
    "balance": ("subject", "kind", "measure", "products"),
    "baseline": ("subject", "window", "measure", "products"),
    "deny": ("card", "customer", "range"),
    "product": ("product",),
    "share": ("subject", "window", "measure", "products"),
    "online_only": ("range",),
    "range": ("first", "last"),
    "prompt": ("subject", "prompt"),
    "odometer": ("account",),
}
Row = dict[str, Any]


def canonical(value: object) -> bytes:
    """Sorted names, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def identity(row: Row) -> Row:
    """What a row is known by: the fields that a removal names."""
    return {name: row[name] for name in IDENTITY[row["row"]] if name in row}


def content_hash(lines: Iterable[bytes]) -> str:
    """Independent of the order of the rows."""
    return f"{sum(int.from_bytes(hashlib.sha256(line).digest(), 'big') for line in lines) % (1 << 256):064x}"


def _body(lines: list[bytes]) -> tuple[bytes, str]:
    """All bytes of a list or a delta with its end row, and the hash that stands there."""
    rows = b"".join(line + b"\n" for line in lines)
    digest = hashlib.sha256(rows).hexdigest()
    return rows + canonical({"row": "end", "rows": len(lines), "sha256": digest}) + b"\n", digest


@cache
def _bomb() -> bytes:
    """Few bytes that unpack to many."""
    return gzip.compress(bytes(BOMB_BYTES), mtime=0)


@dataclass(frozen=True)
class Edition:
    """One version. ``lines`` by what each row is known by; ``change``: the lines that lead to it from ``base``."""

    terminal: str
    epoch: str
    version: int
    lines: dict[bytes, bytes] = field(repr=False)
    issued_ms: int
    base: int | None = None
    change: tuple[bytes, ...] = field(default=(), repr=False)
    confirm_shrink: bool = False

    @cached_property
    def whole(self) -> tuple[bytes, str]:
        """All bytes, and their hash."""
        return _body(list(self.lines.values()))

    @cached_property
    def delta(self) -> tuple[bytes, str]:
        """The bytes of the changes, and their hash."""
        return _body(list(self.change))

    @cached_property
    def packed(self) -> bytes:
        """All bytes with gzip, without a time in it, so that equal lists are equal bytes."""
        return gzip.compress(self.whole[0], mtime=0)

    @cached_property
    def content_hash(self) -> str:
        """Of the list as it is in this version."""
        return content_hash(self.lines.values())

    def head(self, now_ms: int, *, delta: bool = False) -> Row:
        """Not signed yet. ``rows`` and ``content_hash`` are of the list in this version, ``sha256`` and ``bytes`` of what is fetched."""
        body, digest = self.delta if delta else self.whole
        return {
            "list": "cards",
            "terminal": self.terminal,
            "epoch": self.epoch,
            "version": self.version,
            "base": self.base if delta else None,
            "rows": len(self.lines),
            "bytes": len(body),
            "sha256": digest,
            "content_hash": self.content_hash,
            "issued_at": instant_text(self.issued_ms),
            "not_after": instant_text(max(now_ms, self.issued_ms) + HOLDS_MS),
            "confirm_shrink": self.confirm_shrink,
        }


def changes(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """The rows that lead from one version to the other: removals first, then what is new or different."""
    gone = [line for key, line in old.items() if key not in new]
    removals = [canonical({"row": "remove", "kind": row["row"], "key": identity(row)}) for row in map(json.loads, gone)]
    return (*removals, *(line for key, line in new.items() if old.get(key) != line))


class Spoiled(ValueError):
    """There is no such fault of a list."""


class ListShelf:
    """Keeps the last five versions and answers for them. ``fault`` makes the answers wrong in one way of ``FAULTS``, "" in none."""

    def __init__(self, terminal: str, seed: bytes) -> None:
        """``seed``: the 32 bytes of the Ed25519 key that signs."""
        self.terminal = terminal
        self.editions: list[Edition] = []
        self.fault = ""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._stranger = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())

    @property
    def public(self) -> bytes:
        """The raw key with which terminals check."""
        return self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    @property
    def newest(self) -> Edition:
        """The version published last."""
        return self.editions[-1]

    def spoil(self, fault: str) -> None:
        """Give out wrong lists from now on; "" ends it. Raises ``Spoiled``."""
        if fault and fault not in FAULTS:
            raise Spoiled(f"no such fault; known are {', '.join(FAULTS)}")
        self.fault = fault

    def put(self, epoch: str, version: int, rows: Iterable[Row], now_ms: int, *, confirm_shrink: bool = False) -> Edition:
        """Publish these rows."""
        lines = {canonical([row["row"], identity(row)]): canonical(row) for row in rows}
        before = self.editions[-1] if self.editions and self.newest.epoch == epoch else None
        base, change = (None, ()) if before is None else (before.version, changes(before.lines, lines))
        edition = Edition(self.terminal, epoch, version, lines, now_ms, base, change, confirm_shrink)
        self.editions = [*self.editions, edition][-KEPT_VERSIONS:]
        return edition

    def sign(self, head: Row, *, stranger: bool = False) -> Row:
        """The head with its signature."""
        key = self._stranger if stranger else self._key
        return {**head, "signature": base64.b64encode(key.sign(DOMAIN + canonical(head))).decode()}

    # --- answers --------------------------------------------------------------------------------------------------------

    def offered(self) -> Edition:
        """The newest version, or what the fault makes of it."""
        change = FAULTS.get(self.fault)
        if self.fault == "older" and len(self.editions) > 1:
            return self.editions[-2]
        return self.newest if change is None else change(self.newest)

    def head(self, now_ms: int) -> Row:
        """The signed head of the newest version."""
        head = self.offered().head(now_ms)
        if self.fault == "wrong content hash":
            head["content_hash"] = _other_hash(head["content_hash"])
        if self.fault == "expired":
            head["not_after"] = instant_text(now_ms - 1)
        return self.sign(head, stranger=self.fault == "wrong signature")

    def deltas(self, epoch: str, base: int, now_ms: int) -> list[Row]:
        """The signed heads of the changes from this version on. Raises ``Refusal`` 410 where they are no longer kept."""
        chain = [each for each in self.editions if each.epoch == epoch and each.version > base]
        kept = epoch == self.newest.epoch and (base == self.newest.version or (bool(chain) and chain[0].base == base))
        if not kept or (self.fault and "delta" not in self.fault):
            raise Refusal(410, "gone", "the changes from this version on are not kept")
        heads = [each.head(now_ms, delta=True) for each in chain]
        if self.fault == "skipped delta":
            heads = heads[1:] or [head | {"base": head["base"] + 1, "version": head["version"] + 1} for head in heads]
        if self.fault == "doubled delta":
            heads = heads[:1] + heads
        if self.fault == "wrong delta":
            heads = [head | {"content_hash": _other_hash(head["content_hash"])} for head in heads]
        return [self.sign(head) for head in heads]

    def delta(self, epoch: str, version: int) -> bytes:
        """The changes that lead to a version. Raises ``Refusal``."""
        edition = self._find(epoch, version)
        if edition.base is None:
            raise Refusal(410, "gone", "there are no changes to this version")
        return edition.delta[0]

    def whole(self, epoch: str, version: int) -> Edition:
        """One version. Raises ``Refusal``."""
        offered = self.offered()
        return offered if (offered.epoch, offered.version) == (epoch, version) else self._find(epoch, version)

    def bytes_of(self, edition: Edition, *, packed: bool) -> bytes:
        """What travels of a whole list."""
        if self.fault == "bomb":
            return _bomb()
        body = edition.whole[0]
        if self.fault == "wrong hash":
            body = body.replace(b'"offline":"ALLOWED"', b'"offline":"ALWAYS" ', 1) if b"ALLOWED" in body else body.replace(b"1", b"2", 1)
            return gzip.compress(body, mtime=0) if packed else body
        travels = edition.packed if packed else body
        return travels[: len(travels) // 2] if self.fault == "truncated" else travels

    def _find(self, epoch: str, version: int) -> Edition:
        for edition in self.editions:
            if (edition.epoch, edition.version) == (epoch, version):
                return edition
        gone = epoch == self.newest.epoch and 0 < version < self.newest.version
        raise Refusal(410 if gone else 404, "gone" if gone else "not_found", "this version of the list is not kept")


# --- faults ------------------------------------------------------------------------------------------------------------------


def _other_hash(text: str) -> str:
    return f"{(int(text, 16) + 1) % (1 << 256):064x}"


def _with(edition: Edition, change: Callable[[Row], Row]) -> Edition:
    """The same version with other rows, hashes and signature right for them."""
    lines = {key: canonical(change(json.loads(line))) for key, line in edition.lines.items()}
    return replace(edition, lines=lines)


def _unknown_field(edition: Edition) -> Edition:
    return _with(edition, lambda row: row | {"colour": "red"})


def _unknown_limit(edition: Edition) -> Edition:
    row = {"row": "limit", "subject": {"customer": "C1"}, "period": "WEEK", "measure": "QUANTITY", "amount": 1, "products": None}
    return _and(edition, row)


def _amount(amount: int) -> Callable[[Edition], Edition]:
    row = {"row": "limit", "subject": {"customer": "C-X"}, "period": "DAY", "measure": "QUANTITY", "amount": amount, "products": None}
    return lambda edition: _and(edition, row)


def _unknown_product(edition: Edition) -> Edition:
    row = {"row": "limit", "subject": {"customer": "C-X"}, "period": "DAY", "measure": "QUANTITY", "amount": 1, "products": ["NO-SUCH"]}
    return _and(edition, row)


def _and(edition: Edition, row: Row) -> Edition:
    return replace(edition, lines={**edition.lines, canonical([row["row"], identity(row)]): canonical(row)})


def _shrunk(edition: Edition) -> Edition:
    return replace(edition, lines=dict(list(edition.lines.items())[: max(0, len(edition.lines) // 2 - 1)]))


def _same(edition: Edition) -> Edition:
    return edition


FAULTS: dict[str, Callable[[Edition], Edition]] = {
    "wrong signature": _same,
    "wrong hash": _same,
    "wrong content hash": _same,
    "truncated": _same,
    "bomb": _same,
    "older": _same,
    "expired": _same,
    "other terminal": lambda edition: replace(edition, terminal="OPT9"),
    "skipped delta": _same,
    "doubled delta": _same,
    "wrong delta": _same,
    "shrunk": _shrunk,
    "empty": lambda edition: replace(edition, lines={}),
    "unknown field": _unknown_field,
    "unknown limit": _unknown_limit,
    "unknown product": _unknown_product,
    "negative amount": _amount(-1),
    "absurd amount": _amount(10**18),
    "1970": lambda edition: replace(edition, issued_ms=0),
}
