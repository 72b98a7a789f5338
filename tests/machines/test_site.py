"""The site and the host: who decides, in which order it is written, and what a late, wrong or missing answer does."""

from __future__ import annotations

import pytest

from drivers.commands import AuthorizeFuellingPoint
from drivers.events import DeviceDown, DeviceUp, PumpLineLost, PumpStatus
from terminal.core.card_data import HostDecision
from terminal.core.effects import AskHost, CheckLists, Enqueue, StartDeadline, UseCards
from terminal.core.events import HostOverdue, HostTrouble, ListsCurrent, ListsReady, ListsRefused
from terminal.core.faults import FaultCode
from terminal.core.ids import MessageKind
from terminal.core.messages import Booking
from terminal.core.reasons import Reason
from terminal.core.records import (
    ListsAdopted,
    ListsChecked,
    Refused,
    ReversalQueued,
    SaleAuthorized,
    SaleDelivered,
    SaleEnded,
    SaleReserved,
)
from terminal.core.sale import SaleState
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, limit, messages, names, records, screen, sends, token_of


@pytest.fixture
def bench() -> Bench:
    """Open with the host reachable and a card that may take 100 L a day."""
    found = Bench().open()
    found.add_card("A")
    found.lists.limit_rows.append(limit(token_of("A"), 100_000))
    return found


def ask(bench: Bench, number: str = "A", fp: int = 1) -> list[object]:
    bench.badge(number)
    return list(bench.keys(f"{fp}#"))


# --- asked and answered -----------------------------------------------------------------------------------------------------------


def test_the_hold_is_written_in_the_step_that_asks(bench: Bench) -> None:
    bench.badge("A")
    effects = bench.keys("1#")
    wanted = ("SaleReserved", "AskHost", "Start HostOverdue", "ShowLines")
    assert names(bench.steps[-1], *wanted) == ["SaleReserved", "AskHost", "Start HostOverdue", "ShowLines"]
    (reserved,) = records(effects, SaleReserved)
    assert (reserved.sale, reserved.asked_host, reserved.hold_ml) == ("T-1-1", True, 990_000)
    assert (reserved.card.last4, reserved.card.sealed) == ("A", "sealed for T-1-1")
    assert screen(effects)[0] == "One moment..."
    assert StartDeadline(HostOverdue(reserved.sale), 8_000) in effects


def test_an_approval_arms_the_point_and_is_completed(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    effects = bench.approve(sale, quantity_ml=62_000)
    assert names(effects, "Cancel HostOverdue", "SaleAuthorized", "Start LiftOverdue", "ShowLines") == [
        "Cancel HostOverdue",
        "SaleAuthorized",
        "Start LiftOverdue",
        "ShowLines",
    ]
    (granted,) = records(effects, SaleAuthorized)
    assert (granted.decided_by, granted.authorization, granted.hold_ml) == ("host", "auth T-1-1", 62_000)
    assert screen(effects)[1] == "Max. 62.00 L"
    end = bench.deliver()
    assert messages(end) == ["T-1-1/complete"]
    (booking,) = [effect.message for effect in end if isinstance(effect, Enqueue)]
    assert isinstance(booking, Booking)
    assert (booking.kind, booking.decided_by, booking.authorization) == (MessageKind.COMPLETE, "host", "auth T-1-1")


def test_a_partial_approval_becomes_the_preset(bench: Bench) -> None:
    bench.arm(decision=HostDecision.PARTIAL, quantity_ml=15_000)
    (command,) = sends(bench.lift(1), AuthorizeFuellingPoint)
    assert command.preset_volume_ml == 15_000


def test_an_approval_in_money_becomes_a_money_preset(bench: Bench) -> None:
    bench.arm(value_minor=8_000)
    (command,) = sends(bench.lift(1), AuthorizeFuellingPoint)
    assert (command.preset_volume_ml, command.preset_amount_minor) == (None, 8_000)


def test_a_decline_is_final_and_named(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    effects = bench.approve(sale, HostDecision.DECLINED, reason=Reason.CARD_BLOCKED)
    assert [refused.reason for refused in records(effects, Refused)] == ["CARD_BLOCKED"]
    (ended,) = records(effects, SaleEnded)
    assert (ended.end, ended.reversed) == ("declined", False)
    assert messages(effects) == ["T-1-1/advice"]
    assert bench.site.desk.book.get(sale) is None
    assert bench.site.points[1].available


def test_a_decline_without_a_reason_of_ours(bench: Bench) -> None:
    ask(bench)
    effects = bench.approve(next(iter(bench.site.desk.sales)), HostDecision.DECLINED)
    assert [refused.reason for refused in records(effects, Refused)] == ["HOST_DECLINED"]


def test_an_approval_below_the_minimum_is_a_refusal(bench: Bench) -> None:
    ask(bench)
    effects = bench.approve(next(iter(bench.site.desk.sales)), HostDecision.PARTIAL, quantity_ml=1_000)
    assert [refused.reason for refused in records(effects, Refused)] == ["HOST"]
    assert messages(effects) == ["T-1-1/complete"], "the host holds something: its authorization is completed with nothing"


def test_an_approval_for_a_point_lost_meanwhile_frees_everything(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    bench.do(PumpLineLost(1, "unplugged"))
    effects = bench.approve(sale)
    assert [refused.reason for refused in records(effects, Refused)] == ["FUELLING_POINT_NOT_AVAILABLE"]
    assert messages(effects) == ["T-1-1/complete"], "with volume 0: it closes the host's authorization"


# --- not answered ------------------------------------------------------------------------------------------------------------------


def test_a_time_out_is_reversed_and_then_decided_offline(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    effects = bench.wait(8_000)
    assert names(effects, "ReversalQueued", "reverse", "SaleAuthorized") == ["ReversalQueued", "reverse", "SaleAuthorized"]
    assert records(effects, ReversalQueued) == [ReversalQueued(sale, "TIMED_OUT")]
    (granted,) = records(effects, SaleAuthorized)
    assert (granted.decided_by, granted.authorization, granted.hold_ml) == ("offline", None, 100_000)
    end = bench.deliver()
    assert messages(effects + end) == ["T-1-1/reverse", "T-1-1/advice"], "the outbox's order"


def test_a_time_out_that_the_lists_refuse_is_reversed_all_the_same(bench: Bench) -> None:
    bench.lists.limit_rows[0] = limit(token_of("A"), 1_000)
    ask(bench)
    effects = bench.wait(8_000)
    assert messages(effects) == ["T-1-1/reverse", "T-1-1/advice"]
    (ended,) = records(effects, SaleEnded)
    assert ended.reversed
    assert [refused.reason for refused in records(effects, Refused)] == ["LIMIT_DAY_QUANTITY"]


def test_a_technical_error_is_reversed_too(bench: Bench) -> None:
    ask(bench)
    effects = bench.no_host(next(iter(bench.site.desk.sales)), HostTrouble.TECHNICAL)
    assert names(effects, "ReversalQueued", "SaleAuthorized") == ["ReversalQueued", "SaleAuthorized"]


def test_no_line_has_nothing_to_reverse_and_the_next_is_not_asked(bench: Bench) -> None:
    ask(bench)
    effects = bench.no_host(next(iter(bench.site.desk.sales)), HostTrouble.NO_LINE)
    assert records(effects, ReversalQueued) == []
    assert [granted.decided_by for granted in records(effects, SaleAuthorized)] == ["offline"]
    bench.add_card("B")
    assert not any(isinstance(effect, AskHost) for effect in ask(bench, "B", 2))


def test_a_late_approval_is_never_used(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    bench.wait(8_000)
    effects = bench.approve(sale, quantity_ml=500_000)
    assert records(effects, SaleAuthorized) == []
    assert bench.sale(sale).decided_by == "offline"
    assert bench.sale(sale).hold_ml == 100_000


def test_a_late_approval_after_cancel_is_never_used(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    cancelled = bench.keys("x")
    assert messages(cancelled) == ["T-1-1/reverse", "T-1-1/advice"]
    assert records(bench.approve(sale), SaleAuthorized) == []
    assert sends(bench.lift(1), AuthorizeFuellingPoint) == []


def test_two_time_outs_serve_the_next_offline_at_once(bench: Bench) -> None:
    bench.add_card("B")
    bench.add_card("C")
    ask(bench, "A", 1)
    bench.wait(8_000)
    assert bench.faults() == set()
    assert any(isinstance(effect, AskHost) for effect in ask(bench, "B", 2)), "one alone says little"
    bench.wait(8_000)
    assert "HOST_UNREACHABLE" in bench.faults()
    bench.deliver(1)
    effects = ask(bench, "C", 1)
    assert not any(isinstance(effect, AskHost) for effect in effects)
    assert bench.session().state.name == "ARMED"


def test_the_driver_s_worker_that_fails_behind_our_deadline_is_not_counted_again(bench: Bench) -> None:
    ask(bench)
    (sale,) = bench.site.desk.sales
    bench.wait(8_000)
    bench.no_host(sale, HostTrouble.TIMED_OUT)
    assert bench.site.link.failures == 1


def test_an_answer_that_comes_too_late_proves_nothing_to_the_next_driver(bench: Bench) -> None:
    bench.add_card("B")
    for number, fp in (("A", 1), ("B", 2)):
        ask(bench, number, fp)
        bench.wait(8_000)
        bench.approve(bench.session().sale)  # type: ignore[arg-type]
    assert bench.site.link.down


# --- lists, devices, service ---------------------------------------------------------------------------------------------------------


def test_a_block_stops_the_next_attempt_also_online(bench: Bench) -> None:
    bench.lists.denied.cards.add(token_of("A"))
    assert [refused.reason for refused in records(bench.badge("A"), Refused)] == ["CARD_BLOCKED"]


def test_two_cards_of_a_customer_cannot_both_hold_the_rest(bench: Bench) -> None:
    bench.site.link.down = True
    bench.add_card("B", account=token_of("A"))
    bench.arm("A", 1)
    assert [refused.reason for refused in records(bench.badge("B"), Refused)] == ["CARD_IN_USE"]


def test_adopted_lists_are_written_before_they_are_used(bench: Bench) -> None:
    effects = bench.do(ListsReady("cards-E1-8", "E1", 8, 20_000, UtcMs(MIDNIGHT + 13 * 3_600_000)))
    assert records(effects, ListsAdopted) == [ListsAdopted("cards-E1-8", "E1", 8, 20_000)]
    assert UseCards("cards-E1-8") in effects
    assert names(effects, "ListsAdopted", "UseCards", "ListsChecked") == ["ListsAdopted", "UseCards", "ListsChecked"]


def test_current_lists_are_noted_now_and_then_and_always_counted_as_fresh(bench: Bench) -> None:
    noon = MIDNIGHT + 12 * 3_600_000
    assert len(records(bench.do(ListsCurrent(UtcMs(noon))), ListsChecked)) == 1
    bench.wait(60_000)
    assert records(bench.do(ListsCurrent(UtcMs(noon + 60_000))), ListsChecked) == []
    assert bench.site.teller.lists_checked == noon + 60_000


def test_a_refused_list_is_told_and_asked_for_again(bench: Bench) -> None:
    bench.do(ListsRefused("hash differs"))
    assert "LIST_REFUSED" in bench.faults()
    assert CheckLists("E1", 7) in bench.wait(300_000)
    bench.do(ListsCurrent(UtcMs(MIDNIGHT + 13 * 3_600_000)))
    assert "LIST_REFUSED" not in bench.faults()


def test_a_device_that_goes_and_comes(bench: Bench) -> None:
    bench.do(DeviceDown("badge reader", "unplugged"))
    assert "DEVICE_DOWN" in bench.faults()
    bench.do(DeviceUp("badge reader"))
    assert "DEVICE_DOWN" not in bench.faults()


@pytest.mark.parametrize("keys", ["", "1#"])
def test_a_stop_of_service_closes_every_state_and_the_end_of_it_opens_again(bench: Bench, keys: str) -> None:
    bench.badge("A")
    bench.keys(keys)
    bench.site.desk.raise_fault(FaultCode.STORAGE_LOW, "disk", "no room")
    effects = bench.do(DeviceUp("any"))
    assert bench.session().state.name == "OUT_OF_SERVICE"
    assert screen(effects)[3] == "STORAGE_LOW"
    assert screen(bench.badge("A"))[:2] == ("Refused", "Terminal not ready")
    assert bench.keys("1#x") == []
    bench.site.desk.clear_fault(FaultCode.STORAGE_LOW, "disk")
    assert screen(bench.do(DeviceUp("any")))[0] == "Welcome"
    assert bench.session().state.name == "IDLE"


def test_a_stop_while_the_host_is_asked_reverses_and_counts_its_messages(bench: Bench) -> None:
    ask(bench)
    bench.site.desk.raise_fault(FaultCode.STORAGE_LOW, "disk", "no room")
    effects = bench.do(DeviceUp("any"))
    assert messages(effects) == ["T-1-1/reverse", "T-1-1/advice"]
    assert bench.site.uploads.waiting == 2


def test_a_stop_lets_a_running_fuelling_end(bench: Bench) -> None:
    bench.arm()
    bench.lift(1)
    bench.status(1, PumpStatus.AUTHORIZED, PumpStatus.FILLING)
    bench.site.desk.raise_fault(FaultCode.STORAGE_LOW, "disk", "no room")
    bench.do(DeviceUp("any"))
    bench.hang(1)
    effects = bench.read(1, bench.status(1, PumpStatus.COMPLETED), totals=120_000, fill=(20_000, 3_458))
    assert len(records(effects, SaleDelivered)) == 1


def test_sales_are_numbered_without_a_hole_whatever_becomes_of_them(bench: Bench) -> None:
    bench.add_card("B")
    declined = ask(bench, "A")
    bench.approve(next(iter(bench.site.desk.sales)), HostDecision.DECLINED)
    bench.wait(10_000)
    bench.badge("A")
    bench.keys("9#")  # no such point: no sale, no number
    bench.wait(10_000)
    second = bench.arm("B")
    assert second == "T-1-2"
    assert bench.sale(second).state is SaleState.AUTHORIZED
    assert declined
