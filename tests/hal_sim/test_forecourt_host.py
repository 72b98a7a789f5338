"""Commands to the host of a running forecourt: corrections, closings, shares, lost records, and what the terminal has said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.hal_sim.forecourt_kit import SCENARIO, UID, Rig
from tests.hal_sim.host_kit import openapi

LIMIT = {"subject": {"customer": "C1"}, "period": "DAY", "measure": "QUANTITY", "amount": 100_000, "products": None}
WORLD = SCENARIO | {
    "badge": None,
    "display": None,
    "keypad": None,
    "limits": [LIMIT | {"shared": True}],
    "shares": [LIMIT | {"amount": 60_000}],
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A forecourt without people at it."""
    made = Rig(tmp_path_factory.mktemp("rig"), WORLD)
    yield made
    assert made.close() == (0, "")


def call(rig: Rig, method: str, path: str, body: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """What a terminal would send."""
    host = rig.ready["host"]
    answer = requests.request(
        method,
        host["url"] + path,
        json=body,
        headers={} if key is None else {"Idempotency-Key": key},
        cert=(host["client_cert"], host["client_key"]),
        verify=host["ca"],
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def advise(rig: Rig, sequence: int, quantity_ml: int) -> str:
    """A record of the contract's own example with another number and volume; its card is not known here, which the host flags."""
    item = openapi()["components"]["schemas"]["Transactions"]["examples"][0]["items"][0]
    sale = f"OPT1-1-{sequence}"
    item = item | {
        "sale": sale,
        "sequence": sequence,
        "key": f"{sale}/advice",
        "quantity_ml": quantity_ml,
        "value_minor": quantity_ml // 10,
    }
    item |= {"product": "GAZOLE", "price": 17290, "nozzle": 1}
    answer = call(rig, "POST", "/v1/transactions", {"terminal": "OPT1", "items": [item]}, item["key"])
    return str(answer["results"][0]["result"])


def test_a_sale_is_corrected_and_lost(rig: Rig) -> None:
    assert advise(rig, 1, 5_000) == "accepted_flagged"
    done = rig.do("correct", sale="OPT1-1-1", kind="amend", card=UID, prompts={"ODOMETER": "7"}, why="wrong badge")
    assert done == {"ok": True, "correction": "K1", "list_version": 2}
    assert rig.do("correct", sale="OPT1-1-1", kind="refund", quantity_ml=9_000, value_minor=0)["error"].startswith("more than")
    assert rig.do("correct", sale="OPT1-1-1", kind="refund", quantity_ml=9_000, value_minor=0, unchecked=True)["correction"] == "K2"
    assert rig.do("correct", sale="OPT1-1-1", kind="cancel", correction="C-7", publish=False)["list_version"] == 3
    found = rig.do("corrections")["corrections"]
    assert [(each["correction"], each["kind"], each["event"], each["acknowledged"]) for each in found] == [
        ("K1", "amend", 1, False),
        ("K2", "refund", 2, False),
        ("C-7", "cancel", 3, False),
    ]
    assert rig.do("lose", sale="OPT1-1-1") == {"ok": True}
    assert "not booked" in rig.do("lose", sale="OPT1-1-1")["error"]
    assert advise(rig, 1, 5_000) == "accepted_flagged"
    assert rig.do("misbook", sale="OPT1-1-1", quantity_ml=50) == {"ok": True}
    assert rig.do("host")["sales"][0]["quantity_ml"] == 50


def test_batches_states_and_adopted_lists_can_be_seen(rig: Rig) -> None:
    schemas = openapi()["components"]["schemas"]
    assert rig.do("terminal_state") == {"state": None, "received_at_ms": None}
    state = schemas["State"]["examples"][0]
    call(rig, "PUT", "/v1/terminals/OPT1/state", state)
    seen = rig.do("terminal_state")
    assert seen["state"] == state
    assert seen["received_at_ms"] > 0
    batch = schemas["Batch"]["examples"][0]
    assert call(rig, "POST", "/v1/terminals/OPT1/batches/1/close", batch, batch["key"])["missing"] == [42, 43]
    assert [(each["batch"], each["result"]) for each in rig.do("batches")["batches"]] == [(1, "unbalanced")]
    call(rig, "POST", "/v1/terminals/OPT1/lists/cards/applied", schemas["Applied"]["examples"][0])
    assert [(each["epoch"], each["version"]) for each in rig.do("applied")["applied"]] == [("e1", 1)]


def test_places_are_closed_and_opened(rig: Rig) -> None:
    assert rig.do("close", scope="product", name="SP95", why="bad batch")["ok"]
    assert rig.do("close", scope="site")["ok"]
    assert rig.do("open", scope="site")["ok"]
    assert "is expected" in rig.do("close", scope="fuelling_point", name="9")["error"]
    seen = [(each["scope"], each["name"], each["closed"]) for each in rig.do("closings")["closings"]]
    assert seen == [("product", "SP95", True), ("site", "", False)]


def test_shares_are_seen_and_changed(rig: Rig) -> None:
    (row,) = rig.do("shares")["shares"]
    assert (row["terminal"], row["wanted"], row["out"]) == ("OPT1", 60_000, 60_000)
    version = rig.do("host")["list_version"]
    answer = rig.do("share", customer="C1", period="DAY", measure="QUANTITY", amount=20_000)
    assert answer == {"ok": True, "list_version": version + 1}
    (row,) = rig.do("shares")["shares"]
    assert (row["grants"][0]["amount"], row["grants"][-1]["amount"], row["out"]) == (60_000, 20_000, 60_000)
    assert rig.do("share", customer="C1", period="DAY", measure="QUANTITY", amount=40_000, terminal="OPT2")["ok"]
    assert "more than is left" in rig.do("share", customer="C1", period="DAY", measure="QUANTITY", amount=40_001, terminal="OPT2")["error"]
    assert "no shared limit" in rig.do("share", customer="C2", period="DAY", measure="QUANTITY", amount=1)["error"]


@pytest.mark.parametrize(
    "line",
    [
        {"do": "correct", "kind": "cancel"},
        {"do": "correct", "sale": "OPT1-1-1", "kind": "amend", "prompts": ["ODOMETER"]},
        {"do": "correct", "sale": "OPT1-1-1", "kind": "cancel", "colour": "red"},
        {"do": "share", "card": "1", "customer": "C1", "period": "DAY", "measure": "QUANTITY", "amount": 1},
        {"do": "misbook", "sale": "OPT1-1-1", "quantity_ml": 0},
        {"do": "batches", "more": 1},
    ],
)
def test_wrong_commands_are_refused(rig: Rig, line: dict[str, Any]) -> None:
    fields = dict(line)
    assert "error" in rig.do(fields.pop("do"), **fields)
