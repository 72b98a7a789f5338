"""The ledger's facts about itself: the counter that only goes up (core/rollback.py), and what damage and repair left of it."""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.returned_record import ReturnRecord


@dataclass(frozen=True, slots=True)
class RollbackMarked:
    """The counter is about to stand here, or does. ``event``: the host's, with which it took this ledger as it is; 0 for every other."""

    value: int
    event: int = 0
    effective_at: int = 0


@dataclass(frozen=True, slots=True)
class LedgerRestored:
    """The ledger was found damaged, kept aside, and made anew from what was whole of it and of its backup (store/salvage.py).

    ``rows``: the newest row that was saved. ``lost``: rows behind it are gone, so that sales may have had ids from ``first`` on that nobody
    here knows of: new ones are numbered in ``epoch``. ``messages``: keys of what waited for the host and could not be written again.
    """

    why: str
    rows: int
    lost: bool
    epoch: int
    first: int
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerPruned:
    """What the host has had for long enough leaves the ledger: journal rows up to ``through``, whose hash (hex) is ``link``.

    ``digest`` (hex): of the snapshot that stands in their place (store/anchor.py). ``sales`` and ``batches``: runs, first and last, of the
    sequences and batches that go; ``rows``: how many rows of the journal.
    """

    through: int
    link: str
    digest: str
    sales: tuple[tuple[int, int], ...]
    batches: tuple[tuple[int, int], ...]
    rows: int


LedgerRecord = RollbackMarked | LedgerRestored | ReturnRecord | LedgerPruned
