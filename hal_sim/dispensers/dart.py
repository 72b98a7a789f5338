"""A Wayne DART line with several heads on it, from the dispensers' side.

Line and application rules: ``firmware_notes/dart.md``; where that page marks a point open or assumed, the choice made here is named at
the line that makes it. It tolerates the masters of the field: TX number always 0, ACK always C0, commands and prices sent twice,
no escaping.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from hal_sim.dispensers import dart_codec as codec
from hal_sim.dispensers.head import Change, Head

ANSWER_DELAY_MS: Final = 6
"""First byte of a real head's answer after 5-6 ms (dart.md, Timing)."""
LONGEST_DATA: Final = 200
"""Bytes of transactions in one DATA frame; more waits for the next poll."""

_CD1_STATUS, _CD1_FILL, _CD1_RESET, _CD1_AUTHORIZE, _CD1_STOP = 0x00, 0x04, 0x05, 0x06, 0x08
_CD1_SWITCH_OFF, _CD1_SUSPEND, _CD1_RESUME = 0x0A, 0x0D, 0x0E
_CD1, _CD2, _CD3, _CD4, _CD5, _CD101 = 0x01, 0x02, 0x03, 0x04, 0x05, 0x65
_DC1, _DC2, _DC3, _DC5, _DC101 = 0x01, 0x02, 0x03, 0x05, 0x65
_AMOUNT_COUNTER = 0x10
_NOZZLE_OUT = 0x10


class DartPosition:
    """One head at one address of the line, with its side of the link.

    Decimals are settings of the pump and not on the wire (dart.md, Decimals): ``volume_decimals`` of DC2 and CD3, ``amount_decimals``
    of DC2 and CD4, ``price_decimals`` of CD5 and DC3, ``totals_decimals`` of DC101 volumes.
    ``connected`` False is a cut drop: silent, while the head lives on. ``nak_next`` answers that many DATA frames with NAK.
    ``burst`` sends the next DATA right after an ACK, and EOT at the end, in place of waiting for the next poll.
    ``ack_mismatches``, ``repeats`` and ``refused`` count ACKs with another number, repeated DATA, and malformed DATA.
    Raises ``ValueError`` on an address outside 0x50...0x6F or decimals that the wire cannot carry.
    """

    def __init__(
        self,
        address: int,
        head: Head,
        *,
        volume_decimals: int = 2,
        amount_decimals: int = 2,
        price_decimals: int = 3,
        totals_decimals: int = 2,
        burst: bool = False,
    ) -> None:
        if not codec.FIRST_ADDRESS <= address <= codec.LAST_ADDRESS:
            raise ValueError(f"a DART address is 0x50...0x6F, not {address:#x}")
        if not all(0 <= n <= limit for n, limit in ((volume_decimals, 3), (totals_decimals, 3), (amount_decimals, 8), (price_decimals, 4))):
            raise ValueError("decimals are 0...3 of volume, 0...8 of amount, 0...4 of price")
        self.address = address
        self.head = head
        self.connected = True
        self.nak_next = 0
        self.burst = burst
        self.ack_mismatches = self.repeats = self.refused = 0
        self._volume_unit_ml = 10 ** (3 - volume_decimals)
        self._totals_unit_ml = 10 ** (3 - totals_decimals)
        self._price_unit = 10 ** (4 - price_decimals)
        self._amount_up = 10 ** max(0, amount_decimals - head.options.currency_decimals)
        self._amount_down = 10 ** max(0, head.options.currency_decimals - amount_decimals)
        self.eot = codec.encode(address, codec.EOT)
        self._acks = tuple(codec.encode(address, codec.ACK | number) for number in range(16))
        self._queue: deque[bytes] = deque(maxlen=64)
        self._outstanding: bytes | None = None
        self._tx_number = 0
        self._rx_number = 0
        head.listeners.append(self._on_change)

    @property
    def silent(self) -> bool:
        """Nothing is answered: the drop is cut or the head is dark."""
        return not self.connected or not self.head.powered

    @property
    def has_something(self) -> bool:
        """The next poll is answered with DATA."""
        return self._outstanding is not None or bool(self._queue)

    # What the head has to say is queued when it happens and waits for a poll.

    def _on_change(self, change: Change, at: int) -> None:
        if change is Change.STATE:
            self._say(_DC1, bytes((self.head.state,)))
        elif change is Change.NOZZLE:
            if self.head.powered:
                self._say_nozzle()
        elif change is Change.ALARM:
            self._say(_DC5, bytes((self.head.last_alarm,)))
        else:
            # A head that comes back has lost its link memory and says what it is; number 0 means "restarted".
            self._queue.clear()
            self._outstanding = None
            self._tx_number = self._rx_number = 0
            if self.head.powered:
                self._say(_DC1, bytes((self.head.state,)))
                self._say_nozzle()

    def _say(self, trans: int, data: bytes) -> None:
        self._queue.append(codec.transaction(trans, data))

    def _say_nozzle(self) -> None:
        """DC3; at rest it names the last used nozzle, as IP's captures do with nozzle 1 in."""
        head = self.head
        nozzle = head.last_nozzle
        price = codec.to_bcd(head.prices.get(nozzle, 0) // self._price_unit, 3)
        self._say(_DC3, price + bytes((nozzle | (_NOZZLE_OUT if head.nozzle_out == nozzle else 0),)))

    def _say_fill(self, now: int) -> None:
        volume = self.head.fill_ml(now) // self._volume_unit_ml
        amount = self.head.fill_minor(now) * self._amount_up // self._amount_down
        self._say(_DC2, codec.to_bcd(volume, 4) + codec.to_bcd(amount, 4))

    def _say_total(self, counter: int, now: int) -> None:
        """DC101. Meter 1 repeats the total, as in IP's capture; a nozzle that is not there gets no answer (assumed)."""
        nozzle = counter & 0x0F
        if nozzle not in self.head.nozzles or counter & 0xF0 not in (0, _AMOUNT_COUNTER):
            return
        if counter & _AMOUNT_COUNTER:
            total = self.head.total_minor(nozzle, now) * self._amount_up // self._amount_down
        else:
            total = self.head.total_ml(nozzle, now) // self._totals_unit_ml
        value = codec.to_bcd(total, 5)
        self._say(_DC101, bytes((counter,)) + value + value + bytes(5))

    # The link.

    def poll(self, now: int) -> bytes:
        """The answer to POLL: the unacknowledged DATA again, what is queued as new DATA, or EOT."""
        self.head.advance(now)
        if self._outstanding is None:
            if not self._queue:
                return self.eot
            data = bytearray(self._queue.popleft())
            while self._queue and len(data) + len(self._queue[0]) <= LONGEST_DATA:
                data += self._queue.popleft()
            self._outstanding = codec.encode(self.address, codec.DATA | self._tx_number, bytes(data))
        return self._outstanding

    def acknowledged(self, number: int, now: int) -> bytes | None:
        """The master's ACK. C0 counts for any number, because masters of the field send nothing else (dart.md, Tolerance)."""
        if self._outstanding is None:
            return None
        if number != self._tx_number:
            self.ack_mismatches += 1
            if number != 0:
                return None
        self._outstanding = None
        self._tx_number = self._tx_number + 1 if self._tx_number < 15 else 1
        return self.poll(now) if self.burst else None

    def command(self, frame: codec.Frame, now: int) -> bytes:
        """A DATA frame of the master: carry it out, unless it is a repetition, and acknowledge it."""
        if self.nak_next > 0:
            self.nak_next -= 1
            return codec.encode(self.address, codec.NAK | frame.number)
        if frame.number != 0 and frame.number == self._rx_number:
            self.repeats += 1
            return self._acks[frame.number]
        try:
            transactions = codec.split_transactions(frame.data)
        except ValueError:
            self.refused += 1
            return codec.encode(self.address, codec.NAK | frame.number)
        self._rx_number = frame.number
        self.head.advance(now)
        for trans, data in transactions:
            try:
                self._carry_out(trans, data, now)
            except ValueError:
                # Not BCD where BCD belongs: a head keeps what it had (assumed), and the link has done its part.
                self.refused += 1
        return self._acks[frame.number]

    def _carry_out(self, trans: int, data: bytes, now: int) -> None:
        head = self.head
        if trans == _CD1 and len(data) == 1:
            self._on_cd1(data[0], now)
        elif trans == _CD2:
            head.set_allowed(data, now)
        elif trans == _CD3 and len(data) == 4:
            head.set_preset(codec.from_bcd(data) * self._volume_unit_ml, None, now)
        elif trans == _CD4 and len(data) == 4:
            head.set_preset(None, codec.from_bcd(data) * self._amount_down // self._amount_up, now)
        elif trans == _CD5 and data and len(data) % 3 == 0:
            head.set_prices([codec.from_bcd(data[at : at + 3]) * self._price_unit for at in range(0, len(data), 3)], now)
        elif trans == _CD101 and len(data) == 1:
            self._say_total(data[0], now)

    def _on_cd1(self, command: int, now: int) -> None:
        head = self.head
        if command == _CD1_FILL:
            self._say_fill(now)
        elif command == _CD1_STATUS:
            self._say(_DC1, bytes((head.state,)))
            self._say_nozzle()
        elif command == _CD1_RESET:
            head.reset(now)
        elif command == _CD1_AUTHORIZE:
            head.authorize(now)
        elif command == _CD1_STOP:
            head.stop(now)
        elif command == _CD1_SWITCH_OFF:
            head.switch_off(now)
        elif command == _CD1_SUSPEND:
            head.suspend(now)
        elif command == _CD1_RESUME:
            head.resume(now)


class DartBus:
    """One RS-485 line (a ``hal_sim.wire.Device``). ``lead_in`` is put before every answer: turn-round noise of the transceivers.

    Raises ``ValueError`` when two positions share an address.
    """

    def __init__(
        self,
        positions: Iterable[DartPosition],
        *,
        answer_delay_ms: int = ANSWER_DELAY_MS,
        accept_unescaped: bool = True,
    ) -> None:
        self.positions: dict[int, DartPosition] = {}
        for position in positions:
            if position.address in self.positions:
                raise ValueError(f"two positions at {position.address:#x}")
            self.positions[position.address] = position
        self._heads = tuple(position.head for position in self.positions.values())
        self.answer_delay_ms = answer_delay_ms
        self.lead_in = b""
        self._reader = codec.FrameReader(accept_unescaped)
        self._output: list[tuple[int, bytes]] = []

    @property
    def rejected(self) -> int:
        """Frames that were none: bad CRC, torn, noise that looked like a start."""
        return self._reader.rejected

    def on_bytes(self, data: bytes, now: int) -> None:
        """Bytes of the master that arrived at ``now`` (ms); answers start ``answer_delay_ms`` later."""
        if len(data) == 3 and data[1] == codec.POLL and data[2] == codec.SF and self._reader.idle:
            # A whole poll, which is nearly all there is on an idle line, without the reader.
            position = self.positions.get(data[0])
            if position is not None and not position.silent:
                self._answer(position.poll(now), now)
            return
        for frame in self._reader.feed(data, now):
            position = self.positions.get(frame.address)
            if position is None or position.silent:
                continue
            if frame.control == codec.POLL:
                self._answer(position.poll(now), now)
            elif frame.kind == codec.DATA:
                self._answer(position.command(frame, now), now)
            elif frame.kind == codec.ACK:
                answer = position.acknowledged(frame.number, now)
                if answer is not None:
                    self._answer(answer, now)

    def idle_answer(self, address: int) -> bytes | None:
        """EOT, when that is what a poll of this address is answered with as long as no head changes; else None."""
        position = self.positions.get(address)
        if position is None or position.silent or position.has_something or self.lead_in or not self._reader.idle:
            return None
        return position.eot

    def on_time(self, now: int) -> None:
        """Let every head live up to ``now`` (ms)."""
        for position in self.positions.values():
            position.head.advance(now)

    def next_wakeup(self) -> int | None:
        """When the next running flow ends, or None."""
        earliest: int | None = None
        for head in self._heads:
            at = head.next_change()
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def take_output(self) -> list[tuple[int, bytes]]:
        """Answers, each once: (instant at which it starts, bytes)."""
        if not self._output:
            return []
        taken, self._output = self._output, []
        return taken

    def quiet_until(self, now: int) -> int | None:
        """From when on a poll of any address may be answered with anything but EOT, if nobody commands and nobody touches a head.

        None: never. ``now``: already, which includes a position that does not answer at all. Cheap: no allocation, no time step.
        """
        earliest: int | None = None
        for position in self.positions.values():
            if position.has_something or position.silent:
                return now
            at = position.head.next_change()
            if at is not None:
                if at <= now:
                    return now
                if earliest is None or at < earliest:
                    earliest = at
        return earliest

    def _answer(self, data: bytes, now: int) -> None:
        self._output.append((now + self.answer_delay_ms, self.lead_in + data if self.lead_in else data))
