"""Prices on the rig: what the host says of them, and what people do at a head, over the forecourt's pipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from tests.behaviour.setup import Setup
from tests.behaviour.values import instant_ms
from tests.behaviour.walker import Pumps, Walker
from tests.behaviour.world import PriceSaid
from tests.rig.commissioning import walk
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import TerminalProcess

HEARD_MS = 5_000


class PriceHands:
    """Part of ``RigWorld``."""

    setup: Setup
    wait: Callable[[Callable[[], bool], int], bool]
    _forecourt: ForecourtClient
    _terminal: TerminalProcess

    def change_price(self, said: PriceSaid) -> None:
        """See ``World.change_price``."""
        starts_at_ms = instant_ms(said.starts, self.setup.zone) if said.starts else None
        event = self._forecourt.do("price", **said.fields(starts_at_ms))["event"]
        status = self._terminal.status()
        if status is not None and status.get("host") == "reachable":
            self.wait(lambda: self._price_heard(event), HEARD_MS)

    def _price_heard(self, event: int) -> bool:
        """In its ledger, which it says with its state; or answered, when it is in force or refused at once."""
        book = self._forecourt.do("host")
        return str(event) in book["acks"] or (book.get("terminal_state") or {}).get("last_event", 0) >= event

    def price_at_head(self, fp: int, nozzle: int, price: int) -> None:
        """See ``World.price_at_head``."""
        self._forecourt.do("price_at_head", fp=fp, nozzle=nozzle, price=price)

    def head_keeps_prices(self, fp: int, keeps: bool) -> None:
        """See ``World.head_keeps_prices``."""
        self._forecourt.do("habit", fp=fp, name="keeps_prices", on=keeps)

    def display(self, fp: int) -> tuple[int, int]:
        """See ``World.display``."""
        pump = next(pump for pump in self._forecourt.do("pumps")["pumps"] if pump["fp"] == fp)
        return int(pump["fill_ml"]), int(pump["fill_minor"])

    def commission(self, slips: Mapping[str, str]) -> Mapping[str, Any]:
        """See ``World.commission``: the real command, talked with over its pipes."""
        walker = Walker(cast(Pumps, self), slips)
        return walk(self._terminal, walker, self._terminal.config.with_name("commissioning.json"))

    def head_price(self, fp: int, nozzle: int) -> int | None:
        """See ``World.head_price``."""
        prices = next(pump["prices"] for pump in self._forecourt.do("pumps")["pumps"] if pump["fp"] == fp)
        found = prices.get(str(nozzle))
        return None if found is None else int(found)
