"""What a pump protocol says of itself, so that the terminal, the hand tool and the configuration need no line of code about it.

A protocol is a folder beside this file and one line in ``registry.py``: firmware_notes/adding-a-protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from drivers.dispenser.line_master import LineMaster

Settings = Mapping[str, Any]
"""Names and values of a profile's fields: whole numbers and yes or no."""
_PLACE = frozenset(("fp", "address", "nozzle", "nozzles", "currency_decimals"))


@dataclass(frozen=True, slots=True)
class SerialMode:
    """How the port is opened: parity N, E or O."""

    parity: str
    bytesize: int = 8
    stopbits: int = 1


@dataclass(frozen=True, slots=True)
class Seat:
    """One address of a line: its fuelling point, the point's logical nozzles there, and what is set of the head (``head_settings``)."""

    fp: int
    address: int
    nozzles: tuple[int, ...]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing on a line, ``t_ms`` after listening began: bytes as they came (``says`` is None), or what they were.

    ``idle``: what an idle line says all the time.
    """

    t_ms: int
    wire: str
    says: str | None = None
    idle: bool = False

    def as_fields(self) -> dict[str, Any]:
        """For a file of one JSON object a line."""
        return {"t_ms": self.t_ms, "raw": self.wire} if self.says is None else {"t_ms": self.t_ms, "wire": self.wire, "says": self.says}


class Ear(Protocol):
    """Listens to a line without a part in it. ``t_ms`` are milliseconds since listening began."""

    def hear(self, data: bytes, t_ms: int) -> list[Heard]:
        """What these bytes completed."""

    def silence(self, t_ms: int) -> list[Heard]:
        """The line has been silent: what had begun is given up."""


@dataclass(frozen=True, slots=True)
class PumpProtocol:
    """One protocol. The first of ``baudrates`` is the usual one.

    ``shortest_window_ms``: an answer may take so long, so a line may not wait less. ``nozzles``: most that one address has.
    ``head`` and ``line`` are dataclasses whose fields are the settings of a head and of a line; they raise ValueError for what cannot be.
    ``build``: (name of the line, its seats, settings of the line, decimals of the site's currency) → master; raises ValueError.
    """

    name: str
    title: str
    serial: SerialMode
    baudrates: tuple[int, ...]
    addresses: range
    address_words: str
    window_ms: int
    shortest_window_ms: int
    nozzles: int
    price_decimals: int
    price_digits: int
    head: type[Any]
    line: type[Any]
    build: Callable[[str, Sequence[Seat], Settings, int], LineMaster]
    ear: Callable[[], Ear]

    @property
    def head_settings(self) -> tuple[str, ...]:
        """Names of what can be set of a head."""
        return tuple(each.name for each in fields(self.head) if each.name not in _PLACE)

    @property
    def line_settings(self) -> tuple[str, ...]:
        """Names of what can be set of a line."""
        return tuple(each.name for each in fields(self.line))

    def check(self, head: Settings, line: Settings) -> list[str]:
        """What is wrong with these settings, in words; nothing when they can be used."""
        found = [f"head.{name}: {self.title} heads have no such setting" for name in head if name not in self.head_settings]
        found += [f"line.{name}: {self.title} lines have no such setting" for name in line if name not in self.line_settings]
        if found:
            return found
        try:
            self.head(fp=1, address=self.addresses[0], **head)
            self.line(**line)
        except (ValueError, TypeError) as error:
            return [str(error)]
        return []
