"""A loss of rows while somebody fuelled: what was kept has the beginning of a sale, and the rows that are gone may have its end.

A backup is made whoever fuels. So each test takes it (or the older copy) with a sale open, lets the station live on, takes the ledger away,
and looks at the three books: every fuelling is once in all of them and with its own driver, or its sale is in doubt and named.
(core/left_open.py; firmware_notes/storage.md.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.records import SaleInDoubt
from terminal.core.returned_record import LEFT_OPEN, ReturnSettled, SaleReturned
from terminal.host import sales_lane
from tests.behaviour.setup import HostConduct
from tests.virtual.lost_station import (
    AWAY,
    CARDS,
    agree,
    arm,
    back_up_running,
    by_driver,
    facts,
    fuel,
    hang_up,
    in_doubt,
    keep,
    lift,
    lose,
    newest,
    no_quarrel,
    overwrite,
    put_back,
    settled,
    start,
    station,
    told,
)
from tests.virtual.world import VirtualWorld


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    yield from station()


def test_one_that_ended_behind_the_backup_is_ended_by_the_hosts_record(world: VirtualWorld, tmp_path: Path) -> None:
    fuel(world, 1, CARDS[0], 10_000)
    start(world, 1, CARDS[0], 5_000)
    back_up_running(world, tmp_path)
    hang_up(world)
    lose(world)
    world.return_power()
    assert [fact.why for fact in facts(world, SaleInDoubt)] == [LEFT_OPEN]
    found = settled(world)
    assert (found.returned, found.unknown, found.held, found.doubtful, found.refused) == (1, 0, (), (), 0)
    assert "UNATTRIBUTED_DELIVERY" not in world.faults()
    agree(world, 10_000, 5_000)
    no_quarrel(world)


@pytest.mark.parametrize("nozzle", [1, 2])
def test_who_fuelled_behind_it_is_not_added_to_it(world: VirtualWorld, tmp_path: Path, nozzle: int) -> None:
    fuel(world, 1, CARDS[0], 10_000)
    start(world, 1, CARDS[0], 5_000)
    back_up_running(world, tmp_path)
    hang_up(world)
    fuel(world, 1, CARDS[1], 3_000, nozzle=nozzle)
    lose(world)
    world.return_power()
    assert settled(world).returned == 2
    agree(world, 10_000, 5_000, 3_000)
    assert by_driver(world) == [("E5F6", 5_000), ("E5F6", 10_000), ("FF01", 3_000)]
    no_quarrel(world)
    world.host_confirms_ledger()
    world.publish_lists()
    world.pass_time(60_000)
    assert "STORAGE_DAMAGED" not in world.faults()
    fuel(world, 1, CARDS[0], 2_000)
    agree(world, 10_000, 5_000, 3_000, 2_000)
    no_quarrel(world)


def test_rows_that_are_overwritten_are_lost_like_a_file(world: VirtualWorld, tmp_path: Path) -> None:
    fuel(world, 1, CARDS[0], 10_000)
    start(world, 1, CARDS[0], 5_000)
    back_up_running(world, tmp_path)
    kept = newest(world)
    hang_up(world)
    fuel(world, 1, CARDS[1], 3_000)
    overwrite(world, kept)
    world.return_power()
    settled(world)
    agree(world, 10_000, 5_000, 3_000)
    no_quarrel(world)


@pytest.mark.parametrize("lifted", [False, True])
def test_one_that_took_nothing_is_not_given_the_next_drivers_fuel(world: VirtualWorld, tmp_path: Path, lifted: bool) -> None:
    arm(world)
    if lifted:
        lift(world)
    back_up_running(world, tmp_path)
    if lifted:
        hang_up(world)
    else:
        world.pass_time(400_000)
    fuel(world, 1, CARDS[1], 3_000)
    lose(world)
    world.return_power()
    assert settled(world).doubtful == ()
    agree(world, 3_000)
    assert by_driver(world) == [("FF01", 3_000)]
    no_quarrel(world)


def test_one_that_was_armed_and_then_fuelled_gets_its_fuel_back(world: VirtualWorld, tmp_path: Path) -> None:
    arm(world)
    back_up_running(world, tmp_path)
    lift(world)
    world.flow(1, 5_000)
    world.pass_time(1_000)
    hang_up(world)
    lose(world)
    world.return_power()
    settled(world)
    agree(world, 5_000)
    no_quarrel(world)


def test_one_that_nobody_knows_the_end_of_took_nothing_where_no_fuel_is_missing(world: VirtualWorld, tmp_path: Path) -> None:
    """Decided offline, hung up, and the host never heard of it."""
    world.set_host(AWAY)
    world.pass_time(60_000)
    arm(world)
    lift(world)
    back_up_running(world, tmp_path)
    hang_up(world)
    lose(world)
    world.set_host(HostConduct())
    world.return_power()
    assert settled(world).doubtful == ()
    agree(world)
    no_quarrel(world)


@pytest.mark.parametrize("lifted", [False, True])
def test_fuel_that_may_be_the_next_drivers_is_not_put_on_the_card_that_was_open(world: VirtualWorld, tmp_path: Path, lifted: bool) -> None:
    """The host holds it and heard of nothing since: it may have taken nothing, and somebody else this fuel, offline."""
    arm(world)
    if lifted:
        lift(world)
    back_up_running(world, tmp_path)
    world.set_host(AWAY)
    world.pass_time(60_000)
    if lifted:
        hang_up(world)
    else:
        world.pass_time(400_000)
    fuel(world, 1, CARDS[1], 3_000)
    lose(world)
    world.set_host(HostConduct())
    world.return_power()
    in_doubt(world, "OPT1-1-1", 3_000)
    assert world.host_open_authorizations() == 1


def test_a_sale_offline_of_which_nobody_knows_the_end_stays_in_doubt(world: VirtualWorld, tmp_path: Path) -> None:
    world.set_host(AWAY)
    world.pass_time(60_000)
    start(world, 1, CARDS[0], 4_000)
    back_up_running(world, tmp_path)
    hang_up(world)
    lose(world)
    world.set_host(HostConduct())
    world.return_power()
    in_doubt(world, "OPT1-1-1", 4_000)
    assert "1 in doubt here" in told(world)


def test_one_that_still_flows_is_stopped_and_stays_in_doubt(world: VirtualWorld, tmp_path: Path) -> None:
    """Nobody can say that it is still the same fuelling."""
    start(world, 1, CARDS[0], 4_000)
    back_up_running(world, tmp_path)
    lose(world)
    world.return_power()
    world.pass_time(20_000)
    hang_up(world)
    in_doubt(world, "OPT1-1-1", 4_000)


def test_an_older_copy_waits_for_the_hosts_word_before_it_ends_anything(world: VirtualWorld, tmp_path: Path) -> None:
    fuel(world, 1, CARDS[0], 10_000)
    start(world, 1, CARDS[0], 5_000)
    keep(world, tmp_path)
    hang_up(world)
    fuel(world, 1, CARDS[1], 3_000)
    world.pass_time(70_000)  # longer than it takes to say how it is
    put_back(world, tmp_path)
    world.return_power()
    assert settled(world).returned == 2
    agree(world, 10_000, 5_000, 3_000)
    no_quarrel(world)


def test_an_older_copy_gives_nobody_the_next_drivers_fuel(world: VirtualWorld, tmp_path: Path) -> None:
    """The host is away from before the end of that sale until the copy is there; behind a copy no totaliser proves anything."""
    arm(world)
    lift(world)
    keep(world, tmp_path)
    world.cut_power()
    world.return_power()
    world.pass_time(5_000)  # the host hears of the start
    world.set_host(AWAY)
    hang_up(world)
    fuel(world, 1, CARDS[1], 3_000)
    put_back(world, tmp_path)
    world.set_host(HostConduct())
    world.return_power()
    in_doubt(world, "OPT1-1-1", 3_000)
    assert world.host_open_authorizations() == 1


def test_a_power_cut_behind_every_step_of_it_changes_nothing(world: VirtualWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sales_lane, "PAGE", 1)
    fuel(world, 1, CARDS[0], 10_000)
    start(world, 1, CARDS[0], 5_000)
    back_up_running(world, tmp_path)
    hang_up(world)
    fuel(world, 1, CARDS[1], 3_000)
    fuel(world, 2, CARDS[0], 2_000)
    lose(world)
    world.return_power()
    for number in range(1, 4):
        world.cut_power()
        world.return_power()
        assert world.wait(lambda: len(facts(world, SaleReturned)) >= number, 600_000)  # noqa: B023 - waited for at once
        world.cut_power()
        world.return_power()
    found = settled(world)
    assert (found.returned, found.doubtful) == (3, ())
    sales = [fact.sale for fact in facts(world, SaleReturned)]
    assert len(sales) == len(set(sales)) == 3
    assert len(facts(world, SaleInDoubt)) == 1
    agree(world, 10_000, 5_000, 3_000, 2_000)
    no_quarrel(world)


def test_a_second_loss_finds_the_same(world: VirtualWorld, tmp_path: Path) -> None:
    start(world, 1, CARDS[0], 5_000)
    back_up_running(world, tmp_path)
    hang_up(world)
    fuel(world, 1, CARDS[1], 3_000)
    lose(world)
    world.return_power()
    settled(world)
    fuel(world, 1, CARDS[1], 1_000)
    lose(world)
    world.return_power()
    assert world.wait(lambda: len(facts(world, ReturnSettled)) == 2, 600_000)
    agree(world, 5_000, 3_000, 1_000)
    no_quarrel(world)
