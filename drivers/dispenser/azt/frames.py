"""The frames of the AZT line as values (reference dispenser-protocols 3.2; azt.md, Frames).

Answers carry no address: who speaks is known from the turn alone. A broadcast request has the form of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DEL = 0x7F
STX = 0x02
ETX = 0x03
FIRST_ADDRESS = 1
LAST_ADDRESS = 225
ADDRESSES_PER_START = 15
FIRST_MORE_START = 0x07
"""Start byte of addresses 16...30; each following one stands for the next fifteen."""
LAST_START = 0x14
ADDRESS_BASE = 0x20
LOWEST_COMMAND = 0x31
LOWEST_DATA = 0x30
HIGHEST_DATA = 0x5E


class Word(Enum):
    """A short answer's byte."""

    ACK = 0x06
    NAK = 0x15
    CAN = 0x18


class Command(Enum):
    """What a master may ask a head. V (unconditional start), U, W and ] are left out on purpose: this master never sends them."""

    STATUS = 0x31
    AUTHORIZE = 0x32
    RESET = 0x33
    CURRENT = 0x34
    REGISTER = 0x35
    TOTALS = 0x36
    TYPE = 0x37
    CONFIRM = 0x38
    VERSION = 0x50
    PRICE = 0x51
    SLOW_DOWN = 0x52
    DOSE_AMOUNT = 0x53
    DOSE_VOLUME = 0x54
    DOSE = 0x58
    TRANSACTION = 0x59


@dataclass(frozen=True, slots=True)
class Request:
    """Master: a command for one address with the bytes behind it."""

    address: int
    command: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """Head: data."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Short:
    """Head: done, not now, or unknown. Says nothing about an effect."""

    word: Word


@dataclass(frozen=True, slots=True)
class Noise:
    """So many bytes that belong to no frame."""

    count: int


Frame = Request | Answer | Short
