"""The master of one AZT line: whose turn it is, what is sent, whose an answer is (reference dispenser-protocols 3.2, 3.3; azt.md, Timing).

Sans-IO: bytes and ``now`` in, bytes and events out. Times are integer milliseconds.

Every turn is one request and its answer, or the whole time that an answer may take: answers carry no address, so nobody is asked before
the former one's time is over. Turns: positions that have more to ask than their state, every second turn at most, then round robin; lost
positions in every n-th round only. Since every idle exchange with a position takes the same time, the schedule of an idle line is periodic,
and ``skip`` moves it on by whole periods without asking.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from drivers.commands import PumpCommand
from drivers.dispenser.azt.codec import Decoder
from drivers.dispenser.azt.frames import LAST_ADDRESS, Frame, Noise, Request
from drivers.dispenser.azt.position import Position
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
from drivers.events import CommandFailed, DeviceEvent, LineNoise

_NEVER = 1 << 62


class AztLine:
    """Up to 225 hoses on one pair of wires."""

    def __init__(self, name: str, positions: Iterable[PositionProfile], profile: LineProfile | None = None) -> None:
        """A line that has said nothing yet. Raises ValueError when there is no position, or two share an address or a fuelling point."""
        profiles = tuple(positions)
        if not 1 <= len(profiles) <= LAST_ADDRESS:
            raise ValueError(f"an AZT line carries 1 to {LAST_ADDRESS} positions, not {len(profiles)}")
        if len({each.address for each in profiles}) < len(profiles):
            raise ValueError(f"two positions of line {name} share an address")
        if len({each.fp for each in profiles}) < len(profiles):
            raise ValueError(f"two positions of line {name} share a fuelling point")
        self.name = name
        self.profile = profile or LineProfile()
        self._events: list[DeviceEvent] = []
        self._positions = [Position(each, self.profile, self._events.append) for each in profiles]
        self._by_fp = {position.fp: position for position in self._positions}
        self._decoder = Decoder()
        # the exchange under way
        self._waiting: Position | None = None
        self._polled = False  # it is a poll, and nothing more is expected of it
        self._wake_at = 0
        self._babble_at = 0
        # whose turn
        self._ready: deque[Position] = deque()
        self._ready_had_turn = False
        self._index = 0
        self._round = 0
        self._timer_at = _NEVER
        # how regular the idle line is
        self._steady = 0
        self._steady_needed = len(self._positions)
        self._last_idle: Position | None = None
        self._last_idle_at = 0
        # noise
        self._noise = 0
        self._noise_told_at: int | None = None

    # --- the interface of every line master ---

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that arrived at ``now``. Never raises for what they are."""
        waiting = self._waiting
        if waiting is not None and self._polled and data == waiting.idle_answer and waiting.quiet and not self._decoder.pending:
            self._waiting = None  # the idle line's case, kept short
            self._wake_at = now + self.profile.turn_round_ms
            return
        for item in self._decoder.receive(data):
            self._take(item, now)
        if self._decoder.pending:
            self._wake_at = max(self._wake_at, min(now + self.profile.frame_gap_ms, self._babble_at))

    def next_transmission(self, now: int) -> bytes | None:
        """What to send now, None when nothing is due. What is returned counts as sent at ``now``."""
        if now < self._wake_at:
            return None
        if self._decoder.pending and (rest := self._decoder.flush()) is not None:
            self._take(rest, now)
            if now < self._wake_at:
                return None  # it was a short answer that had lost its lead-in
        if self._waiting is not None:
            self._missed(self._waiting, now)
        position = self._turn(now)
        more = position.wants(now)
        wire = position.request(now)
        if more:
            self._disturbed()
        else:
            self._note_gap(position, now)
        self._waiting = position
        self._polled = not more
        self._refresh_timer()
        self._wake_at = now + self.profile.transmit_ms(len(wire)) + self.profile.answer_window_ms
        self._babble_at = now + self.profile.babble_limit_ms
        return wire

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
        position.submit(command, now)
        self._refresh(position, now)

    def take_events(self) -> list[DeviceEvent]:
        """What happened since the last call, in order."""
        if not self._events:
            return []
        events = self._events.copy()
        self._events.clear()
        return events

    def port_lost(self, why: str, now: int) -> None:
        """The port went away or cannot be opened: every position is lost (told once), and surveyed anew when it answers again."""
        self._decoder.flush()
        self._waiting = None
        self._ready.clear()
        for position in self._positions:
            position.queued = False
            position.lose(why, now)
            position.reconnected()
        self._wake_at = now
        self._refresh_timer()
        self._recount()

    # --- skipping ---

    def idle_period(self) -> int | None:
        """The length of a period in ms when the line is idle and regular, else None.

        A period is one round, or ``lost_poll_rounds`` rounds while some positions are lost. It is known when every position's last
        exchange was the poll's usual answer (none, from a lost one), took as long as the one before, and nothing else happened between.
        """
        if self._steady < self._steady_needed or self._ready or self._decoder.pending or self._events:
            return None
        rounds = self.profile.lost_poll_rounds if any(position.dead for position in self._positions) else 1
        return sum((position.gap or 0) * (1 if position.dead else rounds) for position in self._positions)

    def lost_addresses(self) -> list[int]:
        """The positions that do not answer. A period that is skipped takes it that they go on so: whoever skips must know."""
        return [position.profile.address for position in self._positions if position.dead]

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
        if not self.lost_addresses():
            self._round += periods  # with lost positions a period is so many rounds that their turn is where it was
        self._wake_at += periods * period
        self._babble_at += periods * period
        self._last_idle_at += periods * period

    # --- turns ---

    def _turn(self, now: int) -> Position:
        """Who is next. A position with more to ask asks it at its own turn too."""
        if now >= self._timer_at:
            for position in self._positions:
                self._refresh(position, now)
        while self._ready and not (self._ready_had_turn and len(self._positions) > 1):
            position = self._ready.popleft()
            position.queued = False
            if position.wants(now):
                self._ready_had_turn = True
                return position
        self._ready_had_turn = False
        while True:
            if self._index >= len(self._positions):
                self._index = 0
                self._round += 1
            position = self._positions[self._index]
            self._index += 1
            if not position.dead or self._round % self.profile.lost_poll_rounds == 0:
                return position

    def _refresh(self, position: Position, now: int) -> None:
        """The position's wishes may have changed."""
        if position.wants(now) and not position.queued:
            position.queued = True
            self._ready.append(position)
        self._refresh_timer()

    def _refresh_timer(self) -> None:
        self._timer_at = min((at for position in self._positions if (at := position.timer_at) is not None), default=_NEVER)

    # --- exchanges ---

    def _missed(self, position: Position, now: int) -> None:
        """No answer within the window, or none that can be one. From a lost position that is the idle case."""
        self._waiting = None
        if position.dead and self._polled:
            return
        self._disturbed()
        position.on_silence(now)
        if position.dead:
            self._recount()
        self._refresh(position, now)

    def _take(self, item: Frame | Noise, now: int) -> None:
        position = self._waiting
        if isinstance(item, Noise):
            self._take_noise(item, now)
        elif isinstance(item, Request):
            return  # what the adapter heard of our own transmission
        elif position is None:
            self._disturbed()  # nobody was asked: it cannot be anybody's
        else:
            was_dead = position.dead
            before = position.idle_answer
            if not position.on_answer(item, now):
                return  # the right one may still come within its time
            self._waiting = None
            self._wake_at = now + self.profile.turn_round_ms
            if not (self._polled and position.quiet and position.idle_answer == before and not was_dead):
                self._disturbed()
            if was_dead:
                self._recount()
            self._refresh(position, now)

    def _take_noise(self, noise: Noise, now: int) -> None:
        self._disturbed()
        self._noise += noise.count
        if self._noise_told_at is None or now - self._noise_told_at >= self.profile.noise_report_ms:
            self._noise_told_at = now
            self._events.append(LineNoise(self.name, self._noise))
            self._noise = 0

    # --- regularity ---

    def _note_gap(self, position: Position, now: int) -> None:
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
        dead = sum(position.dead for position in self._positions)
        alive = len(self._positions) - dead
        self._steady_needed = alive * self.profile.lost_poll_rounds + dead if dead else alive
        self._disturbed()
