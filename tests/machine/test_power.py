"""The whole machine cut off in a fuelling, again and again, its disk losing what was not flushed; and the disks of other cuts in them.

The real kernel's ext4 on a disk with a volatile cache (``Site.plug_disk``), the installed service on it. Each time the next machine gets
the disk that the cut left, completes the sale, once, and goes on to the next fuelling.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle

from tests.machine.cut_off import CutOff, Moment
from tests.machine.site import Site

SEED = 20260318
LEAST, MOST = 6, 20
BUDGET_S = 240.0
"""For more machines than the least: on a busy computer each takes a minute."""


def test_machines_cut_off_in_a_fuelling_lose_nothing(site: Site, record_property: Callable[[str, object], None]) -> None:
    """Nothing that anybody has seen is lost or doubled: not by the machines that go on, nor on the disks of other instants."""
    began = time.monotonic()
    power = CutOff(site, SEED)
    run = power.power_on()
    power.fuel(run)
    for moment in cycle(Moment):
        power.cut(run, moment)
        run = power.power_on()
        if power.total.kills >= MOST or (power.total.kills >= LEAST and time.monotonic() - began > BUDGET_S):
            break
    power.fuel(run)
    site.power_off()
    total = power.total
    lost, wrong = total.fuelling + total.coming_up, "ledgers wrong"
    figures = {
        "machines cut off in a fuelling that went on with the disk": total.kills,
        "of these with writes unflushed": total.hit,
        "fuellings among them in which fuel flowed, each booked once": total.fuelled,
        "disks looked at, of cuts in a fuelling": total.fuelling.disks,
        "disks looked at, of cuts while a machine came up": total.coming_up.disks,
        "unflushed writes lost": total.lost + lost.dropped,
        wrong: len(lost.wrong),
        "ledgers wrong on a disk that does not flush": f"{len(total.lying.wrong)} of {total.lying.disks}",
    }
    for name, figure in figures.items():
        record_property(name, figure)
        print(f"{name}: {figure}")
    assert lost.wrong == ()
    assert total.fuelling.disks >= 20
    assert total.hit >= LEAST // 2
    assert len(total.lying.wrong) > total.lying.disks // 4
