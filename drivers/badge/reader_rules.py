"""What holds for a PN532 on a serial port whatever library talks to it: its port's name, its waiting times, what a look can find. Pure.

Sources: NXP UM0701-02 (RFConfiguration 7.3.1: time-outs); the reference on hardware, section B (the shell command with the port's name).
"""

from __future__ import annotations

import re
from enum import Enum, auto

_PORT_PATH = re.compile(r"/[A-Za-z0-9/_.:+-]+")


class ReaderLost(OSError):
    """The reader does not answer, or not any more. The text says which."""


class Sighting(Enum):
    """How many badges are in the field."""

    NONE = auto()
    ONE = auto()
    TWO = auto()


def chip_timeout(left_ms: int) -> float:
    """The longest waiting time in seconds that the chip knows (100 µs times a power of two) and that is not above ``left_ms``.

    nfcpy rounds a waiting time up to the next such step, almost double in the worst case: so it is given one that needs no rounding.
    """
    step = 0
    while step < 15 and (100 << (step + 1)) <= left_ms * 1_000:
        step += 1
    return (100 << step) / 1_000_000


def check_port_path(path: str) -> str:
    """The path, or ``ValueError``: nfcpy puts it unquoted into a shell command, so nothing but a plain absolute path may pass."""
    if not _PORT_PATH.fullmatch(path):
        raise ValueError("badge reader's port is not a plain absolute path")
    return path
