"""Sales that were open in what a loss of rows has left: what may be said of them, and what may not.

Such a sale may have ended in the rows that are lost, and others have fuelled at its point since, so neither the pump's record nor where its
totaliser stands is its end. It is in doubt from the commit on that says of the loss. The host's record ends it; so does a totaliser behind
which nothing is left without a sale, which proves that nothing was taken. Everything else is for people. (core/return_desk.py;
firmware_notes/storage.md.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from terminal.core.facts import Policy
from terminal.core.ids import SaleId
from terminal.core.returned_sales import BackHold, Missing, Nozzle, Outcome
from terminal.core.sale import Sale, SaleState

if TYPE_CHECKING:
    from terminal.core.site import Site


def doubtful(site: Site, missing: Missing) -> list[Sale]:
    """The sales of this epoch that the ledger has, and not their end, in the order of their numbers."""
    found = [one for one in site.desk.sales.values() if one.state is SaleState.IN_DOUBT and one.epoch == missing.epoch]
    return sorted((one for one in found if one.sequence < missing.first), key=lambda one: one.sequence)


def take_out(site: Site, sale: SaleId) -> None:
    """The host's word is its end: what it held goes."""
    one = site.desk.sales.pop(sale, None)
    if one is not None and site.desk.book.get(sale) is not None:
        site.desk.book.drop(sale)
        site.desk.exposure.drop(sale)


def took_nothing(one: Sale, outcome: Outcome, left: dict[Nozzle, int]) -> bool:
    """Whether the totalisers of its point prove that it took nothing since it was last known.

    That it was open then, and not in doubt already for another reason, the journal must say since the same loss.
    """
    mine = {ref.nozzle for ref in one.nozzles} | ({one.nozzle} if one.nozzle is not None else set())
    if not outcome.exact or one.id not in outcome.left_open or any((one.fp, nozzle) in outcome.unsure for nozzle in mine):
        return False
    return not any(volume_ml for (fp, _), volume_ml in left.items() if fp == one.fp)


def crowded(holds: Iterable[BackHold], open_sales: Iterable[Sale]) -> set[int]:
    """Fuelling points of which more than one sale is asked for."""
    places = {one.fact.sale: one.fact.fp for one in holds} | {one.id: one.fp for one in open_sales}
    points = list(places.values())
    return {fp for fp in points if points.count(fp) > 1}


def decides_alone(policy: Policy) -> bool:
    """Whether sales that the host never heard of can be among what is lost: fuel without a sale may be theirs, then."""
    caps = policy.exposure
    return caps is None or 0 not in (caps.terminal.ml, caps.terminal.minor, caps.terminal.count)
