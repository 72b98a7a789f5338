"""A ledger that loses its newest rows in a station that lives on: every fuelling ends in all three books, once.

The disk loses the ledger behind a backup (or an older copy is put back), the program makes it anew, the host gives back what it has. Then
the terminal's books, the host's and the totalisers are compared, and ``terminal verify`` finds no error.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from terminal.core.records import SaleCorrected
from terminal.core.returned_record import ReturnSettled, SaleReturned
from terminal.host import sales_lane
from terminal.store.integrity import verify
from tests.behaviour.setup import HostConduct
from tests.virtual.lost_station import (
    AWAY,
    CARDS,
    CUSTOMER,
    MONTH_ML,
    agree,
    back_up,
    came_back,
    facts,
    fuel,
    ledger,
    lose,
    settled,
    start,
    station,
    told,
)
from tests.virtual.world import VirtualWorld


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    yield from station()


@pytest.fixture
def online() -> Iterator[VirtualWorld]:
    """A station that never decides alone, so that nothing can have been sold of which the host never heard."""
    yield from station({"exposure_terminal_count": 0})


def test_what_the_disk_lost_comes_back_and_every_book_agrees(world: VirtualWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sales_lane, "PAGE", 2)
    fuel(world, 1, CARDS[0], 10_000)
    back_up(world)
    fuel(world, 2, CARDS[1], 12_500)
    world.set_host(AWAY)
    fuel(world, 1, CARDS[0], 5_000, nozzle=2)
    world.set_host(HostConduct())
    world.pass_time(60_000)
    fuel(world, 1, CARDS[1], 3_000)
    lose(world)
    world.return_power()
    found = settled(world)
    assert (found.epoch, found.returned, found.quantity_ml, found.unknown, found.held, found.refused) == (1, 3, 20_500, 0, (), 0)
    assert told(world) == "rows were lost; 3 sales came back from the host, 20500 ml"
    assert "UNATTRIBUTED_DELIVERY" not in world.faults()
    agree(world, 10_000, 12_500, 5_000, 3_000)
    fuel(world, 2, CARDS[0], 7_000)
    assert facts(world, ReturnSettled) == [found], "asked once"
    agree(world, 10_000, 12_500, 5_000, 3_000, 7_000)
    world.host_confirms_ledger()
    world.publish_lists()
    agree(world, 10_000, 12_500, 5_000, 3_000, 7_000)
    fuel(world, 2, CARDS[0], 2_000)
    agree(world, 10_000, 12_500, 5_000, 3_000, 7_000, 2_000)
    assert world.station.book.missing_sequences() == []


def test_lists_that_come_between_the_loss_and_the_confirmation_count_nothing_twice(world: VirtualWorld) -> None:
    fuel(world, 1, CARDS[0], 10_000)
    back_up(world)
    fuel(world, 1, CARDS[0], 12_500)
    world.publish_lists()
    fuel(world, 2, CARDS[1], 4_000)
    lose(world)
    world.station.book.publish()
    world.return_power()
    settled(world)
    agree(world, 10_000, 12_500, 4_000)
    fuel(world, 2, CARDS[0], 7_000)
    world.publish_lists()
    agree(world, 10_000, 12_500, 4_000, 7_000)


def test_a_return_that_the_power_cuts_goes_on_where_it_was(world: VirtualWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut behind every page, and answers that come twice: each sale is one fact."""
    monkeypatch.setattr(sales_lane, "PAGE", 1)
    fuel(world, 1, CARDS[0], 10_000)
    back_up(world)
    for volume_ml in (2_000, 3_000, 4_000, 5_000):
        fuel(world, 2, CARDS[1], volume_ml)
    lose(world)
    world.return_power()
    for number in range(1, 5):
        assert world.wait(came_back(world, number), 600_000)
        world.cut_power()
        world.return_power()
    assert settled(world).returned == 4
    sales = [fact.sale for fact in facts(world, SaleReturned)]
    assert len(sales) == len(set(sales)) == 4
    agree(world, 10_000, 2_000, 3_000, 4_000, 5_000)


def test_corrections_that_the_host_made_come_with_their_sale(world: VirtualWorld) -> None:
    back_up(world)
    fuel(world, 1, CARDS[0], 12_500)
    sale = world.station.book.sales()[-1]["sale"]
    world.station.book.correct(sale, "refund", quantity_ml=2_500, value_minor=432, correction="K1")
    world.pass_time(10_000)
    lose(world)
    world.return_power()
    settled(world)
    assert [(fact.correction, fact.quantity_ml) for fact in facts(world, SaleCorrected)] == [("K1", 2_500)]
    assert world.remaining(CUSTOMER, "MONTH", "QUANTITY", None) == MONTH_ML - 10_000
    world.cut_power()
    assert verify(ledger(world)).sound


def test_a_sale_that_ran_when_the_disk_went_is_found_at_its_pump_and_booked_once(online: VirtualWorld) -> None:
    world = online
    fuel(world, 1, CARDS[0], 10_000)
    back_up(world)
    fuel(world, 1, CARDS[0], 2_000)
    start(world, 2, CARDS[1], 6_000)
    lose(world)
    world.flow(2, 1_500)
    world.hang_up(2)
    world.pass_time(5_000)
    world.return_power()
    found = settled(world)
    assert (found.returned, found.held) == (2, ())
    agree(world, 10_000, 2_000, 7_500)
    assert world.host_open_authorizations() == 0
    record = world.station.book.sales()[-1]
    assert (record["quantity_ml"], record["marks"], record["card"]["last4"]) == (7_500, ["RESTORED"], CARDS[1][-4:])


def test_a_sale_that_was_armed_when_the_disk_went_is_ended_with_nothing(world: VirtualWorld) -> None:
    back_up(world)
    world.present_badge(CARDS[0])
    world.pass_time(1_000)
    world.choose(1)
    world.pass_time(3_000)
    assert world.host_open_authorizations() == 1
    lose(world)
    world.pass_time(5_000)
    world.return_power()
    settled(world)
    agree(world)
    assert world.host_open_authorizations() == 0


def test_fuel_that_may_be_somebody_elses_is_nobodys_and_told(world: VirtualWorld) -> None:
    """Sales that the host never heard of were lost as well: whose the fuel is cannot be said here."""
    back_up(world)
    world.present_badge(CARDS[0])
    world.pass_time(1_000)
    world.choose(1)
    world.pass_time(3_000)
    lose(world)
    world.station.heads[1].totals_ml(world.heap.now)
    world.dispense_unreleased(1, 1, 4_000)
    world.dispense_unreleased(1, 2, 3_000)
    world.pass_time(60_000)
    world.return_power()
    found = settled(world)
    assert len(found.held) == 1
    assert found.held[0] in told(world)
    assert world.host_open_authorizations() == 1
    assert "UNATTRIBUTED_DELIVERY" in world.faults()


def test_sales_that_the_host_never_had_are_named_as_unknown(world: VirtualWorld) -> None:
    back_up(world)
    fuel(world, 1, CARDS[0], 2_000)
    world.set_host(AWAY)
    fuel(world, 1, CARDS[0], 3_000)
    world.set_host(HostConduct(always_500=True))
    world.station.book._journal.hear("OPT1", 1, 3)  # in a call that was not booked
    lose(world)
    world.set_host(HostConduct())
    world.return_power()
    found = settled(world)
    assert (found.returned, found.unknown, found.first_unknown) == (1, 2, 2)
    assert "2 numbers from 2 on are unknown there too" in told(world)
    world.cut_power()
    report = verify(ledger(world))
    assert report.sound, report.lines()
    assert sum(nozzle.unattributed_ml for nozzle in report.nozzles) == 3_000


def test_a_host_that_is_away_is_asked_when_it_is_back(world: VirtualWorld) -> None:
    back_up(world)
    fuel(world, 1, CARDS[0], 2_000)
    lose(world)
    world.set_host(AWAY)
    world.return_power()
    world.pass_time(300_000)
    assert facts(world, SaleReturned) == []
    world.set_host(HostConduct())
    settled(world)
    agree(world, 2_000)


def test_a_second_loss_brings_back_what_the_first_had_brought(world: VirtualWorld) -> None:
    back_up(world)
    fuel(world, 1, CARDS[0], 2_000)
    lose(world)
    world.return_power()
    settled(world)
    fuel(world, 1, CARDS[0], 3_000)
    lose(world)
    world.return_power()
    assert world.wait(lambda: len(facts(world, ReturnSettled)) == 2, 600_000)
    assert [(fact.epoch, fact.now, fact.returned, fact.unknown) for fact in facts(world, ReturnSettled)] == [(1, 3, 1, 0), (2, 3, 1, 0)]
    agree(world, 2_000, 3_000)
    with world.terminal.reading() as db:
        assert [row for (row,) in db.execute("SELECT epoch FROM sale ORDER BY sequence")] == [1, 2]


def test_behind_an_older_copy_what_is_held_is_for_people(world: VirtualWorld) -> None:
    """Nobody can say since when the copy is the older one, so no totaliser proves what was taken."""
    world.cut_power()
    world.keep_ledger()
    world.return_power()
    fuel(world, 1, CARDS[0], 2_000)
    start(world, 2, CARDS[1], 6_000)
    world.pass_time(70_000)  # longer than it takes to say how it is
    world.cut_power()
    world.put_ledger_back()
    world.hang_up(2)
    world.return_power()
    found = settled(world)
    assert (found.returned, len(found.held)) == (1, 1)
    assert found.held[0] in told(world)
    assert world.host_open_authorizations() == 1
    books = world.books()
    assert books.ledger == books.host == books.pumps, "its fuel stands as what left without a sale"
