"""Sales that the host gives back: the question, and what of an answer is believed. What is not makes the whole page nothing."""

from __future__ import annotations

import copy
import json
import queue
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hal_sim.host import HostServer
from terminal.core.events import HostTrouble
from terminal.core.ids import MessageKind
from terminal.core.return_desk import booking_of
from terminal.core.returned_sales import SalesBack, SalesBackFailed
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, LaneError
from terminal.host.list_head import ListKeys
from terminal.host.list_sync import ListSync
from terminal.host.sales_lane import PAGE, fetch_sales, page, sales_call
from terminal.host.workers import HostDesk
from terminal.store.card_import import build
from tests.hal_sim.host_kit import BADGE, openapi, validator, world
from tests.host.kit import CARD, LANE, NUMBER, booking, client_of

GOOD: dict[str, Any] = json.loads(json.dumps(openapi()["components"]["schemas"]["SalesBack"]["examples"][0]))


def encoded(change: Callable[[dict[str, Any]], Any] = lambda answer: None) -> bytes:
    """The contract's example, changed."""
    answer = copy.deepcopy(GOOD)
    change(answer)
    return json.dumps(answer).encode()


@dataclass
class Once:
    """A client that has this answer."""

    came: Answer | Trouble
    asked: list[Call] = field(default_factory=list)

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        self.asked.append(call)
        return self.came


def test_the_question_is_of_the_contract() -> None:
    assert sales_call(LANE, 2, 41) == Call("GET", f"/v1/terminals/OPT1/sales?epoch=2&after=41&limit={PAGE}")


def test_a_record_comes_back_as_it_went() -> None:
    found = page(LANE, encoded(), 1, 41)
    (sale,), (hold,) = found.sales, found.holds
    record = GOOD["sales"][0]["record"]
    assert (found.epoch, found.after, found.last, found.more) == (1, 41, 44, False)
    sent = booking(MessageKind.COMPLETE, pin_verified=True)
    assert json.loads(LANE.encode(booking_of(sale.fact))) == json.loads(LANE.encode(sent)) == record
    assert (sale.fact.account, sale.fact.customer, sale.fact.card, sale.fact.found) == (record["card"]["token"], "C1", CARD, False)
    assert [(one.correction, one.quantity_ml, one.sale) for one in sale.corrections] == [("K1", 2_500, "OPT1-1-42")]
    assert (hold.fact.sale, hold.fact.quantity_ml, hold.fact.authorization, hold.fact.found) == ("OPT1-1-44", 0, "A18", True)
    assert (hold.quantity_ml, [one.product for one in hold.nozzles]) == (60_000, ["GAZOLE"])
    validator("Completion").validate(json.loads(LANE.encode(booking_of(hold.fact))))


def test_a_hold_may_be_of_before_what_was_asked_for() -> None:
    """All holds of the epoch come with the last page: a sale that was left open has a number below."""
    answer = json.loads(encoded())
    answer["holds"][0]["request"].update(sequence=7, sale="OPT1-1-7", key="OPT1-1-7/authorize")
    (hold,) = page(LANE, json.dumps(answer).encode(), 1, 41).holds
    assert hold.fact.sequence == 7


def record_of(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["sales"][0]["record"]
    return found


def both(answer: dict[str, Any], first: int, second: int) -> None:
    """Two records with these numbers."""
    answer["sales"] *= 2
    answer["sales"] = copy.deepcopy(answer["sales"])
    for one, number in zip(answer["sales"], (first, second), strict=True):
        one["record"] |= {"sequence": number, "sale": f"OPT1-1-{number}", "key": f"OPT1-1-{number}/complete"}


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another terminal": lambda answer: answer.update(terminal="OPT2"),
    "another epoch": lambda answer: answer.update(epoch=2),
    "a record of another terminal": lambda answer: record_of(answer).update(terminal="OPT2", sale="OPT2-1-42", key="OPT2-1-42/complete"),
    "a record of another site": lambda answer: record_of(answer).update(site="S2"),
    "a record of another epoch": lambda answer: record_of(answer).update(epoch=2, sale="OPT1-2-42", key="OPT1-2-42/complete"),
    "a name that is not its number's": lambda answer: record_of(answer).update(sale="OPT1-1-43"),
    "a key that is not its name's": lambda answer: record_of(answer).update(key="OPT1-1-43/complete"),
    "the key of a reversal": lambda answer: record_of(answer).update(key="OPT1-1-42/reverse"),
    "the key of the other kind": lambda answer: record_of(answer).update(key="OPT1-1-42/advice"),
    "another currency": lambda answer: record_of(answer).update(currency="CHF"),
    "fuel from no nozzle": lambda answer: record_of(answer).update(nozzle=None),
    "fuel without a product": lambda answer: record_of(answer).update(product=None),
    "fuel without a price": lambda answer: record_of(answer).update(price=None),
    "fuel without a totaliser": lambda answer: record_of(answer).update(totaliser_start_ml=None),
    "money for nothing": lambda answer: record_of(answer).update(quantity_ml=0),
    "less than nothing": lambda answer: record_of(answer).update(quantity_ml=-1),
    "a part of a millilitre": lambda answer: record_of(answer).update(quantity_ml=1.5),
    "an end that there is not": lambda answer: record_of(answer).update(end="magic"),
    "a field that nobody knows": lambda answer: record_of(answer).update(discount=5),
    "a field less": lambda answer: record_of(answer).pop("list_version"),
    "a number where only its end may be": lambda answer: record_of(answer)["card"].update(last4=NUMBER),
    "a token that is none": lambda answer: record_of(answer)["card"].update(token=NUMBER),
    "an account that is none": lambda answer: answer["sales"][0].update(account=NUMBER),
    "an instant without a zone": lambda answer: record_of(answer).update(ended_at="2026-03-28T22:50:00.000"),
    "another century": lambda answer: record_of(answer).update(ended_at="1970-03-28T22:50:00.000Z"),
    "a correction of no kind": lambda answer: answer["sales"][0]["corrections"][0].update(kind="void"),
    "one sale twice": lambda answer: both(answer, 42, 42),
    "numbers out of order": lambda answer: both(answer, 43, 42),
    "a number that was not asked for": lambda answer: both(answer, 41, 42),
    "a number above the last": lambda answer: answer.update(last=43),
    "more behind the last page": lambda answer: answer.update(more=True),
    "more behind nothing": lambda answer: answer.update(more=True, sales=[], holds=[]),
    "booked and held": lambda answer: answer["holds"][0]["request"].update(sequence=42, sale="OPT1-1-42", key="OPT1-1-42/authorize"),
    "a hold of another terminal": lambda answer: answer["holds"][0]["request"].update(terminal="OPT2"),
    "a hold with a PIN block": lambda answer: answer["holds"][0]["request"].update(pin_block="00" * 16),
    "a hold without an authorization": lambda answer: answer["holds"][0].update(authorization=None),
    "a hold for nothing": lambda answer: answer["holds"][0]["request"].update(products=[]),
    "no list of sales": lambda answer: answer.update(sales={}),
    "no time": lambda answer: answer.pop("time"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_makes_the_page_nothing_and_repeats_no_value(wrong: str) -> None:
    with pytest.raises(LaneError) as raised:
        page(LANE, encoded(WRONG[wrong]), 1, 41)
    assert NUMBER not in str(raised.value)
    assert isinstance(fetch_sales(LANE, Once(Answer(200, encoded(WRONG[wrong]))), 1, 41, 1_000), SalesBackFailed)


def test_a_field_beside_the_records_is_no_obstacle() -> None:
    page(LANE, encoded(lambda answer: answer.update(pages=7)), 1, 41)


@pytest.mark.parametrize(
    "came",
    [Answer(500, b'{"error":"internal","message":""}'), Answer(404, b"not here"), Answer(200, b"<html>sign in</html>"), Answer(200, b""),
     Trouble(HostTrouble.TIMED_OUT, "no answer in time")],
)  # fmt: skip
def test_no_answer_is_told_with_why(came: Answer | Trouble) -> None:
    found = fetch_sales(LANE, Once(came), 1, 41, 1_000)
    assert isinstance(found, SalesBackFailed)
    assert found.why


def test_a_technicians_test_counts_nowhere() -> None:
    found = page(LANE, encoded(lambda answer: record_of(answer).update(marks=["TEST"], value_minor=0)), 1, 41)
    assert (found.sales[0].fact.account, found.sales[0].fact.customer) == (f"test:{CARD.token}", None)


def test_a_card_that_the_host_does_not_know_counts_on_itself() -> None:
    found = page(LANE, encoded(lambda answer: answer["sales"][0].update(account=None, customer=None)), 1, 41)
    assert found.sales[0].fact.account == CARD.token


def test_over_the_wire_from_the_real_host(tmp_path: Path) -> None:
    """Page by page, through the worker, to the last."""
    book, terminal, _ = world()
    for sequence in range(1, PAGE + 3):
        terminal.complete(sequence, 1_000, BADGE)
    terminal.authorize(PAGE + 3)
    server = HostServer(book, tmp_path)
    url = server.start()
    posts: queue.SimpleQueue[object] = queue.SimpleQueue()
    sync = ListSync(LANE, ListKeys.from_files(Path(server.list_key_path), None), tmp_path, 3_000, build)
    desk = HostDesk(LANE, lambda: client_of(tmp_path, url), posts.put, sync, 3_000, 3_000)
    desk.start()
    try:
        desk.fetch_sales(1, 1)
        first = posts.get(timeout=60)
        assert isinstance(first, SalesBack), first
        assert (len(first.sales), first.more, first.last, first.holds) == (PAGE, True, PAGE + 3, ())
        desk.fetch_sales(1, PAGE + 1)
        last = posts.get(timeout=60)
        assert isinstance(last, SalesBack), last
        assert ([one.fact.sequence for one in last.sales], last.more) == ([PAGE + 2], False)
        assert [one.fact.sequence for one in last.holds] == [PAGE + 3]
    finally:
        desk.stop()
        server.stop()
