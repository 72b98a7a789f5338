"""What a DART master does to carry out each command, step by step.

Reference dispenser-protocols 1.8 to 1.10, and rules 1, 2 and 5 of section 8. A procedure is a generator: it yields ``Send`` and is told
whether the head's link acknowledged, or ``Until`` and is told whether the condition came true in time. It returns None when the command
took effect, else why it did not. A link's acknowledgement proves nothing; a status does.
Only ``confirm_fill`` sends RESET, because RESET erases the head's record of the fill.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.dart import mapping
from drivers.dispenser.dart.frames import Transaction
from drivers.dispenser.dart.mapping import FillReply, TotalReply
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.dispenser.units import Unsendable
from drivers.events import FillReported, PricesReported, PumpEvent, PumpStatus, TotalReported

RELEASED = (PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.SUSPENDED)
"""States in which fuel can flow, or can flow again, without another command of ours."""
FINISHED = (PumpStatus.COMPLETED, PumpStatus.LIMIT_REACHED)
STARTED = (*RELEASED, *FINISHED)
"""States that only a release leads to from RESET. The finished ones too: a short fill may be over before its start was told, and it must be
read, not taken for a release that failed."""
RUNNING = (PumpStatus.FILLING, PumpStatus.SUSPENDED)

_AUTHORIZE_TRIES = 2
_STOP_TRIES = 5
_RESET_TRIES = 3
_READ_TRIES = 3


@dataclass(frozen=True, slots=True)
class Send:
    """One DATA frame. Answered True when the link acknowledged it."""

    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class Until:
    """Go on polling until this holds. Answered False when the time is over."""

    condition: Callable[[], bool]
    limit_ms: int


Procedure = Generator[Send | Until, bool, str | None]
Part = Generator[Send | Until, bool, bool]


@dataclass(slots=True)
class Picture:
    """What the head has said since it began to answer. The counters tell a fresh reply from a known one."""

    status: PumpStatus | None = None
    nozzle: int | None = None
    nozzle_known: bool = False
    price: int | None = None
    priced: int = 0  # the nozzle whose price that is; 0: the head did not name one
    prices: int = 0
    fill: FillReply | None = None
    total: TotalReply | None = None
    statuses: int = 0
    fills: int = 0
    totals: int = 0
    drained: bool = False  # the last poll was answered with EOT: nothing is queued in the head
    live_asked: bool = False  # a live reading was asked for and has not come
    progress: FillReply | None = None  # the last reading posted as progress


@dataclass(frozen=True, slots=True)
class Desk:
    """What a procedure works with."""

    picture: Picture
    position: PositionProfile
    line: LineProfile
    post: Callable[[PumpEvent], None]


def procedure(desk: Desk, command: PumpCommand, in_doubt: bool) -> Procedure:
    """The procedure of a command. ``in_doubt``: a release was sent and never settled, so a stop may not trust the last status."""
    match command:
        case AuthorizeFuellingPoint():
            return authorize(desk, command)
        case StopFuellingPoint():
            return stop(desk, in_doubt)
        case ReadFill():
            return read_fill(desk)
        case ReadTotal():
            return read_total(desk, command.nozzle)
        case ConfirmFill():
            return confirm_fill(desk)
        case SetPrices():
            return set_prices(desk, command.prices)


def _after(count: Callable[[], int]) -> Callable[[], bool]:
    """A condition: this counter has moved since now."""
    before = count()
    return lambda: count() != before


def _stopped(picture: Picture) -> Callable[[], bool]:
    """A condition: the head's newest word, with nothing behind it in its queue, came after now and is not a released status."""
    spoke = _after(lambda: picture.statuses)
    return lambda: picture.drained and spoke() and picture.status not in RELEASED


def _named(status: PumpStatus | None) -> str:
    return "unknown" if status is None else status.value


def _effect(desk: Desk, condition: Callable[[], bool]) -> Part:
    """Wait for a status that proves an effect; ask for the status when the head says nothing by itself."""
    if (yield Until(condition, desk.line.effect_query_ms)):
        return True
    yield Send((mapping.RETURN_STATUS,))
    return (yield Until(condition, max(1, desk.line.effect_limit_ms - desk.line.effect_query_ms)))


def authorize(desk: Desk, command: AuthorizeFuellingPoint) -> Procedure:
    """Nozzle and preset, then AUTHORIZE; done when the status says so.

    One repeat of the whole, then STOP, so that no release is left behind.
    """
    picture = desk.picture
    if picture.status is not PumpStatus.RESET:
        return f"the position is {_named(picture.status)}, not reset"
    try:
        start = _start(desk, command)
    except Unsendable as error:
        return str(error)
    for _ in range(_AUTHORIZE_TRIES):
        sent = True
        for transactions in start:
            sent = sent and (yield Send(transactions))
        # A frame whose acknowledgement was lost may have been executed: the status decides in either case.
        if (yield from _effect(desk, lambda: picture.status is not PumpStatus.RESET)):
            break
    if picture.status in STARTED:
        return None
    left = picture.status
    why = yield from stop(desk, in_doubt=True)
    return f"the position stayed {_named(left)}" + (f"; the stop that followed: {why}" if why else "")


def _start(desk: Desk, command: AuthorizeFuellingPoint) -> list[tuple[Transaction, ...]]:
    profile, picture = desk.position, desk.picture
    words = [mapping.allowed_nozzle(command.nozzle)]
    if profile.prices_with_authorize:
        words.append(mapping.prices(profile, command.prices))
    elif picture.nozzle == command.nozzle and 1 <= command.nozzle <= len(command.prices):
        asked = command.prices[command.nozzle - 1]
        if picture.price != asked:
            raise Unsendable(f"the head shows the price {picture.price} for nozzle {command.nozzle}, not {asked}")
    words.append(mapping.preset(profile, command.preset_volume_ml, command.preset_amount_minor))
    if profile.combined_start:
        return [(*words, mapping.AUTHORIZE)]
    return [tuple(words), (mapping.AUTHORIZE,)]


def stop(desk: Desk, in_doubt: bool) -> Procedure:
    """STOP until a status outside the released ones is seen; when in doubt, a status younger than the STOP."""
    picture = desk.picture
    sure = not in_doubt and picture.status is not None
    for _ in range(_STOP_TRIES):
        if sure and picture.status not in RELEASED:
            return None
        yield Send((mapping.STOP,))
        if not sure:
            yield Send((mapping.RETURN_STATUS,))
        sure = yield from _effect(desk, _stopped(picture))
    if sure and picture.status not in RELEASED:
        return None
    return f"the position is {_named(picture.status)} in spite of the stop"


def read_fill(desk: Desk) -> Procedure:
    """Ask for the filling information and post it as the record, unless the fill runs: then it is progress.

    First everything that waits in the head is taken, because an older reading in its queue would be mistaken for the record.
    """
    picture = desk.picture
    for _ in range(_READ_TRIES):
        yield Until(lambda: picture.drained and not picture.live_asked, desk.line.effect_query_ms)
        picture.live_asked = False
        picture.progress = None
        running, arrived = picture.status in RUNNING, _after(lambda: picture.fills)
        if not (yield Send((mapping.RETURN_FILLING,))) or not (yield Until(arrived, desk.line.effect_limit_ms)):
            continue
        if picture.status in RUNNING:
            return None  # posted as progress when it came
        if not running and picture.fill is not None:
            desk.post(FillReported(desk.position.fp, picture.fill.volume_ml, picture.fill.amount_minor))
            return None
        # The fill ended while the reading was on its way: it may be one from before the end.
    return "no filling information"


def read_total(desk: Desk, nozzle: int) -> Procedure:
    """Ask for one nozzle's volume counter and post it."""
    picture = desk.picture
    try:
        request = mapping.request_total(nozzle)
    except Unsendable as error:
        return str(error)
    for _ in range(_READ_TRIES):
        yield Until(lambda: picture.drained, desk.line.effect_query_ms)
        arrived = _after(lambda: picture.totals)
        if not (yield Send((request,))) or not (yield Until(arrived, desk.line.effect_limit_ms)):
            continue
        total = picture.total
        if total is not None and total.nozzle == nozzle:
            desk.post(TotalReported(desk.position.fp, nozzle, total.volume_ml))
            return None
    return f"no totals for nozzle {nozzle}"


def confirm_fill(desk: Desk) -> Procedure:
    """RESET until the status is reset. Nothing to do when it is so already; refused while the fill has not finished."""
    picture = desk.picture
    for _ in range(_RESET_TRIES):
        if picture.status is PumpStatus.RESET:
            return None
        if picture.status not in FINISHED:
            break
        yield Send((mapping.RESET,))
        yield from _effect(desk, lambda: picture.status not in FINISHED)
    if picture.status is PumpStatus.RESET:
        return None
    return f"the position is {_named(picture.status)}, not reset"


def set_prices(desk: Desk, values: tuple[int, ...]) -> Procedure:
    """CD5 for all nozzles, then what the head shows. Refused while fuel can flow, because a price that changes under a fill belongs to no
    sale, and over a fill that is not confirmed, because a head may lose it.
    """
    picture = desk.picture
    if picture.status in RELEASED:
        return f"the position is {_named(picture.status)}: no price change now"
    if picture.status in FINISHED:
        return "the last fill is not confirmed: no price change now"
    try:
        words = (mapping.prices(desk.position, values),)
    except Unsendable as error:
        return str(error)
    for _ in range(2 if desk.position.prices_twice else 1):
        if not (yield Send(words)):
            return "the prices were not acknowledged"
    if picture.status is PumpStatus.NOT_PROGRAMMED and not (
        yield from _effect(desk, lambda: picture.status is not PumpStatus.NOT_PROGRAMMED)
    ):
        return "the position is not programmed in spite of the prices"
    yield from _prices_shown(desk, len(values))
    return None


def _prices_shown(desk: Desk, nozzles: int) -> Part:
    """Read back and post what the head shows. DC3 has one price, of the nozzle that it names; the others come with their lifts."""
    picture = desk.picture
    told: dict[int, int] = {}
    for _ in range(_READ_TRIES):
        yield Until(lambda: picture.drained, desk.line.effect_query_ms)  # a DC3 from before the prices may still be queued in the head
        arrived = _after(lambda: picture.prices)
        if (yield Send((mapping.RETURN_STATUS,))) and (yield Until(arrived, desk.line.effect_limit_ms)) and picture.price is not None:
            told[picture.priced or (1 if nozzles == 1 else 0)] = picture.price
            break
    desk.post(PricesReported(desk.position.fp, tuple(told.get(nozzle) for nozzle in range(1, nozzles + 1))))
    return True
