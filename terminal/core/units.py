"""Integers with their unit in the type. No float comes near money, volume, price or time.

* ``Instant``: milliseconds of the machine's boot-time clock. Only differences mean something.
* ``UtcMs``: milliseconds since 1970-01-01 UTC, always the terminal's own time (see ``core.clock``).
* ``Millilitres``: volume. ``MinorUnits``: money in the currency's smallest unit. ``Price``: 1/10000 of the major unit per litre.
"""

from __future__ import annotations

from typing import NewType

Instant = NewType("Instant", int)
UtcMs = NewType("UtcMs", int)
Millilitres = NewType("Millilitres", int)
MinorUnits = NewType("MinorUnits", int)
Price = NewType("Price", int)


def cost_of(volume_ml: int, price: int, decimals: int) -> MinorUnits:
    """Money for a volume, rounded half up.

    ``decimals`` is the currency's number of decimals (0, 2 or 3). The one place where price meets volume; a pump's own amount,
    where there is one, stays authoritative for posting.
    """
    scale = 10 ** (7 - decimals)
    return MinorUnits((2 * volume_ml * price + scale) // (2 * scale))


def volume_for(value_minor: int, price: int, decimals: int) -> Millilitres | None:
    """The largest volume that costs at most this money, rounded down; None when the price is 0 and money binds nothing."""
    if price == 0:
        return None
    return Millilitres(value_minor * 10 ** (7 - decimals) // price)
