"""Power cuts under a real kernel, ext4 and a disk with a volatile cache, while a driver fuels. Nothing that was acknowledged is lost.

Two kinds: every write and flush of whole fuellings is recorded, and the disk of any instant is made of it and looked at; and the machine
itself is cut off in mid-fuelling, started again, and completes the sale.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from terminal.store.integrity import verify
from tests.machine.site import Site
from tests.machine.write_log import Entry, crash, entries
from tests.rig.process import wait_for

CUTS = 60
FUELLINGS = 3
KILLS = 3
SEED = 20260318


@dataclass(slots=True)
class Watch:
    """What somebody outside has seen, and how much of the disk's log there was by then: at any later cut it must be on the disk."""

    log: Path
    owed: list[tuple[int, str, int]] = field(default_factory=list)

    def saw(self, kind: str, times: int) -> None:
        """So many facts of this kind have had an effect outside."""
        self.owed.append((len(entries(self.log)), kind, times))

    def at(self, cut: int) -> dict[str, int]:
        """What is owed by a disk that was cut off behind so many entries."""
        return {kind: times for seen, kind, times in self.owed if seen <= cut}


@contextmanager
def mounted(disk: Path) -> Iterator[Path | None]:
    """The disk's files, ext4's own journal replayed; None when it cannot be mounted."""
    place = Path(tempfile.mkdtemp(prefix="cut-"))
    done = subprocess.run(["mount", "-t", "ext4", "-o", "loop", str(disk), str(place)], capture_output=True, check=False)
    try:
        yield place if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def missing(disk: Path, owed: dict[str, int], scratch: Path) -> list[str]:
    """What is wrong with the ledger of this disk; empty when nothing is."""
    for old in scratch.iterdir():
        old.unlink()
    with mounted(disk) as place:
        if place is None:
            return ["the file system cannot be mounted"]
        for name in ("ledger.db", "ledger.db-wal"):
            if (place / name).exists():
                shutil.copyfile(place / name, scratch / name)
    file = scratch / "ledger.db"
    if not file.exists():
        return ["no ledger"] if owed else []
    try:
        report = verify(file)
        found = [] if report.sound else list(report.lines())
        with closing(sqlite3.connect(file)) as db:
            counts = dict(db.execute("SELECT kind, count(*) FROM journal GROUP BY kind").fetchall())
    except Exception as error:  # noqa: BLE001 - whatever a ruined file makes of the reader is a finding
        return [f"{type(error).__name__}: {error}"]
    return found + [f"{counts.get(kind, 0)} of {times} {kind}" for kind, times in owed.items() if counts.get(kind, 0) < times]


def test_no_cut_in_a_fuelling_loses_what_was_acknowledged(site: Site, tmp_path: Path) -> None:
    """Sixty disks cut off at instants all over three fuellings, of each what was not flushed lost at random."""
    site.power_on()
    data, base, log = site.make_data_disk(), tmp_path / "base.img", tmp_path / "log.img"
    shutil.copyfile(data, base)
    site.plug_disk(data, log)
    site.start_service()
    watch = Watch(log)
    first = len(entries(log))
    for number in range(1, FUELLINGS + 1):
        site.begin_fuelling(4_000)
        watch.saw("SaleReleased", number)
        wait_for(lambda: not site.pump(2)["delivering"], 60, 0.1)
        site.forecourt.do("hang_up", fp=2)
        assert wait_for(lambda number=number: site.host_sales() == number, 120, 0.1), (site.status(), site.logged())
        watch.saw("SaleDelivered", number)
    every = entries(log)
    site.power_off()
    flushes = sum(entry.flush for entry in every)
    assert flushes > 20
    rng = random.Random(SEED)
    cuts = [first + (len(every) - first) * place // CUTS for place in range(1, CUTS + 1)]
    (tmp_path / "scratch").mkdir()
    lost, dropped = _look(cuts, every, watch, base, log, tmp_path, rng, lies=False)
    lied, _ = _look(cuts, every, watch, base, log, tmp_path, rng, lies=True)
    print(
        f"{len(every)} requests, {flushes} flushes, {CUTS} cuts, {dropped} unflushed writes lost: {len(lost)} ledgers wrong; "
        f"the same disk without flushes: {len(lied)} wrong"
    )
    assert lost == []
    assert len(lied) > CUTS // 2


def _look(
    cuts: list[int], every: list[Entry], watch: Watch, base: Path, log: Path, folder: Path, rng: random.Random, *, lies: bool
) -> tuple[list[str], int]:
    wrong, dropped = [], 0
    for cut in cuts:
        disk = folder / "cut.img"
        dropped += crash(base, log, every[:cut], disk, rng, lies=lies)[1]
        found = missing(disk, watch.at(cut), folder / "scratch")
        if found:
            wrong.append(f"cut behind {cut}: {found}")
    return wrong, dropped


def test_the_machine_is_cut_off_in_mid_fuelling_and_completes_the_sale(site: Site) -> None:
    """SIGKILL to the machine while fuel flows; the pump goes on alone; the next machine with the same disk books the sale, once."""
    site.power_on()
    data = site.make_data_disk()
    site.power_off()
    rng = random.Random(SEED)
    before = site.host_sales()
    for number in range(1, KILLS + 1):
        _start_with(site, data)
        site.begin_fuelling(rng.randrange(2_000, 20_000))
        site.forecourt.do("wait_flow", fp=2, volume_ml=500)
        site.power_off()
        wait_for(lambda: not site.pump(2)["delivering"], 60, 0.1)
        site.forecourt.do("hang_up", fp=2)
        _start_with(site, data)
        assert wait_for(lambda number=number: site.host_sales() == before + number, 120, 0.3), (site.status(), site.logged())
        site.power_off()
    assert site.forecourt.do("host_books")["agree"]


def _start_with(site: Site, data: Path) -> None:
    site.power_on()
    site.plug_disk(data)
    site.start_service()


pytestmark = pytest.mark.machine
