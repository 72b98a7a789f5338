"""The rows of a card list as they travel and as they are stored: one JSON object a line, decoded strictly, each with its key.

A line is a row's canonical JSON (sorted names, no blanks) and is kept as it came: the card file holds what was signed, byte for byte, so
that its content hash can be made again at any time. A field that we do not know makes the whole list refused: a limit that is half
understood is not obeyed. (features.md F41, F59; firmware_notes/host-api.md, The card list.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from terminal.core.card_data import Balance, Baseline, Limit, Measure, Period, Share, Subject, SubjectKind
from terminal.core.card_lists import ListOp
from terminal.core.card_table import OTHERWISE, PinAt, RangeKind
from terminal.core.hours import BadHours, read_hours
from terminal.core.windows import BadWindowKey, UnknownZone, window_of_key, zone_of
from terminal.store.plain_words import complaint
from terminal.store.row_shapes import (
    AnyRow,
    BalanceKey,
    BalanceRow,
    BaselineKey,
    BaselineRow,
    CardKey,
    CardRow,
    CustomerKey,
    CustomerRow,
    DenyKey,
    DenyRow,
    EndRow,
    LimitKey,
    LimitRow,
    OdometerKey,
    OdometerRow,
    OnlineOnlyKey,
    OnlineOnlyRow,
    ProductKey,
    ProductRow,
    PromptKey,
    PromptRow,
    RangeKey,
    RangeRow,
    RemoveRow,
    ShareKey,
    ShareRow,
    SubjectName,
)

MAX_LINE = 16_384
ONLINE = "online"
"""How a range that is never decided offline is marked among the rows of the table of denies, which holds ranges of both kinds."""
_WITHOUT_PRODUCTS = (CustomerRow, DenyRow, OnlineOnlyRow, PromptRow, OdometerRow)
Key = tuple[bytes | str, ...]


class ListError(Exception):
    """The list is not what it claims to be; the text names the line and the field, never a number of a card."""


class _NotPlain(Exception):
    """A row that is not a card of the ordinary kind."""


_decode_row = msgspec.json.Decoder(AnyRow).decode
_decode_change = msgspec.json.Decoder(AnyRow | RemoveRow).decode


# --- keys -------------------------------------------------------------------------------------------------------------------


def token_bytes(text: str) -> bytes:
    """The sixteen bytes of a token. Raises ``ListError`` for what are not 32 small hex digits."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise ListError("a token that is not 32 hex digits in lower case") from None
    if len(raw) != 16 or raw.hex() != text:
        raise ListError("a token that is not 32 hex digits in lower case")
    return raw


def subject_key(kind: SubjectKind, name: str) -> str:
    """How a subject stands in a key."""
    return f"{kind.value} {name}"


def subject_of(card: str | None, customer: str | None) -> Subject:
    """The subject of a limit, balance or baseline: exactly one of the two. Raises ``ListError`` otherwise."""
    if (card is None) is (customer is None):
        raise ListError("a subject names one card or one customer")
    if card is not None:
        token_bytes(card)
        return Subject(SubjectKind.CARD, card)
    return Subject(SubjectKind.CUSTOMER, customer or "")


def _bound(kind: str, subject: SubjectName, *parts: str, products: list[str] | None) -> Key:
    found = subject_of(subject.card, subject.customer)
    group = "*" if products is None else msgspec.json.encode(sorted(products)).decode()
    return subject_key(found.kind, found.id), kind, " ".join((*parts, group))


def _card_key(row: Any) -> Key:
    raw = token_bytes(row.token)
    if row.account != row.token:
        token_bytes(row.account)
    if row.pin is not None:
        token_bytes(row.pin.verifier)
    if row.hours is not None:
        read_hours(row.hours)
    return (raw,)


def _customer_key(row: Any) -> Key:
    if row.zone is not None:
        zone_of(row.zone)
    return (row.customer,)


def _limit_key(row: Any) -> Key:
    if row.period is Period.FUELLING and row.measure is Measure.COUNT:
        raise ListError("a fuelling has no COUNT")
    return _bound("limit", row.subject, row.period.value, row.measure.value, products=row.products)


def _balance_key(row: Any) -> Key:
    return _bound("balance", row.subject, row.kind.value, row.measure.value, products=row.products)


def _baseline_key(row: Any) -> Key:
    window_of_key(row.window, "UTC")
    return _bound("baseline", row.subject, row.window, row.measure.value, products=row.products)


def _share_key(row: Any) -> Key:
    window_of_key(row.window, "UTC")
    return _bound("share", row.subject, row.window, row.measure.value, products=row.products)


def _new_share_key(row: ShareRow) -> Key:
    if (len(row.window) == len("2026-03-29")) is not (row.period == Period.DAY.value):
        raise ListError("a share's window is a date for a DAY, and a month for a MONTH")
    return _share_key(row)


def _range_key(kind: str, range_: tuple[str, str]) -> Key:
    first, last = range_
    if len(first) == len(last) and "" < first <= last:
        return kind, first, last
    raise ListError("a range has a first and a last number of equal lengths")


def _online_only_key(row: Any) -> Key:
    return _range_key(ONLINE, row.range)


def _deny_key(row: Any) -> Key:
    if sum(named is not None for named in (row.card, row.customer, row.range)) == 1:
        if row.card is not None:
            token_bytes(row.card)
            return "card", row.card, ""
        if row.customer is not None:
            return "customer", row.customer, ""
        first, last = row.range
        if len(first) == len(last) and "" < first <= last:
            return "range", first, last
    raise ListError("a deny row names either a card, a customer, or the first and last of a range of equal lengths")


def _card_range_key(row: Any) -> Key:
    if len(row.first) != len(row.last) or row.first > row.last:
        raise ListError("a range has a first and a last beginning of equal lengths")
    return row.first, row.last


def _new_card_range_key(row: RangeRow) -> Key:
    if row.kind is RangeKind.BANK and row.pin not in (None, PinAt.NONE):
        raise ListError("a bank card's PIN is never asked for")
    for coded in (row.restriction, row.prompts):
        if coded is not None and any(code != OTHERWISE and len(code) != coded.slice.length for code in coded.codes):
            raise ListError("a code is as long as the slice that it stands in")
    return _card_range_key(row)


def _prompt_key(row: Any) -> Key:
    found = subject_of(row.subject.card, row.subject.customer)
    return subject_key(found.kind, found.id), row.prompt


def _new_prompt_key(row: PromptRow) -> Key:
    if row.min_digits > row.max_digits:
        raise ListError("an answer's least digits are more than its most")
    for answer in row.answers or ():
        token_bytes(answer)
    return _prompt_key(row)


_KEY_OF: dict[type, tuple[str, Callable[[Any], Key]]] = {
    CardRow: ("card", _card_key),
    CustomerRow: ("customer", _customer_key),
    LimitRow: ("bound", _limit_key),
    BalanceRow: ("bound", _balance_key),
    BaselineRow: ("bound", _baseline_key),
    ShareRow: ("bound", _new_share_key),
    OnlineOnlyRow: ("deny", _online_only_key),
    DenyRow: ("deny", _deny_key),
    RangeRow: ("card_range", _new_card_range_key),
    PromptRow: ("prompt", _new_prompt_key),
    OdometerRow: ("odometer", lambda row: (token_bytes(row.account).hex(),)),
    ProductRow: ("product", lambda row: (row.product,)),
}


_REMOVED: dict[str, tuple[str, type, Callable[[Any], Key]]] = {
    "card": ("card", CardKey, lambda row: (token_bytes(row.token),)),
    "customer": ("customer", CustomerKey, lambda row: (row.customer,)),
    "limit": ("bound", LimitKey, _limit_key),
    "balance": ("bound", BalanceKey, _balance_key),
    "baseline": ("bound", BaselineKey, _baseline_key),
    "share": ("bound", ShareKey, _share_key),
    "online_only": ("deny", OnlineOnlyKey, _online_only_key),
    "deny": ("deny", DenyKey, _deny_key),
    "range": ("card_range", RangeKey, _card_range_key),
    "prompt": ("prompt", PromptKey, _prompt_key),
    "odometer": ("odometer", OdometerKey, lambda row: (token_bytes(row.account).hex(),)),
    "product": ("product", ProductKey, lambda row: (row.product,)),
}


# --- reading ------------------------------------------------------------------------------------------------------------------


def _is_verifier(text: str) -> bool:
    """Sixteen bytes in small hex digits, as the contract writes them."""
    raw = bytes.fromhex(text)
    return len(raw) == 16 and raw.hex() == text


class RowReader:
    """Reads the lines of a snapshot one by one. ``products`` and ``named``: the products of the list, and those that its rows name."""

    def __init__(self, *, delta: bool = False) -> None:
        self._decode: Callable[[bytes], Any] = _decode_change if delta else _decode_row
        self.products: set[str] = set()
        self.named: set[str] = set()
        self.lines = 0
        self.end: EndRow | None = None

    def read(self, line: bytes) -> tuple[str, Key] | None:
        """Table and key of the next row; None for the end row, and with a key marked by ``removed`` in a delta. Raises ``ListError``."""
        self.lines += 1
        if self.end is not None:
            raise ListError(f"line {self.lines}: rows behind the end row")
        if len(line) > MAX_LINE:
            raise ListError(f"line {self.lines}: longer than {MAX_LINE} bytes")
        try:
            row = self._decode(line)
            kind = type(row)
            if kind is EndRow:
                self.end = row
                return None
            if kind is RemoveRow:
                return self._removed(row)
            table, key_of = _KEY_OF[kind]
            key = key_of(row)
        except UnknownZone:
            raise ListError(f"line {self.lines}: a time zone that this machine does not know") from None
        except (ListError, BadHours, BadWindowKey) as error:
            raise ListError(f"line {self.lines}: {error}") from None
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ListError(f"line {self.lines}: {complaint(error)}") from None
        self._note(kind, row)
        return table, key

    def take(self, lines: list[bytes], into: dict[str, list[tuple[bytes | str, ...]]]) -> int:
        """Read many lines into their tables' rows (key and line); the sum of their hashes. Raises ``ListError``.

        The same as ``read`` for each, with what is done for a card written out: there may be a million.
        """
        if self.end is None and max(map(len, lines)) <= MAX_LINE:
            return self._take(lines, into)
        for line in lines:
            self.read(line)  # says which line is wrong
        return 0

    def _take(self, lines: list[bytes], into: dict[str, list[tuple[bytes | str, ...]]]) -> int:
        decode, raw_of, sha256, number, cards = self._decode, bytes.fromhex, hashlib.sha256, int.from_bytes, into["card"]
        total = 0
        for place, line in enumerate(lines):
            try:
                row = decode(line)
                if type(row) is not CardRow:
                    raise _NotPlain
                token, pin = row.token, row.pin
                raw = raw_of(token)
                if raw.hex() != token or row.account != token or row.products is not None or (pin and not _is_verifier(pin.verifier)):
                    raise _NotPlain
                if row.hours is not None:
                    read_hours(row.hours)
                cards.append((raw, line))
                self.lines += 1
            except (_NotPlain, msgspec.DecodeError, ValueError, RecursionError):
                found = self.read(line)
                if found is None:
                    if place != len(lines) - 1:
                        raise ListError(f"line {self.lines + 1}: rows behind the end row") from None
                    return total
                into[found[0]].append((*found[1], line))
            total += number(sha256(line).digest(), "big")
        return total

    def _note(self, kind: type, row: Any) -> None:
        if kind is ProductRow:
            self.products.add(row.product)
        elif kind is RangeRow:
            codes = {} if row.restriction is None else row.restriction.codes
            self.named.update(name for names in codes.values() for name in names or ())
        elif kind not in _WITHOUT_PRODUCTS and row.products is not None:
            self.named.update(row.products)

    def _removed(self, row: RemoveRow) -> tuple[str, Key]:
        if row.kind not in _REMOVED:
            raise ListError("a kind of row that the contract does not know")
        table, shape, key_of = _REMOVED[row.kind]
        key = key_of(msgspec.json.decode(row.key, type=shape))
        return f"-{table}", key

    def check_end(self, rows: int, sha256: str, digest: str) -> None:
        """Behind the last line: the list is the announced one, whole. Raises ``ListError``."""
        end = self.end
        if end is None:
            raise ListError("the list ends without its end row: it was cut short")
        if end.rows != self.lines - 1 or end.rows != rows:
            raise ListError(f"it has {self.lines - 1} rows, not the {rows} that were announced")
        if end.sha256 != digest or sha256 != digest:
            raise ListError("its hash is not the one that was announced")


def read_delta(lines: Iterable[bytes], sha256: str) -> tuple[tuple[ListOp, ...], frozenset[str]]:
    """The changes of a delta, and the products that they name and do not bring. Raises ``ListError`` at the first thing that is wrong."""
    reader = RowReader(delta=True)
    digest = hashlib.sha256()
    ops: list[ListOp] = []
    seen: set[tuple[str, Key]] = set()
    for line in lines:
        found = reader.read(line)
        if found is None:
            continue
        digest.update(line + b"\n")
        table, key = found
        gone = table.startswith("-")
        table = table.lstrip("-")
        if (table, key) in seen:
            raise ListError(f"line {reader.lines}: a row that this delta has changed already")
        seen.add((table, key))
        ops.append(ListOp(table, key, None if gone else line))
    reader.check_end(len(ops), sha256, digest.hexdigest())
    return tuple(ops), frozenset(reader.named - reader.products)


# --- what stored rows mean -------------------------------------------------------------------------------------------------------

_decode_bound = msgspec.json.Decoder(LimitRow | BalanceRow | BaselineRow | ShareRow).decode


def bound_of(body: bytes) -> Limit | Balance | Baseline | Share:
    """A stored limit, balance, baseline or share as the core's value."""
    row = _decode_bound(body)
    subject = subject_of(row.subject.card, row.subject.customer)
    products = None if row.products is None else frozenset(row.products)
    if isinstance(row, LimitRow):
        return Limit(subject, row.period, row.measure, row.amount, products, row.shared)
    if isinstance(row, BalanceRow):
        return Balance(subject, row.kind, row.measure, row.amount, products, row.watermark)
    if isinstance(row, ShareRow):
        return Share(row.grant, subject, Period(row.period), row.window, row.measure, products, row.amount, row.watermark)
    return Baseline(subject, row.window, row.measure, products, row.amount, row.watermark)


# --- content hash ------------------------------------------------------------------------------------------------------------------

_MODULUS = 1 << 256


def row_hash(body: bytes) -> int:
    """A row's share of the content hash: SHA-256 of its canonical JSON as a number."""
    return int.from_bytes(hashlib.sha256(body).digest(), "big")


def hash_text(total: int) -> str:
    """The content hash as it is written: the sum modulo 2^256 as 64 hex digits."""
    return f"{total % _MODULUS:064x}"
