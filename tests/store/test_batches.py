"""Batches on a real ledger, the host's own book behind the lane: records to the byte, sums, power cuts at every commit (F43, F45)."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hal_sim.host import HostBook
from terminal.core import effects as fx
from terminal.core.effects import ReadBatch
from terminal.core.events import HostTrouble, ProbeAnswered
from terminal.core.messages import Booking
from terminal.core.records import BatchSent, BatchSettled, MessageAcknowledged, MessageQuarantined
from terminal.core.units import UtcMs
from terminal.host import workers
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, Lane
from terminal.store import ledger as ledger_module
from terminal.store.batch_memory import remembered
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from terminal.store.rebooking import read_batch, rebooked
from terminal.store.recovery import recover
from tests.hal_sim.host_kit import CARD_KEY, PIN_KEY, TOKEN_KEY, scenario
from tests.machines.site_kit import MIDNIGHT, Bench, KitVault
from tests.store.books import Station, live

pytestmark = pytest.mark.usefixtures("ledger_kind")

LANE = Lane("T", "S1", "EUR")
STAMP = Stamp(1_773_100_000_000, "trusted")


class Cut(Exception):
    """The power went."""


class Base64Vault(KitVault):
    """Seals that the contract's form allows."""

    def seal(self, number: str, sale: str) -> str:
        return base64.b64encode(f"{number} {sale}".encode()).decode()


class BooksBench(Bench):
    """The site's bench with a real ledger under it and the host's book at the other end. ``cut`` commits on, the power goes."""

    ledger: Ledger
    path: Path
    host: HostBook
    calls: list[tuple[QueuedMessage, ...]]
    cut: int = -1
    before: bool = False  # the commit under way is lost as well
    reachable: bool = False

    @classmethod
    def on(cls, path: Path, host: HostBook, **more: Any) -> BooksBench:
        ledger = Ledger(path)
        found = cls(recovered=recover(ledger, "T", "boot-a"), batch_sales=2, **more)
        found.ledger, found.path, found.host = ledger, path, host
        found.site.teller.vault = Base64Vault()
        found.calls = []
        return found

    def _keep(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        records = [effect.record for effect in effects if isinstance(effect, fx.Persist)]
        stored = [QueuedMessage(e.message.key, LANE.encode(e.message)) for e in effects if isinstance(e, fx.Enqueue)]
        if records or stored:
            self._count_down(at_the_end=False)
            clock = self.site.desk.clock
            self.ledger.commit(Stamp(clock.utc(self.now), clock.state(self.now).value), records, stored)
            self._count_down(at_the_end=True)
        for effect in effects:
            if isinstance(effect, fx.UploadNext):
                answered = {record.key for record in self.site.uploads.acknowledged}
                self.calls.append(self.ledger.next_messages(answered, effect.most))
        return super()._keep(effects)

    def _count_down(self, *, at_the_end: bool) -> None:
        if self.cut >= 0 and at_the_end is not self.before:
            self.cut -= 1
            if self.cut < 0:
                raise Cut

    def continued(self, effects: list[fx.Effect]) -> list[object]:
        reads = [read_batch(self.ledger.connection, effect) for effect in effects if isinstance(effect, ReadBatch)]
        return [*super().continued(effects), *reads]

    def talk(self) -> None:
        """Let every call reach the host and its answer come back, until nothing is under way."""
        while self.calls:
            sent = self.calls.pop(0)

            class Line:
                def call(_, call: Call, deadline_ms: int) -> Answer | Trouble:  # noqa: N805 - the bench is ``self``
                    if not self.reachable:
                        return Trouble(HostTrouble.NO_LINE, "unplugged")
                    status, _headers, body = self.host.handle(call.method, call.path, {"Idempotency-Key": call.key or ""}, call.body or b"")
                    return Answer(status, body)

            self.do(workers.upload(LANE, Line(), sent, 1_000))  # type: ignore[arg-type]

    def again(self) -> BooksBench:
        """The power returns; the line to the host as it was."""
        self.ledger.close()
        found = BooksBench.on(self.path, self.host)
        found.reachable = self.reachable
        found.boot()
        found.do(ProbeAnswered(UtcMs(MIDNIGHT + 13 * 3_600_000)))
        return found


def new_host() -> HostBook:
    rows = [{"fp": 1, "protocol": "dart", "nozzle": 1, "product": "GAZOLE", "price": 17290, "minimum_ml": 2000}]
    plain = scenario(terminal="T", fuelling_points=rows)
    return HostBook(plain, lambda: MIDNIGHT + 13 * 3_600_000, token_key=TOKEN_KEY, pin_key=PIN_KEY, card_key=CARD_KEY)


def sold(path: Path, host: HostBook, *, lost: bool) -> BooksBench:
    """Five sales on an unplugged line, but for the first, whose record the host has had and (``lost``) lost. Two batches are closed."""
    bench = BooksBench.on(path, host)
    bench.open()
    bench.add_card("A")
    bench.site.link.down = True
    for number in range(1, 6):
        bench.arm("A")
        bench.deliver(1, 10_000 + number * 1_000, start=bench.site.points[1].totals[1])
        bench.reachable = number == 1
        bench.talk()
        bench.site.link.down = True
        if number == 1 and lost:
            host.lose("T-1-1")
    bench.reachable = True
    return bench


def closes(host: HostBook) -> dict[str, list[Any]]:
    """What the host was told of each attempt: everything but when it came."""
    found: dict[str, list[Any]] = {}
    for one in host.batches:
        found.setdefault(one["key"], []).append({name: value for name, value in one.items() if name != "received_at_ms"})
    return found


def check(bench: BooksBench, host: HostBook) -> None:
    assert sorted(record["sequence"] for record in host.records()) == [1, 2, 3, 4, 5]
    assert not host.conflicts
    states = bench.ledger.connection.execute("SELECT batch, state, first, last FROM batch ORDER BY batch").fetchall()
    assert states == [(1, "balanced", 1, 2), (2, "balanced", 3, 4)]
    assert bench.site.uploads.waiting == 0
    bench.cut = -1
    bench.site.uploads.write_acknowledgements()
    bench._keep(bench.site.desk.take())
    assert bench.ledger.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    bench.ledger.close()
    assert verify(bench.path).findings == ()


def settle(bench: BooksBench) -> BooksBench:
    """Give the line back and let everything go; with a power cut on the way the terminal comes up again."""
    while True:
        try:
            bench.do(ProbeAnswered(UtcMs(MIDNIGHT + 13 * 3_600_000)))
            bench.talk()
            return bench
        except Cut:
            bench = bench.again()


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_a_power_cut_at_every_commit_doubles_nothing_and_loses_no_batch(tmp_path: Path, lost: bool, before: bool) -> None:
    """The same day for every commit at which the power may go; what the host is told of a batch is the same in all of them."""
    told: dict[str, Any] = {}
    cuts = 0
    for cut in range(40):
        book = new_host()
        bench = sold(tmp_path / f"{cut}.db", book, lost=lost)
        bench.cut, bench.before = cut, before
        after = settle(bench)
        happened = after is not bench
        found = closes(book)
        assert set(found) == {"T-1-B1.1/close", "T-1-B2.1/close", *(["T-1-B1.2/close"] if lost else [])}
        assert all(len(attempts) == 1 for attempts in found.values())
        told = told or found
        assert found == told
        check(after, book)
        cuts += happened
        if not happened:
            break
    else:
        pytest.fail("it never came to an end")
    assert cuts >= (2 if not lost else 3)


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
