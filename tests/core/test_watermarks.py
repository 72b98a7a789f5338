"""Baselines and watermarks between a terminal and a real host book: nothing is counted twice and nothing is lost (reference 8.3, 10.2).

The host hears of the sales late, in any order and twice; lists are made at any moment, reach the terminal late or never, and the terminal
restarts. Whatever it has adopted, its ``used`` is what was delivered in the window, to the millilitre.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hal_sim.host.crypto import token_of
from hal_sim.host.messages import instant_text
from terminal.core.account_book import SaleUse, UseState
from terminal.core.card_data import Baseline, Limit, Measure, Period, Subject, SubjectKind
from tests.core.station import HOUR_MS, PRICES, RowLists, Station, taken, window_of
from tests.hal_sim import host_kit

NUMBERS = ("04A1B2C3D4E5F6", "04FFFFFFFFFF01")
TOKENS = tuple(token_of(host_kit.TOKEN_KEY, number) for number in NUMBERS)
LIMITS = (
    ({"card": NUMBERS[0]}, "DAY", "QUANTITY", 10**9, None),
    ({"card": NUMBERS[0]}, "MONTH", "VALUE", 10**9, ["SP95"]),
    ({"card": NUMBERS[1]}, "DAY", "COUNT", 10**6, None),
    ({"customer": "C1"}, "DAY", "VALUE", 10**9, None),
    ({"customer": "C1"}, "MONTH", "QUANTITY", 10**9, ["GAZOLE"]),
    ({"customer": "C1"}, "MONTH", "COUNT", 10**6, None),
)
ELSEWHERE = 12_345
"""Known to the host from another site, in the month's litres of the customer."""


def _subject(row: dict[str, Any]) -> Subject:
    (kind, name), *_ = row["subject"].items()
    return Subject(SubjectKind(kind), name)


def _products(row: dict[str, Any]) -> frozenset[str] | None:
    return None if row["products"] is None else frozenset(row["products"])


def lists_of(rows: list[dict[str, Any]]) -> RowLists:
    """What a terminal has of these rows."""
    limits = [
        Limit(_subject(row), Period(row["period"]), Measure(row["measure"]), row["amount"], _products(row))
        for row in rows
        if row["row"] == "limit"
    ]
    known = [
        Baseline(_subject(row), row["window"], Measure(row["measure"]), _products(row), row["amount"], row["watermark"])
        for row in rows
        if row["row"] == "baseline"
    ]
    return RowLists(tuple(limits), tuple(known), owners=dict.fromkeys(TOKENS, "C1"))


class Watermarks(RuleBasedStateMachine):
    """One terminal, one host."""

    @initialize()
    def begin(self) -> None:
        self.book, self.line, self.clock = host_kit.world(
            cards=[host_kit.card(number) for number in NUMBERS],
            limits=[host_kit.limit(*row) for row in LIMITS],
            host_counts=[host_kit.limit({"customer": "C1"}, "MONTH", "QUANTITY", ELSEWHERE, ["GAZOLE"])],
        )
        self.first_month = window_of(Period.MONTH, self.clock.ms).key
        self.made: list[RowLists] = [lists_of(self.line.rows())]
        self.adopted = 0
        self.station = Station("OPT1-1", self.made[0], checked=self.clock.ms)
        self.sent: set[int] = set()

    def sales(self) -> list[SaleUse]:
        return list(self.station.truth.values())

    def ended(self) -> list[SaleUse]:
        return [use for use in self.sales() if use.state is UseState.DELIVERED]

    @rule(
        number=st.sampled_from((0, 1)),
        product=st.sampled_from(("GAZOLE", "SP95")),
        litres=st.sampled_from((0, 1, 2000)) | st.integers(1, 50_000),
    )
    def fuel(self, number: int, product: str, litres: int) -> None:
        use = self.station.authorize(TOKENS[number], (product,), self.clock.ms)
        assert use is None or use.products == {product}
        if use is not None:
            self.station.narrow(use.sale, product, 60_000)
            if litres:
                self.station.settle(use.sale, litres)
            else:
                self.station.drop(use.sale)

    @rule(number=st.sampled_from((0, 1)), product=st.sampled_from(("GAZOLE", "SP95")))
    def lift(self, number: int, product: str) -> None:
        """A fuelling that goes on: later ones are at the host before it."""
        use = self.station.authorize(TOKENS[number], (product,), self.clock.ms)
        if use is not None:
            self.station.narrow(use.sale, product, 40_000)

    @precondition(lambda self: self.station.open())
    @rule(data=st.data(), litres=st.integers(1, 40_000))
    def hang_up(self, data: st.DataObject, litres: int) -> None:
        self.station.settle(data.draw(st.sampled_from(sorted(self.station.open()))), litres)

    @precondition(lambda self: self.ended())
    @rule(data=st.data(), everything=st.booleans())
    def upload(self, data: st.DataObject, everything: bool) -> None:
        """Some of the records in any order, also some that came before."""
        waiting = [use for use in self.ended() if use.sequence not in self.sent]
        chosen = (
            waiting if everything else data.draw(st.lists(st.sampled_from(self.ended()), max_size=5, unique_by=lambda use: use.sequence))
        )
        chosen = data.draw(st.permutations(chosen))
        if chosen:
            results = self.line.advise(*(self._record(use) for use in chosen))
            assert all(result in ("accepted", "accepted_flagged", "duplicate") for result in results), results
            self.sent |= {use.sequence for use in chosen}

    def _record(self, use: SaleUse) -> dict[str, Any]:
        at = instant_text(use.authorized_at)
        flowed = {"product": use.product, "price": PRICES[use.product or "GAZOLE"], "nozzle": 1 if use.product == "GAZOLE" else 2}
        some = flowed if use.quantity_ml else {}
        number = NUMBERS[TOKENS.index(use.account)]
        record = self.line.advice(use.sequence, use.quantity_ml, number, value_minor=use.value_minor, authorized_at=at, **some)
        return record | {"ended_at": at}

    @rule()
    def publish(self) -> None:
        self.book.publish()
        self.made.append(lists_of(self.line.rows()))

    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        """A newer list, perhaps not the newest: it was under way for long."""
        self.adopted = data.draw(st.integers(self.adopted, len(self.made) - 1))
        self.station.lists = self.made[self.adopted]
        self.station.checked = self.clock.ms

    @rule()
    def all_is_well(self) -> None:
        """Everything is sent, and a list made of it is in use."""
        waiting = [use for use in self.ended() if use.sequence not in self.sent]
        if waiting:
            self.line.advise(*(self._record(use) for use in waiting))
            self.sent |= {use.sequence for use in waiting}
        self.publish()
        self.adopted = len(self.made) - 1
        self.station.lists, self.station.checked = self.made[-1], self.clock.ms

    @rule()
    def power_cut(self) -> None:
        self.station.restart()

    @rule(by=st.sampled_from((1000, 20 * 60_000, HOUR_MS, 24 * HOUR_MS, 4 * 24 * HOUR_MS)))
    def time_passes(self, by: int) -> None:
        self.clock.ms += by
        self.station.checked = max(self.station.checked, self.clock.ms - HOUR_MS)

    @invariant()
    def used_is_what_was_delivered(self) -> None:
        for token in TOKENS:
            decision = self.station.decide(token, ("GAZOLE",), self.clock.ms)
            assert len(decision.remaining) == (5 if token == TOKENS[0] else 4)
            for left in decision.remaining:
                limit = left.limit
                assert left.window is not None
                delivered = [use for use in self.sales() if use.state is UseState.DELIVERED]
                open_ = [use for use in self.sales() if use.state is not UseState.DELIVERED]
                months = (limit.subject.kind, limit.period, limit.measure) == (SubjectKind.CUSTOMER, Period.MONTH, Measure.QUANTITY)
                elsewhere = ELSEWHERE if months and left.window.key == self.first_month else 0
                assert left.used == taken(limit, left.window.key, delivered) + elsewhere
                assert left.held == taken(limit, left.window.key, open_)


TestWatermarks = Watermarks.TestCase
TestWatermarks.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
