"""The ledger's fact about the counter that only goes up (core/rollback.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RollbackMarked:
    """The counter is about to stand here, or does. ``event``: the host's, with which it took this ledger as it is; 0 for every other."""

    value: int
    event: int = 0
    effective_at: int = 0
