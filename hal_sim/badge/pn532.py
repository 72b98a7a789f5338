"""A PN532 contactless reader at the end of its high speed UART, sans-IO.

Source: NXP UM0701-02, PN532 User Manual (frames 6.2.1, error codes 7.1, commands 7.2 and 7.3), told in our own words in
``firmware_notes/pn532.md``. Type A at 106 kbit/s only: other modulations find nobody. Times are integer milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from hal_sim.badge.tags import Tag, Type4A, crc_a

ACK = b"\x00\x00\xff\x00\xff\x00"
ERROR_FRAME = b"\x00\x00\xff\x01\xff\x7f\x81\x00"
FIRMWARE_1_6 = b"\x32\x01\x06\x07"
BAUD_RATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
SLEEP_EATS_BYTES = 5  # waking takes time; hosts send a preamble of ten bytes or more for it
LARGEST_FRAME = 265

_RX_MODE, _FIFO_DATA = 0x6303, 0x6339
_TIMEOUT, _CRC_ERROR, _BAD_CONTEXT = b"\x01", b"\x02", b"\x27"


def frame(payload: bytes) -> bytes:
    """An information frame, normal or extended, with preamble and postamble (UM0701-02 6.2.1.1 and 6.2.1.2)."""
    if len(payload) <= 255:
        head = bytes([len(payload), -len(payload) & 0xFF])
    else:
        size = len(payload).to_bytes(2, "big")
        head = b"\xff\xff" + size + bytes([-sum(size) & 0xFF])
    return b"\x00\x00\xff" + head + payload + bytes([-sum(payload) & 0xFF, 0])


class Pn532:
    """The reader. Hold a tag against it with ``present``, take it away with ``remove``.

    ``latency_ms`` is the time from command to response. ``strict_speed`` makes bytes at another speed than the chip's own mere
    noise, which needs a carrier that tells the host's speed through ``on_line_speed``. Noise on the line is the carrier's.
    """

    def __init__(self, *, latency_ms: int = 0, firmware: bytes = FIRMWARE_1_6, strict_speed: bool = True) -> None:
        self.latency_ms = latency_ms
        self.strict_speed = strict_speed
        self.mute = False
        self.commands: list[int] = []
        self._firmware = firmware
        self._tags: list[tuple[Tag, int | None]] = []
        self._tear_after: int | None = None
        self._output: list[tuple[int, bytes]] = []
        self.power_cycle()

    # --- people and faults

    def power_cycle(self) -> None:
        """The supply went off and on: speed, registers and settings are those of a cold chip."""
        self.baud = 115200
        self._next_baud: int | None = None
        self._host_baud: int | None = None
        self._buffer = bytearray()
        self._asleep = 0
        self._pending: tuple[int, bytes, Callable[[], None] | None] | None = None
        self._last_response = b""
        self._registers = {0x6302: 0x80, _RX_MODE: 0x80, 0x6304: 0x80, _FIFO_DATA: 0x00}
        self._field = False
        self._targets: dict[int, Tag] = {}
        self._automatic_rats = True
        self._passive_retries = 0xFF
        self._exchange_timeout_ms = 52
        self._waiting_list: bytes | None = None
        for tag, _ in self._tags:
            tag.field_lost()

    def present(self, tag: Tag, now: int, hold_ms: int | None = None) -> None:
        """Hold a tag in the field, for ``hold_ms`` or until ``remove``. Several at once are possible."""
        tag.field_lost()
        self._tags.append((tag, None if hold_ms is None else now + hold_ms))
        if self._waiting_list is not None and self._pending is None:
            self._answer_list(self._waiting_list, now)

    def remove(self, tag: Tag | None = None) -> int:
        """Take this tag away, or all of them; gives the number taken."""
        gone = [t for t, _ in self._tags if tag is None or t is tag]
        self._tags = [(t, until) for t, until in self._tags if t not in gone]
        for each in gone:
            each.field_lost()
        return len(gone)

    def tear_after(self, exchanges: int) -> None:
        """Tear every tag out of the field once this many further exchanges with it have been answered."""
        self._tear_after = exchanges

    @property
    def tags(self) -> tuple[Tag, ...]:
        """The tags held against the reader."""
        return tuple(tag for tag, _ in self._tags)

    @property
    def field_on(self) -> bool:
        """Whether the radio field is on."""
        return self._field

    # --- carrier

    def on_line_speed(self, baud: int, now: int) -> None:
        """The speed at which the host's bytes come."""
        self._host_baud = baud
        if self._next_baud is not None and baud == self._next_baud:
            self._switch_speed()  # the host's ACK may be lost with its closing of the port; its new speed says the same

    def on_bytes(self, data: bytes, now: int) -> None:
        """Bytes from the host."""
        self.on_time(now)
        if self.strict_speed and self._host_baud not in (None, self.baud):
            return
        if self._asleep:
            eaten = min(self._asleep, len(data))
            self._asleep -= eaten
            data = data[eaten:]
        self._buffer += data
        while self._parse(now):
            pass

    def on_time(self, now: int) -> None:
        """Let tags go whose time is over and send the response that is due."""
        for tag, until in list(self._tags):
            if until is not None and until <= now:
                self.remove(tag)
        if self._pending is not None and self._pending[0] <= now:
            at, response, after = self._pending
            self._pending = None
            self._send(at, response)
            if after is not None:
                after()

    def next_wakeup(self) -> int | None:
        """When something changes by itself, or None."""
        times = [until for _, until in self._tags if until is not None]
        if self._pending is not None:
            times.append(self._pending[0])
        return min(times, default=None)

    def take_output(self) -> list[tuple[int, bytes]]:
        """Bytes for the host, each with its instant."""
        output, self._output = self._output, []
        return output

    def _send(self, now: int, data: bytes) -> None:
        self._last_response = data if data != ACK else self._last_response
        self._output.append((now, data))

    # --- frames

    def _parse(self, now: int) -> bool:
        """Take one frame from the buffer; False when no whole one is there."""
        start = self._buffer.find(b"\x00\xff")
        if start < 0:
            del self._buffer[: max(0, len(self._buffer) - 1)]
            return False
        del self._buffer[:start]
        if len(self._buffer) < 4:
            return False
        length = bytes(self._buffer[2:4])
        if length in (b"\x00\xff", b"\xff\x00"):
            del self._buffer[:4]
            if length == b"\x00\xff":
                self._on_host_ack()
            else:
                self._on_host_nack(now)
            return True
        return self._information_frame(7 if length == b"\xff\xff" else 4, now)

    def _information_frame(self, head: int, now: int) -> bool:
        if len(self._buffer) < head:
            return False
        extended = head == 7
        size = int.from_bytes(self._buffer[4:6], "big") if extended else self._buffer[2]
        checked = self._buffer[4:7] if extended else self._buffer[2:4]
        if sum(checked) & 0xFF or not 0 < size <= LARGEST_FRAME:
            del self._buffer[:2]
            return True
        if len(self._buffer) < head + size + 1:
            return False
        payload, checksum = bytes(self._buffer[head : head + size]), self._buffer[head + size]
        del self._buffer[: head + size + 1]
        if (sum(payload) + checksum) & 0xFF == 0 and not self.mute:  # a bad frame is not acknowledged; NACK is the host's alone
            self._on_frame(payload, now)
        return True

    def _on_host_ack(self) -> None:
        self._pending = None  # an ACK from the host aborts the command in work
        self._waiting_list = None
        if self._next_baud is not None:
            self._switch_speed()

    def _on_host_nack(self, now: int) -> None:
        if self._last_response and not self.mute:
            self._send(now, self._last_response)

    def _switch_speed(self) -> None:
        if self._next_baud is not None:
            self.baud, self._next_baud = self._next_baud, None

    def _on_frame(self, payload: bytes, now: int) -> None:
        self._pending, self._waiting_list, self._next_baud = None, None, None
        if len(payload) < 2 or payload[0] != 0xD4:
            self._send(now, ERROR_FRAME)
            return
        code, data = payload[1], payload[2:]
        self.commands.append(code)
        self._send(now, ACK)
        handler = self._handlers().get(code)
        if handler is None:
            self._respond(now, ERROR_FRAME)
            return
        try:
            handler(data, now)
        except IndexError:  # a parameter is missing: the chip calls that a syntax error
            self._respond(now, ERROR_FRAME)

    def _respond(self, now: int, response: bytes, delay_ms: int = 0, after: Callable[[], None] | None = None) -> None:
        self._pending = (now + self.latency_ms + delay_ms, response, after)
        self.on_time(now)

    def _reply(self, code: int, data: bytes, now: int, delay_ms: int = 0, after: Callable[[], None] | None = None) -> None:
        self._respond(now, frame(bytes([0xD5, code + 1]) + data), delay_ms, after)

    # --- commands

    def _handlers(self) -> dict[int, Callable[[bytes, int], None]]:
        return {
            0x00: self._diagnose,
            0x02: lambda d, now: self._reply(0x02, self._firmware, now),
            0x04: self._general_status,
            0x06: self._read_registers,
            0x08: self._write_registers,
            0x10: self._set_baud_rate,
            0x12: self._set_parameters,
            0x14: lambda d, now: self._reply(0x14, b"", now),
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._data_exchange,
            0x42: self._communicate_thru,
            0x44: lambda d, now: self._release(0x44, d[0], now),
            0x46: lambda d, now: self._reply(0x46, _TIMEOUT, now),  # nobody answers as a peer
            0x4A: self._list_passive,
            0x52: lambda d, now: self._release(0x52, d[0], now),
            0x54: lambda d, now: self._reply(0x54, b"\x00" if d[0] in self._targets else _BAD_CONTEXT, now),
            0x56: lambda d, now: self._reply(0x56, _TIMEOUT, now),
        }

    def _diagnose(self, data: bytes, now: int) -> None:
        self._reply(0x00, data if data[0] == 0 else b"\x00", now)

    def _general_status(self, data: bytes, now: int) -> None:
        listed = b"".join(bytes([number, 0, 0, 0x10]) for number in sorted(self._targets))
        self._reply(0x04, bytes([0, self._field, len(self._targets)]) + listed + b"\x00", now)

    def _read_registers(self, data: bytes, now: int) -> None:
        addresses = [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]
        self._reply(0x06, bytes(self._registers.get(a, 0) for a in addresses), now)

    def _write_registers(self, data: bytes, now: int) -> None:
        for i in range(0, len(data), 3):
            self._registers[data[i] << 8 | data[i + 1]] = data[i + 2]
        self._reply(0x08, b"", now)

    def _set_baud_rate(self, data: bytes, now: int) -> None:
        wanted = BAUD_RATES[data[0]]

        def agreed() -> None:
            self._next_baud = wanted  # in force once the host has acknowledged at the old speed

        self._reply(0x10, b"", now, after=agreed)

    def _set_parameters(self, data: bytes, now: int) -> None:
        self._automatic_rats = bool(data[0] & 0x10)
        self._reply(0x12, b"", now)

    def _power_down(self, data: bytes, now: int) -> None:
        def sleep() -> None:
            self._asleep = SLEEP_EATS_BYTES
            self._field_off()

        self._reply(0x16, b"\x00", now, after=sleep)

    def _rf_configuration(self, data: bytes, now: int) -> None:
        item = data[0]
        if item == 0x01:
            if data[1] & 1:
                self._field = True
            else:
                self._field_off()
        elif item == 0x02:
            index = data[3]
            self._exchange_timeout_ms = 0 if index == 0 else max(1, (100 << (index - 1)) // 1000)
        elif item == 0x05:
            self._passive_retries = data[3]
        self._reply(0x32, b"", now)

    def _field_off(self) -> None:
        self._field = False
        self._targets = {}
        for tag, _ in self._tags:
            tag.field_lost()

    def _release(self, code: int, number: int, now: int) -> None:
        for each in [n for n in self._targets if number in (0, n)]:
            tag = self._targets[each]
            tag.exchange(b"\xc2" if isinstance(tag, Type4A) and tag.iso_dep else b"\x50\x00")
            if code == 0x52:
                del self._targets[each]
        self._reply(code, b"\x00", now)

    # --- the radio

    def _list_passive(self, data: bytes, now: int) -> None:
        wanted, modulation = data[0], data[1]
        if not 1 <= wanted <= 2:
            self._respond(now, ERROR_FRAME)
            return
        self._field = True
        self._targets = {}
        self._registers[_RX_MODE] |= 0x80  # the firmware checks the CRC again after every activation
        if modulation != 0:
            self._registers[_FIFO_DATA] = 0
            self._reply(0x4A, b"\x00", now)
        elif not self._answer_list(data, now):
            self._registers[_FIFO_DATA] = 0x26  # the unanswered REQA is still in the FIFO
            if self._passive_retries == 0xFF:
                self._waiting_list = data  # the chip goes on asking until somebody comes or the host's ACK
            else:
                self._reply(0x4A, b"\x00", now, delay_ms=self._passive_retries)

    def _answer_list(self, data: bytes, now: int) -> bool:
        found = self._anticollision(data[2:])[: data[0]]
        if not found:
            return False
        self._waiting_list = None
        self._registers[_FIFO_DATA] = 0
        answer = bytes([len(found)])
        for number, tag in enumerate(found, 1):
            tag.select()
            self._targets[number] = tag
            answer += bytes([number]) + tag.sens_res[::-1] + bytes([tag.sel_res, len(tag.uid)]) + tag.uid
            if self._automatic_rats and isinstance(tag, Type4A):
                reply = tag.exchange(b"\xe0\x50")
                answer += b"" if reply is None else reply.data
        self._reply(0x4A, answer, now)
        return True

    def _anticollision(self, wanted: bytes) -> list[Tag]:
        """Tags in the order in which a reader that follows the 1 at each collision finds them (ISO/IEC 14443-3 6.5.3)."""
        uid = {8: wanted[1:], 12: wanted[1:4] + wanted[5:]}.get(len(wanted), wanted)  # drop the cascade tags 0x88

        def bits(tag: Tag) -> list[int]:
            return [byte >> bit & 1 for byte in tag.uid for bit in range(8)]

        return sorted((t for t in self.tags if t.listening and (not uid or t.uid == uid)), key=bits, reverse=True)

    def _in_field(self, number: int) -> Tag | None:
        tag = self._targets.get(number)
        return tag if tag is not None and any(tag is t for t in self.tags) else None

    def _exchange(self, tag: Tag | None, command: bytes) -> bytes | None:
        """One exchange on the air: status and data for the host, or None when nobody answered in time."""
        if self._tear_after is not None and tag is not None:
            if self._tear_after <= 0:
                self._tear_after = None
                self.remove()
                tag = None
            else:
                self._tear_after -= 1
        reply = tag.exchange(command) if tag is not None and self._field else None
        if reply is None:
            return None
        if self._registers[_RX_MODE] & 0x80:
            return b"\x00" + reply.data if reply.crc else _CRC_ERROR  # four bits without CRC cannot pass the check
        return b"\x00" + reply.data + (crc_a(reply.data) if reply.crc else b"")

    def _communicate_thru(self, data: bytes, now: int) -> None:
        self._answer_exchange(0x42, self._exchange(self._in_field(1), data), now)

    def _data_exchange(self, data: bytes, now: int) -> None:
        number, command = data[0] & 0x3F, data[1:]
        if number not in self._targets:
            self._reply(0x40, _BAD_CONTEXT, now)
            return
        tag = self._in_field(number)
        if isinstance(tag, Type4A) and tag.iso_dep:  # the firmware makes the ISO-DEP blocks itself
            self._answer_exchange(0x40, b"\x00" + tag.apdu(command), now)
        else:
            self._answer_exchange(0x40, self._exchange(tag, command), now)

    def _answer_exchange(self, code: int, answer: bytes | None, now: int) -> None:
        if answer is None:
            self._reply(code, _TIMEOUT, now, delay_ms=self._exchange_timeout_ms)
        else:
            self._reply(code, answer, now)
