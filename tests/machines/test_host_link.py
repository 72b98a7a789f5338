"""The belief about the host: two failures or one certain one end it, any answer in time restores it."""

from __future__ import annotations

import pytest

from terminal.core.effects import CheckLists, Effect, ProbeHost, StartDeadline
from terminal.core.events import HostTrouble, ListCheckDue, ListsCurrent, ProbeAnswered, ProbeDue, ProbeFailed
from terminal.core.faults import FaultCode
from terminal.core.list_desk import FAILURES_UNTIL_FAULT
from terminal.core.list_events import ListsFailed
from terminal.core.records import ClockAnchored
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, records

NOON = UtcMs(MIDNIGHT + 12 * 3_600_000)


@pytest.fixture
def bench() -> Bench:
    return Bench().open()


def probes(effects: list[Effect]) -> int:
    return effects.count(ProbeHost())


@pytest.mark.parametrize(("trouble", "needed"), [(HostTrouble.NO_LINE, 1), (HostTrouble.TIMED_OUT, 2), (HostTrouble.TECHNICAL, 2)])
def test_how_many_failures_mean_away(bench: Bench, trouble: HostTrouble, needed: int) -> None:
    for count in range(needed):
        assert bench.site.link.reachable, count
        bench.do(ProbeFailed(trouble, "no answer"))
    assert not bench.site.link.reachable
    assert "HOST_UNREACHABLE" in bench.faults()


def test_away_it_is_probed_until_it_answers(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    for _ in range(3):
        assert probes(bench.wait(4_999)) == 0
        assert probes(bench.wait(1)) == 1
        bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    effects = bench.do(ProbeAnswered(NOON))
    assert bench.site.link.reachable
    assert "HOST_UNREACHABLE" not in bench.faults()
    assert StartDeadline(ListCheckDue(), 0) in effects, "its lists may have moved on"
    assert probes(bench.wait(60_000)) == 0


def test_a_first_probe_without_an_answer_is_repeated() -> None:
    bench = Bench()
    bench.boot()
    bench.do(ProbeFailed(HostTrouble.TIMED_OUT, "slow"))
    assert bench.site.link.reachable
    assert probes(bench.wait(5_000)) == 1


def test_an_answer_takes_a_failure_back(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.TIMED_OUT, "slow"), ProbeAnswered(NOON), ProbeFailed(HostTrouble.TIMED_OUT, "slow"))
    assert bench.site.link.reachable


def test_lists_are_asked_for_again_whatever_became_of_the_last_question(bench: Bench) -> None:
    bench.do(ListsCurrent(NOON))
    for _ in range(3):
        assert CheckLists("E1", 7) in bench.wait(300_000)
        bench.do(ProbeFailed(HostTrouble.TIMED_OUT, "the list question, in the words of a probe"), ProbeAnswered(NOON))


def test_lists_that_can_never_be_had_from_a_host_that_answers_all_else_are_a_fault(bench: Bench) -> None:
    bench.do(ListsCurrent(NOON))
    for _ in range(FAILURES_UNTIL_FAULT):
        assert "LIST_REFUSED" not in bench.faults()
        bench.wait(300_000)
        bench.do(ListsFailed(HostTrouble.TECHNICAL, "status 500"), ProbeAnswered(NOON))
    assert bench.site.desk.faults.active[FaultCode.LIST_REFUSED, "cards"] == "cards: they cannot be had, technical: status 500"
    bench.do(ListsCurrent(NOON))
    assert "LIST_REFUSED" not in bench.faults()
    bench.do(ListsFailed(HostTrouble.TECHNICAL, "status 500"), ProbeAnswered(NOON))
    assert "LIST_REFUSED" not in bench.faults(), "counted anew"


def test_lists_of_a_host_that_is_away_are_no_fault_of_their_own(bench: Bench) -> None:
    for _ in range(2 * FAILURES_UNTIL_FAULT):
        bench.do(ListsFailed(HostTrouble.NO_LINE, "unplugged"), ProbeFailed(HostTrouble.TIMED_OUT, "slow"))
        bench.do(ListsFailed(HostTrouble.TIMED_OUT, "slow"))
    assert bench.faults() == {"HOST_UNREACHABLE"}


def test_the_hosts_time_is_written_down_once_an_hour(bench: Bench) -> None:
    assert records(bench.do(ProbeAnswered(NOON)), ClockAnchored) == []
    bench.wait(3_600_000)
    (anchor,) = records(bench.do(ProbeAnswered(UtcMs(NOON + 3_600_000))), ClockAnchored)
    assert (anchor.host_time, anchor.instant, anchor.boot) == (NOON + 3_600_000, bench.now, "boot-a")


def test_the_probe_deadline_is_one(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"), ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    assert [deadline for deadline in bench.due if isinstance(deadline, ProbeDue)] == [ProbeDue()]
