"""What persons in charge say in a scenario: corrections of the host's office, orders at the site or through the host."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Correction:
    """What the host's office does to the last sale: its kind and what that needs. ``value_minor`` None: the sale's price decides."""

    kind: str
    quantity_ml: int | None = None
    value_minor: int | None = None
    card: str | None = field(default=None, repr=False)
    prompts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GivenOrder:
    """``kind`` as in ``terminal.core.orders``; ``fault`` names a fault's code, and every subject of it that is on is meant."""

    kind: str
    by_host: bool
    fuelling_point: int | None = None
    fault: str | None = None
