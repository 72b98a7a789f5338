"""What comes of every open sale when the program, or the power, comes back."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint, StopFuellingPoint
from drivers.events import PumpStatus
from terminal.core.account_book import UseState
from terminal.core.clock import ClockState
from terminal.core.effects import CheckLists, ProbeHost, UploadNext
from terminal.core.faults import FaultCode
from terminal.core.ids import Minting, SaleId
from terminal.core.records import Allowed, MediumRef, NozzleRef, ReversalQueued, SaleDelivered, SaleEnded, SaleInDoubt, TerminalStarted
from terminal.core.sale import Sale, SaleState
from terminal.core.site import Recovered
from terminal.core.units import Instant, UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, messages, names, records, screen, sends, token_of

NOON = UtcMs(MIDNIGHT + 12 * 3_600_000)


def open_sale(state: SaleState, *, sequence: int = 5, asked_host: bool = False, reversal: bool = False) -> Sale:
    sale = Sale(
        id=SaleId(f"T-1-{sequence}"), epoch=1, sequence=sequence, side=1, fp=1, card=MediumRef(token_of("A"), "A", "badge", "T0"),
        account=token_of("A"), customer="C1", pin_verified=False, prompts=(), nozzles=(NozzleRef(1, "GAZOLE", 17290),), wish_ml=None,
        wish_minor=None, asked_host=asked_host, authorized_at=NOON - 10_000, list_version=7, hold_ml=100_000, hold_minor=17_290,
        hold_products=("GAZOLE",), state=state, reversal=reversal,
    )  # fmt: skip
    if state is not SaleState.RESERVED:
        sale.decided_by = "offline"
        sale.allowed = (Allowed("GAZOLE", 100_000, 17_290, False, "TERMINAL_CAP"),)
    if state in (SaleState.DELIVERING, SaleState.IN_DOUBT):
        sale.nozzle, sale.product, sale.price, sale.total_start_ml = 1, "GAZOLE", 17290, 100_000
    return sale


def restarted(*sales: Sale, same_boot: bool = True, waiting: int = 0) -> Bench:
    """A bench whose ledger remembers these sales; the host's time was noon, just now."""
    now = Instant(5_000_000)
    known = Recovered(
        Minting("T", 1, 6), uses=[sale.held() for sale in sales], open_sales=list(sales), totals={(1, 1): 100_000, (1, 2): 100_000},
        waiting=waiting, clock_floor=NOON, clock_floor_instant=now, clock_contact=now if same_boot else None, same_boot=same_boot,
    )  # fmt: skip
    bench = Bench(points=(1,), recovered=known, now=now)
    bench.add_card("A")
    return bench


def test_the_first_step_says_so_and_asks_the_host() -> None:
    bench = restarted(waiting=2)
    effects = bench.boot()
    assert records(effects, TerminalStarted) == [TerminalStarted("boot-a", "")]
    assert ProbeHost() in effects
    assert CheckLists("E1", 7) in effects
    assert effects.count(UploadNext()) == 1
    assert screen(effects)[0] == "Welcome"


@pytest.mark.parametrize("same_boot", [True, False])
def test_reserved_and_asked_is_reversed(same_boot: bool) -> None:
    bench = restarted(open_sale(SaleState.RESERVED, asked_host=True), same_boot=same_boot)
    effects = bench.boot()
    assert names(effects, "ReversalQueued", "reverse", "SaleEnded", "advice") == ["ReversalQueued", "reverse", "SaleEnded", "advice"]
    assert messages(effects) == ["T-1-5/reverse", "T-1-5/advice"]
    assert records(effects, SaleEnded)[0].end == "power"
    assert bench.site.uploads.waiting == 2
    assert len(bench.site.desk.book) == 0


def test_reserved_and_reversed_before_is_not_reversed_again() -> None:
    effects = restarted(open_sale(SaleState.RESERVED, asked_host=True, reversal=True)).boot()
    assert records(effects, ReversalQueued) == []
    assert records(effects, SaleEnded)[0].reversed


def test_reserved_and_never_asked_ends() -> None:
    assert messages(restarted(open_sale(SaleState.RESERVED)).boot()) == ["T-1-5/advice"]


def test_authorized_goes_on_after_a_restart_of_the_program() -> None:
    bench = restarted(open_sale(SaleState.AUTHORIZED))
    assert messages(bench.boot()) == []
    bench.survey(1)
    assert not bench.site.points[1].available
    assert len(sends(bench.lift(1), AuthorizeFuellingPoint)) == 1


def test_authorized_has_only_the_rest_of_its_time() -> None:
    bench = restarted(open_sale(SaleState.AUTHORIZED))
    bench.boot()
    bench.survey(1)
    assert records(bench.wait(49_999), SaleEnded) == []
    assert records(bench.wait(1), SaleEnded)[0].end == "lift_timeout"


def test_authorized_ends_after_a_power_cut() -> None:
    bench = restarted(open_sale(SaleState.AUTHORIZED), same_boot=False)
    assert records(bench.boot(), SaleEnded)[0].end == "power"
    bench.survey(1)
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []


@pytest.mark.parametrize("same_boot", [True, False])
@pytest.mark.parametrize(
    ("status", "total", "fill", "volume"),
    [
        (PumpStatus.COMPLETED, 130_000, (30_000, 5_187), 30_000),
        (PumpStatus.LIMIT_REACHED, 200_000, (100_000, 17_290), 100_000),
        (PumpStatus.RESET, 130_000, None, 30_000),
        (PumpStatus.COMPLETED, 100_000, (12_000, 2_075), 0),
        (PumpStatus.RESET, 100_000, None, 0),
    ],
)
def test_delivering_is_ended_once_by_the_pumps_books(
    same_boot: bool, status: PumpStatus, total: int, fill: tuple[int, int] | None, volume: int
) -> None:
    bench = restarted(open_sale(SaleState.DELIVERING), same_boot=same_boot)
    assert messages(bench.boot()) == [], "the pump is asked first"
    effects = bench.survey(1, status, totals={1: total, 2: 100_000}, fill=fill)
    assert [delivered.volume_ml for delivered in records(effects, SaleDelivered)] == ([volume] if volume else [])
    assert len(records(effects, SaleEnded)) == (0 if volume else 1)
    assert messages(effects) == ["T-1-5/advice"]
    assert messages(bench.survey(1, totals={1: total, 2: 100_000})) == [], "once"


def test_delivering_and_still_flowing_is_adopted() -> None:
    bench = restarted(open_sale(SaleState.DELIVERING))
    bench.boot()
    assert sends(bench.survey(1, PumpStatus.FILLING, 1), StopFuellingPoint) == []
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=140_000, fill=(40_000, 6_916))
    assert [delivered.volume_ml for delivered in records(effects, SaleDelivered)] == [40_000]


def test_delivering_at_a_point_that_never_answers_keeps_its_hold() -> None:
    bench = restarted(open_sale(SaleState.DELIVERING))
    bench.boot()
    assert messages(bench.wait(3_600_000)) == []
    assert bench.site.desk.book.get("T-1-5") is not None


def test_in_doubt_stays_in_doubt_and_does_not_take_the_next_drivers_fuel() -> None:
    bench = restarted(open_sale(SaleState.IN_DOUBT))
    bench.boot()
    effects = bench.survey(1, totals={1: 130_000, 2: 100_000})
    assert records(effects, SaleDelivered) + records(effects, SaleInDoubt) == []
    held = bench.site.desk.book.get("T-1-5")
    assert held is not None
    assert held.state is UseState.IN_DOUBT
    assert bench.site.points[1].available


def test_a_fault_that_stops_service_is_remembered() -> None:
    bench = restarted()
    bench.recovered.faults = {(FaultCode.STORAGE_FAILED, "ledger"): "disk"}
    bench = Bench(points=(1,), recovered=bench.recovered)
    assert screen(bench.boot())[0] == "Out of service"
    turned_away = bench.badge("A")
    assert screen(turned_away)[:2] == ("Refused", "Terminal not ready")
    assert screen(bench.wait(10_000))[0] == "Out of service"
    assert names(turned_away, "SaleReserved", "AskHost", "Refused") == []


def test_the_clock_is_a_holdover_after_a_power_cut_and_trusted_with_the_first_contact() -> None:
    bench = restarted(same_boot=False)
    bench.boot()
    bench.wait(1)
    assert bench.site.desk.clock.state(bench.now) is ClockState.HOLDOVER
    assert bench.site.desk.clock.utc(bench.now) == NOON + 1
