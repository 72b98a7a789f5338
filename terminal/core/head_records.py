"""What the ledger keeps of a dispenser's head besides its totals."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeadSettled:
    """The head's own count of releases and price changes when everything of them had been read (reference dispenser-protocols 3.8, AZT Y).

    After a restart another count means that something happened there without this terminal: it is read before anything else.
    """

    fp: int
    nozzle: int
    transaction: int
