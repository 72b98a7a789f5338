"""The transaction number as anchor across restarts of the master (reference dispenser-protocols 3.8; azt.md, The transaction number)."""

from __future__ import annotations

import pytest

from drivers.commands import ConfirmFill, ReadFill, ReadTotal, SetPrices
from drivers.events import CommandFailed, FillReported, PumpLineLost, PumpStatus, PumpStatusChanged, PumpSurveyed, TotalReported
from tests.drivers.azt_bench import START, Bench, Hose, lifted

S = PumpStatus


def restarted(hose: Hose, settled: int | None, late: bool = False) -> Bench:
    """A fresh master, told what the ledger knows (None: of another head), before or after its survey."""
    known = {(2, 1): 99} if settled is None else {(1, 1): settled}
    bench = Bench(hose, known=None if late else known)
    bench.run(3_000)
    if late:
        assert bench.events + bench.settled == [], "what the head's rest means is not known yet"
        bench.line.remember(known, bench.now)
        bench.run(500)
    return bench


def test_what_is_settled_is_told_at_rest_and_after_each_confirm() -> None:
    bench, hose = lifted()
    assert bench.settled == [7]
    bench.submit(START)
    bench.run(2_000)
    hose.flow(500)
    hose.hang_up()
    bench.run(2_000)
    assert bench.settled == [7], "a fill that nobody has read is not settled"
    bench.submit(ReadFill(1))
    bench.submit(ConfirmFill(1))
    bench.run(3_000)
    assert bench.settled == [7, 8]
    bench.submit(SetPrices(1, (470_000,)))
    bench.run(3_000)
    assert bench.settled == [7, 8, 9]


@pytest.mark.parametrize("late", [False, True])
def test_a_fill_that_ended_while_the_master_was_away_is_read_before_anything(late: bool) -> None:
    """Also at a head that has left the finished state by itself: only the number tells."""
    hose = Hose(transaction=8, volume=1_234, total=101_234)
    bench = restarted(hose, 7, late)
    assert bench.take() == [PumpSurveyed(1, S.COMPLETED, None)]
    for command in (START, SetPrices(1, (470_000,))):
        bench.submit(command)
    bench.run(2_000)
    assert (hose.count("2"), hose.count("Q"), hose.count("T")) == (0, 0, 0), "nothing over an unread fill"
    assert len(bench.of(CommandFailed)) == 2
    for ask in (ReadFill(1), ReadTotal(1, 1), ConfirmFill(1)):
        bench.submit(ask)
    bench.run(4_000)
    assert bench.of(FillReported) == [FillReported(1, 12_340, 55_530)]
    assert bench.settled == [8], "not before it was read and confirmed"
    assert bench.of(TotalReported) == [TotalReported(1, 1, 1_012_340)]
    assert bench.events[-1] == PumpStatusChanged(1, S.RESET)
    bench.submit(START)
    bench.run(2_000)
    assert hose.count("2") == 1


@pytest.mark.parametrize("late", [False, True])
def test_the_same_number_is_no_news(late: bool) -> None:
    bench = restarted(Hose(transaction=8), 8, late)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]
    assert bench.settled == [8]


@pytest.mark.parametrize("late", [False, True])
def test_without_a_memory_the_head_is_believed(late: bool) -> None:
    bench = restarted(Hose(transaction=8), None, late)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]
    assert bench.settled == [8]


def test_what_is_remembered_counts_once() -> None:
    hose = Hose(transaction=8)
    bench = restarted(hose, 8)
    bench.line.remember({(1, 1): 5}, bench.now)
    bench.run(500)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]


def test_a_head_that_changes_before_the_ledgers_count_is_known_is_asked_again() -> None:
    """Somebody fuels while a big ledger is examined, and has hung up when it is: that fill is read, not what the survey saw."""
    hose = Hose(transaction=8, state=3, volume=100, total=100_100, out=True)
    bench = Bench(hose, known=None)
    bench.run(3_000)
    assert bench.events == []
    asked = hose.count("5")
    bench.run(3_000)
    assert hose.count("5") == asked, "what was read is not read again"
    hose.flow(400)
    hose.hang_up()
    bench.run(3_000)
    assert bench.events == []
    assert hose.count("5") > asked
    bench.line.remember({(1, 1): 7}, bench.now)
    bench.run(200)
    assert bench.take() == [PumpSurveyed(1, S.COMPLETED, None)]
    bench.submit(ReadFill(1))
    bench.run(2_000)
    assert [fill.volume_ml for fill in bench.of(FillReported)] == [5_000]


def test_a_head_that_is_lost_before_the_ledgers_count_is_known_is_asked_again() -> None:
    hose = Hose(transaction=8)
    bench = Bench(hose, known=None)
    bench.run(3_000)
    hose.silent = True
    bench.run(3_000)
    assert [type(event) for event in bench.take()] == [PumpLineLost]
    hose.silent = False
    bench.run(3_000)
    bench.line.remember({(1, 1): 8}, bench.now)
    bench.run(200)
    assert bench.take() == [PumpSurveyed(1, S.RESET, None)]
