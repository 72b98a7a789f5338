"""The journal's facts about unit prices, 1/10000 of the major unit per litre; instants are the terminal's UTC milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NozzlePrice:
    """A price of one nozzle."""

    fp: int
    nozzle: int
    product: str
    price: int


@dataclass(frozen=True, slots=True)
class PricesPlanned:
    """The host announced a change, and it is understood. It waits for its start, and then for each nozzle's fuelling to end."""

    event: int
    version: int
    starts_at: int
    prices: tuple[NozzlePrice, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class PriceSet:
    """A nozzle has this price from now on: each later sale carries it, its head is told to show it. ``version`` 0: the configuration's."""

    fp: int
    nozzle: int
    product: str
    price: int
    version: int
    effective_at: int


@dataclass(frozen=True, slots=True)
class PricesTaken:
    """A change is in force wherever it will ever be; the host is told since when. ``refused``: nowhere, and why."""

    event: int
    version: int
    effective_at: int
    refused: str | None = None


PriceRecord = PricesPlanned | PriceSet | PricesTaken
