"""DART transactions and the forecourt's own words (reference dispenser-protocols 1.7).

Transaction numbers mean one thing from the controller and another from the pump. Volumes leave in millilitres, amounts in the currency's
minor units, prices in 1/10000 of the major unit per litre; on the wire they are digits whose decimals the profile knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.dispenser.dart.codec import from_bcd, to_bcd
from drivers.dispenser.dart.frames import Transaction
from drivers.dispenser.dart.profile import PositionProfile
from drivers.dispenser.units import PRICE_DECIMALS, VOLUME_ML_DECIMALS, Unsendable, floored, rounded
from drivers.events import EMERGENCY_STOP, PumpStatus

MAX_NOZZLE = 15

RETURN_STATUS = Transaction(0x01, b"\x00")
RETURN_FILLING = Transaction(0x01, b"\x04")
RESET = Transaction(0x01, b"\x05")
AUTHORIZE = Transaction(0x01, b"\x06")
STOP = Transaction(0x01, b"\x08")

_STATUS = {
    0: PumpStatus.NOT_PROGRAMMED,
    1: PumpStatus.RESET,
    2: PumpStatus.AUTHORIZED,
    4: PumpStatus.FILLING,
    5: PumpStatus.COMPLETED,
    6: PumpStatus.LIMIT_REACHED,
    7: PumpStatus.SWITCHED_OFF,
    8: PumpStatus.SUSPENDED,
}

_ALARMS = {
    0x01: "CPU reset",
    0x03: "RAM error",
    0x04: "PROM checksum error",
    0x06: "pulser error",
    0x07: "pulser current error",
    0x09: EMERGENCY_STOP,
    0x0A: "power failure",
    0x0B: "pressure lost",
    0x0C: "blend ratio error",
    0x0D: "low leak error",
    0x0E: "high leak error",
    0x0F: "hose leak error",
    0x10: "vapour recovery error",
    0x11: "vapour recovery error",
    0x12: "vapour recovery error",
    0x13: "vapour recovery error",
    0x19: "vapour recovery error",
    0x20: "vapour recovery error",
}


@dataclass(frozen=True, slots=True)
class StatusReply:
    """DC1."""

    status: PumpStatus


@dataclass(frozen=True, slots=True)
class FillReply:
    """DC2: the running or the finished fill."""

    volume_ml: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class NozzleReply:
    """DC3. ``nozzle`` is the one that is out, None when all hang. ``named``: whose price it is, at rest the last one used; 0: none."""

    nozzle: int | None
    price: int
    named: int = 0


@dataclass(frozen=True, slots=True)
class AlarmReply:
    """DC5."""

    alarm: str


@dataclass(frozen=True, slots=True)
class TotalReply:
    """DC101 of a volume counter."""

    nozzle: int
    volume_ml: int


Reply = StatusReply | FillReply | NozzleReply | AlarmReply | TotalReply


# --- to the pump ------------------------------------------------------------------------------------------------------


def allowed_nozzle(nozzle: int) -> Transaction:
    """CD2 with one nozzle. Raises Unsendable."""
    return Transaction(0x02, bytes((_nozzle(nozzle),)))


def preset(profile: PositionProfile, volume_ml: int | None, amount_minor: int | None) -> Transaction:
    """CD3 or CD4, rounded down to the head's unit; larger than its display is its display's maximum. Raises Unsendable."""
    if volume_ml is not None and amount_minor is not None:
        raise Unsendable("a preset of volume and of amount at once")
    if volume_ml is not None:
        code, digits, units = 0x03, profile.volume_digits, floored(volume_ml, VOLUME_ML_DECIMALS, profile.volume_decimals)
    elif amount_minor is not None:
        code, digits, units = 0x04, profile.amount_digits, floored(amount_minor, profile.currency_decimals, profile.amount_decimals)
    else:
        raise Unsendable("no preset")
    if units < 1:
        raise Unsendable("the preset is below the head's smallest unit")
    return Transaction(code, to_bcd(min(units, int(10**digits) - 1), 4))


def prices(profile: PositionProfile, values: tuple[int, ...]) -> Transaction:
    """CD5 for all nozzles in order. Raises Unsendable when the head cannot show one of them exactly: a price is never rounded."""
    if not 1 <= len(values) <= MAX_NOZZLE:
        raise Unsendable(f"{len(values)} prices")
    data = b""
    for nozzle, value in enumerate(values, start=1):
        units = floored(value, PRICE_DECIMALS, profile.price_decimals)
        if rounded(units, profile.price_decimals, PRICE_DECIMALS) != value or not 0 <= units <= 999_999:
            raise Unsendable(f"the price of nozzle {nozzle} does not fit the head's {profile.price_decimals} decimals")
        data += to_bcd(units, 3)
    return Transaction(0x05, data)


def request_total(nozzle: int) -> Transaction:
    """CD101 for the volume counter of a nozzle. Raises Unsendable."""
    if nozzle > 9:
        raise Unsendable(f"volume counters exist for nozzles 1 to 9, not for {nozzle}")
    return Transaction(0x65, bytes((_nozzle(nozzle),)))


def _nozzle(nozzle: int) -> int:
    if not 1 <= nozzle <= MAX_NOZZLE:
        raise Unsendable(f"nozzle {nozzle} is not one of 1 to {MAX_NOZZLE}")
    return nozzle


# --- from the pump ----------------------------------------------------------------------------------------------------


def reply(profile: PositionProfile, transaction: Transaction) -> Reply | None:
    """What a pump's transaction says, None for one that is not known, damaged, or of no use to us."""
    data = transaction.data
    match transaction.code, len(data):
        case 0x01, 1:
            status = _STATUS.get(data[0])
            return None if status is None else StatusReply(status)
        case 0x02, 8:
            return _fill(profile, data)
        case 0x03, 4:
            return _nozzle_reply(profile, data)
        case 0x05, 1:
            return AlarmReply(_ALARMS.get(data[0], f"unknown alarm {data[0]:02X}"))
        case 0x65, 16:
            total = from_bcd(data[1:6])
            return None if total is None else TotalReply(data[0], rounded(total, profile.total_decimals, VOLUME_ML_DECIMALS))
        case _:
            return None


def _fill(profile: PositionProfile, data: bytes) -> FillReply | None:
    volume, amount = from_bcd(data[:4]), from_bcd(data[4:])
    if volume is None or amount is None:
        return None
    return FillReply(
        rounded(volume, profile.volume_decimals, VOLUME_ML_DECIMALS), rounded(amount, profile.amount_decimals, profile.currency_decimals)
    )


def _nozzle_reply(profile: PositionProfile, data: bytes) -> NozzleReply | None:
    price = from_bcd(data[:3])
    nozzle, out = data[3] & 0x0F, data[3] & 0x10
    if price is None or (out and nozzle == 0):
        return None  # "a nozzle is out" without saying which: never guess one
    return NozzleReply(nozzle if out else None, rounded(price, profile.price_decimals, PRICE_DECIMALS), nozzle)
