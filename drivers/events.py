"""What devices can say: past facts, as frozen values, in the forecourt's words.

Every driver posts these and nothing else. Units end the names: ``volume_ml`` is integer millilitres, ``amount_minor`` integer
minor units of the site's currency, ``price`` integer 1/10000 of the major unit per litre.
``fp`` is the fuelling point's number on the site (1...), ``side`` the terminal side's (1...).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class MediumKind(Enum):
    """What the driver held out. The value is the word of the behaviour language and of the card file."""

    BADGE = "badge"
    SECURE_BADGE = "secure badge"
    STRIPE = "stripe"
    SMART_CARD = "smart card"


class Trust(Enum):
    """How hard a medium is to copy: T0 can be cloned, T1 replay-protected, T2 symmetric proof, T3 public-key proof."""

    T0 = "T0"
    T1 = "T1"
    T2 = "T2"
    T3 = "T3"


class Key(Enum):
    """The sixteen-key pad of an outdoor terminal, as far as it means something to us."""

    DIGIT_0 = "0"
    DIGIT_1 = "1"
    DIGIT_2 = "2"
    DIGIT_3 = "3"
    DIGIT_4 = "4"
    DIGIT_5 = "5"
    DIGIT_6 = "6"
    DIGIT_7 = "7"
    DIGIT_8 = "8"
    DIGIT_9 = "9"
    CLEAR = "clear"
    CANCEL = "cancel"
    ENTER = "enter"


class PumpStatus(Enum):
    """What a dispenser says of one position, whatever its protocol (DART DC1, AZT status)."""

    NOT_PROGRAMMED = "not programmed"
    RESET = "reset"
    AUTHORIZED = "authorized"
    FILLING = "filling"
    COMPLETED = "completed"
    LIMIT_REACHED = "limit reached"
    SWITCHED_OFF = "switched off"
    SUSPENDED = "suspended"


# --- people and media -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MediumPresented:
    """A medium was read. ``number`` is what it carries; it stays out of every repr because logs are made of reprs.

    What a stripe or chip card says besides, None where it does not: ``expiry`` YYMM, ``service_code`` three digits, ``discretionary`` the
    rest of the track that the number came from. ``counter`` is that of a badge which signs each reading: an honest one is always higher.
    """

    side: int
    kind: MediumKind
    number: str = field(repr=False)
    trust: Trust = Trust.T0
    expiry: str | None = field(default=None, repr=False)
    service_code: str | None = field(default=None, repr=False)
    discretionary: str | None = field(default=None, repr=False)
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class MediumRemoved:
    """The medium left the reader."""

    side: int
    kind: MediumKind


@dataclass(frozen=True, slots=True)
class MediumUnreadable:
    """Something was held out and could not be read: torn away, two at once, or of an unknown make.

    ``forged``: it could be read, and could not prove that it is what it says.
    """

    side: int
    kind: MediumKind
    why: str
    forged: bool = False


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One key went down. The key itself is not in the repr: it may be a digit of a PIN."""

    side: int
    key: Key = field(repr=False)


# --- dispensers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PumpSurveyed:
    """The position answers and its whole picture is known: sent once after each (re)connection, before anything else.

    ``nozzle`` is the logical nozzle that is out, or None when all hang.
    """

    fp: int
    status: PumpStatus
    nozzle: int | None


@dataclass(frozen=True, slots=True)
class PumpStatusChanged:
    """The position reports another status than before."""

    fp: int
    status: PumpStatus


@dataclass(frozen=True, slots=True)
class NozzleLifted:
    """Logical nozzle out. ``price`` is the unit price that the head shows, None where the protocol does not say."""

    fp: int
    nozzle: int
    price: int | None = None


@dataclass(frozen=True, slots=True)
class NozzleReturned:
    """Logical nozzle hung up again."""

    fp: int
    nozzle: int


@dataclass(frozen=True, slots=True)
class FillProgressed:
    """Live reading while fuel flows."""

    fp: int
    volume_ml: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class FillReported:
    """The pump's own record of the finished fill, read after it said COMPLETED or LIMIT_REACHED."""

    fp: int
    volume_ml: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class TotalReported:
    """Non-resettable volume totaliser of one logical nozzle."""

    fp: int
    nozzle: int
    volume_ml: int


@dataclass(frozen=True, slots=True)
class PricesReported:
    """The unit prices that the head itself shows after it was told some: of logical nozzles 1...n, None where it does not say."""

    fp: int
    prices: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TransactionSettled:
    """The head's own count of releases and price changes, all of which have been read: told at rest, where a head counts them (AZT Y)."""

    fp: int
    nozzle: int
    number: int


@dataclass(frozen=True, slots=True)
class PumpAlarmed:
    """The head reports an alarm of its own (DART DC5, AZT external error)."""

    fp: int
    alarm: str


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """The head did not do what it was told within the profile's time, whatever its link acknowledged."""

    fp: int
    command: str
    why: str


@dataclass(frozen=True, slots=True)
class PumpLineLost:
    """The position stopped answering, or its port went away. What it does now is unknown."""

    fp: int
    why: str


@dataclass(frozen=True, slots=True)
class LineNoise:
    """Bytes on a line that are no frame. Counted, never fatal."""

    line: str
    count: int


# --- the site ---------------------------------------------------------------------------------------------------------

EMERGENCY_STOP = "emergency stop"
"""The alarm of a head, and the name of the site's input, that tell of the hard-wired emergency stop."""


@dataclass(frozen=True, slots=True)
class SiteInputChanged:
    """An input of the site, as its contact says: at the first look and at each change."""

    name: str
    active: bool


# --- any device -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceUp:
    """A device that is not a pump position answers."""

    device: str


@dataclass(frozen=True, slots=True)
class DeviceDown:
    """A device that is not a pump position does not answer; its thread goes on trying."""

    device: str
    reason: str


PumpEvent = (
    PumpSurveyed
    | PumpStatusChanged
    | NozzleLifted
    | NozzleReturned
    | FillProgressed
    | FillReported
    | TotalReported
    | PricesReported
    | TransactionSettled
    | PumpAlarmed
    | CommandFailed
    | PumpLineLost
)
SideEvent = MediumPresented | MediumRemoved | MediumUnreadable | KeyPressed
DeviceEvent = PumpEvent | SideEvent | SiteInputChanged | LineNoise | DeviceUp | DeviceDown
