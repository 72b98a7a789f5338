"""One hose on an AZT line: its survey, its commands one after another, and what it has said.

Reference dispenser-protocols 3.3 (silence), 3.4 (states), 3.7 and 3.8 (after a loss); azt.md. The line decides when a position may be
asked; the position decides what it is asked and what its words mean.

A head at rest whose last record has not been confirmed counts as COMPLETED, whatever it says: some leave the finished state by
themselves, and the record is read before anything else happens to it. The transaction number tells whether it is still that record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto

from drivers.commands import PumpCommand, StopFuellingPoint
from drivers.dispenser.azt import mapping
from drivers.dispenser.azt.codec import encode
from drivers.dispenser.azt.dialogue import Anchor, Ask, Desk, Picture, Procedure
from drivers.dispenser.azt.frames import Answer, Command, Request, Short
from drivers.dispenser.azt.mapping import RESTING, State, StatusReply
from drivers.dispenser.azt.procedures import cancel_local_dose, judge, procedure, survey
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
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
    TransactionSettled,
)

OVER_ALARM = "more flowed than the dose, or something that nobody released"
LOCAL_DOSE_ALARM = "a dose was entered at the head"


class _Asked(Enum):
    """What the request under way is for."""

    POLL = auto()
    LIVE = auto()
    PROCEDURE = auto()
    NOTHING = auto()  # any more: whoever asked was withdrawn


class Position(LinePosition):
    """The master's side of one hose. All times are ``now`` in milliseconds."""

    def __init__(self, profile: PositionProfile, line: LineProfile, post: Callable[[PumpEvent], None]) -> None:
        super().__init__(profile.fp, line, post)
        self.profile = profile
        self.poll = encode(Request(profile.address, Command.STATUS.value))
        self.idle_answer = b""
        """The last answer to a poll, as it comes on the wire; the same again changes nothing while the position is quiet."""
        self._line = line
        self._settled: int | None = None
        self._live = encode(Request(profile.address, Command.CURRENT.value))
        self._anchor = Anchor()
        self._asked = _Asked.POLL
        self._command_asked = Command.STATUS.value
        self._tries = 0
        self._procedure: Procedure | None = None
        self._want: Ask | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of the head but what the anchor says."""
        self.picture = Picture()
        self.surveyed = False
        self.idle_answer = b""
        self._desk = Desk(self.picture, self._anchor, self.profile, self._line, self._post, self._retell)
        self._answering = False
        self._surveying = False
        self._read = False
        """A survey has come to its end, and the head's state is still that one's."""
        self._told: PumpStatus | None = None
        self._nozzle_out = False
        self._live_at: int | None = None
        self._cancel_at = 0
        self._progress: int | None = None

    # --- what the line asks ---

    @property
    def quiet(self) -> bool:
        """Surveyed, alive and without anything to do: the same state again changes nothing."""
        return self.surveyed and self._procedure is None and not self._misses and self.picture.state is not State.LOCAL_DOSE

    @property
    def survey_over(self) -> bool:
        """See the base."""
        return self.surveyed or self._read

    @property
    def timer_at(self) -> int | None:
        """When the next live reading is due, None when no fuel flows."""
        return self._live_at

    def wants(self, now: int) -> bool:
        """There is more to ask now than the state."""
        return not self.dead and (self._want is not None or (self._live_at is not None and now >= self._live_at))

    def request(self, now: int) -> bytes:
        """What to send at this turn: the procedure's request, the live reading that is due, or a poll."""
        if self._want is not None and not self.dead:
            self._asked, self._command_asked = _Asked.PROCEDURE, self._want.request.command
            self._tries += 1
            return encode(self._want.request)
        if self._live_at is not None and now >= self._live_at:
            self._asked, self._command_asked = _Asked.LIVE, Command.CURRENT.value
            late = self._live_at + self._line.live_interval_ms
            self._live_at = late if late > now else now + self._line.live_interval_ms
            return self._live
        self._asked, self._command_asked = _Asked.POLL, Command.STATUS.value
        return self.poll

    # --- what the line heard ---

    def on_answer(self, answer: Answer | Short, now: int) -> bool:
        """The answer to the request under way. False when it cannot be one: then the right one is still waited for."""
        self._desk.now = now
        if not mapping.fits(self._command_asked, answer):
            return False
        self._alive()
        if self._command_asked == Command.STATUS.value and isinstance(answer, Answer):
            reply = mapping.status(answer.data)
            if self._asked is _Asked.POLL:
                self.idle_answer = encode(answer)
            if reply is not None and self._asked is not _Asked.NOTHING:
                self._on_status(reply, now)
        if self._asked is _Asked.LIVE:
            self._on_live(answer)
        elif self._asked is _Asked.PROCEDURE:
            self._resume(answer, now)
        self._next(now)
        return True

    def on_silence(self, now: int) -> None:
        """The request was not answered, or not by an answer."""
        self._desk.now = now
        if not self.dead:
            self._misses += 1
        if self._misses >= self._line.misses_until_lost and not self.dead:
            self.dead = True
            self.lose(f"no answer to {self._misses} requests", now)
        elif self._asked is _Asked.PROCEDURE and self._want is not None and self._tries >= self._want.tries:
            self._resume(None, now)
            self._next(now)

    # --- commands ---

    def _step_aside(self) -> None:
        self._drop_procedure()

    def _drop_procedure(self) -> None:
        if self._procedure is not None:
            self._procedure.close()
        self._procedure = self._command = self._want = None
        self._surveying = False
        if self._asked is _Asked.PROCEDURE:
            self._asked = _Asked.NOTHING

    def _next(self, now: int) -> None:
        """Begin what is to be done next when nothing is under way: stops and commands, but first whatever they build on."""
        while self._procedure is None and self._answering and not self.dead:
            stops = bool(self._queue) and isinstance(self._queue[0], StopFuellingPoint)
            if not self.surveyed and not stops:
                if self._read:
                    return  # told when the ledger's count is known
                self._surveying = True
                self._start(survey(self._desk), None, now)
                return
            if self.picture.state is State.FINISHED and not self.picture.judged and not stops:
                self._start(judge(self._desk), None, now)
            elif self._queue:
                command = self._queue.popleft()
                self._start(procedure(self._desk, command), command, now)
            elif self.picture.state is State.LOCAL_DOSE and now >= self._cancel_at:
                self._cancel_at = now + self._line.effect_limit_ms
                self._start(cancel_local_dose(self._desk), None, now)
            else:
                return

    def _start(self, running: Procedure, command: PumpCommand | None, now: int) -> None:
        self._procedure, self._command = running, command
        self._desk.now = now
        self._resume(None, now)

    def _resume(self, reply: Answer | Short | None, now: int) -> None:
        """Let the procedure go on to its next question."""
        running, command = self._procedure, self._command
        if running is None:
            return
        self._tries = 0
        try:
            self._want = next(running) if self._want is None else running.send(reply)
        except StopIteration as end:
            self._procedure = self._command = self._want = None
            if self._surveying:
                self._surveying = False
                if end.value is None:
                    self._survey_done(now)
            elif end.value is not None and command is not None:
                self._fail(command, end.value)
            self._tell_settled()

    # --- what the head says ---

    def _survey_done(self, now: int) -> None:
        self._read = True
        if not self._anchor.remembered:
            return  # what a head's rest means depends on what the ledger knows of its count
        self.surveyed = True
        self._told_lost = False
        state = self.picture.state
        self._nozzle_out = state in (State.LIFTED, State.STARTED)
        self._told = self._status()
        if self._told is None:
            return
        self._post(PumpSurveyed(self.fp, self._told, self.profile.nozzle if self._nozzle_out else None))
        self._alarms(None, StatusReply(State.HANGING, False))
        self._tell_settled()
        self._arm_live(now)

    def _status(self) -> PumpStatus | None:
        """The forecourt's word for what the head says; None while it is not known yet."""
        picture = self.picture
        match picture.state:
            case State.AUTHORIZED:
                return PumpStatus.AUTHORIZED
            case State.STARTED:
                return PumpStatus.FILLING
            case State.FINISHED:
                if not picture.judged:
                    return self._told
                return PumpStatus.LIMIT_REACHED if picture.limit_reached else PumpStatus.COMPLETED
            case None:
                return None
            case _ if self._anchor.unconfirmed:
                return PumpStatus.LIMIT_REACHED if self._told is PumpStatus.LIMIT_REACHED else PumpStatus.COMPLETED
            case _:
                priced = picture.register is None or picture.register.price > 0
                return PumpStatus.RESET if priced else PumpStatus.NOT_PROGRAMMED

    def _on_status(self, reply: StatusReply, now: int) -> None:
        picture = self.picture
        before = StatusReply(picture.state, picture.over) if picture.state is not None else None
        picture.statuses += 1
        if reply == before:
            return
        picture.state, picture.over = reply.state, reply.over
        self._read = False
        if not self.surveyed:
            return
        if reply.state is State.FINISHED and (before is None or before.state is not State.FINISHED):
            self._anchor.unconfirmed = True
            picture.judged, picture.limit_reached = False, False
        was_out = self._nozzle_out
        if reply.state in (State.HANGING, State.LIFTED, State.STARTED):
            self._nozzle_out = reply.state is not State.HANGING
        if was_out and not self._nozzle_out:
            self._post(NozzleReturned(self.fp, self.profile.nozzle))  # before the status: a head at rest may be released to a nozzle out
        self._retell()
        if self._nozzle_out and not was_out:
            price = None if picture.register is None else picture.register.price
            self._post(NozzleLifted(self.fp, self.profile.nozzle, price))
        self._alarms(reply, before)
        self._arm_live(now)

    def remember(self, settled: Mapping[tuple[int, int], int], now: int) -> None:
        """A number other than the ledger's: a fill or a price change that nobody of ours has read. (Reference dispenser-protocols 3.8.)"""
        anchor, number = self._anchor, settled.get((self.fp, self.profile.nozzle))
        if anchor.remembered:
            return
        anchor.remembered = True
        if number is not None and anchor.transaction is None:
            anchor.transaction = number  # the survey compares
        elif number is not None and anchor.transaction != number:
            anchor.unconfirmed = True
        if self._read:
            self._survey_done(now)

    def _tell_settled(self) -> None:
        """At rest with everything read: from here on another number is news."""
        anchor = self._anchor
        if not self.surveyed or anchor.unconfirmed or anchor.transaction is None or anchor.transaction == self._settled:
            return
        if self.picture.state in RESTING:
            self._settled = anchor.transaction
            self._post(TransactionSettled(self.fp, self.profile.nozzle, anchor.transaction))

    def _retell(self) -> None:
        status = self._status()
        if self.surveyed and status is not None and status is not self._told:
            self._told = status
            self._post(PumpStatusChanged(self.fp, status))

    def _alarms(self, reply: StatusReply | None, before: StatusReply | None) -> None:
        """What the head's new state complains of; all of it after a survey."""
        picture = self.picture
        if picture.over and (reply is None or before is None or not before.over):
            self._post(PumpAlarmed(self.fp, OVER_ALARM))
        if picture.state is State.LOCAL_DOSE and (reply is None or before is None or before.state is not State.LOCAL_DOSE):
            self._post(PumpAlarmed(self.fp, LOCAL_DOSE_ALARM))

    def _arm_live(self, now: int) -> None:
        if self.picture.state is not State.STARTED:
            self._live_at = None
        elif self._live_at is None:
            self._progress = None
            self._live_at = now + self._line.live_interval_ms

    def _on_live(self, answer: Answer | Short) -> None:
        """The volume that has flowed; what it costs is reckoned as the head does, because command 4 does not tell."""
        volume_ml = mapping.volume(self.profile, answer.data) if isinstance(answer, Answer) else None
        register = self.picture.register
        if volume_ml is None or register is None or self.picture.state is not State.STARTED or volume_ml == self._progress:
            return
        self._progress = volume_ml
        self._post(FillProgressed(self.fp, volume_ml, mapping.cost(self.profile, volume_ml, register.price)))
