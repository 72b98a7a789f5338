"""A bench in virtual time for any line master: what it sends reaches scripted heads, their answers come back as bytes at an instant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from drivers.commands import PumpCommand
from drivers.dispenser.line_thread import LineMaster
from drivers.dispenser.line_timing import LineTiming
from drivers.events import DeviceEvent

E = TypeVar("E")


class LineBench(ABC):
    """A line master and a clock that is a number. A subclass brings the heads, and says what they hear (``transmit``)."""

    def __init__(self, master: LineMaster, timing: LineTiming, start: int) -> None:
        self.master = master
        self.timing = timing
        self.now = start
        self.sent: list[tuple[int, bytes]] = []
        self.events: list[DeviceEvent] = []
        self.arrivals: list[tuple[int, bytes]] = []
        self.lead = b""  # noise before every answer
        self.piece = 1_000  # answers arrive in pieces of so many bytes
        self.cut = 0  # so many answers lose their last byte

    @abstractmethod
    def transmit(self, wire: bytes) -> None:
        """The heads hear what the master sends now."""

    def run(self, duration_ms: int) -> None:
        """Let so much time pass. Ends exactly then, with everything due before it done."""
        end = self.now + duration_ms
        while True:
            while (wire := self.master.next_transmission(self.now)) is not None:
                self.sent.append((self.now, wire))
                self.transmit(wire)
            self.events += self.master.take_events()
            wakeup = self.master.next_wakeup()
            assert wakeup is not None
            assert wakeup > self.now, "the master asks to be woken without end"
            at = min([wakeup, *(due for due, _ in self.arrivals)])
            if at >= end:
                self.now = end
                return
            self.now = at
            for arrival in [each for each in self.arrivals if each[0] == at]:
                self.arrivals.remove(arrival)
                self.master.receive(arrival[1], at)

    def arrive(self, at: int, data: bytes) -> None:
        """Bytes begin to come at this instant."""
        if self.cut:
            self.cut -= 1
            data = data[:-1]
        for start in range(0, len(data), self.piece):
            piece = data[start : start + self.piece]
            self.arrivals.append((at + self.timing.transmit_ms(start + len(piece)), piece))

    def submit(self, command: PumpCommand) -> None:
        """A command from the terminal."""
        self.master.submit(command, self.now)

    def settle(self) -> None:
        """Past the survey of every position, with the events of the survey taken away."""
        self.run(4_000)
        self.events.clear()

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, not taken away."""
        return [event for event in self.events if isinstance(event, kind)]

    def take(self) -> list[DeviceEvent]:
        """The events so far, taken away."""
        events, self.events = self.events, []
        return events
