"""A card list as it travels: newline-delimited JSON rows, checked one by one, in bounded memory.

The last row says how many there are and the SHA-256 of every byte before it. A field that we do not know makes the whole list refused:
a limit that is half understood is not obeyed. (features.md F41, F59.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated

import msgspec

from drivers.events import MediumKind
from terminal.core.card_data import Balance, BalanceKind, Baseline, Card, Customer, Limit, Measure, Offline, Period, PinRule, Status
from terminal.core.windows import BadWindowKey, UnknownZone, window_of_key, zone_of
from terminal.host.json_lane import Amount, complaint
from terminal.store.card_file import CardFileError, DenyRow, ListRow, subject_of

MAX_LINE = 16_384
# Bounds of the contract, so that nothing of a list can break what stores it, and a clear number in the wrong field is refused.
Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class SnapshotError(Exception):
    """The list is not what it claims to be; the text names the line and the field, never a number of a card."""


class _Subject(msgspec.Struct, forbid_unknown_fields=True):
    card: Token | None = None
    customer: str | None = None


class _Row(msgspec.Struct, forbid_unknown_fields=True, tag_field="row"):
    pass


class _Customer(_Row, tag="customer"):
    customer: str
    status: Status
    offline: Offline
    zone: str | None = None


class _Pin(msgspec.Struct, forbid_unknown_fields=True):
    scheme: str
    epoch: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    verifier: Token
    tries: Annotated[int, msgspec.Meta(ge=1, le=9)]


class _Card(_Row, tag="card"):
    token: Token
    account: Token
    customer: str | None
    medium: MediumKind
    status: Status
    offline: Offline
    last4: Annotated[str, msgspec.Meta(max_length=4)]
    valid_from: date | None = None
    valid_to: date | None = None
    pin: _Pin | None = None
    products: list[str] | None = None
    prompts: list[str] = []
    tank_ml: Amount | None = None
    sites: list[str] | None = None
    hours: str | None = None
    pair: str | None = None
    language: str | None = None


class _Limit(_Row, tag="limit"):
    subject: _Subject
    period: Period
    measure: Measure
    amount: Amount
    products: list[str] | None = None


class _Balance(_Row, tag="balance"):
    subject: _Subject
    kind: BalanceKind
    measure: Measure
    amount: Amount
    products: list[str] | None = None
    watermark: Sequence | None = None


class _Baseline(_Row, tag="baseline"):
    subject: _Subject
    window: str
    measure: Measure
    amount: Amount
    products: list[str] | None = None
    watermark: Sequence | None = None


class _Deny(_Row, tag="deny"):
    card: Token | None = None
    customer: str | None = None
    range: tuple[str, str] | None = None


class _Product(_Row, tag="product"):
    product: str
    restricted: bool = False


class _End(_Row, tag="end"):
    rows: int
    sha256: str


_DECODER = msgspec.json.Decoder(_Customer | _Card | _Limit | _Balance | _Baseline | _Deny | _Product | _End)


def read(lines: Iterable[bytes], sha256: str, rows: int | None = None) -> Iterator[ListRow]:
    """The rows of a snapshot whose head promised ``sha256`` and, where given, so many ``rows``. Raises ``SnapshotError`` at the first thing
    that is wrong, at the latest behind the last row: nothing read so far may be used then."""
    digest = hashlib.sha256()
    ended = False
    for number, line in enumerate(lines, 1):
        if ended:
            raise SnapshotError(f"line {number}: rows behind the end row")
        if len(line) > MAX_LINE:
            raise SnapshotError(f"line {number}: longer than {MAX_LINE} bytes")
        try:
            row = _DECODER.decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise SnapshotError(f"line {number}: {complaint(error)}") from None
        if isinstance(row, _End):
            if row.rows != number - 1 or rows not in (None, row.rows) or row.sha256 != digest.hexdigest() or row.sha256 != sha256:
                raise SnapshotError(f"line {number}: the list is not the one that was announced (rows or hash differ)")
            ended = True
            continue
        digest.update(line + b"\n")
        yield from _values(row, number)
    if not ended:
        raise SnapshotError("the list ends without its end row: it was cut short")


def _values(row: object, number: int) -> Iterator[ListRow]:
    try:
        if isinstance(row, _Card):
            yield _card(row)
        elif isinstance(row, _Customer):
            if row.zone is not None:
                zone_of(row.zone)
            yield Customer(row.customer, row.status, row.offline, row.zone)
        elif isinstance(row, _Limit):
            yield Limit(subject_of(row.subject.card, row.subject.customer), row.period, row.measure, row.amount, _set(row.products))
        elif isinstance(row, _Balance):
            subject = subject_of(row.subject.card, row.subject.customer)
            yield Balance(subject, row.kind, row.measure, row.amount, _set(row.products), row.watermark)
        elif isinstance(row, _Baseline):
            subject = subject_of(row.subject.card, row.subject.customer)
            window_of_key(row.window, "UTC")
            yield Baseline(subject, row.window, row.measure, _set(row.products), row.amount, row.watermark)
        elif isinstance(row, _Deny):
            yield _deny(row)
    except UnknownZone:
        raise SnapshotError(f"line {number}: a time zone that this machine does not know") from None
    except (CardFileError, BadWindowKey) as error:
        raise SnapshotError(f"line {number}: {error}") from error


def _card(row: _Card) -> Card:
    pin = None if row.pin is None else PinRule(row.pin.scheme, row.pin.epoch, row.pin.verifier, row.pin.tries)
    return Card(
        token=row.token,
        account=row.account,
        customer=row.customer,
        status=row.status,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        pin=pin,
        products=_set(row.products),
        offline=row.offline,
        prompts=tuple(row.prompts),
        tank_ml=row.tank_ml,
        sites=_set(row.sites),
        pair=row.pair,
        language=row.language,
        last4=row.last4,
        hours=row.hours,
        medium=row.medium.value,
    )


def _deny(row: _Deny) -> DenyRow:
    if sum(named is not None for named in (row.card, row.customer, row.range)) == 1:
        if row.card is not None:
            return DenyRow("card", row.card)
        if row.customer is not None:
            return DenyRow("customer", row.customer)
        if row.range is not None and len(row.range[0]) == len(row.range[1]) and "" < row.range[0] <= row.range[1]:
            return DenyRow("range", row.range[0], row.range[1])
    raise CardFileError("a deny row names either a card, a customer, or the first and last of a range of equal lengths")


def _set(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
