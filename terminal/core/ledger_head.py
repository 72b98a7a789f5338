"""The chain's head at the host: what it has once heard of must still be here. A cut tail shows by nothing else.

With every report of the terminal's state goes the ledger's newest row and its hash; the host keeps the highest and answers with the one
that it had before. A row that is not here, or is another one, means that rows are lost: the host decides alone until its people have
confirmed the ledger, and new sales are numbered in an epoch of their own. (features.md F57; reference security-and-reliability 4.1.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from terminal.core.corrections import PRUNED
from terminal.core.events import LiftOverdue
from terminal.core.faults import FaultCode
from terminal.core.ids import Minting
from terminal.core.internal_events import SaleDoubted
from terminal.core.restored import SUBJECT
from terminal.core.returned_record import LEFT_OPEN, first_of
from terminal.core.rollback_mark import LedgerRestored
from terminal.core.sale import GRID, OPEN_STATES, Sale
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.site import Site


def compare(site: Site, known: tuple[int, str] | None, at: Instant) -> None:
    """``known``: row and hash (hex) that the host had; None where it had none. Behind it the open sales of the start go on."""
    _compare(site, known, at)
    site.resuming.go_on(at)


def _compare(site: Site, known: tuple[int, str] | None, at: Instant) -> None:
    if known is None or (FaultCode.STORAGE_DAMAGED, SUBJECT) in site.desk.faults.active:
        return
    row, link = known
    here = site.recovered.past.hash_at(row)
    if here in (link, PRUNED):
        return
    why = f"the host knows row {row} of this ledger, which is " + ("not here" if here is None else "another one here")
    teller = site.teller
    epoch = teller.minting.epoch + 1
    first = first_of(epoch, teller.minting.next_sequence - 1)
    site.desk.persist(LedgerRestored(why, 0, True, epoch, first))
    teller.minting = Minting(teller.minting.terminal, epoch, first)
    site.batches.begin_epoch(epoch, first)
    for one in site.recovered.open_sales:
        if one.state in OPEN_STATES:
            _doubt(site, one, at)
    site.desk.raise_fault(FaultCode.STORAGE_DAMAGED, SUBJECT, why)
    site.state.returning.begin()


def _doubt(site: Site, one: Sale, at: Instant) -> None:
    """It may have ended in the rows that are lost; should it have been taken up again since, its point lets go of it."""
    GRID.fire(one, SaleDoubted(one.id, LEFT_OPEN), at)
    point = site.points.get(one.fp)
    if point is not None and point.sale == one.id:
        point.sale = None
        site.desk.cancel(LiftOverdue(point.number))
