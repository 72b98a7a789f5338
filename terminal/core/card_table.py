"""The card table: what a range of numbers says about every card in it, and what of a medium is the card's own number.

A range is a run of beginnings (``first`` to ``last``, digits of one length); the longest beginning wins, of two as long the narrower run.
A number in a range is judged (length, check digit, expiry and service code of its track) and cut to the slice that the lists know; codes
on the track narrow products and add prompts. A number in no range stays what it is. Bank cards are ranges too: unless the site allows
them as mere identifiers they are unknown here, and their PIN is never asked for.
(features.md F06, F07; reference/host-and-offline-authorization.md 4.1, 4.2 and 8.6 step 1; ISO/IEC 7812-1 for the check digit.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from drivers.events import MediumKind, MediumPresented
from terminal.core.reasons import Reason

_BANK = "EMV-"
_BANK_NAME = re.compile(r"EMV-[0-9a-f]{32}-[0-9]{4}", re.ASCII)
OTHERWISE = "*"
"""The code that stands for every code that is not named."""


class RangeKind(Enum):
    """Whose cards a range holds."""

    FLEET = "fleet"
    BANK = "bank"
    TECHNICIAN = "technician"
    OTHER = "other"


class Routing(Enum):
    """Who decides: the host wherever it can be reached, the lists alone, or nobody."""

    HOST = "host"
    LOCAL = "local"
    NONE = "none"


class PinAt(Enum):
    """Who checks the PIN of a range's cards. Where a range does not say, the card's own row does."""

    NONE = "none"
    OFFLINE = "offline"
    ONLINE = "online"


class TrackField(Enum):
    """What of a medium a slice is cut from."""

    NUMBER = "number"
    DISCRETIONARY = "discretionary"


@dataclass(frozen=True, slots=True)
class Slice:
    """``length`` characters from ``start`` on; None: all the rest."""

    field: TrackField
    start: int
    length: int | None

    def of(self, medium: MediumPresented) -> str | None:
        """The characters; None when the medium does not have them all."""
        text = medium.number if self.field is TrackField.NUMBER else medium.discretionary or ""
        end = len(text) if self.length is None else self.start + self.length
        return text[self.start : end] if self.start < end <= len(text) else None


@dataclass(frozen=True, slots=True)
class Coded:
    """A code on the medium and what each value of it names; None names no bound at all."""

    slice: Slice
    codes: dict[str, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class CardRange:
    """One row of the card table. None means: every medium, the whole number, no such code, as the card's row says (PIN)."""

    first: str = field(repr=False)
    last: str = field(repr=False)
    kind: RangeKind
    routing: Routing
    lengths: tuple[int, ...]
    luhn: bool
    media: frozenset[MediumKind] | None = None
    number: Slice | None = None
    restriction: Coded | None = None
    prompts: Coded | None = None
    pin: PinAt | None = None
    expiry: bool = True
    service_code: bool = True

    @property
    def rank(self) -> tuple[int, int]:
        """How particular it is: the higher goes before."""
        return len(self.first), int(self.first) - int(self.last)

    def covers(self, number: str) -> bool:
        """Does this number begin within the range?"""
        return number.isascii() and number.isdigit() and self.first <= number[: len(self.first)] <= self.last


@dataclass(frozen=True, slots=True)
class Reading:
    """A medium as the card table reads it. ``products`` and ``prompts`` stand beside what the card's row says.

    ``online_only``: the track says that only the issuer decides. ``local``: the host is not asked. ``technician``: it tests meters.
    """

    number: str = field(repr=False)
    products: frozenset[str] | None = None
    prompts: tuple[str, ...] = ()
    pin: PinAt | None = None
    online_only: bool = False
    local: bool = False
    technician: bool = False


def luhn_holds(number: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = ord(digit) - ord("0")
        total += value if place % 2 == 0 else (value * 2 - 9 if value > 4 else value * 2)
    return total % 10 == 0


def ambiguous(ranges: Sequence[CardRange]) -> tuple[CardRange, CardRange] | None:
    """Two ranges as particular as each other that share numbers: nobody could say which one counts."""
    ordered = sorted(ranges, key=lambda one: (*one.rank, one.first))
    for before, after in zip(ordered, ordered[1:], strict=False):
        if before.rank == after.rank and after.first <= before.last:
            return before, after
    return None


def range_of(ranges: Iterable[CardRange], medium: MediumPresented) -> CardRange | None:
    """The most particular range that holds this medium's number."""
    found = [one for one in ranges if one.covers(medium.number) and (one.media is None or medium.kind in one.media)]
    return max(found, key=lambda one: one.rank, default=None)


def read(ranges: Iterable[CardRange], medium: MediumPresented, today: date, *, bank_cards: bool = False) -> Reading | Reason:
    """What this medium is, or why it is none that can be served. ``today`` is the site's date."""
    if medium.kind is MediumKind.SMART_CARD and is_bank_name(medium.number):
        if not bank_cards:
            return Reason.CARD_UNKNOWN
        gone = None if medium.expiry is None else _expired(medium, today)
        return gone or Reading(medium.number, pin=PinAt.NONE)
    row = range_of(ranges, medium)
    if row is None:
        return Reading(medium.number)
    if row.routing is Routing.NONE or (row.kind is RangeKind.BANK and not bank_cards):
        return Reason.CARD_UNKNOWN
    if len(medium.number) not in row.lengths or (row.luhn and not luhn_holds(medium.number)):
        return Reason.MEDIUM_UNREADABLE  # a digit was lost or misread
    number = medium.number if row.number is None else row.number.of(medium)
    restriction, prompts = _code(row.restriction, medium), _code(row.prompts, medium)
    if number is None or restriction is None or prompts is None:
        return Reason.MEDIUM_UNREADABLE
    refused = _expired(medium, today) if row.expiry and _has_track(medium) else None
    return refused or Reading(
        number=number,
        products=_products(row.restriction, restriction),
        prompts=_prompts(row.prompts, prompts),
        pin=PinAt.NONE if row.kind is RangeKind.BANK else row.pin,
        online_only=row.service_code and (medium.service_code or "")[1:2] == "2",
        local=row.routing is Routing.LOCAL or row.kind is RangeKind.TECHNICIAN,
        technician=row.kind is RangeKind.TECHNICIAN,
    )


def is_bank_name(number: str) -> bool:
    """A bank card that was read by its chip: the reader has made its number a token, nobody here ever had it."""
    return _BANK_NAME.fullmatch(number) is not None


def token_of_name(number: str) -> str:
    """The token within such a name."""
    return number[len(_BANK) : len(_BANK) + 32]


def _has_track(medium: MediumPresented) -> bool:
    return medium.kind in (MediumKind.STRIPE, MediumKind.SMART_CARD)


def _code(coded: Coded | None, medium: MediumPresented) -> str | None:
    """The code that stands on the medium: "" where none is asked for, None where it should stand and does not."""
    return "" if coded is None else coded.slice.of(medium)


def _expired(medium: MediumPresented, today: date) -> Reason | None:
    """YYMM holds to the end of its month; a track without a date that is asked for cannot be judged."""
    text = medium.expiry or ""
    if len(text) != 4 or not (text.isascii() and text.isdigit()) or not 1 <= int(text[2:]) <= 12:
        return Reason.MEDIUM_UNREADABLE
    return Reason.CARD_EXPIRED if (2000 + int(text[:2]), int(text[2:])) < (today.year, today.month) else None


def _products(coded: Coded | None, code: str) -> frozenset[str] | None:
    """A code that nobody named allows nothing: it may forbid just what is wanted."""
    if coded is None:
        return None
    named = coded.codes[code] if code in coded.codes else coded.codes.get(OTHERWISE, ())
    return None if named is None else frozenset(named)


def _prompts(coded: Coded | None, code: str) -> tuple[str, ...]:
    """A code that nobody named asks for everything that any code asks for."""
    if coded is None:
        return ()
    if code in coded.codes or OTHERWISE in coded.codes:
        return coded.codes.get(code, coded.codes.get(OTHERWISE)) or ()
    return tuple(dict.fromkeys(name for names in coded.codes.values() for name in names or ()))
