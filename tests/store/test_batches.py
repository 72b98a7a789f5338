"""Batches on a real ledger: records to the byte, what goes in one call, what verify says (F43, F45). Power cuts: test_batch_cuts.py."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.core.effects import ReadBatch
from terminal.core.messages import Booking
from terminal.core.records import BatchSent, BatchSettled, MessageAcknowledged, MessageQuarantined
from terminal.host.json_lane import Lane
from terminal.store import ledger as ledger_module
from terminal.store.batch_memory import remembered
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from terminal.store.rebooking import read_batch, rebooked
from tests.store.books import Station, live

pytestmark = pytest.mark.usefixtures("ledger_kind")

LANE = Lane("T", "S1", "EUR")
STAMP = Stamp(1_773_100_000_000, "trusted")


def test_a_record_made_again_is_the_one_that_was_sent_to_the_byte(tmp_path: Path) -> None:
    """Random lives: every record that ever stood in the outbox, from the journal alone, also after its acknowledgement."""
    station = Station(tmp_path / "ledger.db")
    sent: dict[int, Booking] = {}
    enqueue = station.desk.enqueue

    def noted(message: Any) -> None:
        if isinstance(message, Booking):
            sent[message.sequence] = message
        enqueue(message)

    station.desk.enqueue = noted  # type: ignore[method-assign]
    for _ in live(station, 400, seed=7):
        pass
    assert len(sent) > 30
    lane = Lane("OPT-1", "S1", "EUR")
    for sequence, message in sent.items():
        found = rebooked(station.ledger.connection, sequence)
        assert found is not None
        assert lane.encode(found) == lane.encode(message)
    open_now = {one.sequence for one in station.open_sales()}
    assert open_now
    assert all(rebooked(station.ledger.connection, sequence) is None for sequence in open_now)
    station.ledger.close()


def test_an_approval_that_was_not_used_is_made_again_too(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    one = station.reserve(1)
    one.decided_by, one.authorization = "host", "A-99"
    station.end_empty(one, 0)
    (body,) = station.ledger.connection.execute("SELECT body FROM outbox").fetchone()
    found = rebooked(station.ledger.connection, one.sequence)
    assert msgspec.json.encode(found) == body
    assert json.loads(body)["authorization"] == "A-99"
    station.ledger.close()
    assert verify(tmp_path / "ledger.db").findings == ()


def test_what_waits_is_not_queued_twice_and_what_was_refused_is_not_sent_again(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    for _ in range(3):
        station.end_empty(station.reserve(0), 0)
    first, second, third = (QueuedMessage(key, b"") for key in ("OPT-1-1-1/advice", "OPT-1-1-2/advice", "OPT-1-1-3/advice"))
    station.ledger.commit(STAMP, [MessageAcknowledged(first.key, "accepted"), MessageQuarantined(second.key, "no")], [])  # type: ignore[arg-type]
    found = read_batch(station.ledger.connection, ReadBatch(1, 1, 3, (), None))
    assert [sale.sequence for sale in found.ended] == [1, 2, 3]
    assert found.quarantined == (2,)
    assert [booking.key for booking in found.bookings] == [first.key], f"{third.key} waits still"
    memory = remembered(station.ledger.connection, 5)
    assert (memory.batch, memory.first, [sale.sequence for sale in memory.ended], memory.quarantined) == (1, 1, [1, 2, 3], {2})
    station.ledger.close()


# --- what goes in one call --------------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def queue(ledger: Ledger, *keys: str, size: int = 10) -> None:
    ledger.commit(STAMP, [], [QueuedMessage(key, b"x" * size) for key in keys])


def keys_of(messages: tuple[QueuedMessage, ...]) -> list[str]:
    return [message.key for message in messages]


def test_the_leading_run_of_advices_and_everything_else_alone(outbox: Ledger) -> None:
    queue(outbox, "T-1-1/advice", "T-1-2/advice", "T-1-3/complete", "T-1-4/advice", "T-1-B1.1/close", "T-1-5/advice")
    assert keys_of(outbox.next_messages((), 100)) == ["T-1-1/advice", "T-1-2/advice"]
    assert keys_of(outbox.next_messages((), 1)) == ["T-1-1/advice"]
    assert keys_of(outbox.next_messages({"T-1-1/advice", "T-1-2/advice"}, 100)) == ["T-1-3/complete"]
    assert keys_of(outbox.next_messages({"T-1-1/advice", "T-1-2/advice", "T-1-3/complete"}, 100)) == ["T-1-4/advice"]
    outbox.commit(STAMP, [MessageAcknowledged(f"T-1-{n}", "accepted") for n in ("1/advice", "2/advice", "3/complete", "4/advice")], [])  # type: ignore[arg-type]
    assert keys_of(outbox.next_messages((), 100)) == ["T-1-B1.1/close"]


def test_what_was_answered_in_the_middle_is_left_out_and_the_order_stays(outbox: Ledger) -> None:
    queue(outbox, *(f"T-1-{n}/advice" for n in range(1, 7)))
    assert keys_of(outbox.next_messages({"T-1-1/advice", "T-1-3/advice", "T-1-4/advice"}, 2)) == ["T-1-2/advice", "T-1-5/advice"]


def test_at_most_so_many_and_at_most_half_a_mebibyte(outbox: Ledger) -> None:
    queue(outbox, *(f"T-1-{n}/advice" for n in range(1, 131)))
    assert len(outbox.next_messages((), 100)) == 100
    queue(outbox, *(f"T-2-{n}/advice" for n in range(1, 21)), size=60_000)
    answered = {f"T-1-{n}/advice" for n in range(1, 131)}
    found = outbox.next_messages(answered, 100)
    assert len(found) == 8
    assert len(LANE.upload(found[0].key, *(message.body for message in found)).body or b"") <= 512 * 1024


def test_a_message_that_is_too_big_for_a_call_goes_alone(outbox: Ledger) -> None:
    queue(outbox, "T-1-1/advice", "T-1-2/advice", size=600_000)
    assert keys_of(outbox.next_messages((), 100)) == ["T-1-1/advice"]


def test_row_numbers_that_are_used_again_change_no_order(outbox: Ledger) -> None:
    """SQLite gives the highest row plus one: after the last one left, lower numbers come again."""
    queue(outbox, *(f"T-1-{n}/advice" for n in range(1, 4)))
    outbox.commit(STAMP, [MessageQuarantined("T-1-1/advice", "no")], [])  # type: ignore[arg-type]
    assert keys_of(outbox.next_messages((), 100)) == ["T-1-2/advice", "T-1-3/advice"]
    outbox.commit(STAMP, [MessageAcknowledged(f"T-1-{n}/advice", "accepted") for n in (2, 3)], [])  # type: ignore[arg-type]
    assert outbox.next_messages((), 100) == ()
    queue(outbox, "T-1-4/advice", "T-1-5/advice")
    assert keys_of(outbox.next_messages((), 100)) == ["T-1-4/advice", "T-1-5/advice"]
    queue(outbox, "T-1-6/advice")
    assert keys_of(outbox.next_messages((), 100))[-1] == "T-1-6/advice"


def test_a_backlog_costs_a_step_no_more_than_its_batch(outbox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in SQLite's own instructions, with 20,000 messages waiting and 2,000 refused for good before them."""
    assert ledger_module.BATCH_BYTES > 0
    db: sqlite3.Connection = outbox.connection
    with db:
        db.executemany(
            "INSERT INTO outbox (key, quarantined, body) VALUES (?, ?, x'7b7d')",
            [(f"T-1-{n}/advice", int(n <= 2_000)) for n in range(1, 22_001)],
        )
    outbox.next_messages((), 100)  # the first look after the start walks over what is set aside, once
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(count, 10)
    answered = {f"T-1-{n}/advice" for n in range(2_001, 2_050)}
    assert len(outbox.next_messages(answered, 100)) == 100
    db.set_progress_handler(None, 10)
    assert steps < 300


# --- verify -----------------------------------------------------------------------------------------------------------------------


def _three_empty_sales(path: Path) -> Station:
    station = Station(path)
    for _ in range(3):
        station.end_empty(station.reserve(0), 0)
    station.reserve(0)
    return station


def _close_key(batch: int, attempt: int) -> QueuedMessage:
    return QueuedMessage(f"OPT-1-1-B{batch}.{attempt}/close", b"{}")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([BatchSent(1, 1, 1, 1, 3, ())], None),
        ([BatchSent(1, 1, 1, 1, 3, ()), BatchSettled(1, True, "")], None),
        ([BatchSent(1, 1, 1, 1, 2, ()), BatchSent(2, 1, 1, 3, 4, (4,))], None),
        ([BatchSent(2, 1, 1, 1, 3, ())], "does not follow batch 0"),
        ([BatchSent(1, 1, 1, 2, 3, ())], "does not follow batch 0"),
        ([BatchSent(1, 1, 1, 1, 2, ()), BatchSent(2, 1, 1, 2, 3, ())], "does not follow batch 1 up to 2"),
        ([BatchSent(1, 1, 1, 1, 4, ())], "does not name the sales that were open"),
        ([BatchSent(1, 1, 1, 1, 3, (2,))], "does not name the sales that were open"),
        ([BatchSent(1, 1, 1, 1, 3, ()), BatchSent(1, 3, 1, 1, 3, ())], "attempt 3 of batch 1 does not follow attempt 1"),
        ([BatchSent(1, 1, 1, 1, 3, ()), BatchSettled(1, True, ""), BatchSent(1, 2, 1, 1, 3, ())], "which is balanced"),
        ([BatchSettled(1, True, "")], "settled and was not under way"),
        ([BatchSent(1, 1, 1, 1, 2, ()), BatchSent(1, 2, 1, 1, 2, (), resent=(3,))], "sends sale 3 again, which is not part of it"),
    ],
)
def test_verify_follows_batches(tmp_path: Path, facts: list[Any], words: str | None) -> None:
    path = tmp_path / "ledger.db"
    station = _three_empty_sales(path)
    stored = [_close_key(fact.batch, fact.attempt) for fact in facts if isinstance(fact, BatchSent)]
    station.ledger.commit(STAMP, facts, stored)
    station.ledger.close()
    findings = [finding.what for finding in verify(path).findings]
    if words is None:
        assert findings == []
    else:
        assert any(words in what for what in findings), findings


@pytest.mark.parametrize("edit", ["UPDATE batch SET state = 'balanced'", "UPDATE batch SET last = 2", "DELETE FROM batch"])
def test_verify_sees_an_edited_batch(tmp_path: Path, edit: str) -> None:
    path = tmp_path / "ledger.db"
    station = _three_empty_sales(path)
    station.ledger.commit(STAMP, [BatchSent(1, 1, 1, 1, 3, ())], [_close_key(1, 1)])
    station.ledger.connection.execute(edit)
    station.ledger.close()
    assert [finding.where for finding in verify(path).findings] == ["table batch, batch 1"]


def test_verify_misses_a_close_that_somebody_took_out_of_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    station = _three_empty_sales(path)
    station.ledger.commit(STAMP, [BatchSent(1, 1, 1, 1, 3, ())], [])
    station.ledger.close()
    assert [finding.where for finding in verify(path).findings] == ["table outbox, OPT-1-1-B1.1/close"]
