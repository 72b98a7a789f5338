"""The host's card table, rules of prompts, odometers and second cards: what is published, and what an authorization makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from hal_sim.host.world import ScenarioError
from terminal.store.list_rows import RowReader
from tests.hal_sim.host_kit import BADGE, SPARE, STRIPE, card, limit, validator, world
from tests.store.list_kit import canonical

RANGE = {"first": "7001", "last": "7001", "kind": "fleet", "routing": "host", "lengths": [19], "luhn": False, "pin": "online"}
RULE = {"subject": {"card": BADGE}, "prompt": "vehicle", "answers": ["75"], "wrong": "mark"}
KINDS = ("range", "prompt", "odometer")


def rows(terminal: Any) -> list[dict[str, Any]]:
    return [row for row in terminal.rows() if row["row"] in KINDS]


def test_what_is_published_is_the_contracts_and_the_terminal_reads_it() -> None:
    book, terminal, _ = world(ranges=[RANGE], prompt_rules=[RULE], odometers=[{"account": BADGE, "reading": 7}], cards=[card(BADGE)])
    found = rows(terminal)
    assert [row["row"] for row in found] == list(KINDS)
    for row in found:
        validator("ListRow").validate(row)
        assert RowReader().read(canonical(row)) is not None
    assert "75" not in found[1]["answers"]
    book.odometer(BADGE, 3)
    book.publish()
    assert [row["reading"] for row in rows(terminal) if row["row"] == "odometer"] == [3]


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({"ranges": [{"first": "7"}]}, r"ranges\[0\]"),
        ({"ranges": [RANGE | {"colour": "red"}]}, r"ranges\[0\]"),
        ({"prompt_rules": [{"prompt": "ODOMETER"}]}, r"prompt_rules\[0\]"),
        ({"odometers": [{"account": BADGE, "reading": -1}]}, r"odometers\[0\]"),
        ({"ranges": ["7001"]}, "not understood"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_where(scenario: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        world(**scenario)


def test_the_second_cards_limits_bind_and_count() -> None:
    cards = [card(BADGE, pair="seven"), card(SPARE, pair="seven")]
    book, terminal, _ = world(cards=cards, limits=[limit({"card": SPARE}, "DAY", "QUANTITY", 20_000)])
    subject = {"card": SPARE}
    second = terminal.sealed(SPARE, "OPT1-1-1", second=True)
    answer = terminal.authorize(1, BADGE, second_card=second)
    assert (answer["decision"], answer["quantity_ml"]) == ("approved", 20_000)
    assert book.remaining(subject, "DAY", "QUANTITY") == 0
    record = terminal.record(1, 5_000, number=BADGE, authorization=answer["authorization"])
    assert terminal.send(record | {"second_card": second})["result"] == "accepted"
    assert book.remaining(subject, "DAY", "QUANTITY") == 15_000


def test_a_card_is_no_pair_of_itself() -> None:
    _, terminal, _ = world(cards=[card(BADGE, pair="seven")])
    second = terminal.sealed(BADGE, "OPT1-1-1", second=True)
    assert terminal.authorize(1, BADGE, second_card=second)["reason"] == "SECOND_CARD_WRONG"


def test_a_pin_that_only_the_host_can_check_must_come() -> None:
    _, terminal, _ = world(cards=[card(STRIPE, pin="1234", pin_check="host")])
    assert next(row for row in terminal.rows() if row["row"] == "card")["pin"] is None
    for sequence, changes in enumerate(({"pin": "verified"}, {"pin": "sent"}, {"pin": "none"}), start=1):
        assert terminal.send(terminal.authorization(sequence, number=STRIPE) | changes)["reason"] == "PIN_WRONG"
