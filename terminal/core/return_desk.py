"""Fetches back from the host what this ledger has lost: the sales that the host has booked, and what it still holds.

After a loss (core/restored.py) the host is asked page by page for the sales of the old epoch behind the last number that is here, or from
the first one on that was open here (core/left_open.py), until it has no more. Each becomes a fact of its own and counts from then on like
every sale; nothing of it is sent again. Where to begin is read from the ledger, so a power cut only asks for some pages again. At the end
each sale that was left open, and each authorization that the host still holds, is settled by what the pump's totalisers prove, or named for
people. That the host decides alone until its people have confirmed the ledger stays as it is. (features.md F57;
firmware_notes/host-api.md, "Sales that the terminal lost".)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from terminal.core import left_open
from terminal.core.account_book import SaleUse, UseState
from terminal.core.corrections import corrected
from terminal.core.effects import FetchSales
from terminal.core.faults import FaultCode
from terminal.core.host_events import CorrectionKind, ReturnDue
from terminal.core.ids import MessageKind, SaleId
from terminal.core.internal_events import EndCause, NothingDelivered
from terminal.core.messages import Booking
from terminal.core.point_config import PointState
from terminal.core.records import FaultRaised
from terminal.core.restored import SUBJECT
from terminal.core.returned_record import ROOM, ReturnSettled, SaleReturned
from terminal.core.returned_sales import BackHold, BackSale, Missing, Outcome, SalesBack, SalesBackFailed
from terminal.core.sale import SaleState
from terminal.core.units import Instant, UtcMs, cost_of

if TYPE_CHECKING:
    from terminal.core.site import Site

BEGIN_MS = 2_000
RETRY_MS = 30_000
LOOK_MS = 2_000
MOST_LOOKS = 30
"""So often a point is waited for whose pump has not been read since the start."""
RESTORED = "RESTORED"
"""The mark of a sale whose volume was found at the pump after its own facts were lost."""


class ReturnDesk:
    """Asks, takes and settles. ``in_flight``: a question is on its way."""

    def __init__(self, site: Site, spoke: Callable[[UtcMs | None, Instant], None]) -> None:
        """``spoke`` hears of every answer, as a probe's would be heard."""
        self.site = site
        self.desk = site.desk
        self.past = site.recovered.past
        self.in_flight = False
        self._spoke = spoke
        self._last: SalesBack | None = None  # the last page of an epoch, which is settled next
        self._behind = (0, 0)  # the epoch of the pages that have come, and the number that the last of them ended with
        self._looks = 0
        self._refused: list[str] = []

    def routes(self) -> dict[type, Callable[[Any, Instant], None]]:
        """What of the outside is for this desk."""
        return {ReturnDue: self._due, SalesBack: self._page, SalesBackFailed: self._failed}

    def begin(self) -> None:
        """At start, and when a loss has come out: soon."""
        self._last, self._behind, self._refused = None, (0, 0), []
        self.desk.start(ReturnDue(), BEGIN_MS)

    # --- asking -----------------------------------------------------------------------------------------------------------------

    def _due(self, event: ReturnDue, at: Instant) -> None:
        missing = None if self.in_flight else self._missing()
        if missing is None:
            return
        if self._last is not None and self._last.epoch == missing.epoch:
            self._settle(missing, self._last, at)
        elif self.site.link.down:
            self.desk.start(ReturnDue(), RETRY_MS)
        else:
            self.in_flight = True
            # Should people end one of these before the host has told of it: it may have the record that is lost here.
            self.site.uploads.resent.update(one.sequence for one in left_open.doubtful(self.site, missing))
            self._say(f"the host is asked for the sales behind number {missing.after} of epoch {missing.epoch}")
            self.desk.do(FetchSales(missing.epoch, missing.after))

    def _missing(self) -> Missing | None:
        """The next question, behind the pages that have come."""
        missing = self.past.missing()
        epoch, after = self._behind
        return replace(missing, after=max(missing.after, after)) if missing is not None and missing.epoch == epoch else missing

    def _failed(self, event: SalesBackFailed, at: Instant) -> None:
        self.in_flight = False
        self._say(f"the host does not give lost sales back: {event.why}")
        self.desk.start(ReturnDue(), RETRY_MS)

    # --- taking -----------------------------------------------------------------------------------------------------------------

    def _page(self, event: SalesBack, at: Instant) -> None:
        self.in_flight = False
        self._spoke(event.host_time, at)
        missing = self._missing()
        if missing is None or (event.epoch, event.after) != (missing.epoch, missing.after):
            self.desk.start(ReturnDue(), RETRY_MS)
            return
        for one in event.sales:
            self._take(one, missing, at)
        if event.more and event.sales:
            self._behind = (missing.epoch, event.sales[-1].fact.sequence)  # also where nothing of it can be taken
        else:
            self._last, self._looks = event, 0
        self.desk.start(ReturnDue(), 0)  # behind the commit, so that the ledger tells how far it has come

    def _take(self, one: BackSale, missing: Missing, at: Instant) -> None:
        fact = one.fact
        why = self._why_not(fact, missing)
        if why is not None:
            if why:
                self._refused.append(f"{fact.sale} {why}")
            return
        settles = [each for each in one.corrections if each.kind == CorrectionKind.SETTLE.value]  # their amounts are in the record
        if self._is_open(fact.sale):
            for each in settles:
                if not self.past.has_correction(each.correction):
                    self.desk.persist(replace(each, effective_at=self.desk.utc(at)))
            left_open.take_out(self.site, fact.sale)
        self.desk.persist(fact)
        self._total(fact)
        use = _use(fact)
        for correction in one.corrections:
            if correction not in settles and not self.past.has_correction(correction.correction):
                made = replace(correction, effective_at=self.desk.utc(at))
                self.desk.persist(made)
                use = corrected(use, made)
        self._count(use)

    def _why_not(self, fact: SaleReturned, missing: Missing) -> str | None:
        """Why a sale that the host gives back is not taken, nothing where it is here as it comes; None when it is taken."""
        if self._is_open(fact.sale):
            return None
        here = self.past.use(fact.sale)
        if here is not None or fact.sale in self.desk.sales:
            same = here is not None and (here.quantity_ml, here.value_minor) == (fact.quantity_ml, fact.value_minor)
            return "" if same else "contradicts the sale that is here"
        if fact.sequence >= missing.first:
            return "has a number of the new epoch"
        return "has the number of another sale that is here" if self.past.number_taken(fact.sequence) else None

    def _is_open(self, sale: SaleId) -> bool:
        """The ledger has its beginning, and nobody knows its end."""
        one = self.desk.sales.get(sale)
        return one is not None and one.state is SaleState.IN_DOUBT

    def _total(self, fact: SaleReturned) -> None:
        """A nozzle that the ledger never heard of begins where the sale found it (store/replay.py)."""
        point = self.site.points.get(fact.fp)
        if point is not None and fact.nozzle is not None and fact.quantity_ml > 0:
            point.totals.setdefault(fact.nozzle, fact.end_ml)

    def _count(self, use: SaleUse) -> None:
        if use.quantity_ml or use.value_minor:
            self.desk.book.hold(replace(use, state=UseState.HELD))
            self.desk.book.settle(use.sale, product=use.product, quantity_ml=use.quantity_ml, value_minor=use.value_minor)

    # --- settling ---------------------------------------------------------------------------------------------------------------

    def _settle(self, missing: Missing, page: SalesBack, at: Instant) -> None:
        """Everything that the host has booked is here: what it only holds, what was left open here, and what nobody has."""
        holds = [one for one in page.holds if self._why_not(one.fact, missing) is None]
        doubtful = left_open.doubtful(self.site, missing)
        if any(self._unread(fp) for fp in {one.fact.fp for one in holds} | {one.fp for one in doubtful}) and self._looks < MOST_LOOKS:
            self._looks += 1
            self.desk.start(ReturnDue(), LOOK_MS)
            return
        outcome = self.past.outcome(missing)
        unknown, first_unknown = _gaps(missing, outcome, page.last, [one.fact.sequence for one in holds])
        left = dict(outcome.unexplained)
        ended = [one for one in doubtful if not self._unread(one.fp) and left_open.took_nothing(one, outcome, left)]
        nobody_else = not unknown and not left_open.decides_alone(self.site.config.rules.policy)
        crowded = left_open.crowded(holds, doubtful)
        held: list[SaleId] = []
        for one in holds:
            alone = nobody_else and one.fact.fp not in crowded
            certain = outcome.exact and not self._unread(one.fact.fp)
            certain = certain and (one.fact.sale in outcome.left_open or not self._is_open(one.fact.sale))
            found = None if not certain else self._found(one, outcome, left, at, alone=alone)
            if found is None:
                held.append(one.fact.sale)
                continue
            self._complete(found)
            if found.nozzle is not None:
                left[found.fp, found.nozzle] -= found.moved_ml
        stay = [one.id for one in doubtful if self._is_open(one.id) and (one not in ended or one.id in held)]
        for sale in [one.id for one in ended if self._is_open(one.id) and one.id not in held]:
            self.desk.tell(NothingDelivered(sale, EndCause.POWER))
        for (fp, nozzle), volume_ml in left.items():
            subject = f"fp {fp} nozzle {nozzle}"
            if subject in outcome.raised and not volume_ml:
                self.desk.clear_fault(FaultCode.UNATTRIBUTED_DELIVERY, subject)  # the sale has come back
        settled = ReturnSettled(
            missing.epoch,
            missing.now,
            len(outcome.numbers) + len(holds) - len(held),
            outcome.quantity_ml,
            unknown,
            first_unknown,
            tuple(held),
            len(self._refused),
            tuple(stay),
        )
        self.desk.persist(settled)
        self._say(_words(settled, self._refused))
        self._last, self._refused = None, []
        self.desk.start(ReturnDue(), 0)  # the next epoch, if there is one

    def _unread(self, fp: int) -> bool:
        """Its pump has not told its totalisers yet, or fuel may flow there."""
        point = self.site.points.get(fp)
        return point is None or point.reading or point.state not in (PointState.IDLE, PointState.CALLING)

    def _found(self, one: BackHold, outcome: Outcome, left: dict[tuple[int, int], int], at: Instant, *, alone: bool) -> SaleReturned | None:
        """The sale as its pump tells it; None when that cannot be said beyond doubt.

        Where no nozzle of its point has fuel without a sale, nothing was taken. Where one has, it is this sale's if nothing else that is
        not known can have been there, and if the host allowed it. A terminal that decides alone may have served others whom nobody knows.
        """
        fact, now = one.fact, self.desk.utc(at)
        if any((fact.fp, ref.nozzle) in outcome.unsure for ref in one.nozzles):
            return None
        moved = {nozzle: volume_ml for (fp, nozzle), volume_ml in left.items() if fp == fact.fp and volume_ml}
        if not moved:
            return replace(fact, ended_at=now)
        ref = next((ref for ref in one.nozzles if ref.nozzle in moved), None)
        if ref is None or len(moved) > 1 or not alone:
            return None
        volume_ml = moved[ref.nozzle]
        cost = cost_of(volume_ml, ref.price, self.site.config.rules.decimals)
        allowed = (one.quantity_ml is None or volume_ml <= one.quantity_ml) and (one.value_minor is None or cost <= one.value_minor)
        if volume_ml < 0 or not allowed:
            return None
        end_ml = outcome.ends[fact.fp, ref.nozzle]
        return replace(
            fact,
            nozzle=ref.nozzle,
            product=ref.product,
            price=ref.price,
            quantity_ml=volume_ml,
            value_minor=cost,
            ended_at=now,
            total_start_ml=end_ml - volume_ml,
            total_end_ml=end_ml,
            extra=replace(fact.extra, marks=(*fact.extra.marks, RESTORED)),
        )

    def _complete(self, fact: SaleReturned) -> None:
        left_open.take_out(self.site, fact.sale)
        self.desk.persist(fact)
        self.desk.enqueue(booking_of(fact))
        self._count(_use(fact))

    # --- telling ----------------------------------------------------------------------------------------------------------------

    def _say(self, words: str) -> None:
        """In the text of the fault, which the host hears and the status shows; for as long as people have not confirmed."""
        key = (FaultCode.STORAGE_DAMAGED, SUBJECT)
        if self.desk.faults.active.get(key, words) != words:
            self.desk.faults.active[key] = words
            self.desk.persist(FaultRaised(key[0].value, SUBJECT, words))


def booking_of(fact: SaleReturned) -> Booking:
    """The completion of a sale that the host only held; the same again for the same fact (store/rebooking.py)."""
    return Booking(
        kind=MessageKind.COMPLETE,
        sale=fact.sale,
        epoch=fact.epoch,
        sequence=fact.sequence,
        authorization=fact.authorization,
        decided_by=fact.decided_by,
        fp=fact.fp,
        nozzle=fact.nozzle,
        card=fact.card,
        pin_verified=fact.pin_verified,
        prompts=fact.prompts,
        product=fact.product,
        price=fact.price,
        quantity_ml=fact.quantity_ml,
        value_minor=fact.value_minor,
        authorized_at=fact.authorized_at,
        ended_at=fact.ended_at,
        end=fact.end,
        total_start_ml=fact.total_start_ml,
        total_end_ml=fact.total_end_ml,
        clock=fact.clock,
        list_version=fact.list_version,
        cost_centre=fact.cost_centre,
        driver=fact.driver,
        second=fact.extra.second,
        marks=fact.extra.marks,
    )


def _use(fact: SaleReturned) -> SaleUse:
    products = frozenset((fact.product,) if fact.product else ())
    return SaleUse(
        fact.sale, fact.sequence, fact.account, fact.customer, fact.product, fact.quantity_ml, fact.value_minor,
        UtcMs(fact.authorized_at), UseState.DELIVERED, products, fact.extra.second_account,
    )  # fmt: skip


def _gaps(missing: Missing, outcome: Outcome, last: int, holds: list[int]) -> tuple[int, int]:
    """How many numbers up to the last that the host heard of nobody has, and the first of them (0: none)."""
    begins = 1 if missing.epoch == 1 else (max(last, 1) - 1) // ROOM * ROOM + 1
    before = outcome.kept or begins - 1
    count = first = 0
    for number in [*sorted({*outcome.numbers, *holds}), last + 1]:
        if number > before + 1:
            count, first = count + number - before - 1, first or before + 1
        before = max(before, number)
    return count, first


def _words(settled: ReturnSettled, refused: list[str]) -> str:
    """For people, within the 200 characters of the state report."""
    text = f"rows were lost; {settled.returned} sales came back from the host, {settled.quantity_ml} ml"
    if settled.unknown:
        text += f"; {settled.unknown} numbers from {settled.first_unknown} on are unknown there too"
    if settled.held:
        text += f"; {len(settled.held)} still held there, first {settled.held[0]}"
    here = [sale for sale in settled.doubtful if sale not in settled.held]
    if here:
        text += f"; {len(here)} in doubt here, first {here[0]}"
    if refused:
        text += f"; {len(refused)} not taken: {refused[0]}"
    return text
