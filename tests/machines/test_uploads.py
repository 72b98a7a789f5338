"""Store and forward: one message in flight, in order, for ever; what the host refuses for good is kept and shown."""

from __future__ import annotations

from itertools import pairwise

import pytest

from terminal.core import uploads
from terminal.core.batch_events import ItemsAnswered
from terminal.core.effects import CancelDeadline, Effect, StartDeadline, UploadNext
from terminal.core.events import HostTrouble, ProbeAnswered, UploadAnswered, UploadDue, UploadFailed, UploadResult
from terminal.core.ids import MessageKey
from terminal.core.records import MessageAcknowledged, MessageQuarantined
from terminal.core.sale import SaleState
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, records

KEY = MessageKey("T-1-1/advice")
NOON = UtcMs(MIDNIGHT + 12 * 3_600_000)


@pytest.fixture
def bench() -> Bench:
    """One sale delivered offline; its advice is under way."""
    found = Bench().open()
    found.add_card("A")
    found.site.link.down = True
    found.arm()
    found.deliver()
    assert found.site.uploads.in_flight
    return found


def sent(effects: list[Effect]) -> int:
    return effects.count(UploadNext())


def waits(effects: list[Effect]) -> list[int]:
    return [effect.after_ms for effect in effects if isinstance(effect, StartDeadline) and effect.deadline == UploadDue()]


def answer(bench: Bench, result: UploadResult, key: MessageKey = KEY) -> list[Effect]:
    return bench.do(UploadAnswered(key, result, NOON))


@pytest.mark.parametrize("result", [UploadResult.ACCEPTED, UploadResult.DUPLICATE, UploadResult.ACCEPTED_FLAGGED])
def test_what_the_host_has_is_acknowledged_and_the_sale_is_booked(bench: Bench, result: UploadResult) -> None:
    sale = next(iter(bench.site.desk.sales.values()))
    answer(bench, result)
    assert sale.state is SaleState.BOOKED
    assert records(bench.wait(uploads.ACKNOWLEDGEMENTS_WAIT_MS), MessageAcknowledged) == [MessageAcknowledged(KEY, result.value)]
    assert bench.site.desk.sales == {}
    assert bench.site.uploads.waiting == 0


def test_what_the_host_refuses_for_good_is_set_aside_and_the_next_is_sent(bench: Bench) -> None:
    bench.site.uploads.queued(1)
    bench.site.desk.take()
    effects = answer(bench, UploadResult.REJECTED_PERMANENT)
    assert records(effects, MessageQuarantined) == [MessageQuarantined(KEY, "rejected_permanent")]
    assert records(effects, MessageAcknowledged) == []
    assert "MESSAGE_QUARANTINED" in bench.faults()
    assert sent(effects) == 1
    assert next(iter(bench.site.desk.sales.values())).state is SaleState.DELIVERED


def test_one_message_in_flight_at_a_time(bench: Bench) -> None:
    bench.add_card("B")
    bench.arm("B")
    assert sent(bench.keys("x")) == 0
    assert bench.site.uploads.waiting == 2
    assert sent(answer(bench, UploadResult.ACCEPTED)) == 1


def test_the_wait_doubles_to_its_cap_and_no_message_is_dropped(bench: Bench) -> None:
    found = []
    for _ in range(14):
        effects = bench.do(UploadFailed(KEY, HostTrouble.TECHNICAL, "500"))
        found += waits(effects)
        assert sent(effects) == 0
        assert sent(bench.wait(found[-1])) == 1
    bases = [min(300_000, 1_000 * 2**n) for n in range(14)]
    assert all(80 * base // 100 <= wait <= 120 * base // 100 for wait, base in zip(found, bases, strict=True))
    assert all(one < two for one, two in pairwise(found[:8]))
    assert bench.site.uploads.waiting == 1


def test_the_spread_is_the_messages_own_and_the_same_in_a_replay() -> None:
    assert uploads._spread("T-1-1/advice", 1) == uploads._spread("T-1-1/advice", 1)
    assert len({uploads._spread(f"T{number}-1-1/advice", 1) for number in range(50)}) > 20
    assert all(0 <= uploads._spread(f"T-1-{number}/advice", 3) <= 40 for number in range(200))


def test_retry_is_no_answer(bench: Bench) -> None:
    effects = answer(bench, UploadResult.RETRY)
    assert len(waits(effects)) == 1
    assert records(effects, MessageAcknowledged) == []


def test_a_new_sale_does_not_jump_the_wait(bench: Bench) -> None:
    bench.do(UploadFailed(KEY, HostTrouble.TECHNICAL, "500"))
    bench.add_card("B")
    bench.arm("B")
    assert sent(bench.keys("x")) == 0


def test_the_hosts_return_ends_the_wait(bench: Bench) -> None:
    bench.do(UploadFailed(KEY, HostTrouble.NO_LINE, "unplugged"))
    assert bench.site.link.down
    effects = bench.do(ProbeAnswered(NOON))
    assert sent(effects) == 1
    assert CancelDeadline(UploadDue()) in effects


def test_a_reversal_is_acknowledged_without_ending_the_sale() -> None:
    bench = Bench().open()
    bench.add_card("A")
    bench.badge("A")
    bench.keys("1#")
    bench.wait(8_000)
    answer(bench, UploadResult.ACCEPTED, MessageKey("T-1-1/reverse"))
    assert next(iter(bench.site.desk.sales.values())).state is SaleState.AUTHORIZED
    written = records(bench.lift(1), MessageAcknowledged)
    assert [record.key for record in written] == ["T-1-1/reverse"], "with the next commit, whatever it is for"


def test_many_acknowledgements_do_not_wait_for_ever(bench: Bench) -> None:
    bench.site.uploads.waiting = uploads.ACKNOWLEDGEMENTS_AT_ONCE + 1
    effects: list[Effect] = []
    for number in range(uploads.ACKNOWLEDGEMENTS_AT_ONCE):
        assert effects == [] or records(effects, MessageAcknowledged) == []
        effects = answer(bench, UploadResult.ACCEPTED, MessageKey(f"T-1-{number}/reverse"))
    assert len(records(effects, MessageAcknowledged)) == uploads.ACKNOWLEDGEMENTS_AT_ONCE


def test_too_many_waiting_messages_close_the_terminal_in_the_same_step(bench: Bench) -> None:
    bench.add_card("B")
    bench.site.uploads.waiting = uploads.OUTBOX_CAP - 1
    bench.arm("B")
    bench.keys("x")
    assert "OUTBOX_FULL" in bench.faults()
    assert bench.session().state.name == "OUT_OF_SERVICE"
    bench.site.uploads.waiting = uploads.OUTBOX_CAP * 9 // 10
    answer(bench, UploadResult.ACCEPTED)
    assert bench.session().state.name == "IDLE"


# --- several in one call ----------------------------------------------------------------------------------------------------------

KEYS = tuple(MessageKey(f"T-1-{number}/advice") for number in range(1, 9))
ACCEPTED, RETRY, REJECTED = UploadResult.ACCEPTED, UploadResult.RETRY, UploadResult.REJECTED_PERMANENT


@pytest.fixture
def many() -> Bench:
    """Eight advices wait, all in one call."""
    found = Bench().open()
    found.site.uploads.queued(8)
    found.site.desk.take()
    return found


def items(bench: Bench, *results: UploadResult) -> list[Effect]:
    return bench.do(ItemsAnswered(tuple(zip(KEYS, results, strict=False)), NOON))


def calls(effects: list[Effect]) -> list[int]:
    """How many each call of these effects may take."""
    return [effect.most for effect in effects if isinstance(effect, UploadNext)]


def test_each_item_has_its_own_result(many: Bench) -> None:
    effects = items(many, ACCEPTED, UploadResult.DUPLICATE, REJECTED, UploadResult.ACCEPTED_FLAGGED)
    assert [record.key for record in records(effects, MessageQuarantined)] == [KEYS[2]]
    assert [record.key for record in records(effects, MessageAcknowledged)] == [KEYS[0], KEYS[1], KEYS[3]]
    assert many.site.uploads.waiting == 4
    assert calls(effects) == [100]


def test_what_is_final_is_final_also_behind_a_retry(many: Bench) -> None:
    effects = items(many, ACCEPTED, RETRY, ACCEPTED, RETRY)
    assert many.site.uploads.waiting == 6
    assert [record.key for record in many.site.uploads.acknowledged] == [KEYS[0], KEYS[2]]
    assert (calls(effects), len(waits(effects))) == ([], 1)


def test_all_retry_doubles_the_wait(many: Bench) -> None:
    found = []
    for _ in range(4):
        found += waits(items(many, *[RETRY] * 8))
        many.wait(found[-1])
    assert all(one < two for one, two in pairwise(found))
    assert many.site.uploads.waiting == 8


def test_a_call_that_is_refused_as_a_whole_is_halved_at_once_down_to_the_one(many: Bench) -> None:
    found: list[int] = []
    size = 8
    while size > 1:
        effects = many.do(UploadFailed(KEYS[0], HostTrouble.TECHNICAL, "status 413 too_large", size, refused=True))
        assert waits(effects) == []
        found += calls(effects)
        size = found[-1]
    assert found == [4, 2, 1]
    effects = many.do(UploadAnswered(KEYS[0], REJECTED, NOON))
    assert len(records(effects, MessageQuarantined)) == 1
    assert calls(effects) == [2], "and it grows again"
    effects = many.do(ItemsAnswered(((KEYS[1], ACCEPTED), (KEYS[2], ACCEPTED)), NOON))
    assert calls(effects) == [4]


def test_a_host_out_of_order_is_asked_for_less_but_not_at_once(many: Bench) -> None:
    effects = many.do(UploadFailed(KEYS[0], HostTrouble.TECHNICAL, "status 500", 8))
    assert (calls(effects), len(waits(effects))) == ([], 1)
    assert calls(many.wait(waits(effects)[0])) == [4]


def test_a_line_that_is_away_says_nothing_of_the_size(many: Bench) -> None:
    effects = many.do(UploadFailed(KEYS[0], HostTrouble.NO_LINE, "unplugged", 8))
    assert calls(many.wait(waits(effects)[0])) == [100]


def test_a_resend_that_is_refused_among_others_goes_alone(many: Bench) -> None:
    """Only alone does the host say whether it knows the key with another body."""
    many.site.uploads.resent.add(2)
    effects = items(many, ACCEPTED, REJECTED, ACCEPTED)
    assert records(effects, MessageQuarantined) == []
    assert (calls(effects), many.site.uploads.waiting) == ([1], 6)
    effects = many.do(UploadAnswered(KEYS[1], REJECTED, None, key_reuse=True))
    assert records(effects, MessageQuarantined) == []
    assert many.site.uploads.waiting == 5


def test_one_commit_for_a_whole_answer() -> None:
    bench = Bench().open()
    bench.site.uploads.queued(100)
    bench.site.desk.take()
    keys = [MessageKey(f"T-1-{number}/advice") for number in range(1, 101)]
    before = len(bench.steps)
    effects = bench.do(ItemsAnswered(tuple((key, ACCEPTED) for key in keys), NOON))
    assert len(records(effects, MessageAcknowledged)) == 100
    assert sum(bool(records(step, MessageAcknowledged)) for step in bench.steps[before:]) == 1
