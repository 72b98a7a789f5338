"""A technician's hand on one pump line: what a head says of itself, its totals and its last fill, and what others say on the line.

It builds the drivers of ``terminal/devices.py`` for one position and runs them in this thread, without a ledger and without a sale; so
there is deliberately no way here to let fuel flow. Listening never writes to the port. (firmware_notes/dart.md, azt.md.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, TypeVar

from drivers.commands import PumpCommand, ReadFill, ReadTotal, StopFuellingPoint
from drivers.dispenser.azt import codec as azt_codec
from drivers.dispenser.azt import frames as azt_frames
from drivers.dispenser.azt import profile as azt
from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.dart import codec as dart_codec
from drivers.dispenser.dart import frames as dart_frames
from drivers.dispenser.dart import profile as dart
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.line_thread import LineMaster
from drivers.events import CommandFailed, DeviceEvent, FillReported, PumpStatus, PumpStatusChanged, PumpSurveyed, TotalReported
from drivers.serial_port import PortLost, SerialPort

FP = 1
GATHER_MS = 3
SURVEY_MS = 6_000
EFFECT_MS = 10_000
GAP_MS = 60
"""So much silence ends a frame that has begun; USB adapters hand bytes over in bundles 16 ms apart, and AZT allows 50 ms."""

Found = TypeVar("Found")
Clock = Callable[[], int]


class NoAnswer(Exception):
    """The head did not say, or did not do, what was asked; the text says what."""


@dataclass(frozen=True, slots=True)
class Head:
    """Which head, where, and how it counts. None is the protocol's default. Decimals as in ``terminal.toml``."""

    protocol: str
    port: str
    address: int | None = None
    nozzles: int = 1
    baudrate: int | None = None
    echo: bool = False
    volume_decimals: int | None = None
    amount_decimals: int | None = None
    price_decimals: int | None = None
    total_decimals: int | None = None
    currency_decimals: int = 2

    def at(self) -> int:
        """The address on the wire."""
        return self.address if self.address is not None else dart_frames.FIRST_ADDRESS if self.protocol == "dart" else 1


def _port(head: Head) -> SerialPort:
    if head.protocol == "azt":
        return SerialPort(head.port, head.baudrate or 4800, "E", bytesize=7, stopbits=2)
    return SerialPort(head.port, head.baudrate or 9600, "O")


def _master(head: Head) -> LineMaster:
    names = ("volume_decimals", "amount_decimals", "price_decimals", "total_decimals")
    decimals = {name: value for name in names if (value := getattr(head, name)) is not None}
    if head.protocol == "azt":
        if head.nozzles != 1 or head.echo:
            raise ValueError("an AZT address is one nozzle, and echo is a matter of DART lines")
        hose = azt.PositionProfile(FP, head.at(), currency_decimals=head.currency_decimals, **decimals)
        return AztLine("hand", [hose], azt.LineProfile(baudrate=head.baudrate or 4800))
    position = dart.PositionProfile(FP, head.at(), currency_decimals=head.currency_decimals, **decimals)
    return DartLine("hand", [position], dart.LineProfile(baudrate=head.baudrate or 9600, echo=head.echo))


class Hand:
    """One head on an open port. A context manager. Raises ``PortLost`` for the port, ``ValueError`` for what the head cannot be."""

    def __init__(self, head: Head, clock: Clock) -> None:
        self._head = head
        self._clock = clock
        self._master = _master(head)
        self._port = _port(head)

    def __enter__(self) -> Hand:
        self._port.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def survey(self) -> PumpSurveyed:
        """The head's whole picture. Raises NoAnswer."""
        return self._until(
            lambda event: event if isinstance(event, PumpSurveyed) else None, SURVEY_MS, f"no answer from address {self._head.at()}"
        )

    def totals_ml(self) -> dict[int, int]:
        """The volume totaliser of each nozzle. Raises NoAnswer."""
        self.survey()
        return {nozzle: self._ask(ReadTotal(FP, nozzle), TotalReported).volume_ml for nozzle in range(1, self._head.nozzles + 1)}

    def fill(self) -> FillReported:
        """The head's record of its fill; reading erases nothing. Raises NoAnswer."""
        self.survey()
        return self._ask(ReadFill(FP), FillReported)

    def stop(self) -> PumpStatus:
        """End a release or a fill; the status after it. Raises NoAnswer."""
        before = self.survey().status
        if before not in (PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.SUSPENDED):
            return before
        return self._ask(StopFuellingPoint(FP), PumpStatusChanged).status

    def watch(self, seconds: int | None = None) -> Iterator[DeviceEvent]:
        """What happens at the head, for so long or without an end."""
        end = None if seconds is None else self._clock() + seconds * 1000
        while end is None or self._clock() < end:
            yield from self._turn(end)

    def _ask(self, command: PumpCommand, wanted: type[Found]) -> Found:
        self._master.submit(command, self._clock())

        def answer(event: DeviceEvent) -> Found | None:
            if isinstance(event, CommandFailed) and event.command == type(command).__name__:
                raise NoAnswer(event.why)
            return event if isinstance(event, wanted) else None

        return self._until(answer, EFFECT_MS, f"no answer to {type(command).__name__}")

    def _until(self, wanted: Callable[[DeviceEvent], Found | None], limit_ms: int, why: str) -> Found:
        end = self._clock() + limit_ms
        while self._clock() < end:
            for event in self._turn(end):
                found = wanted(event)
                if found is not None:
                    return found
        raise NoAnswer(why)

    def _turn(self, end: int | None) -> list[DeviceEvent]:
        """As the line's thread does it: bytes in, bytes out, then wait for more or for the master's next instant."""
        now = self._clock()
        data = self._port.read()
        if data:
            self._master.receive(data, now)
        wire = self._master.next_transmission(now)
        if wire is not None:
            self._port.write(wire)
        events = self._master.take_events()
        if not events:
            due = [at for at in (self._master.next_wakeup(), end) if at is not None]
            if self._port.wait(max(0, min(due) - self._clock()) if due else None):
                self._port.linger(GATHER_MS)
        return events


def event_fields(event: DeviceEvent) -> dict[str, Any]:
    """An event as plain values: its name, and its fields."""
    fields = {name: value.value if isinstance(value, Enum) else value for name, value in asdict(event).items()}
    return {"event": type(event).__name__} | {name: value for name, value in fields.items() if name != "fp"}


# --- listening ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing on the line, ``t_ms`` after listening began: bytes as they came (``says`` is None), or what they were.

    ``idle``: a DART poll or EOT, an AZT status or its answer.
    """

    t_ms: int
    wire: str
    says: str | None = None
    idle: bool = False

    def as_fields(self) -> dict[str, Any]:
        """For a file of one JSON object a line."""
        return {"t_ms": self.t_ms, "raw": self.wire} if self.says is None else {"t_ms": self.t_ms, "wire": self.wire, "says": self.says}


class AztEar:
    """Bytes of an AZT line in, what they say out. ``t_ms`` are milliseconds since listening began."""

    def __init__(self) -> None:
        self._decoder = azt_codec.Decoder()
        self._asked: azt_frames.Request | None = None

    def hear(self, data: bytes, t_ms: int) -> list[Heard]:
        """What these bytes completed."""
        return [self._heard(item, t_ms) for item in self._decoder.receive(data)]

    def silence(self, t_ms: int) -> list[Heard]:
        """The line has been silent: what had begun is given up."""
        rest = self._decoder.flush()
        return [] if rest is None else [self._heard(rest, t_ms)]

    def _heard(self, item: azt_frames.Frame | azt_frames.Noise, t_ms: int) -> Heard:
        match item:
            case azt_frames.Noise(count):
                return Heard(t_ms, "", f"noise, {count} bytes")
            case azt_frames.Request(address, command, data):
                self._asked = item
                says = f"to {address}: {_azt_name(command)}" + (f" {data.decode('ascii')}" if data else "")
            case azt_frames.Answer(data):
                # An answer carries no address: it is of whoever was asked last.
                says = f"{self._of()}{data.decode('ascii')}"
            case azt_frames.Short(word):
                says = f"{self._of()}{word.name}"
        idle = self._asked is not None and self._asked.command == azt_frames.Command.STATUS.value
        return Heard(t_ms, _hex(azt_codec.encode(item)), says, idle)

    def _of(self) -> str:
        asked = self._asked
        return "from ?: " if asked is None else f"from {asked.address}, {_azt_name(asked.command)}: "


class DartEar:
    """As ``AztEar``, of a DART line."""

    def __init__(self) -> None:
        self._decoder = dart_codec.Decoder()

    def hear(self, data: bytes, t_ms: int) -> list[Heard]:
        """What these bytes completed."""
        return [_dart_heard(item, t_ms) for item in self._decoder.receive(data)]

    def silence(self, t_ms: int) -> list[Heard]:
        """The line has been silent: what had begun is given up."""
        noise = self._decoder.flush()
        return [] if noise is None else [_dart_heard(noise, t_ms)]


def _azt_name(command: int) -> str:
    try:
        return azt_frames.Command(command).name.lower().replace("_", " ")
    except ValueError:
        return f"command {command:02X}"


def _dart_heard(item: dart_frames.Frame | dart_frames.Noise, t_ms: int) -> Heard:
    match item:
        case dart_frames.Noise(count):
            return Heard(t_ms, "", f"noise, {count} bytes")
        case dart_frames.Data(address, number, transactions, rest):
            parts = [f"{each.code:02X}({_hex(each.data)})" for each in transactions] + ([f"and {_hex(rest)}"] if rest else [])
            says = f"{address:02X}: data {number}: {' '.join(parts)}"
        case dart_frames.Poll(address) | dart_frames.Restart(address):
            says = f"{address:02X}: {type(item).__name__.lower()}"
        case _:
            says = f"{item.address:02X}: {type(item).__name__.lower()} {item.number}"
    return Heard(t_ms, _hex(dart_codec.encode(item)), says, isinstance(item, dart_frames.Poll | dart_frames.Eot))


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()


def listen(head: Head, clock: Clock, seconds: int | None) -> Iterator[Heard]:
    """What is on the line, raw bytes and what they say, for so long or without an end. Nothing is ever sent.

    Raises PortLost, ValueError.
    """
    ear: AztEar | DartEar = AztEar() if head.protocol == "azt" else DartEar()
    port = _port(head)
    port.open()
    start = clock()
    end = None if seconds is None else start + seconds * 1000
    try:
        while end is None or clock() < end:
            silent = not port.wait(GAP_MS if end is None else max(0, min(GAP_MS, end - clock())))
            if not silent:
                port.linger(GATHER_MS)
            data, t_ms = port.read(), clock() - start
            if data:
                yield Heard(t_ms, _hex(data))
                yield from ear.hear(data, t_ms)
            elif silent:
                yield from ear.silence(t_ms)
    finally:
        port.close()


__all__ = ["AztEar", "DartEar", "Hand", "Head", "Heard", "NoAnswer", "PortLost", "event_fields", "listen"]
