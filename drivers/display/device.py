"""The text display of one terminal side: keeps an LK204-style serial display showing the latest lines.

Source of the bytes: ``drivers.display.lk204``. The display never answers: up means that its port is open and took the bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.commands import ShowLines
from drivers.device_thread import DeviceThread
from drivers.display.lk204 import BAUDRATE, BLANK, INIT, SETTINGS, CodePage, redraw, screen, update
from drivers.events import DeviceEvent
from drivers.serial_port import SerialPort

REFRESH_MS = 60_000
"""A display that lost its power alone cannot say so: after so long without a change everything is sent again, without a flicker."""

_BITS_PER_BYTE = 10


class Display(DeviceThread):
    """One 20x4 serial display at one terminal side.

    The newest lines win: while one screen is on the wire, ``submit`` replaces what is to follow, so an old screen never queues up.
    After each (re)open the display is set up anew and the current lines are drawn. ``DeviceUp`` and ``DeviceDown`` carry ``name``.
    """

    def __init__(
        self,
        name: str,
        side: int,
        path: str,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        code_page: CodePage = CodePage.LATIN_1,
        baudrate: int = BAUDRATE,
    ) -> None:
        super().__init__(name, post, clock)
        self.side = side
        self._code_page = code_page
        self._baudrate = baudrate
        self._port = SerialPort(path, baudrate)
        # Replaced whole by submit, read once per turn by the thread: needs no lock.
        self._wanted: tuple[bytes, ...] = BLANK

    def submit(self, command: ShowLines) -> None:
        """Show these lines from now on. From any thread; never blocks. Raises ``ValueError`` for another side's lines."""
        if command.side != self.side:
            raise ValueError(f"lines for side {command.side} at the display of side {self.side}")
        self._wanted = screen(command.lines, self._code_page)
        self._port.wake()

    def wake(self) -> None:
        """End the wait for new lines. From any thread."""
        self._port.wake()

    def serve(self) -> None:
        """Keep the display up to date until stopped. Raises ``PortLost``."""
        self._port.open()
        try:
            self._send(INIT)
            shown: tuple[bytes, ...] = BLANK
            refresh_at = self.clock() + REFRESH_MS
            self.is_up()
            while not self.stopping:
                wanted = self._wanted
                now = self.clock()
                data = SETTINGS + redraw(wanted) if now >= refresh_at else update(shown, wanted)
                if data:
                    self._send(data)
                    shown = wanted
                    refresh_at = now + REFRESH_MS
                else:
                    self.alive(refresh_at - now)
                    self._port.wait(refresh_at - now)
                    self._port.read()  # A display that talks back is not listened to, but must not keep us awake.
        finally:
            self._port.close()

    def _send(self, data: bytes) -> None:
        """Write, and wait as long as the wire needs, so that the port's buffer never holds more than one screen."""
        self._port.write(data)
        self.pause(len(data) * _BITS_PER_BYTE * 1_000 // self._baudrate + 1)
