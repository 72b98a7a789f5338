"""What an ``order`` event of the host's stream says. Contract: firmware_notes/host-api.md, "Orders"."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from terminal.core.host_events import EventUnusable
from terminal.core.orders import Order, OrderKind, OrderPushed
from terminal.host.json_lane import LaneError, decode, utc_ms

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _Order(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    order: OrderKind
    by: Text
    why: Annotated[str, msgspec.Meta(max_length=200)]
    valid_until: datetime
    fuelling_point: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    code: Text | None = None
    subject: Text | None = None


class _Numbered(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


_NEEDS = {
    OrderKind.STOP_POINT: (True, False),
    OrderKind.ACKNOWLEDGE_FAULT: (False, True),
    OrderKind.RESET_EMERGENCY_STOP: (False, False),
}
"""Kind → whether it names a fuelling point, whether it names a fault."""


def order(data: bytes) -> OrderPushed | EventUnusable:
    """What it says; one that can be numbered but not obeyed. Raises ``LaneError`` for one without a number."""
    try:
        said = decode(data, _Order)
        valid_until = utc_ms(said.valid_until)
    except LaneError as error:
        return EventUnusable(decode(data, _Numbered).id, f"order: {error}")
    named = (said.fuelling_point is not None, said.code is not None and said.subject is not None)
    if named != _NEEDS[said.order] or (said.code is None) is not (said.subject is None):
        return EventUnusable(said.id, f"order: {said.order.value} names another thing than it needs")
    return OrderPushed(said.id, Order(said.order, said.by, said.why, said.fuelling_point, said.code, said.subject), valid_until)
