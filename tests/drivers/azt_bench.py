"""A tiny AZT head and a bench in virtual time for the AZT line master's tests.

It follows the notes (firmware_notes/azt.md) only as far as they need, and has its own codec, so that an error in the driver's cannot hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from drivers.commands import AuthorizeFuellingPoint
from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
from drivers.events import CommandFailed, NozzleLifted, PumpStatus, PumpStatusChanged, TransactionSettled
from tests.drivers.line_bench import LineBench

ACK, NAK, CAN = b"\x7f\x06", b"\x7f\x15", b"\x7f\x18"


def long_answer(text: str) -> bytes:
    """An answer with data."""
    check = 3
    body = bytearray()
    for byte in text.encode("ascii"):
        check ^= byte
        body += bytes((byte, byte ^ 0x7F))
    return b"\x7f\x02" + bytes(body) + b"\x03\x03" + bytes((check | 0x40,))


def request_of(wire: bytes) -> tuple[int, str, str]:
    """(address, command, data) of a whole request. Raises AssertionError for anything else."""
    assert wire[0] == 0x7F
    assert wire[-3:-1] == b"\x03\x03"
    normal, complements = wire[2:-3:2], wire[3:-3:2]
    assert all(one ^ 0x7F == other for one, other in zip(normal, complements, strict=True))
    check = 3
    for byte in normal:
        check ^= byte
    assert wire[-1] == check | 0x40
    offset = 0 if wire[1] == 2 else (wire[1] - 6) * 15
    text = normal[1:].decode("ascii")
    return offset + normal[0] - 0x20, text[0], text[1:]


@dataclass
class Hose:
    """One address. Tests set its fields; amounts, volumes and prices are in hundredths, as on the wire."""

    address: int = 1
    state: int = 0
    cause: int = 0
    out: bool = False
    volume: int = 0
    price: int = 4500
    total: int = 100_000
    transaction: int = 7
    dose: str | None = None  # "T..." or "S..." as it was set
    type: str = ";"
    delay_ms: int = 10
    silent: bool = False
    obey: bool = True  # False: ACKs and does nothing
    lost_requests: dict[str, int] = field(default_factory=dict)  # command: so many never arrive
    lost_answers: dict[str, int] = field(default_factory=dict)  # command: so many answers are lost after the execution
    deny: dict[str, bytes] = field(default_factory=dict)  # command: answered with this in place of being carried out
    leaves_4: bool = False  # goes to rest by itself when hung up, as EMU does
    asked: list[tuple[str, str]] = field(default_factory=list)

    # people

    def lift(self) -> None:
        self.out = True
        self.state = {0: 1, 2: 3}.get(self.state, self.state)

    def hang_up(self) -> None:
        self.out = False
        if self.state == 1:
            self.state = 0
        elif self.state in (3, 4):
            self.state = 0 if self.leaves_4 else 4

    def flow(self, volume: int) -> None:
        assert self.state == 3
        limit = self.limit()
        flowed = volume if limit is None else min(volume, limit - self.volume)
        self.volume += flowed
        self.total += flowed
        if limit is not None and self.volume >= limit:
            self.state, self.cause = 4, 0

    def leak(self, volume: int) -> None:
        self.volume += volume
        self.total += volume
        self.state, self.cause = 4, 1

    def limit(self) -> int | None:
        if self.dose is None:
            return None
        return int(self.dose[1:6]) if self.dose[0] == "T" else int(self.dose[1:]) * 100 // self.price

    def amount(self) -> int:
        return (self.volume * self.price + 50) // 100

    # the line

    def answer(self, command: str, data: str) -> bytes | None:
        if self.silent or self._count(self.lost_requests, command):
            return None
        self.asked.append((command, data))
        reply = self.deny[command] if command in self.deny else self.carry_out(command, data)
        return None if self._count(self.lost_answers, command) else reply

    @staticmethod
    def _count(left: dict[str, int], command: str) -> bool:
        if not left.get(command):
            return False
        left[command] -= 1
        return True

    def carry_out(self, command: str, data: str) -> bytes:
        match command:
            case "1":
                return long_answer(f"{self.state}{self.cause if self.state == 4 else ''}")
            case "4":
                return long_answer(f"0{self.volume:05d}")
            case "5":
                return long_answer(
                    {":": "{:06d}{:06d}{:04d}", ";": "{:06d}{:08d}{:06d}", "A": "{:05d}{:07d}{:04d}"}[self.type].format(
                        self.volume, self.amount(), self.price
                    )
                )
            case "6":
                return long_answer(f"{self.total:010d}{0:010d}")
            case "7":
                return long_answer(self.type)
            case "Y":
                return long_answer(f"{self.transaction:08d}")
            case "X" if self.state in (0, 1, 8):
                return CAN if self.dose is None else long_answer(f"0{self.limit():05d}")
            case _:
                return self.change(command, data)

    def change(self, command: str, data: str) -> bytes:
        allowed = {"2": (0, 1, 8), "3": (2, 3, 8), "8": (4,), "Q": (0, 1), "R": (0, 1), "S": (0, 1), "T": (0, 1)}
        if command not in allowed:
            return NAK
        if self.state not in allowed[command]:
            return CAN
        if not self.obey:
            return ACK
        if command == "2":
            self.volume, self.transaction = 0, (self.transaction + 1) % 100_000_000
            self.state = 3 if self.out else 2
        elif command == "3":
            self.state, self.cause = ((1 if self.out else 0), 0) if self.state == 8 else (4, 0)
        elif command == "8":
            self.state, self.dose = (1 if self.out else 0), None
        elif command == "Q":
            self.price, self.volume, self.transaction = int(data), 0, self.transaction + 1
        elif command in "ST":
            self.dose = command + data
        return ACK

    def count(self, command: str) -> int:
        return sum(each == command for each, _ in self.asked)


class Bench(LineBench):
    """An AZT line master before such hoses."""

    def __init__(
        self,
        *hoses: Hose,
        line: LineProfile | None = None,
        positions: list[PositionProfile] | None = None,
        start: int = 1_000,
        known: Mapping[tuple[int, int], int] | None = MappingProxyType({}),
    ) -> None:
        """``known``: what the ledger knows of the heads' counts; None: that is not told yet."""
        self.hoses = hoses
        profiles = positions or [PositionProfile(fp=number, address=hose.address) for number, hose in enumerate(hoses, start=1)]
        self.line = AztLine("line-1", profiles, line)
        self.profile = line or LineProfile()
        super().__init__(self.line, self.profile, start)
        if known is not None:
            self.line.remember(known, start)
        self.bare = False  # the lead-in is lost when the line turns round
        self.echo = False
        self.settled: list[int] = []

    def run(self, duration_ms: int) -> None:
        """As every bench; what is settled is kept apart, because it comes with nearly everything."""
        super().run(duration_ms)
        self.settled += [event.number for event in self.events if isinstance(event, TransactionSettled)]
        self.events = [event for event in self.events if not isinstance(event, TransactionSettled)]

    def transmit(self, wire: bytes) -> None:
        after = self.now + self.profile.transmit_ms(len(wire))
        if self.echo:
            self.arrivals.append((after, wire))
        address, command, data = request_of(wire)
        assert command not in "VUW]", "never to be sent"
        for hose in self.hoses:
            if hose.address == address and (reply := hose.answer(command, data)) is not None:
                self.arrive(after + hose.delay_ms, self.lead + (reply[1:] if self.bare else reply))

    def surveyed(self) -> Bench:
        """Past the survey of every position."""
        self.settle()
        return self


START = AuthorizeFuellingPoint(fp=1, nozzle=1, preset_volume_ml=20_000, preset_amount_minor=None, prices=(450_000,))


def lifted(**options: object) -> tuple[Bench, Hose]:
    """A surveyed hose that is out."""
    hose = Hose()
    bench = Bench(hose, positions=[PositionProfile(fp=1, address=1, **options)]).surveyed()  # type: ignore[arg-type]
    hose.lift()
    bench.run(200)
    assert bench.take() == [NozzleLifted(1, 1, 450_000)]
    return bench, hose


def filling(dose: AuthorizeFuellingPoint = START) -> tuple[Bench, Hose]:
    """Fuel may flow from it."""
    bench, hose = lifted()
    bench.submit(dose)
    bench.run(1_500)
    assert hose.state == 3
    bench.take()
    return bench, hose


def statuses(bench: Bench) -> list[PumpStatus]:
    return [event.status for event in bench.of(PumpStatusChanged)]


def failure(bench: Bench) -> str:
    failed = bench.of(CommandFailed)
    assert len(failed) == 1, bench.events
    return failed[0].why
