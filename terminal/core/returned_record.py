"""What came back from the host of a ledger that had lost rows: each sale as one fact, and how the search for them ended.

(firmware_notes/host-api.md, "Sales that the terminal lost"; core/return_desk.py.)
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.attempt import MediumRef, SaleExtra
from terminal.core.ids import SaleId

ROOM = 1_000_000
"""Numbers of an epoch begin at a multiple of it, plus 1. What the epoch before had lost keeps its own numbers, and whoever compares two
numbers of this terminal knows which sale was first: watermarks stay right."""
LEFT_OPEN = "open where the ledger lost rows"
"""Why a sale is in doubt that may have ended in the lost rows."""
LEAST_ROOM = 100_000
"""So many sales may have been lost behind the last number that is known."""


def first_of(epoch: int, last: int) -> int:
    """Where the numbers of a new epoch begin. ``last``: the highest number that is known of those before."""
    return max((epoch - 1) * ROOM, -(-(last + LEAST_ROOM) // ROOM) * ROOM) + 1


def may_begin(sequence: int) -> bool:
    """Whether an epoch may begin at this number, apart from right behind the one before."""
    return sequence % ROOM == 1


@dataclass(frozen=True, slots=True)
class SaleReturned:
    """A sale that this ledger had lost, or has only the beginning of, as the host has it. Nothing of it is sent again.

    ``found``: the host only held an authorization; what was taken was found at the pump, and its completion is stored by the same commit.
    Volumes in millilitres, money in minor units, the price in 1/10000 of the major unit per litre, instants UTC milliseconds.
    """

    sale: SaleId
    epoch: int
    sequence: int
    fp: int
    nozzle: int | None
    card: MediumRef
    account: str
    customer: str | None
    pin_verified: bool
    prompts: tuple[tuple[str, str], ...]
    product: str | None
    price: int | None
    quantity_ml: int
    value_minor: int
    decided_by: str
    authorization: str | None
    authorized_at: int
    ended_at: int
    end: str
    total_start_ml: int | None
    total_end_ml: int | None
    clock: str
    list_version: int
    cost_centre: str | None = None
    driver: str | None = None
    extra: SaleExtra = SaleExtra()
    found: bool = False

    @property
    def end_ml(self) -> int:
        """Where its nozzle's totaliser stood at its end, as far as anybody knows."""
        return (self.total_start_ml or 0) + self.quantity_ml if self.total_end_ml is None else self.total_end_ml

    @property
    def moved_ml(self) -> int:
        """How far its nozzle's totaliser moved."""
        return self.end_ml - (self.total_start_ml or 0)


@dataclass(frozen=True, slots=True)
class ReturnSettled:
    """The host has given what it had of the old ``epoch``; new sales are numbered in ``now``.

    ``returned`` sales came back, of ``quantity_ml`` together; of ``unknown`` numbers the host has nothing either, the first is
    ``first_unknown``; ``held``: authorizations that the host still holds and of which nobody here can say what was taken; ``refused``:
    what the host said and this ledger does not take; ``doubtful``: sales that were open in what the loss has left, which the host has not
    booked and whose fuel nobody here can tell.
    """

    epoch: int
    now: int
    returned: int
    quantity_ml: int
    unknown: int
    first_unknown: int
    held: tuple[SaleId, ...]
    refused: int
    doubtful: tuple[SaleId, ...] = ()


ReturnRecord = SaleReturned | ReturnSettled
