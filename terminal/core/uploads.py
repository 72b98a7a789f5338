"""Store and forward: the outbox's messages go to the host in order, one call in flight, each message with its one key, for ever.

The queue itself is in the ledger; here is only how many wait and when to try again. Nothing is dropped: what the host refuses for
good is set aside with a fault, and too many waiting messages close the terminal. Advices go many in one call; a call that is refused as a
whole is tried with half as many, so that one message which the host cannot take is found and never holds up the others.
(features.md F43; reference host-and-offline-authorization 8.11, 9.4.)

An acknowledgement waits for the next commit instead of having one of its own: when the power is cut before, the same message goes again
under the same key, and the host says that it has it.
"""

from __future__ import annotations

import hashlib

from terminal.core.batch_events import ItemsAnswered
from terminal.core.effects import BATCH_ITEMS, UploadNext
from terminal.core.events import AcknowledgementsDue, HostTrouble, UploadAnswered, UploadDue, UploadFailed, UploadResult
from terminal.core.faults import FaultCode
from terminal.core.host_link import HostTimes
from terminal.core.ids import MessageKey, MessageKind, SaleId
from terminal.core.internal_events import RecordSetAside, SaleAcknowledged
from terminal.core.records import MessageAcknowledged, MessageQuarantined
from terminal.core.step import Desk

OUTBOX_CAP = 50_000
ACKNOWLEDGEMENTS_WAIT_MS = 60_000
ACKNOWLEDGEMENTS_AT_ONCE = 50
SUBJECT = "outbox"
HOST_HAS_IT = "duplicate"
FINAL_KINDS = (MessageKind.COMPLETE.value, MessageKind.ADVICE.value)


class Uploads:
    """When to send the next messages, and what an answer means."""

    def __init__(self, desk: Desk, times: HostTimes, waiting: int) -> None:
        self.desk = desk
        self.times = times
        self.waiting = waiting
        self.in_flight = False
        self.attempt = 0
        self.most = BATCH_ITEMS  # advices in the next call
        self.resent: set[int] = set()  # sequences whose record the host had once and is sent again (core/batch_desk.py)
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
        """Send the first messages unless a call is under way."""
        if self.waiting and not self.in_flight:
            self.in_flight = True
            self.desk.cancel(UploadDue())
            self.desk.do(UploadNext(self.most))

    def host_is_back(self) -> None:
        """The line works again: no more waiting."""
        self.attempt = 0
        self.kick()

    # --- answers --------------------------------------------------------------------------------------------------------------

    def answered(self, event: UploadAnswered) -> None:
        """The host has judged the first message, which went alone."""
        result = event.result
        if event.key_reuse and sequence_of(event.key) in self.resent:
            result = UploadResult.DUPLICATE  # it has the record; only its copy of the body is another one's
        self._grow(1)
        if result is UploadResult.RETRY:
            self._again(event.key)
            return
        self.attempt = 0
        self._final(event.key, result)
        self._go_on()

    def items_answered(self, event: ItemsAnswered) -> None:
        """The host has judged each of several advices: what is final is final, the first that is not stands first in the next call."""
        again: MessageKey | None = None
        alone = False
        finals = 0
        for key, result in event.results:
            if result is UploadResult.REJECTED_PERMANENT and sequence_of(key) in self.resent:
                alone = True  # only alone does the host say whether it refuses the record or knows the key with another body
            elif result is UploadResult.RETRY:
                again = again or key
            else:
                finals += 1
                self._final(key, result)
        if alone:
            self.most = 1
        else:
            self._grow(len(event.results))
        if finals or alone:
            self.attempt = 0
        if again is not None and not alone:
            self._flush_and_check()
            self._again(again)
        else:
            self._go_on()

    def settled(self, key: MessageKey, result: str) -> None:
        """A close of a batch is over: it leaves the queue with this step's commit, and the next message goes."""
        self.attempt = 0
        self.waiting -= 1
        self._acknowledge(MessageAcknowledged(key, result))
        self._go_on()

    def failed(self, event: UploadFailed) -> None:
        """No usable answer: the same messages again, later. Fewer of them, unless the call certainly never left."""
        if event.items > 1 and event.trouble is not HostTrouble.NO_LINE:
            self.most = max(1, event.items // 2)
            if event.refused:
                self._go_on()  # the host is there and has time for us
                return
        self._again(event.key)

    def write_acknowledgements(self) -> None:
        """With this step's commit."""
        if self.acknowledged:
            self.desk.cancel(AcknowledgementsDue())
            for record in self.acknowledged:
                self.desk.persist(record)
            self.acknowledged.clear()

    # --- inside -----------------------------------------------------------------------------------------------------------------

    def _final(self, key: MessageKey, result: UploadResult) -> None:
        self.waiting -= 1
        sale, _, kind = key.rpartition("/")
        is_record = kind in FINAL_KINDS
        if is_record:
            self.resent.discard(sequence_of(key))
            self.desk.exposure.drop(sale)
        if result is UploadResult.REJECTED_PERMANENT:
            self.desk.persist(MessageQuarantined(key, result.value))
            self.desk.raise_fault(FaultCode.MESSAGE_QUARANTINED, key, "refused by the host for good")
            self.desk.tell(RecordSetAside(key))
            return
        self._acknowledge(MessageAcknowledged(key, result.value))
        if is_record:
            self.desk.tell(SaleAcknowledged(SaleId(sale)))

    def _acknowledge(self, record: MessageAcknowledged) -> None:
        if not self.acknowledged:
            self.desk.start(AcknowledgementsDue(), ACKNOWLEDGEMENTS_WAIT_MS)
        self.acknowledged.append(record)

    def _flush_and_check(self) -> None:
        if len(self.acknowledged) >= ACKNOWLEDGEMENTS_AT_ONCE:
            self.write_acknowledgements()
        self._check_cap()

    def _go_on(self) -> None:
        self.in_flight = False
        self._flush_and_check()
        self.kick()

    def _grow(self, sent: int) -> None:
        """As many as went well may go again, and twice as many may be tried."""
        self.most = min(BATCH_ITEMS, max(self.most, 2 * sent))

    def _again(self, key: str) -> None:
        self.in_flight = False
        wait = min(self.times.retry_cap_ms, self.times.retry_first_ms << min(self.attempt, 20))
        self.attempt += 1
        self.desk.start(UploadDue(), wait * (80 + _spread(key, self.attempt)) // 100)

    def _check_cap(self) -> None:
        if self.waiting >= OUTBOX_CAP:
            self.desk.raise_fault(FaultCode.OUTBOX_FULL, SUBJECT, f"{self.waiting} messages wait")
        elif self.waiting < OUTBOX_CAP * 9 // 10:
            self.desk.clear_fault(FaultCode.OUTBOX_FULL, SUBJECT)


def sequence_of(key: MessageKey) -> int:
    """The sequence of the sale that a key's record is about; 0 for a key of another kind."""
    sale, _, kind = key.rpartition("/")
    number = sale.rpartition("-")[2]
    return int(number) if kind in FINAL_KINDS and number.isdigit() else 0


def _spread(key: str, attempt: int) -> int:
    """0...40, from the message itself: terminals that lost the host together do not come back together, and a replay waits the same."""
    return hashlib.sha256(f"{key}#{attempt}".encode()).digest()[0] % 41
