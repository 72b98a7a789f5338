"""What must be true of stops, whoever gives them: nothing is released while the emergency stop is on, a sale that a person has stopped
stays stopped, and a head that was last told to stop is not released by what waited on its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers.commands import AuthorizeFuellingPoint, StopFuellingPoint
from hal_sim.dispensers.head import Change, Head, HeadState
from terminal.core.effects import Effect, Send
from terminal.core.sale import SaleState
from terminal.core.site import Site
from tests.simulation.journal_facts import Broken, Facts

ON_THE_WIRE_MS = 1_000
"""A release that had begun when the stop came may still reach its head."""


class StopWatch:
    """Hears what the terminal sends and what the heads do. ``facts`` is the journal as it is now."""

    def __init__(self, heads: Mapping[int, Head], facts: Callable[[], Facts], now: Callable[[], int]) -> None:
        self._facts = facts
        self._now = now
        self._heads = heads
        self._heeded: set[str | None] = set()
        self._stopped: dict[int, int] = {}  # fp → when it was told to stop, if nothing has released it since
        for fp, head in heads.items():
            head.listeners.append(lambda change, at, fp=fp, head=head: self._changed(fp, head, change))  # type: ignore[misc]

    def started(self) -> None:
        """The program starts: what it has not been able to say is said when the pump is heard."""
        self._heeded |= self._facts().stopped

    def sending(self, effect: Effect) -> None:
        """What leaves the terminal."""
        command = effect.command if isinstance(effect, Send) else None
        if isinstance(command, StopFuellingPoint):
            self._stopped[command.fp] = self._now()
        elif isinstance(command, AuthorizeFuellingPoint):
            facts = self._facts()
            if facts.emergency:
                raise Broken("emergency stop", f"fp {command.fp} is told to release while it is on")
            if facts.released.get(command.fp) in facts.stopped:
                raise Broken("stop order", f"{facts.released[command.fp]} is released after a person has stopped it")
            self._stopped.pop(command.fp, None)

    def check(self, site: Site) -> None:
        """Behind a step nothing waits for its nozzle while the emergency stop is on, and the terminal knows what its ledger says of it."""
        facts = self._facts()
        if site.emergency.on is not facts.emergency:
            raise Broken("emergency stop", f"memory says {site.emergency.on}, the ledger {facts.emergency}")
        for one in site.desk.sales.values():
            if one.state is SaleState.AUTHORIZED and (facts.emergency or one.id in facts.stopped):
                raise Broken("emergency stop" if facts.emergency else "stop order", f"{one.id} is armed all the same")
        if len(facts.stopped) > len(self._heeded):
            for fp, sale in facts.released.items():
                if sale in facts.stopped - self._heeded and self._heads[fp].valve_open and fp not in self._stopped:
                    raise Broken("stop order", f"{sale} may flow at fp {fp}, which was not told to stop")
            self._heeded |= facts.stopped

    def _changed(self, fp: int, head: Head, change: Change) -> None:
        if change is Change.STATE and head.state is HeadState.AUTHORIZED:
            since = self._stopped.get(fp)
            if since is not None and self._now() - since > ON_THE_WIRE_MS:
                raise Broken("stopped stays stopped", f"fp {fp} is released {self._now() - since} ms after it was told to stop")
