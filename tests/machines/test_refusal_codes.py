"""A refused driver reads six characters; behind them lie the facts of the decision, which decide the same again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drivers.commands import ShowLines
from drivers.events import MediumKind, MediumUnreadable
from terminal.core import effects as fx
from terminal.core.authorization import Policy, decide
from terminal.core.card_data import HostDecision, Limit, Measure, Offline, Period, Share, Status, Subject, SubjectKind
from terminal.core.deny_book import DenyKind, DenySubject
from terminal.core.events import DenyPushed, HostTrouble, ProbeAnswered, UploadAnswered, UploadFailed, UploadResult
from terminal.core.facts import Cap, ExposureCaps
from terminal.core.ids import MessageKind, Minting, message_key
from terminal.core.records import FaultCleared, FaultRaised, Refused, SaleAuthorized
from terminal.core.refusal_code import refusal_code
from terminal.core.sale import SaleState
from terminal.core.site import Recovered
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, limit, messages, pin_rule, records, screen, sends, token_of

BACK = ProbeAnswered(UtcMs(MIDNIGHT + 13 * 3_600_000))
"""The host answers again."""


def refusal(effects: list[fx.Effect], reason: str) -> Refused:
    """The one refusal of these effects; its code is on the display, and its facts end with its reason."""
    (found,) = records(effects, Refused)
    assert found.reason == reason
    assert found.code is not None
    assert found.judged is not None
    assert any(f"Code {found.code}" in command.lines for command in sends(effects, ShowLines))
    decision = decide(found.judged.facts, found.judged.policy)
    assert decision.reason is not None
    assert decision.reason.value == reason
    assert found.judged.facts.request.number == ""
    return found


def test_refused_at_the_first_look() -> None:
    bench = Bench().open()
    bench.add_card("A", status=Status.BLOCKED)
    found = refusal(bench.badge("A"), "CARD_BLOCKED")
    assert found.code == refusal_code("T", 0)
    assert found.sale is None
    bench.wait(10_000)
    assert refusal(bench.badge("A"), "CARD_BLOCKED").code == refusal_code("T", 1), "each refusal has a code of its own"


def test_refused_offline_by_a_limit() -> None:
    bench = Bench().open(host=False)
    card = bench.add_card("A")
    bench.lists.limit_rows.append(limit(card.account, 0))
    found = refusal(bench.badge("A"), "LIMIT_DAY_QUANTITY")
    assert found.judged is not None
    assert [use.limit.amount for use in found.judged.facts.limits] == [0]


def test_declined_by_the_host_names_the_sale() -> None:
    bench = Bench().open()
    bench.add_card("A")
    bench.badge("A")
    (asked,) = [effect for effect in bench.keys("1#") if isinstance(effect, fx.AskHost)]
    found = refusal(bench.approve(asked.sale, HostDecision.DECLINED), "HOST_DECLINED")
    assert found.sale == asked.sale


def test_a_wrong_nozzle_has_a_code_too() -> None:
    bench = Bench().open()
    bench.add_card("A", products=frozenset({"SP95"}))
    sale = bench.arm("A")
    found = refusal(bench.lift(1, 1), "PRODUCT_NOT_ALLOWED")
    assert (found.sale, found.fp) == (sale, 1)
    assert screen(bench.steps[-1])[1:] == ("wrong nozzle", "Take: SP95", f"Code {found.code}")


def test_a_wrong_nozzle_of_an_allowed_product_names_the_bound() -> None:
    bench = Bench().open(host=False)
    card = bench.add_card("A")
    subject = Subject(SubjectKind.CARD, card.account)
    bench.lists.limit_rows.append(Limit(subject, Period.DAY, Measure.QUANTITY, 500, frozenset({"GAZOLE"})))
    bench.arm("A")
    refusal(bench.lift(1, 1), "LIMIT_DAY_QUANTITY")


def test_a_denied_medium_has_a_code_before_and_after_arming() -> None:
    bench = Bench().open()
    bench.add_card("A")
    bench.badge("A")
    deny = DenySubject(DenyKind.CARD, token_of("A"))
    refusal(bench.do(DenyPushed(1, deny, False, "E1", 8)), "CARD_BLOCKED")
    bench = Bench().open()
    bench.add_card("A")
    sale = bench.arm("A")
    assert refusal(bench.do(DenyPushed(1, deny, False, "E1", 8)), "CARD_BLOCKED").sale == sale
    bench = Bench().open()
    bench.add_card("A")
    sale = bench.arm("A")
    bench.wait(20_000)
    assert refusal(bench.do(DenyPushed(1, deny, False, "E1", 8)), "CARD_BLOCKED").sale == sale, "the driver stands at the pump"


def test_the_last_wrong_pin_has_a_code_and_the_verifier_is_not_written_down() -> None:
    bench = Bench().open()
    bench.add_card("A", pin=pin_rule(token_of("A"), "1234", tries=1))
    bench.badge("A")
    found = refusal(bench.keys("9999#"), "PIN_WRONG")
    assert found.judged is not None
    assert found.judged.facts.card is not None
    assert found.judged.facts.card.pin is not None
    assert found.judged.facts.card.pin.verifier == ""


@pytest.mark.parametrize("events", ["x", "timeout", "unreadable", "no pump"])
def test_without_a_decision_there_is_no_code(events: str) -> None:
    bench = Bench().open()
    bench.add_card("A")
    if events != "unreadable":
        bench.badge("A")
    made: dict[str, Any] = {
        "x": lambda: bench.keys("x"),
        "timeout": lambda: bench.wait(31_000),
        "unreadable": lambda: bench.do(MediumUnreadable(1, MediumKind.BADGE, "torn")),
        "no pump": lambda: bench.keys("9#"),
    }
    effects = made[events]()
    (found,) = records(effects, Refused)
    assert (found.code, found.judged) == (None, None)
    assert bench.site.teller.refusals.issued == 0


def test_the_counter_goes_on_after_a_restart() -> None:
    bench = Bench(recovered=Recovered(Minting("T", 1, 1), refusals=41)).open()
    bench.add_card("A", status=Status.BLOCKED)
    assert refusal(bench.badge("A"), "CARD_BLOCKED").code == refusal_code("T", 41)


def test_an_authorized_sale_has_the_facts_of_its_decision() -> None:
    for host in (True, False):
        bench = Bench().open(host=host)
        bench.add_card("A")
        sale = bench.arm("A")
        (found,) = [record for step in bench.steps for record in records(step, SaleAuthorized)]
        assert found.judged is not None
        decision = decide(found.judged.facts, found.judged.policy)
        assert {one.product: one.quantity_ml for one in decision.allowance} == {one.product: one.quantity_ml for one in found.allowed}
        assert bench.sale(sale).judged == found.judged


# --- grey ranges --------------------------------------------------------------------------------------------------------------


def test_a_grey_card_is_refused_offline_with_an_alert_that_the_host_s_return_clears() -> None:
    bench = Bench().open(host=False)
    bench.add_card("70019999", offline=Offline.ALWAYS)
    bench.lists.grey.add("70019999")
    effects = bench.badge("70019999")
    refusal(effects, "OFFLINE_NOT_ALLOWED")
    assert [(fault.code, fault.subject) for fault in records(effects, FaultRaised)] == [("GREY_CARD", "999")]
    bench.wait(10_000)
    refusal(bench.badge("70019999"), "OFFLINE_NOT_ALLOWED")
    back = bench.do(BACK)
    assert ("GREY_CARD", "999") in [(fault.code, fault.subject) for fault in records(back, FaultCleared)]
    bench.wait(10_000)
    bench.arm("70019999")


def test_a_card_that_is_never_offline_raises_no_grey_alert() -> None:
    bench = Bench().open(host=False)
    bench.add_card("A", offline=Offline.NEVER)
    effects = bench.badge("A")
    refusal(effects, "OFFLINE_NOT_ALLOWED")
    assert records(effects, FaultRaised) == []


# --- exposure and shares in the life of a sale -----------------------------------------------------------------------------------

CAPS = Policy(exposure=ExposureCaps(card=Cap(ml=50_000)), max_open=2)


def test_exposure_is_freed_by_the_answer_and_by_nothing_else() -> None:
    bench = Bench(policy=CAPS).open(host=False)
    card = bench.add_card("A")
    sale = bench.arm("A")
    assert bench.sale(sale).hold_ml == 50_000
    bench.deliver(volume_ml=20_000)
    exposure = bench.site.desk.exposure
    assert exposure.of(card.account, "C1").card.quantity_ml == 20_000
    second = bench.arm("A", 2)
    assert bench.sale(second).hold_ml == 30_000, "what the first sale took is out"
    bench.do(BACK)
    assert exposure.of(card.account, "C1").card.quantity_ml == 50_000, "that the host is back frees nothing"
    bench.do(UploadFailed(message_key(sale, MessageKind.ADVICE), HostTrouble.NO_LINE, "unplugged"))
    assert exposure.get(sale) is not None
    bench.do(UploadAnswered(message_key(sale, MessageKind.ADVICE), UploadResult.ACCEPTED, None))
    assert exposure.get(sale) is None
    assert exposure.of(card.account, "C1").card.quantity_ml == 30_000


def test_a_record_that_the_host_refuses_for_good_is_answered_too() -> None:
    bench = Bench(policy=CAPS).open(host=False)
    bench.add_card("A")
    sale = bench.arm("A")
    bench.deliver(volume_ml=20_000)
    bench.do(UploadAnswered(message_key(sale, MessageKind.ADVICE), UploadResult.REJECTED_PERMANENT, None))
    assert bench.site.desk.exposure.get(sale) is None


def test_what_the_host_approved_was_exposure_only_while_it_was_asked() -> None:
    bench = Bench(policy=CAPS).open()
    bench.add_card("A")
    bench.badge("A")
    (asked,) = [effect for effect in bench.keys("1#") if isinstance(effect, fx.AskHost)]
    assert bench.site.desk.exposure.get(asked.sale) is not None
    bench.approve(asked.sale)
    assert len(bench.site.desk.exposure) == 0
    found = bench.deliver(volume_ml=20_000)
    assert messages(found) == [f"{asked.sale}/complete"]
    assert len(bench.site.desk.exposure) == 0


def test_two_cards_of_a_customer_share_the_share_of_this_terminal() -> None:
    bench = Bench().open(host=False)
    bench.add_card("A")
    bench.add_card("B")
    theirs = Subject(SubjectKind.CUSTOMER, "C1")
    bench.lists.limit_rows.append(Limit(theirs, Period.DAY, Measure.QUANTITY, 900_000, None, shared=True))
    bench.lists.share_rows.append(Share("G1", theirs, Period.DAY, "2026-03-10", Measure.QUANTITY, None, 50_000, None))
    bench.arm("A", 1)
    bench.deliver(1, 40_000)
    bench.wait(10_000)
    assert bench.sale(bench.arm("B", 2)).hold_ml == 10_000
    bench.wait(10_000)
    refusal(bench.badge("A"), "CUSTOMER_LIMIT_DAY_QUANTITY")


def test_a_shared_limit_without_a_share_is_for_the_host_alone() -> None:
    bench = Bench().open()
    card = bench.add_card("A")
    bench.lists.limit_rows.append(replace(limit(card.account, 900_000), shared=True))
    assert bench.sale(bench.arm("A")).state is SaleState.AUTHORIZED
