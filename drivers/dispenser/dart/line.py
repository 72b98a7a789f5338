"""The master of one DART line: whose turn it is, what is sent, what an answer means for the line (reference dispenser-protocols 1.5, 1.6).

Sans-IO: bytes and ``now`` in, bytes and events out. Times are integer milliseconds. Round, lost positions, noise and skipping are those of
every polled line (``drivers/dispenser/polled_line.py``).

Turns: ACKs that are owed, then commands, then a position from which more is expected (every second turn at most), then the round, in which
a position that is fuelling is sent a request for its reading instead of a poll now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from drivers.dispenser.dart.codec import Decoder
from drivers.dispenser.dart.frames import Ack, Data, Eot, Frame, Nak, Noise
from drivers.dispenser.dart.position import Position
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.dispenser.polled_line import PolledLine

MAX_POSITIONS = 32


class DartLine(PolledLine[PositionProfile, Position]):
    """Up to 32 fuelling positions on one pair of wires."""

    KIND = "a DART"
    MOST = MAX_POSITIONS

    def __init__(self, name: str, positions: Iterable[PositionProfile], profile: LineProfile | None = None) -> None:
        """A line that has said nothing yet. Raises ValueError when there is no position, or two share an address or a nozzle."""
        self.profile = timing = profile or LineProfile()
        super().__init__(name, positions, timing, lambda each, post: Position(each, timing, post))
        self._decoder = Decoder()
        self._poll_ms = self.profile.transmit_ms(3)
        self._acks: deque[bytes] = deque()
        self._echo = b""
        self._eager: deque[Position] = deque()
        self._eager_had_turn = False

    # --- the interface of every line master ---

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that arrived at ``now``. Never raises for what they are."""
        waiting = self._waiting
        if waiting is not None and self._polled and data == waiting.eot and waiting.quiet and not self._decoder.pending and not self._echo:
            self._waiting = None  # the idle line's case, kept short
            self._wake_at = now + (self.profile.ack_turn_round_ms if self._acks else self.profile.turn_round_ms)
            return
        if self._echo:
            data = self._without_echo(data)
        for item in self._decoder.receive(data):
            self._take(item, now)
        if self._decoder.pending:
            self._wake_at = max(self._wake_at, min(now + self.profile.frame_gap_ms, self._babble_at))

    def next_transmission(self, now: int) -> bytes | None:
        """What to send now, None when nothing is due. What is returned counts as sent at ``now``."""
        if now < self._wake_at:
            return None
        if self._decoder.pending and (noise := self._decoder.flush()) is not None:
            self._take_noise(noise.count, now)
        if self._waiting is not None:
            self._missed(self._waiting, now)
        if self._acks:
            wire = self._acks.popleft()
            pause = self.profile.ack_turn_round_ms if self._acks else self.profile.turn_round_ms
            return self._sent(wire, now, now + self.profile.transmit_ms(len(wire)) + pause)
        position, with_data = self._turn(now)
        self._waiting = position
        self._polled = not with_data
        if with_data:
            self._disturbed()
            wire = position.frame(now)
            self._refresh_timer()
            return self._sent(wire, now, now + self.profile.transmit_ms(len(wire)) + self.profile.answer_window_ms)
        self._note_gap(position, now)
        return self._sent(position.poll, now, now + self._poll_ms + self.profile.answer_window_ms)

    def _forget(self) -> None:
        self._decoder.flush()
        self._acks.clear()
        self._echo = b""
        self._eager.clear()

    def _busy(self) -> bool:
        return bool(self._acks or self._eager or self._decoder.pending)

    # --- turns ---

    def _turn(self, now: int) -> tuple[Position, bool]:
        """Who is next, and whether with DATA."""
        if now >= self._timer_at:
            self._fire_timers(now)
        while self._ready:
            position = self._ready.popleft()
            position.queued = False
            if position.wants(now):
                return position, True
        while self._eager and not self._eager_had_turn:
            position = self._eager.popleft()
            if position.eager:
                self._eager_had_turn = True
                return position, False
        self._eager_had_turn = False
        position = self._in_turn()
        return position, position.due(now)

    def _fire_timers(self, now: int) -> None:
        for position in self._positions:
            at = position.timer_at
            if at is not None and now >= at:
                position.tick(now)
                self._refresh(position, now)
        self._refresh_timer()

    def _refresh(self, position: Position, now: int) -> None:
        super()._refresh(position, now)
        if position.eager and not position.wants(now) and position not in self._eager:
            self._eager.append(position)

    # --- exchanges ---

    def _sent(self, wire: bytes, now: int, wake_at: int) -> bytes:
        self._wake_at = wake_at
        self._babble_at = now + self.profile.babble_limit_ms
        if self.profile.echo:
            self._echo = wire
        return wire

    def _take(self, item: Frame | Noise, now: int) -> None:
        if isinstance(item, Noise):
            self._take_noise(item.count, now)
            return
        position = self._by_address.get(item.address)
        if position is None:
            return
        was_dead = position.dead
        if isinstance(item, Data):
            self._take_data(position, item, now)
        elif position is self._waiting:
            self._take_short(position, item, now)
        if was_dead and not position.dead:
            self._recount()

    def _take_data(self, position: Position, data: Data, now: int) -> None:
        """Every CRC-valid DATA is acknowledged, whatever its number and whoever was asked (1.5)."""
        self._disturbed()
        ack = position.acks[data.number]
        if ack not in self._acks:
            self._acks.append(ack)
        position.on_data(data, now)
        if position is self._waiting:
            if not self._polled:
                position.on_no_ack(now)
            self._answered(now)
        elif self._waiting is None:
            self._answered(now)
        self._refresh(position, now)

    def _take_short(self, position: Position, frame: Frame, now: int) -> None:
        match frame:
            case Eot():
                if self._polled and position.quiet:
                    self._answered(now)
                    return
                if self._polled:
                    position.on_eot(now)
                    if position.quiet:  # it has nothing more to say: this exchange was as long as those that follow
                        self._answered(now)
                        self._refresh(position, now)
                        return
                else:
                    position.on_no_ack(now)
            case Ack(_, number):
                if self._polled or not position.on_ack(number, now):
                    return
            case Nak():
                if self._polled:
                    return
                position.on_nak(now)
            case _:
                return  # POLL and the rest are a controller's words
        self._disturbed()
        self._answered(now)
        self._refresh(position, now)

    def _answered(self, now: int) -> None:
        """The exchange is over: an ACK that is owed goes out soon, anything else after the longer pause."""
        self._waiting = None
        self._wake_at = now + (self.profile.ack_turn_round_ms if self._acks else self.profile.turn_round_ms)

    def _without_echo(self, data: bytes) -> bytes:
        """Leave out what the adapter heard of our own transmission, as far as it is byte for byte the same."""
        size = min(len(data), len(self._echo))
        if data[:size] != self._echo[:size]:
            self._echo = b""
            return data
        self._echo = self._echo[size:]
        return data[size:]
