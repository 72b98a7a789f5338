"""Steps about the host's office and what it hears: corrections, closings, the terminal's state, cost centre and driver of a sale.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.behaviour import values
from tests.behaviour.host_thens import host_book
from tests.behaviour.stage import BOOKS_WAIT_MS, Kind, Stage, a_fuelling_point, known
from tests.behaviour.values import Unclear
from tests.behaviour.world import Correction

# === closings ===================================================================================================


@known(Kind.WHEN, "the host {how:closes|opens} fuelling point {fp}")
def _closes_point(stage: Stage, how: str, fp: str) -> None:
    stage.world.host_closes("fuelling_point", str(a_fuelling_point(stage, fp)), closed=how == "closes")


@known(Kind.WHEN, 'the host {how:closes|opens} product "{product}"')
def _closes_product(stage: Stage, how: str, product: str) -> None:
    if all(row.product != product for row in stage.setup.fuelling_points):
        raise Unclear(f"no fuelling point of the table sells {product!r}")
    stage.world.host_closes("product", product, closed=how == "closes")


@known(Kind.WHEN, "the host {how:closes|opens} the site")
def _closes_site(stage: Stage, how: str) -> None:
    stage.world.host_closes("site", "", closed=how == "closes")


# === corrections ================================================================================================


@known(Kind.WHEN, "the host cancels the last sale")
def _cancel(stage: Stage) -> None:
    stage.world.host_corrects(Correction("cancel"))


@known(Kind.WHEN, "the host refunds {volume:amount} and {amount:amount} of the last sale")
def _refund(stage: Stage, volume: str, amount: str) -> None:
    quantity_ml, value_minor = values.volume_ml(volume), values.amount_minor(amount, stage.setup.currency)
    stage.world.host_corrects(Correction("refund", quantity_ml, value_minor))


@known(Kind.WHEN, "the host settles the last sale at {volume:amount}")
def _settle(stage: Stage, volume: str) -> None:
    stage.world.host_corrects(Correction("settle", values.volume_ml(volume)))


@known(Kind.WHEN, 'the host moves the last sale to card "{number}"')
def _move(stage: Stage, number: str) -> None:
    if all(card.number != number for card in stage.setup.cards):
        raise Unclear(f"there is no card {number!r} in the table")
    stage.world.host_corrects(Correction("amend", card=number))


@known(Kind.WHEN, 'the host corrects the {prompt} of the last sale to "{text}"')
def _amend(stage: Stage, prompt: str, text: str) -> None:
    name = values.one_of(prompt, values.PROMPTS, "a prompt").upper()
    stage.world.host_corrects(Correction("amend", prompts=((name, text),)))


@known(Kind.WHEN, "the head of fuelling point {fp} is exchanged")
def _exchange(stage: Stage, fp: str) -> None:
    stage.world.exchange_head(a_fuelling_point(stage, fp))


def _answer(stage: Stage) -> tuple[Mapping[str, Any], Mapping[str, Any] | None] | None:
    """The host's last correction and what the terminal said of it."""
    view = host_book(stage)
    made = view.get("corrections") or ()
    return None if not made else (made[-1], view["acks"].get(str(made[-1]["event"])))


@known(Kind.THEN, "the terminal {how:has made|refuses} the last correction")
def _made(stage: Stage, how: str) -> None:
    def so() -> bool:
        found = _answer(stage)
        ack = None if found is None else found[1]
        return ack is not None and (ack["refused"] is None) is (how == "has made")

    stage.expect(so, BOOKS_WAIT_MS, lambda: f"the last correction and what the terminal said of it: {_answer(stage)}")


# === the terminal's state ========================================================================================


def _state(stage: Stage) -> Mapping[str, Any]:
    return host_book(stage).get("terminal_state") or {}


def _faults(stage: Stage) -> Sequence[str]:
    return [str(fault["code"]) for fault in _state(stage).get("faults", ())]


@known(Kind.THEN, 'the host hears "{fault}" from the terminal')
def _hears(stage: Stage, fault: str) -> None:
    if not fault.isupper():
        raise Unclear("a fault is written like PUMP_LINE_LOST")
    stage.expect(lambda: fault in _faults(stage), BOOKS_WAIT_MS, lambda: f"the host hears {', '.join(_faults(stage)) or 'of no fault'}")


@known(Kind.THEN, 'the host hears no "{fault}" from the terminal')
def _hears_not(stage: Stage, fault: str) -> None:
    if not fault.isupper():
        raise Unclear("a fault is written like PUMP_LINE_LOST")
    stage.expect(
        lambda: bool(_state(stage)) and fault not in _faults(stage), BOOKS_WAIT_MS, lambda: f"the host hears {', '.join(_faults(stage))}"
    )


@known(Kind.THEN, "the host hears that {count} messages wait", r"the host hears that (?P<count>no|\d+) messages? waits?")
def _waiting(stage: Stage, count: str) -> None:
    wanted = 0 if count == "no" else int(count)

    def so() -> bool:
        queue = _state(stage).get("queue", {})
        return queue.get("unsent") == wanted and (queue["oldest"] is None) is (wanted == 0)

    stage.expect(so, BOOKS_WAIT_MS, lambda: f"the host hears of {_state(stage).get('queue')}")


@known(Kind.THEN, "the host hears that fuelling point {fp} is {how:closed|open}")
def _hears_closed(stage: Stage, fp: str, how: str) -> None:
    number = a_fuelling_point(stage, fp)

    def closed() -> bool | None:
        return next((bool(each["closed"]) for each in _state(stage).get("fuelling_points", ()) if each["fuelling_point"] == number), None)

    stage.expect(lambda: closed() is (how == "closed"), BOOKS_WAIT_MS, lambda: f"the host hears closed: {closed()}")


@known(Kind.THEN, 'the host hears that "{limit}" is {how:exact|bounded|not enforced} offline')
def _enforced(stage: Stage, limit: str, how: str) -> None:
    wanted = "no" if how == "not enforced" else how

    def seen() -> str | None:
        return next((each["offline"] for each in _state(stage).get("enforces", ()) if each["limit"] == limit), None)

    stage.expect(lambda: seen() == wanted, BOOKS_WAIT_MS, lambda: f"the host hears {seen() or 'nothing of it'}")


@known(Kind.THEN, "the host knows that its newest lists are in use")
def _lists(stage: Stage) -> None:
    def so() -> bool:
        view = host_book(stage)
        version = view.get("list_version")
        cards = _state(stage).get("lists", {}).get("cards", {})
        return cards.get("version") == version and any(each["version"] == version for each in view.get("applied", ()))

    def otherwise() -> str:
        view = host_book(stage)
        return f"the host's newest is {view.get('list_version')}, in use are {_state(stage).get('lists')}, told {view.get('applied')}"

    stage.expect(so, BOOKS_WAIT_MS, otherwise)


# === whose sale ==================================================================================================


@known(
    Kind.THEN,
    'the sale carries cost centre "{centre}" and driver "{driver}"',
    r'the sale carries (?:no cost centre|cost centre "(?P<centre>[^"]*)") and (?:no driver|driver "(?P<driver>[^"]*)")',
)
def _carries(stage: Stage, centre: str | None, driver: str | None) -> None:
    def seen() -> tuple[str | None, str | None] | None:
        sold = [record for record in host_book(stage)["records"] if record["quantity_ml"] > 0]
        return (sold[-1]["cost_centre"], sold[-1]["driver"]) if sold else None

    stage.expect(lambda: seen() == (centre, driver), BOOKS_WAIT_MS, lambda: f"the last record carries {seen()}")
