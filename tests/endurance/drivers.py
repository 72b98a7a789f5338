"""Drivers who fuel at every point of a rig at once, as fast as the terminal lets them, and nobody waits for anybody.

``Crowd.serve`` looks once at everything and does the next thing that somebody could do: take a badge to the reader, choose a point, lift,
squeeze, hang up. It never waits for a result, so that it can be cut at any moment and go on afterwards with whatever it finds.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from tests.behaviour.setup import CardRow, CustomerRow, LimitRow, NozzleRow, Setup, Subject, SubjectKind
from tests.endurance.world import EnduranceWorld

BADGES = tuple(f"04A1B2C3D4E5{place:02X}" for place in range(1, 9))
POINTS = (1, 2, 3, 4)
SETUP = Setup(
    fuelling_points=tuple(
        NozzleRow(fp, protocol, 1, product, price)
        for fp, protocol, product, price in (
            (1, "dart", "GAZOLE", 17290),
            (2, "dart", "GAZOLE", 17290),
            (3, "azt", "SP95", 18900),
            (4, "azt", "SP95", 18900),
        )
    ),
    customers=(CustomerRow("C1"),),
    cards=tuple(CardRow(number, number, "badge", "C1") for number in BADGES),
    limits=(
        LimitRow(Subject(SubjectKind.CUSTOMER, "C1"), "MONTH", "QUANTITY", 10_000_000_000),
        *(LimitRow(Subject(SubjectKind.CARD, number), "FUELLING", "QUANTITY", 80_000) for number in BADGES),
    ),
)
"""Two lines of two points each, both protocols. A limit that is counted and never reached; each fuelling's keeps holds small enough
for everybody to fuel at once."""

HELD_S = 1.2
"""So long somebody holds a badge to the reader."""
REST_S = 0.4
"""Between two badges the reader must have seen nothing."""


@dataclass
class Crowd:
    """``chance`` draws who comes and how much he takes."""

    world: EnduranceWorld
    chance: random.Random
    begun: int = 0
    presented: int = 0
    _held_until: float = 0.0
    _next_badge: float = 0.0
    _holding: bool = False
    _wanted: dict[int, int] = field(default_factory=dict)
    _hang_at: dict[int, float] = field(default_factory=dict)

    def serve(self, *, more: bool = True) -> bool:
        """One look and whatever is to be done; ``more``: new drivers may come. Gives whether anybody is still at a pump or on
        his way to one.
        """
        now = time.monotonic()
        busy = self._pumps(now)
        self._badge(now, more)
        if self.world.asked() == "FUELLING POINT":
            self._choose(busy)
        return bool(busy or self._wanted or self._holding)

    def _pumps(self, now: float) -> set[int]:
        busy: set[int] = set()
        for pump in self.world.act("pumps")["pumps"]:
            fp = int(pump["fp"])
            released = pump["state"] in ("authorized", "filling")
            if pump["nozzle"] is not None or released:
                busy.add(fp)
            if pump["nozzle"] is None:
                if released or self._wanted.pop(fp, None) is not None:
                    self.world.lift(fp, 1)
                    self._hang_at[fp] = now + 6
                continue
            if pump["state"] == "authorized" and not pump["delivering"]:
                volume_ml = self.chance.choice((0, 2_500, 5_000, 12_340, 25_000))
                self._hang_at[fp] = now + self.chance.uniform(0.2, 2.5)
                if volume_ml:
                    self.world.act("squeeze", fp=fp, volume_ml=volume_ml)
                    self.begun += 1
            elif now >= self._hang_at.get(fp, 0.0):
                self.world.hang_up(fp)
        return busy

    def _badge(self, now: float, more: bool) -> None:
        if self._holding and now >= self._held_until:
            self.world.act("remove")
            self._holding = False
            self._next_badge = now + REST_S
        elif more and not self._holding and now >= self._next_badge:
            self.world.act("present", number=self.chance.choice(BADGES), medium="badge", stays=True)
            self._holding, self._held_until = True, now + HELD_S
            self.presented += 1

    def _choose(self, busy: set[int]) -> None:
        free = [fp for fp in POINTS if fp not in busy and fp not in self._wanted]
        if free:
            fp = self.chance.choice(free)
            self.world.act("keys", keys=[*(("clear",) if self.world.typed else ()), str(fp), "enter"])
            self._wanted[fp] = fp
