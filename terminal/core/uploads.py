"""Store and forward: the outbox's messages go to the host in order, one in flight, each with its one key, for ever.

The queue itself is in the ledger; here is only how many wait and when to try again. Nothing is dropped: what the host refuses for
good is set aside with a fault, and too many waiting messages close the terminal. (features.md F43.)

An acknowledgement waits for the next commit instead of having one of its own: when the power is cut before, the same message goes again
under the same key, and the host says that it has it.
"""

from __future__ import annotations

import hashlib

from terminal.core.effects import UploadNext
from terminal.core.events import AcknowledgementsDue, UploadAnswered, UploadDue, UploadFailed, UploadResult
from terminal.core.faults import FaultCode
from terminal.core.host_link import HostTimes
from terminal.core.ids import MessageKind, SaleId
from terminal.core.internal_events import SaleAcknowledged
from terminal.core.records import MessageAcknowledged, MessageQuarantined
from terminal.core.step import Desk

OUTBOX_CAP = 50_000
ACKNOWLEDGEMENTS_WAIT_MS = 60_000
ACKNOWLEDGEMENTS_AT_ONCE = 50
SUBJECT = "outbox"


class Uploads:
    """When to send the next message, and what an answer means."""

    def __init__(self, desk: Desk, times: HostTimes, waiting: int) -> None:
        self.desk = desk
        self.times = times
        self.waiting = waiting
        self.in_flight = False
        self.attempt = 0
        self.acknowledged: list[MessageAcknowledged] = []  # by the host; not written yet

    def begin(self) -> None:
        """At start: what waits is sent."""
        self._check_cap()
        self.kick()

    def queued(self, messages: int) -> None:
        """This step stored so many messages more."""
        self.waiting += messages
        self._check_cap()
        if self.attempt == 0:
            self.kick()

    def kick(self) -> None:
        """Send the first message unless one is under way."""
        if self.waiting and not self.in_flight:
            self.in_flight = True
            self.desk.cancel(UploadDue())
            self.desk.do(UploadNext())

    def host_is_back(self) -> None:
        """The line works again: no more waiting."""
        self.attempt = 0
        self.kick()

    def answered(self, event: UploadAnswered) -> None:
        """The host has judged the first message."""
        self.in_flight = False
        if event.result is UploadResult.RETRY:
            self._again(event.key)
            return
        self.attempt = 0
        self.waiting -= 1
        if event.result is UploadResult.REJECTED_PERMANENT:
            self.desk.persist(MessageQuarantined(event.key, event.result.value))
            self.desk.raise_fault(FaultCode.MESSAGE_QUARANTINED, event.key, "refused by the host for good")
        else:
            self._acknowledge(MessageAcknowledged(event.key, event.result.value))
            sale, _, kind = event.key.rpartition("/")
            if kind in (MessageKind.COMPLETE.value, MessageKind.ADVICE.value):
                self.desk.tell(SaleAcknowledged(SaleId(sale)))
        self._check_cap()
        self.kick()

    def write_acknowledgements(self) -> None:
        """With this step's commit."""
        if self.acknowledged:
            self.desk.cancel(AcknowledgementsDue())
            for record in self.acknowledged:
                self.desk.persist(record)
            self.acknowledged.clear()

    def _acknowledge(self, record: MessageAcknowledged) -> None:
        if not self.acknowledged:
            self.desk.start(AcknowledgementsDue(), ACKNOWLEDGEMENTS_WAIT_MS)
        self.acknowledged.append(record)
        if len(self.acknowledged) >= ACKNOWLEDGEMENTS_AT_ONCE:
            self.write_acknowledgements()

    def failed(self, event: UploadFailed) -> None:
        """No usable answer: the same message again, later."""
        self.in_flight = False
        self._again(event.key)

    def _again(self, key: str) -> None:
        wait = min(self.times.retry_cap_ms, self.times.retry_first_ms << min(self.attempt, 20))
        self.attempt += 1
        self.desk.start(UploadDue(), wait * (80 + _spread(key, self.attempt)) // 100)

    def _check_cap(self) -> None:
        if self.waiting >= OUTBOX_CAP:
            self.desk.raise_fault(FaultCode.OUTBOX_FULL, SUBJECT, f"{self.waiting} messages wait")
        elif self.waiting < OUTBOX_CAP * 9 // 10:
            self.desk.clear_fault(FaultCode.OUTBOX_FULL, SUBJECT)


def _spread(key: str, attempt: int) -> int:
    """0...40, from the message itself: terminals that lost the host together do not come back together, and a replay waits the same."""
    return hashlib.sha256(f"{key}#{attempt}".encode()).digest()[0] % 41
