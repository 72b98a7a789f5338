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
from drivers.dispenser.azt.ear import AztEar
from drivers.dispenser.dart.ear import DartEar
from drivers.dispenser.line_master import LineMaster
from drivers.dispenser.protocol import Heard
from drivers.events import CommandFailed, DeviceEvent, FillReported, PumpStatus, PumpStatusChanged, PumpSurveyed, TotalReported
from drivers.serial_port import PortLost, SerialPort
from terminal.pump_profiles import profile_named
from terminal.pump_protocols import PROTOCOLS, PumpProtocol, Seat

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
    profile: str | None = None
    echo: bool = False
    volume_decimals: int | None = None
    amount_decimals: int | None = None
    price_decimals: int | None = None
    total_decimals: int | None = None
    currency_decimals: int = 2

    @property
    def speaks(self) -> PumpProtocol:
        """Its protocol."""
        return PROTOCOLS[self.protocol]

    def at(self) -> int:
        """The address on the wire."""
        return self.address if self.address is not None else self.speaks.addresses[0]

    @property
    def speed(self) -> int:
        """Baud on the wire."""
        return self.baudrate or self.speaks.baudrates[0]


def _port(head: Head) -> SerialPort:
    mode = head.speaks.serial
    return SerialPort(head.port, head.speed, mode.parity, bytesize=mode.bytesize, stopbits=mode.stopbits)


def _master(head: Head) -> LineMaster:
    protocol = head.speaks
    names = ("volume_decimals", "amount_decimals", "price_decimals", "total_decimals")
    profile = profile_named(head.profile, protocol.name)
    settings = dict(profile.head) | {name: value for name in names if (value := getattr(head, name)) is not None}
    line = dict(profile.line) | {"baudrate": head.speed} | ({"echo": True} if head.echo else {})
    wrong = protocol.check(settings, line)
    if wrong:
        raise ValueError("; ".join(wrong))
    if head.nozzles > protocol.nozzles:
        most = "one nozzle" if protocol.nozzles == 1 else f"at most {protocol.nozzles} nozzles"
        raise ValueError(f"an {protocol.title} address has {most}")
    return protocol.build("hand", [Seat(FP, head.at(), tuple(range(1, head.nozzles + 1)), settings)], line, head.currency_decimals)


class Hand:
    """One head on an open port. A context manager. Raises ``PortLost`` for the port, ``ValueError`` for what the head cannot be."""

    def __init__(self, head: Head, clock: Clock) -> None:
        self._head = head
        self._clock = clock
        self._master = _master(head)
        self._port = _port(head)

    def __enter__(self) -> Hand:
        self._port.open()
        self._master.remember({}, self._clock())  # there is no ledger: the head's own word is believed
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


def listen(head: Head, clock: Clock, seconds: int | None) -> Iterator[Heard]:
    """What is on the line, raw bytes and what they say, for so long or without an end. Nothing is ever sent.

    Raises PortLost, ValueError.
    """
    ear = head.speaks.ear()
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
                yield Heard(t_ms, data.hex(" ").upper())
                yield from ear.hear(data, t_ms)
            elif silent:
                yield from ear.silence(t_ms)
    finally:
        port.close()


__all__ = ["AztEar", "DartEar", "Hand", "Head", "Heard", "NoAnswer", "PortLost", "event_fields", "listen"]
