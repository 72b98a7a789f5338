"""What an AZT master does to carry out each command, step by step.

Reference dispenser-protocols 3.5 to 3.8, and rules 1, 2, 4 and 5 of section 8; azt.md. A procedure is a generator: it yields ``Ask`` and is
told the answer, None when there was none. It returns None when the command took effect, else why it did not. A short answer proves nothing;
the status does, and the transaction number Y, which grows with each release and each price. What changes something is sent once and not
repeated before the status was asked. Only ``confirm_fill`` sends command 8.
"""

from __future__ import annotations

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.azt import mapping
from drivers.dispenser.azt.dialogue import (
    Ask,
    Desk,
    Procedure,
    ask,
    named,
    register_of,
    state_of,
    tell,
    transaction_of,
    until,
)
from drivers.dispenser.azt.frames import Command, Request, Short, Word
from drivers.dispenser.azt.mapping import RELEASED, RESTING, State
from drivers.dispenser.units import Unsendable
from drivers.events import FillProgressed, FillReported, PricesReported, TotalReported

_AUTHORIZE_TRIES = 2
_STOP_TRIES = 5
_CONFIRM_TRIES = 3
_READ_TRIES = 3
_TOTAL_TRIES = 6
_PRICE_TRIES = 2
_SURVEY_ROUNDS = 10


def procedure(desk: Desk, command: PumpCommand) -> Procedure:
    """The procedure of a command."""
    match command:
        case AuthorizeFuellingPoint():
            return authorize(desk, command)
        case StopFuellingPoint():
            return stop(desk)
        case ReadFill():
            return read_fill(desk)
        case ReadTotal():
            return read_total(desk, command.nozzle)
        case ConfirmFill():
            return confirm_fill(desk)
        case SetPrices():
            return set_prices(desk, command.prices)


# --- looking ----------------------------------------------------------------------------------------------------------


def survey(desk: Desk) -> Procedure:
    """Type, state, transaction and register, until a round ends with the state and transaction with which it began."""
    picture, anchor = desk.picture, desk.anchor
    data = yield from ask(desk, Command.TYPE)
    picture.digits = (mapping.digits_of(data) if data is not None else None) or picture.digits
    for _ in range(_SURVEY_ROUNDS):
        state = yield from state_of(desk)
        number = yield from transaction_of(desk)
        register = yield from register_of(desk)
        again = yield from transaction_of(desk)
        if number is None or register is None or number != again or (yield from state_of(desk)) is not state or state is None:
            continue
        if state not in (*RESTING, State.LOCAL_DOSE) or (anchor.transaction is not None and number != anchor.transaction):
            anchor.unconfirmed = True  # it runs, or it has ended and nobody of ours has read it
        if number != anchor.transaction:
            anchor.dose = (None, None)
        anchor.transaction = number
        return None
    return "state, transaction number and register could not be read"


def judge(desk: Desk) -> Procedure:
    """Whether the fill ended by its dose: its record against what was set."""
    register = yield from register_of(desk)
    volume_ml, amount_minor = desk.anchor.dose
    if register is not None:
        by_volume = volume_ml is not None and register.volume_ml >= volume_ml
        # The head rounds the volume down, so the amount may end below the money by less than the next unit of volume costs.
        step = mapping.cost(desk.position, int(10 ** (3 - desk.position.volume_decimals)), register.price) + 1
        desk.picture.limit_reached = by_volume or (amount_minor is not None and register.amount_minor + step > amount_minor)
    desk.picture.judged = True
    desk.retell()
    return None


def cancel_local_dose(desk: Desk) -> Procedure:
    """A dose that somebody entered at the head is taken away: only the terminal releases. Nothing has flowed for it."""
    yield from tell(desk, Command.RESET)
    state = yield from state_of(desk)
    return None if state is not State.LOCAL_DOSE else "the head keeps a dose that was entered at it"


# --- commands ---------------------------------------------------------------------------------------------------------


def authorize(desk: Desk, command: AuthorizeFuellingPoint) -> Procedure:
    """Dose, its reading again, command 2; done when state or transaction number say so. On failure the head is reset for certain."""
    picture, anchor, profile = desk.picture, desk.anchor, desk.position
    state = yield from state_of(desk)
    if state not in RESTING:
        return f"the head is {named(state)}, not at rest"
    if anchor.unconfirmed:
        return "the last fill is not confirmed"
    try:
        if command.nozzle != profile.nozzle:
            raise Unsendable(f"the hose is nozzle {profile.nozzle}, not {command.nozzle}")
        asked = mapping.only_price(command.prices)
        dose = mapping.dose(profile, command.preset_volume_ml, command.preset_amount_minor)
    except Unsendable as error:
        return str(error)
    why = yield from _same_transaction(desk)
    if why is None and (picture.register is None or picture.register.price != asked):
        if not profile.prices_with_authorize:
            return f"the head has the price {'unknown' if picture.register is None else picture.register.price}, not {asked}"
        why = yield from _price(desk, command.prices)
    if why is None:
        why = yield from _dose(desk, dose, command)
    if why is not None:
        return why
    anchor.dose = (command.preset_volume_ml, command.preset_amount_minor)
    why = yield from _release(desk, state)
    if why is None:
        return None
    left = yield from stop(desk)
    return why + (f"; the stop that followed: {left}" if left else "")


def _same_transaction(desk: Desk) -> Procedure:
    """Nothing has happened at the head that nobody of ours has seen. Else its record is to be read first: it counts as unconfirmed."""
    number = yield from transaction_of(desk)
    if number is None:
        return "the head does not tell its transaction number"
    if number == desk.anchor.transaction:
        return None
    before, desk.anchor.transaction = desk.anchor.transaction, number
    desk.anchor.unconfirmed = True
    desk.retell()
    return f"the transaction number moved from {before} to {number} without us"


def _dose(desk: Desk, dose: Request, command: AuthorizeFuellingPoint) -> Procedure:
    """Set the slow-down where the profile has one, and the dose; read the dose again."""
    profile = desk.position
    if profile.slow_down_ml is not None and not desk.picture.slow_down_sent:
        if (yield Ask(mapping.slow_down(profile, profile.slow_down_ml), desk.line.tries)) != Short(Word.ACK):
            return "the head does not take the slow-down threshold"
        desk.picture.slow_down_sent = True
    reply = yield Ask(dose, desk.line.tries)
    if reply != Short(Word.ACK):
        return "the head does not take the dose" + (f" ({reply.word.name})" if isinstance(reply, Short) else "")
    if not profile.dose_readback:
        return None
    data = yield from ask(desk, Command.DOSE)
    volume_ml = None if data is None else mapping.volume(profile, data)
    if volume_ml is None:
        return "the head does not tell the dose that was set"
    register = desk.picture.register
    if dose.command == Command.DOSE_VOLUME.value:
        right = volume_ml == mapping.number(dose.data[:5]) * int(10 ** (3 - profile.volume_decimals))  # type: ignore[operator]
    else:
        right = register is not None and mapping.cost(profile, volume_ml, register.price) <= (command.preset_amount_minor or 0)
    return None if right else f"the head has another dose: {volume_ml} ml"


def _release(desk: Desk, rest: State) -> Procedure:
    """Command 2, and what proves it. The nozzle must be where it was: once released, the head does not tell where it is."""
    anchor = desk.anchor
    before = anchor.transaction or 0
    after = (before + 1) % mapping.TRANSACTIONS
    for _ in range(_AUTHORIZE_TRIES):
        state = yield from state_of(desk)
        if state is not rest:
            return "the nozzle was moved" if state in RESTING else f"the head is {named(state)}, not at rest"
        word = yield from tell(desk, Command.AUTHORIZE)
        if word is Word.ACK:
            state = yield from until(desk, lambda each: each not in RESTING)
        else:
            state = yield from state_of(desk)
        number = yield from transaction_of(desk)
        if state not in (*RESTING, State.LOCAL_DOSE, None) or number == after:
            # A short fill may be over already, also at a head that leaves the finished state by itself.
            anchor.transaction, anchor.unconfirmed = (after if number is None else number), True
            desk.retell()
            return None
        if word in (Word.CAN, Word.NAK):
            return f"the head does not take the release ({word.name})"
    return f"the head stayed {named(desk.picture.state)}"


def stop(desk: Desk) -> Procedure:
    """Command 3 until a state is told in which nothing can flow."""
    state = yield from state_of(desk)
    for _ in range(_STOP_TRIES):
        if state is not None and state not in (*RELEASED, State.LOCAL_DOSE):
            return None
        yield from tell(desk, Command.RESET)
        state = yield from state_of(desk)
    if state is not None and state not in (*RELEASED, State.LOCAL_DOSE):
        return None
    return f"the head is {named(state)} in spite of the stop"


def read_fill(desk: Desk) -> Procedure:
    """The register between two equal transaction numbers and states, as the record; while it runs it is progress."""
    picture, anchor, fp = desk.picture, desk.anchor, desk.position.fp
    for _ in range(_READ_TRIES):
        state = yield from state_of(desk)
        number = yield from transaction_of(desk)
        register = yield from register_of(desk)
        if register is None or number is None or (yield from transaction_of(desk)) != number or (yield from state_of(desk)) is not state:
            continue
        if state in RELEASED:
            desk.post(FillProgressed(fp, register.volume_ml, register.amount_minor))
            return None
        if state in RESTING and anchor.unconfirmed and number != anchor.transaction:
            anchor.transaction, anchor.unconfirmed = number, False
            desk.retell()
            return f"the register belongs to transaction {number}: the record is gone"
        anchor.transaction = number
        desk.post(FillReported(fp, register.volume_ml, register.amount_minor))
        return None
    return f"no record of the fill; the head is {named(picture.state)}"


def read_total(desk: Desk, nozzle: int) -> Procedure:
    """The hose's volume totaliser."""
    if nozzle != desk.position.nozzle:
        return f"the hose is nozzle {desk.position.nozzle}, not {nozzle}"
    last: int | None = None
    for _ in range(_TOTAL_TRIES):
        flowing = desk.picture.state in RELEASED
        if flowing and (yield from state_of(desk)) is None:
            continue
        data = yield from ask(desk, Command.TOTALS)
        volume_ml = None if data is None else mapping.total(desk.position, data)
        # An answer names nobody: a record that came late has the length of totals, and a head that took a request twice answers twice, the
        # second time perhaps in another one's turn. So two readings must say the same. While fuel may flow they cannot; there a reading
        # counts between two states, which nothing but a state can answer.
        if volume_ml is not None and ((yield from state_of(desk)) is not None if flowing else volume_ml == last):
            desk.post(TotalReported(desk.position.fp, nozzle, volume_ml))
            return None
        last = volume_ml if volume_ml is not None else last
    return f"no totals for nozzle {nozzle}"


def confirm_fill(desk: Desk) -> Procedure:
    """Command 8 until the head is at rest. A head at rest needs none; refused while the fill has not finished."""
    anchor = desk.anchor
    state = yield from state_of(desk)
    for _ in range(_CONFIRM_TRIES):
        if state is not State.FINISHED:
            break
        anchor.unconfirmed = False  # from here on the head's rest is ours to tell
        yield from tell(desk, Command.CONFIRM)
        state = yield from state_of(desk)
    if state in RESTING:
        anchor.unconfirmed = False
        desk.retell()
        return None
    if state is State.FINISHED:
        anchor.unconfirmed = True
    return f"the head is {named(state)}, not at rest"


def set_prices(desk: Desk, values: tuple[int, ...]) -> Procedure:
    """Q, never over a fill that nobody has read: it clears the register. Nothing is sent for the price that the head has already."""
    state = yield from state_of(desk)
    if state not in RESTING:
        return f"the head is {named(state)}: no price change now"
    if desk.anchor.unconfirmed:
        return "the last fill is not confirmed: no price change now"
    why = yield from _price(desk, values)
    if why is None and desk.picture.register is not None:
        desk.post(PricesReported(desk.position.fp, (desk.picture.register.price,)))
    return why


def _price(desk: Desk, values: tuple[int, ...]) -> Procedure:
    """Q at a head at rest without an unread fill; proved by the transaction number and by the register's price."""
    anchor = desk.anchor
    try:
        request = mapping.price(desk.position, values)
    except Unsendable as error:
        return str(error)
    why = yield from _same_transaction(desk)
    if why is not None:
        return why
    register = yield from register_of(desk)
    for _ in range(_PRICE_TRIES):
        if register is not None and register.price == values[0]:
            desk.retell()
            return None
        yield Ask(request, 1)
        number = yield from transaction_of(desk)
        if number is not None and number == ((anchor.transaction or 0) + 1) % mapping.TRANSACTIONS:
            anchor.transaction = number  # the price is ours, whatever the register says of it
        register = yield from register_of(desk)
    if register is not None and register.price == values[0]:
        desk.retell()
        return None
    return f"the head has the price {'unknown' if register is None else register.price}, not {values[0]}"
