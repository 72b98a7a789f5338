"""A disk that fails at the n-th write, sync, opening or naming of one fuelling, and at all behind it; or takes nothing at all.

The station is the swarm's with its invariants, its folder on the recorder's disk: SQLite itself is told EIO, ENOSPC or EROFS by the kernel.
One driver comes while the disk fails, the program is started anew in the middle, the disk is mended, another driver comes, and then
everything must be right: nothing released that was not written down, no fill unrecorded, one record of each at the host, and up again.
"""

from __future__ import annotations

import errno
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from unittest import mock

from terminal.core.host_link import HostTimes
from terminal.store.opening import open_ledger
from tests.powercut.recorder import Recorder, read_journal, recording
from tests.simulation import run as swarm
from tests.simulation.journal_facts import Broken
from tests.simulation.media import Medium
from tests.simulation.run import RAM_DISK, SETTLE_MS, World
from tests.simulation.trace import place_of
from tests.simulation.workload import Manner, Visit, Workload, draw, fork

CARD, PIN = "04A1B2C3D4E5F6", "2468013579"
LITRES_ML = 12_500
CHECKPOINT_PAGES = 10
"""So that the log is folded within one fuelling."""
SICK_MS = 20_000
"""How long a disk stays sick behind the driver's leaving."""
MOST_STARTS = 40
"""Starts of the program in one such day: it tries every two seconds while nothing can be written."""
KINDS = ("write", "sync", "open", "name")
ERRNOS = (errno.EIO, errno.ENOSPC)


@dataclass(frozen=True, slots=True)
class Sickness:
    """What fails. ``lasts``: the n-th and all behind it, until the disk is mended; else only that one."""

    kind: str
    nth: int
    number: int
    lasts: bool = False

    def words(self) -> str:
        """For people."""
        behind = " and all behind it" if self.lasts else ""
        return f"{self.kind} {self.nth}{behind} fails with {errno.errorcode[self.number]}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How such a day ended. ``failed``: operations that did; ``broken``: None, or what is wrong."""

    sickness: Sickness | None
    operations: dict[str, int]
    failed: int
    starts: int
    fills: int
    broken: str | None


class OneFuelling(World):
    """The swarm's station and its checks, one driver while the disk is sick and another one behind that."""

    def __init__(self, recorder: Recorder, sickness: Sickness | None) -> None:
        with mock.patch.object(swarm, "draw", _workload):
            super().__init__(0, recorder.folder, 1)
        self.terminal.ledger_made = lambda path: open_ledger(path, path.parent / "backup", self.terminal.lane.encode)
        self.recorder = recorder
        self.sickness = sickness

    def run(self) -> None:
        """Raises ``Broken``, and whatever the product raises."""
        people = fork(1, "manners")
        self.terminal.power_on()
        self._until(60_000, self.forecourt.ready, "the first start")
        self.recorder.mark("begin")
        if self.sickness is not None:
            one = self.sickness
            self.recorder.fail(one.kind, one.nth, one.number, 0 if one.lasts else 1)
        self._come(1, people)
        self._start_again()
        self.heap.run_until(self.now + SICK_MS, lambda: False)
        self.recorder.mark("end")
        self.recorder.heal()
        self._until(SETTLE_MS, lambda: not self._unsettled(), "rest", self._unsettled)
        # A card file that could not be opened is fetched anew with the next look at the lists, which is minutes away.
        self._until(2 * HostTimes().lists_ms, self.forecourt.ready, "the lists")
        before = sum(one.delivered is not None for one in self.facts.sales.values())
        self._come(2, people)
        self._until(SETTLE_MS, lambda: not self._unsettled(), "rest", self._unsettled)
        if sum(one.delivered is not None for one in self.facts.sales.values()) != before + 1:
            raise Broken("serves again", "the driver who came to the mended disk was not served")
        if list(self.recorder.folder.glob("*.damaged-*")):
            raise Broken("taken for damage", "a ledger on a failing disk was kept aside")
        self._close()

    def _come(self, number: int, people: Random) -> None:
        self._send(number, self.plan.visits[0], 0, people)
        self._until(swarm.PEOPLE_LIMIT_MS, lambda: not self.busy, "the driver")

    def _start_again(self) -> None:
        """The program is killed and started, as systemd would."""
        engine = self.terminal.engine
        if engine is not None:
            self.terminal.crash(engine.ledger)
            self.terminal.start()

    @property
    def starts(self) -> int:
        """Starts of the program that came as far as its engine."""
        return self._boots


def play(sickness: Sickness | None) -> Ended:
    """One day. Never raises for what the product does."""
    with tempfile.TemporaryDirectory(prefix="failing-", dir=RAM_DISK if RAM_DISK.is_dir() else None) as folder:
        broken = None
        with recording(Path(folder)) as recorder:
            world = OneFuelling(recorder, sickness)
            try:
                world.run()
            except Broken as found:
                broken = str(found)
            except Exception as error:  # noqa: BLE001 - whatever the product raises is the finding
                broken = f"{type(error).__name__}: {error} ({place_of(error)})"
            recorder.heal()
            engine = world.terminal.engine
            if engine is not None:
                world.terminal.crash(engine.ledger)
        records = read_journal(Path(folder) / "journal")
    if broken is None and world.starts > MOST_STARTS:
        broken = f"the program was started {world.starts} times"
    fills = sum(one.delivered is not None for one in world.facts.sales.values())
    counted, failed = _window(records)
    return Ended(sickness, counted, failed, world.starts, fills, broken)


_OPERATIONS = {"write": "write", "trunc": "write", "fsync": "sync", "fsyncdir": "sync", "open": "open", "create": "open"}


def _window(records: list[tuple[object, ...]]) -> tuple[dict[str, int], int]:
    """Operations by kind while the disk could be sick, and how many of them failed."""
    marks = [at for at, record in enumerate(records) if record[0] == "mark" and record[1] in ("begin", "end")]
    first, last = (marks[0], marks[1]) if len(marks) > 1 else (0, len(records))
    kinds = Counter(_OPERATIONS.get(str(record[0]), "name") for record in records[first:last] if record[0] not in ("mark", "failed"))
    return dict(kinds), sum(record[0] == "failed" for record in records[first:last])


def _workload(seed: int, fuellings: int) -> Workload:
    products = [("GAZOLE", 17_290), ("ADBLUE", 8_990)]
    scenario = {
        "terminal": "OPT1",
        "site": "S1",
        "zone": "Europe/Paris",
        "currency": "EUR",
        "decimals": 2,
        "local_time": "2026-03-18 12:00:00",
        "policy": {},
        "batch_sales": 1,
        "fuelling_points": [
            {"fp": 1, "protocol": "dart", "nozzle": nozzle, "product": product, "price": price, "minimum_ml": 0}
            for nozzle, (product, price) in enumerate(products, 1)
        ],
        "customers": [{"customer": "C1", "status": "active", "offline": "ALLOWED", "zone": None}],
        "cards": [
            {
                "number": CARD,
                "account": CARD,
                "medium": "badge",
                "customer": "C1",
                "status": "active",
                "pin": PIN,
                "products": None,
                "offline": "ALLOWED",
                "prompts": [],
                "tank_ml": None,
                "sites": None,
                "hours": None,
                "pair": None,
                "language": None,
            }
        ],
        "limits": [],
        "balances": [],
        "host_counts": [],
        "shares": [],
    }
    visit = Visit(Manner.HONEST, 0, 1, LITRES_ML, 0)
    plain = {"badges": (Medium(CARD, PIN),), "visits": (visit,), "pulse_ml": 10, "overrun_ml": 0, "fuellings": 1}
    return replace(draw(seed, fuellings), scenario=scenario, checkpoint_pages=CHECKPOINT_PAGES, **plain)  # type: ignore[arg-type]


def every(clean: Ended, kinds: tuple[str, ...] = KINDS, *, step: int = 1) -> list[Sickness]:
    """Each operation of a clean day, alone and with all behind it, by each errno; of writes only each ``step``-th."""
    found = []
    for kind in kinds:
        for nth in range(1, clean.operations.get(kind, 0) + 1, step if kind == "write" else 1):
            found += [Sickness(kind, nth, number, lasts) for number in ERRNOS for lasts in (False, True)]
    return found
