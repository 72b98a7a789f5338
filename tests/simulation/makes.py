"""Which pumps a seed's station has: lines of both protocols, and heads of different makes, some of which lie.

A make is how a head always is; what it does for a while only is a fault (``pump_faults``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hal_sim.dispensers.azt import AztHead
from hal_sim.dispensers.head import Head

AZT_HABITS = ("forgets_record", "runs_without_dose", "confirms_itself", "starts_with_flow", "hang_up_drops_release")
MAX_POINTS = 4


@dataclass(frozen=True, slots=True)
class Make:
    """One head. ``habit``: of ``AztHead``, or none; ``register_off_ml``: a meter whose register and totaliser differ in every fill."""

    habit: str
    rate_ml_per_min: int
    slow_ml: int
    register_off_ml: int

    def apply(self, head: Head) -> None:
        """Make the head so."""
        head.options = replace(head.options, rate_ml_per_min=self.rate_ml_per_min, slow_ml=self.slow_ml)
        head.register_off_ml = self.register_off_ml
        if self.habit:
            assert isinstance(head, AztHead)
            setattr(head, self.habit, True)

    def words(self) -> str:
        """For the trace."""
        told = [self.habit, f"{self.rate_ml_per_min} ml/min", f"slow {self.slow_ml} ml", f"register off {self.register_off_ml} ml"]
        return ", ".join(word for word, on in zip(told, (self.habit, True, self.slow_ml, self.register_off_ml), strict=True) if on)


def draw_lines(rng: Random) -> list[tuple[str, int]]:
    """Protocol and bus number of each fuelling point, in their order: one to three lines, one to four points on them together."""
    lines = [(rng.choice(["dart", "dart", "azt"]), bus) for bus in range(rng.choice([1, 1, 2, 2, 3]))]
    points = rng.randint(len(lines), MAX_POINTS)
    return [lines[place] if place < len(lines) else rng.choice(lines) for place in range(points)]


def draw_make(rng: Random, protocol: str) -> Make:
    """Three heads in four are as they should be."""
    drawn, usual = rng.randrange(4) == 0, rng.choice([40_000, 130_000, 130_000])  # most are for lorries: a fill is soon over
    return Make(
        rng.choice(AZT_HABITS) if protocol == "azt" and rng.randrange(3) == 0 else "",
        rng.choice([40_000, 6_000, 130_000]) if drawn else usual,
        rng.choice([0, 0, 200, 1_000]) if drawn else 0,
        10 * rng.choice([0, 0, 1, -1, rng.randint(-30, 30)]) if drawn else 0,
    )


def row_of(fp: int, line: tuple[str, int], nozzle: int, product: str, price: int, minimum_ml: int) -> dict[str, Any]:
    """One nozzle of a scenario."""
    protocol, bus = line
    return {"fp": fp, "protocol": protocol, "bus": bus, "nozzle": nozzle, "product": product, "price": price, "minimum_ml": minimum_ml}
