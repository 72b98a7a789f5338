"""The trace (one line of fixed columns per event, the same for the same seed in every process) and the result of a run.

Columns: virtual time (ms, 10 wide), actor (6 wide), subject (12 wide), what happened. Nothing in it comes from a set's order, an
address, a clock or a card: numbers and PINs never get here, keys pressed are not named.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from terminal.core.effects import ReportState

SHOWN = (
    "command status state nozzle volume_ml amount_minor result trouble reason decided_by end code tries "
    "preset_ml preset_volume_ml preset_minor preset_amount_minor"
).split()
SUBJECTS = ("sale", "key", "account", "subject", "line", "device", "file")
LAST = 50
_TOLD: dict[type, tuple[bool, tuple[str, ...], tuple[str, ...]]] = {}


class Trace:
    """Collects lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, now: int, actor: str, subject: str, what: str) -> None:
        """One event."""
        self.lines.append(f"{now:>10} {actor:<6} {subject:<12} {what}".rstrip())

    @property
    def digest(self) -> str:
        """SHA-256 over all lines so far."""
        return hashlib.sha256("".join(f"{line}\n" for line in self.lines).encode()).hexdigest()


def _told(kind: type) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Of a class: whether it has a fuelling point, which of its fields say whom it concerns, and which explain a run."""
    fields = getattr(kind, "__dataclass_fields__", {})

    def has(name: str) -> bool:
        return name in fields or hasattr(kind, name)

    shown = () if kind is ReportState else tuple(name for name in SHOWN if has(name))
    _TOLD[kind] = has("fp"), tuple(name for name in SUBJECTS if has(name)), shown
    return _TOLD[kind]


def subject_of(value: Any) -> str:
    """Whom an event, record or command concerns: a fuelling point, a side, a sale, a message."""
    kind = type(value)
    at_point, subjects, _ = _TOLD.get(kind) or _told(kind)
    if at_point and value.fp is not None:
        return f"fp {value.fp}"
    for name in subjects:
        found = getattr(value, name)
        if isinstance(found, str):
            return found if name != "account" else found[:6]
    side = getattr(value, "side", None)
    return f"side {side}" if side is not None else "-"


def words(value: Any) -> str:
    """The class and the fields that explain a run; a key's name and a medium's number are not among them."""
    kind = type(value)
    at_point, subjects, fields = _TOLD.get(kind) or _told(kind)
    shown = [kind.__name__]
    if at_point and value.fp is not None and "sale" in subjects and isinstance(value.sale, str):
        shown.append(value.sale)
    for name in fields:
        found = getattr(value, name)
        if found is not None and not callable(found):
            shown.append(f"{name}={found._value_ if isinstance(found, Enum) else found}")
    return " ".join(shown)


@dataclass(frozen=True, slots=True)
class Failure:
    """What broke, by the invariant's short name."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a seed ended."""

    seed: int
    failure: Failure | None
    digest: str
    lines: tuple[str, ...]
    fuellings: int  # sales with a volume above 0
    attempts: int  # nozzles lifted in order to fuel
    sales: int
    cuts: int
    known: int  # sales that carry fuel which left before their release
    virtual_ms: int
    mix: str
    happened: dict[str, int]  # kind of fault → how often
    amounts: dict[str, int]


def place_of(error: BaseException) -> str:
    """File and line from which an exception came."""
    trace = error.__traceback__
    where = "nowhere"
    while trace is not None:
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where
