"""Is a medium what its card says it is: trust against the list, counters against the journal, and what a refusal leaves behind."""

from __future__ import annotations

import pytest

from drivers.events import MediumKind, MediumPresented, MediumUnreadable, Trust
from terminal.core.badge_counter import BadgeCounter
from terminal.core.effects import Effect
from terminal.core.ids import Minting
from terminal.core.reasons import Reason
from terminal.core.records import Refused
from terminal.core.session import SessionState
from terminal.core.site import Recovered
from tests.machines.site_kit import Bench, records, token_of

FORGED = [Reason.MEDIUM_NOT_GENUINE.value]


def open_bench(newest: dict[str, int] | None = None) -> Bench:
    """A secure badge A, a plain badge B."""
    bench = Bench(recovered=Recovered(Minting("T", 1, 1), badge_counters=newest or {}))
    bench.add_card("A", medium="secure badge")
    bench.add_card("B")
    return bench.open()


@pytest.fixture
def bench() -> Bench:
    return open_bench()


def shown(number: str, trust: Trust, counter: int | None = None) -> MediumPresented:
    kind = MediumKind.BADGE if trust is Trust.T0 else MediumKind.SECURE_BADGE
    return MediumPresented(1, kind, number, trust, counter=counter)


def reasons(effects: list[Effect]) -> list[str]:
    return [fact.reason for fact in records(effects, Refused)]


@pytest.mark.parametrize(
    ("number", "trust", "counter", "believed"),
    [
        ("A", Trust.T0, None, False),
        ("A", Trust.T0, 1, False),
        ("A", Trust.T1, 1, True),
        ("A", Trust.T1, None, False),
        ("A", Trust.T2, None, True),
        ("A", Trust.T3, None, True),
        ("B", Trust.T0, None, True),
        ("B", Trust.T1, 0, True),
        ("B", Trust.T1, None, False),
        ("B", Trust.T2, None, True),
    ],
)
def test_trust_against_the_list(bench: Bench, number: str, trust: Trust, counter: int | None, believed: bool) -> None:
    effects = bench.do(shown(number, trust, counter))
    assert reasons(effects) == ([] if believed else FORGED)
    assert records(effects, BadgeCounter) == ([BadgeCounter(token_of(number), counter)] if believed and counter is not None else [])
    assert (bench.site.sessions[1].state is SessionState.CHOOSING) is believed


@pytest.mark.parametrize("kind", [MediumKind.STRIPE, MediumKind.SMART_CARD])
def test_another_medium_with_a_secure_badges_number_is_not_it(bench: Bench, kind: MediumKind) -> None:
    assert reasons(bench.do(MediumPresented(1, kind, "A"))) == FORGED


def test_a_counter_is_believed_once_and_upwards(bench: Bench) -> None:
    for counter, believed in ((5, True), (5, False), (4, False), (6, True), (0, False), (2**24 - 1, True)):
        effects = bench.do(shown("A", Trust.T1, counter))
        assert records(effects, BadgeCounter) == ([BadgeCounter(token_of("A"), counter)] if believed else []), counter
        assert reasons(effects) == ([] if believed else FORGED)
        bench.wait(31_000)


def test_counters_are_a_badges_own_and_outlive_the_program() -> None:
    bench = open_bench({token_of("A"): 7})
    assert reasons(bench.do(shown("A", Trust.T1, 7))) == FORGED
    assert reasons(bench.do(shown("B", Trust.T1, 7))) == []
    assert reasons(bench.do(shown("A", Trust.T1, 8))) == []


def test_the_badge_itself_may_follow_its_copy_at_once(bench: Bench) -> None:
    assert reasons(bench.do(shown("A", Trust.T0))) == FORGED
    assert reasons(bench.do(shown("A", Trust.T2))) == []
    assert bench.site.sessions[1].state is SessionState.CHOOSING


def test_a_copy_does_not_end_what_the_badge_has_begun(bench: Bench) -> None:
    """Held out right behind it, it is the same number again and changes nothing; later it ends the attempt with its refusal."""
    bench.do(shown("A", Trust.T2))
    assert reasons(bench.do(shown("A", Trust.T0))) == []
    assert bench.site.sessions[1].state is SessionState.CHOOSING
    bench.wait(4_000)
    assert reasons(bench.do(shown("A", Trust.T0))) == FORGED


def test_the_second_badge_of_a_pair_is_judged_as_the_first() -> None:
    bench = open_bench()
    bench.add_card("V", pair=token_of("A"))
    for trust, counter, found in ((Trust.T0, None, FORGED), (Trust.T1, 3, []), (Trust.T1, 3, FORGED), (Trust.T2, None, [])):
        bench.do(shown("V", Trust.T0))
        assert reasons(bench.do(shown("A", trust, counter))) == found
        assert (bench.site.sessions[1].state is SessionState.CHOOSING) is (found == [])
        bench.wait(31_000)
        bench.wait(31_000)


def test_without_room_on_the_disk_no_counter_is_written_or_used_up(bench: Bench) -> None:
    bench.storage.room = False
    effects = bench.do(shown("A", Trust.T1, 1))
    assert records(effects, BadgeCounter) == []
    bench.storage.room = True
    bench.wait(31_000)
    assert records(bench.do(shown("A", Trust.T1, 1)), BadgeCounter) == [BadgeCounter(token_of("A"), 1)]


def test_a_forgery_that_gave_no_number(bench: Bench) -> None:
    assert reasons(bench.do(MediumUnreadable(1, MediumKind.BADGE, "proof", forged=True))) == FORGED
