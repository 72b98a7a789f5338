"""The orders of the command line: what they say to the running terminal, and what they say to a person when they cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from terminal.__main__ import main
from terminal.core.orders import Order, OrderAsked, OrderKind
from terminal.runtime.orders import OrderSocket
from tests.test_config import example

STOP, SEEN, RESET = ("stop", "2"), ("acknowledge", "PUMP_ALARM", "fp 2"), ("reset-emergency-stop",)


class Listening:
    """A terminal as the command sees it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "terminal.toml"
        self.config.write_text(example(('"/run/forecourt-terminal"', f'"{folder}"')), encoding="utf-8")
        self.heard: list[Order] = []
        self.answer: str | None = None
        self.socket = OrderSocket(folder, self._post)

    def begin(self) -> None:
        self.socket.start()
        end = time.monotonic() + 5
        while not self.socket.path.exists() and time.monotonic() < end:
            time.sleep(0.01)

    def _post(self, event: object) -> None:
        assert isinstance(event, OrderAsked)
        self.heard.append(event.order)
        threading.Thread(target=lambda: self.socket.answer({event.ticket: self.answer})).start()

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(main, [words[0], "--config", str(self.config), *words[1:]], prog_name="python -m terminal")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Listening]:
    listening = Listening(tmp_path)
    listening.begin()
    yield listening
    listening.socket.stop()


@pytest.mark.parametrize(
    ("words", "kind", "about"),
    [
        (STOP, OrderKind.STOP_POINT, (2, None, None)),
        (SEEN, OrderKind.ACKNOWLEDGE_FAULT, (None, "PUMP_ALARM", "fp 2")),
        (RESET, OrderKind.RESET_EMERGENCY_STOP, (None, None, None)),
    ],
)
def test_an_order_is_given_and_what_became_of_it_is_said(
    terminal: Listening, words: tuple[str, ...], kind: OrderKind, about: tuple[object, ...]
) -> None:
    done = terminal.call(*words, "--by", "Meier", "--why", "seen")
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    (order,) = terminal.heard
    assert (order.kind, order.why) == (kind, "seen")
    assert order.by.startswith("Meier (")
    assert (order.fuelling_point, order.code, order.subject) == about
    terminal.answer = "it cannot be"
    done = terminal.call(*words, "--by", "Meier")
    assert (done.exit_code, done.stderr) == (1, "refused: it cannot be\n")


@pytest.mark.parametrize("words", [STOP, SEEN, RESET])
def test_no_terminal_listens(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = Listening(tmp_path).call(*words, "--by", "Meier")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "is it running" in done.stderr


@pytest.mark.parametrize("more", [(), ("--by", ""), ("--by", "x" * 65), ("--by", "Meier", "--why", "x" * 201)])
def test_nobody_gives_no_order(terminal: Listening, more: tuple[str, ...]) -> None:
    assert terminal.call(*RESET, *more).exit_code == 2
    assert terminal.heard == []
