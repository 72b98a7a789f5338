"""The whole machine cut off in mid-fuelling: SIGKILL to the emulator, so that all is lost that its kernel had only in memory."""

from __future__ import annotations

import random
from pathlib import Path

from tests.machine.site import Site
from tests.machine.vm import PATIENCE_S
from tests.rig.process import wait_for

CUTS = 2
SEED = 20260318


def test_the_machine_is_cut_off_in_mid_fuelling_and_completes_the_sale(site: Site) -> None:
    """The pump goes on alone; the next machine with the same disk books the sale, once."""
    site.power_on()
    data = site.make_data_disk()
    site.power_off()
    rng = random.Random(SEED)
    before = site.host_sales()
    for number in range(1, CUTS + 1):
        _start_with(site, data)
        site.begin_fuelling(rng.randrange(2_000, 20_000))
        site.forecourt.do("wait_flow", fp=2, volume_ml=500)
        site.power_off()
        wait_for(lambda: not site.pump(2)["delivering"], PATIENCE_S, 0.1)
        site.forecourt.do("hang_up", fp=2)
        _start_with(site, data)
        assert wait_for(lambda number=number: site.host_sales() == before + number, PATIENCE_S, 0.3), (site.status(), site.logged())
        site.power_off()
    assert site.forecourt.do("host_books")["agree"]


def _start_with(site: Site, data: Path) -> None:
    site.power_on()
    site.plug_disk(data)
    site.start_service()
