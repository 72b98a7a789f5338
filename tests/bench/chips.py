"""What the emulators of badge reader and chip card spent themselves: their wire logs, exchange by exchange; and the terminal's stamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.wires import Record

STAMPS = "FORECOURT_STAMPS"
"""The environment variable with the file of stamps (``stamped.py``)."""

_PN532_ACK = bytes.fromhex("0000ff00ff00")
_GIVE_ATR = b"\x04"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command whole at the emulator, and its answer's last byte."""

    asked_ns: int
    answered_ns: int
    code: int


def chip_exchanges(log: Sequence[Record]) -> list[Exchange]:
    """Commands and responses of a PN532; acknowledgements of either side are no exchange (NXP UM0701-02 6.2.1)."""
    found: list[Exchange] = []
    asked: Record | None = None
    for record in log:
        if record.data.endswith(_PN532_ACK):
            asked = asked if record.out else None  # the host's own ACK gives the command up
        elif not record.out:
            asked = record
        elif asked is not None:
            found.append(Exchange(asked.at_ns, record.at_ns, _code(asked.data)))
            asked = None
    return found


def _code(frame: bytes) -> int:
    """The command's code behind the frame's identifier D4, -1 for what is no command."""
    place = frame.find(b"\xd4", frame.find(b"\x00\xff") + 2)
    return frame[place + 1] if 0 <= place < len(frame) - 1 else -1


def card_exchanges(log: Sequence[Record]) -> list[Exchange]:
    """Commands and answers of the card behind the virtual reader; questions for its answer to reset have code -1."""
    found: list[Exchange] = []
    asked: Record | None = None
    for record in log:
        if not record.out:
            asked = record
        elif asked is not None:
            found.append(Exchange(asked.at_ns, record.at_ns, -1 if asked.data == _GIVE_ATR else asked.data[1]))
            asked = None
    return found


def spent_ms(exchanges: Sequence[Exchange], from_ns: int, until_ns: int) -> float:
    """What of a stretch lies within exchanges."""
    return sum(max(0, min(each.answered_ns, until_ns) - max(each.asked_ns, from_ns)) for each in exchanges) / 1e6


def within(exchanges: Sequence[Exchange], from_ns: int, until_ns: int) -> list[Exchange]:
    """The exchanges that were answered in a stretch."""
    return [each for each in exchanges if from_ns <= each.answered_ns <= until_ns]


def stamps(path: Path, what: str) -> list[int]:
    """The instants of one kind of event, in their order."""
    found = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return [int(row[0]) for row in found if len(row) == 2 and row[1] == what]
