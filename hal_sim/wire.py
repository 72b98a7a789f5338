"""The interface of every emulator, and the wire between it and a master.

A device is sans-IO: bytes and integer milliseconds go in, bytes and the instants at which they start come out. It reads no clock and
owns no port, so the same emulator stands behind a pseudo-terminal in the rig and behind a plain method call in the virtual world.

``Wire`` adds what a cable adds: transmission time (rounded up to whole milliseconds) and seeded faults. Where a world needs neither,
it may call the device directly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Protocol

PPM = 1_000_000


class Device(Protocol):
    """The far end of a wire. All times are integer milliseconds of one monotonic clock and never go back."""

    def on_bytes(self, data: bytes, now: int) -> None:
        """These bytes have arrived completely at ``now``; they may be a part of a frame or several frames."""

    def on_time(self, now: int) -> None:
        """Time has passed: do what was due up to and including ``now``."""

    def next_wakeup(self) -> int | None:
        """The next instant at which the device changes by itself, or None. After ``on_time(t)`` it is later than ``t``."""

    def take_output(self) -> list[tuple[int, bytes]]:
        """What the device sends, oldest first and each only once: (instant at which it starts to send, bytes)."""


@dataclass(frozen=True, slots=True)
class LineRate:
    """Speed of an asynchronous serial line. ``bits_per_char`` counts start, data, parity and stop bits (8O1 and 7E2: 11)."""

    baud: int = 9600
    bits_per_char: int = 11

    def duration_ms(self, count: int) -> int:
        """Milliseconds that ``count`` characters take, rounded up."""
        return -(-count * self.bits_per_char * 1000 // self.baud)


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each fault strikes one transmission, in parts per million; 0 is never.

    ``drop`` loses all of it, ``drop_byte`` one byte, ``flip`` one bit; ``duplicate`` sends it twice; ``split`` lets it arrive byte by
    byte; ``noise`` adds one to three stray bytes, mostly in front, as a transceiver does when it turns round.
    """

    drop: int = 0
    drop_byte: int = 0
    flip: int = 0
    duplicate: int = 0
    split: int = 0
    noise: int = 0

    def __post_init__(self) -> None:
        for rate in (self.drop, self.drop_byte, self.flip, self.duplicate, self.split, self.noise):
            if not 0 <= rate <= PPM:
                raise ValueError(f"a fault rate is 0...{PPM} parts per million, not {rate}")


class Faults:
    """Applies ``rates`` with the caller's random generator, so that a seed replays every fault."""

    def __init__(self, rates: FaultRates, rng: Random) -> None:
        self.rates = rates
        self._rng = rng

    def _strikes(self, rate: int) -> bool:
        return rate > 0 and self._rng.randrange(PPM) < rate

    def apply(self, data: bytes) -> list[bytes]:
        """The pieces that arrive in place of ``data``; none when it is lost."""
        rates, rng = self.rates, self._rng
        if not data or self._strikes(rates.drop):
            return []
        hurt = bytearray(data)
        if self._strikes(rates.drop_byte):
            del hurt[rng.randrange(len(hurt))]
        if hurt and self._strikes(rates.flip):
            hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        if self._strikes(rates.noise):
            stray = bytes(rng.randrange(256) for _ in range(rng.randint(1, 3)))
            where = 0 if rng.randrange(4) else rng.randint(0, len(hurt))
            hurt[where:where] = stray
        if self._strikes(rates.duplicate):
            hurt *= 2
        if not hurt:
            return []
        if self._strikes(rates.split):
            return [bytes((byte,)) for byte in hurt]
        return [bytes(hurt)]


class _Direction:
    """One way of the wire: a first-in-first-out of (arrival, bytes)."""

    def __init__(self, rate: LineRate, faults: Faults | None) -> None:
        self._rate = rate
        self.faults = faults
        self.busy_until = 0
        self.arrivals: deque[tuple[int, bytes]] = deque()

    def put(self, data: bytes, start: int) -> None:
        start = max(start, self.busy_until)
        if self.faults is None:
            self.busy_until = start + self._rate.duration_ms(len(data))
            self.arrivals.append((self.busy_until, data))
            return
        sent = 0
        for piece in self.faults.apply(data):
            sent += len(piece)
            self.arrivals.append((start + self._rate.duration_ms(sent), piece))
        self.busy_until = start + self._rate.duration_ms(max(sent, len(data)))

    def duration_ms(self, count: int) -> int:
        return self._rate.duration_ms(count)

    def first(self) -> int | None:
        return self.arrivals[0][0] if self.arrivals else None


class Wire:
    """A half-duplex line between one master and one ``Device``, in virtual time.

    The master calls ``send``; ``run_until`` lets the line and the device live up to an instant; ``receive`` hands out what has arrived
    at the master by then. ``cut`` loses everything in both directions. ``echo`` gives the master its own bytes back, as two-wire
    adapters without echo suppression do.
    """

    def __init__(
        self,
        device: Device,
        rate: LineRate | None = None,
        *,
        to_device: Faults | None = None,
        to_master: Faults | None = None,
        echo: bool = False,
    ) -> None:
        speed = rate if rate is not None else LineRate()
        self.device = device
        self.cut = False
        self._echo = echo
        self._down = _Direction(speed, to_device)
        self._up = _Direction(speed, to_master)

    def set_faults(self, to_device: Faults | None, to_master: Faults | None) -> None:
        """What happens from now on to bytes that start on their way; None for a clean wire."""
        self._down.faults, self._up.faults = to_device, to_master

    @property
    def in_transit(self) -> bool:
        """Bytes are on their way."""
        return bool(self._down.arrivals or self._up.arrivals)

    def send(self, data: bytes, now: int) -> None:
        """The master starts to transmit ``data`` at ``now``."""
        if self.cut or not data:
            return
        self._down.put(data, now)
        if self._echo:
            self._up.put(data, now)

    def next_event(self) -> int | None:
        """The next instant at which something arrives at either end or the device changes; None when all is quiet."""
        due = [at for at in (self._down.first(), self._up.first(), self.device.next_wakeup()) if at is not None]
        return min(due) if due else None

    def run_until(self, now: int) -> None:
        """Deliver to the device, in order of time, everything due up to and including ``now``."""
        while True:
            arrival, wakeup = self._down.first(), self.device.next_wakeup()
            if wakeup is not None and wakeup <= now and (arrival is None or wakeup <= arrival):
                self.device.on_time(wakeup)
            elif arrival is not None and arrival <= now:
                at, data = self._down.arrivals.popleft()
                if not self.cut:
                    self.device.on_bytes(data, at)
            else:
                break
            self._collect()
        self._collect()

    def receive(self, now: int) -> list[tuple[int, bytes]]:
        """What has arrived at the master by ``now``: (instant of arrival, bytes), oldest first."""
        self.run_until(now)
        arrived: list[tuple[int, bytes]] = []
        while self._up.arrivals and self._up.arrivals[0][0] <= now:
            arrived.append(self._up.arrivals.popleft())
        return [] if self.cut else arrived

    def _collect(self) -> None:
        for start, data in self.device.take_output():
            if not self.cut:
                self._up.put(data, start)
