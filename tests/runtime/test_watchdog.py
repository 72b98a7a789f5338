"""The notify protocol of sd_notify(3), with a socket in the service manager's place."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from types import TracebackType

import pytest

from terminal.core.units import Instant
from terminal.runtime.watchdog import Notifier

PATIENCE_S = 60.0


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE_S)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def next(self) -> str:
        """The next datagram."""
        return self._socket.recv(4096).decode()

    def all(self) -> list[str]:
        """Every datagram that waits."""
        self._socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(PATIENCE_S)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[Manager]:
    """Under a path and in the abstract name space."""
    address = f"{tmp_path}/notify" if request.param == "path" else f"@forecourt-test-{os.getpid()}"
    with Manager(address) as found:
        yield found


def test_every_message(manager: Manager) -> None:
    """Ready with a status, status, watchdog, stopping: one datagram each."""
    notifier = Notifier(manager.address, 3_000_000)
    notifier.ready("serving 2 fuelling points")
    notifier.status("all well")
    notifier.feed(Instant(0))
    notifier.stopping()
    assert manager.all() == ["READY=1\nSTATUS=serving 2 fuelling points", "STATUS=all well", "WATCHDOG=1", "STOPPING=1"]


def test_a_third_of_its_time(manager: Manager) -> None:
    """Fed at once, then each time a third is over."""
    notifier = Notifier(manager.address, 3_000_000)
    for now in (0, 1, 999, 1_000, 1_001, 2_000, 5_000):
        notifier.feed(Instant(now))
    assert manager.all() == ["WATCHDOG=1"] * 4


def test_without_a_watchdog_nothing_is_fed(manager: Manager) -> None:
    """Ready is said all the same."""
    notifier = Notifier(manager.address, None)
    notifier.feed(Instant(0))
    notifier.ready("x")
    assert manager.all() == ["READY=1\nSTATUS=x"]


def test_without_a_manager_nothing_happens() -> None:
    """Started by hand."""
    notifier = Notifier(None, None)
    notifier.ready("x")
    notifier.feed(Instant(0))
    notifier.stopping()
    assert notifier.interval_ms is None


def test_a_socket_that_vanished_is_found_again(tmp_path: object) -> None:
    """The manager restarts: no exception meanwhile, and the first feed behind its return is not held back."""
    address = f"{tmp_path}/notify"
    notifier = Notifier(address, 3_000_000)
    with Manager(address) as manager:
        notifier.feed(Instant(0))
        assert manager.all() == ["WATCHDOG=1"]
    os.unlink(address)
    notifier.feed(Instant(1_000))
    notifier.ready("nobody hears it")
    with Manager(address) as manager:
        notifier.feed(Instant(1_001))
        assert manager.all() == ["WATCHDOG=1"]


@pytest.mark.parametrize("address", ["/no/such/folder/notify", "x" * 300, "@" + "x" * 300, "/dev/null"])
def test_an_address_that_leads_nowhere(address: str) -> None:
    """Not ours to mend."""
    notifier = Notifier(address, 3_000_000)
    notifier.ready("x")
    notifier.feed(Instant(0))


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: object) -> None:
    """Its queue is full: sending comes back at once, and is tried again at the next turn."""
    with Manager(f"{tmp_path}/notify") as manager:
        notifier = Notifier(manager.address, 3_000_000)
        for now in range(0, 2_000_000, 1_000):
            notifier.feed(Instant(now))
        heard = manager.all()
        assert 0 < len(heard) < 2_000
        notifier.feed(Instant(1_999_001))
        assert manager.all() == ["WATCHDOG=1"]


ENVIRONMENTS: list[tuple[dict[str, str], int | None]] = [
    ({"WATCHDOG_USEC": "15000000"}, 5_000),
    ({"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": str(os.getpid())}, 5_000),
    ({"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "1"}, None),
    ({"WATCHDOG_USEC": "90000"}, 100),
    ({"WATCHDOG_USEC": "0"}, None),
    ({"WATCHDOG_USEC": ""}, None),
    ({"WATCHDOG_USEC": "soon"}, None),
    ({"WATCHDOG_USEC": "-5"}, None),
    ({"WATCHDOG_USEC": "²"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("environment", "interval"), ENVIRONMENTS)
def test_as_systemd_starts_us(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], interval: int | None) -> None:
    """What is meant for another process, or is no number, is not for us."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Notifier.from_environment().interval_ms == interval
