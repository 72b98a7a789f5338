"""The master of one AZT line: whose turn it is, what is sent, whose an answer is (reference dispenser-protocols 3.2, 3.3; azt.md, Timing).

Sans-IO: bytes and ``now`` in, bytes and events out. Times are integer milliseconds. Round, lost positions, noise and skipping are those of
every polled line (``drivers/dispenser/polled_line.py``).

Every turn is one request and its answer, or the whole time that an answer may take: answers carry no address, so nobody is asked before
the former one's time is over. Turns: positions that have more to ask than their state, every second turn at most, then the round.
"""

from __future__ import annotations

from collections.abc import Iterable

from drivers.dispenser.azt.codec import Decoder
from drivers.dispenser.azt.frames import LAST_ADDRESS, Frame, Noise, Request
from drivers.dispenser.azt.position import Position
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
from drivers.dispenser.polled_line import PolledLine


class AztLine(PolledLine[PositionProfile, Position]):
    """Up to 225 hoses on one pair of wires."""

    KIND = "an AZT"
    MOST = LAST_ADDRESS

    def __init__(self, name: str, positions: Iterable[PositionProfile], profile: LineProfile | None = None) -> None:
        """A line that has said nothing yet. Raises ValueError when there is no position, or two share an address or a nozzle."""
        self.profile = timing = profile or LineProfile()
        super().__init__(name, positions, timing, lambda each, post: Position(each, timing, post))
        self._decoder = Decoder()
        self._ready_had_turn = False

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

    def _forget(self) -> None:
        self._decoder.flush()

    def _busy(self) -> bool:
        return bool(self._decoder.pending)

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
        return self._in_turn()

    # --- exchanges ---

    def _take(self, item: Frame | Noise, now: int) -> None:
        position = self._waiting
        if isinstance(item, Noise):
            self._take_noise(item.count, now)
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
