"""Facts for the store's tests, made by the core's own sale machine: every life is a legal one, and the core's memory is kept alongside.

``Station`` does what the program does in a step: let the sale answer, commit its facts and messages together. Pumps are numbers here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import msgspec

from terminal.core.account_book import AccountBook
from terminal.core.clock import TerminalClock
from terminal.core.deny_book import DenyBook, DenyEntry, DenyKind, DenySubject
from terminal.core.effects import Enqueue, Persist
from terminal.core.facts import Cap, ExposureCaps, Policy
from terminal.core.faults import FaultBook, FaultCode
from terminal.core.ids import Minting, SaleId
from terminal.core.internal_events import (
    EndCause,
    FillRecorded,
    NothingDelivered,
    NozzleTaken,
    ReversalDue,
    SaleAcknowledged,
    SaleDoubted,
    SaleGranted,
)
from terminal.core.pin_desk import PinTries
from terminal.core.reasons import Reason
from terminal.core.records import (
    Allowed,
    ClockAnchored,
    DenyAdded,
    DenyLifted,
    EventAcknowledged,
    EventPassed,
    ListsAdopted,
    ListsChecked,
    MediumRef,
    MessageAcknowledged,
    MessageQuarantined,
    NozzleRef,
    PinCleared,
    PinTried,
    TerminalStarted,
    TotalRead,
    Unattributed,
)
from terminal.core.refusals import Refusals, judged
from terminal.core.sale import GRID, OPEN_STATES, Sale, SaleState
from terminal.core.step import Desk
from terminal.core.units import Instant, UtcMs, cost_of
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from tests.core.decisions import CARD, PIN, facts_of, limit

TERMINAL, BOOT = "OPT-1", "boot-1"
NEW_YEAR = 1_767_225_600_000
"""2026-01-01 00:00:00 UTC."""
STEP_MS = 60_000
POINTS = (1, 2)
NOZZLES = (NozzleRef(1, "DIESEL", 16_990), NozzleRef(2, "ADBLUE", 8_490))
JUDGED = judged(facts_of(card=replace(CARD, pin=PIN), limits=(limit(100_000), limit(5_000))), Policy(exposure=ExposureCaps(card=Cap(ml=9))))
"""A decision's input as it is written down; which one does not matter to the store."""
ACCOUNTS = (("a1" * 16, "carrier"), ("a2" * 16, "carrier"), ("a3" * 16, None))


def medium(account: str) -> MediumRef:
    """A medium as it may be written down."""
    return MediumRef(token=account, last4="0123", medium="badge", trust="number", sealed="c2VhbGVk")


class Station:
    """A ledger and, beside it, the core's memory of the same sales."""

    def __init__(self, path: Path, *, autocheckpoint_pages: int = 800) -> None:
        self.ledger = Ledger(path, autocheckpoint_pages=autocheckpoint_pages)
        self.desk = Desk(AccountBook(), TerminalClock(), FaultBook())
        self.desk.clock.host_said(UtcMs(NEW_YEAR), Instant(0))
        self.at = Instant(0)
        self.minting = Minting(TERMINAL, 1, 1)
        self.totals = {(fp, nozzle.nozzle): 100_000 * fp for fp in POINTS for nozzle in NOZZLES}
        self.pin_tries: dict[str, PinTries] = {}
        self.waiting: list[str] = []
        self.quarantined = 0
        self.armed: dict[int, SaleId] = {}
        self.lists_checked: UtcMs | None = None
        self.cards_file: str | None = None
        self.live = ("", 0)
        self.denies = DenyBook()
        self.refusals = Refusals(self.desk, TERMINAL, 0)
        self.last_event = 0
        self.unacknowledged: dict[int, int] = {}
        self.desk.persist(TerminalStarted(BOOT, "1.0"))
        for (fp, number), volume in sorted(self.totals.items()):
            self.desk.persist(TotalRead(fp, number, volume))
        self.commit()

    # --- a step -------------------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """What ``Engine.commit`` does; a minute passes."""
        effects = self.desk.take()
        records = [effect.record for effect in effects if isinstance(effect, Persist)]
        messages = [effect.message for effect in effects if isinstance(effect, Enqueue)]
        stamp = Stamp(self.desk.utc(self.at), self.desk.clock.state(self.at).value)
        self.ledger.commit(stamp, records, [QueuedMessage(message.key, msgspec.json.encode(message)) for message in messages])
        self.waiting += [message.key for message in messages]
        self.at = Instant(self.at + STEP_MS)

    def fire(self, one: Sale, event: object) -> None:
        """Let the sale answer and commit."""
        GRID.fire(one, event, self.at)
        if one.state not in OPEN_STATES or one.state is SaleState.IN_DOUBT:
            self.armed = {fp: sale for fp, sale in self.armed.items() if sale != one.id}
        self.commit()

    def open_sales(self) -> list[Sale]:
        """The sales whose hold counts, oldest first."""
        return [one for one in self.desk.sales.values() if one.state in OPEN_STATES]

    # --- moves of a sale ------------------------------------------------------------------------------------------------------

    def reserve(self, draw: int) -> Sale:
        """A new sale."""
        account, customer = ACCOUNTS[draw % len(ACCOUNTS)]
        one = Sale(
            id=self.minting.id(),
            epoch=self.minting.epoch,
            sequence=self.minting.next_sequence,
            side=1,
            fp=POINTS[draw % len(POINTS)],
            card=medium(account),
            account=account,
            customer=customer,
            pin_verified=draw % 2 == 0,
            prompts=(("odometer", str(draw)),),
            nozzles=NOZZLES,
            wish_ml=None,
            wish_minor=5_000 if draw % 3 == 0 else None,
            asked_host=draw % 2 == 1,
            authorized_at=self.desk.utc(self.at),
            list_version=3,
            hold_ml=500_000,
            hold_minor=90_000,
            hold_products=tuple(ref.product for ref in NOZZLES),
        )
        self.minting = self.minting.after()
        one.reserve(self.desk)
        self.commit()
        return one

    def grant(self, one: Sale, draw: int) -> None:
        """Approve, by the host or offline, when the point is free."""
        if one.state is not SaleState.RESERVED or one.fp in self.armed:
            return
        self.armed[one.fp] = one.id
        by_host = draw % 2 == 0
        allowed = tuple(Allowed(ref.product, 40_000 + draw % 9_000, 7_000, draw % 3 == 0, "TANK") for ref in NOZZLES)
        self.fire(one, SaleGranted(one.id, "host" if by_host else "offline", "A-17" if by_host else None, allowed, JUDGED))

    def take_nozzle(self, one: Sale, draw: int) -> None:
        """Lift."""
        nozzle = NOZZLES[draw % len(NOZZLES)].nozzle
        self.fire(one, NozzleTaken(one.id, nozzle, self.totals[one.fp, nozzle]))

    def deliver(self, one: Sale, draw: int) -> None:
        """Fuel flows and the pump's record is read; its totaliser may round a little apart, and some more may leak."""
        if one.state not in (SaleState.DELIVERING, SaleState.IN_DOUBT) or one.nozzle is None or one.price is None:
            return
        place, volume = (one.fp, one.nozzle), 1 + draw % 60_000
        known = self.totals[place] + volume + draw % 7
        leak = 700 if draw % 5 == 0 else 0
        self.totals[place] = known + leak
        if leak:  # as core/pump_record.py does: the rest first, then the sale with the reading itself
            self.desk.persist(Unattributed(*place, leak, known, known + leak))
            self.desk.persist(TotalRead(*place, known + leak))
        amount = cost_of(volume, one.price, 2)
        self.fire(one, FillRecorded(one.id, volume, amount, known + leak, EndCause.NOZZLE))

    def end_empty(self, one: Sale, draw: int) -> None:
        """Nothing flowed."""
        self.fire(one, NothingDelivered(one.id, EndCause.CANCELLED))

    def reverse(self, one: Sale, draw: int) -> None:
        """The host is told to forget it, once."""
        if not one.reversal:
            self.fire(one, ReversalDue(one.id, "TIMED_OUT"))

    def doubt(self, one: Sale, draw: int) -> None:
        """The pump cannot say."""
        self.fire(one, SaleDoubted(one.id, "no record"))

    # --- everything else ------------------------------------------------------------------------------------------------------

    def answer(self, draw: int) -> None:
        """The host acknowledges the first message, or refuses it for good."""
        message = self.ledger.next_message()
        if message is None:
            return
        self.waiting.remove(message.key)
        key = message.key
        sale, _, kind = key.rpartition("/")
        if kind in ("complete", "advice"):
            self.desk.exposure.drop(sale)  # as core/uploads.py does, whatever the answer
        if draw % 4 == 0:
            self.quarantined += 1
            self.desk.persist(MessageQuarantined(key, "REJECTED_PERMANENT"))  # type: ignore[arg-type]
            self.commit()
            return
        self.desk.persist(MessageAcknowledged(key, "ACCEPTED"))  # type: ignore[arg-type]
        one = self.desk.sales.get(SaleId(sale))
        if one is not None and kind in ("complete", "advice"):
            GRID.fire(one, SaleAcknowledged(one.id), self.at)
        self.commit()

    def tell(self, draw: int) -> None:
        """One fact that belongs to no sale."""
        account = ACCOUNTS[draw % len(ACCOUNTS)][0]
        fp, nozzle = list(self.totals)[draw % len(self.totals)]
        told: tuple[Callable[[], object], ...] = (
            lambda: self._try_pin(account),
            lambda: self._clear_pin(account),
            lambda: self.desk.raise_fault(FaultCode.PUMP_LINE_LOST, f"fp {fp}", "silence"),
            lambda: self.desk.clear_fault(FaultCode.PUMP_LINE_LOST, f"fp {fp}"),
            lambda: self._leak(fp, nozzle, 1 + draw % 900),
            lambda: self._check_lists(draw),
            lambda: self.desk.persist(ClockAnchored(self.desk.utc(self.at), self.at, BOOT)),
            lambda: self.refusals.note(1, Reason.LIMIT_DAY_QUANTITY, medium(account), fp, JUDGED if draw % 3 else None),
            lambda: self._hear(draw // 10),
            self._tell_host,
        )
        told[draw % len(told)]()
        self.commit()

    def _try_pin(self, account: str) -> None:
        known = self.pin_tries.get(account, PinTries(1, 0))
        self.pin_tries[account] = PinTries(1, known.tries + 1)
        self.desk.persist(PinTried(account, 1, known.tries + 1))

    def _clear_pin(self, account: str) -> None:
        self.pin_tries.pop(account, None)
        self.desk.persist(PinCleared(account))

    def _leak(self, fp: int, nozzle: int, volume: int) -> None:
        if any((one.fp, one.nozzle) == (fp, nozzle) for one in self.open_sales()):
            return
        start = self.totals[fp, nozzle]
        self.totals[fp, nozzle] = start + volume
        self.desk.persist(Unattributed(fp, nozzle, volume, start, start + volume))
        self.desk.persist(TotalRead(fp, nozzle, start + volume))

    def _check_lists(self, draw: int) -> None:
        self.lists_checked = now = UtcMs(self.desk.utc(self.at))
        epoch = "e1" if draw % 3 else "e2"
        self.cards_file, self.live = f"cards-{epoch}-{draw}.db", (epoch, draw)
        self.denies.adopted(epoch, draw)
        self.desk.persist(ListsAdopted(self.cards_file, epoch, draw, 10))
        self.desk.persist(ListsChecked(now))

    def _hear(self, draw: int) -> None:
        """An event of the host, as core/push_desk.py takes it: about one of few subjects, with a list version near the live one."""
        subjects = [DenySubject(DenyKind.CARD, account) for account, _ in ACCOUNTS]
        subjects += [DenySubject(DenyKind.CUSTOMER, "carrier"), DenySubject(DenyKind.RANGE, "7001000", "7001999")]
        subject, now = subjects[draw % len(subjects)], self.desk.utc(self.at)
        self.last_event += 1
        epoch, version = ("e1" if draw // 15 % 2 else "e2"), self.live[1] + draw // 30 % 4
        entry = DenyEntry(self.last_event, subject, draw // 5 % 3 == 0, epoch, version, now)
        if self.denies.beats(entry, *self.live):
            self.denies.take(entry)
            kind = DenyLifted if entry.lifted else DenyAdded
            self.desk.persist(kind(entry.event, subject.kind.value, subject.value, subject.upto, epoch, version, now))
        else:
            self.desk.persist(EventPassed(entry.event, "said before", now))
        self.unacknowledged[entry.event] = now

    def push(self, move: str, draw: int) -> None:
        """One move of the host's stream and of what it changes: an event, a list, or an answer to an acknowledgement."""
        moves: dict[str, Callable[[], None]] = {
            "hear": lambda: self._hear(draw),
            "lists": lambda: self._check_lists(self.live[1] + draw % 4),
            "answer": self._tell_host,
        }
        moves[move]()
        self.commit()

    def _tell_host(self) -> None:
        """The host has the oldest acknowledgement."""
        for event in list(self.unacknowledged)[:1]:
            del self.unacknowledged[event]
            self.desk.persist(EventAcknowledged(event, taken=True))

    def do(self, choice: int, draw: int) -> None:
        """One move of the generator: most are about a sale."""
        moves: tuple[Callable[[Sale, int], None], ...] = (
            self.grant,
            self.take_nozzle,
            self.deliver,
            self.grant,
            self.take_nozzle,
            self.deliver,
            self.end_empty,
            self.reverse,
            self.doubt,
        )
        chosen = choice % (len(moves) + 5)
        candidates = self.open_sales()
        if chosen < len(moves) and candidates:
            moves[chosen](candidates[draw % len(candidates)], draw)
        elif chosen == len(moves):
            self.tell(draw)
        elif chosen <= len(moves) + 2:
            self.answer(draw)
        else:
            self.reserve(draw)


def live(station: Station, moves: int, seed: int) -> Iterator[int]:
    """So many moves from a seed; the caller looks on after each."""
    random = Random(seed)
    for move in range(moves):
        station.do(random.randrange(1000), random.randrange(100_000))
        yield move


def sale_values(one: Sale) -> dict[str, object]:
    """A sale's values without its desk."""
    return {field.name: getattr(one, field.name) for field in fields(one) if field.name != "desk"}
