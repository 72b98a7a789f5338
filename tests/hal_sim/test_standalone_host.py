"""The stand-alone host over real processes, sockets and files: it is killed, comes back, and is the same host; and people can read it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.hal_sim.host_kit import openapi, valid
from tests.hal_sim.host_process import BADGE, NOW, PATIENCE_S, HostProcess, authorization, complete, done, head, office, record, rows, told

STRANGER = "7001999999999999991"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of one host; not there yet, and of a name too long for a Unix socket."""
    return tmp_path / ("of-a-host-" * 12) / "host"


@pytest.fixture
def host(folder: Path) -> Iterator[HostProcess]:
    """Running, with the example scenario."""
    made = HostProcess(folder)
    yield made
    made.end()


# --- the same host again ------------------------------------------------------------------------------------------------


def test_killed_between_booking_and_answer_it_answers_the_same_after_a_restart(host: HostProcess, folder: Path) -> None:
    decision = host.call("POST", "/v1/authorizations", authorization(host, 1)).json()
    assert decision["decision"] == "approved"
    done(folder, "fault", "slow", "60000")
    lost: list[Exception] = []

    def send() -> None:
        try:
            complete(host, 1)
        except requests.RequestException as error:
            lost.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    host.line("result")  # booked and said, not answered
    assert [row["sale"] for row in rows(folder, "SELECT * FROM sale")] == ["OPT1-1-1"]
    host.kill()
    sender.join(PATIENCE_S)
    assert lost, "no answer came"
    again = HostProcess(folder)
    try:
        assert complete(again, 1).json()["result"] == "accepted", "the stored answer, not duplicate"
        assert complete(again, 1, volume_ml=11_000).status_code == 409
        assert [row["quantity_ml"] for row in rows(folder, "SELECT * FROM sale")] == [10_000]
        same = again.call("POST", "/v1/authorizations", authorization(again, 1)).json()
        assert {**same, "time": ""} == {**decision, "time": ""}
        assert told(folder, "open-authorizations", "--json") == []
    finally:
        assert again.end() == 0


def everything(host: HostProcess, folder: Path) -> None:
    """One of each kind of input."""
    assert host.call("POST", "/v1/authorizations", authorization(host, 1)).json()["decision"] == "approved"
    assert complete(host, 1).json()["result"] == "accepted"
    assert host.call("POST", "/v1/authorizations", authorization(host, 2)).json()["decision"] == "approved"
    reversal = head(2, "reverse") | {"reason": "TIMED_OUT"}
    assert host.call("POST", "/v1/authorizations/OPT1-1-2/reversal", reversal).json()["result"] == "accepted"
    assert host.call("POST", "/v1/authorizations", authorization(host, 3)).json()["decision"] == "approved"
    advice = {"terminal": "OPT1", "items": [record(host, 5, "advice"), record(host, 6, "advice", quantity_ml=-1)]}
    assert [each["result"] for each in host.call("POST", "/v1/transactions", advice).json()["results"]] == [
        "accepted",
        "rejected_permanent",
    ]
    for arguments in (
        ("block", "card", STRANGER),
        ("block", "customer", "C2"),
        ("block", "range", "7001000000000000000", "7001000000000000999"),
        ("unblock", "customer", "C2"),
        ("publish",),
        ("price", "GAZOLE", "1.799"),
        ("price", "GAZOLE", "1.899", "--at", "2026-04-01T06:00:00+02:00", "--fuelling-point", "1", "--confirm-jump"),
        ("unlock-pin", BADGE),
        ("correct", "OPT1-1-1", "refund", "--quantity-ml", "1000", "--value-minor", "172", "--why", "spilt"),
        ("correct", "OPT1-1-5", "amend", "--card", "04A1B2C3D4E582"),
        ("close", "fuelling-point", "2", "--why", "hose"),
        ("share", "customer", "C1", "MONTH", "VALUE", "60000"),
        ("publish", "--confirm-shrink"),
    ):
        done(folder, *arguments)
    acknowledgement = {"effective_at": NOW, "durable": True, "refused": None}
    assert host.call("POST", "/v1/terminals/OPT1/events/1/ack", acknowledgement).status_code == 200
    applied = {"epoch": "e1", "version": 2, "at": NOW}
    assert host.call("POST", "/v1/terminals/OPT1/lists/cards/applied", applied).status_code == 200
    sums = {"product": "GAZOLE", "decided_by": "offline", "count": 1, "quantity_ml": 10_000, "value_minor": 1_729}
    batch = {"key": "OPT1-1-B1.1/close", "terminal": "OPT1", "epoch": 1, "batch": 1, "attempt": 1, "first_sequence": 1, "last_sequence": 1}
    batch |= {"records": 1, "open": [], "quarantined": [], "totals": [sums], "empty": 0}
    assert host.call("POST", "/v1/terminals/OPT1/batches/1/close", batch).json()["result"] == "balanced"


def looks(host: HostProcess, folder: Path) -> dict[str, Any]:
    """All that can be asked, but for the time of the answer and what ends with a process."""
    state = told(folder, "state", "--json")
    for name in ("url", "calls", "errors"):
        del state[name]
    head = host.call("GET", "/v1/terminals/OPT1/lists").json()["lists"]["cards"]
    lists = host.call("GET", f"/v1/terminals/OPT1/lists/cards/{head['epoch']}/{head['version']}").text
    delta = host.call("GET", "/v1/terminals/OPT1/lists/cards/e1/3/delta").text
    seen = {"state": state, "hash": head["content_hash"], "lists": lists, "delta": delta, "stream": stream(host)}
    return seen | {name: told(folder, name, "--json") for name in ("sales", "missing", "open-authorizations")}


def stream(host: HostProcess) -> list[str]:
    """What the stream of events says at its beginning, up to the hint at the lists."""
    lines = []
    with host.http.get(host.url + "/v1/terminals/OPT1/events", stream=True, timeout=PATIENCE_S) as answer:
        for line in answer.iter_lines(decode_unicode=True):
            lines.append(line)
            if line.startswith("data: ") and lines[-2] == "event: lists":
                return lines
    raise AssertionError("the stream ended")


def test_restarted_it_is_the_same_host_in_all_that_can_be_asked(host: HostProcess, folder: Path) -> None:
    everything(host, folder)
    before = looks(host, folder)
    assert before["missing"] == [[1, 2], [1, 3], [1, 4]]
    assert [each["sale"] for each in before["open-authorizations"]] == ["OPT1-1-3"]
    assert "event: correction" in before["stream"]
    assert "event: closing" in before["stream"]
    assert [each["wanted"] for each in before["state"]["shares"]] == [60_000, 50_000]
    assert before["state"]["not_acknowledged"] == ["K1", "K2"]
    ends: tuple[Callable[[HostProcess], object], ...] = (HostProcess.kill, HostProcess.end)
    for end in ends:
        end(host)
        host = HostProcess(folder)
        assert looks(host, folder) == before
        assert host.ready["replayed"] > 15
    host.end()


def test_when_the_book_cannot_be_written_nothing_is_answered_and_the_host_ends(host: HostProcess, folder: Path) -> None:
    assert complete(host, 1).status_code == 200
    holder = sqlite3.connect(folder / "book.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # somebody else writes, and goes on doing so
    with pytest.raises(requests.ConnectionError):
        complete(host, 2)
    assert host.wait() == 1
    assert "book.db cannot be written" in host.complaint
    holder.execute("ROLLBACK")
    holder.close()
    again = HostProcess(folder)
    assert [row["sale"] for row in rows(folder, "SELECT * FROM sale")] == ["OPT1-1-1"]
    assert complete(again, 2).json()["result"] == "accepted"
    again.end()


def test_people_can_read_the_book(host: HostProcess, folder: Path) -> None:
    everything(host, folder)
    sales = {row["sale"]: row for row in rows(folder, "SELECT * FROM sale")}
    assert sales.keys() == {"OPT1-1-1", "OPT1-1-5"}
    first = sales["OPT1-1-1"]
    assert (first["quantity_ml"], first["value_minor"], first["customer"], first["cost_centre"]) == (10_000, 1_729, "C1", "Depot 4")
    assert (first["card_last4"], first["corrections"], first["flags"]) == (BADGE[-4:], 1, "[]")
    states = {row["sale"]: row["state"] for row in rows(folder, "SELECT * FROM authorization")}
    assert states == {"OPT1-1-1": "booked", "OPT1-1-2": "reversed", "OPT1-1-3": "open"}
    denied = {(row["kind"], row["lifted"]): row for row in rows(folder, "SELECT * FROM deny")}
    assert denied.keys() == {("card", 0), ("customer", 1), ("range", 0)}
    assert denied["card", 0]["effective_at"] == NOW
    versions = rows(folder, "SELECT * FROM list_version ORDER BY version")
    assert [(row["version"], row["confirm_shrink"], row["adopted_at"]) for row in versions] == [(1, 0, None), (2, 0, NOW), (3, 1, None)]
    assert [(row["correction"], row["kind"], row["why"]) for row in rows(folder, "SELECT * FROM correction")] == [
        ("K1", "refund", "spilt"),
        ("K2", "amend", ""),
    ]
    (closed,) = rows(folder, "SELECT * FROM closing")
    assert (closed["scope"], closed["name"], closed["closed"], closed["why"]) == ("fuelling_point", "2", 1, "hose")
    (batch,) = rows(folder, "SELECT * FROM batch")
    assert (batch["result"], batch["quantity_ml"]) == ("balanced", 10_000)
    assert rows(folder, "SELECT litres FROM day WHERE customer = 'C1'") == [{"litres": 20.0}]


def test_no_card_number_of_the_office_is_kept_or_said_in_clear(folder: Path) -> None:
    host = HostProcess(folder)
    said = [done(folder, "block", "card", STRANGER), done(folder, "unlock-pin", BADGE), done(folder, "publish")]
    said += [json.dumps(told(folder, "state", "--json")), office(folder, "unlock-pin", STRANGER).stderr]
    host.end()
    said += [json.dumps(host.lines)]
    kept = b"".join(path.read_bytes() for path in folder.glob("book.db*"))
    for number in (STRANGER, BADGE):
        assert number.encode() not in kept
        assert not [text for text in said if number in text]
    again = HostProcess(folder)
    assert again.end() == 0, "and yet the block can be played again"


def test_of_the_terminals_states_only_the_newest_is_kept(host: HostProcess, folder: Path) -> None:
    state: dict[str, Any] = openapi()["components"]["schemas"]["State"]["examples"][0] | {"terminal": "OPT1", "site": "S1"}
    for unsent in (5, 4, 3):
        state = state | {"queue": state["queue"] | {"unsent": unsent}}
        assert valid("State", state)
        assert host.call("PUT", "/v1/terminals/OPT1/state", state).status_code == 200
    assert [row["unsent"] for row in rows(folder, "SELECT * FROM terminal_state")] == [3]
    assert len(rows(folder, "SELECT id FROM input")) == 1
    host.end()
    again = HostProcess(folder)
    assert told(folder, "state", "--json")["terminal_state"]["queue"]["unsent"] == 3
    again.end()


def test_a_terminal_that_repeats_itself_does_not_make_the_book_longer(host: HostProcess, folder: Path) -> None:
    for _ in range(3):
        complete(host, 1)
    assert len(rows(folder, "SELECT id FROM input")) == 1
