"""The shapes of a card list's rows: which fields each has and within which bounds. What is done with them: list_rows.py.

A field that is not here is refused wherever one of these is decoded. (features.md F41, F59; firmware_notes/host-api.md, The card list.)
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from drivers.events import MediumKind
from terminal.core.card_data import BalanceKind, Measure, Offline, Period, Status
from terminal.core.card_table import PinAt, RangeKind, Routing, TrackField
from terminal.core.prompt_rules import Implausible, WrongAnswers

# Bounds of the contract, so that nothing of a list can break what stores it. Hex digits are checked where the key is made: a pattern here
# costs more than everything else that is done with a row.
Amount = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Token = Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Label = Annotated[str, msgspec.Meta(max_length=64)]
Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}\Z")]
PromptName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_ ]{1,32}\Z")]
Step = Annotated[int, msgspec.Meta(ge=-(10**10), le=10**10)]


class SubjectName(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a bound binds: a card or a customer."""

    card: Token | None = None
    customer: Name | None = None


class _Row(msgspec.Struct, forbid_unknown_fields=True, tag_field="row"):
    pass


class CustomerRow(_Row, tag="customer"):
    """A customer."""

    customer: Name
    status: Status
    offline: Offline
    zone: str | None = None


class _Pin(msgspec.Struct, forbid_unknown_fields=True):
    scheme: str
    epoch: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    verifier: Token
    tries: Annotated[int, msgspec.Meta(ge=1, le=9)]


class CardRow(_Row, tag="card"):
    """A medium with everything that is particular to it."""

    token: Token
    account: Token
    customer: Name | None
    medium: MediumKind
    status: Status
    offline: Offline
    last4: Annotated[str, msgspec.Meta(max_length=4)]
    valid_from: date | None = None
    valid_to: date | None = None
    pin: _Pin | None = None
    products: list[Name] | None = None
    prompts: list[Name] = []
    tank_ml: Amount | None = None
    sites: list[Name] | None = None
    hours: Name | None = None
    pair: Name | None = None
    language: Name | None = None
    cost_centre: Label | None = None
    driver: Label | None = None


class LimitKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a limit is known."""

    subject: SubjectName
    period: Period
    measure: Measure
    products: list[Name] | None = None


class LimitRow(_Row, tag="limit"):
    """At most so much a period."""

    subject: SubjectName
    period: Period
    measure: Measure
    amount: Amount
    products: list[Name] | None = None
    shared: bool = False


class BalanceKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a balance is known."""

    subject: SubjectName
    kind: BalanceKind
    measure: Measure
    products: list[Name] | None = None


class BalanceRow(_Row, tag="balance"):
    """What may still be taken."""

    subject: SubjectName
    kind: BalanceKind
    measure: Measure
    amount: Amount
    products: list[Name] | None = None
    watermark: Sequence | None = None


class BaselineKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a baseline is known."""

    subject: SubjectName
    window: str
    measure: Measure
    products: list[Name] | None = None


class BaselineRow(_Row, tag="baseline"):
    """What the host has counted in a window."""

    subject: SubjectName
    window: str
    measure: Measure
    amount: Amount
    products: list[Name] | None = None
    watermark: Sequence | None = None


class ShareKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a share is known."""

    subject: SubjectName
    window: str
    measure: Measure
    products: list[Name] | None = None


class ShareRow(_Row, tag="share"):
    """What this terminal may take offline of a shared limit within one window."""

    grant: Label
    subject: SubjectName
    period: Literal["DAY", "MONTH"]
    window: str
    measure: Measure
    amount: Amount
    products: list[Name] | None = None
    watermark: Sequence | None = None


class OnlineOnlyKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a range that is online only is known."""

    range: tuple[Name, Name]


class OnlineOnlyRow(_Row, tag="online_only"):
    """A range of numbers that is never decided offline."""

    range: tuple[Name, Name]


class DenyKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a denial is known."""

    card: Token | None = None
    customer: Name | None = None
    range: tuple[Name, Name] | None = None


class DenyRow(_Row, tag="deny"):
    """A denied card, customer or range of numbers."""

    card: Token | None = None
    customer: Name | None = None
    range: tuple[Name, Name] | None = None


class RangeKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a range of the card table is known."""

    first: Digits
    last: Digits


class _Slice(msgspec.Struct, forbid_unknown_fields=True):
    field: TrackField
    start: Annotated[int, msgspec.Meta(ge=0, le=80)]
    length: Annotated[int, msgspec.Meta(ge=1, le=80)] | None = None


class _ProductCodes(msgspec.Struct, forbid_unknown_fields=True):
    slice: _Slice
    codes: dict[Label, list[Name] | None]


class _PromptCodes(msgspec.Struct, forbid_unknown_fields=True):
    slice: _Slice
    codes: dict[Label, list[PromptName]]


class RangeRow(_Row, tag="range"):
    """What the card table says of the numbers that begin with ``first`` to ``last``."""

    first: Digits
    last: Digits
    kind: RangeKind
    routing: Routing
    lengths: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=64)]], msgspec.Meta(min_length=1, max_length=64)]
    luhn: bool
    media: list[MediumKind] | None = None
    number: _Slice | None = None
    restriction: _ProductCodes | None = None
    prompts: _PromptCodes | None = None
    pin: PinAt | None = None
    expiry: bool = True
    service_code: bool = True


class PromptKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what the rule of a prompt is known."""

    subject: SubjectName
    prompt: PromptName


class PromptRow(_Row, tag="prompt"):
    """How the answers of a card's account, or of a customer's cards, to one prompt are judged."""

    subject: SubjectName
    prompt: PromptName
    min_digits: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    max_digits: Annotated[int, msgspec.Meta(ge=1, le=10)] = 10
    answers: Annotated[list[Token], msgspec.Meta(max_length=500)] | None = None
    min_step: Step | None = None
    max_step: Step | None = None
    most_per_100km_ml: Amount | None = None
    least_per_100km_ml: Amount | None = None
    most_per_hour_ml: Amount | None = None
    least_per_hour_ml: Amount | None = None
    implausible: Implausible = Implausible.MARK
    wrong: WrongAnswers = WrongAnswers.REFUSE


class OdometerKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what an odometer's reading is known."""

    account: Token


class OdometerRow(_Row, tag="odometer"):
    """The reading of an account's odometer that the host knows, and since when."""

    account: Token
    reading: Annotated[int, msgspec.Meta(ge=0, le=10**10)]
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class ProductKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a product is known."""

    product: Name


class ProductRow(_Row, tag="product"):
    """A product that rows of the list may name."""

    product: Name
    restricted: bool = False


class EndRow(_Row, tag="end"):
    """How many rows there were, and SHA-256 of all bytes before this line."""

    rows: int
    sha256: str


class RemoveRow(_Row, tag="remove"):
    """Only in deltas: the row of this kind with this key goes. The key has the fields of the row by which it is known."""

    kind: str
    key: msgspec.Raw


class CardKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a card is known."""

    token: Token


class CustomerKey(msgspec.Struct, forbid_unknown_fields=True):
    """By what a customer is known."""

    customer: Name


AnyRow = (
    CustomerRow
    | CardRow
    | LimitRow
    | BalanceRow
    | BaselineRow
    | ShareRow
    | OnlineOnlyRow
    | DenyRow
    | RangeRow
    | PromptRow
    | OdometerRow
    | ProductRow
    | EndRow
)
