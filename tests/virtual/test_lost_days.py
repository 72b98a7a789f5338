"""Days at random: a backup is made, and some steps later the ledger is lost. At the end the books agree, or say what is in doubt.

Of the small days ``make test`` plays a few; LOST_SEEDS=2000 plays more. (tests/virtual/test_lost_open_sales.py has each case by itself.)
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.returned_record import ReturnSettled
from terminal.store.integrity import verify
from tests.behaviour.setup import HostConduct
from tests.virtual.lost_station import (
    AWAY,
    CARDS,
    arm,
    back_up_running,
    facts,
    hang_up,
    keep,
    ledger,
    lift,
    lose,
    newest,
    overwrite,
    put_back,
    settled,
    station,
    told,
    waiting,
)
from tests.virtual.world import VirtualWorld

SEEDS = int(os.environ.get("LOST_SEEDS", "24"))


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    yield from station()


class Day:
    """A small day at random: two points, drivers, a host that comes and goes; somewhere a backup is made, and later the ledger is lost."""

    def __init__(self, world: VirtualWorld, seed: int, folder: Path) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.folder = folder
        self.at: dict[int, str] = {}
        self.out: set[int] = set()
        self.kept = 0

    def run(self) -> None:
        backup = self.random.randrange(1, 10)
        loss = backup + self.random.randrange(1, 8)
        for step in range(loss):
            if step == backup:
                back_up_running(self.world, self.folder)
                keep(self.world, self.folder)
                self.kept = newest(self.world)
            self.random.choice((self._arrive, self._arrive, self._go_on, self._go_on, self._go_on, self._host))()
        self._lose()
        for fp in self.out:
            self.world.hang_up(fp)  # whoever stands there leaves
        self.world.set_host(HostConduct())
        self.world.return_power()
        settled(self.world)
        self.world.pass_time(300_000)

    def _lose(self) -> None:
        kind = self.random.random()
        if kind < 0.3:
            self.world.cut_power()
            self.world.set_host(HostConduct())
            self.world.return_power()
            self.world.pass_time(70_000)  # the host hears of a row behind the copy, which is a ledger like another else
            put_back(self.world, self.folder)
        elif kind < 0.8 or newest(self.world) == self.kept:
            lose(self.world)
        else:
            overwrite(self.world, self.kept)

    def _arrive(self) -> None:
        free = [fp for fp in (1, 2) if fp not in self.at]
        cards = [card for card in CARDS if card not in self.at.values()]
        if free and cards:
            fp, card = self.random.choice(free), self.random.choice(cards)
            arm(self.world, card, fp)
            self.at[fp] = card

    def _go_on(self) -> None:
        if not self.at:
            return
        fp = self.random.choice(sorted(self.at))
        if fp not in self.out and self.random.random() < 0.7:
            lift(self.world, fp)
            self.out.add(fp)
        elif fp in self.out and self.world.station.heads[fp].valve_open and self.random.random() < 0.5:
            self.world.flow(fp, self.random.randrange(500, 5_000, 10))
            self.world.pass_time(1_000)
        else:
            if fp in self.out:
                hang_up(self.world, fp)
            else:
                self.world.pass_time(self.random.choice((1_000, 400_000)))  # who never lifts his nozzle is forgotten
            self.out.discard(fp)
            del self.at[fp]

    def _host(self) -> None:
        self.world.set_host(self.random.choice((AWAY, HostConduct(), HostConduct())))
        self.world.pass_time(self.random.choice((5_000, 70_000)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_days_that_lose_their_ledger(world: VirtualWorld, tmp_path: Path, seed: int) -> None:
    """The books agree, driver by driver; what they do not have is fuel without a sale, and each sale that it may belong to is named."""
    Day(world, seed, tmp_path).run()
    assert world.wait(lambda: not waiting(world), 600_000)
    found = facts(world, ReturnSettled)[-1]
    books = world.books()
    assert sorted(books.ledger_sales) == sorted(books.host_sales)
    assert books.ledger == books.host == books.pumps, "with what is told as without a sale"
    assert "MESSAGE_QUARANTINED" not in world.faults()
    with world.terminal.reading() as db:
        still = {sale for (sale,) in db.execute("SELECT id FROM sale WHERE state IN ('reserved', 'authorized', 'delivering', 'in doubt')")}
        ours = {row[0]: row[1:] for row in db.execute("SELECT id, quantity_ml, account FROM sale WHERE quantity_ml AND state = 'booked'")}
    assert still == set(found.doubtful)
    assert world.host_open_authorizations() == len(found.held)
    for sale in world.station.book.sales():
        if sale["quantity_ml"]:
            assert ours[sale["sale"]] == (sale["quantity_ml"], sale["card"]["token"])
            assert not sale["marks"], "nothing is booked that only a totaliser says"
    world.cut_power()
    report = verify(ledger(world))
    assert report.sound, report.lines()
    assert all(nozzle.unattributed_ml >= 0 for nozzle in report.nozzles)
    rest = sum(nozzle.unattributed_ml for nozzle in report.nozzles)
    world.return_power()
    assert rest == sum(books.pumps.values()) - sum(sale["quantity_ml"] for sale in world.station.book.sales())
    assert not rest or "UNATTRIBUTED_DELIVERY" in world.faults()
    if found.doubtful and found.doubtful[0] not in found.held:
        assert " in doubt here, first " in told(world)
