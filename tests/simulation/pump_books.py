"""What the heads themselves say flowed, sale by sale, and the three books at the end: totalisers = sales + unattributed deliveries.

The harness stands beside every head with a can of its own: what a release let through is the totaliser's difference, less what left
without a release meanwhile. A sale may differ from that in three ways only, each of which stands in the ledger to the millilitre:
a register that lies tells something else; fuel that left unreleased before or under a release whose record is gone is in the totaliser
that takes the record's place; and what a register is short of its totaliser by is an unattributed delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hal_sim.dispensers.azt import AztHead
from hal_sim.dispensers.head import Change, Head, HeadState
from tests.simulation import invariants as inv
from tests.simulation.journal_facts import Broken, Facts, SaleFacts

RESOLUTION_ML = 10
"""One unit of what DART and AZT heads tell with two decimals: register and totaliser may be so far apart without being a finding."""

Note = Callable[[str, str, str], None]


class PumpBooks:
    """Watches every head. ``note(actor, subject, what)`` is for the trace; ``facts`` is the journal as it is now."""

    def __init__(self, heads: Mapping[int, Head], overrun_ml: int, facts: Callable[[], Facts], now: Callable[[], int], note: Note) -> None:
        self.heads = heads
        self.overrun_ml = overrun_ml
        self._facts = facts
        self._now = now
        self._note = note
        self.local: dict[tuple[int, int], int] = {}  # (fp, nozzle) → what left without a release
        self.through: dict[str, int] = {}  # sale → what its releases let through
        self._running: dict[int, tuple[str, int]] = {}  # fp → released sale, all totalisers before, less what left without it
        self._liars: dict[int, set[int]] = {}  # fp → by how much its register has been off
        self.known = 0  # sales that carry fuel which left without their release
        self.lied = 0  # sales whose register told something else than the totaliser
        self.unattributed = 0
        for fp, head in heads.items():
            head.listeners.append(lambda change, at, fp=fp: self._changed(fp, change, at))  # type: ignore[misc]
            if isinstance(head, AztHead):
                self._guard_price(fp, head)

    def lies(self, fp: int, off_ml: int) -> None:
        """From now on this head's register tells so much more than its totaliser; one that is read later than it ended may, too."""
        self._liars.setdefault(fp, set()).add(off_ml)

    def dispense(self, fp: int, nozzle: int, volume_ml: int) -> bool:
        """Fuel leaves without a release; False where nobody could tell afterwards what was whose."""
        if self._facts().released.get(fp) is not None and (fp in self._liars or not self.heads[fp].delivering):
            return False
        self.local[fp, nozzle] = self.local.get((fp, nozzle), 0) + volume_ml
        if fp in self._running:
            sale, before = self._running[fp]
            self._running[fp] = sale, before + volume_ml
        self.heads[fp].dispense_locally(nozzle, volume_ml, self._now())
        return True

    def check_head(self, fp: int) -> None:
        """See ``invariants.check_pump``."""
        inv.check_pump(fp, self.heads[fp], self._facts(), self._now(), self.overrun_ml)

    def check_all(self) -> None:
        """After a step."""
        facts, now = self._facts(), self._now()
        for fp, head in self.heads.items():
            if head.state in inv.FLOWING:
                inv.check_pump(fp, head, facts, now, self.overrun_ml)

    # --- what a head does -----------------------------------------------------------------------------------------------------

    def _changed(self, fp: int, change: Change, at: int) -> None:
        if change is not Change.STATE:
            return
        head, facts = self.heads[fp], self._facts()
        self._note("pump", f"fp {fp}", head.state.name)
        if head.state is HeadState.AUTHORIZED:
            self.check_head(fp)
            sale = facts.released[fp]
            if self.through.get(sale):
                raise Broken("released once", f"{sale} had {self.through[sale]} ml and is released again")
            self._running[fp] = sale, sum(head.totals_ml(at).values())
        elif head.state in inv.FINISHED and fp in self._running:
            sale, before = self._running.pop(fp)
            self.through[sale] = self.through.get(sale, 0) + sum(head.totals_ml(at).values()) - before
        elif head.state is HeadState.RESET and head.options.reset_clears_fill:
            self._erased(fp, "its record is erased")

    def _erased(self, fp: int, how: str) -> None:
        sale = self._facts().released.get(fp)
        if sale is not None and sale in self.through:
            raise Broken("erased after commit", f"fp {fp}: {how} and {sale} is not ended")

    def _guard_price(self, fp: int, head: AztHead) -> None:
        """A price clears an AZT register: never over a fill that is not in the ledger."""
        set_price = head.set_price

        def guarded(nozzle: int, price: int, now: int) -> bool:
            self._erased(fp, "a price clears its record")
            return set_price(nozzle, price, now)

        head.set_price = guarded  # type: ignore[method-assign]

    # --- the end ----------------------------------------------------------------------------------------------------------------

    def check(self, facts: Facts) -> None:
        """Every millilitre of every totaliser is a sale's, or unattributed, or stands beside a sale that the register told otherwise."""
        apart: dict[tuple[int, int], int] = {}
        for sale, one in facts.sales.items():
            self._check_sale(sale, one, apart)
        sold = facts.sold()
        for fp, head in self.heads.items():
            for nozzle, total in head.totals_ml(self._now()).items():
                parts = (sold.get((fp, nozzle), 0), facts.unattributed.get((fp, nozzle), 0), apart.get((fp, nozzle), 0))
                self.unattributed += parts[1]
                if total != sum(parts):
                    told = f"sales {parts[0]} ml, unattributed {parts[1]} ml, registers apart {parts[2]} ml"
                    raise Broken("three books", f"fp {fp} nozzle {nozzle}: totaliser {total} ml, {told}")

    def _check_sale(self, sale: str, one: SaleFacts, apart: dict[tuple[int, int], int]) -> None:
        flowed = self.through.get(sale, 0)
        if one.delivered is None or one.released is None:
            if flowed:
                raise Broken("sale is what flowed", f"{sale} has ended with nothing, its release let {flowed} ml through")
            return
        fp, nozzle, told = one.reserved.fp, one.released.nozzle, one.delivered.volume_ml
        moved = (one.delivered.total_end_ml or 0) - one.released.total_start_ml
        beside = self.local.get((fp, nozzle), 0)
        if told == flowed:
            pass
        elif flowed and any(told == max(0, flowed + off) for off in self._liars.get(fp, ())):
            self.lied += 1
        elif any(told - off in (moved, flowed + beside) and 0 < told - off - flowed <= beside for off in (0, *self._liars.get(fp, ()))):
            self.known += 1  # see simulation.md, "Known"; a register that lies does so about this fuel as well
        else:
            raise Broken("sale is what flowed", f"{sale}: {told} ml, its release let {flowed} ml through, the totaliser moved {moved} ml")
        if moved - told <= RESOLUTION_ML:  # a larger rest must be an unattributed delivery
            apart[fp, nozzle] = apart.get((fp, nozzle), 0) + moved - told
        if moved != told and fp not in self._liars and not beside:
            raise Broken("three books", f"{sale}: {told} ml, the totaliser of an honest head moved {moved} ml")

    def excess(self, facts: Facts) -> dict[str, int]:
        """By how much sales are above what their release let through: nobody's limit is to blame for it."""
        told = {sale: one.delivered.volume_ml for sale, one in facts.sales.items() if one.delivered is not None}
        return {sale: volume - self.through.get(sale, 0) for sale, volume in told.items() if volume > self.through.get(sale, 0)}
