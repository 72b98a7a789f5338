"""The ledger's disk and the machines that it is plugged into, one after the other: each is killed, and the disk loses what no flush held.

SIGKILL takes the memory of the machine. QEMU's own cache of the disk is this machine's, and survives; so the next machine does not get that
file but what a real disk with a volatile cache would hold, made from the log of its writes (``write_log``).
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.machine.cuts import Findings, Watch, ledger_on, look
from tests.machine.site import Site
from tests.machine.vm import PATIENCE_S
from tests.machine.write_log import crash, entries, flushed
from tests.rig.process import wait_for

TAIL_S = 6.0
"""So long something is waited for that stands on the disk unflushed; ext4 itself writes five seconds behind a commit."""
MAX_SKIP = 6
"""A fuelling has several commits, each with two or three flushes: which of them is hit."""


class Moment(Enum):
    """When the machine is cut off: in the writes behind this."""

    CHOSEN = "the driver has chosen the fuelling point"
    LIFTED = "he has lifted the nozzle"
    FLOWING = "fuel flows"
    HUNG_UP = "he has hung up"


@dataclass(slots=True)
class Run:
    """One machine's part of the record. ``began``: how long the log was when the fuelling began in which it is cut off."""

    base: Path
    watch: Watch
    began: int = 0


@dataclass(slots=True)
class Total:
    """What came of all of it. ``kills``: machines cut off, ``hit``: with writes unflushed, ``fuelled``: with fuel that flowed;
    ``lost``: writes that those machines' disks lost."""

    kills: int = 0
    hit: int = 0
    fuelled: int = 0
    lost: int = 0
    fuelling: Findings = Findings()
    coming_up: Findings = Findings()
    lying: Findings = Findings()


class CutOff:
    """``sales`` is what the host must have booked when the machine that is on has come up."""

    def __init__(self, site: Site, seed: int) -> None:
        """Nothing is on."""
        self._site = site
        self._rng = random.Random(seed)
        self.sales = site.host_sales()
        self.total = Total()

    def power_on(self) -> Run:
        """A machine with the disk as the last cut left it; returns when the service has completed what it finds there.

        Raises AssertionError.
        """
        site = self._site
        base = shutil.copyfile(site.data, site.folder / "base.img")
        ledger = ledger_on(shutil.copyfile(base, site.folder / "cut.img"))
        assert ledger.wrong == ()
        assert "LedgerRestored" not in ledger.facts, "the host has seen more of the ledger than a disk had"
        run = Run(base, Watch(site.log, ledger.facts))
        site.power_on()
        site.start_service()
        self.settled()
        if self.sales > ledger.facts.get("SaleDelivered", 0):
            run.watch.saw("SaleDelivered")
        run.began = len(entries(site.log))
        return run

    def settled(self) -> None:
        """The host has every sale, once, and the books agree; nothing is held any more, and nothing is amiss. Raises AssertionError."""
        site = self._site
        assert wait_for(lambda: site.host_sales() >= self.sales and not site.host_open(), PATIENCE_S, 0.3), (site.status(), site.logged())
        assert site.idle()
        assert site.host_sales() == self.sales, site.logged()
        assert site.forecourt.do("host_books")["agree"], site.forecourt.do("host_books")
        assert wait_for(lambda: not site.down(), PATIENCE_S, 0.3), (site.status(), site.logged())

    def fuel(self, run: Run) -> None:
        """A fuelling without a cut."""
        site = self._site
        site.begin_fuelling(self._volume_ml())
        run.watch.saw("SaleReleased")
        self._flowing()
        self._hang_up()
        self.sales += 1
        self.settled()
        run.watch.saw("SaleDelivered")

    def cut(self, run: Run, moment: Moment) -> None:
        """A fuelling in which the machine is cut off, and its end without a terminal. The disk is what the cut left."""
        site, before_ml = self._site, self._pumped_ml()
        self._until(run, moment)
        since = len(entries(site.log))
        self._go(moment)
        skip = 0 if moment is Moment.FLOWING else self._rng.randrange(MAX_SKIP)
        wait_for(lambda: _unflushed(site.log, since, skip), TAIL_S, 0.001)
        site.power_off()
        released = wait_for(lambda: site.pump(2)["valve"] == "open" or self._pumped_ml() > before_ml, 0.5, 0.1)
        if released and moment is Moment.LIFTED:
            run.watch.saw("SaleReleased")
            site.forecourt.do("squeeze", fp=2, volume_ml=self._volume_ml())
            self._flowing()
        if site.host_sales() > self.sales:
            run.watch.saw("SaleDelivered")
        self._count_in(run)
        self._hang_up()
        fuelled = self._pumped_ml() > before_ml
        self.sales += fuelled
        self.total.fuelled += fuelled

    def _until(self, run: Run, moment: Moment) -> None:
        """What goes before it."""
        site = self._site
        match moment:
            case Moment.CHOSEN:
                site.hold_badge()
            case Moment.LIFTED:
                site.ask_for_fuel()
            case Moment.FLOWING | Moment.HUNG_UP:
                site.begin_fuelling(self._volume_ml())
                run.watch.saw("SaleReleased")
                self._flowing()
        if moment is Moment.HUNG_UP:
            wait_for(lambda: not site.pump(2)["delivering"], PATIENCE_S, 0.1)

    def _go(self, moment: Moment) -> None:
        site = self._site
        match moment:
            case Moment.CHOSEN:
                site.choose()
            case Moment.LIFTED:
                site.forecourt.do("lift", fp=2, nozzle=1)
            case Moment.HUNG_UP:
                site.forecourt.do("hang_up", fp=2)

    def _flowing(self) -> None:
        self._site.forecourt.do("wait_flow", fp=2, volume_ml=500)

    def _hang_up(self) -> None:
        """The driver has what he wanted."""
        site = self._site
        wait_for(lambda: not site.pump(2)["delivering"], PATIENCE_S, 0.1)
        if site.pump(2)["nozzle"] is not None:
            site.forecourt.do("hang_up", fp=2)

    def _count_in(self, run: Run) -> None:
        """Make the disk for the next machine; look at others that cuts at other instants would have left."""
        total, every = self.total, entries(run.watch.log)
        total.lost += crash(run.base, run.watch.log, every, self._site.data, self._rng)
        total.hit += flushed(every) < len(every)
        total.kills += 1
        places = range(run.began + 1, len(every) + 1)
        if run.watch.had:  # on an empty disk the ledger is made first
            total.coming_up += look(self._some(range(1, run.began + 1), LOOKED_AT // 3), run.base, run.watch, self._rng)
        total.fuelling += look(self._some(places, LOOKED_AT), run.base, run.watch, self._rng)
        total.lying += look(self._some(places, LOOKED_AT // 3), run.base, run.watch, self._rng, lies=True)

    def _some(self, places: range, most: int) -> list[int]:
        return sorted(self._rng.sample(places, min(most, len(places))))

    def _pumped_ml(self) -> int:
        return int(self._site.pump(2)["totals_ml"]["1"])

    def _volume_ml(self) -> int:
        return self._rng.randrange(4_000, 12_000)


LOOKED_AT = 12
"""Disks of each machine that are looked at and not gone on with."""


def _unflushed(log: Path, since: int, skip: int) -> bool:
    """Behind so many more flushes, something stands unflushed on the disk."""
    every = entries(log)
    return sum(entry.flush for entry in every[since:]) >= skip and len(every) > max(since, flushed(every))
