"""What the host gives back of a lost ledger, as it comes in; and what the ledger says of how far that has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from terminal.core.records import NozzleRef, SaleCorrected
from terminal.core.returned_record import SaleReturned
from terminal.core.units import UtcMs

Nozzle = tuple[int, int]


@dataclass(frozen=True, slots=True)
class BackSale:
    """One booked sale with its corrections; their ``effective_at`` is the instant at which they are written."""

    fact: SaleReturned
    corrections: tuple[SaleCorrected, ...] = ()


@dataclass(frozen=True, slots=True)
class BackHold:
    """An authorization that was neither completed nor reversed: the sale as if nothing had been taken, and what it may take at most."""

    fact: SaleReturned
    nozzles: tuple[NozzleRef, ...]
    quantity_ml: int | None
    value_minor: int | None


@dataclass(frozen=True, slots=True)
class SalesBack:
    """A page: the sales of ``epoch`` behind number ``after``, in their order. ``last``: the highest number that the host knows there."""

    epoch: int
    after: int
    last: int
    more: bool
    sales: tuple[BackSale, ...]
    holds: tuple[BackHold, ...]
    host_time: UtcMs


@dataclass(frozen=True, slots=True)
class SalesBackFailed:
    """The question for a page got no usable answer; it is asked again."""

    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """What is to be asked next: the sales of ``epoch`` behind ``after``. ``now``: the new epoch, whose numbers begin at ``first``."""

    epoch: int
    after: int
    now: int
    first: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the ledger has since the loss. ``kept``: the highest number of the epoch that was never lost; ``numbers``: those that came back.

    ``exact``: it is certain which row the loss begins behind. ``unexplained``: by nozzle, millilitres without a sale less what came back;
    ``ends``: where those totalisers stood last; ``raised``: subjects of the faults of such fuel since; ``unsure``: nozzles whose
    totaliser cannot tell what was taken, because it was read for the first time, or went back; ``left_open``: sales that are in doubt
    because of this loss.
    """

    kept: int
    numbers: tuple[int, ...]
    quantity_ml: int
    exact: bool = False
    unexplained: dict[Nozzle, int] = field(default_factory=dict)
    ends: dict[Nozzle, int] = field(default_factory=dict)
    raised: frozenset[str] = frozenset()
    unsure: frozenset[Nozzle] = frozenset()
    left_open: frozenset[str] = frozenset()


class LostSales(Protocol):
    """Looks into the ledger for what a loss has left of it."""

    def epoch_begins(self) -> int:
        """The first number of the present epoch."""

    def missing(self) -> Missing | None:
        """What is to be asked of the host next; None when nothing was lost, or everything was asked."""

    def outcome(self, missing: Missing) -> Outcome:
        """How far it has come with an epoch."""

    def number_taken(self, sequence: int) -> bool:
        """Has a sale that is here this number, of whatever epoch?"""


class NothingLost:
    """Of a ledger that never lost anything."""

    def epoch_begins(self) -> int:
        """See ``LostSales``."""
        return 1

    def missing(self) -> Missing | None:
        """See ``LostSales``."""
        return None

    def outcome(self, missing: Missing) -> Outcome:
        """See ``LostSales``."""
        return Outcome(0, (), 0)

    def number_taken(self, sequence: int) -> bool:
        """See ``LostSales``."""
        return False
