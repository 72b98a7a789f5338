"""The terminal's report of itself: when it goes out, what stands in it, and that it costs neither a commit nor the belief in the host."""

from __future__ import annotations

import pytest

from terminal.core.card_lists import ListMark
from terminal.core.effects import Effect, Enqueue, Persist, ProbeHost, ReportState, StartDeadline, TellApplied
from terminal.core.events import (
    BackupEnded,
    HostTrouble,
    ListsInUse,
    ListsReady,
    ProbeAnswered,
    ProbeFailed,
    RoomSeen,
    UploadAnswered,
    UploadResult,
)
from terminal.core.faults import FaultCode
from terminal.core.host_events import (
    AppliedAnswered,
    AppliedDue,
    AppliedFailed,
    CertificateSeen,
    ClosingPushed,
    ClosingScope,
    StateAnswered,
    StateFailed,
)
from terminal.core.ids import Minting
from terminal.core.records import FaultCleared, FaultRaised
from terminal.core.site import Recovered
from terminal.core.terminal_state import Offline, TerminalState, enforced
from terminal.core.units import UtcMs
from tests.machines.site_kit import Bench, records


def reports(effects: list[Effect]) -> list[TerminalState]:
    return [effect.state for effect in effects if isinstance(effect, ReportState)]


def told(effects: list[Effect]) -> list[tuple[str, int]]:
    return [(effect.epoch, effect.version) for effect in effects if isinstance(effect, TellApplied)]


@pytest.fixture
def bench() -> Bench:
    bench = Bench().open()
    bench.add_card("A")
    bench.wait(5_000)
    return bench


# --- when -------------------------------------------------------------------------------------------------------------------------


def test_it_goes_out_every_minute_and_commits_nothing(bench: Bench) -> None:
    before = len(bench.steps)
    assert len(reports(bench.wait(60_000 * 5))) == 5
    steps = [step for step in bench.steps[before:] if reports(step)]
    assert len(steps) == 5
    assert not [effect for step in steps for effect in step if isinstance(effect, Persist | Enqueue)]


def test_a_change_is_told_within_two_seconds_and_several_at_once(bench: Bench) -> None:
    bench.do(ClosingPushed(1, ClosingScope.SITE, "", True, "tanker"))
    bench.wait(500)
    bench.do(ClosingPushed(2, ClosingScope.FUELLING_POINT, "2", True, "tanker"))
    (state,) = reports(bench.wait(1_500))
    assert {one.scope for one in state.closed} == {ClosingScope.SITE, ClosingScope.FUELLING_POINT}
    assert [(point.fuelling_point, point.closed) for point in state.points] == [(1, True), (2, True)]
    assert len(reports(bench.wait(59_500))) == 1, "and the next after the whole interval"


def test_faults_are_told_with_their_instant_and_their_end(bench: Bench) -> None:
    began = bench.site.desk.utc(bench.now)
    bench.site.desk.raise_fault(FaultCode.PUMP_ALARM, "fp 1", "leak")
    bench.do(ProbeAnswered(UtcMs(began)))
    (state,) = reports(bench.wait(2_000))
    assert [(fault.code, fault.subject, fault.since, fault.detail) for fault in state.faults] == [("PUMP_ALARM", "fp 1", began, "leak")]
    bench.site.desk.clear_fault(FaultCode.PUMP_ALARM, "fp 1")
    bench.do(ProbeAnswered(UtcMs(began)))
    (state,) = reports(bench.wait(2_000))
    assert state.faults == ()


def test_a_failure_asks_the_probe_and_is_counted_by_nobody(bench: Bench) -> None:
    effects = bench.do(StateFailed("broken"), StateFailed("broken"), StateFailed("broken"))
    assert [effect.after_ms for effect in effects if isinstance(effect, StartDeadline)] == [0, 0, 0]
    assert bench.site.link.reachable
    assert any(isinstance(effect, ProbeHost) for effect in bench.wait(1))


def test_no_report_while_the_host_is_away_and_one_at_its_return(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    assert reports(bench.wait(180_000)) == []
    bench.do(ProbeAnswered(UtcMs(bench.site.desk.utc(bench.now))))
    assert len(reports(bench.wait(2_000))) == 1


def test_an_answer_is_heard_as_a_probe_s(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    bench.do(StateAnswered(UtcMs(bench.site.desk.utc(bench.now) + 250)))
    assert bench.site.link.reachable
    (state,) = reports(bench.wait(2_000))
    assert (state.clock, state.clock_offset_ms) == ("trusted", 250)


# --- what -------------------------------------------------------------------------------------------------------------------------


def test_it_says_what_waits_since_when_and_what_was_refused(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    sold = []
    for _ in range(2):
        sold.append(bench.arm("A"))
        bench.deliver()
        bench.site.points[1].totals[1] = 100_000
        bench.wait(60_000)
    first = bench.site.state.state(bench.now)
    assert (first.queue.unsent, first.queue.quarantined) == (2, 0)
    assert first.queue.oldest is not None
    assert bench.site.desk.utc(bench.now) - 125_000 < first.queue.oldest < bench.site.desk.utc(bench.now) - 110_000
    bench.do(ProbeAnswered(UtcMs(bench.site.desk.utc(bench.now))))
    bench.do(UploadAnswered(f"{sold[0]}/advice", UploadResult.REJECTED_PERMANENT, None))  # type: ignore[arg-type]
    second = bench.site.state.state(bench.now)
    assert (second.queue.unsent, second.queue.quarantined) == (1, 1)
    assert second.queue.oldest is not None
    assert second.queue.oldest > first.queue.oldest
    assert (second.next_sequence, second.epoch) == (3, 1)
    bench.do(UploadAnswered(f"{sold[1]}/advice", UploadResult.ACCEPTED, None))  # type: ignore[arg-type]
    assert bench.site.state.state(bench.now).queue.oldest is None


def test_after_a_restart_it_says_what_the_ledger_remembers() -> None:
    known = Recovered(
        Minting("T", 2, 7), waiting=2, oldest=500, quarantined=3, last_event=4,
        faults={(FaultCode.PUMP_ALARM, "fp 1"): "leak"}, fault_since={("PUMP_ALARM", "fp 1"): 99},
        list_mark=ListMark("E1", 7, 12, 0, "ab" * 32),
    )  # fmt: skip
    bench = Bench(recovered=known)
    bench.boot()
    state = bench.site.state.state(bench.now)
    assert (state.queue.unsent, state.queue.oldest, state.queue.quarantined) == (2, 500, 3)
    assert [(fault.code, fault.since) for fault in state.faults] == [("PUMP_ALARM", 99)]
    assert (state.lists.epoch, state.lists.version, state.lists.rows, state.lists.content_hash) == ("E1", 7, 12, "ab" * 32)
    assert (state.boot, state.last_event, state.push, state.clock, state.clock_offset_ms) == ("boot-a", 4, False, "untrusted", None)
    assert (state.next_sequence, state.epoch) == (7, 2)


def test_an_armed_point_is_told_with_its_sale(bench: Bench) -> None:
    sale = bench.arm("A")
    state = bench.site.state.state(bench.now)
    assert [(point.fuelling_point, point.state, point.sale) for point in state.points] == [(1, "idle", sale), (2, "idle", None)]
    assert state.in_service


def test_which_limits_hold_how_far_without_the_host() -> None:
    found = {one.limit: one.offline for one in enforced(only_terminal=False)}
    assert found["FUELLING QUANTITY"] is Offline.EXACT
    assert found["MONTH QUANTITY"] is Offline.BOUNDED
    assert found["DAY COUNT"] is Offline.BOUNDED
    assert found["prepaid VALUE"] is Offline.BOUNDED
    assert found["share"] is Offline.EXACT
    assert (found["WEEK"], found["YEAR"], found["ROLLING"]) == (Offline.NO, Offline.NO, Offline.NO)
    assert "FUELLING COUNT" not in found
    alone = {one.limit: one.offline for one in enforced(only_terminal=True)}
    assert alone["MONTH QUANTITY"] is Offline.EXACT


# --- the terminal's own certificate -----------------------------------------------------------------------------------------------

DAY_MS = 24 * 3_600_000


def seen(bench: Bench, left_ms: int | None, why: str = "") -> list[Effect]:
    ends = None if left_ms is None else UtcMs(bench.site.desk.utc(bench.now) + left_ms)
    return bench.do(CertificateSeen(ends, why))


@pytest.mark.parametrize(
    ("left_ms", "why", "said"),
    [
        (30 * DAY_MS, "the host refused it", "30 days are left; the host refused it"),
        (30 * DAY_MS - 1, "", "29 days are left"),
        (1, "", "0 days are left"),
        (0, "", "it has ended"),
        (-DAY_MS, "no answer", "it has ended; no answer"),
        (None, "no PEM", "it cannot be read; no PEM"),
        (None, "", "it cannot be read"),
    ],
)
def test_a_certificate_near_its_end_or_over_it_is_a_fault_that_says_why(bench: Bench, left_ms: int | None, why: str, said: str) -> None:
    (raised,) = records(seen(bench, left_ms, why), FaultRaised)
    assert (raised.code, raised.subject, raised.detail) == ("CERTIFICATE_ENDS", "terminal", said)
    assert bench.site.in_service, "it only warns: selling goes on"


def test_a_certificate_that_lasts_longer_than_thirty_days_is_none(bench: Bench) -> None:
    assert records(seen(bench, 30 * DAY_MS + 1, "not yet asked for"), FaultRaised) == []
    assert "CERTIFICATE_ENDS" not in bench.faults()


def test_a_certificate_s_fault_is_raised_once_told_and_ends_with_the_renewed_one(bench: Bench) -> None:
    seen(bench, 3 * DAY_MS)
    bench.wait(3_600_000)
    assert records(seen(bench, 3 * DAY_MS), FaultRaised) == [], "looked at every hour, raised once"
    assert [fault.code for fault in bench.site.state.state(bench.now).faults] == ["CERTIFICATE_ENDS"]
    (cleared,) = records(seen(bench, 90 * DAY_MS), FaultCleared)
    assert (cleared.code, cleared.subject) == ("CERTIFICATE_ENDS", "terminal")
    assert records(seen(bench, 90 * DAY_MS), FaultCleared) == []
    assert records(seen(bench, 29 * DAY_MS), FaultRaised), "and the next one's end is told again"


# --- the ledger's backups ---------------------------------------------------------------------------------------------------------


def test_a_backup_that_cannot_be_made_is_a_fault_until_one_is_and_selling_goes_on(bench: Bench) -> None:
    assert records(bench.do(BackupEnded("")), FaultCleared) == []
    (raised,) = records(bench.do(BackupEnded("no room")), FaultRaised)
    assert (raised.code, raised.subject, raised.detail) == ("BACKUP_FAILED", "ledger", "no room")
    (state,) = reports(bench.wait(2_000))
    assert [(fault.code, fault.detail) for fault in state.faults] == [("BACKUP_FAILED", "no room")]
    assert records(bench.do(BackupEnded("no room")), FaultRaised) == [], "hourly, raised once"
    assert bench.arm("A")
    (cleared,) = records(bench.do(BackupEnded("")), FaultCleared)
    assert (cleared.code, cleared.subject) == ("BACKUP_FAILED", "ledger")


def test_a_disk_without_room_is_a_fault_before_a_driver_comes_and_ends_with_room(bench: Bench) -> None:
    assert records(bench.do(RoomSeen("")), FaultCleared) == []
    (raised,) = records(bench.do(RoomSeen("3 MiB free")), FaultRaised)
    assert (raised.code, raised.subject, raised.detail) == ("STORAGE_LOW", "ledger", "3 MiB free")
    (state,) = reports(bench.wait(2_000))
    assert [(fault.code, fault.detail) for fault in state.faults] == [("STORAGE_LOW", "3 MiB free")]
    assert not bench.site.in_service
    (cleared,) = records(bench.do(RoomSeen("")), FaultCleared)
    assert (cleared.code, cleared.subject) == ("STORAGE_LOW", "ledger")
    assert bench.site.in_service
    assert bench.arm("A")


# --- which list is in use ---------------------------------------------------------------------------------------------------------


def test_a_list_is_told_when_it_is_read_and_again_until_the_host_knows(bench: Bench) -> None:
    bench.do(AppliedAnswered("E1", 7, None))
    bench.lists.version = 8  # the runtime reads the new file before it goes on
    effects = bench.do(ListsReady("f", "E1", 8, 10, UtcMs(bench.site.desk.utc(bench.now)), content_hash="c" * 64))
    assert told(effects) == [("E1", 8)]
    for _ in range(3):
        bench.do(AppliedFailed("E1", 8, "slow"))
        assert told(bench.wait(5_000)) == [("E1", 8)]
    bench.do(AppliedAnswered("E1", 7, None))
    assert told(bench.do(AppliedDue())) == [("E1", 8)], "the answer was about an older one"
    bench.do(AppliedAnswered("E1", 8, UtcMs(bench.site.desk.utc(bench.now))))
    assert told(bench.do(AppliedDue())) == []


def test_a_list_whose_file_could_not_be_opened_is_never_told_as_in_use(bench: Bench) -> None:
    bench.do(AppliedAnswered("E1", 7, None))
    effects = bench.do(ListsReady("f", "E1", 8, 10, UtcMs(bench.site.desk.utc(bench.now)), content_hash="c" * 64))
    assert told(effects) == [("E1", 7)], "the old one serves on"


def test_while_the_host_is_away_nothing_is_told_and_at_its_return_it_is(bench: Bench) -> None:
    bench.do(ProbeFailed(HostTrouble.NO_LINE, "unplugged"))
    bench.do(AppliedFailed("E1", 7, "unplugged"), ListsInUse())
    assert told(bench.wait(120_000)) == []
    assert told(bench.do(ProbeAnswered(UtcMs(bench.site.desk.utc(bench.now))))) == [("E1", 7)]


def test_every_start_tells_which_list_is_in_use_and_none_tells_nothing() -> None:
    assert told(Bench().boot()) == [("E1", 7)]
    bench = Bench()
    bench.lists.version = 0
    assert told(bench.boot()) == []
