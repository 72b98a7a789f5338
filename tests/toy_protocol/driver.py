"""The toy's line master: a round, a survey, and one procedure for each command. See ``wire`` for what goes over the line."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.line_position import LinePosition, Post
from drivers.dispenser.line_timing import LineTiming
from drivers.dispenser.polled_line import PolledLine
from drivers.dispenser.protocol import Heard, PumpProtocol, Seat, SerialMode, Settings
from drivers.events import (
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PricesReported,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
    TotalReported,
)
from tests.toy_protocol.wire import Decoder, Words, encode, numbers

BAUDRATES = (9600,)
STATUS = {
    0: PumpStatus.NOT_PROGRAMMED,
    1: PumpStatus.RESET,
    2: PumpStatus.AUTHORIZED,
    4: PumpStatus.FILLING,
    5: PumpStatus.COMPLETED,
    6: PumpStatus.LIMIT_REACHED,
    7: PumpStatus.SWITCHED_OFF,
    8: PumpStatus.SUSPENDED,
}
RELEASED = (PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.SUSPENDED)
TRIES = 5
Said = tuple[str, ...]
Procedure = Generator[Said, Said | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyLineProfile(LineTiming):
    """One line's timing."""

    baudrate: int = 9600
    bits_per_byte: int = 10
    answer_window_ms: int = 100
    frame_gap_ms: int = 30
    babble_limit_ms: int = 500

    def __post_init__(self) -> None:
        self.check(BAUDRATES, 20)


@dataclass(frozen=True, slots=True)
class ToyHeadProfile:
    """One head. Raises ValueError for values that cannot be."""

    fp: int
    address: int
    nozzles: tuple[int, ...] = (1,)
    currency_decimals: int = 2
    price_decimals: int = 4

    @property
    def own(self) -> Mapping[int, int]:
        """The point's nozzles and the head's own numbers for them."""
        return {nozzle: number for number, nozzle in enumerate(self.nozzles, start=1)}

    def __post_init__(self) -> None:
        if not 1 <= self.address <= 99:
            raise ValueError(f"address must be 1 to 99, not {self.address}")


class ToyPosition(LinePosition):
    """One head. What it says to ``S`` is its whole picture."""

    def __init__(self, profile: ToyHeadProfile, timing: LineTiming, post: Post) -> None:
        super().__init__(profile.fp, timing, post)
        self.address = profile.address
        self.poll = encode(profile.address, "S")
        self._procedure: Procedure | None = None
        self._want: Said | None = None
        self._begin()

    def _begin(self) -> None:
        self.surveyed = self._answering = False
        self._picture: tuple[int, ...] = ()
        self.status: PumpStatus | None = None
        self._nozzle = 0
        self._progress_at = 0

    @property
    def timer_at(self) -> int | None:
        """Nothing happens by time alone."""
        return None

    @property
    def quiet(self) -> bool:
        """The same state again changes nothing."""
        return self.surveyed and self._want is None and not self._misses

    def wants(self, now: int) -> bool:
        """A procedure has a question."""
        return self._want is not None and not self.dead

    def request(self) -> bytes:
        """What to send at this turn."""
        return self.poll if self._want is None else encode(self.address, *self._want)

    def on_answer(self, said: Said, now: int) -> bool:
        """An answer of this head; True when it was news."""
        self._alive()
        news = self._on_state(said, now)
        if self._want is not None:
            self._resume(said, now)
        self._next(now)
        return news

    def on_silence(self, now: int) -> None:
        """Nothing came."""
        if not self.dead:
            self._misses += 1
        if self._misses >= self._timing.misses_until_lost and not self.dead:
            self.dead = True
            self.lose(f"no answer to {self._misses} requests", now)

    def _on_state(self, said: Said, now: int) -> bool:
        picture = numbers(said, "S", 5)
        if picture is None or picture[0] not in STATUS:
            return False
        status, nozzle = STATUS[picture[0]], picture[1]
        same, self._picture = picture == self._picture, picture
        if not self.surveyed:
            self.status, self._nozzle = status, nozzle
            if same:
                self.surveyed, self._told_lost = True, False
                self._post(PumpSurveyed(self.fp, status, nozzle or None))
            return True
        if self._nozzle and nozzle != self._nozzle:
            self._post(NozzleReturned(self.fp, self._nozzle))
        if status is not self.status:
            self.status = status
            self._post(PumpStatusChanged(self.fp, status))
        if nozzle and nozzle != self._nozzle:
            self._post(NozzleLifted(self.fp, nozzle, picture[2]))
        self._nozzle = nozzle
        if status is PumpStatus.FILLING and not same and now >= self._progress_at:
            self._progress_at = now + self._timing.live_interval_ms
            self._post(FillProgressed(self.fp, picture[3], picture[4]))
        return not same

    # --- commands ---------------------------------------------------------------------------------------------------------

    def _drop_procedure(self) -> None:
        if self._procedure is not None:
            self._procedure.close()
        self._procedure = self._command = self._want = None

    def _next(self, now: int) -> None:
        while self._procedure is None and self._queue and not self.dead:
            self._command = self._queue.popleft()
            self._procedure = self._of(self._command)
            self._resume(None, now)

    def _resume(self, said: Said | None, now: int) -> None:
        running, command = self._procedure, self._command
        if running is None or command is None:
            return
        try:
            self._want = running.send(said)
        except StopIteration as end:
            self._procedure = self._command = self._want = None
            if end.value is not None:
                self._fail(command, end.value)

    def _of(self, command: PumpCommand) -> Procedure:
        match command:
            case AuthorizeFuellingPoint():
                return self._authorize(command)
            case StopFuellingPoint():
                return self._until(("H",), lambda: self.status not in RELEASED)
            case ConfirmFill():
                return self._until(("C",), lambda: self.status is PumpStatus.RESET)
            case ReadFill():
                return self._read(("F",), 2, lambda values: FillReported(self.fp, *values))
            case ReadTotal(_, nozzle):
                return self._read(("T", str(nozzle)), 2, lambda values: TotalReported(self.fp, *values))
            case SetPrices(_, prices):
                return self._prices(prices)

    def _authorize(self, command: AuthorizeFuellingPoint) -> Procedure:
        if self.status is not PumpStatus.RESET:
            return f"the head is {self.status}, not reset"
        words = ("R", str(command.nozzle), str(command.preset_volume_ml or 0), str(command.preset_amount_minor or 0))
        failed = yield from self._until(words, lambda: self.status is not PumpStatus.RESET)
        if failed is not None:
            yield from self._until(("H",), lambda: self.status not in RELEASED)
        return failed

    def _until(self, words: Said, done: Callable[[], bool]) -> Procedure:
        """Say it and look at the state, until that proves the effect."""
        for _ in range(TRIES):
            yield words
            yield ("S",)
            if done():
                return None
        return f"the head did not take {words[0]}"

    def _read(self, words: Said, count: int, event: Callable[[tuple[int, ...]], FillReported | TotalReported]) -> Procedure:
        for _ in range(TRIES):
            values = numbers((yield words) or (), words[0], count)
            if values is not None:
                self._post(event(values))
                return None
        return f"no answer to {words[0]}"

    def _prices(self, prices: tuple[int, ...]) -> Procedure:
        yield ("P", *map(str, prices))
        shown = numbers((yield ("Q",)) or (), "Q", 0)
        if shown is None:
            return "no prices"
        self._post(PricesReported(self.fp, shown))
        return None


class ToyLine(PolledLine[ToyHeadProfile, ToyPosition]):
    """Heads on one pair of wires; questions before the round, every second turn at most."""

    KIND = "a toy"
    MOST = 99

    def __init__(self, name: str, places: Sequence[ToyHeadProfile], timing: LineTiming) -> None:
        """Raises ValueError as every polled line does."""
        super().__init__(name, places, timing, lambda each, post: ToyPosition(each, timing, post))
        self._decoder = Decoder()
        self._asked_last = False

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that arrived at ``now``."""
        for words in self._decoder.receive(data):
            self._take(words, now)
        if self._decoder.pending:
            self._wake_at = max(self._wake_at, min(now + self._timing.frame_gap_ms, self._babble_at))

    def _take(self, words: Words, now: int) -> None:
        position = self._waiting
        if position is None or position.address != words.address:
            return
        was_dead, quiet = position.dead, position.quiet
        news = position.on_answer(words.said, now)
        self._waiting = None
        self._wake_at = now + self._timing.turn_round_ms
        if news or not (quiet and self._polled):
            self._disturbed()
        if was_dead:
            self._recount()
        self._refresh(position, now)

    def next_transmission(self, now: int) -> bytes | None:
        """What to send now."""
        if now < self._wake_at:
            return None
        if self._decoder.pending or self._decoder.skipped:
            self._take_noise(self._decoder.flush(), now)
        if self._waiting is not None:
            self._missed(self._waiting, now)
        position = self._turn(now)
        self._polled = not position.wants(now)
        if self._polled:
            self._note_gap(position, now)
        else:
            self._disturbed()
        wire = position.request()
        self._waiting = position
        self._wake_at = now + self._timing.transmit_ms(len(wire)) + self._timing.answer_window_ms
        self._babble_at = now + self._timing.babble_limit_ms
        return wire

    def _turn(self, now: int) -> ToyPosition:
        self._asked_last = not self._asked_last and bool(self._ready)
        if self._asked_last:
            position = self._ready.popleft()
            position.queued = False
            return position
        return self._in_turn()

    def _forget(self) -> None:
        self._decoder.flush()

    def _busy(self) -> bool:
        return bool(self._decoder.pending)


class ToyEar:
    """Listens."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def hear(self, data: bytes, t_ms: int) -> list[Heard]:
        """What these bytes completed."""
        return [
            Heard(t_ms, data.hex(" ").upper(), f"{words.address}: {' '.join(words.said)}", words.said[0] == "S")
            for words in self._decoder.receive(data)
        ]

    def silence(self, t_ms: int) -> list[Heard]:
        """What had begun is given up."""
        count = self._decoder.flush()
        return [Heard(t_ms, "", f"noise, {count} bytes")] if count else []


def build(name: str, seats: Sequence[Seat], line: Settings, currency_decimals: int) -> ToyLine:
    """The line's master. Raises ValueError for what cannot be."""
    heads = [ToyHeadProfile(seat.fp, seat.address, seat.nozzles, currency_decimals, **seat.settings) for seat in seats]
    return ToyLine(name, heads, ToyLineProfile(**line))


TOY = PumpProtocol(
    name="toy",
    title="Toy",
    serial=SerialMode("N"),
    baudrates=BAUDRATES,
    addresses=range(1, 100),
    address_words="1 to 99",
    window_ms=100,
    shortest_window_ms=20,
    nozzles=9,
    price_decimals=4,
    price_digits=8,
    head=ToyHeadProfile,
    line=ToyLineProfile,
    build=build,
    ear=ToyEar,
)
