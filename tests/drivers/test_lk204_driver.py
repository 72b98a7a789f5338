"""Screens as LK204 bytes, and the display thread on a pty with a small display of this file's own behind it."""

from __future__ import annotations

import os
import pty
import queue
import select
import termios
import time
import tty
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.commands import ShowLines
from drivers.display.device import REFRESH_MS, Display
from drivers.display.lk204 import BLANK, COLUMNS, INIT, ROWS, SETTINGS, CodePage, encode_line, redraw, screen, update
from drivers.events import DeviceDown, DeviceEvent, DeviceUp


class Panel:
    """A 20x4 display written from the command summary of the LK204-25 manual; refuses what it does not know."""

    def __init__(self) -> None:
        self.cells = [bytearray(b"?" * 20) for _ in range(4)]
        self.column = self.row = 0
        self.pending = bytearray()
        self.scroll = self.wrap = True
        self.clears = 0

    def feed(self, data: bytes) -> None:
        self.pending += data
        while self.pending and (taken := self._one()):
            del self.pending[:taken]

    def _one(self) -> int:
        """Bytes consumed, 0 when the command is not complete yet."""
        if self.pending[0] != 0xFE:
            assert self.pending[0] >= 0x20, "control byte as text"
            if self.column < 20:
                self.cells[self.row][self.column] = self.pending[0]
            self.column += 1
            return 1
        if len(self.pending) < 2:
            return 0
        size = {0x58: 2, 0x47: 4, 0x52: 2, 0x44: 2, 0x42: 3}[self.pending[1]]
        if len(self.pending) < size:
            return 0
        match self.pending[1]:
            case 0x58:
                self.cells = [bytearray(b" " * 20) for _ in range(4)]
                self.column = self.row = 0
                self.clears += 1
            case 0x47:
                assert 1 <= self.pending[2] <= 20
                assert 1 <= self.pending[3] <= 4
                self.column, self.row = self.pending[2] - 1, self.pending[3] - 1
            case 0x52:
                self.scroll = False
            case 0x44:
                self.wrap = False
            case 0x42:
                assert self.pending[2] == 0
        return size

    def text(self) -> tuple[bytes, ...]:
        return tuple(bytes(row) for row in self.cells)


def test_init_sequence() -> None:
    assert INIT.hex() == "fe52fe44fe4200fe58"
    panel = Panel()
    panel.feed(INIT)
    assert (panel.text(), panel.scroll, panel.wrap) == (BLANK, False, False)


def test_a_screen_is_always_four_lines_of_twenty() -> None:
    assert screen(("Bonjour",)) == (b"Bonjour" + b" " * 13, b" " * 20, b" " * 20, b" " * 20)
    assert screen(("x" * 30, "b", "c", "d", "never"))[0] == b"x" * 20
    assert len(screen(("a", "b", "c", "d", "never"))) == 4
    assert screen(()) == BLANK


def test_only_changed_lines_are_rewritten() -> None:
    one, two = screen(("Carte acceptée", "Pompe 3", "", "")), screen(("Carte acceptée", "Pompe 4", "", ""))
    assert update(one, one) == b""
    assert update(one, two) == b"\xfe\x47\x01\x02" + b"Pompe 4".ljust(20)
    assert update(BLANK, one).count(b"\xfe\x47") == 2


@pytest.mark.parametrize(
    ("text", "code_page", "expected"),
    [
        ("Sélectionnez à côté", CodePage.LATIN_1, "Sélectionnez à côté".encode("latin-1")),
        ("Se\u0301lection", CodePage.LATIN_1, b"S\xe9lection"),
        ("1\u202f234,50\u00a0€", CodePage.LATIN_1, b"1 234,50 E"),
        ("l’œuf… – «ok»", CodePage.LATIN_1, b"l'oeuf... - \xabok\xbb"),
        ("№ 5 ﬁn ９", CodePage.LATIN_1, b"No 5 fin 9"),
        ("Ação Žluť Łódź", CodePage.LATIN_1, "Ação Zlut Lódz".encode("latin-1")),
        ("Þorn þorn", CodePage.LATIN_1, b"\xdeorn \xdeorn"),
        ("ёж люблю", CodePage.CYRILLIC, "ёж лЮблЮ".encode("cp1251")),
        ("Й и\u0306", CodePage.CYRILLIC, "Й й".encode("cp1251")),
        ("Straße é €", CodePage.CYRILLIC, b"Strasse e \x88"),
        ("Привет", CodePage.LATIN_1, b"??????"),
        ("日本", CodePage.LATIN_1, b"??"),
        ("a\tb\nc\x00d\x85e", CodePage.LATIN_1, b"a b c?d e"),
        ("a\u200bb\ufeffc\u202ed", CodePage.LATIN_1, b"abcd"),
        ("\x9b\x7f", CodePage.LATIN_1, b"??"),
    ],
)
def test_text_in_a_code_page(text: str, code_page: CodePage, expected: bytes) -> None:
    assert encode_line(text, code_page) == expected.ljust(20)


@given(st.text(max_size=40), st.sampled_from(CodePage))
def test_no_text_can_send_a_command(text: str, code_page: CodePage) -> None:
    line = encode_line(text, code_page)
    assert len(line) == COLUMNS
    assert 0xFE not in line
    assert all(byte >= 0x20 and byte != 0x7F for byte in line)


LINES = st.lists(st.text(st.characters(codec="cp1251"), max_size=25), max_size=5).map(tuple)


@given(st.lists(LINES, min_size=1, max_size=5))
def test_a_display_fed_with_updates_shows_the_last_screen(screens: list[tuple[str, ...]]) -> None:
    panel = Panel()
    shown: tuple[bytes, ...] = BLANK
    panel.feed(INIT)
    for lines in screens:
        wanted = screen(lines, CodePage.CYRILLIC)
        panel.feed(update(shown, wanted))
        shown = wanted
    assert panel.text() == screen(screens[-1], CodePage.CYRILLIC)
    assert len(panel.text()) == ROWS


def test_a_redraw_repairs_any_screen() -> None:
    panel, wanted = Panel(), screen(("Bonjour", "2", "3", "4"))
    panel.feed(redraw(wanted))
    assert panel.text() == wanted


# --- the thread -------------------------------------------------------------------------------------------------------


class Bench:
    """A panel behind a pty, read by the test itself: what the test does not read stays in the wire."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self._open = [self.master, self.slave]
        self.path = os.ttyname(self.slave)
        self.panel = Panel()
        self.received = bytearray()
        self.events: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
        self.now = 0

    def read(self, limit_s: float = 0.2) -> bytes:
        """What arrived since the last time, after a moment of silence."""
        data = bytearray()
        while select.select([self.master], [], [], limit_s)[0]:
            data += os.read(self.master, 4096)
        self.panel.feed(bytes(data))
        self.received += data
        return bytes(data)

    def read_until_shown(self, lines: tuple[bytes, ...]) -> None:
        limit = time.monotonic() + 10
        while self.panel.text() != lines:
            assert time.monotonic() < limit, self.panel.text()
            self.read(0.05)

    def unplug(self) -> None:
        """Hang up; a second time does nothing."""
        while self._open:
            os.close(self._open.pop())


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.unplug()


def display_on(bench: Bench, path: str | None = None, code_page: CodePage = CodePage.LATIN_1) -> Display:
    return Display("display-1", 1, path or bench.path, bench.events.put, lambda: bench.now, code_page)


def test_lines_reach_the_panel(bench: Bench) -> None:
    display = display_on(bench, code_page=CodePage.CYRILLIC)
    display.submit(ShowLines(1, ("Приложите карту", "", "", "до 2000")))
    display.start()
    assert bench.events.get(timeout=60) == DeviceUp("display-1")
    bench.read_until_shown(screen(("Приложите карту", "", "", "до 2000"), CodePage.CYRILLIC))
    assert bench.received.startswith(INIT)
    assert termios.tcgetattr(bench.slave)[5] == termios.B19200
    display.submit(ShowLines(1, ("Приложите карту", "Пауза", "", "до 2000")))
    assert bench.read() == b"\xfe\x47\x01\x02" + "Пауза".encode("cp1251").ljust(20)
    display.submit(ShowLines(1, ("Приложите карту", "Пауза", "", "до 2000")))
    assert bench.read() == b""
    assert display.stop()
    assert bench.events.empty()


def test_an_old_screen_never_queues_up_behind(bench: Bench) -> None:
    display = display_on(bench)
    display.start()
    assert bench.events.get(timeout=60) == DeviceUp("display-1")
    for number in range(500):
        display.submit(ShowLines(1, tuple(f"{number}.{row}" for row in range(4))))
    bench.read_until_shown(screen(tuple(f"499.{row}" for row in range(4))))
    drawn = len(bench.received) - len(INIT)
    assert 96 <= drawn <= 20 * 96, "500 screens in a moment are not 500 screens on the wire"
    assert display.stop()


def test_after_a_loss_the_current_lines_are_drawn_again(bench: Bench, tmp_path: os.PathLike[str]) -> None:
    link = os.fspath(tmp_path) + "/display"
    os.symlink(bench.path, link)
    display = display_on(bench, link)
    display.submit(ShowLines(1, ("first",)))
    display.start()
    assert bench.events.get(timeout=60) == DeviceUp("display-1")
    bench.read_until_shown(screen(("first",)))
    os.unlink(link)
    bench.unplug()
    down = bench.events.get(timeout=60)
    assert isinstance(down, DeviceDown)
    assert down.device == "display-1"
    display.submit(ShowLines(1, ("second", "line")))
    again = Bench()
    os.symlink(again.path, link)
    assert bench.events.get(timeout=60) == DeviceUp("display-1")
    again.read_until_shown(screen(("second", "line")))
    assert again.received.startswith(INIT)
    assert display.stop()
    again.unplug()


def test_a_display_that_lost_its_power_alone_is_repaired(bench: Bench) -> None:
    display = display_on(bench)
    display.submit(ShowLines(1, ("Bonjour",)))
    display.start()
    bench.read_until_shown(screen(("Bonjour",)))
    bench.panel = Panel()
    bench.now += REFRESH_MS
    os.write(bench.master, b"!")  # Its start-up chatter, which also wakes the thread to look at the clock.
    assert bench.read() == SETTINGS + redraw(screen(("Bonjour",)))
    assert bench.panel.text() == screen(("Bonjour",))
    assert display.stop()


def test_lines_of_another_side_are_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="side 2 at the display of side 1"):
        display_on(bench).submit(ShowLines(2, ("x",)))


def test_a_missing_port(bench: Bench, tmp_path: os.PathLike[str]) -> None:
    display = display_on(bench, os.fspath(tmp_path) + "/none")
    display.start()
    down = bench.events.get(timeout=60)
    assert isinstance(down, DeviceDown)
    assert "cannot open" in down.reason
    assert display.stop()
