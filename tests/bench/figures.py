"""A figure beside its floor and its bar, as a row of the table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: a value that was really measured; of fewer than a hundred the 99th percentile is the worst."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``value`` is what the bar judges; the floor is what nobody could beat on this machine in this run.

    ``at_least``: the bar is a lower limit. ``bar`` None: no bar was set, for comparison only. ``bar_of_floor``: the bar counts in floors.
    """

    name: str
    unit: str
    value: float
    how: str
    floor: float | None = None
    floor_how: str = ""
    bar: float | None = None
    at_least: bool = False
    bar_of_floor: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many floors it is; for rates how much of the floor's rate is reached."""
        return None if not self.floor else self.value / self.floor

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        limit = self.bar * (self.floor or 0) if self.bar_of_floor else self.bar
        return self.value >= limit if self.at_least else self.value <= limit

    def as_json(self) -> dict[str, Any]:
        """Everything, with ratio and verdict."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": _rounded(self.value),
            "how": self.how,
            "floor": None if self.floor is None else _rounded(self.floor),
            "floor_how": self.floor_how,
            "ratio": None if self.ratio is None else _rounded(self.ratio),
            "bar": self.bar,
            "bar_is": "at least" if self.at_least else "at most",
            "bar_unit": "floors" if self.bar_of_floor else self.unit,
            "met": self.met,
            "detail": dict(self.detail),
        }

    def row(self) -> tuple[str, ...]:
        """Name, value, floor, ratio, bar, verdict."""
        bar = "" if self.bar is None else f"{'>=' if self.at_least else '<='} {self.bar:g} {'x floor' if self.bar_of_floor else self.unit}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        floor = "" if self.floor is None else f"{_shown(self.floor)} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, f"{_shown(self.value)} {self.unit}", floor, ratio, bar, verdict


def spread(values: Sequence[float]) -> dict[str, float]:
    """How many, and how they lie."""
    return {
        "n": len(values),
        "min": _rounded(min(values)),
        "p50": _rounded(percentile(values, 0.50)),
        "p99": _rounded(percentile(values, 0.99)),
        "max": _rounded(max(values)),
    }


def table(figures: Sequence[Figure]) -> list[str]:
    """Lines of the table, the heads first."""
    rows = [("figure", "value", "floor", "ratio", "bar", ""), *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return [
        "  ".join(
            f"{cell:<{width}}" if place in (0, 4, 5) else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _rounded(value: float) -> float:
    return round(value, 4)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
