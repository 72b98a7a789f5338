"""Who takes part in a commissioning walk, what is said to them, and the names of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from drivers.commands import PumpCommand
from drivers.events import DeviceEvent
from terminal.commission_report import CheckedNozzle, Step


class Act(Enum):
    """What the technician is asked to do."""

    LIFT = "lift"
    DELIVER = "deliver"
    HANG_UP = "hang up"
    PRESS = "press the emergency stop"
    RESET = "reset the emergency stop"


@dataclass(frozen=True, slots=True)
class Instruction:
    """To be done now; nothing is asked."""

    act: Act
    fp: int | None
    nozzle: int | None
    text: str
    volume_ml: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """To be answered now. ``name`` is the same at every walk, for answers out of a file."""

    name: str
    text: str


class Technician(Protocol):
    """Who walks."""

    def tell(self, instruction: Instruction) -> None:
        """Have it done; returns at once, or when it is done."""

    def ask(self, question: Question) -> str:
        """What he answers; ``skip`` leaves the step out. Raises whatever ends the walk."""


class Line(Protocol):
    """Every head of the walk, each by its fuelling point."""

    def submit(self, command: PumpCommand) -> None:
        """Tell a head."""

    def events(self, limit_ms: int) -> Iterator[DeviceEvent]:
        """What the heads tell, as it comes, until so much time is over."""


# --- names of steps ---------------------------------------------------------------------------------------------------------------------


def answers(fp: int) -> str:
    """The head answers and is at rest."""
    return f"fp {fp} answers"


def prices(fp: int) -> str:
    """The head takes the prices and shows them on the line."""
    return f"fp {fp} prices"


def of_nozzle(fp: int, nozzle: int) -> tuple[str, ...]:
    """Lift, price, volume, amount, total."""
    return tuple(f"fp {fp} nozzle {nozzle} {what}" for what in ("lift", "price", "volume", "amount", "total"))


def steps_of(fp: int, nozzles: Sequence[CheckedNozzle]) -> list[Step]:
    """Everything that is checked at a fuelling point, in order."""
    names = [answers(fp), prices(fp), *(name for nozzle in nozzles for name in of_nozzle(fp, nozzle.nozzle)), f"fp {fp} emergency stop"]
    return [Step(name) for name in names]
