"""Numbers with decimals that a head and the forecourt count differently. Integers only; what cannot be told to a head is ``Unsendable``."""

from __future__ import annotations

VOLUME_ML_DECIMALS = 3
PRICE_DECIMALS = 4


class Unsendable(Exception):
    """A command that this head cannot be told. The text says why, in words for an operator."""


def rounded(value: int, decimals: int, to_decimals: int) -> int:
    """A reading in another unit; half a unit goes up. Exact unless decimals are lost."""
    if to_decimals >= decimals:
        return value * int(10 ** (to_decimals - decimals))
    scale = int(10 ** (decimals - to_decimals))
    return (2 * value + scale) // (2 * scale)


def floored(value: int, decimals: int, to_decimals: int) -> int:
    """A limit in another unit; never more than asked."""
    if to_decimals >= decimals:
        return value * int(10 ** (to_decimals - decimals))
    return value // int(10 ** (decimals - to_decimals))
