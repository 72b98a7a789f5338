"""The host's prices as they come over the stream, read strictly: a field that is not known could change what a price means.

Contract: firmware_notes/host-api.md, "Prices". Prices are integers, 1/10000 of the major unit per litre.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from terminal.core.host_events import EventUnusable
from terminal.core.prices import PriceRow, PricesPushed
from terminal.host.json_lane import LaneError, decode, utc_ms

Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Bounds of a price are the price book's to judge, which says why."""


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    product: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    price: Whole
    fuelling_point: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    nozzle: Annotated[int, msgspec.Meta(ge=1, le=99)] | None = None


class _Prices(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    starts_at: datetime | None
    prices: Annotated[list[_Row], msgspec.Meta(min_length=1, max_length=1500)]
    confirm_jump: bool = False
    why: Annotated[str, msgspec.Meta(max_length=200)] = ""


class _Numbered(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


def prices(data: bytes) -> PricesPushed | EventUnusable:
    """A change of prices, or what makes it unusable. Raises ``LaneError`` when not even its number can be read."""
    try:
        said = decode(data, _Prices)
        starts_at = None if said.starts_at is None else utc_ms(said.starts_at)
    except LaneError as error:
        return EventUnusable(decode(data, _Numbered).id, f"prices: {error}")
    rows = tuple(PriceRow(row.product, row.price, row.fuelling_point, row.nozzle) for row in said.prices)
    return PricesPushed(said.id, said.version, starts_at, rows, said.confirm_jump, said.why)
