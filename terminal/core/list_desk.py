"""What becomes of a list that the host offers: judged once more against what was ever adopted here, then used, or refused with its cause.

The host's threads have checked signature, rows and hashes; what they compared with is as old as their question, so the core, which alone
knows what is in the ledger now, has the last word. (features.md F41; reference/host-and-offline-authorization.md 9.2.)
"""

from __future__ import annotations

from typing import Protocol

from terminal.core.card_lists import NAME, ListMark, ListOffer, refusal
from terminal.core.effects import ApplyChanges, UseCards
from terminal.core.events import ChangesApplied, ChangesReady, HostTrouble, ListsReady, ListsRefused
from terminal.core.faults import FaultCode
from terminal.core.host_link import HostLink
from terminal.core.list_events import ListsFailed
from terminal.core.records import ListsAdopted
from terminal.core.step import Desk
from terminal.core.units import Instant

FAILURES_UNTIL_FAULT = 3
"""So many checks in a row without a list, while the host answers everything else: somebody has to look."""


class Live(Protocol):
    """Which list is live."""

    @property
    def epoch(self) -> str:
        """The live list's epoch, "" when there is none."""

    @property
    def version(self) -> int:
        """The live list's version, 0 when there is none."""


class ListDesk:
    """Adopts and refuses. ``mark`` is the newest list ever adopted; the link hands it to every question for lists."""

    def __init__(self, desk: Desk, link: HostLink, live: Live, mark: ListMark) -> None:
        self.desk = desk
        self.link = link
        self.live = live
        link.mark = mark
        self._failures = 0

    def ready(self, event: ListsReady, at: Instant) -> bool:
        """A card file was built: use it, by the commit that names it. False when it is refused."""
        self.heard()
        if not self._may(event.offer, at):
            return False
        self._adopt(event.file, event.offer)
        self.desk.do(UseCards(event.file))
        return True

    def changes(self, event: ChangesReady, at: Instant) -> None:
        """Changes of the live list have come: have them applied."""
        self.heard()
        if all(self._may(delta.offer, at) for delta in event.deltas):
            self.desk.do(ApplyChanges(event.deltas))

    def applied(self, event: ChangesApplied) -> None:
        """The live file holds the changes, durably."""
        self._adopt(event.file, event.offer)

    def refused(self, event: ListsRefused) -> None:
        """Say why the old list goes on serving; where only changes were refused the whole list is asked for at once."""
        self.heard()
        self._refuse(event.why)
        if event.whole:
            self.link.check_lists(self.live.epoch, self.live.version, whole=True)

    def failed(self, event: ListsFailed) -> None:
        """A check came to nothing. A host that is away has its own fault; one that answers all else and never the lists gets this one."""
        away = self.link.down or event.trouble is HostTrouble.NO_LINE
        self.link.probe_failed(event.trouble, event.why)
        if not away:
            self._failures += 1
            if self._failures >= FAILURES_UNTIL_FAULT:
                self._refuse(f"{NAME}: they cannot be had, {event.trouble.value}: {event.why}")

    def heard(self) -> None:
        """A check has come to an end, whatever it was."""
        self._failures = 0

    def _may(self, offer: ListOffer, at: Instant) -> bool:
        why = refusal(self.link.mark, offer, self.desk.clock.utc(at))
        if why is not None:
            self._refuse(f"{NAME} {offer.epoch}/{offer.version}: {why}")
        return why is None

    def _refuse(self, why: str) -> None:
        known = self.desk.faults.active.get((FaultCode.LIST_REFUSED, NAME))
        if known is not None and known != why:
            self.desk.clear_fault(FaultCode.LIST_REFUSED, NAME)  # another list, or another cause: the fault names the present one
        self.desk.raise_fault(FaultCode.LIST_REFUSED, NAME, why)

    def _adopt(self, file: str, offer: ListOffer) -> None:
        self.link.mark = self.link.mark.after(offer)
        self.desk.persist(ListsAdopted(file, offer.epoch, offer.version, offer.rows, offer.issued_at, offer.content_hash))
        self.desk.clear_fault(FaultCode.LIST_MISSING, NAME)
