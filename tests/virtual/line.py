"""One pump line in virtual time: the real line master on one end of the wire, the emulated dispensers on the other."""

from __future__ import annotations

from collections.abc import Callable

from drivers.commands import PumpCommand
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from hal_sim.dispensers.dart import DartBus
from hal_sim.wire import Wire
from tests.virtual.heap import Heap

Post = Callable[[object], None]


class VirtualLine:
    """Joins master and wire; ``master`` is None while the terminal has no power. Leaps over idle polls when both ends allow it."""

    def __init__(self, name: str, bus: DartBus, positions: tuple[PositionProfile, ...], heap: Heap, *, leap: bool = True) -> None:
        self.name = name
        self.bus = bus
        self.wire = Wire(bus)
        self.positions = positions
        self.leap = leap
        self.master: DartLine | None = None
        self._post: Post = lambda event: None
        self.exchanges = 0
        self._heap = heap
        self._noticed = False
        for position in bus.positions.values():
            position.head.listeners.append(self._notice)

    def power_on(self, post: Post) -> None:
        """A fresh master, as after a start of the program."""
        self._post = post
        self.master = DartLine(self.name, self.positions, LineProfile())

    def power_off(self) -> None:
        """Nobody polls any more; the pumps live on."""
        self.master = None

    def submit(self, command: PumpCommand, now: int) -> None:
        """A command from the terminal."""
        if self.master is not None:
            self.master.submit(command, now)
            self._collect()

    def next_due(self, now: int, horizon: int | None) -> int | None:
        """See ``heap.Actor``."""
        wire = self.wire.next_event()
        if self.master is None:
            return wire
        own = self.master.next_wakeup()
        if self.leap and horizon is not None and own is not None and not self.wire.in_transit:
            own = self._leap(now, own, horizon)
            wire = self.wire.next_event()
        if wire is None or own is None:
            return own if wire is None else wire
        return min(wire, own)

    def _leap(self, now: int, own: int, horizon: int) -> int:
        """Skip whole rounds that would change nothing, up to the next thing that does."""
        master = self.master
        period = None if master is None else master.idle_period()
        if master is None or not period:
            return own
        ends = [at for at in (master.skippable_until(), self.bus.quiet_until(now), horizon) if at is not None]
        rounds = (min(ends) - own) // period if ends else 0
        if rounds > 0:
            master.skip(rounds)
            return master.next_wakeup() or own
        return own

    def run(self, now: int, horizon: int) -> None:
        """See ``heap.Actor``. Exchanges that the terminal hears nothing of and that change no pump follow each other without the heap."""
        while True:
            waking = self.bus.next_wakeup()
            self._noticed = waking is not None and waking <= now
            self._exchange(now)
            if self._noticed or self.master is None:
                return
            due = self.next_due(now, horizon)
            if due is None or due >= horizon:
                return
            self._heap.now = now = max(now, due)

    def _exchange(self, now: int) -> None:
        """What arrives at either end now, and what the master then has to say."""
        master = self.master
        arrived = self.wire.receive(now)
        if master is None:
            return
        for at, data in arrived:
            master.receive(data, at)
        self._collect()
        # A reaction of the terminal may have taken its power.
        if self.master is not None:
            sending = self.master.next_transmission(now)
            if sending is not None:
                self.exchanges += 1
                self.wire.send(sending, now)
            self._collect()

    def _collect(self) -> None:
        if self.master is not None:
            for event in self.master.take_events():
                self._noticed = True
                self._post(event)

    def _notice(self, change: object, at: int) -> None:
        """A pump has changed: whoever waits for it must be asked."""
        self._noticed = True
