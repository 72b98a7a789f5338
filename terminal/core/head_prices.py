"""The prices that a head shows, beside those in force at its fuelling point: told, read back, and nothing released while they differ.

A head is told its prices after each survey, when they change, and whenever it shows others; never over a fill whose record is not read and
confirmed (a DART head may lose it, an AZT head does), and never while fuel can flow. What it then shows is its own word: the answer that
follows ``SetPrices``, and the price that comes with each lift. (features.md F38; reference dispenser-protocols 1.7, 1.8 and 3.5.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from drivers.commands import SetPrices
from drivers.events import CommandFailed, NozzleLifted, PricesReported
from terminal.core.events import PricesOverdue
from terminal.core.faults import FaultCode
from terminal.core.internal_events import PriceRefused
from terminal.core.point_config import PointState
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.sale import Sale

ANSWER_MS = 10_000
"""A head at rest has told its prices long before this; the line's own time for an effect is 3 s."""
AGAIN_MS = 10_000
"""A head that shows other prices is told ours again, for ever: somebody may be working at it."""
SILENT_TRIES = 3
"""Tries to have prices read back before somebody is told."""
_STILL = (PointState.IDLE, PointState.CALLING, PointState.INOPERATIVE)


class HeadPrices:
    """Of one fuelling point. ``shown``: nozzle → price that the head itself has told since its survey."""

    def __init__(self, point: FuellingPoint, consider_release: Callable[[], None]) -> None:
        self.point = point
        self._consider_release = consider_release
        self.shown: dict[int, int] = {}
        self.connected = False  # surveyed, and not lost since
        self.due = False  # they are to be told
        self.asked = False  # they were told, and are being read back
        self._silent = 0
        self._ordered: dict[int, set[int]] = {}  # nozzle → prices that it was told and has not answered

    # --- questions --------------------------------------------------------------------------------------------------------------

    def agree(self, nozzle: int) -> bool:
        """Head and terminal have one price for this nozzle, and no other one is on its way to the head."""
        shown, ours = self.shown.get(nozzle), self.point.config.price(nozzle)
        if any(price != ours for price in self._ordered.get(nozzle, ())):
            return False  # what it shows may be from before that order: only the answer to the newest one counts
        return shown == ours if shown is not None else not (self.due or self.asked)

    def right_for(self, sale: Sale, nozzle: int) -> bool:
        """The sale was decided for what this nozzle sells, at the price in force: what its receipt says is then what the pump says."""
        ours = next((ref for ref in sale.nozzles if ref.nozzle == nozzle), None)
        now = next((each for each in self.point.config.nozzles if each.nozzle == nozzle), None)
        return ours is None or (now is not None and (ours.product, ours.price) == (now.product, now.price))

    @property
    def useless(self) -> bool:
        """Every nozzle is known to show another price: there is nothing to arm here."""
        return len(self.differing()) == len(self.point.config.nozzles)

    def differing(self) -> list[int]:
        """Nozzles for which the head has told another price than the one in force."""
        return [nozzle for nozzle, price in sorted(self.shown.items()) if price != self.point.config.price(nozzle)]

    # --- told to the head -------------------------------------------------------------------------------------------------------

    def unknown(self) -> None:
        """A survey, or a lost line: whatever was shown before counts for nothing. Told again when the pump's books are read."""
        self.shown.clear()
        self._ordered.clear()
        self.due, self.asked, self.connected = True, False, False
        self._silent = 0
        self.point.desk.cancel(PricesOverdue(self.point.number))

    def changed(self) -> None:
        """Other prices are in force."""
        self.due = True
        self.tell()

    def tell(self) -> None:
        """Tell the head now, if it is to be told and is at rest with every fill read and confirmed."""
        point = self.point
        if not self.due or self.asked or not self.connected or point.state not in _STILL:
            return
        if point.finished or point.reading or point.releasing or point.stops or point.switched_off or point.delivering() is not None:
            return
        self.restore()

    def restore(self) -> None:
        """Tell it whatever it keeps: a head without prices does nothing before it has some, and its record comes after."""
        self.due, self.asked = False, True
        for nozzle in self.point.config.nozzles:
            self._ordered.setdefault(nozzle.nozzle, set()).add(nozzle.price)
        self.point.desk.send(SetPrices(self.point.number, self.point.config.prices))
        self.point.desk.start(PricesOverdue(self.point.number), ANSWER_MS)

    # --- told by the head -------------------------------------------------------------------------------------------------------

    def reported(self, event: PricesReported, at: Instant) -> None:
        """The head's answer, in the order in which it was told; None where it does not say, which the lift of that nozzle will."""
        self.asked = False
        self._silent = 0
        for nozzle, price in zip(self.point.config.nozzles, event.prices, strict=False):
            if price is not None:
                self.shown[nozzle.nozzle] = price
        if self.due:
            self.tell()  # other prices have come into force meanwhile: this answer is to the ones before
            return
        self._ordered.clear()
        self._judge()
        if not self.differing():
            self._consider_release()

    def lifted(self, event: NozzleLifted) -> bool:
        """A nozzle is out and the head shows a price for it. True when it is ours; else the driver is told, and the head."""
        if event.price is not None:
            self.shown[event.nozzle] = event.price
            if not self.asked:
                self._ordered.pop(event.nozzle, None)  # no order is on its way: this is the head's newest word
        if self.agree(event.nozzle):
            if not self.differing():
                self.point.desk.clear_fault(FaultCode.PRICE_MISMATCH, self.point.subject)
            return True
        if not self.asked:
            self._judge()
            self.tell()
        sale = self.point.awaiting()
        if sale is not None:
            self.point.desk.tell(PriceRefused(self.point.number, sale.id))
        return False

    def failed(self, event: CommandFailed, at: Instant) -> None:
        """The head does not take the prices, or does not show them afterwards. A lost line says so for itself."""
        if not self.asked:
            return
        self.asked, self.due = False, True
        self.point.desk.raise_fault(FaultCode.PRICE_MISMATCH, self.point.subject, event.why)
        self.point.desk.start(PricesOverdue(self.point.number), AGAIN_MS)

    def overdue(self, event: PricesOverdue, at: Instant) -> None:
        """Nothing came back, or it is time to try once more."""
        if self.asked:
            self._silent += 1
            self.asked, self.due = False, True
            if self._silent >= SILENT_TRIES:
                self.point.desk.raise_fault(FaultCode.PRICE_MISMATCH, self.point.subject, "the head does not tell its prices")
        self.tell()
        if self.due:
            self.point.desk.start(PricesOverdue(self.point.number), AGAIN_MS)

    def _judge(self) -> None:
        desk, point = self.point.desk, self.point
        wrong = self.differing()
        if not wrong:
            desk.cancel(PricesOverdue(point.number))
            desk.clear_fault(FaultCode.PRICE_MISMATCH, point.subject)
            return
        said = ", ".join(f"nozzle {nozzle}: head {self.shown[nozzle]}, terminal {point.config.price(nozzle)}" for nozzle in wrong)
        desk.raise_fault(FaultCode.PRICE_MISMATCH, point.subject, said)
        self.due = True
        desk.start(PricesOverdue(point.number), AGAIN_MS)
