"""How this terminal is, as it tells its host: one value, built when it is due, never stored. (features.md F46, F59.)

Instants are the terminal's UTC milliseconds; None where nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from terminal.core.card_data import BalanceKind
from terminal.core.closings import Closing
from terminal.core.reasons import Measure, Period


class Offline(Enum):
    """How far a limit holds while the host is away."""

    EXACT = "exact"
    BOUNDED = "bounded"  # never more than this terminal can know of; other terminals' use since the lists is not in it
    NO = "no"


class PinKeyState(Enum):
    """What guards the verifiers of PINs on this terminal, as it is told to people."""

    SOFTWARE = "software"  # a key in a file: who has the disk and that file has all
    TPM = "tpm"  # a second key that cannot leave its chip
    ROLLED_BACK = "rolled back"  # there is a chip, and the ledger is an older copy: no PIN is checked here
    UNAVAILABLE = "unavailable"  # there should be a chip and it does not answer: no PIN is checked here


@dataclass(frozen=True, slots=True)
class Enforced:
    """One kind of limit and how far it is enforced without the host."""

    limit: str
    offline: Offline


def enforced(*, only_terminal: bool) -> tuple[Enforced, ...]:
    """Every kind of limit that a list may have, and the known ones that it may not. ``only_terminal``: nobody else serves these cards."""
    shared = Offline.EXACT if only_terminal else Offline.BOUNDED
    found = []
    for period in Period:
        for measure in Measure:
            if (period, measure) != (Period.FUELLING, Measure.COUNT):  # one fuelling is always one
                found.append(Enforced(f"{period.value} {measure.value}", Offline.EXACT if period is Period.FUELLING else shared))
    for kind in BalanceKind:
        found += [Enforced(f"{kind.value} {measure.value}", shared) for measure in (Measure.QUANTITY, Measure.VALUE)]
    found.append(Enforced("share", Offline.EXACT))
    return (*found, *(Enforced(period, Offline.NO) for period in ("WEEK", "YEAR", "ROLLING")))


@dataclass(frozen=True, slots=True)
class ListsState:
    """The card list in use."""

    epoch: str
    version: int
    rows: int
    content_hash: str
    checked_at: int | None


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits for the host. ``oldest``: since when the first waiting message waits."""

    unsent: int
    oldest: int | None
    quarantined: int


@dataclass(frozen=True, slots=True)
class PointReport:
    """A fuelling point with the sale that waits or runs there. ``closed``: by a closing, whatever its pump says."""

    fuelling_point: int
    state: str
    sale: str | None
    closed: bool


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A fault that is on."""

    code: str
    subject: str
    since: int
    detail: str


@dataclass(frozen=True, slots=True)
class NozzlePriceReport:
    """A price in force. ``shown``: what the head last said that it shows, None where it has not said."""

    fuelling_point: int
    nozzle: int
    product: str
    price: int
    version: int
    since: int
    shown: int | None


@dataclass(frozen=True, slots=True)
class AnnouncedPrices:
    """A change that is in the ledger and not in force everywhere yet."""

    version: int
    event: int
    starts_at: int


@dataclass(frozen=True, slots=True)
class PricesState:
    """The newest version that was taken, the prices in force, and the changes that are announced."""

    version: int
    in_force: tuple[NozzlePriceReport, ...] = ()
    planned: tuple[AnnouncedPrices, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminalState:
    """The whole report. ``clock_offset_ms``: the host's last time less ours when it was said.

    ``head``: number and hash of the ledger's newest row when the report leaves.
    """

    version: str
    boot: str
    at: int
    clock: str
    clock_offset_ms: int | None
    in_service: bool
    lists: ListsState
    queue: QueueState
    next_sequence: int
    epoch: int
    batch: int
    last_event: int
    push: bool
    points: tuple[PointReport, ...]
    faults: tuple[FaultReport, ...]
    closed: tuple[Closing, ...]
    enforces: tuple[Enforced, ...]
    pin_key: PinKeyState = PinKeyState.SOFTWARE
    prices: PricesState = PricesState(0)
    epoch_begins: int = 1
    head: tuple[int, bytes] = (0, b"")
