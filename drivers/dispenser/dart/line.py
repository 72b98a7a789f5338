"""The master of one DART line: whose turn it is, what is sent, what an answer means for the line (reference dispenser-protocols 1.5, 1.6).

Sans-IO: bytes and ``now`` in, bytes and events out. Times are integer milliseconds.

Turns: ACKs that are owed, then DATA, then a position from which more is expected (every second turn at most), then round robin.
Lost positions take part in every n-th round only. Since every idle exchange with a position takes the same time, the schedule of an
idle line is periodic, and ``skip`` moves it on by whole periods without polling.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from drivers.commands import PumpCommand
from drivers.dispenser.dart.codec import Decoder
from drivers.dispenser.dart.frames import Ack, Data, Eot, Frame, Nak, Noise
from drivers.dispenser.dart.position import Position
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.events import CommandFailed, DeviceEvent, LineNoise

MAX_POSITIONS = 32
_NEVER = 1 << 62


class DartLine:
    """Up to 32 fuelling positions on one pair of wires."""

    def __init__(self, name: str, positions: Iterable[PositionProfile], profile: LineProfile | None = None) -> None:
        """A line that has said nothing yet. Raises ValueError when there is no position, or two share an address or a fuelling point."""
        profiles = tuple(positions)
        if not 1 <= len(profiles) <= MAX_POSITIONS:
            raise ValueError(f"a DART line carries 1 to {MAX_POSITIONS} positions, not {len(profiles)}")
        if len({each.address for each in profiles}) < len(profiles):
            raise ValueError(f"two positions of line {name} share an address")
        if len({each.fp for each in profiles}) < len(profiles):
            raise ValueError(f"two positions of line {name} share a fuelling point")
        self.name = name
        self.profile = profile or LineProfile()
        self._events: list[DeviceEvent] = []
        self._positions = [Position(each, self.profile, self._events.append) for each in profiles]
        self._by_address = {position.profile.address: position for position in self._positions}
        self._by_fp = {position.fp: position for position in self._positions}
        self._decoder = Decoder()
        self._poll_ms = self.profile.transmit_ms(3)
        # the exchange under way
        self._waiting: Position | None = None
        self._polled = False
        self._wake_at = 0
        self._babble_at = 0
        self._acks: deque[bytes] = deque()
        self._echo = b""
        # whose turn
        self._ready: deque[Position] = deque()
        self._eager: deque[Position] = deque()
        self._eager_had_turn = False
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
        if self._decoder.pending:
            self._take_noise(self._decoder.flush(), now)
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
        self._acks.clear()
        self._echo = b""
        self._ready.clear()
        self._eager.clear()
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
        exchange was an EOT (no answer, from a lost one), took as long as the one before, and nothing else happened between them.
        """
        if self._steady < self._steady_needed or self._acks or self._ready or self._eager or self._decoder.pending or self._events:
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
        self._wake_at += periods * period
        self._babble_at += periods * period
        self._last_idle_at += periods * period

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
        while True:
            if self._index >= len(self._positions):
                self._index = 0
                self._round += 1
            position = self._positions[self._index]
            self._index += 1
            if not position.dead or self._round % self.profile.lost_poll_rounds == 0:
                return position, position.survey_due

    def _fire_timers(self, now: int) -> None:
        for position in self._positions:
            at = position.timer_at
            if at is not None and now >= at:
                position.tick(now)
                self._refresh(position, now)
        self._refresh_timer()

    def _refresh(self, position: Position, now: int) -> None:
        """The position's wishes may have changed."""
        if position.wants(now):
            if not position.queued:
                position.queued = True
                self._ready.append(position)
        elif position.eager and position not in self._eager:
            self._eager.append(position)
        self._refresh_timer()

    def _refresh_timer(self) -> None:
        self._timer_at = min((at for position in self._positions if (at := position.timer_at) is not None), default=_NEVER)

    # --- exchanges ---

    def _sent(self, wire: bytes, now: int, wake_at: int) -> bytes:
        self._wake_at = wake_at
        self._babble_at = now + self.profile.babble_limit_ms
        if self.profile.echo:
            self._echo = wire
        return wire

    def _missed(self, position: Position, now: int) -> None:
        """No answer within the window. From a lost position that is the idle case."""
        self._waiting = None
        if position.dead and self._polled:
            return
        self._disturbed()
        position.on_silence(now)
        if position.dead:
            self._recount()
        self._refresh(position, now)

    def _take(self, item: Frame | Noise, now: int) -> None:
        if isinstance(item, Noise):
            self._take_noise(item, now)
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

    def _take_noise(self, noise: Noise | None, now: int) -> None:
        if noise is None:
            return
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
