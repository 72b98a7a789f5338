"""What every master of a polled pump line shares, whatever its protocol: the round, its regularity, lost positions, noise.

A subclass says what goes over the wire (``receive``, ``next_transmission``); this module says whose turn it is, what is idle, and what may
be skipped (reference dispenser-protocols 1.5, 1.6, 3.3). Sans-IO: times are integer milliseconds.

The round: living positions one after another. After a start those whose pump may run come first, each until its survey is done. A lost
one is asked by itself, after so many turns of the living, each in its own order: an answer that does not come costs a whole window, and
however many are lost they cost the living together no more than one window in ``lost_poll_turns`` turns. With nobody living they are asked
one after another.

Idle exchanges with a position take the same time each, so the schedule of an idle line is periodic, and ``skip`` moves it on by whole
periods without asking. Everything that decides a turn is the same after a period as before it; nothing has to be counted up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from drivers.commands import PumpCommand
from drivers.dispenser.joint_point import JointPoint
from drivers.dispenser.line_position import LinePosition, Post
from drivers.dispenser.line_timing import LineTiming
from drivers.events import CommandFailed, DeviceEvent, LineNoise

_NEVER = 1 << 62
CROWD = 6
"""A line of fewer positions is soon through with its round, whatever they do."""
FIRST_TURNS = 16
"""So many turns at most has each point that is surveyed before the others: a DART head with its three equal rounds needs eleven."""
RESTING_TURNS = 3
"""While nearly all of a crowd fuel, every so many turns one goes to a position that rests: a lift there waits for nobody's reading."""


class Place(Protocol):
    """Where a position sits: its address on the line and the fuelling point that it belongs to."""

    @property
    def fp(self) -> int:
        """The fuelling point's number."""

    @property
    def address(self) -> int:
        """The address on the wire."""

    @property
    def own(self) -> Mapping[int, int]:
        """The point's logical nozzles and the numbers by which this address knows them; of use where the point has several addresses."""


L = TypeVar("L", bound=Place)
P = TypeVar("P", bound=LinePosition)


class PolledLine(ABC, Generic[L, P]):
    """The protocol-independent half of a line master."""

    KIND: ClassVar[str] = "polled"
    MOST: ClassVar[int] = 255
    """Most positions that the protocol's addresses allow."""

    def __init__(self, name: str, places: Iterable[L], timing: LineTiming, make: Callable[[L, Post], P]) -> None:
        """A line that has said nothing yet. Raises ValueError when there is no position, two share an address, or a point's
        addresses share a nozzle.
        """
        seats = tuple(places)
        if not 1 <= len(seats) <= self.MOST:
            raise ValueError(f"{self.KIND} line carries 1 to {self.MOST} positions, not {len(seats)}")
        if len({each.address for each in seats}) < len(seats):
            raise ValueError(f"two positions of line {name} share an address")
        self.name = name
        self._timing = timing
        self._events: list[DeviceEvent] = []
        self._joint = _joint(seats, self._events.append)
        self._positions: list[P] = []
        for seat in seats:
            point, place = self._joint.get(seat.fp), [each for each in seats if each.fp == seat.fp].index(seat)
            position = make(seat, self._events.append if point is None else point.listener(place))
            if point is not None:
                point.join(place, position)
            self._positions.append(position)
        self._by_address = {seat.address: position for seat, position in zip(seats, self._positions, strict=True)}
        self._by_fp = {seat.fp: position for seat, position in zip(seats, self._positions, strict=True)}
        # the exchange under way
        self._waiting: P | None = None
        self._polled = False
        """What was asked is a poll and no more."""
        self._wake_at = 0
        self._babble_at = 0
        # whose turn
        self._ready: deque[P] = deque()
        self._index = 0
        self._lost: list[P] = []
        self._lost_index = 0
        self._rounds = 0
        """Rounds of the living since a lost position was asked."""
        self._timer_at = _NEVER
        self._resting_turns = self._resting_index = 0
        self._first: deque[tuple[P, int]] = deque()
        """Who is to be surveyed before the others, and how many turns each still has for it."""
        # how regular the idle line is
        self._steady = 0
        self._steady_needed = len(self._positions)
        self._last_idle: P | None = None
        self._last_idle_at = 0
        # noise
        self._noise = 0
        self._noise_told_at: int | None = None

    # --- the interface of every line master ---

    def next_wakeup(self) -> int | None:
        """When ``next_transmission`` is worth a call if no bytes come before."""
        return self._wake_at

    def submit(self, command: PumpCommand, now: int) -> None:
        """Take a command for one of the positions. What cannot be done is answered by ``CommandFailed``, sooner or later."""
        position = self._by_fp.get(command.fp)
        if position is None:
            why = f"line {self.name} has no fuelling point {command.fp}"
            self._events.append(CommandFailed(command.fp, type(command).__name__, why))
            return
        point = self._joint.get(command.fp)
        if point is None:
            position.submit(command, now)
            self._refresh(position, now)
            return
        told = point.targets(command)
        for part in self._positions:
            for one, its in told:
                if one is part:
                    part.submit(its, now)
                    self._refresh(part, now)

    def remember(self, settled: Mapping[tuple[int, int], int], now: int) -> None:
        """What heads had counted when their last record was read, by fuelling point and nozzle; once, before the first command."""
        for position in self._positions:
            position.remember(settled, now)
            self._refresh(position, now)

    def survey_first(self, fps: Collection[int]) -> None:
        """At these points somebody may be fuelling: until they are surveyed nobody else is asked.

        One after another, so that the first is known in a fraction of the time that all take. Who misses an answer goes behind the others;
        who answers and does not come to its end in ``FIRST_TURNS`` turns, or is lost, has no such place any more.
        """
        self._first = deque((position, FIRST_TURNS) for position in self._positions if position.fp in fps)

    def take_events(self) -> list[DeviceEvent]:
        """What happened since the last call, in order."""
        if not self._events:
            return []
        events = self._events.copy()
        self._events.clear()
        return events

    def port_lost(self, why: str, now: int) -> None:
        """The port went away or cannot be opened: every position is lost (told once), and surveyed anew when it answers again."""
        self._forget()
        self._waiting = None
        self._ready.clear()
        for position in self._positions:
            position.queued = False
            position.lose(why, now)
            position.reconnected()
        self._wake_at = now
        self._refresh_timer()
        self._recount()

    @abstractmethod
    def _forget(self) -> None:
        """Drop what was received and what is owed on the wire."""

    # --- skipping ---

    @abstractmethod
    def _busy(self) -> bool:
        """Something goes on that this protocol knows of, besides what waits for a turn."""

    def idle_period(self) -> int | None:
        """The length of a period in ms when the line is idle and regular, else None.

        A period is one round, or as many as it takes until every lost position has been asked once. It is known when every position's
        last exchange was the poll's usual answer (none, from a lost one), took as long as the one before, and nothing else happened.
        """
        if self._steady < self._steady_needed or self._ready or self._events or self._busy():
            return None
        rounds = self._rounds_to_lost() * max(1, len(self._lost))
        return sum((position.gap or 0) * (1 if position.dead else rounds) for position in self._positions)

    def lost_addresses(self) -> list[int]:
        """The positions that do not answer. A period that is skipped takes it that they go on so: whoever skips must know."""
        return [address for address, position in self._by_address.items() if position.dead]

    def skippable_until(self) -> int | None:
        """The first instant at which the master does more than idle polls by itself, None for never."""
        return None if self._timer_at == _NEVER else self._timer_at

    def skip(self, periods: int) -> None:
        """Be where polling through so many idle periods would have led.

        Raises ValueError when the line is not idle, and for a negative number. The caller keeps within ``skippable_until``: what is due
        later than the skipped time is due when it was.
        """
        period = self.idle_period()
        if period is None or periods < 0:
            raise ValueError("only an idle, regular line can be skipped, and only forward")
        self._wake_at += periods * period
        self._babble_at += periods * period
        self._last_idle_at += periods * period

    # --- turns ---

    def _in_turn(self) -> P:
        """Who is next by the round alone."""
        first = self._first_in_turn()
        if first is not None:
            return first
        resting = self._resting_in_turn()
        if resting is not None:
            return resting
        while True:
            if self._index >= len(self._positions):
                self._index = 0
                lost = self._lost_in_turn()
                if lost is not None:
                    return lost
            position = self._positions[self._index]
            self._index += 1
            if not position.dead:
                return position

    def _first_in_turn(self) -> P | None:
        """Who is to be surveyed before the others, None when nobody is. Such a line is never regular."""
        while self._first:
            position, turns = self._first.popleft()
            if turns and not (position.survey_over or position.dead):
                self._first.appendleft((position, turns - 1))
                self._disturbed()
                return position
        return None

    def _resting_in_turn(self) -> P | None:
        """While nearly all fuel: whose turn comes out of order, None when it is nobody's. Such a line is never regular."""
        if self._timer_at == _NEVER or len(self._positions) < CROWD:
            return None
        resting = [position for position in self._positions if position.timer_at is None and position.surveyed and not position.dead]
        if not 0 < len(resting) * RESTING_TURNS <= len(self._positions) - len(self._lost):
            return None
        self._resting_turns = (self._resting_turns + 1) % RESTING_TURNS
        if self._resting_turns:
            return None
        self._disturbed()
        self._resting_index = (self._resting_index + 1) % len(resting)
        return resting[self._resting_index]

    def _lost_in_turn(self) -> P | None:
        """Between two rounds: the lost position whose turn it is, None when it is nobody's."""
        if not self._lost:
            return None
        self._rounds += 1
        if self._rounds < self._rounds_to_lost():
            return None
        self._rounds = 0
        self._lost_index = (self._lost_index + 1) % len(self._lost)
        return self._lost[self._lost_index]

    def _rounds_to_lost(self) -> int:
        """A lost position is asked after so many rounds of the living."""
        living = len(self._positions) - len(self._lost)
        return -(-self._timing.lost_poll_turns // living) if self._lost and living else 1

    def _refresh(self, position: P, now: int) -> None:
        """The position's wishes may have changed."""
        if position.wants(now) and not position.queued:
            position.queued = True
            self._ready.append(position)
        self._refresh_timer()

    def _refresh_timer(self) -> None:
        self._timer_at = min((at for position in self._positions if (at := position.timer_at) is not None), default=_NEVER)

    def _missed(self, position: P, now: int) -> None:
        """No answer within the window, or none that can be one. From a lost position that is the idle case."""
        self._waiting = None
        if position.dead and self._polled:
            return
        self._disturbed()
        if self._first and position is self._first[0][0]:
            self._first.rotate(-1)
        position.on_silence(now)
        if position.dead:
            self._recount()
        self._refresh(position, now)

    # --- noise ---

    def _take_noise(self, count: int, now: int) -> None:
        """So many bytes were no frame: counted, told once in a while."""
        self._disturbed()
        self._noise += count
        if self._noise_told_at is None or now - self._noise_told_at >= self._timing.noise_report_ms:
            self._noise_told_at = now
            self._events.append(LineNoise(self.name, self._noise))
            self._noise = 0

    # --- regularity ---

    def _note_gap(self, position: P, now: int) -> None:
        """Between two idle polls lies the whole exchange with the former position: remember how long it took."""
        last = self._last_idle
        if last is not None:
            gap = now - self._last_idle_at
            if gap == last.gap:
                self._steady += 1
            else:
                last.gap = gap
                self._steady = 0
        self._last_idle = position
        self._last_idle_at = now

    def _disturbed(self) -> None:
        self._steady = 0
        self._last_idle = None

    def _recount(self) -> None:
        """Positions were lost or came back: so many exchanges make a period now."""
        self._lost = [position for position in self._positions if position.dead]
        living = len(self._positions) - len(self._lost)
        self._steady_needed = living * self._rounds_to_lost() * max(1, len(self._lost)) + len(self._lost)
        self._disturbed()


def _joint(seats: Sequence[Place], post: Post) -> dict[int, JointPoint]:
    """The fuelling points that have several addresses. Raises ValueError when two of them share a nozzle."""
    numbers = [seat.fp for seat in seats]
    several = [fp for fp in dict.fromkeys(numbers) if numbers.count(fp) > 1]
    return {fp: JointPoint(fp, [seat.own for seat in seats if seat.fp == fp], post) for fp in several}
