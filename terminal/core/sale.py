"""The sale: one per reservation, durable, and the only thing that outlives session, process and power.

reserved → authorized → delivering → delivered → booked, or zero, reversed, in doubt. Each move is a journal row; the moves that end
a sale store the host's message in the same commit. The account book follows each move in the same step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from terminal.core.account_book import SaleUse, UseState
from terminal.core.attempt import TEST, SaleExtra
from terminal.core.facts import Judged
from terminal.core.ids import MessageKind, SaleId
from terminal.core.internal_events import (
    FillRecorded,
    NothingDelivered,
    NozzleTaken,
    ReversalDue,
    SaleAcknowledged,
    SaleDoubted,
    SaleGranted,
)
from terminal.core.machine import Grid, Ignored, Rule
from terminal.core.messages import Authorize, Booking, Reverse
from terminal.core.pin import PinBlock
from terminal.core.prompt_rules import CONSUMPTION
from terminal.core.records import (
    Allowed,
    MediumRef,
    NozzleRef,
    ReversalQueued,
    SaleAuthorized,
    SaleDelivered,
    SaleEnded,
    SaleInDoubt,
    SaleReleased,
    SaleReserved,
)
from terminal.core.step import Desk
from terminal.core.units import Instant, UtcMs


class SaleState(Enum):
    """Where a sale stands; the value is what the ledger stores."""

    RESERVED = "reserved"
    AUTHORIZED = "authorized"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    BOOKED = "booked"
    ZERO = "zero"
    REVERSED = "reversed"
    IN_DOUBT = "in doubt"


OPEN_STATES = (SaleState.RESERVED, SaleState.AUTHORIZED, SaleState.DELIVERING, SaleState.IN_DOUBT)
"""States in which a sale's hold counts."""


@dataclass(slots=True)
class Sale:
    """One sale in memory. Everything but ``desk``, which ``join`` gives it, is rebuilt from the ledger after a restart."""

    desk: Desk = field(init=False, repr=False)
    id: SaleId
    epoch: int
    sequence: int
    side: int
    fp: int
    card: MediumRef
    account: str
    customer: str | None
    pin_verified: bool
    prompts: tuple[tuple[str, str], ...]
    nozzles: tuple[NozzleRef, ...]
    wish_ml: int | None
    wish_minor: int | None
    asked_host: bool
    authorized_at: int
    list_version: int
    hold_ml: int
    hold_minor: int
    hold_products: tuple[str, ...]
    state: SaleState = SaleState.RESERVED
    reversal: bool = False
    decided_by: str | None = None
    authorization: str | None = None
    allowed: tuple[Allowed, ...] = ()
    nozzle: int | None = None
    product: str | None = None
    price: int | None = None
    preset_ml: int | None = None
    preset_minor: int | None = None
    total_start_ml: int | None = None
    host_unaware: bool = False  # when the host was asked, sales that it could not know were open or unsent
    judged: Judged | None = None
    cost_centre: str | None = None
    driver: str | None = None
    extra: SaleExtra = SaleExtra()
    pin_block: PinBlock | None = None  # for the question only: never written down

    @property
    def of_a_test(self) -> bool:
        """Fuel that goes back into the tank: it is recorded like a sale and is nobody's."""
        return TEST in self.extra.marks

    # --- questions ------------------------------------------------------------------------------------------------------

    def may_use(self, nozzle: int) -> Allowed | None:
        """What may be taken from this logical nozzle; None when its product may not."""
        product = next((ref.product for ref in self.nozzles if ref.nozzle == nozzle), None)
        return next((allowed for allowed in self.allowed if allowed.product == product), None)

    def question(self, requested_at: int, clock: str) -> Authorize:
        """The authorization request for this sale."""
        return Authorize(
            sale=self.id,
            epoch=self.epoch,
            sequence=self.sequence,
            fp=self.fp,
            card=self.card,
            pin_verified=self.pin_verified,
            prompts=self.prompts,
            nozzles=self.nozzles,
            wish_ml=self.wish_ml,
            wish_minor=self.wish_minor,
            requested_at=requested_at,
            clock=clock,
            list_version=self.list_version,
            second=self.extra.second,
            pin_block=self.pin_block,
        )

    def booking(self, quantity_ml: int, value_minor: int, total_end_ml: int | None, end: str, ended_at: int, clock: str) -> Booking:
        """The host's record of how this sale ended; the same again for the same facts (store/rebooking.py)."""
        by_host = self.decided_by == "host"
        return Booking(
            kind=MessageKind.COMPLETE if by_host else MessageKind.ADVICE,
            sale=self.id,
            epoch=self.epoch,
            sequence=self.sequence,
            authorization=self.authorization,
            decided_by="host" if by_host else "offline",
            fp=self.fp,
            nozzle=self.nozzle,
            card=self.card,
            pin_verified=self.pin_verified,
            prompts=self.prompts,
            product=self.product,
            price=self.price,
            quantity_ml=quantity_ml,
            value_minor=value_minor,
            authorized_at=self.authorized_at,
            ended_at=ended_at,
            end=end,
            total_start_ml=self.total_start_ml,
            total_end_ml=total_end_ml,
            clock=clock,
            list_version=self.list_version,
            cost_centre=self.cost_centre,
            driver=self.driver,
            second=self.extra.second,
            marks=self._marks(quantity_ml),
        )

    def _marks(self, quantity_ml: int) -> tuple[str, ...]:
        marks = self.extra.marks
        more = self.extra.most_ml is not None and quantity_ml > self.extra.most_ml
        return (*marks, CONSUMPTION) if more and CONSUMPTION not in marks else marks

    def held(self) -> SaleUse:
        """The hold as the account book counts it now."""
        return SaleUse(
            sale=self.id,
            sequence=self.sequence,
            account=self.account,
            customer=self.customer,
            product=self.product,
            products=frozenset(self.hold_products),
            quantity_ml=self.hold_ml,
            value_minor=self.hold_minor,
            authorized_at=UtcMs(self.authorized_at),
            state=UseState.IN_DOUBT if self.state is SaleState.IN_DOUBT else UseState.HELD,
            second=self.extra.second_account,
        )

    # --- moves ----------------------------------------------------------------------------------------------------------

    def join(self, desk: Desk) -> None:
        """Stand among the sales of this desk."""
        self.desk = desk
        desk.sales[self.id] = self

    def reserve(self, desk: Desk) -> None:
        """Become durable: the journal row and the hold, before anybody outside hears of the sale."""
        self.join(desk)
        self.desk.book.hold(self.held())
        self.expose()
        self.desk.persist(
            SaleReserved(
                sale=self.id,
                epoch=self.epoch,
                sequence=self.sequence,
                side=self.side,
                fp=self.fp,
                card=self.card,
                account=self.account,
                customer=self.customer,
                pin_verified=self.pin_verified,
                prompts=self.prompts,
                nozzles=self.nozzles,
                wish_ml=self.wish_ml,
                wish_minor=self.wish_minor,
                hold_ml=self.hold_ml,
                hold_minor=self.hold_minor,
                hold_products=self.hold_products,
                asked_host=self.asked_host,
                authorized_at=self.authorized_at,
                list_version=self.list_version,
                cost_centre=self.cost_centre,
                driver=self.driver,
                extra=self.extra,
            )
        )

    def expose(self) -> None:
        """What the book has of a sale is exposure until the host answers for it, unless the host has decided it."""
        use = self.desk.book.get(self.id)
        if use is None or self.decided_by == "host" or self.of_a_test:
            self.desk.exposure.drop(self.id)
        else:
            self.desk.exposure.put(use)

    def _grant(self, event: SaleGranted, at: Instant) -> None:
        self.decided_by, self.authorization, self.allowed = event.decided_by, event.authorization, event.allowed
        largest = max(event.allowed, key=lambda allowed: allowed.quantity_ml)
        self.hold_ml = largest.quantity_ml
        self.hold_minor = max(allowed.value_minor for allowed in event.allowed)
        self.hold_products = tuple(allowed.product for allowed in event.allowed)
        self.judged = event.judged
        self.desk.book.replace(self.held())
        self.expose()
        self.desk.persist(
            SaleAuthorized(
                sale=self.id,
                decided_by=event.decided_by,
                authorization=event.authorization,
                allowed=event.allowed,
                hold_ml=self.hold_ml,
                hold_minor=self.hold_minor,
                hold_products=self.hold_products,
                judged=event.judged,
            )
        )

    def _release(self, event: NozzleTaken, at: Instant) -> None:
        allowed = self.may_use(event.nozzle)
        ref = next(ref for ref in self.nozzles if ref.nozzle == event.nozzle)
        if allowed is None:
            raise AssertionError("a nozzle was taken that the sale may not use")
        self.nozzle, self.product, self.price, self.total_start_ml = ref.nozzle, ref.product, ref.price, event.total_ml
        self.preset_ml = None if allowed.by_value else allowed.quantity_ml
        self.preset_minor = allowed.value_minor if allowed.by_value else None
        self.hold_ml, self.hold_minor, self.hold_products = allowed.quantity_ml, allowed.value_minor, (ref.product,)
        self.desk.book.replace(self.held())
        self.expose()
        self.desk.persist(
            SaleReleased(
                sale=self.id,
                nozzle=ref.nozzle,
                product=ref.product,
                price=ref.price,
                preset_ml=self.preset_ml,
                preset_minor=self.preset_minor,
                hold_ml=self.hold_ml,
                hold_minor=self.hold_minor,
                total_start_ml=event.total_ml,
            )
        )

    def _deliver(self, event: FillRecorded, at: Instant) -> None:
        ended_at = self.desk.utc(at)
        amount = 0 if self.of_a_test else event.amount_minor
        self.desk.book.settle(self.id, product=self.product, quantity_ml=event.volume_ml, value_minor=amount)
        self.expose()
        self.desk.persist(
            SaleDelivered(
                sale=self.id,
                volume_ml=event.volume_ml,
                amount_minor=amount,
                total_end_ml=event.total_ml,
                end=event.end.value,
                ended_at=ended_at,
            )
        )
        clock = self.desk.clock.state(at).value
        self.desk.enqueue(self.booking(event.volume_ml, amount, event.total_ml, event.end.value, ended_at, clock))

    def _end_empty(self, event: NothingDelivered, at: Instant) -> None:
        self.desk.book.drop(self.id)
        self.expose()
        ended_at = self.desk.utc(at)
        unused = (self.decided_by, self.authorization) if not self.allowed else (None, None)
        self.desk.persist(SaleEnded(self.id, event.end.value, ended_at, self.reversal, *unused))
        self.desk.enqueue(self.booking(0, 0, None, event.end.value, ended_at, self.desk.clock.state(at).value))

    def _reverse(self, event: ReversalDue, at: Instant) -> None:
        self.reversal = True
        self.desk.persist(ReversalQueued(sale=self.id, reason=event.reason))
        self.desk.enqueue(Reverse(sale=self.id, epoch=self.epoch, sequence=self.sequence, reason=event.reason))

    def _doubt(self, event: SaleDoubted, at: Instant) -> None:
        self.desk.book.doubt(self.id)
        self.expose()
        self.desk.persist(SaleInDoubt(sale=self.id, why=event.why))

    def _forget(self, event: SaleAcknowledged, at: Instant) -> None:
        self.desk.sales.pop(self.id, None)

    def _to_reversed(self, event: NothingDelivered, at: Instant) -> bool:
        return self.reversal


_S = SaleState

TABLE: tuple[Rule[SaleState], ...] = (
    Rule(SaleGranted, (_S.RESERVED,), _S.AUTHORIZED, Sale._grant),
    Rule(ReversalDue, (_S.RESERVED,), None, Sale._reverse),
    Rule(NozzleTaken, (_S.AUTHORIZED,), _S.DELIVERING, Sale._release),
    Rule(SaleDoubted, (_S.RESERVED, _S.AUTHORIZED, _S.DELIVERING), _S.IN_DOUBT, Sale._doubt),
    Rule(FillRecorded, (_S.DELIVERING, _S.IN_DOUBT), _S.DELIVERED, Sale._deliver),
    Rule(NothingDelivered, OPEN_STATES, _S.REVERSED, Sale._end_empty, guard=Sale._to_reversed),
    Rule(NothingDelivered, OPEN_STATES, _S.ZERO, Sale._end_empty),
    Rule(SaleAcknowledged, (_S.DELIVERED,), _S.BOOKED, Sale._forget),
    Rule(SaleAcknowledged, (_S.ZERO, _S.REVERSED), None, Sale._forget),
)

_OVER = (_S.DELIVERED, _S.BOOKED, _S.ZERO, _S.REVERSED)

IGNORED: tuple[Ignored[SaleState], ...] = (
    Ignored(
        (SaleGranted,), (_S.AUTHORIZED, _S.DELIVERING, _S.IN_DOUBT), "a second approval of one sale changes nothing; the first one counts"
    ),
    Ignored((SaleGranted,), _OVER, "an approval after the end is never used; the end has told the host or reversed it"),
    Ignored((ReversalDue,), (_S.AUTHORIZED, _S.DELIVERING, _S.IN_DOUBT), "the sale goes on; its completion closes the host's hold"),
    Ignored((ReversalDue,), _OVER, "the final message has closed the host's hold"),
    Ignored((NozzleTaken,), (_S.RESERVED,), "nothing is released before a decision"),
    Ignored((NozzleTaken,), (_S.DELIVERING, _S.IN_DOUBT), "released once is released; never again after a stop"),
    Ignored((NozzleTaken,), _OVER, "the sale is over"),
    Ignored((SaleDoubted,), (_S.IN_DOUBT,), "already in doubt"),
    Ignored((SaleDoubted,), _OVER, "the pump's record was read before"),
    Ignored(
        (FillRecorded,),
        (_S.RESERVED, _S.AUTHORIZED),
        "fuel without a release of this sale is an unattributed delivery, recorded by the fuelling point",
    ),
    Ignored((FillRecorded,), _OVER, "a sale is delivered once; a repeated record of the pump changes nothing"),
    Ignored((NothingDelivered,), _OVER, "the sale is over"),
    Ignored((SaleAcknowledged,), OPEN_STATES, "the host can only acknowledge a final message, and there is none yet"),
    Ignored((SaleAcknowledged,), (_S.BOOKED,), "acknowledged before"),
)

GRID: Grid[SaleState] = Grid(
    "Sale",
    SaleState,
    (SaleGranted, ReversalDue, NozzleTaken, SaleDoubted, FillRecorded, NothingDelivered, SaleAcknowledged),
    TABLE,
    IGNORED,
)
