"""The socket for orders: what is none is refused there, what is one reaches the core with its giver, and the answer its giver."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.orders import OrderAsked, OrderKind
from terminal.runtime.orders import NAME, PATIENCE_MS, OrderSocket, Request, send

USER = pwd.getpwuid(os.getuid()).pw_name


class Core:
    """Hears orders in a thread of its own and answers each with ``answer``."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[OrderAsked] = []
        self.answer: str | None = None
        self.silent = False
        self.socket = OrderSocket(folder, self._post)
        self.socket.start()
        end = time.monotonic() + 5
        while not self.socket.path.exists() and time.monotonic() < end:
            time.sleep(0.01)

    def _post(self, event: object) -> None:
        assert isinstance(event, OrderAsked)
        self.heard.append(event)
        if not self.silent:
            threading.Thread(target=lambda: self.socket.answer({event.ticket: self.answer})).start()


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(tmp_path)
    yield core
    core.socket.stop()
    assert not (tmp_path / NAME).exists()


def test_an_order_reaches_the_core_with_who_gave_it_and_the_answer_comes_back(core: Core, tmp_path: Path) -> None:
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert send(tmp_path, Request(OrderKind.STOP_POINT, "Meier", "leak", fuelling_point=2)) is None
    core.answer = "nothing flows"
    assert send(tmp_path, Request(OrderKind.STOP_POINT, "Meier", fuelling_point=2)) == "nothing flows"
    first, second = core.heard
    assert (first.order.by, first.order.why, first.order.fuelling_point) == (f"Meier ({USER})", "leak", 2)
    assert first.ticket != second.ticket


def test_the_longest_path_that_a_socket_can_have_is_long_enough(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * (107 - len(str(tmp_path / NAME)) - 1))
    folder.mkdir()
    assert len(os.fsencode(folder / NAME)) == 107
    core = Core(folder)
    assert send(folder, Request(OrderKind.STOP_POINT, "Meier", fuelling_point=2)) is None
    core.socket.stop()


def test_what_looks_like_a_card_goes_into_no_journal(core: Core, tmp_path: Path) -> None:
    send(tmp_path, Request(OrderKind.RESET_EMERGENCY_STOP, "Meier", "card 7001231234567890123 lay there"))
    assert core.heard[0].order.why == "card **** lay there"


@pytest.mark.parametrize(
    "line",
    [
        b"\n", b"{}\n", b"[]\n", b'{"order":"open_all","by":"x"}\n', b'{"order":"stop_point"}\n', b'{"order":"stop_point","by":""}\n',
        b'{"order":"stop_point","by":"x","price":1}\n', b"\xff\n", b"[" * 4_000 + b"\n", b"x" * 9_000,
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused_at_the_door(core: Core, tmp_path: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(tmp_path / NAME))
        connection.sendall(line)
        assert connection.recv(4_096) == b'{"refused":"that is no order"}\n'
    assert core.heard == []


def test_a_caller_who_says_nothing_does_not_keep_the_next_one_out(core: Core, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dawdler:
        dawdler.connect(str(tmp_path / NAME))
        assert send(tmp_path, Request(OrderKind.RESET_EMERGENCY_STOP, "Meier")) is None


def test_a_caller_who_drips_bytes_does_not_keep_the_next_one_out(core: Core, tmp_path: Path) -> None:
    """One deadline for the whole line, not one for each byte."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dripping:
        dripping.connect(str(tmp_path / NAME))
        enough = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):  # it is hung up on
                while not enough.wait(0.3):
                    dripping.sendall(b"x")

        speaker = threading.Thread(target=drip)
        speaker.start()
        time.sleep(0.1)
        began, told = time.monotonic(), list[str | None]()
        chief = threading.Thread(target=lambda: told.append(send(tmp_path, Request(OrderKind.STOP_POINT, "chief", fuelling_point=1))))
        chief.start()
        chief.join(2 * PATIENCE_MS / 1000)
        took = time.monotonic() - began
        enough.set()
        speaker.join()
        chief.join()
    assert told == [None]
    assert took < 2 * PATIENCE_MS / 1000


def test_an_order_that_the_core_never_answers_is_refused_when_the_program_is_built_anew(tmp_path: Path) -> None:
    """Its step could not be committed: the caller is told so, and who follows keeps the socket."""
    old, told = Core(tmp_path), list[str | None]()
    old.silent = True
    caller = threading.Thread(target=lambda: told.append(send(tmp_path, Request(OrderKind.RESET_EMERGENCY_STOP, "Meier"))))
    caller.start()
    end = time.monotonic() + 5
    while not old.heard and time.monotonic() < end:
        time.sleep(0.01)
    began = time.monotonic()
    old.socket.stop()
    caller.join(30)
    assert told == ["the terminal starts anew; look at its status before you try again"]
    assert time.monotonic() - began < PATIENCE_MS / 1000
    assert not (tmp_path / NAME).exists()


def test_who_ends_late_leaves_the_socket_of_who_follows(tmp_path: Path) -> None:
    old = Core(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dawdler:
        dawdler.settimeout(5)
        dawdler.connect(str(tmp_path / NAME))

        time.sleep(0.1)
        ending = threading.Thread(target=old.socket.stop)
        ending.start()
        time.sleep(0.2)
        new = Core(tmp_path)
        time.sleep(0.2)
        assert ending.is_alive(), "it still hears the dawdler out"
        dawdler.sendall(b"\n")
        assert dawdler.recv(4_096) == b'{"refused":"that is no order"}\n'
        ending.join()
    time.sleep(0.2)
    assert send(tmp_path, Request(OrderKind.RESET_EMERGENCY_STOP, "Meier")) is None
    new.socket.stop()
    assert not (tmp_path / NAME).exists()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        send(tmp_path, Request(OrderKind.RESET_EMERGENCY_STOP, "Meier"))
