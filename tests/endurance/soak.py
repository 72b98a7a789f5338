"""A long time at full load in the rig: memory, descriptors and threads must stay what they were when everything had been used once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.behaviour.told import books_differ
from tests.endurance.drivers import SETUP, Crowd
from tests.endurance.world import EnduranceWorld, Used
from tests.rig.clean_log import unexpected

EVERY_S = 5.0
WARM_S = 120.0
"""So long everything that is made once may be made: threads, caches, the pools of the libraries."""
GROWTH_KIB = 5 * 1024
END_S = 240.0
SHARE = 0.2
"""First and last fifth are compared by their middle values: one look may fall into an import."""


@dataclass
class Report:
    """What was seen. ``looks``: seconds since the start, and what was used."""

    minutes: float
    fuellings: int = 0
    looks: list[tuple[float, Used]] = field(default_factory=list)
    wrong: str = ""

    @property
    def steady(self) -> list[Used]:
        """The looks behind the warm-up."""
        warm = min(WARM_S, self.minutes * 60 / 3)
        return [used for at, used in self.looks if at >= warm]

    @property
    def growth_kib(self) -> int:
        """From the first fifth's middle value to the last one's."""
        sizes = [used.resident_kib for used in self.steady]
        part = max(1, int(len(sizes) * SHARE))
        first, last = sorted(sizes[:part]), sorted(sizes[-part:])
        return last[len(last) // 2] - first[len(first) // 2]

    def judge(self) -> str:
        """What is not as it must be."""
        wrong = [self.wrong] if self.wrong else []
        if self.growth_kib > GROWTH_KIB:
            wrong.append(f"{self.growth_kib} KiB more than at the start")
        for name in ("descriptors", "threads"):
            part = max(1, int(len(self.steady) * SHARE))
            first, last = (max(getattr(used, name) for used in some) for some in (self.steady[:part], self.steady[-part:]))
            if last > first:
                wrong.append(f"{last} {name}, {first} at the start")
        return "; ".join(wrong)


def soak(seed: int, minutes: float, tell: Callable[[Report], None] = lambda _: None) -> Report:
    """Fuel at four points for so long, then compare the books. ``tell`` hears of every look."""
    report = Report(minutes)
    world = EnduranceWorld(SETUP)
    try:
        crowd = Crowd(world, random.Random(f"soak {seed}"))
        begun = time.monotonic()
        seen = 0.0
        while (now := time.monotonic() - begun) < minutes * 60:
            crowd.serve()
            world.check()
            if now - seen >= EVERY_S:
                seen = now
                report.fuellings = crowd.begun
                report.looks.append((now, world.used()))
                tell(report)
        end = time.monotonic() + END_S
        while crowd.serve(more=False) or books_differ(world.books(), SETUP):
            if time.monotonic() > end:
                report.wrong = f"the books after {END_S:.0f} s: {books_differ(world.books(), SETUP)}"
                break
        report.fuellings = crowd.begun
        if lines := unexpected(world.log()):
            report.wrong = "; ".join(filter(None, [report.wrong, f"in the log: {lines[:3]}"]))
    finally:
        world.close()
    return report
