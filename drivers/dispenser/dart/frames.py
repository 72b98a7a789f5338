"""The frames of the DART line as values (reference dispenser-protocols 1.2, 1.3).

Every frame begins with the position's address, in both directions: who speaks is known from the turn alone.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_ADDRESS = 0x50
LAST_ADDRESS = 0x6F
ETX = 0x03
DLE = 0x10
SF = 0xFA

POLL = 0x20
DATA = 0x30
RESTART = 0x40
NAK = 0x50
EOT = 0x70
ACK = 0xC0
ACK_POLL = 0xE0


@dataclass(frozen=True, slots=True)
class Transaction:
    """One application message inside a DATA frame: number, then at most 255 bytes."""

    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Poll:
    """Controller: anything to say?"""

    address: int


@dataclass(frozen=True, slots=True)
class Data:
    """Either side: transactions under a TX number 0...15. ``rest`` holds what follows the last complete transaction."""

    address: int
    number: int
    transactions: tuple[Transaction, ...]
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class Restart:
    """IAP, a restart of the sequence. Never seen in captures."""

    address: int


@dataclass(frozen=True, slots=True)
class Nak:
    """DATA refused."""

    address: int
    number: int


@dataclass(frozen=True, slots=True)
class Eot:
    """Pump: nothing to say."""

    address: int
    number: int


@dataclass(frozen=True, slots=True)
class Ack:
    """The DATA with this TX number arrived; says nothing about its effect."""

    address: int
    number: int


@dataclass(frozen=True, slots=True)
class AckPoll:
    """ACK and POLL in one. Never seen in captures."""

    address: int
    number: int


@dataclass(frozen=True, slots=True)
class Noise:
    """So many bytes that belong to no frame."""

    count: int


Frame = Poll | Data | Restart | Nak | Eot | Ack | AckPoll
