"""The few native commands that identify a badge, and what their answers mean. Pure.

Sources: NXP NT4H2421Gx rev. 3.0 section 10 (GetVersion, GetCardUID, GetFileSettings, ReadData), AN12196 rev. 2.0 tables 5, 7, 28.
DESFire EV2 and EV3 answer alike as far as is used here (reference/security-and-reliability.md 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.badge.apdu import EV2Error, Ev2Step
from drivers.badge.ev2_session import CommMode, NativeCommand

GET_VERSION = 0x60
GET_CARD_UID = 0x51
GET_FILE_SETTINGS = 0xF5
READ_DATA = 0xAD

FILE_NUMBER_MAX = 0x1F
FREE = 0xE
"""Access right that needs no key; F is never, 0 to D a key number."""

_LENGTH_MAX = {CommMode.PLAIN: 256, CommMode.MAC: 248, CommMode.FULL: 239}
"""Bytes of content that one short response can hold beside its MAC and padding."""

_UID_BYTES = (4, 7, 10)
_STANDARD_FILE = 0x00
_PLAIN_CODES = {0b00: CommMode.PLAIN, 0b10: CommMode.PLAIN, 0b01: CommMode.MAC, 0b11: CommMode.FULL}
_VERSION_BYTES = (28, 29)
_NXP = 0x04


def read_data(number: int, offset: int, length: int, mode: CommMode) -> NativeCommand:
    """Read ``length`` bytes of file ``number`` from ``offset``. Raises ``EV2Error`` for what does not fit into one answer."""
    if not 0 <= number <= FILE_NUMBER_MAX or not 0 <= offset <= 0xFFFFFF or not 1 <= length <= _LENGTH_MAX[mode]:
        raise EV2Error(Ev2Step.COMMAND, "cannot be read at once")
    header = bytes((number,)) + offset.to_bytes(3, "little") + length.to_bytes(3, "little")
    return NativeCommand(READ_DATA, header, answer_size=length)


def get_card_uid() -> NativeCommand:
    """The true UID, also of a badge that shows a random one. To be asked in mode FULL (AN12196 table 28)."""
    return NativeCommand(GET_CARD_UID)


def card_uid(data: bytes) -> bytes:
    """Check the answer to ``get_card_uid``. Raises ``EV2Error``."""
    if len(data) not in _UID_BYTES:
        raise EV2Error(Ev2Step.CONTENT, "no UID")
    return data


def get_file_settings(number: int) -> NativeCommand:
    """Ask how a file is protected. In a session to be asked in mode MAC (AN12196 table 7). Raises ``EV2Error``."""
    if not 0 <= number <= FILE_NUMBER_MAX:
        raise EV2Error(Ev2Step.COMMAND, "no file number")
    return NativeCommand(GET_FILE_SETTINGS, bytes((number,)))


@dataclass(frozen=True, slots=True)
class FileSettings:
    """How a standard data file is protected. Access rights are key numbers, ``FREE`` or 15 for never; ``size`` is in bytes."""

    mode: CommMode
    read: int
    write: int
    read_write: int
    change: int
    size: int


def file_settings(data: bytes) -> FileSettings:
    """Read the answer to ``get_file_settings``; what a badge adds for its dynamic messages is not looked at. Raises ``EV2Error``."""
    if len(data) < 7 or data[0] != _STANDARD_FILE:
        raise EV2Error(Ev2Step.CONTENT, "no standard file")
    return FileSettings(
        _PLAIN_CODES[data[1] & 0b11],
        read=data[3] >> 4,
        write=data[3] & 0xF,
        read_write=data[2] >> 4,
        change=data[2] & 0xF,
        size=int.from_bytes(data[4:7], "little"),
    )


@dataclass(frozen=True, slots=True)
class BadgeVersion:
    """What a badge says that it is; unproven. ``hardware_type`` 01 is DESFire, 04 NTAG; ``hardware_major`` tells the generation."""

    hardware_type: int
    hardware_major: int
    hardware_minor: int
    uid: bytes = field(repr=False)


def badge_version(data: bytes) -> BadgeVersion:
    """Read the three joined frames of GetVersion (hardware 7, software 7, production 14 or 15 bytes). Raises ``EV2Error``."""
    if len(data) not in _VERSION_BYTES or data[0] != _NXP:
        raise EV2Error(Ev2Step.CONTENT, "no version of a badge")
    return BadgeVersion(data[1] & 0x0F, data[3], data[4], data[14:21])
