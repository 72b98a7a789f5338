"""Several terminals share one limit through a host, everything may be lost or late: together they never take more (reference 10.12).

Each terminal is a real account book with the real decision over the lists that reached it; the host's share-keeping is the real book of
shares. In between, lists are lost or late, words that a list is in use come late or never, records come late and twice, answers to
authorizations are lost (the sale is then decided offline and reversed), and terminals restart.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hal_sim.host.shares import ShareBook
from terminal.core.card_data import Baseline, HostAnswer, HostDecision, Limit, Measure, Period, Share, Subject, SubjectKind
from tests.core.station import HOUR_MS, RowLists, Station, window_of

START = 1_774_731_600_000  # 2026-03-28T21:00:00Z, three days before the month ends
CUSTOMER = Subject(SubjectKind.CUSTOMER, "C")
KEY = "the limit"


@dataclass
class Site:
    """A terminal, what is under way to it and from it, and what the host has of it."""

    station: Station
    edition: int = 0
    lists: list[tuple[int, int, RowLists]] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    outbox: deque[tuple[str, int]] = field(default_factory=deque)
    booked: dict[int, tuple[str, int]] = field(default_factory=dict)
    held: dict[int, tuple[str, int, bool]] = field(default_factory=dict)

    @property
    def mark(self) -> int:
        """Up to here the host has every record."""
        mark = 0
        while mark + 1 in self.booked:
            mark += 1
        return mark


class Fleet(RuleBasedStateMachine):
    """Some terminals, one host."""

    @initialize(count=st.integers(1, 3), amount=st.sampled_from((1000, 30_001)))
    def begin(self, count: int, amount: int) -> None:
        self.now = START
        self.limit = Limit(CUSTOMER, Period.MONTH, Measure.QUANTITY, amount, None, shared=True)
        self.shares = ShareBook()
        self.sites = [Site(Station(f"T{number}", RowLists((self.limit,)), checked=START)) for number in range(count)]
        self.edition = 0

    def window(self) -> str:
        return window_of(Period.MONTH, self.now).key

    def site(self, data: st.DataObject) -> Site:
        return data.draw(st.sampled_from(range(len(self.sites))).map(self.sites.__getitem__))

    def used(self, window: str) -> int:
        return sum(amount for site in self.sites for when, amount in site.booked.values() if when == window)

    # --- the host -----------------------------------------------------------------------------------------------------

    @rule(data=st.data(), wanted=st.sampled_from((0, 1, 2, 2)))
    def publish(self, data: st.DataObject, wanted: int) -> None:
        """Nothing, half of the limit, or all of it."""
        self._publish(self.site(data), wanted * self.limit.amount // 2)

    @rule(data=st.data(), wanted=st.sampled_from((0, 1, 2, 2)))
    def publish_and_adopt(self, data: st.DataObject, wanted: int) -> None:
        site = self.site(data)
        self._publish(site, wanted * self.limit.amount // 2)
        self._adopt(site, len(site.lists) - 1)

    def _publish(self, site: Site, wanted: int) -> None:
        self.edition += 1
        window, name = self.window(), site.station.name
        booked = self.used(window)
        grant = self.shares.grant(
            KEY, window, name, wanted=wanted, rest=self.limit.amount - booked, watermark=(1, site.mark), edition=self.edition
        )
        late = sum(amount for sequence, (when, amount) in site.booked.items() if when == window and sequence > site.mark)
        known = Baseline(CUSTOMER, window, Measure.QUANTITY, None, booked - late, site.mark)
        share = (
            ()
            if grant is None
            else (Share(grant.name, CUSTOMER, Period.MONTH, window, Measure.QUANTITY, None, grant.amount, grant.watermark[1]),)
        )
        site.lists.append((self.edition, self.now, RowLists((self.limit,), (known,), share)))

    def _hears(self, site: Site, kind: str, sequence: int) -> None:
        """A message of a terminal; again is the same as once."""
        name = site.station.name
        on_top = False
        if sequence in site.held:
            window, amount, on_top = site.held.pop(sequence)
            self.shares.hold(KEY, window, name, -amount, on_top=on_top)
        if kind == "record" and sequence not in site.booked:
            use = site.station.truth[f"{name}-{sequence}"]
            window = window_of(Period.MONTH, use.authorized_at).key
            site.booked[sequence] = (window, use.quantity_ml)
            self.shares.book(KEY, window, name, (1, sequence), use.quantity_ml, on_top=on_top)

    def _approves(self, site: Site, sequence: int) -> int:
        window, name = self.window(), site.station.name
        current = site.mark >= sequence - 1
        held = sum(amount for when, amount, _ in site.held.values() if when == window)
        rest = self.limit.amount - self.used(window) - held - self.shares.kept_back(KEY, window, name, current=current)
        if rest > 0:
            self.shares.hold(KEY, window, name, rest, on_top=not current)
            site.held[sequence] = (window, rest, not current)
        return max(0, rest)

    # --- the terminals ------------------------------------------------------------------------------------------------

    def _adopt(self, site: Site, index: int) -> None:
        site.edition, checked, site.station.lists = site.lists[index]
        site.station.checked = checked
        del site.lists[: index + 1]
        site.words.append(site.edition)

    @precondition(lambda self: any(site.lists for site in self.sites))
    @rule(data=st.data())
    def a_list_arrives(self, data: st.DataObject) -> None:
        """Any that is under way; the ones before it are lost."""
        site = data.draw(st.sampled_from([number for number, site in enumerate(self.sites) if site.lists]).map(self.sites.__getitem__))
        self._adopt(site, data.draw(st.integers(0, len(site.lists) - 1)))

    @precondition(lambda self: any(site.words for site in self.sites))
    @rule(data=st.data(), newest=st.booleans())
    def a_word_that_a_list_is_in_use_arrives(self, data: st.DataObject, newest: bool) -> None:
        """In any order, also one that came already."""
        site = data.draw(st.sampled_from([number for number, site in enumerate(self.sites) if site.words]).map(self.sites.__getitem__))
        self.shares.applied(site.station.name, site.words[-1] if newest else data.draw(st.sampled_from(site.words)))

    @rule(data=st.data(), account=st.sampled_from("abc"), whole=st.booleans())
    def fuel_offline(self, data: st.DataObject, account: str, whole: bool) -> None:
        site = self.site(data)
        use = site.station.authorize(account, ("GAZOLE",), self.now)
        if use is not None:
            site.station.narrow(use.sale, "GAZOLE", use.quantity_ml)
            if whole:
                site.station.settle(use.sale, use.quantity_ml)
                site.outbox.append(("record", use.sequence))

    @rule(data=st.data(), account=st.sampled_from("abc"), answer_lost=st.booleans())
    def fuel_online(self, data: st.DataObject, account: str, answer_lost: bool) -> None:
        site = self.site(data)
        sequence = site.station.sequence + 1
        ml = self._approves(site, sequence)
        answer = HostAnswer(HostDecision.APPROVED, ml) if ml else HostAnswer(HostDecision.DECLINED)
        if answer_lost:
            site.outbox.append(("reverse", sequence))
        use = site.station.authorize(account, ("GAZOLE",), self.now, None if answer_lost else answer)
        if use is None:
            site.station.skip(account, self.now)  # the reservation's number is used up all the same
            site.outbox.append(("record", sequence))
        else:
            assert use.sequence == sequence
            site.station.narrow(use.sale, "GAZOLE", use.quantity_ml)

    @precondition(lambda self: any(site.station.open() for site in self.sites))
    @rule(data=st.data(), whole=st.booleans())
    def hang_up(self, data: st.DataObject, whole: bool) -> None:
        site = data.draw(
            st.sampled_from([number for number, site in enumerate(self.sites) if site.station.open()]).map(self.sites.__getitem__)
        )
        use = site.station.truth[data.draw(st.sampled_from(sorted(site.station.open())))]
        litres = use.quantity_ml if whole else data.draw(st.integers(0, use.quantity_ml))
        if litres:
            site.station.settle(use.sale, litres)
        else:
            site.station.drop(use.sale)
        site.outbox.append(("record", use.sequence))

    @precondition(lambda self: any(site.outbox for site in self.sites))
    @rule(data=st.data(), most=st.integers(1, 9), answers_lost=st.booleans())
    def upload(self, data: st.DataObject, most: int, answers_lost: bool) -> None:
        """In order; what the terminal gets no answer to, it sends again."""
        site = data.draw(st.sampled_from([number for number, site in enumerate(self.sites) if site.outbox]).map(self.sites.__getitem__))
        for kind, sequence in list(site.outbox)[:most]:
            self._hears(site, kind, sequence)
            if not answers_lost:
                site.outbox.popleft()

    @rule(data=st.data())
    def power_cut(self, data: st.DataObject) -> None:
        self.site(data).station.restart()

    @rule(by=st.sampled_from((1000, HOUR_MS, HOUR_MS, 26 * HOUR_MS)))
    def time_passes(self, by: int) -> None:
        self.now += by

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def together_they_never_take_more_than_the_limit(self) -> None:
        taken: Counter[str] = Counter()
        for site in self.sites:
            for use in site.station.truth.values():
                taken[window_of(Period.MONTH, use.authorized_at).key] += use.quantity_ml
        assert max(taken.values(), default=0) <= self.limit.amount


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_shares_let_terminals_sell_without_the_host() -> None:
    """Else the promise above would be kept by selling nothing."""
    fleet = Fleet()
    fleet.begin(count=2, amount=10_000)
    first, second = fleet.sites
    for site, wanted in ((first, 6000), (second, 6000)):
        fleet._publish(site, wanted)
        fleet._adopt(site, 0)
    sold = [site.station.authorize("a", ("GAZOLE",), START) for site in (first, second)]
    assert [use and use.quantity_ml for use in sold] == [6000, 4000]
    assert first.station.authorize("b", ("GAZOLE",), START) is None
