"""Prices in the virtual world: what the host says of them, and what people do at a head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from tests.behaviour.setup import Setup
from tests.behaviour.values import instant_ms
from tests.behaviour.walker import Pumps
from tests.behaviour.world import PriceSaid
from tests.virtual.commissioning import walk
from tests.virtual.forecourt import Forecourt

HEARD_MS = 5_000


class PriceHands:
    """Part of ``VirtualWorld``."""

    setup: Setup
    station: Forecourt
    _folder: Path
    wait: Callable[[Callable[[], bool], int], bool]

    def change_price(self, said: PriceSaid) -> None:
        """See ``World.change_price``."""
        starts_at_ms = instant_ms(said.starts, self.setup.zone) if said.starts else None
        event = self.station.book.change_price(**said.fields(starts_at_ms))
        engine = self.station.terminal.engine
        if engine is not None and not engine.site.link.down:
            self.wait(lambda: engine.site.push.last_event >= event, HEARD_MS)

    def price_at_head(self, fp: int, nozzle: int, price: int) -> None:
        """See ``World.price_at_head``."""
        self.station.heads[fp].price_at_head(nozzle, price, self.station.heap.now)

    def head_keeps_prices(self, fp: int, keeps: bool) -> None:
        """See ``World.head_keeps_prices``."""
        self.station.heads[fp].keeps_prices = keeps

    def display(self, fp: int) -> tuple[int, int]:
        """See ``World.display``."""
        head, now = self.station.heads[fp], self.station.heap.now
        return head.fill_ml(now), head.fill_minor(now)

    def commission(self, slips: Mapping[str, str]) -> Mapping[str, Any]:
        """See ``World.commission``."""
        return walk(self.station, cast(Pumps, self), self.station.terminal.config.points, slips, self._folder / "commissioning.json")

    def head_price(self, fp: int, nozzle: int) -> int | None:
        """See ``World.head_price``."""
        return self.station.heads[fp].prices.get(nozzle)
