"""What the lines must hear: a head that answers is surveyed soon, and a nozzle that is out is noticed, whatever the other heads do.

Only what nobody disturbs is judged: the head itself, its drop and its wire have been well for so long, and the program has run.
"""

from __future__ import annotations

from hal_sim.dispensers.head import HeadState
from terminal.core.point_config import PointState
from terminal.core.site import Site
from tests.simulation.journal_facts import Broken
from tests.virtual.forecourt import Forecourt

HEARD_MS = 40_000
"""Three lost heads beside one that lives are asked one every 24 of its turns (``lost_poll_turns``), some 10 s on AZT's wire: the last
of them to come back waited for 34 s (seed 100682)."""


class Ears:
    """``disturbed(subject)`` for whatever goes wrong or is whole again; ``check`` behind a step."""

    def __init__(self, court: Forecourt) -> None:
        self._court = court
        self._since: dict[int, int] = {}  # fp → since when nothing has disturbed it
        self._out: dict[int, int] = {}  # fp → since when its nozzle is out and the head at rest

    def disturbed(self, subject: str) -> None:
        """A point, its line, or everything."""
        court = self._court
        for fp, line in court.lines.items():
            if subject in (f"fp {fp}", line.name, "terminal", "all", "site", "disk"):
                self._since[fp] = court.heap.now

    def check(self, site: Site) -> None:
        """Raises ``Broken`` for a head that is well and not heard."""
        court, now = self._court, self._court.heap.now
        for fp, head in court.heads.items():
            resting = head.state is HeadState.RESET and head.nozzle_out is not None
            self._out[fp] = self._out.get(fp, now) if resting else now
            if not head.powered or not court.position(fp).connected or court.lines[fp].wire.disturbed:
                self._since[fp] = now
            since = self._since.setdefault(fp, now)
            if now - since <= HEARD_MS:
                continue
            state = site.points[fp].state
            if state is PointState.INOPERATIVE:
                raise Broken("heard", f"fp {fp} answers since {(now - since) // 1000} s and is not surveyed")
            if resting and now - self._out[fp] > HEARD_MS and state is PointState.IDLE:
                raise Broken("heard", f"a nozzle of fp {fp} is out since {(now - self._out[fp]) // 1000} s and nobody has noticed")
