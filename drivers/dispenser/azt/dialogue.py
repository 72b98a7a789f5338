"""What the procedures of an AZT master are made of: a question and its reply, what is known of a head, and the questions themselves.

azt.md; reference dispenser-protocols 3.5. A procedure is a generator: it yields ``Ask`` and is told the answer, None when there was none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from drivers.dispenser.azt import mapping
from drivers.dispenser.azt.frames import Answer, Command, Request, Short, Word
from drivers.dispenser.azt.mapping import Digits, Register, State
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
from drivers.events import PumpEvent


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, sent up to so many times until something answers."""

    request: Request
    tries: int


Reply = Answer | Short | None
Procedure = Generator[Ask, Reply, str | None]


@dataclass(slots=True)
class Picture:
    """What the head has said since it began to answer."""

    state: State | None = None
    over: bool = False
    digits: Digits = Digits(6, 6, 4)
    register: Register | None = None
    limit_reached: bool = False
    judged: bool = True  # whether the end of the last fill was its dose is known
    statuses: int = 0
    slow_down_sent: bool = False


@dataclass(slots=True)
class Anchor:
    """The transaction that the last release began, and what this master knows of its end. Outlives the loss of the line.

    ``transaction`` is what the ledger knows of the last life, where that is told before the first survey.
    ``unconfirmed``: its record has not been confirmed by us. ``dose``: (ml, minor units) that we set for it.
    """

    transaction: int | None = None
    unconfirmed: bool = False
    remembered: bool = False  # compared with what the ledger knows
    dose: tuple[int | None, int | None] = (None, None)


@dataclass(slots=True)
class Desk:
    """What a procedure works with. ``now`` is the instant of the last answer; ``retell`` says what has changed for the forecourt."""

    picture: Picture
    anchor: Anchor
    position: PositionProfile
    line: LineProfile
    post: Callable[[PumpEvent], None]
    retell: Callable[[], None]
    now: int = 0


# --- asking -----------------------------------------------------------------------------------------------------------


def ask(desk: Desk, command: Command) -> Generator[Ask, Reply, bytes | None]:
    """A question that changes nothing: the answer's data, None when there is none."""
    reply = yield Ask(Request(desk.position.address, command.value), desk.line.tries)
    return reply.data if isinstance(reply, Answer) else None


def tell(desk: Desk, command: Command) -> Generator[Ask, Reply, Word | None]:
    """A command that changes something, sent once: the short answer, None when there is none."""
    reply = yield Ask(Request(desk.position.address, command.value), 1)
    return reply.word if isinstance(reply, Short) else None


def state_of(desk: Desk) -> Generator[Ask, Reply, State | None]:
    """The state as it is now, None when the head does not say."""
    before = desk.picture.statuses
    yield Ask(Request(desk.position.address, Command.STATUS.value), desk.line.tries)
    return desk.picture.state if desk.picture.statuses != before else None


def transaction_of(desk: Desk) -> Generator[Ask, Reply, int | None]:
    data = yield from ask(desk, Command.TRANSACTION)
    return None if data is None else mapping.transaction(data)


def register_of(desk: Desk) -> Generator[Ask, Reply, Register | None]:
    data = yield from ask(desk, Command.REGISTER)
    register = None if data is None else mapping.register(desk.position, desk.picture.digits, data)
    if register is not None:
        desk.picture.register = register
    return register


def until(desk: Desk, wanted: Callable[[State], bool]) -> Generator[Ask, Reply, State | None]:
    """Ask for the state until it is a wanted one or the time for an effect is over; the last one told."""
    end = desk.now + desk.line.effect_limit_ms
    while True:
        state = yield from state_of(desk)
        if state is None or wanted(state) or desk.now >= end:
            return state


def named(state: State | None) -> str:
    """The state in words."""
    return "unknown" if state is None else state.name.lower().replace("_", " ")
