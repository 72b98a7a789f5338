"""One fuelling position on a DART line: its TX numbers, its survey, its commands one after another, and what it has said.

Reference dispenser-protocols 1.5 (numbers, retries), 1.6 (loss), 1.8 (states), 1.10 (after a restart). The line decides when a position may
speak; the position decides what is said to it and what its words mean.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from drivers.commands import StopFuellingPoint
from drivers.dispenser.dart import mapping
from drivers.dispenser.dart.codec import encode
from drivers.dispenser.dart.frames import Ack, Data, Eot, Poll, Transaction
from drivers.dispenser.dart.mapping import AlarmReply, FillReply, NozzleReply, StatusReply, TotalReply
from drivers.dispenser.dart.procedures import RUNNING, Desk, Picture, Procedure, Send, Until, procedure
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.dispenser.line_position import LinePosition
from drivers.events import (
    FillProgressed,
    NozzleLifted,
    NozzleReturned,
    PumpAlarmed,
    PumpEvent,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
)

_MAX_EARLY_ALARMS = 8


class _Source(Enum):
    """Who asked for the DATA frame under way."""

    COMMAND = auto()
    LIVE = auto()
    SURVEY = auto()


class Position(LinePosition):
    """The master's side of one position. All times are ``now`` in milliseconds."""

    def __init__(self, profile: PositionProfile, line: LineProfile, post: Callable[[PumpEvent], None]) -> None:
        super().__init__(profile.fp, line, post)
        self.profile = profile
        self.poll = encode(Poll(profile.address))
        self.eot = encode(Eot(profile.address, 0))
        self.acks = tuple(encode(Ack(profile.address, number)) for number in range(16))
        self._line = line
        self._number = 0
        self._payload: tuple[Transaction, ...] | None = None
        self._source = _Source.COMMAND
        self._tries = 0
        self._procedure: Procedure | None = None
        self._want: Send | Until | None = None
        self._until = 0
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of the head."""
        self.picture = Picture()
        self.surveyed = False
        self._desk = Desk(self.picture, self.profile, self._line, self._post)
        self._answering = False
        self._live_at: int | None = None
        self._only_live = False  # what the head still has to say is a live reading that was asked for
        self._last_data: Data | None = None
        self._survey_asked = False
        self._survey_statuses = 0
        self._survey_seen: tuple[PumpStatus | None, int | None] | None = None
        self._survey_count = 0
        self._early_alarms: list[str] = []

    # --- what the line asks ---

    @property
    def quiet(self) -> bool:
        """Surveyed, alive and without a command: an EOT changes nothing."""
        return self.surveyed and self._procedure is None and self._payload is None and self.picture.drained and not self._misses

    @property
    def eager(self) -> bool:
        """Something is expected from the head: poll it soon. A live reading is no such thing; it is taken when its turn comes."""
        waits = isinstance(self._want, Until) or not (self.picture.drained or self._only_live)
        return self._answering and not self._misses and waits

    def due(self, now: int) -> bool:
        """At its own turn this position is sent DATA of the master's own instead of a poll: a live reading, or a request for its status.

        Never before its turn, nor before the last reading was fetched: with every position fuelling, requests alone would otherwise fill
        the line, and nobody would be polled.
        """
        if self._payload is not None:
            return True
        picture = self.picture
        survey = self._answering and not self.surveyed and not self._survey_asked and picture.drained
        return survey or (self._live_at is not None and now >= self._live_at and (picture.drained or not picture.live_asked))

    @property
    def live_at(self) -> int | None:
        """When the next live reading is due, None when no fuel flows."""
        return self._live_at

    @property
    def timer_at(self) -> int | None:
        """The next instant at which time alone changes something, None for never."""
        if isinstance(self._want, Until):
            return self._until if self._live_at is None else min(self._until, self._live_at)
        return self._live_at

    def wants(self, now: int) -> bool:
        """There is a command's DATA to send now, or a command waits for the frame under way."""
        return isinstance(self._want, Send) or (self._payload is not None and bool(self._queue))

    def frame(self, now: int) -> bytes:
        """The DATA frame to send: the unacknowledged one again under its number, else the next."""
        if self._payload is None:
            self._tries = 0
            if isinstance(self._want, Send):
                self._payload, self._source = self._want.transactions, _Source.COMMAND
            elif self._live_at is not None and now >= self._live_at:
                self._payload, self._source = (mapping.RETURN_FILLING,), _Source.LIVE
                late = self._live_at + self._line.live_interval_ms
                self._live_at = late if late > now else now + self._line.live_interval_ms
            else:
                self._payload, self._source = (mapping.RETURN_STATUS,), _Source.SURVEY
        return encode(Data(self.profile.address, self._number, self._payload))

    # --- what the line heard ---

    def on_ack(self, number: int, now: int) -> bool:
        """An ACK. False when it is not that of the frame under way."""
        if self._payload is None or number != self._number:
            return False
        self._alive()
        drained, self.picture.drained = self.picture.drained, False
        self._number = 1 if number == 0xF else number + 1
        self._payload = None
        if self._source is _Source.LIVE:
            self._only_live = drained or self._only_live
            self.picture.live_asked = True
        elif self._source is _Source.SURVEY:
            self._survey_asked = True
            self._survey_statuses = self.picture.statuses
        elif isinstance(self._want, Send):
            self._resume(True, now)
        self._next(now)
        return True

    def on_nak(self, now: int) -> None:
        """The head refused the number: restart at 0 with the same content."""
        self._alive()
        self._number = 0
        self._unacknowledged(now)

    def on_no_ack(self, now: int) -> None:
        """The head answered DATA with something else."""
        self._alive()
        self._unacknowledged(now)

    def on_eot(self, now: int) -> None:
        """A poll was answered with EOT: the head's queue is empty."""
        self._alive()
        self.picture.drained = True
        self._only_live = False
        self._last_data = None
        if self._survey_asked:
            self._survey_asked = False
            self._survey_round(now)
        self._check(now)

    def on_silence(self, now: int) -> None:
        """A poll or a DATA frame was not answered."""
        if not self.dead:
            self._misses += 1
        if self._payload is not None:
            self._unacknowledged(now)
        if self._misses >= self._line.misses_until_lost and not self.dead:
            self.dead = True
            self.lose(f"no answer to {self._misses} polls", now)

    def on_data(self, data: Data, now: int) -> None:
        """A CRC-valid DATA frame, whatever its number. Content that is not understood is left out.

        The very frame again only means that our ACK was lost: how it came to its last status and nozzle is history, and told already.
        (A head that always sends the same number may say the same anew, so the last of each counts.)
        """
        self._alive()
        self.picture.drained = False
        repeated = data == self._last_data
        self._last_data = data
        replies = [mapping.reply(self.profile, transaction) for transaction in data.transactions]
        for reply in _last_of_each(replies) if repeated else replies:
            self._only_live = self._only_live and isinstance(reply, FillReply)
            match reply:
                case StatusReply(status):
                    self._on_status(status, now)
                case NozzleReply() as reply:
                    self._on_nozzle(reply)
                case FillReply() as reply:
                    self._on_fill(reply)
                case TotalReply() as reply:
                    self.picture.total = reply
                    self.picture.totals += 1
                case AlarmReply(alarm):
                    if not repeated:
                        self._on_alarm(alarm)
                case None:
                    pass
        self._check(now)

    def tick(self, now: int) -> None:
        """Time has passed."""
        self._check(now)

    def reconnected(self) -> None:
        """Poll as if nothing had been missed, and restart the numbers."""
        super().reconnected()
        self._number = 0

    # --- commands ---

    def _drop_procedure(self) -> None:
        if self._procedure is not None:
            self._procedure.close()
        self._procedure = self._command = self._want = None
        self._abandon()

    def _abandon(self) -> None:
        """Give up the frame under way. Its number may have been used: other content under it would be taken for a repeat (1.5)."""
        if self._payload is not None:
            self._payload = None
            self._number = 0 if self._number else 1

    def _next(self, now: int) -> None:
        """Begin the next command when none runs."""
        while self._procedure is None and self._queue:
            if self._payload is not None:
                return  # a live or survey request is under way; its end brings us back here
            self._command = self._queue.popleft()
            self._procedure = procedure(self._desk, self._command, self._in_doubt)
            if isinstance(self._command, StopFuellingPoint):
                self._in_doubt = False
            self._resume(None, now)

    def _resume(self, answer: bool | None, now: int) -> None:
        """Let the procedure go on to its next send or wait."""
        running, command = self._procedure, self._command
        while running is not None and command is not None:
            try:
                want = next(running) if answer is None else running.send(answer)
            except StopIteration as end:
                self._procedure = self._command = self._want = None
                if end.value is not None:
                    self._fail(command, end.value)
                return
            self._want = want
            if isinstance(want, Send):
                return
            if not want.condition():
                self._until = now + want.limit_ms
                return
            answer = True

    def _check(self, now: int) -> None:
        """Go on with the procedure when what it waits for has come, or its time is over."""
        want = self._want
        if isinstance(want, Until):
            if want.condition():
                self._resume(True, now)
            elif now >= self._until:
                self._resume(False, now)
        self._next(now)

    # --- the link ---

    def _unacknowledged(self, now: int) -> None:
        if self._payload is None:
            return
        self._tries += 1
        if self._tries <= self._line.data_retries:
            return
        self._abandon()
        if self._source is _Source.COMMAND and isinstance(self._want, Send):
            self._resume(False, now)
        self._next(now)

    # --- what the head says ---

    def _survey_round(self, now: int) -> None:
        picture = self.picture
        if picture.status is None or not picture.nozzle_known or picture.statuses == self._survey_statuses:
            return
        seen = (picture.status, picture.nozzle)
        self._survey_count = self._survey_count + 1 if seen == self._survey_seen else 1
        self._survey_seen = seen
        if self._survey_count < self._line.survey_rounds:
            return
        self.surveyed = True
        self._told_lost = False
        self._post(PumpSurveyed(self.fp, picture.status, picture.nozzle))
        for alarm in self._early_alarms:
            self._post(PumpAlarmed(self.fp, alarm))
        self._early_alarms.clear()
        self._arm_live(now)

    def _on_status(self, status: PumpStatus, now: int) -> None:
        self.picture.statuses += 1
        if status is self.picture.status:
            return
        self.picture.status = status
        if self.surveyed:
            self._post(PumpStatusChanged(self.fp, status))
            self._arm_live(now)

    def _arm_live(self, now: int) -> None:
        self.picture.progress = None
        self._live_at = now + self._line.live_interval_ms if self.picture.status is PumpStatus.FILLING else None

    def _on_nozzle(self, reply: NozzleReply) -> None:
        before = self.picture.nozzle
        self.picture.nozzle_known = True
        self.picture.nozzle = reply.nozzle
        self.picture.price, self.picture.priced = reply.price, reply.named
        self.picture.prices += 1
        if not self.surveyed or reply.nozzle == before:
            return
        if before is not None:
            self._post(NozzleReturned(self.fp, before))
        if reply.nozzle is not None:
            self._post(NozzleLifted(self.fp, reply.nozzle, reply.price))

    def _on_fill(self, reply: FillReply) -> None:
        picture = self.picture
        picture.fill = reply
        picture.fills += 1
        picture.live_asked = False
        if self.surveyed and picture.status in RUNNING and reply != picture.progress:
            picture.progress = reply
            self._post(FillProgressed(self.fp, reply.volume_ml, reply.amount_minor))

    def _on_alarm(self, alarm: str) -> None:
        if self.surveyed:
            self._post(PumpAlarmed(self.fp, alarm))
        elif len(self._early_alarms) < _MAX_EARLY_ALARMS:
            self._early_alarms.append(alarm)


def _last_of_each(replies: list[mapping.Reply | None]) -> list[mapping.Reply | None]:
    """Without the statuses and nozzles that a later one of the same frame replaces."""
    last = {type(reply): place for place, reply in enumerate(replies)}
    return [reply for place, reply in enumerate(replies) if not isinstance(reply, StatusReply | NozzleReply) or last[type(reply)] == place]
