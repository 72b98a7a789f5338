"""A real terminal's inside on a real stream: site, engine, ledger, host's threads and HTTPS; only pumps and people are left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from hal_sim.host import HostBook, HostServer
from terminal.core import events as ev
from terminal.core.events import AckAnswered, AckFailed, DenyPushed
from terminal.host.client import Endpoint, HostClient
from terminal.host.json_lane import Lane
from terminal.host.push import Backoff, PushThread
from terminal.host.workers import acknowledge
from tests.hal_sim.host_kit import CARD_KEY, PIN_KEY, TOKEN_KEY, scenario

PATIENCE_S = 60.0
LANE = Lane("OPT1", "S1", "EUR")


def now_ms() -> int:
    """Milliseconds that only go on."""
    return time.monotonic_ns() // 1_000_000


def utc_ms() -> int:
    """The host's clock."""
    return time.time_ns() // 1_000_000


class Stream:
    """A host over HTTPS and a thread that listens to it; what was posted, with its instant in nanoseconds."""

    def __init__(self, folder: Path, *, silence_ms: int = 60_000) -> None:
        self.book = HostBook(scenario(), utc_ms, token_key=TOKEN_KEY, pin_key=PIN_KEY, card_key=CARD_KEY)
        self.server = HostServer(self.book, folder)
        self.server.start()
        self.posted: list[tuple[int, object]] = []
        self._news = threading.Condition()
        self.push = PushThread(LANE, self.client(), self.post, Backoff(50, 200), silence_ms)
        self.push.start()

    def client(self) -> HostClient:
        """A connection of its own."""
        server = self.server
        endpoint = Endpoint(server.url, Path(server.ca_path), Path(server.client_cert_path), Path(server.client_key_path))
        return HostClient(endpoint, now_ms)

    def post(self, event: object) -> None:
        """The inbox."""
        with self._news:
            self.posted.append((time.perf_counter_ns(), event))
            self._news.notify_all()

    def events(self, kind: type) -> list[object]:
        """What was posted of this kind."""
        with self._news:
            return [event for _, event in self.posted if isinstance(event, kind)]

    def wait(self, until: Callable[[], bool]) -> bool:
        """Wait until something posted makes it so."""
        with self._news:
            return self._news.wait_for(until, PATIENCE_S)

    def heard(self, kind: type, count: int = 1) -> bool:
        """So many of a kind have come."""
        return self.wait(lambda: sum(isinstance(event, kind) for _, event in self.posted) >= count)

    def denies(self) -> list[DenyPushed]:
        """The denies that came, in order."""
        return [event for event in self.events(DenyPushed) if isinstance(event, DenyPushed)]

    def acknowledge(self, event: int, effective_at: int) -> AckAnswered | AckFailed:
        """What the acknowledging worker does."""
        return acknowledge(LANE, self.client(), event, effective_at, 5_000)

    def close(self) -> None:
        """Both ends."""
        self.push.stop()
        self.server.stop()


__all__ = ["LANE", "PATIENCE_S", "Stream", "ev", "now_ms", "utc_ms"]
