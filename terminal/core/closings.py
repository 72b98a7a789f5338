"""What is closed: the site, products, fuelling points. Nothing new is armed there, what is armed is taken back, what flows finishes.

A closing is about this terminal's service and not about the pump, so a fuelling point's machine does not know it: the pump goes on being
asked and surveyed, and a point that is closed here can at the same time be switched off, lost or running. (features.md F63.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terminal.core.card_data import Nozzle
from terminal.core.host_events import ClosingScope
from terminal.core.reasons import Reason

if TYPE_CHECKING:
    from terminal.core.sale import Sale


@dataclass(frozen=True, slots=True)
class Closing:
    """One thing that is closed. ``since``: the terminal's UTC milliseconds; ``event``: the host's, 0 for one made at the site."""

    scope: ClosingScope
    name: str
    why: str
    event: int
    since: int


class Closings:
    """Everything that is closed now. Asked by the teller and the sessions."""

    def __init__(self, closed: Iterable[Closing] = ()) -> None:
        self.closed: dict[tuple[ClosingScope, str], Closing] = {(one.scope, one.name): one for one in closed}

    @property
    def site(self) -> bool:
        """Nobody is served."""
        return (ClosingScope.SITE, "") in self.closed

    def point(self, number: int) -> bool:
        """Nothing is armed at this fuelling point."""
        return (ClosingScope.FUELLING_POINT, str(number)) in self.closed

    def product(self, product: str) -> bool:
        """This product is not sold."""
        return (ClosingScope.PRODUCT, product) in self.closed

    def open_nozzles(self, point: int, nozzles: tuple[Nozzle, ...]) -> tuple[Nozzle, ...]:
        """Those of a fuelling point's nozzles that may be offered."""
        if not self.closed:
            return nozzles
        if self.site or self.point(point):
            return ()
        return tuple(nozzle for nozzle in nozzles if not self.product(nozzle.product))

    def concerns(self, sale: Sale) -> Reason | None:
        """Why a sale that is not lifted yet may not be served any more, None when it may. One of its products is enough."""
        if self.site:
            return Reason.TERMINAL_NOT_READY
        if self.point(sale.fp) or any(self.product(allowed.product) for allowed in sale.allowed):
            return Reason.FUELLING_POINT_NOT_AVAILABLE
        return None
