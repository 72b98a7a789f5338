"""A station that lives on while its ledger loses rows, and what the three books say of it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from terminal.core.account_book import AccountBook
from terminal.core.returned_record import ReturnSettled, SaleReturned
from terminal.store.backup import make
from terminal.store.integrity import Severity, verify
from terminal.store.recovery import recover
from tests.behaviour.setup import CardRow, CustomerRow, HostConduct, LimitRow, NozzleRow, Setup, Subject, SubjectKind
from tests.virtual.world import VirtualWorld

T = TypeVar("T")
CARDS = ("04A1B2C3D4E5F6", "04FFFFFFFFFF01")
CUSTOMER = Subject(SubjectKind.CUSTOMER, "C1")
MONTH_ML = 500_000
SETUP = Setup(
    fuelling_points=tuple(NozzleRow(fp, "dart", nozzle, name, 17_290) for fp in (1, 2) for nozzle, name in ((1, "GAZOLE"), (2, "SP95"))),
    customers=(CustomerRow("C1"),),
    cards=tuple(CardRow(each, each, "badge", "C1") for each in CARDS),
    limits=(LimitRow(CUSTOMER, "MONTH", "QUANTITY", MONTH_ML),),
)
AWAY = HostConduct(reachable=False)


def station(policy: dict[str, int] | None = None) -> Iterator[VirtualWorld]:
    """Open for a fixture's time."""
    world = VirtualWorld(SETUP if policy is None else replace(SETUP, policy=policy))
    world.pass_time(5_000)
    yield world
    world.close()


def start(world: VirtualWorld, fp: int, card: str, volume_ml: int, nozzle: int = 1) -> None:
    """A driver to the middle of his fuelling."""
    world.present_badge(card)
    world.pass_time(1_000)
    world.choose(fp)
    world.pass_time(3_000)
    world.lift(fp, nozzle)
    world.pass_time(3_000)
    assert world.station.heads[fp].valve_open
    world.flow(fp, volume_ml)
    world.pass_time(1_000)


def fuel(world: VirtualWorld, fp: int, card: str, volume_ml: int, nozzle: int = 1) -> None:
    """A whole fuelling."""
    start(world, fp, card, volume_ml, nozzle)
    world.hang_up(fp)
    world.pass_time(10_000)


def ledger(world: VirtualWorld) -> Path:
    return world.station.folder / "ledger.db"


def back_up(world: VirtualWorld) -> None:
    """A backup as the program makes it; the station starts again."""
    world.cut_power()
    assert make(ledger(world), world.station.folder / "backup") is None
    world.return_power()


def lose(world: VirtualWorld) -> None:
    """The disk has nothing of the ledger any more but the backup."""
    world.cut_power()
    for name in ("ledger.db", "ledger.db-wal"):
        (world.station.folder / name).unlink(missing_ok=True)


def facts(world: VirtualWorld, kind: type[T]) -> list[T]:
    with world.terminal.reading() as db:
        rows = db.execute("SELECT body FROM journal WHERE kind = ? ORDER BY seq", (kind.__name__,)).fetchall()
    return [msgspec.json.decode(body, type=kind) for (body,) in rows]


def settled(world: VirtualWorld) -> ReturnSettled:
    """How the newest return ended, once it has."""
    assert world.wait(lambda: bool(facts(world, ReturnSettled)), 600_000)
    world.pass_time(10_000)
    return facts(world, ReturnSettled)[-1]


def waiting(world: VirtualWorld) -> int:
    """Messages that the host has not answered yet."""
    engine = world.terminal.engine
    return -1 if engine is None else engine.site.uploads.waiting


def agree(world: VirtualWorld, *volumes_ml: int) -> None:
    """Every fuelling is once in the terminal's books, in the host's and in the totalisers; memory is what the ledger says."""
    assert world.wait(lambda: bool(world.settled()) and not waiting(world), 600_000)
    books = world.books()
    assert sorted(books.ledger_sales) == sorted(books.host_sales)
    assert books.ledger == books.host == books.pumps
    assert books.ledger_minor == books.host_minor
    assert sorted(sale.volume_ml for sale in world.ledger_sales()) == sorted(volumes_ml)
    engine = world.terminal.engine
    assert engine is not None
    assert engine.site.desk.book == AccountBook(recover(engine.ledger, engine.site.config.rules.terminal, engine.site.boot_id).uses)
    taken = sum(volumes_ml)
    assert world.remaining(CUSTOMER, "MONTH", "QUANTITY", None) == MONTH_ML - taken
    world.cut_power()
    report = verify(ledger(world))
    world.return_power()
    assert report.sound, report.lines()
    for nozzle in report.nozzles:
        assert nozzle.now_ml + nozzle.went_back_ml - nozzle.first_ml == nozzle.sold_ml + nozzle.unattributed_ml
        assert nozzle.unattributed_ml == 0


def told(world: VirtualWorld) -> str:
    """What the host has heard of the loss."""
    world.pass_time(5_000)
    state = world.station.book.terminal_state
    assert state is not None
    return next((fault["detail"] for fault in state["faults"] if fault["code"] == "STORAGE_DAMAGED"), "")


def came_back(world: VirtualWorld, number: int) -> Callable[[], bool]:
    return lambda: len(facts(world, SaleReturned)) >= number


def arm(world: VirtualWorld, card: str = CARDS[0], fp: int = 1) -> None:
    """A driver to the point at which he may take the nozzle."""
    world.present_badge(card)
    world.pass_time(1_000)
    world.choose(fp)
    world.pass_time(3_000)


def lift(world: VirtualWorld, fp: int = 1) -> None:
    world.lift(fp, 1)
    world.pass_time(3_000)


def hang_up(world: VirtualWorld, fp: int = 1) -> None:
    world.hang_up(fp)
    world.pass_time(20_000)


def back_up_running(world: VirtualWorld, folder: Path) -> None:
    """As the hourly process does it: a copy of the two files while the program goes on."""
    for name in ("ledger.db", "ledger.db-wal"):
        (folder / name).unlink(missing_ok=True)
        if (world.station.folder / name).exists():
            shutil.copyfile(world.station.folder / name, folder / name)
    assert make(folder / "ledger.db", world.station.folder / "backup") is None


def overwrite(world: VirtualWorld, behind: int) -> None:
    """The rows behind this one of the live ledger are ruined, beyond mending."""
    world.cut_power()
    with closing(sqlite3.connect(ledger(world))) as db:
        db.execute("UPDATE journal SET body = zeroblob(40), hash = zeroblob(32) WHERE seq > ?", (behind,))
        db.commit()


def newest(world: VirtualWorld) -> int:
    with world.terminal.reading() as db:
        (row,) = db.execute("SELECT max(seq) FROM journal").fetchone()
    return int(row)


def no_quarrel(world: VirtualWorld) -> None:
    """The host contradicts nothing, and no nozzle has less than nothing without a sale."""
    assert "MESSAGE_QUARANTINED" not in world.faults()
    world.cut_power()
    report = verify(ledger(world))
    world.return_power()
    assert report.sound, report.lines()
    assert all(nozzle.unattributed_ml >= 0 for nozzle in report.nozzles)
    assert not [finding for finding in report.findings if finding.severity is Severity.WARNING]


def by_driver(world: VirtualWorld) -> list[tuple[str, int]]:
    """What the host has booked, by the end of the card's number."""
    return sorted((sale["card"]["last4"], sale["quantity_ml"]) for sale in world.station.book.sales() if sale["quantity_ml"])


def in_doubt(world: VirtualWorld, sale: str, fuel_ml: int) -> None:
    """It is the one sale in doubt, people are told of it, and the fuel is nobody's."""
    found = settled(world)
    assert {*found.doubtful, *found.held} == {sale}
    assert sale in told(world)
    assert "UNATTRIBUTED_DELIVERY" in world.faults()
    assert "MESSAGE_QUARANTINED" not in world.faults()
    assert world.station.book.sales() == []
    world.cut_power()
    report = verify(ledger(world))
    world.return_power()
    assert (report.sound, report.open_sales, sum(nozzle.unattributed_ml for nozzle in report.nozzles)) == (True, 1, fuel_ml)


def keep(world: VirtualWorld, folder: Path) -> None:
    """A copy of the two files, while the program goes on."""
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copyfile(world.station.folder / name, folder / f"kept-{name}")


def put_back(world: VirtualWorld, folder: Path) -> None:
    """An older copy in the ledger's place."""
    world.cut_power()
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copyfile(folder / f"kept-{name}", world.station.folder / name)
