"""Batches and power cuts at every commit, the host's own book behind the lane (F43, F45)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from hal_sim.host import HostBook
from terminal.core import effects as fx
from terminal.core.effects import ReadBatch
from terminal.core.events import HostTrouble, ProbeAnswered
from terminal.core.units import UtcMs
from terminal.host import workers
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, Lane
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from terminal.store.rebooking import read_batch
from terminal.store.recovery import recover
from tests.hal_sim.host_kit import CARD_KEY, PIN_KEY, TOKEN_KEY, scenario
from tests.machines.site_kit import MIDNIGHT, Bench, KitVault

pytestmark = pytest.mark.usefixtures("ledger_kind")

LANE = Lane("T", "S1", "EUR")


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
