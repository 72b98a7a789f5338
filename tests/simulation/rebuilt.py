"""What the core keeps in memory beside its books, against the ledger that it would start from now, and against the host at rest."""

from __future__ import annotations

from terminal.core.exposure import Exposure
from terminal.core.faults import FaultCode
from terminal.core.sale import SaleState
from terminal.core.site import Recovered, Site
from tests.simulation.journal_facts import Broken


def check_rebuilt(site: Site, found: Recovered) -> None:
    """A restart now would know the same exposure, closings, odometers and counters. Answers not written yet count as missing there."""
    rebuilt = Exposure(found.unanswered)
    for record in site.uploads.acknowledged:
        sale, _, kind = record.key.rpartition("/")
        if kind in ("complete", "advice"):
            rebuilt.drop(sale)
    if rebuilt != site.desk.exposure:
        here, there = {use.sale for use in site.desk.exposure.snapshot()}, {use.sale for use in rebuilt.snapshot()}
        raise Broken("exposure", f"only in memory {sorted(here - there)}, only in the ledger {sorted(there - here)}, or other amounts")
    if site.teller.prompt_desk.odometers != found.odometers:
        raise Broken("odometers", "the readings in memory are not those that the ledger remembers")
    if site.teller.genuine._newest != found.badge_counters:
        raise Broken("badge counters", "a badge's newest counter in memory is not the one that the ledger remembers")
    if {(one.scope, one.name): one for one in found.closings} != site.closings.closed:
        raise Broken("closings", "what is closed in memory is not what the ledger remembers")


def check_closed(site: Site) -> None:
    """Behind a step nothing waits for its nozzle where it is closed."""
    for one in site.desk.sales.values():
        if one.state is SaleState.AUTHORIZED and site.closings.concerns(one) is not None:
            raise Broken("closings", f"{one.id} is armed at fp {one.fp}, which is closed to it")


def check_rest(site: Site) -> None:
    """At rest the host has answered everything and has opened everything, every device is there and nobody has to reset anything."""
    if len(site.desk.exposure):
        raise Broken("exposure", f"{len(site.desk.exposure)} sales still count as unanswered")
    if site.closings.closed:
        raise Broken("closings", f"{len(site.closings.closed)} places are still closed")
    on = [f"{code.value} {about}" for code, about in site.desk.faults.active if code in (FaultCode.DEVICE_DOWN, FaultCode.EMERGENCY_STOP)]
    if on:
        raise Broken("faults end", f"{on[0]} is on, and everything is whole")
