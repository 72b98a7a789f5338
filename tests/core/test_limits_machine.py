"""Whatever happens at the pumps, the book is the sum of what happened, and no window takes more than its limit (reference 10.2).

Several pumps fuel at once up to what they were allowed, online and offline; lists with baselines and watermarks come at any moment, with
gaps below them; the terminal restarts and forgets. Overruns apart, no limit of a card or a customer is ever passed.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from terminal.core.account_book import AccountBook, SaleUse, UseState
from terminal.core.card_data import HostAnswer, HostDecision, Limit, Measure, Period, Subject, SubjectKind
from terminal.core.units import UtcMs, cost_of
from tests.core.station import DECIMALS, HOUR_MS, OWNERS, PRICES, RowLists, Station, baselines, counts, taken, window_of

START = 1_774_731_600_000  # 2026-03-28T21:00:00Z: the clock change, and soon the end of the month
SUBJECTS = [*(Subject(SubjectKind.CARD, name) for name in "abd"), Subject(SubjectKind.CUSTOMER, "C"), Subject(SubjectKind.CUSTOMER, "C")]
NEXT = 2 * HOUR_MS, 25 * HOUR_MS, 40 * 24 * HOUR_MS


def _limit(subject: Subject, period: Period, measure: Measure, products: frozenset[str] | None, amount: int) -> Limit:
    return Limit(subject, period, measure, min(amount, 6) if measure is Measure.COUNT else amount, products)


limits = st.lists(
    st.builds(
        _limit,
        st.sampled_from(SUBJECTS),
        st.sampled_from([Period.DAY, Period.DAY, Period.MONTH]),
        st.sampled_from(Measure),
        st.none() | st.frozensets(st.sampled_from(sorted(PRICES)), min_size=1),
        st.integers(0, 60_000),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda row: (row.subject, row.period, row.measure, row.products),
)
products = st.lists(st.sampled_from(sorted(PRICES)), min_size=1, max_size=3, unique=True).map(tuple)


class Pumps(RuleBasedStateMachine):
    """One terminal and the host that hears of everything it uploads."""

    @initialize(rows=limits)
    def begin(self, rows: list[Limit]) -> None:
        self.now = START
        self.limits = tuple(rows)
        self.station = Station("T", RowLists(self.limits), checked=START)

    def some(self, data: st.DataObject, *states: UseState) -> str:
        return data.draw(st.sampled_from(sorted(self.station.open(*states))))

    def sales(self) -> list[SaleUse]:
        return list(self.station.truth.values())

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule(
        account=st.sampled_from(sorted(OWNERS)), offered=products, how=st.sampled_from(("hold", "lift", "whole", "whole")), data=st.data()
    )
    def fuel_offline(self, account: str, offered: tuple[str, ...], how: str, data: st.DataObject) -> None:
        """The driver has chosen, has lifted, or is done and took all that he might."""
        use = self.station.authorize(account, offered, self.now)
        if use is not None and how != "hold":
            self._lift(use.sale, data)
            held = self.station.truth[use.sale]
            if how == "whole" and held.product is not None:
                self.station.settle(use.sale, held.quantity_ml)

    @precondition(lambda self: not self.station.unsent() and not self.station.open())
    @rule(account=st.sampled_from(sorted(OWNERS)), offered=products, data=st.data())
    def fuel_online(self, account: str, offered: tuple[str, ...], data: st.DataObject) -> None:
        """The host knows everything; it bounds by all limits of whatever product, as one number."""
        rooms = [
            (row, row.amount - taken(row, window_of(row.period, self.now).key, self.sales()))
            for row in self.limits
            if row.subject.id in (account, OWNERS[account])
        ]
        if any(row.measure is Measure.COUNT and room < 1 for row, room in rooms):
            return
        ml = min((max(0, room) for row, room in rooms if row.measure is Measure.QUANTITY), default=None)
        minor = min((max(0, room) for row, room in rooms if row.measure is Measure.VALUE), default=None)
        use = self.station.authorize(account, offered, self.now, HostAnswer(HostDecision.APPROVED, ml, minor))
        if use is not None:
            self._lift(use.sale, data)

    def _lift(self, sale: str, data: st.DataObject) -> None:
        allowed = data.draw(st.sampled_from(self.station.allowed))
        if allowed.quantity_ml > 0:
            self.station.narrow(sale, allowed.product, allowed.quantity_ml)
            assert self.station.truth[sale].value_minor == allowed.value_minor

    @precondition(lambda self: any(self.station.truth[sale].product for sale in self.station.open()))
    @rule(data=st.data(), whole=st.booleans())
    def hang_up(self, data: st.DataObject, whole: bool) -> None:
        sale = data.draw(st.sampled_from(sorted(sale for sale in self.station.open() if self.station.truth[sale].product)))
        most = self.station.truth[sale].quantity_ml
        self.station.settle(sale, most if whole else data.draw(st.integers(0, most)))

    @precondition(lambda self: self.station.open())
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        self.station.drop(self.some(data))

    @precondition(lambda self: self.station.open(UseState.HELD))
    @rule(data=st.data())
    def line_lost(self, data: st.DataObject) -> None:
        self.station.doubt(self.some(data, UseState.HELD))

    @rule()
    def power_cut(self) -> None:
        self.station.restart()

    @rule(by=st.sampled_from((1, 60_000, HOUR_MS, *NEXT)))
    def time_passes(self, by: int) -> None:
        self.now += by

    @rule(data=st.data())
    def upload(self, data: st.DataObject) -> None:
        """In any order; what is left out stays a gap for now."""
        waiting = [use.sequence for use in self.station.unsent()]
        if waiting:
            self.station.uploaded |= data.draw(st.sets(st.sampled_from(waiting)) | st.just(set(waiting)))

    @rule()
    def publish(self) -> None:
        watermark = 0
        while watermark + 1 in self.station.uploaded:
            watermark += 1
        self.station.lists.baselines_ = baselines(self.limits, self.now, self.sales(), watermark, lambda limit, key: 0)
        self.station.checked = self.now

    @rule()
    def lists_fresh(self) -> None:
        self.station.checked = self.now

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def the_book_is_the_sum_of_what_happened(self) -> None:
        book = self.station.book
        assert book == AccountBook(self.station.truth.values())
        for row in self.limits:
            key = window_of(row.period, self.now).key
            window = window_of(row.period, self.now)
            use = book.use(row.subject, window=(window.start, window.end), products=row.products, watermark=None, lists_checked=None)
            assert use.since.of(row.measure) + use.held.of(row.measure) == taken(row, key, self.sales())
            assert use.before.of(row.measure) == 0

    @invariant()
    def a_customer_is_the_sum_of_its_cards(self) -> None:
        book = self.station.book
        ever = {
            subject: book.use(subject, window=None, products=None, watermark=None, lists_checked=UtcMs(self.station.checked))
            for subject in (Subject(SubjectKind.CUSTOMER, "C"), *(Subject(SubjectKind.CARD, name) for name in "abc"))
        }
        whole, *cards = ever.values()
        for part in ("before", "since", "held"):
            for measure in Measure:
                assert getattr(whole, part).of(measure) == sum(getattr(card, part).of(measure) for card in cards)

    @invariant()
    def no_window_ever_takes_more_than_its_limit(self) -> None:
        """Deliveries, and holds whose product is known. Before that a hold stands for the largest of its products, in all of them."""
        certain = [use for use in self.sales() if use.product is not None]
        for row in self.limits:
            for key in {window_of(row.period, use.authorized_at).key for use in certain if counts(row, use)}:
                assert taken(row, key, certain) <= row.amount

    @invariant()
    def what_was_delivered_costs_what_was_allowed_or_less(self) -> None:
        for use in self.sales():
            if use.state is UseState.DELIVERED and use.product is not None:
                assert use.value_minor == cost_of(use.quantity_ml, PRICES[use.product], DECIMALS)


TestPumps = Pumps.TestCase
TestPumps.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
