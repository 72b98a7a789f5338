"""AZT heads of every habit before the real line master and the real core: whatever happens when, each fuelling is booked once."""

from __future__ import annotations

from random import Random

import pytest

from drivers.dispenser.azt.dialogue import Anchor, Desk, Picture
from drivers.dispenser.azt.frames import Answer, Command
from drivers.dispenser.azt.mapping import State
from drivers.dispenser.azt.procedures import read_total
from drivers.dispenser.azt.profile import LineProfile, PositionProfile
from drivers.events import PumpSurveyed, TotalReported
from hal_sim.dispensers.azt import AztHead
from hal_sim.wire import Faults
from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.virtual.pump_hands import NOISE
from tests.virtual.world import VirtualWorld

CARD = "04A1B2C3D4E5F6"
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "azt", 1, "GAZOLE", 17_290), NozzleRow(2, "dart", 1, "GAZOLE", 17_290)),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(CARD, CARD, "badge", "C1"),),
)
HABITS = (
    None,
    "forgets_record",
    "runs_without_dose",
    "confirms_itself",
    "starts_with_flow",
    "hang_up_drops_release",
)


def world_with(habit: str | None) -> tuple[VirtualWorld, AztHead]:
    world = VirtualWorld(SETUP)
    head = world.station.heads[1]
    assert isinstance(head, AztHead)
    if habit is not None:
        assert getattr(head, habit) is False
        setattr(head, habit, True)
    return world, head


def sold(world: VirtualWorld) -> list[tuple[int, int]]:
    """Volumes and amounts once everything is settled: no sale open, all books the same."""
    assert world.wait(lambda: world.host_open_authorizations() == 0 and bool(world.settled()), 600_000)
    books = world.books()
    assert books.ledger == books.host == {each: volume for each, volume in books.pumps.items() if volume}
    assert books.ledger_minor == books.host_minor
    return [(sale.volume_ml, sale.amount_minor) for sale in world.ledger_sales()]


def choose(world: VirtualWorld) -> None:
    world.present_badge(CARD)
    world.pass_time(1_000)
    world.choose(1)
    world.pass_time(3_000)


def fuel(world: VirtualWorld, head: AztHead, volume_ml: int) -> None:
    choose(world)
    world.lift(1, 1)
    world.pass_time(3_000)
    assert head.valve_open
    world.flow(1, volume_ml)
    world.pass_time(2_000)
    world.hang_up(1)
    world.pass_time(6_000)


@pytest.mark.parametrize("habit", HABITS)
def test_every_head_serves_one_driver_after_the_other(habit: str | None) -> None:
    world, head = world_with(habit)
    for volume_ml in (12_500, 12_500, 5_010):
        fuel(world, head, volume_ml)
    assert sold(world) == [(12_500, 2_161), (12_500, 2_161), (5_010, 866)]
    assert not world.faults()
    world.close()


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("cut", ["line", "power", "head"])
def test_what_is_cut_while_fuel_flows_is_booked_once(habit: str | None, cut: str) -> None:
    world, head = world_with(habit)
    choose(world)
    world.lift(1, 1)
    world.pass_time(3_000)
    world.flow(1, 5_000)
    if cut == "line":
        world.cut_line(1)
    elif cut == "power":
        world.cut_power()
    else:
        head.power_off(world.heap.now)
    world.pass_time(5_000)
    if cut != "head":
        world.flow(1, 7_500)
    world.hang_up(1)
    world.pass_time(10_000)
    if cut == "line":
        world.restore_line(1)
    elif cut == "power":
        world.return_power()
    else:
        head.power_on(world.heap.now)
    world.pass_time(20_000)
    volume_ml = 5_000 if cut == "head" else 12_500
    assert sold(world) == [(volume_ml, 865 if cut == "head" else 2_161)]
    fuel(world, head, 3_000)
    assert len(sold(world)) == 2
    world.close()


def test_the_power_goes_at_any_moment_of_a_fuelling() -> None:
    """In steps of a status round over the release, the fill and the reading of its record."""
    for after_ms in range(0, 9_000, 170):
        world, head = world_with(None)
        choose(world)
        world.lift(1, 1)
        cut_at = world.heap.now + after_ms

        def power_cut(world: VirtualWorld = world) -> None:
            world.cut_power()

        world.heap.after(after_ms, power_cut)
        world.pass_time(3_000)
        if head.valve_open:
            world.flow(1, 5_000)
        world.pass_time(500)
        world.hang_up(1)
        world.heap.run_until(max(world.heap.now, cut_at) + 5_000)
        world.return_power()
        world.pass_time(10_000)
        assert sold(world) in ([], [(5_000, 865)]), after_ms
        assert (world.books().pumps.get((1, 1), 0) > 0) == bool(world.ledger_sales()), after_ms
        assert not head.valve_open, after_ms
        world.close()


def test_fuel_that_nobody_released_is_unattributed_and_the_head_serves_on() -> None:
    world, head = world_with(None)
    head.dispense_locally(1, 1_230, world.heap.now)
    world.pass_time(10_000)
    assert world.unattributed(1) == [1_230]
    assert "PUMP_ALARM" not in world.faults(), "the alarm ended when the record was confirmed"
    fuel(world, head, 5_000)
    assert [(sale.volume_ml, sale.amount_minor) for sale in world.ledger_sales()] == [(5_000, 865)]
    world.close()


def test_a_dose_entered_at_the_head_serves_nobody() -> None:
    world, head = world_with(None)
    head.enter_dose(1, 10_000, world.heap.now)
    world.pass_time(3_000)
    assert head.dose_entered is None
    assert "PUMP_ALARM" in world.faults()
    world.lift(1, 1)
    world.pass_time(3_000)
    assert not head.valve_open
    world.hang_up(1)
    fuel(world, head, 5_000)
    assert "PUMP_ALARM" not in world.faults()
    world.close()


def test_another_head_in_its_place_gets_its_price_first() -> None:
    world, head = world_with(None)
    fuel(world, head, 5_000)
    head.power_off(world.heap.now)
    world.pass_time(10_000)
    world.exchange_head(1)
    world.pass_time(20_000)
    assert head.prices == {1: 17_290}
    fuel(world, head, 5_000)
    assert len(world.ledger_sales()) == 2
    world.close()


def test_a_head_exchanged_between_two_polls_is_found_before_it_is_released() -> None:
    """Its transaction number is not the known one: nobody fuels by its books before they were read and it has its price."""
    world, head = world_with(None)
    fuel(world, head, 5_000)
    world.exchange_head(1)
    world.pass_time(5_000)
    choose(world)
    world.lift(1, 1)
    world.pass_time(3_000)
    assert not head.valve_open
    world.hang_up(1)
    world.pass_time(10_000)
    assert head.prices == {1: 17_290}
    fuel(world, head, 5_000)
    assert len(world.ledger_sales()) == 2
    world.close()


def test_another_price_at_the_head_is_never_sold() -> None:
    """Set by hand while the terminal had no power: the head is told ours again before anybody is served."""
    world, head = world_with(None)
    head.set_price(1, 16_000, world.heap.now)
    world.terminal.power_off()
    world.return_power()
    choose(world)
    world.lift(1, 1)
    world.pass_time(1_000)
    assert not head.valve_open or head.prices == {1: 17_290}
    world.pass_time(5_000)
    assert head.prices == {1: 17_290}
    if not head.valve_open:  # told while he stood there: the next lift is served
        world.hang_up(1)
        world.pass_time(2_000)
        world.lift(1, 1)
        world.pass_time(3_000)
    assert head.valve_open
    world.flow(1, 5_000)
    world.hang_up(1)
    world.pass_time(5_000)
    assert [(sale.volume_ml, sale.amount_minor) for sale in world.ledger_sales()] == [(5_000, 865)]
    world.close()


def test_a_survey_stands_before_everything_else() -> None:
    world, head = world_with(None)
    seen: list[object] = []
    original = world.terminal.post

    def post(event: object) -> None:
        seen.append(event)
        original(event)

    world.terminal.post = post  # type: ignore[method-assign]
    world.cut_power()
    world.return_power()
    world.pass_time(3_000)
    pump = [event for event in seen if getattr(event, "fp", None) == 1]
    assert isinstance(pump[0], PumpSurveyed)
    world.close()


@pytest.mark.parametrize("seed", range(25))
def test_a_noisy_line_books_each_fuelling_once_and_rightly(seed: int) -> None:
    """Lost, doubled, split and spoilt transmissions in both directions over a whole fuelling."""
    world, head = world_with(None)
    wire = world.station.lines[1].wire
    wire.set_faults(Faults(NOISE, Random(f"down {seed}")), Faults(NOISE, Random(f"up {seed}")))
    choose(world)
    world.lift(1, 1)
    world.pass_time(20_000)
    if head.valve_open:
        world.flow(1, 5_000)
    world.pass_time(3_000)
    world.hang_up(1)
    world.pass_time(20_000)
    wire.set_faults(None, None)
    world.pass_time(30_000)
    assert sold(world) in ([], [(5_000, 865)])
    fuel(world, head, 3_000)
    assert sold(world)[-1] == (3_000, 519)
    world.close()


def test_one_heads_totals_are_never_anothers() -> None:
    """A head that took a request twice answers twice, and the second answer falls into another head's turn. (Swarm, seed 510.)"""
    posted: list[object] = []
    desk = Desk(Picture(), Anchor(), PositionProfile(2, 2), LineProfile(), posted.append, lambda: None)
    totals = iter([b"0000001680" + bytes(10).replace(b"\0", b"0"), *(2 * [20 * b"0"]), *(4 * [20 * b"0"])])
    reading = read_total(desk, 1)
    answer: Answer | None = None
    why: str | None = "it never ended"
    for _ in range(40):
        try:
            ask = next(reading) if answer is None else reading.send(answer)
        except StopIteration as end:
            why = end.value
            break
        if ask.request.command == Command.STATUS.value:
            desk.picture.statuses += 1
            desk.picture.state = State.HANGING
        answer = Answer(b"0" if ask.request.command == Command.STATUS.value else next(totals))
    assert why is None
    assert posted == [TotalReported(2, 1, 0)]
