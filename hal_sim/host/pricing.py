"""The host's prices: said to the terminal as versions with a start, repeated until each is acknowledged.

Source: firmware_notes/host-api.md, "Prices". Prices are 1/10000 of the major unit per litre, instants UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hal_sim.host.controls import Controls
from hal_sim.host.messages import instant_text
from hal_sim.host.report_messages import LONG


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A change as it was pushed. ``event`` is its id in the stream."""

    event: int
    version: int
    starts_at_ms: int | None
    rows: tuple[dict[str, Any], ...]
    said_at_ms: int


class Pricing(Controls):
    """See ``HostState``."""

    _price_changes: list[PriceChange]

    def change_price(self, product: str, price: int, **more: Any) -> int:
        """A new price for every nozzle of the product, or for those of one ``fuelling_point`` or one ``nozzle`` of it. The event's id.

        ``more`` also takes what ``change_prices`` takes. Raises ``ValueError``, also for a product that is not sold there.
        """
        row: dict[str, Any] = {"product": product, "price": price}
        row |= {name: more.pop(name) for name in ("fuelling_point", "nozzle") if more.get(name) is not None}
        return self.change_prices([row], **{name: value for name, value in more.items() if name not in ("fuelling_point", "nozzle")})

    def change_prices(
        self,
        rows: Sequence[dict[str, Any]],
        *,
        starts_at_ms: int | None = None,
        version: int | None = None,
        confirm_jump: bool = False,
        why: str = "",
        checked: bool = True,
    ) -> int:
        """Says these prices, in force from ``starts_at_ms`` on (None: at once), under the next version or the given one. The event's id.

        A row has ``product`` and ``price`` and may have ``fuelling_point`` and ``nozzle``. ``checked`` False says what cannot be, too: how
        a host behaves that is wrong. Raises ``ValueError``.
        """
        changes = self.price_changes()
        number = version if version is not None else 1 + max((each.version for each in changes), default=0)
        known = [nozzle for row in rows for nozzle in self._nozzles(row)]
        if checked and (not rows or not all(self._nozzles(row) and row["price"] > 0 for row in rows) or LONG(why) is not None):
            raise ValueError("a product that is sold here and a price above 0 are expected")
        for row in rows:
            for nozzle in self._nozzles(row):
                nozzle.price = row["price"]
        data = {
            "version": number,
            "starts_at": None if starts_at_ms is None else instant_text(starts_at_ms),
            "prices": [dict(row) for row in rows],
            "confirm_jump": confirm_jump,
            "why": why,
        }
        event = self._push.say("prices", (str(number), str(len(changes))), data, self._now())
        self._price_changes = [*changes, PriceChange(event, number, starts_at_ms, tuple(dict(row) for row in rows), self._now())]
        self._forget_replaced({(nozzle.fp, nozzle.nozzle) for nozzle in known})
        self._tell_listeners()
        return event

    def _nozzles(self, row: dict[str, Any]) -> list[Any]:
        where = row.get("fuelling_point"), row.get("nozzle")
        return [
            each
            for each in self._world.nozzles
            if each.product == row["product"] and where[0] in (None, each.fp) and where[1] in (None, each.nozzle)
        ]

    def _forget_replaced(self, newest: set[tuple[int, int]]) -> None:
        """What a terminal has in its ledger, and of which a later change says every nozzle again, need not be said to anybody any more."""
        *older, _ = self._price_changes
        for change in older:
            mine = {(nozzle.fp, nozzle.nozzle) for row in change.rows for nozzle in self._nozzles(row)}
            if change.event in self.acks and mine <= newest:
                self._push.forget(change.event)

    def price_changes(self) -> list[PriceChange]:
        """Every change that was said, in order."""
        return list(getattr(self, "_price_changes", ()))

    def price_answers(self) -> list[dict[str, Any]]:
        """Every change with what the terminal said of it: ``effective_at_ms`` and ``refused`` are None until it has."""
        return [
            {
                "event": each.event,
                "version": each.version,
                "starts_at_ms": each.starts_at_ms,
                "prices": [dict(row) for row in each.rows],
                "effective_at_ms": self.acks[each.event].effective_at_ms if each.event in self.acks else None,
                "refused": self.acks[each.event].refused if each.event in self.acks else None,
            }
            for each in self.price_changes()
        ]
