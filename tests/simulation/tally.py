"""What a seed has been through, counted by kind, and the sums over many seeds as a table and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low
from typing import Any

from tests.simulation.trace import Result

GROUPS = ("power", "host", "office", "clock", "line", "pump", "driver", "disk", "site", "order")
"""In this order they are printed; a kind is ``group: what``."""


@dataclass(slots=True)
class Sums:
    """Over all seeds that have ended."""

    seeds: int = 0
    fuellings: int = 0
    attempts: int = 0
    sales: int = 0
    cuts: int = 0
    known: int = 0
    virtual_ms: int = 0
    broken: list[dict[str, Any]] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    seeds_with: Counter[str] = field(default_factory=Counter)
    amounts: Counter[str] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)  # fuellings → in so many seeds

    def add(self, result: Result) -> None:
        """One more seed. What a broken one went through was not survived and does not count."""
        self.seeds += 1
        self.fuellings += result.fuellings
        self.days[result.fuellings] += 1
        self.attempts += result.attempts
        self.sales += result.sales
        self.cuts += result.cuts
        self.known += result.known
        self.virtual_ms += result.virtual_ms
        self.amounts.update(result.amounts)
        if result.failure is not None:
            self.broken.append({"seed": result.seed, "name": result.failure.name, "what": result.failure.what, "faults": result.mix})
        else:
            self.happened.update(result.happened)
            self.seeds_with.update(result.happened.keys())

    def spread(self, asked: int) -> str:
        """Fuellings a seed, and how many seeds had fewer than ``asked``."""
        if not self.days:
            return "none"
        fewer = sum(seeds for fuellings, seeds in self.days.items() if fuellings < asked)
        least, middle, mean = min(self.days), median_low(self.days.elements()), self.fuellings / self.seeds
        return f"a seed: min {least}, median {middle}, mean {mean:.1f}; {fewer} seeds with fewer than {asked}"

    def rows(self) -> list[tuple[str, int, int]]:
        """(kind, how often, in how many seeds), group by group, the frequent ones first."""
        order = {name: place for place, name in enumerate(GROUPS)}
        kinds = sorted(self.happened, key=lambda kind: (order.get(kind.partition(":")[0], len(order)), -self.happened[kind], kind))
        return [(kind, self.happened[kind], self.seeds_with[kind]) for kind in kinds]

    def table(self) -> Iterable[str]:
        """What was survived, a line per kind."""
        if not self.happened:
            return
        yield f"{'survived':<58} {'times':>9} {'in seeds':>9}"
        for kind, times, seeds in self.rows():
            yield f"{kind:<58} {times:>9} {seeds:>9}"

    def write(self, path: Path, run: Mapping[str, Any]) -> None:
        """``run``: what was asked for, how long it took. The folder is made."""
        told: dict[str, Any] = {
            **run,
            "seeds": self.seeds,
            "attempts": self.attempts,
            "reservations": self.sales,
            "fuellings": self.fuellings,
            "fuellings_in_seeds": {str(number): seeds for number, seeds in sorted(self.days.items())},
            "power_cuts": self.cuts,
            "virtual_ms": self.virtual_ms,
            "fuel_before_release": self.known,
            "amounts": dict(sorted(self.amounts.items())),
            "broken": self.broken,
            "survived": {kind: {"times": times, "seeds": seeds} for kind, times, seeds in self.rows()},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
