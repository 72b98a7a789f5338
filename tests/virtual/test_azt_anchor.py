"""AZT's transaction number across a restart of the terminal: what happened at the head meanwhile is read before anything, and booked."""

from __future__ import annotations

from pathlib import Path

from hal_sim.dispensers.azt import AztHead, AztPosition
from tests.bench.virtual import SCENARIO
from tests.virtual.forecourt import Forecourt

POINTS = [{**SCENARIO["fuelling_points"][0], "protocol": "azt", "price": 17_200}]


def facts(station: Forecourt, kind: str) -> list[str]:
    """The journal's rows of one kind, as text."""
    with station.terminal.reading() as db:
        return [str(body, "utf-8") for (body,) in db.execute("SELECT body FROM journal WHERE kind = ? ORDER BY seq", (kind,))]


def test_fuel_that_a_foreign_master_sold_while_the_terminal_was_off_is_an_unattributed_delivery(tmp_path: Path) -> None:
    station = Forecourt({**SCENARIO, "fuelling_points": POINTS}, tmp_path)
    station.begin()
    head, position = station.heads[1], station.position(1)
    assert isinstance(head, AztHead)
    assert isinstance(position, AztPosition)
    with station.terminal.reading() as db:
        ((settled,),) = db.execute("SELECT settled FROM head").fetchall()
    assert facts(station, "HeadSettled")
    station.terminal.power_off()
    # Another master, with no terminal about: dose, release, 5 l, hang up, and its confirm: the head rests as if nothing had been.
    now = station.heap.now
    assert head.set_dose(1, 5_000, None, now)
    head.lift(1, now)
    assert head.authorize(now)
    head.squeeze(5_000, now)
    station.heap.run_until(now + 60_000)
    head.hang_up(station.heap.now)
    head.reset(station.heap.now)
    assert position.status_answer(1)
    station.terminal.power_on()
    engine = station.terminal.engine
    assert engine is not None
    assert station.heap.run_until(station.heap.now + 60_000, lambda: engine.site.points[1].available)
    station.heap.run_until(station.heap.now + 5_000)
    assert sum(station.heads[1].totals_ml(station.heap.now).values()) == 5_000
    (unattributed,) = facts(station, "Unattributed")
    assert '"volume_ml":5000' in unattributed
    with station.terminal.reading() as db:
        ((after,),) = db.execute("SELECT settled FROM head").fetchall()
    assert after > settled
    station.terminal.power_off()
