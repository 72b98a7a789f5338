"""From a block at the host to a refused driver at a connected terminal: real HTTPS, real engine, real ledger on a real disk.

features.md F42: under 2 s. What is measured: the host's call to ``block`` until the terminal has refused that very badge, with the deny
committed (synced) before. ``-s`` shows the figures.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.events import MediumKind, MediumPresented
from terminal.core.authorization import Policy
from terminal.core.ids import Minting
from terminal.core.point_config import PointConfig
from terminal.core.records import DenyAdded, DenyLifted, EventAcknowledged, Record, Refused
from terminal.core.site import Recovered, Site, SiteConfig
from terminal.core.teller import SiteRules
from terminal.core.units import Instant, UtcMs
from terminal.runtime.engine import Engine
from terminal.runtime.inbox import Inbox
from terminal.store.ledger import Ledger
from terminal.store.recovery import recover
from tests.hal_sim.host_kit import BADGE
from tests.machines.site_kit import GAZOLE, Bench, KitLists, KitStorage, KitVault
from tests.push.kit import PATIENCE_S, Stream, now_ms

ROUNDS = 40
BAR_S = 2.0


class Vault(KitVault):
    """The kit's, with the host's own tokens."""

    def __init__(self, stream: Stream) -> None:
        self._token = stream.book.token_of

    def token(self, number: str) -> str:
        return self._token(number)


class BootTime:
    """The inbox's clock."""

    def instant(self) -> Instant:
        """Now."""
        return Instant(now_ms())


@dataclass
class Terminal:
    """Engine and ledger behind an inbox that the stream posts into; its ``Outside`` knows the stream only."""

    folder: Path
    stream: Stream
    records: list[tuple[int, Record]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = Inbox(BootTime())
        self.ledger = Ledger(self.folder / "ledger.db")
        bench = Bench(lists=KitLists())
        bench.add_card(BADGE, token=self.stream.book.token_of(BADGE), account=self.stream.book.token_of(BADGE))
        rules = SiteRules("OPT1", "S1", "Europe/Paris", "EUR", 2, Policy())
        config = SiteConfig(rules, (PointConfig(1, (GAZOLE,)),), (1,), "en")
        known = Recovered(Minting("OPT1", 1, 1))
        site = Site(config, known, boot="b", lists=bench.lists, vault=Vault(self.stream), storage=KitStorage())
        self.engine = Engine(site, self.ledger, self)
        self.engine.committed = self._note
        self.engine.boot(Instant(now_ms()))
        site.desk.clock.host_said(UtcMs(time.time_ns() // 1_000_000), Instant(now_ms()))

    def _note(self, records: list[Record]) -> None:
        self.records += [(time.perf_counter_ns(), record) for record in records]

    def open_push(self, last_event: int) -> None:
        self.stream.push.open(last_event)

    def ack_event(self, event: int, effective_at: int, refused: str | None) -> None:
        threading.Thread(target=lambda: self.inbox.post(self.stream.acknowledge(event, effective_at)), daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        """Pumps, displays, lists and sales are not part of this."""
        return lambda *told: b""

    def serve_until(self, kind: type, count: int) -> int:
        """Take steps until so many facts of a kind are committed; the instant of the last one."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = [at for at, record in self.records if isinstance(record, kind)]
            if len(found) >= count:
                return found[-1]
            item = self.inbox.take(200)
            if item is not None:
                self.engine.step(item.event, item.at)
        raise AssertionError(f"{count} {kind.__name__} did not come in time")

    def badge(self) -> list[str]:
        """Hold out the badge; the reasons of the refusals of this step."""
        before = len(self.records)
        self.engine.step(MediumPresented(1, MediumKind.BADGE, BADGE), Instant(now_ms()))
        return [record.reason for _, record in self.records[before:] if isinstance(record, Refused)]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    stream = Stream(tmp_path / "host")
    made = Terminal(tmp_path, stream)
    stream.post = made.inbox.post  # type: ignore[method-assign]
    stream.push._post = made.inbox.post
    made.engine.site.sessions[1].times = type(made.engine.site.sessions[1].times)(same_medium_ms=0)
    yield made
    stream.close()
    made.ledger.close()


def test_from_the_block_to_the_refusal(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not terminal.engine.site.push.up and time.monotonic() < deadline:
        item = terminal.inbox.take(200)
        if item is not None:
            terminal.engine.step(item.event, item.at)
    assert terminal.engine.site.push.up
    assert terminal.badge() == []
    book, lock = terminal.stream.book, terminal.stream.server.lock
    taken = []
    for count in range(1, ROUNDS + 1):
        begun = time.perf_counter_ns()
        with lock:
            book.block(card=BADGE)
        terminal.serve_until(DenyAdded, count)
        if terminal.engine.site.sessions[1].medium is None:
            terminal.badge()
        assert [record.reason for _, record in terminal.records if isinstance(record, Refused)][-1] == "CARD_BLOCKED"
        taken.append((time.perf_counter_ns() - begun) / 1e6)
        with lock:
            book.unblock(card=BADGE)
        terminal.serve_until(DenyLifted, count)
        assert terminal.badge() == []
    terminal.serve_until(EventAcknowledged, 2 * ROUNDS)
    taken.sort()
    p99 = taken[int(len(taken) * 0.99)]
    with capsys.disabled():
        print(f"\nblock at the host → refused at the terminal, {ROUNDS} times: p50 {statistics.median(taken):.1f} ms, p99 {p99:.1f} ms")
    assert p99 < BAR_S * 1_000
    with lock:
        assert sorted(book.acks) == list(range(1, 2 * ROUNDS + 1))
        assert all(ack.effective_at_ms <= ack.received_at_ms + 50 for ack in book.acks.values())
    found = {record.event: record.effective_at for _, record in terminal.records if isinstance(record, DenyAdded | DenyLifted)}
    assert found == {event: ack.effective_at_ms for event, ack in book.acks.items()}, "journal and host name the same instant"


def test_what_was_denied_is_denied_after_a_restart(terminal: Terminal) -> None:
    with terminal.stream.server.lock:
        terminal.stream.book.block(card=BADGE)
    terminal.serve_until(EventAcknowledged, 1)
    known = recover(terminal.ledger, "OPT1", "b")
    assert [(entry.event, entry.lifted) for entry in known.denies] == [(1, False)]
    assert (known.last_event, known.unacknowledged) == (1, {})
