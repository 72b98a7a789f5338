"""A tiny scripted pump head and a bench in virtual time for the DART line master's tests.

It follows the fact sheet (dispenser-protocols 1) only as far as they need.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from drivers.commands import AuthorizeFuellingPoint
from drivers.dispenser.dart.codec import Decoder, encode, to_bcd
from drivers.dispenser.dart.frames import Ack, Data, Eot, Frame, Nak, Poll, Transaction
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.events import NozzleLifted
from tests.drivers.line_bench import LineBench


@dataclass
class Head:
    """One position's pump. Tests set its fields; ``say_status`` and the like queue what it will answer to the next polls."""

    address: int
    status: int = 1
    nozzle: int = 0
    price: int = 1729
    volume: int = 0
    amount: int = 0
    total: int = 100_000
    delay_ms: int = 6
    silent: bool = False
    obey: bool = True  # False: acknowledges commands and does nothing
    deaf_to_acks: int = 0  # so many of the master's ACKs are lost
    lost_answers: int = 0  # so many answers to DATA are lost after their execution
    lost_data: int = 0  # so many DATA frames never arrive
    naks: int = 0
    mute: bool = False  # no answer to requests for totals
    queue: deque[tuple[Transaction, ...]] = field(default_factory=deque)
    executed: list[tuple[int, bytes]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    number: int = 0
    seen: int | None = None

    def say(self, *transactions: tuple[int, bytes]) -> None:
        self.queue.append(tuple(Transaction(code, data) for code, data in transactions))

    def say_status(self, status: int | None = None) -> None:
        self.status = self.status if status is None else status
        self.say((1, bytes((self.status,))))

    def say_nozzle(self, nozzle: int) -> None:
        self.nozzle = nozzle
        self.say(self.nozzle_word())

    def nozzle_word(self) -> tuple[int, bytes]:
        return 3, to_bcd(self.price, 3) + bytes((0x10 | self.nozzle if self.nozzle else 1,))

    def fill_word(self) -> tuple[int, bytes]:
        return 2, to_bcd(self.volume, 4) + to_bcd(self.amount, 4)

    def answer(self, frame: Frame) -> bytes | None:
        if self.silent:
            return None
        match frame:
            case Poll():
                if self.queue:
                    return encode(Data(self.address, self.number, self.queue[0]))
                return encode(Eot(self.address, 0))
            case Ack(_, number):
                if self.deaf_to_acks:
                    self.deaf_to_acks -= 1
                elif self.queue and number == self.number:
                    self.queue.popleft()
                    self.number = self.number % 15 + 1
                return None
            case Data():
                return self.take(frame)
            case _:
                return None

    def take(self, data: Data) -> bytes | None:
        if self.lost_data:
            self.lost_data -= 1
            return None
        self.numbers.append(data.number)
        if self.naks:
            self.naks -= 1
            return encode(Nak(self.address, 0))
        if data.number == 0 or data.number != self.seen:
            self.seen = data.number
            for transaction in data.transactions:
                self.execute(transaction.code, transaction.data)
        if self.lost_answers:
            self.lost_answers -= 1
            return None
        return encode(Ack(self.address, data.number))

    def execute(self, code: int, data: bytes) -> None:
        self.executed.append((code, data))
        if code == 0x65 and self.mute:
            return
        if code == 0x65:
            self.say((0x65, data + to_bcd(self.total, 5) + to_bcd(7, 5) + to_bcd(0, 5)))
        elif (code, data) == (1, b"\x00"):
            self.say((1, bytes((self.status,))), self.nozzle_word())
        elif (code, data) == (1, b"\x04"):
            self.say(self.fill_word())
        elif self.obey:
            self.change(code, data)

    def change(self, code: int, data: bytes) -> None:
        if code == 5 and self.status == 0:
            self.say_status(5)
        elif (code, data) == (1, b"\x05") and self.status in (5, 6):
            self.say_status(1)
        elif (code, data) == (1, b"\x06") and self.status == 1:
            self.say_status(2)
        elif (code, data) == (1, b"\x08") and self.status in (2, 4, 8):
            self.say_status(5)

    def count(self, code: int, data: bytes) -> int:
        return self.executed.count((code, data))


class Bench(LineBench):
    """A DART line master before such heads."""

    def __init__(
        self, *heads: Head, line: LineProfile | None = None, positions: list[PositionProfile] | None = None, start: int = 1_000
    ) -> None:
        self.heads = heads
        profiles = positions or [PositionProfile(fp=number, address=head.address) for number, head in enumerate(heads, start=1)]
        self.line = DartLine("line-1", profiles, line)
        self.profile = line or LineProfile()
        super().__init__(self.line, self.profile, start)

    def transmit(self, wire: bytes) -> None:
        after = self.now + self.profile.transmit_ms(len(wire))
        if self.profile.echo:
            self.arrivals.append((after, wire))
        for frame in Decoder().receive(wire):
            assert not isinstance(frame, Ack) or frame.number < 16
            for head in self.heads:
                if head.address == wire[0] and (reply := head.answer(frame)) is not None:  # type: ignore[arg-type]
                    self.arrive(after + head.delay_ms, self.lead + reply)

    def surveyed(self) -> Bench:
        """Past the survey of every position."""
        self.settle()
        return self


STATUS, FILLING, RESET, AUTHORIZE, STOP = ((1, bytes((code,))) for code in (0, 4, 5, 6, 8))
START = AuthorizeFuellingPoint(fp=1, nozzle=2, preset_volume_ml=20_000, preset_amount_minor=None, prices=(15_000, 17_290))


def lifted(**options: Any) -> tuple[Bench, Head]:
    """A surveyed head with nozzle 2 out."""
    head = Head(0x50)
    bench = Bench(head, positions=[PositionProfile(fp=1, address=0x50, **options)]).surveyed()
    head.say_nozzle(2)
    bench.run(200)
    assert bench.take() == [NozzleLifted(1, 2, 17_290)]
    return bench, head
