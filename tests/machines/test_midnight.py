"""Midnight passes while the host is asked: a sale is decided for the day in which it counts."""

from __future__ import annotations

from terminal.core import effects as fx
from terminal.core.events import HostTrouble, ProbeAnswered
from terminal.core.records import SaleAuthorized
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, limit, records, token_of

DAY_MS = 24 * 3_600_000


def test_a_sale_of_the_old_day_is_not_judged_by_the_new_one() -> None:
    """40 of 50 litres are taken; another 10 may be, however late the host's silence is known."""
    bench = Bench()
    bench.add_card("A")
    bench.lists.limit_rows.append(limit(token_of("A"), 50_000))
    bench.boot()
    bench.do(ProbeAnswered(UtcMs(MIDNIGHT + DAY_MS - 60_000)))
    bench.site.teller.lists_checked = bench.site.desk.clock.utc(bench.now)
    for fp in bench.points:
        bench.survey(fp, totals=100_000)
    bench.arm()
    bench.deliver(volume_ml=40_000)
    before = bench.site.desk.clock.utc(bench.now)
    bench.wait(MIDNIGHT + DAY_MS - before - 1_000)
    bench.badge("A")
    (question,) = [effect for effect in bench.keys("2#") if isinstance(effect, fx.AskHost)]
    bench.wait(3_000)
    assert bench.site.desk.clock.utc(bench.now) > MIDNIGHT + DAY_MS
    (fact,) = records(bench.no_host(question.sale, HostTrouble.NO_LINE), SaleAuthorized)
    assert max(part.quantity_ml for part in fact.allowed) == 10_000
