"""The slot of the virtual PC/SC reader: a card in it is a TCP connection to pcscd's driver, served in the forecourt's loop.

Source: vsmartcard's vpcd (README, ``src/vpcd/vpcd.h``): length in two bytes, then a command. One byte is control: 0 power off, 1 power
on, 2 reset (none is answered), 4 give the answer to reset. To close the connection is to take the card out.
"""

from __future__ import annotations

import socket
from collections import deque

from hal_sim.clock import monotonic_ns
from hal_sim.pty_port import Loop, Record
from hal_sim.smartcard.card import Card

_GIVE_ATR = 4
_NS_PER_MS = 1_000_000


class Slot:
    """Holds at most one card. ``plug`` and ``unplug`` follow the PC/SC service; a card that is in stays in meanwhile.

    ``record`` gets commands and answers as the card sees them, and the control byte that asks for the answer to reset.
    """

    def __init__(self, loop: Loop, record: Record | None = None) -> None:
        self.card: Card | None = None
        self._loop = loop
        self._record = record
        self._port: int | None = None
        self._socket: socket.socket | None = None
        self._received = b""
        self._answers: deque[tuple[int, bytes]] = deque()
        loop.add_timed(self)

    def plug(self, port: int) -> None:
        """The reader's driver listens on this port. Raises OSError."""
        self._port = port
        self._connect()

    def unplug(self) -> None:
        """The reader's driver is gone."""
        self._port = None
        self._disconnect()

    def insert(self, card: Card) -> None:
        """Put a card in. Raises ValueError when one is in, OSError when the reader does not take it."""
        if self.card is not None:
            raise ValueError("a card is in already")
        self.card = card
        self._connect()

    def take_out(self) -> bool:
        """Take the card out; whether there was one."""
        was_in, self.card = self.card is not None, None
        self._disconnect()
        return was_in

    def _connect(self) -> None:
        if self.card is None or self._port is None or self._socket is not None:
            return
        self._socket = socket.create_connection(("127.0.0.1", self._port), 5)
        self._socket.setblocking(False)
        self._acknowledge()
        self._loop.watch(self._socket.fileno(), self._readable)

    def _acknowledge(self) -> None:
        """The driver sends length and command apart, and the second part waits until the first is acknowledged.

        Linux would hold that back for 40 ms, and forgets this wish after a while.
        """
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._received = b""
        self._answers.clear()

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._disconnect()  # The driver is gone; ``unplug`` and ``plug`` will say more.
            return
        self._acknowledge()
        self._received += data
        while len(self._received) >= 2 and len(self._received) >= (end := 2 + int.from_bytes(self._received[:2], "big")):
            message, self._received = self._received[2:end], self._received[end:]
            self._obey(message)

    def _obey(self, message: bytes) -> None:
        card = self.card
        if card is None:
            return
        if self._record is not None and (len(message) != 1 or message[0] == _GIVE_ATR):
            self._record(monotonic_ns(), "in", message)
        if len(message) != 1:
            self._hear(card, message)
        elif message[0] == _GIVE_ATR:
            if card.atr:
                self._answer(card.atr, 0)
        else:
            card.power()

    def _hear(self, card: Card, command: bytes) -> None:
        card.heard.append(command)
        habits, number = card.habits, len(card.heard)
        if number == habits.tear_at:
            self.take_out()
        elif not habits.mute_at or number < habits.mute_at:
            self._answer(card.apdu(command), habits.slow_ms)

    def _answer(self, data: bytes, after_ms: int) -> None:
        self._answers.append((monotonic_ns() + after_ms * _NS_PER_MS, len(data).to_bytes(2, "big") + data))
        self.advance(monotonic_ns())

    def next_wakeup_ns(self) -> int | None:
        """When the next answer of a slow card is due."""
        return self._answers[0][0] if self._answers else None

    def advance(self, now_ns: int) -> None:
        """Send the answers that are due."""
        while self._answers and self._answers[0][0] <= now_ns and self._socket is not None:
            at_ns, message = self._answers.popleft()
            try:
                self._socket.sendall(message)
            except OSError:
                self._disconnect()
                return
            if self._record is not None:
                self._record(at_ns, "out", message[2:])
