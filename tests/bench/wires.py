"""What the emulators' wire logs say: when the display had which screen, when a frame's last byte was on the line, how long a round is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drivers.dispenser.dart.codec import Decoder
from drivers.dispenser.dart.frames import Ack, Data, Eot, Frame, Noise, Poll
from hal_sim.display.lk204 import Lk204

NS_PER_MS = 1_000_000
CHAR_MS = 11 * 1000 / 9600
"""One character at 9600 8O1: start, eight data, parity, stop."""
SHORT_CHARS = 3
"""POLL, ACK and EOT: address, control, stop flag."""
DISPLAY_CHAR_MS = 10 * 1000 / 19200

_CD1, _AUTHORIZE = 0x01, 0x06


@dataclass(frozen=True, slots=True)
class Record:
    """Bytes that were complete at ``at_ns``; ``out``: sent by the device."""

    at_ns: int
    out: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame and the instant of its last byte."""

    at_ns: int
    out: bool
    frame: Frame
    size: int


def records(path: Path) -> list[Record]:
    """The whole log; a line that is still being written is left out."""
    found = []
    for line in path.read_text(encoding="ascii").splitlines():
        parts = line.split(" ")
        if len(parts) == 3 and len(parts[2]) % 2 == 0:
            found.append(Record(int(parts[0]), parts[1] == "out", bytes.fromhex(parts[2])))
    return found


def frames(log: list[Record]) -> list[Sent]:
    """Every whole frame of both directions, in the order of their last bytes."""
    decoders = {False: Decoder(), True: Decoder()}
    sizes = {False: 0, True: 0}
    found: list[Sent] = []
    for record in log:
        for byte in record.data:
            sizes[record.out] += 1
            for item in decoders[record.out].receive(bytes((byte,))):
                if not isinstance(item, Noise):
                    found.append(Sent(record.at_ns, record.out, item, sizes[record.out]))
                sizes[record.out] = 0
    return found


def authorized_after(sent: list[Sent], at_ns: int) -> int | None:
    """The place of the first AUTHORIZE that was complete after ``at_ns``."""
    start = bisect_left(sent, at_ns, key=lambda each: each.at_ns)
    return next((place for place in range(start, len(sent)) if _authorizes(sent[place])), None)


def _authorizes(sent: Sent) -> bool:
    frame = sent.frame
    return not sent.out and isinstance(frame, Data) and any(t.code == _CD1 and t.data == bytes((_AUTHORIZE,)) for t in frame.transactions)


def rounds_ms(sent: list[Sent], from_ns: int, until_ns: int) -> list[float]:
    """The lengths of the idle rounds in a stretch: from one poll of a position to the next poll of it, nothing but EOT between."""
    found = []
    last: dict[int, int] = {}
    for each in sent:
        if not from_ns <= each.at_ns <= until_ns:
            continue
        if isinstance(each.frame, Poll):
            address = each.frame.address
            if address in last:
                found.append((each.at_ns - last[address]) / NS_PER_MS)
            last[address] = each.at_ns
        elif not isinstance(each.frame, Eot):
            last.clear()
    return found


@dataclass(frozen=True, slots=True)
class Exchange:
    """What lies between the poll that brought the lifted nozzle and AUTHORIZE, in characters and milliseconds."""

    answer_ms: float
    data_chars: int
    command_chars: int

    def floor_ms(self, turn_round_ms: int, ack_turn_round_ms: int) -> float:
        """Poll, answer, data, turn-round, ACK, turn-round, command: the wire's and the configuration's own time."""
        chars = SHORT_CHARS + self.data_chars + SHORT_CHARS + self.command_chars
        return chars * CHAR_MS + self.answer_ms + ack_turn_round_ms + turn_round_ms


def exchange_before(sent: list[Sent], place: int) -> Exchange | None:
    """The exchange whose command frame is at ``place``."""
    command = sent[place]
    for back in range(place - 1, 0, -1):
        each = sent[back]
        if each.out and isinstance(each.frame, Data) and each.frame.address == command.frame.address:
            poll = sent[back - 1]
            waited_ms = (each.at_ns - poll.at_ns) / NS_PER_MS - each.size * CHAR_MS
            return Exchange(max(0.0, waited_ms), each.size, command.size)
    return None


def between(sent: list[Sent], from_ns: int, place: int) -> list[str]:
    """The frames from an instant to a place, in words, for reading."""
    names = {Poll: "POLL", Eot: "EOT", Ack: "ACK", Data: "DATA"}
    found = []
    for each in sent[: place + 1]:
        if each.at_ns >= from_ns:
            name = names.get(type(each.frame), type(each.frame).__name__)
            found.append(f"{(each.at_ns - from_ns) / NS_PER_MS:.1f} {'<' if each.out else '>'} {name} {each.size}")
    return found


@dataclass(frozen=True, slots=True)
class Drawn:
    """A screen on its way to the display."""

    first_ns: int
    full_ns: int
    size: int


def screens(log: list[Record], text: str) -> Iterator[Drawn]:
    """Every time that a first line beginning with ``text`` became whole, with the first byte of what was written for it.

    Bytes with less than 30 ms between them belong together: the driver writes a screen in one go.
    """
    display = Lk204()
    first_ns = last_ns = size = 0
    there = False
    for record in log:
        if record.out:
            continue
        if record.at_ns - last_ns > 30 * NS_PER_MS:
            first_ns, size = record.at_ns, 0
        last_ns = record.at_ns
        size += len(record.data)
        display.on_bytes(record.data, record.at_ns // NS_PER_MS)
        was, there = there, display.lines()[0].startswith(text)
        if there and not was:
            yield Drawn(first_ns, record.at_ns, size)
