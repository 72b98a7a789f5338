"""What the host once heard of the ledger must still be in it; where it is not, only the host decides until its people have confirmed."""

from __future__ import annotations

import pytest

from terminal.core.corrections import NoPast
from terminal.core.events import HostTrouble, ProbeFailed
from terminal.core.faults import FaultCode
from terminal.core.host_events import LedgerConfirmed, StateAnswered
from terminal.core.records import EventPassed, SaleReserved
from terminal.core.rollback_mark import LedgerRestored
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, names, records, screen

HERE, OTHER = "11" * 32, "22" * 32


class Past(NoPast):
    """A journal of ten rows."""

    def hash_at(self, row: int) -> str | None:
        return HERE if row <= 10 else None


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.recovered.past = Past()
    bench.open()
    bench.add_card("A")
    bench.wait(5_000)
    return bench


@pytest.mark.parametrize("known", [None, (1, HERE), (10, HERE)])
def test_a_row_that_is_here_is_no_fault(bench: Bench, known: tuple[int, str] | None) -> None:
    assert records(bench.do(StateAnswered(UtcMs(bench.site.desk.utc(bench.now)), known)), LedgerRestored) == []
    assert FaultCode.STORAGE_DAMAGED.value not in bench.faults()


@pytest.mark.parametrize(("known", "words"), [((11, HERE), "not here"), ((10, OTHER), "another one here")])
def test_a_row_that_is_not_here_begins_an_epoch_and_is_told_once(bench: Bench, known: tuple[int, str], words: str) -> None:
    before = bench.site.teller.minting
    effects = bench.do(StateAnswered(UtcMs(bench.site.desk.utc(bench.now)), known))
    (fact,) = records(effects, LedgerRestored)
    assert (fact.lost, fact.epoch, fact.first) == (True, before.epoch + 1, 1_000_001)
    assert words in fact.why
    assert names(effects, "Start ReturnDue") == ["Start ReturnDue"], "what is lost is fetched back"
    assert FaultCode.STORAGE_DAMAGED.value in bench.faults()
    assert records(bench.do(StateAnswered(UtcMs(bench.site.desk.utc(bench.now)), known)), LedgerRestored) == []
    sale = bench.arm()
    assert sale == f"{before.terminal}-{before.epoch + 1}-1000001"


def test_without_the_host_nothing_is_decided_until_it_has_confirmed(bench: Bench) -> None:
    bench.do(StateAnswered(UtcMs(bench.site.desk.utc(bench.now)), (11, HERE)))
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    refused = bench.badge("A")
    assert screen(refused)[0] == "Refused"
    assert records(refused, SaleReserved) == []
    effects = bench.do(LedgerConfirmed(7, "compared"))
    assert [fact.event for fact in records(effects, EventPassed)] == [7]
    assert FaultCode.STORAGE_DAMAGED.value not in bench.faults()
    bench.wait(10_000)
    bench.badge("A")
    assert names(bench.keys("1#"), "SaleReserved") == ["SaleReserved"]
