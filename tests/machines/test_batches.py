"""Batches: when one is closed, what it sums, and what follows from the host's word. (features.md F45.)"""

from __future__ import annotations

from dataclasses import replace

import pytest

from terminal.core import batch_desk
from terminal.core.batch_desk import BatchMemory, sums
from terminal.core.batch_events import BatchWasRead, CloseAnswered, EndedSale
from terminal.core.effects import Effect, Enqueue, ReadBatch
from terminal.core.events import UploadAnswered, UploadResult
from terminal.core.ids import MessageKey, MessageKind, Minting
from terminal.core.messages import BatchTotal, Booking, CloseBatch
from terminal.core.records import BatchSent, BatchSettled, MessageAcknowledged, MessageQuarantined
from terminal.core.site import Recovered
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, messages, records

NOON = UtcMs(MIDNIGHT + 12 * 3_600_000)
TO_MIDNIGHT_MS = 12 * 3_600_000
CLOSE = MessageKey("T-1-B1.1/close")


def opened(size: int, host: bool = False, **more: object) -> Bench:
    """Ready for drivers with two badges; ``host`` False: known to be away, so that sales are decided offline and only wait."""
    bench = Bench(batch_sales=size, **more).open()  # type: ignore[arg-type]
    for number in "AB":
        bench.add_card(number)
    bench.site.link.down = not host
    return bench


def sell(bench: Bench, volume_ml: int = 20_000, fp: int = 1) -> list[Effect]:
    """One sale from badge to record; nothing when ``volume_ml`` is 0."""
    bench.arm("A", fp)
    if not volume_ml:
        return bench.keys("x")
    return bench.deliver(fp, volume_ml, start=bench.site.points[fp].totals[1])


def closes(effects: list[Effect]) -> list[CloseBatch]:
    return [effect.message for effect in effects if isinstance(effect, Enqueue) and isinstance(effect.message, CloseBatch)]


def answer(bench: Bench, key: MessageKey = CLOSE, *, missing: tuple[int, ...] = (), resend_all: bool = False) -> list[Effect]:
    balanced = not missing and not resend_all
    return bench.do(CloseAnswered(key, balanced, missing, resend_all, NOON))


def accept(bench: Bench, *keys: str) -> None:
    for key in keys:
        bench.do(UploadAnswered(MessageKey(key), UploadResult.ACCEPTED, NOON))


# --- closing ------------------------------------------------------------------------------------------------------------------


def test_a_batch_is_closed_behind_the_sale_that_fills_it_in_the_same_commit() -> None:
    bench = opened(2)
    assert closes(sell(bench, 20_000)) == []
    effects = sell(bench, 10_000)
    (close,) = closes(effects)
    total = BatchTotal("GAZOLE", "offline", 2, 30_000, 3_458 + 1_729)
    assert close == CloseBatch("T", 1, 1, 1, 1, 2, (), (), (total,), 0)
    assert (close.key, close.records) == (CLOSE, 2)
    assert messages(effects)[-2:] == ["T-1-2/advice", CLOSE]
    assert records(effects, BatchSent) == [BatchSent(1, 1, 1, 1, 2, ())]
    assert bench.site.uploads.waiting == 3
    assert closes(sell(bench)) == []


def test_empty_sales_count_and_are_in_no_sum() -> None:
    bench = opened(2)
    sell(bench, 0)
    (close,) = closes(sell(bench, 0))
    assert (close.totals, close.empty, close.records) == ((), 2, 2)


def test_products_and_who_decided_stand_apart_in_their_order() -> None:
    ended = [
        EndedSale(1, "SP95", "offline", 10, 1),
        EndedSale(2, "GAZOLE", "offline", 20, 2),
        EndedSale(3, "GAZOLE", "host", 30, 3),
        EndedSale(4, "GAZOLE", "host", 40, 4),
        EndedSale(5, "GAZOLE", "host", 50, 5),
        EndedSale(6, None, "host", 0, 0),
    ]
    wanted = (BatchTotal("GAZOLE", "host", 2, 70, 7), BatchTotal("GAZOLE", "offline", 1, 20, 2), BatchTotal("SP95", "offline", 1, 10, 1))
    assert sums(ended, frozenset((5,))) == (wanted, 1)


def test_what_is_open_between_is_named_and_never_summed() -> None:
    bench = opened(2)
    bench.arm("B", 2)
    sell(bench)
    (close,) = closes(sell(bench))
    assert (close.first, close.last, close.open, close.records) == (1, 3, (1,), 2)
    bench.deliver(2, 5_000)
    sell(bench)
    assert closes(sell(bench))[0].first == 4


def test_what_the_host_refused_for_good_is_named_and_not_summed() -> None:
    bench = opened(2)
    sell(bench, 20_000)
    bench.do(UploadAnswered(MessageKey("T-1-1/advice"), UploadResult.REJECTED_PERMANENT, NOON))
    (close,) = closes(sell(bench, 10_000))
    assert (close.quarantined, close.totals) == ((1,), (BatchTotal("GAZOLE", "host", 1, 10_000, 1_729),))


def test_midnight_closes_what_has_ended_and_nothing_else() -> None:
    bench = opened(500)
    sell(bench)
    left = MIDNIGHT + 86_400_000 - bench.site.desk.utc(bench.now)
    assert closes(bench.wait(left - 1)) == []
    assert len(closes(bench.wait(1))) == 1
    assert closes(bench.wait(86_400_000)) == []


def test_a_midnight_without_power_is_made_up_for() -> None:
    memory = BatchMemory(3, 41, [EndedSale(41, "GAZOLE", "offline", 1_000, 173)], newest=UtcMs(MIDNIGHT - 600_000))
    bench = Bench(recovered=Recovered(Minting("T", 1, 42), batches=memory, clock_floor=UtcMs(MIDNIGHT - 600_000)))
    assert closes(bench.boot()) == []
    bench.open()
    (close,) = [close for step in bench.steps for close in closes(step)]
    assert (close.batch, close.first, close.last) == (3, 41, 41)


def test_an_old_ledgers_many_sales_become_batches_of_the_usual_size() -> None:
    ended = [EndedSale(sequence, "GAZOLE", "offline", 1_000, 173) for sequence in range(1, 8)]
    bench = Bench(batch_sales=3, recovered=Recovered(Minting("T", 1, 8), batches=BatchMemory(ended=ended)))
    found = closes(bench.boot())
    assert [(close.batch, close.first, close.last) for close in found] == [(1, 1, 3), (2, 4, 6)]
    assert bench.site.batches.first == 7


# --- the host's word ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed() -> Bench:
    """Batch 1 of sales 1 and 2 is closed, both records have arrived, and the close is under way."""
    bench = opened(2)
    sell(bench)
    sell(bench)
    accept(bench, "T-1-1/advice", "T-1-2/advice")
    return bench


def was_read(bench: Bench, *sequences: int) -> tuple[BatchWasRead, list[Effect]]:
    """What the ledger would say, and what the core makes of it."""
    sent = [e.message for step in bench.steps for e in step if isinstance(e, Enqueue) and isinstance(e.message, Booking)]
    bookings = {one.sequence: one for one in sent}
    ended = tuple(EndedSale(s, "GAZOLE", "offline", bookings[s].quantity_ml, bookings[s].value_minor) for s in (1, 2))
    event = BatchWasRead(1, ended, (), tuple(bookings[sequence] for sequence in sequences))
    return event, bench.do(event)


def test_a_balanced_batch_is_settled_and_leaves_the_queue_with_one_commit(closed: Bench) -> None:
    effects = answer(closed)
    assert records(effects, BatchSettled) == [BatchSettled(1, True, "")]
    assert records(effects, MessageAcknowledged)[-1] == MessageAcknowledged(CLOSE, "balanced")
    assert (closed.site.uploads.waiting, closed.site.batches.settled, closed.site.batches.unsettled) == (0, 1, {})


def test_what_is_missing_goes_again_and_then_the_next_attempt(closed: Bench) -> None:
    effects = answer(closed, missing=(2,))
    assert [e for e in effects if isinstance(e, ReadBatch)] == [ReadBatch(1, 1, 2, (), (2,))]
    assert records(effects, MessageAcknowledged)[-1].key == "T-1-2/advice", "what is read must know what has left"
    assert closed.site.uploads.in_flight, "the close still stands first"
    _, effects = was_read(closed, 2)
    assert messages(effects) == ["T-1-2/advice", "T-1-B1.2/close"]
    assert records(effects, BatchSent) == [BatchSent(1, 2, 1, 1, 2, (), missing=(2,), resent=(2,))]
    assert records(effects, MessageAcknowledged) == [MessageAcknowledged(CLOSE, "unbalanced")]
    assert closed.site.uploads.waiting == 2
    accept(closed, "T-1-2/advice")
    assert records(answer(closed, MessageKey("T-1-B1.2/close")), BatchSettled) == [BatchSettled(1, True, "")]


def test_other_sums_send_all_again_once(closed: Bench) -> None:
    effects = answer(closed, resend_all=True)
    assert [e for e in effects if isinstance(e, ReadBatch)] == [ReadBatch(1, 1, 2, (), None)]
    was_read(closed, 1, 2)
    accept(closed, "T-1-1/advice", "T-1-2/advice")
    effects = answer(closed, MessageKey("T-1-B1.2/close"), resend_all=True)
    assert [record.balanced for record in records(effects, BatchSettled)] == [False]
    assert ("BATCH_UNBALANCED", "batch 1") in {(code.value, subject) for code, subject in closed.site.desk.faults.active}
    assert closed.site.uploads.waiting == 0


def test_the_fault_ends_when_a_later_batch_agrees(closed: Bench) -> None:
    answer(closed, resend_all=True)
    was_read(closed)
    answer(closed, MessageKey("T-1-B1.2/close"), resend_all=True)
    assert "BATCH_UNBALANCED" in closed.faults()
    sell(closed)
    sell(closed)
    answer(closed, MessageKey("T-1-B2.1/close"))
    assert "BATCH_UNBALANCED" not in closed.faults()


@pytest.mark.parametrize(
    ("before", "missing", "resend_all", "gives_up"),
    [
        ((), (3, 4), False, False),
        ((3, 4), (4,), False, False),  # better
        ((3, 4), (3, 4), False, True),
        ((3,), (3, 4), False, True),  # worse
        ((3,), (4,), False, False),  # others: 1000 are named at a time
        ((), (), False, True),  # unbalanced, and nothing named
        ((3,), (), True, False),
        ((), (9,), False, True),  # not of this batch
    ],
)
def test_when_it_does_not_get_better_it_is_given_up(
    before: tuple[int, ...], missing: tuple[int, ...], resend_all: bool, gives_up: bool
) -> None:
    sent = BatchSent(1, 2, 1, 1, 6, (5,), missing=before)
    bench = Bench(recovered=Recovered(Minting("T", 1, 7), waiting=1, batches=BatchMemory(2, 7, unsettled=[sent]))).open()
    effects = bench.do(CloseAnswered(MessageKey("T-1-B1.2/close"), False, missing, resend_all, NOON))
    assert bool(records(effects, BatchSettled)) is gives_up
    assert any(isinstance(effect, ReadBatch) for effect in effects) is not gives_up


def test_nobody_is_waited_for_for_ever() -> None:
    sent = BatchSent(1, batch_desk.MOST_ATTEMPTS, 1, 1, 6, ())
    bench = Bench(recovered=Recovered(Minting("T", 1, 7), waiting=1, batches=BatchMemory(2, 7, unsettled=[sent]))).open()
    effects = bench.do(CloseAnswered(MessageKey(f"T-1-B1.{sent.attempt}/close"), False, (1,), False, NOON))
    assert len(records(effects, BatchSettled)) == 1


def test_a_close_that_the_host_refuses_for_good_gives_the_batch_up(closed: Bench) -> None:
    effects = closed.do(UploadAnswered(CLOSE, UploadResult.REJECTED_PERMANENT, None))
    assert [record.key for record in records(effects, MessageQuarantined)] == [CLOSE]
    assert [(record.batch, record.balanced) for record in records(effects, BatchSettled)] == [(1, False)]
    assert {"BATCH_UNBALANCED", "MESSAGE_QUARANTINED"} <= closed.faults()


def test_a_key_that_the_host_knows_with_another_body_counts_as_there_only_when_sent_again(closed: Bench) -> None:
    answer(closed, missing=(2,))
    was_read(closed, 2)
    refused = UploadAnswered(MessageKey("T-1-2/advice"), UploadResult.REJECTED_PERMANENT, None, key_reuse=True)
    effects = closed.do(refused)
    assert records(effects, MessageQuarantined) == []
    assert closed.site.uploads.waiting == 1
    sell(closed)
    effects = closed.do(replace(refused, key=MessageKey("T-1-3/advice")))
    assert len(records(effects, MessageQuarantined)) == 1


def test_after_a_restart_it_is_known_what_was_sent_again() -> None:
    sent = BatchSent(1, 2, 1, 1, 2, (), missing=(2,), resent=(2,))
    bench = Bench(recovered=Recovered(Minting("T", 1, 3), waiting=2, batches=BatchMemory(2, 3, unsettled=[sent]))).open()
    effects = bench.do(UploadAnswered(MessageKey("T-1-2/advice"), UploadResult.REJECTED_PERMANENT, None, key_reuse=True))
    assert records(effects, MessageQuarantined) == []


def test_batches_wait_for_the_host_in_their_order() -> None:
    bench = opened(1)
    found = [message for _ in range(3) for message in messages(sell(bench)) if message.endswith(MessageKind.CLOSE.value)]
    assert found == ["T-1-B1.1/close", "T-1-B2.1/close", "T-1-B3.1/close"]
    assert sorted(bench.site.batches.unsettled) == [1, 2, 3]
