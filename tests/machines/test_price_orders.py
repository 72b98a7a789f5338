"""Prices in any order and at any time: no nozzle goes back, nothing begins early, all is answered once, a sale pays its own price."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.effects import AckEvent, Effect
from terminal.core.price_records import PriceSet
from terminal.core.prices import PriceRow, PricesPushed
from terminal.core.records import SaleReleased
from tests.machines.site_kit import Bench, records

MINUTE = 60_000
ROWS = st.sampled_from([PriceRow("GAZOLE", 0), PriceRow("SP95", 0), PriceRow("GAZOLE", 0, fp=2), PriceRow("GAZOLE", 0, fp=1, nozzle=1)])
SAY = st.tuples(st.integers(1, 6), st.one_of(st.none(), st.integers(0, 9)), ROWS, st.integers(17_000, 18_000))
MOVES = st.lists(st.one_of(SAY, st.sampled_from(["pass", "sell"])), max_size=14)


class Told:
    """What came out, and what must hold of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.versions: dict[tuple[int, int], int] = {}
        self.starts: dict[int, int] = {}
        self.answered: list[int] = []

    def look(self, effects: list[Effect]) -> None:
        for fact in records(effects, PriceSet):
            place = fact.fp, fact.nozzle
            assert fact.version > self.versions.get(place, 0), "a nozzle went back"
            assert fact.effective_at >= self.starts[fact.version], "a price began early"
            self.versions[place] = fact.version
        self.answered += [effect.event for effect in effects if isinstance(effect, AckEvent)]

    def sell(self) -> None:
        """A whole fuelling at the first point."""
        bench = self.bench
        before = len(bench.steps)  # a change may end while the driver comes
        bench.wait(10_000)
        start = bench.site.points[1].totals[1]
        sale = bench.arm("A")
        price = next(ref.price for ref in bench.sale(sale).nozzles if ref.nozzle == 1)
        bench.products = tuple(bench.site.points[1].config.nozzles)
        bench.deliver(1, 5_000, start=start)
        done = [effect for step in bench.steps[before:] for effect in step]
        assert [fact.price for fact in records(done, SaleReleased)] == [price]
        self.look(done)


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_prices_in_any_order(moves: list[tuple[int, int | None, PriceRow, int] | str]) -> None:
    bench = Bench(points=(1, 2)).open(host=False)
    bench.add_card("A")
    told = Told(bench)
    said = 0
    for move in moves:
        if move == "pass":
            told.look(bench.wait(2 * MINUTE))
        elif isinstance(move, str):
            told.sell()
        else:
            version, minutes, row, price = move
            said += 1
            now = bench.site.desk.utc(bench.now)
            starts_at = None if minutes is None else now + minutes * MINUTE
            known = bench.site.prices.book.newest
            if version > known:
                told.starts[version] = now if starts_at is None else starts_at
            told.look(bench.do(PricesPushed(said, version, starts_at, (PriceRow(row.product, price, row.fp, row.nozzle),))))
    told.look(bench.wait(15 * MINUTE))
    assert bench.site.prices.book.planned == {}
    assert sorted(set(told.answered)) == list(range(1, said + 1)), "every event is answered when all starts are over"
    assert len(told.answered) == said
    for point in bench.site.points.values():
        assert point.prices.differing() == []
        for nozzle in point.config.nozzles:
            assert bench.site.prices.book.in_force[point.number, nozzle.nozzle].price == nozzle.price
