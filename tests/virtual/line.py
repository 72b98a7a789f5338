"""One pump line in virtual time: the real line master on one end of the wire, the emulated dispensers on the other.

An idle line sleeps: its polls are not played but reckoned when something needs them, to the millisecond as if they had been played.
What wakes it: a command, a change of a head, of a drop or of the wire, and the time at which master or heads do more than idle polls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from drivers.commands import PumpCommand
from drivers.dispenser.line_thread import LineMaster
from hal_sim.dispensers import azt_codec, dart_codec
from hal_sim.dispensers.azt import AztBus, AztPosition
from hal_sim.dispensers.dart import DartBus, DartPosition
from hal_sim.wire import Device, LineRate
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


class Bus(Device, Protocol):
    """Emulated heads on one line. ``positions`` by address, each with ``head``, ``connected``, ``silent`` and ``has_something``."""

    lead_in: bytes

    @property
    def positions(self) -> Mapping[int, Any]:
        """Who is there."""

    @property
    def answer_delay_ms(self) -> int:
        """From a request to its answer."""

    def idle_answer(self, address: int) -> bytes | None:
        """What this address answers a poll with until something changes; None where that is not certain."""

    def idle_poll(self, data: bytes) -> bytes | None:
        """The usual answer to these bytes when they are a poll and nothing is new; None: it must go the long way."""

    def quiet_until(self, now: int) -> int | None:
        """From when on a poll may bring something else, if nobody commands and nobody touches a head."""


AnyBus = DartBus | AztBus | Bus


class VirtualLine:
    """Joins master and wire; ``master`` is None while the terminal has no power. Sleeps through idle polls unless ``leap`` is off."""

    def __init__(
        self, name: str, bus: AnyBus, make: Callable[[], Master], heap: Heap, *, rate: LineRate | None = None, leap: bool = True
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
        self._asleep = False
        self._due_known = False  # nothing has been done to it since its next business was reckoned
        self._due: int | None = None
        self._wakes: int | None = None  # an idle line's next business of its own
        self._period = 0
        self._mark: list[object] = []  # how the pumps' ends were when it fell asleep
        self._replies: dict[bytes, bytes | None] = {}  # what each idle poll is answered with; None: not at all
        azt = isinstance(bus, AztBus)
        self._polls = {azt_codec.request(at, ord("1")) if azt else bytes((at, dart_codec.POLL, dart_codec.SF)): at for at in bus.positions}
        self._positions: dict[DartPosition | AztPosition, list[int]] = {}
        for address, position in bus.positions.items():
            self._positions.setdefault(position, []).append(address)
        self._eot = False  # the answer of the last turn is the EOT to a poll
        self._azt = [position for position in self._positions if isinstance(position, AztPosition)]
        for position in self._positions:
            position.head.listeners.append(self._notice)

    def power_on(self, post: Post, running: Collection[int] = ()) -> None:
        """A fresh master, as after a start of the program. ``running``: points at which a sale has not ended."""
        self._post = post
        self._asleep = self._due_known = False
        self.master = self._make()
        self.master.survey_first(running)

    def remember(self, settled: Mapping[tuple[int, int], int]) -> None:
        """What the terminal's ledger knows of the heads' own counts."""
        if self.master is not None:
            self.master.remember(settled, self._heap.now)
            self._due_known = False

    def power_off(self) -> None:
        """Nobody polls any more; the pumps live on."""
        self._asleep = self._due_known = False
        self.master = None

    def submit(self, command: PumpCommand, now: int) -> None:
        """A command from the terminal."""
        self._due_known = False
        self._wake(now)
        if self.master is not None:
            self.master.submit(command, now)
            self._collect()

    def next_due(self, now: int) -> int | None:
        """See ``heap.Actor``."""
        if self._asleep:
            return self._wakes
        if not self._due_known:
            self._due = self._reckon(now)
            self._due_known = True
        return self._due

    def _reckon(self, now: int) -> int | None:
        own = None if self.master is None else self.master.next_wakeup()
        if own is not None and self.leap and self._falls_asleep(now, own):
            return self._wakes
        wire = self.wire.next_event()
        if wire is None or own is None:
            return own if wire is None else wire
        return min(wire, own)

    def look(self, now: int) -> None:
        """See ``heap.Actor``: drops, wires and flows change without a word."""
        if not self._asleep:
            self._due_known = False
        elif self._marks() != self._mark:
            self._wake(now)

    # --- asleep ---------------------------------------------------------------------------------------------------------------

    def _marks(self) -> list[object]:
        marks: list[object] = [self.wire.disturbed, self.bus.lead_in]
        for position in self._positions:
            marks += position.connected, position.head.next_change()
        for position in self._azt:
            marks.append(position.can_next)
        return marks

    def _falls_asleep(self, now: int, own: int) -> bool:
        """Nothing but idle polls to come for a while."""
        master = self.master
        if master is None or self.wire.in_transit or self.wire.disturbed:
            return False
        period = master.idle_period()
        if not period:
            return False
        lost = master.lost_addresses()
        wakes = master.skippable_until()
        for position, addresses in self._positions.items():
            changes = position.head.next_change()
            if changes is not None and (wakes is None or changes < wakes):
                wakes = changes
            # One that does not answer is lost already, or will be: that takes polls. One that answers is not lost any more, the same.
            silent = position.silent
            if (not silent and position.has_something) or any((address in lost) is not silent for address in addresses):
                return False
        if (wakes is not None and wakes <= own) or self.bus.lead_in or not self._usual(lost):
            return False
        self._asleep, self._wakes, self._period, self._mark = True, wakes, period, self._marks()
        return True

    def _usual(self, lost: list[int]) -> bool:
        """What each poll is answered with from now on, None for not at all; False where that is not certain."""
        bus, self._replies = self.bus, {}
        for poll, address in self._polls.items():
            self._replies[poll] = None if address in lost else bus.idle_answer(address)
            if self._replies[poll] is None and address not in lost:
                return False
        return True

    def _wake(self, now: int) -> None:
        """Be where polling would have led by ``now``; what changes at ``now`` is heard after this."""
        master = self.master
        if not self._asleep or master is None:
            return
        self._asleep = self._due_known = False
        rounds = (now - (master.next_wakeup() or now)) // self._period
        if rounds > 0:
            master.skip(rounds)
        while (own := master.next_wakeup()) is not None and own < now:
            poll = master.next_transmission(own)
            if poll is None:
                return
            answer = self.wire.reckoned(poll, self._replies[poll], own, now)
            if answer is not None:
                master.receive(answer[1], answer[0])

    def run(self, now: int, horizon: int) -> None:
        """See ``heap.Actor``. Exchanges that the terminal hears nothing of and that change no pump follow each other without the heap."""
        self._wake(now)
        self._due_known = False
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
            due = self._wakes if self._asleep else self._reckon(self._heap.now)
            if due is None or due >= horizon:
                self._due, self._due_known = due, not self._asleep
                return
            self._heap.now = now = max(self._heap.now, due)
            self._wake(now)
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
        if self.leap and self._falls_asleep(at, own):
            return at, []
        waking = self.bus.next_wakeup()
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
        if arrived:
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
        self._wake(self._heap.now)
        self._noticed, self._due_known = True, False
