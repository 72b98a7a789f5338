"""What must be true of batches: memory is what the ledger remembers, and at rest every closed batch agrees with the host's books."""

from __future__ import annotations

from hal_sim.host.book import HostBook
from terminal.core.faults import FaultCode
from terminal.core.site import Recovered, Site
from tests.simulation.journal_facts import Broken


def check_batches(site: Site, found: Recovered) -> None:
    """A restart now would go on with the same batch and wait for the same ones."""
    desk, known = site.batches, found.batches
    here = (desk.batch, desk.first, desk.settled, desk.unsettled, [desk._ended[sequence] for sequence in sorted(desk._ended)])
    there = (known.batch, known.first, known.settled, {sent.batch: sent for sent in known.unsettled}, known.ended)
    if here != there:
        raise Broken("batches", f"memory {here} ledger {there}")


def check_settled(site: Site, book: HostBook, *, lost: bool) -> None:
    """At rest nothing is under way, and the host has agreed with every batch, at once unless it had ``lost`` records."""
    if site.batches.unsettled:
        raise Broken("batches", f"{sorted(site.batches.unsettled)} are not settled")
    if any(code is FaultCode.BATCH_UNBALANCED for code, _ in site.desk.faults.active):
        raise Broken("batches", "a batch was given up")
    last = {one["batch"]: one for one in book.batches}
    unbalanced = [one["key"] for one in last.values() if one["result"] != "balanced"]
    if unbalanced:
        raise Broken("batches", f"the host disagrees with {unbalanced[0]}")
    if not lost and len(last) < len(book.batches):
        raise Broken("batches", "the host disagreed with a batch and has lost nothing")
    if {one["batch"] for one in book.batches} != set(range(1, site.batches.batch)):
        raise Broken("batches", f"the host was told {sorted(one['batch'] for one in book.batches)}, closed are {site.batches.batch - 1}")
