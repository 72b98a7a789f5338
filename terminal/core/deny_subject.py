"""Whom a deny is about. A value of its own, because events, records and the deny book all name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class DenyKind(Enum):
    """The value is what ledger and card file store."""

    CARD = "card"
    CUSTOMER = "customer"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class DenySubject:
    """A medium's token, a customer's name, or the first and last number of a range (same length, by digits)."""

    kind: DenyKind
    value: str = field(repr=False)
    upto: str = field(default="", repr=False)
