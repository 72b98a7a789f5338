"""Reconciliation: batch by batch the host's books are compared with the terminal's. (features.md F45; reference
host-and-offline-authorization 9.6; firmware_notes/host-api.md, Reconciliation.)

A batch is a run of sequences. It is closed when so many of its sales have ended, or at the site's midnight, and its sums travel through
the ordinary outbox, so they stand behind the records that they sum. What the host misses is sent again under its old key; then the same
batch is closed once more. When that does not help, a fault says so, and the next batch goes on.

Every move of a batch is one commit together with what it does to the outbox: a power cut leaves the close waiting, or the next attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from terminal.core.batch_events import BatchWasRead, CloseAnswered, EndedSale
from terminal.core.effects import Effect, Enqueue, ReadBatch
from terminal.core.events import BatchDue
from terminal.core.faults import FaultCode
from terminal.core.ids import MessageKey, MessageKind, close_key
from terminal.core.internal_events import RecordSetAside
from terminal.core.messages import BatchTotal, Booking, CloseBatch
from terminal.core.records import BatchSent, BatchSettled
from terminal.core.step import Desk
from terminal.core.units import Instant, UtcMs
from terminal.core.uploads import Uploads, sequence_of
from terminal.core.windows import day_window

BATCH_SALES = 500
LOOK_MS = 3_600_000
"""At the latest so often midnight is looked for: the terminal's clock may have been set right since."""
MOST_ATTEMPTS = 20
"""An honest host names at most 1000 missing records at a time; whoever names others for ever is not waited for."""
BALANCED = "balanced"
UNBALANCED = "unbalanced"


@dataclass(slots=True)
class BatchMemory:
    """What the ledger remembers: the number and first sequence of the batch that is being filled, its ended sales, those of them that the
    host refused for good, the batches that are not settled, and the last one that is. ``newest``: the ledger's newest instant."""

    batch: int = 1
    first: int = 1
    ended: list[EndedSale] = field(default_factory=list)
    quarantined: set[int] = field(default_factory=set)
    unsettled: list[BatchSent] = field(default_factory=list)
    settled: int = 0
    newest: UtcMs | None = None


class BatchDesk:
    """Sums the ended sales, closes batches, and sees each to its end."""

    def __init__(self, desk: Desk, uploads: Uploads, terminal: str, epoch: int, zone: str, size: int, known: BatchMemory) -> None:
        """``size``: sales of a batch."""
        self.desk = desk
        self.uploads = uploads
        self.terminal = terminal
        self.epoch = epoch
        self.zone = zone
        self.size = size
        self.batch = known.batch
        self.first = known.first
        self.settled = known.settled
        self.unsettled = {sent.batch: sent for sent in known.unsettled}
        self._ended = {sale.sequence: sale for sale in known.ended}
        self._set_aside = set(known.quarantined)
        self._newest = known.newest
        self._day_ends: UtcMs | None = None
        for sent in known.unsettled:
            uploads.resent.update(sent.resent)

    # --- filling ----------------------------------------------------------------------------------------------------------------

    def begin(self, at: Instant) -> None:
        """At start: what ended before a midnight that the terminal slept through is closed."""
        now = self._now(at)
        self._day_ends = day_window(now if self._newest is None else min(self._newest, now), self.zone).end
        self.look(at)
        self._wait(at)

    def look(self, at: Instant) -> None:
        """At the end of every step: is it a batch, or another day?"""
        if self._day_ends is None:
            return  # not begun yet
        while len(self._ended) >= self.size:
            self._close()
        now = self._now(at)
        if now >= self._day_ends:
            self._day_ends = day_window(now, self.zone).end
            if self._ended:
                self._close()
            self._wait(at)

    def due(self, event: BatchDue, at: Instant) -> None:
        """``look`` at this step's end sees whether it is midnight."""
        self._wait(at)

    def queued(self, effects: Iterable[Effect]) -> None:
        """These effects of the step are new: the records among them are of sales that have just ended."""
        for effect in effects:
            if isinstance(effect, Enqueue) and isinstance(effect.message, Booking) and effect.message.sequence >= self.first:
                record = effect.message
                self._ended[record.sequence] = EndedSale(
                    record.sequence, record.product, record.decided_by, record.quantity_ml, record.value_minor
                )

    def begin_epoch(self, epoch: int, first: int) -> None:
        """Rows of the ledger are lost: what ended before is in no batch of this epoch."""
        self.epoch, self.first = epoch, first
        self._ended.clear()
        self._set_aside.clear()

    def set_aside(self, event: RecordSetAside, at: Instant) -> None:
        """The host refuses a record for good (or a close: then the batch will never agree)."""
        sequence = sequence_of(event.key)
        if sequence in self._ended:
            self._set_aside.add(sequence)
        if event.key.endswith(f"/{MessageKind.CLOSE.value}"):
            sent = self._sent(event.key)
            if sent is not None:
                self._give_up(sent, "the host refuses its close for good")

    def _close(self) -> None:
        """The oldest ended sales, as many as a batch holds, and what is open between them."""
        chunk = sorted(self._ended)[: self.size]
        last = chunk[-1]
        ended = [self._ended.pop(sequence) for sequence in chunk]
        there = set(chunk)
        unfinished = tuple(sequence for sequence in range(self.first, last + 1) if sequence not in there)
        aside = tuple(sequence for sequence in chunk if sequence in self._set_aside)
        self._set_aside.difference_update(aside)
        self._send(BatchSent(self.batch, 1, self.epoch, self.first, last, unfinished), ended, aside)
        self.batch, self.first = self.batch + 1, last + 1

    def _send(self, sent: BatchSent, ended: Iterable[EndedSale], aside: tuple[int, ...]) -> None:
        totals, empty = sums(ended, frozenset(aside))
        self.unsettled[sent.batch] = sent
        self.desk.persist(sent)
        self.desk.enqueue(
            CloseBatch(self.terminal, sent.epoch, sent.batch, sent.attempt, sent.first, sent.last, sent.open, aside, totals, empty)
        )

    # --- settling ---------------------------------------------------------------------------------------------------------------

    def answered(self, event: CloseAnswered) -> None:
        """The host has compared a batch."""
        sent = self._sent(event.key)
        if sent is None:
            self.uploads.settled(event.key, UNBALANCED if not event.balanced else BALANCED)  # of an attempt that is over
            return
        missing = tuple(sorted({one for one in event.missing if sent.first <= one <= sent.last} - set(sent.open)))
        if event.balanced and not missing and not event.resend_all:
            self._balanced(sent, event.key)
            return
        why = _hopeless(sent, missing, event.resend_all)
        if why:
            self.uploads.settled(event.key, UNBALANCED)
            self._give_up(sent, why)
            return
        # What was acknowledged leaves the outbox before it is read, or a record would look as if it waited still.
        self.uploads.write_acknowledgements()
        self.unsettled[sent.batch] = replace(sent, missing=missing, resend_all=event.resend_all)
        self.desk.do(ReadBatch(sent.batch, sent.first, sent.last, sent.open, None if event.resend_all else missing))

    def was_read(self, event: BatchWasRead) -> None:
        """The records go again, then the next attempt; the old one leaves the queue with the same commit."""
        told = self.unsettled[event.batch]
        again = tuple(booking.sequence for booking in event.bookings)
        self.uploads.resent.update(again)
        for booking in event.bookings:
            self.desk.enqueue(booking)
        sent = replace(told, attempt=told.attempt + 1, resent=again)
        self._send(sent, event.ended, event.quarantined)
        self.uploads.settled(close_key(self.terminal, told.epoch, told.batch, told.attempt), UNBALANCED)

    def _balanced(self, sent: BatchSent, key: MessageKey) -> None:
        self._settle(sent, balanced=True, why="")
        for code, subject in list(self.desk.faults.active):
            if code is FaultCode.BATCH_UNBALANCED and int(subject.removeprefix("batch ")) <= sent.batch:
                self.desk.clear_fault(code, subject)
        self.uploads.settled(key, BALANCED)

    def _give_up(self, sent: BatchSent, why: str) -> None:
        self._settle(sent, balanced=False, why=why)
        self.desk.raise_fault(FaultCode.BATCH_UNBALANCED, f"batch {sent.batch}", why)

    def _settle(self, sent: BatchSent, *, balanced: bool, why: str) -> None:
        del self.unsettled[sent.batch]
        self.settled = max(self.settled, sent.batch)
        self.desk.persist(BatchSettled(sent.batch, balanced, why))

    # --- inside -----------------------------------------------------------------------------------------------------------------

    def _sent(self, key: MessageKey) -> BatchSent | None:
        """The batch that this close is the newest attempt of."""
        return next((one for one in self.unsettled.values() if close_key(self.terminal, one.epoch, one.batch, one.attempt) == key), None)

    def _now(self, at: Instant) -> UtcMs:
        return UtcMs(self.desk.utc(at))

    def _wait(self, at: Instant) -> None:
        if self._day_ends is not None:
            self.desk.start(BatchDue(), max(1, min(LOOK_MS, self._day_ends - self._now(at))))


def sums(ended: Iterable[EndedSale], aside: frozenset[int]) -> tuple[tuple[BatchTotal, ...], int]:
    """The totals by product and by who decided, in that order, and how many ended empty."""
    count: Counter[tuple[str, str]] = Counter()
    quantity_ml: Counter[tuple[str, str]] = Counter()
    value_minor: Counter[tuple[str, str]] = Counter()
    empty = 0
    for sale in ended:
        if sale.sequence in aside:
            continue
        if sale.quantity_ml == 0 or sale.product is None:
            empty += 1
            continue
        line = (sale.product, sale.decided_by)
        count[line] += 1
        quantity_ml[line] += sale.quantity_ml
        value_minor[line] += sale.value_minor
    return tuple(BatchTotal(*line, count[line], quantity_ml[line], value_minor[line]) for line in sorted(count)), empty


def _hopeless(sent: BatchSent, missing: tuple[int, ...], resend_all: bool) -> str:
    """Why sending again will not help; empty when it may."""
    if sent.attempt >= MOST_ATTEMPTS:
        return f"not balanced after {sent.attempt} attempts"
    if resend_all:
        return "other sums at the host, also after all was sent again" if sent.resend_all else ""
    if not missing:
        return "the host finds it unbalanced and names nothing of it"
    stayed = set(missing) & set(sent.missing)
    if stayed and len(missing) >= len(sent.missing):
        return f"{len(missing)} records missing at the host, also after they were sent again; the first is {missing[0]}"
    return ""
