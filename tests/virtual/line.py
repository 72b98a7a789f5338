"""One pump line in virtual time: the real line master on one end of the wire, the emulated dispensers on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from drivers.commands import PumpCommand
from drivers.dispenser.line_thread import LineMaster
from hal_sim.dispensers.azt import AztBus
from hal_sim.dispensers.dart import DartBus
from hal_sim.wire import LineRate
from tests.virtual.heap import Heap
from tests.virtual.quick_wire import QuickWire

Post = Callable[[object], None]


class Master(LineMaster, Protocol):
    """A line master whose idle polls can be skipped."""

    def idle_period(self) -> int | None:
        """The length of an idle round, None when it is not idle."""

    def lost_addresses(self) -> list[int]:
        """Who does not answer."""

    def skippable_until(self) -> int | None:
        """When it does more than idle polls by itself."""

    def skip(self, periods: int) -> None:
        """Be where so many rounds would have led."""


class VirtualLine:
    """Joins master and wire; ``master`` is None while the terminal has no power. Leaps over idle polls when both ends allow it."""

    def __init__(
        self, name: str, bus: DartBus | AztBus, make: Callable[[], Master], heap: Heap, *, rate: LineRate | None = None, leap: bool = True
    ) -> None:
        """``make`` builds a fresh master; ``rate`` is the wire's, where it is not the usual one."""
        self.name = name
        self.bus = bus
        self.wire = QuickWire(bus, rate)
        self.leap = leap
        self.master: Master | None = None
        self._make = make
        self._post: Post = lambda event: None
        self.exchanges = 0
        self._heap = heap
        self._noticed = False
        self._eot = False  # the answer of the last turn is the EOT to a poll
        for position in tuple(dict.fromkeys(bus.positions[address] for address in bus.positions)):
            position.head.listeners.append(self._notice)

    def power_on(self, post: Post) -> None:
        """A fresh master, as after a start of the program."""
        self._post = post
        self.master = self._make()

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
        own = None if self.master is None else self.master.next_wakeup()
        if self.leap and horizon is not None and own is not None and not self.wire.in_transit:
            own = self._leap(now, own, horizon)
        wire = self.wire.next_event()
        if wire is None or own is None:
            return own if wire is None else wire
        return min(wire, own)

    def quiet_until(self, now: int) -> int | None:
        """See ``heap.Actor``: idle polls are heard by nobody."""
        master = self.master
        if master is None or not self.leap or self.wire.in_transit or not self._idle_ms(master):
            return self.next_due(now, None)
        ends = [at for at in (master.skippable_until(), self.bus.quiet_until(now)) if at is not None]
        return min(ends) if ends else None

    def _idle_ms(self, master: Master) -> int | None:
        """The length of an idle round; None when something is going on, or a lost position answers again and will be noticed."""
        period = master.idle_period()
        if not period or any(not self.bus.positions[address].silent for address in master.lost_addresses()):
            return None
        return period

    def _leap(self, now: int, own: int, horizon: int) -> int:
        """Skip whole rounds that would change nothing, up to the next thing that does."""
        master = self.master
        period = None if master is None else self._idle_ms(master)
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
        arrived = self._arrivals(now)
        while True:
            answer = self._turn(arrived, now, horizon)
            if self._noticed or self.master is None:
                return
            if answer is not None:
                now, arrived = answer[0], [answer]
                self._heap.now = now
                if self._eot:
                    now, arrived = self._after_eot(answer, horizon)
                    if now >= horizon:
                        return
                continue
            due = self.next_due(self._heap.now, horizon)
            if due is None or due >= horizon:
                return
            self._heap.now = now = max(self._heap.now, due)
            arrived = self._arrivals(now)

    def _after_eot(self, eot: tuple[int, bytes], horizon: int) -> tuple[int, list[tuple[int, bytes]]]:
        """The master hears DART's EOT or AZT's same state: the next instant and what arrives then, ``horizon`` when nothing happens before.

        What the long way does, but nothing is on the wire now and no head has changed, so that nobody has to be asked twice.
        """
        at, master = eot[0], self.master
        if master is None:
            return at, []
        master.receive(eot[1], at)
        self._collect()
        own = master.next_wakeup()
        if self._noticed or self.master is not master or own is None or own <= at:
            return at, []
        waking = self.bus.next_wakeup()
        if self.leap:
            own = self._leap(at, own, horizon)
        due = own if waking is None or own < waking else waking
        if due >= horizon:
            return horizon, []
        self._heap.now = due
        self._noticed = waking is not None and waking <= due
        return due, self.wire.receive(due) if self._noticed else []

    def _arrivals(self, now: int) -> list[tuple[int, bytes]]:
        """Let line and pumps live up to now; what has come back."""
        waking = self.bus.next_wakeup()
        self._noticed = waking is not None and waking <= now
        return self.wire.receive(now) if self._noticed or self.wire.in_transit else []

    def _turn(self, arrived: list[tuple[int, bytes]], now: int, horizon: int) -> tuple[int, bytes] | None:
        """The master hears what arrived and says what it has to say; the answer to that, when nothing else happens before it is here."""
        master = self.master
        self._eot = False
        if master is None:
            return None
        for at, data in arrived:
            master.receive(data, at)
        self._collect()
        # A reaction of the terminal may have taken its power.
        sending = None if self.master is None else self.master.next_transmission(now)
        if sending is None:
            return None
        self.exchanges += 1
        self._collect()
        # Who has heard something may want to act before these bytes arrive: then they go the long way.
        until = now if self._noticed else min(horizon, master.next_wakeup() or horizon)
        answer = self.wire.idle_poll(sending, now, until)
        if answer is not None:
            self._eot = True
            self._heap.now = answer[0]
            return answer
        arrives = self.wire.send_alone(sending, now, until)
        if arrives is None:
            return None
        self._heap.now = arrives
        self.wire.arrive()
        return None if self._noticed else self.wire.answer(until)

    def _collect(self) -> None:
        if self.master is not None:
            for event in self.master.take_events():
                self._noticed = True
                self._post(event)

    def _notice(self, change: object, at: int) -> None:
        """A pump has changed: whoever waits for it must be asked."""
        self._noticed = True
