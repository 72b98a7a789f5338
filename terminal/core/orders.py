"""What a person in charge orders, at the site or through the host: stop a fuelling point, acknowledge a fault, reset the emergency stop.

Each order names who gives it and why, and is a row of the journal once it is obeyed. (features.md F34; firmware_notes/host-api.md, Orders.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from terminal.core.ids import SaleId


class OrderKind(Enum):
    """What can be ordered; the value is the word of the host's contract and of the journal."""

    STOP_POINT = "stop_point"
    ACKNOWLEDGE_FAULT = "acknowledge_fault"
    RESET_EMERGENCY_STOP = "reset_emergency_stop"


@dataclass(frozen=True, slots=True)
class Order:
    """One order. ``by``: a person's name; ``fuelling_point`` of a stop, ``code`` and ``subject`` of an acknowledgement, else None."""

    kind: OrderKind
    by: str
    why: str
    fuelling_point: int | None = None
    code: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPushed:
    """The host gives an order. ``valid_until``: UTC milliseconds; what is heard later must not be done to somebody else's fuelling."""

    event: int
    order: Order
    valid_until: int


@dataclass(frozen=True, slots=True)
class OrderAsked:
    """A person at the site gives an order; ``ticket`` is how the answer finds him."""

    ticket: int
    order: Order


@dataclass(frozen=True, slots=True)
class OrderTaken:
    """An order was obeyed. ``event`` is the host's, 0 for one given at the site; ``effective_at`` UTC milliseconds."""

    event: int
    order: str
    by: str
    why: str
    fuelling_point: int | None
    code: str | None
    subject: str | None
    effective_at: int


@dataclass(slots=True)
class OrderMemory:
    """What the ledger remembers of orders: those obeyed lately, and the running sales that a person has stopped."""

    taken: list[OrderTaken] = field(default_factory=list)
    stopped: list[SaleId] = field(default_factory=list)
