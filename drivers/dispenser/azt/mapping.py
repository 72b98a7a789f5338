"""AZT digits and the forecourt's own words (reference dispenser-protocols 3.4, 3.5; azt.md).

Volumes leave in millilitres, amounts in the currency's minor units, prices in 1/10000 of the major unit per litre; on the wire they are
digits whose decimals the profile knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.dispenser.azt.frames import Answer, Command, Request, Short, Word
from drivers.dispenser.azt.profile import MAX_VOLUME_ML, PositionProfile
from drivers.dispenser.units import PRICE_DECIMALS, VOLUME_ML_DECIMALS, Unsendable, floored, rounded

TRANSACTIONS = 100_000_000
"""The transaction number has eight digits."""
_VOLUME_DIGITS = 5
_PRICE_DIGITS = 4
_AMOUNT_DIGITS = 6
_SLOW_DOWN_DIGITS = 3


class State(Enum):
    """What a head says of itself."""

    HANGING = 0
    LIFTED = 1
    AUTHORIZED = 2
    STARTED = 3
    FINISHED = 4
    LOCAL_DOSE = 8


RESTING = (State.HANGING, State.LIFTED)
RELEASED = (State.AUTHORIZED, State.STARTED)


@dataclass(frozen=True, slots=True)
class Digits:
    """How many digits the register has of volume, amount and price, in this order on the wire."""

    volume: int
    amount: int
    price: int


_DIGITS = {
    **dict.fromkeys((0x3A, 0x3C, 0x3D, 0x3E), Digits(6, 6, 4)),
    **dict.fromkeys((0x3B, 0x3F, 0x40), Digits(6, 8, 6)),
    0x41: Digits(5, 7, 4),
}


@dataclass(frozen=True, slots=True)
class StatusReply:
    """Command 1. ``over``: more than the dose flowed, or something flowed that nobody released."""

    state: State
    over: bool


@dataclass(frozen=True, slots=True)
class Register:
    """Command 5: the running or the last fill, and the price that is in force."""

    volume_ml: int
    amount_minor: int
    price: int


# --- to the head ------------------------------------------------------------------------------------------------------


def dose(profile: PositionProfile, volume_ml: int | None, amount_minor: int | None) -> Request:
    """T or S, rounded down to the head's unit; more than the protocol carries is the most that it carries. Raises Unsendable."""
    if volume_ml is not None and amount_minor is not None:
        raise Unsendable("a dose of volume and of money at once")
    if volume_ml is not None:
        if volume_ml < profile.minimum_ml:
            raise Unsendable(f"the dose is below the head's smallest quantity, {profile.minimum_ml} ml")
        units = floored(min(volume_ml, MAX_VOLUME_ML), VOLUME_ML_DECIMALS, profile.volume_decimals)
        command, digits = Command.DOSE_VOLUME, _VOLUME_DIGITS
    elif amount_minor is not None:
        units = floored(amount_minor, profile.currency_decimals, profile.amount_decimals)
        command, digits = Command.DOSE_AMOUNT, _AMOUNT_DIGITS
    else:
        raise Unsendable("no dose")
    if units < 1:
        raise Unsendable("the dose is below the head's smallest unit")
    return Request(profile.address, command.value, _digits(min(units, int(10**digits) - 1), digits))


def price(profile: PositionProfile, values: tuple[int, ...]) -> Request:
    """Q. Raises Unsendable when the head cannot show it exactly: a price is never rounded."""
    value = only_price(values)
    units = floored(value, PRICE_DECIMALS, profile.price_decimals)
    if rounded(units, profile.price_decimals, PRICE_DECIMALS) != value or not 1 <= units < 10**_PRICE_DIGITS:
        raise Unsendable(f"the price does not fit the head's {_PRICE_DIGITS} digits with {profile.price_decimals} decimals")
    return Request(profile.address, Command.PRICE.value, _digits(units, _PRICE_DIGITS))


def only_price(values: tuple[int, ...]) -> int:
    """The price of the one hose. Raises Unsendable."""
    if len(values) != 1:
        raise Unsendable(f"{len(values)} prices for an AZT address, which is one hose")
    return values[0]


def slow_down(profile: PositionProfile, volume_ml: int) -> Request:
    """R: so much before the dose the flow is reduced."""
    units = floored(volume_ml, VOLUME_ML_DECIMALS, profile.volume_decimals)
    return Request(profile.address, Command.SLOW_DOWN.value, _digits(min(units, 999), _SLOW_DOWN_DIGITS))


def _digits(value: int, count: int) -> bytes:
    return f"{value:0{count}d}".encode("ascii")


# --- from the head ----------------------------------------------------------------------------------------------------


_LENGTHS = {
    Command.STATUS.value: range(1, 6),
    Command.CURRENT.value: range(6, 8),
    Command.REGISTER.value: range(16, 41),
    Command.TOTALS.value: range(16, 25, 2),
    Command.TYPE.value: range(1, 6),
    Command.VERSION.value: range(8, 16),
    Command.DOSE.value: range(6, 8),
    Command.TRANSACTION.value: range(8, 16),
}
"""Bytes of the answers to questions; a few more than are known may follow, and are ignored. What is not here is answered in short."""


def fits(command: int, answer: Answer | Short) -> bool:
    """Whether this can be the answer to that command.

    Answers name neither head nor command. One that came twice, or late, would be taken for the answer to the next question, and so
    would every one behind it: what cannot be the answer is passed over, and the right one is still waited for.
    """
    lengths = _LENGTHS.get(command)
    if isinstance(answer, Short):
        return lengths is None or (command != Command.STATUS.value and answer.word is not Word.ACK)
    if lengths is None or len(answer.data) not in lengths:
        return False
    if command == Command.STATUS.value:
        return status(answer.data) is not None
    return command != Command.TYPE.value or answer.data[0] in _DIGITS


def number(data: bytes) -> int | None:
    """The number in ASCII digits, None when there is none or something else among them."""
    return int(data) if data.isdigit() else None


def status(data: bytes) -> StatusReply | None:
    """State, cause and whatever follows; None for a state that nobody knows."""
    code = number(data[:1])
    if code is None or code not in {state.value for state in State}:
        return None
    state = State(code)
    return StatusReply(state, state is State.FINISHED and data[1:2] == b"1")


def register(profile: PositionProfile, digits: Digits, data: bytes) -> Register | None:
    """Command 5; None when it is too short for the head's type, or no number."""
    one, two, three = digits.volume, digits.volume + digits.amount, digits.volume + digits.amount + digits.price
    if len(data) < three:
        return None
    volume, amount, unit_price = number(data[:one]), number(data[one:two]), number(data[two:three])
    if volume is None or amount is None or unit_price is None:
        return None
    return Register(
        rounded(volume, profile.volume_decimals, VOLUME_ML_DECIMALS),
        rounded(amount, profile.amount_decimals, profile.currency_decimals),
        rounded(unit_price, profile.price_decimals, PRICE_DECIMALS),
    )


def volume(profile: PositionProfile, data: bytes) -> int | None:
    """Commands 4 and X: a zero and five digits, in ml."""
    value = number(data[: _VOLUME_DIGITS + 1])
    return None if value is None else rounded(value, profile.volume_decimals, VOLUME_ML_DECIMALS)


def total(profile: PositionProfile, data: bytes) -> int | None:
    """Command 6: the volume totaliser in ml, the first half of the digits."""
    value = number(data[: len(data) // 2]) if data.isdigit() else None
    return None if value is None else rounded(value, profile.total_decimals, VOLUME_ML_DECIMALS)


def transaction(data: bytes) -> int | None:
    """Command Y: eight digits."""
    return number(data[:8])


def digits_of(data: bytes) -> Digits | None:
    """Command 7: what the head's type says; None for a type that nobody knows."""
    return _DIGITS.get(data[0]) if data else None


def cost(profile: PositionProfile, volume_ml: int, unit_price: int) -> int:
    """What a volume costs in minor units, half a coin up, as a head reckons."""
    return rounded(volume_ml * unit_price, VOLUME_ML_DECIMALS + PRICE_DECIMALS, profile.currency_decimals)
