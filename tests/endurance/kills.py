"""SIGKILL at random moments under load: what the disk keeps is what the books say.

A second thread kills the program at moments that the seed draws, without a look at what it does; so it dies in starts, in commits,
between a commit and what leaves behind it. Half of the next starts follow at once, as under the service manager, the others a moment
later. At the end everybody hangs up, and the three books, the numbers and the chain are compared.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.behaviour.told import books_differ
from tests.endurance.drivers import SETUP, Crowd
from tests.endurance.world import EnduranceWorld
from tests.rig.clean_log import unexpected
from tests.rig.process import TerminalEnded

DIES_STARTING = 0.2
START_S = 1.2
LIFE_S = (0.2, 12.0)
"""The life of a program that came up, drawn logarithmically: half of them die within the first driver's steps."""
END_S = 240.0


@dataclass
class Report:
    """What a campaign did and what it found wrong (nothing, if all is well)."""

    seed: int
    kills: int = 0
    kills_before_ready: int = 0
    badges: int = 0
    fuellings: int = 0
    reserved: int = 0
    sold_ml: int = 0
    seconds: float = 0.0
    wrong: str = ""


class Killer:
    """Kills ``pid`` when its time is over, unless it is called off."""

    def __init__(self, pid: int, life_s: float) -> None:
        self.fired = False
        self._pid = pid
        self._timer = threading.Timer(life_s, self._kill)
        self._timer.daemon = True
        self._timer.start()

    def _kill(self) -> None:
        self.fired = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def call_off(self) -> None:
        """It lives on, if it still does."""
        self._timer.cancel()
        self._timer.join()


def campaign(seed: int, kills: int, tell: Callable[[Report], None] = lambda _: None) -> Report:
    """Kill so often, then compare. ``tell`` hears of every kill."""
    report = Report(seed)
    chance = random.Random(f"kills {seed}")
    begun = time.monotonic()
    world = EnduranceWorld(SETUP)
    try:
        crowd = Crowd(world, random.Random(f"crowd {seed}"))
        while report.kills < kills:
            _one_life(world, crowd, chance, report)
            tell(report)
        report.wrong = _come_to_rest(world, crowd) or _compare(world, report)
        report.badges, report.fuellings = crowd.presented, crowd.begun
        if lines := unexpected(world.log()):
            report.wrong = "; ".join(filter(None, [report.wrong, f"in the log: {lines[:3]}"]))
    finally:
        report.seconds = time.monotonic() - begun
        world.close()
    return report


def _one_life(world: EnduranceWorld, crowd: Crowd, chance: random.Random, report: Report) -> None:
    """The program as it is, or started anew, until it is killed."""
    killer: Killer | None = None
    early = chance.random() < DIES_STARTING
    short, long = LIFE_S
    life_s = short * (long / short) ** chance.random()

    def begun(pid: int) -> None:
        nonlocal killer
        if early:
            killer = Killer(pid, chance.uniform(0, START_S))

    ready = False
    try:
        if not world.powered:
            world.start_program(begun)
        ready = True
        killer = killer or Killer(world.pid, life_s)
        while True:
            crowd.serve()
            world.check()
    except TerminalEnded:
        if killer is None or not killer.fired:
            raise
        report.kills += 1
        report.kills_before_ready += not ready
        world.is_dead()
        if chance.random() < 0.5:
            for _ in range(chance.randrange(1, 6)):
                crowd.serve()
    finally:
        if killer is not None:
            killer.call_off()


def _come_to_rest(world: EnduranceWorld, crowd: Crowd) -> str:
    """Nobody comes any more, everybody hangs up, the host has everything."""
    world.return_power()
    end = time.monotonic() + END_S
    while time.monotonic() < end:
        if not crowd.serve(more=False) and not books_differ(world.books(), SETUP) and not _under_way(world):
            return ""
        world.check()
    return f"not at rest after {END_S:.0f} s: {books_differ(world.books(), SETUP)}; under way: {_under_way(world)}"


def _under_way(world: EnduranceWorld) -> str:
    """By what the program says of itself and, because it says so now and then only, by the ledger."""
    status = world.status()
    if status is None:
        return "the program has not said anything yet"
    points = [point for point in status["fuelling_points"] if point["sale"] or not point["available"]]
    open_at_host = world.host_open_authorizations()
    with world.ledger() as db:
        running = [row[0] for row in db.execute("SELECT id FROM sale WHERE ended_row IS NULL")]
    return "; ".join(
        [*(f"fuelling point {point['fp']} {point['state']}" for point in points)]
        + [f"somebody at side {side['side']}: {side['state']}" for side in status["sides"] if side["state"] != "idle"]
        + [f"sale {sale} has not ended" for sale in running]
        + ([f"{open_at_host} authorizations held at the host"] if open_at_host else [])
        + ([f"{status['unsent']} unsent"] if status["unsent"] else [])
    )


def _compare(world: EnduranceWorld, report: Report) -> str:
    """Numbers without holes, every one ended and at the host once; no fuel that belongs to nobody; the chain whole."""
    stray = {fp: world.unattributed(fp) for fp in (row.fp for row in SETUP.fuelling_points) if world.unattributed(fp)}
    if stray:
        return f"fuel that belongs to nobody: {stray}"
    books = world.books()
    with world.ledger() as db:
        numbers = [row[0] for row in db.execute("SELECT sequence FROM sale ORDER BY sequence")]
        running = [row[0] for row in db.execute("SELECT id FROM sale WHERE ended_row IS NULL")]
        report.sold_ml = sum(books.ledger.values())
        report.reserved = len(numbers)
        wrong = _numbers_wrong(numbers, db)
    if wrong or running:
        return wrong or f"sales that never ended: {running}"
    done = world.verify()
    return "" if done.returncode == 0 else f"verify: {done.stdout}{done.stderr}"


def _numbers_wrong(numbers: list[int], db: sqlite3.Connection) -> str:
    """Every number from 1 on has a row, or is one of those that are pruned (none here)."""
    if numbers != list(range(1, len(numbers) + 1)):
        return f"numbers with holes or twice: {numbers}"
    reserved = db.execute("SELECT count(*) FROM journal WHERE kind = 'SaleReserved'").fetchone()[0]
    return "" if reserved == len(numbers) else f"{reserved} reservations for {len(numbers)} numbers"
